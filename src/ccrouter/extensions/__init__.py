"""The user's own code: transforms and routers in Python, and the classic router's in JavaScript. Loads and runs it.

What code there is says the configuration alone: no request, no project or session, no header can name any.
"""

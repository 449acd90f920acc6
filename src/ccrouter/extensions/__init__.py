"""The user's own code: transforms and routers in Python, and the classic router's in JavaScript. Loads and runs it."""

"""Incoming I/O: the ASGI application, who may use it, and how answers leave."""

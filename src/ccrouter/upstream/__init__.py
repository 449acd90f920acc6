"""Outgoing I/O: the one seam between the router and its providers."""

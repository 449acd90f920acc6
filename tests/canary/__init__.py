"""Secrets that are told to the router in every way there is, and the search for them in all that it leaves behind."""

"""The router's log as files: their names, putting them away, reading them from the end, following them. No server."""

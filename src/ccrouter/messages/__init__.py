"""The canonical protocol: requests, events and answers of the Anthropic Messages API. Pure; no I/O."""

"""Streams from end to end: how much is held for a slow client, what silence means, and what ends with a client."""

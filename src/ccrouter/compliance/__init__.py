"""The policy: what may leave, to whom, and what a configuration may contain. It stands apart from what it polices."""

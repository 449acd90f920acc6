"""The soak's own checks: each can fail, and a small soak runs."""

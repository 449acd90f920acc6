"""Soak and load: a real router under a real load, for as long as one likes, on loopback (README.md)."""

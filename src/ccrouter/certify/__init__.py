"""Finding out what a provider's models can do, by asking them: the probes, and the profile that comes of it."""

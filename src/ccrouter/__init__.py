"""ccrouter: the Anthropic Messages API in front of any provider and model."""

__version__ = "0.1.0"

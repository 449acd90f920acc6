"""The names that say which wire format a provider speaks: they choose its endpoint, and change nothing here. Pure.

What their options mean is part of the provider (`config.transform_options.provider_options`).
"""

from __future__ import annotations

from ccrouter.transforms.base import Transform


class WireFormat(Transform):
    """`anthropic`, `openai`, `openai-responses`, `gemini`, `vertex-gemini`, `vertex-claude`."""

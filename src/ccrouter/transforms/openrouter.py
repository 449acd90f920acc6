"""`openrouter`: OpenRouter's own members, such as `{"provider": {"only": ["moonshotai/fp8"]}}`. Pure.

Reasoning, cache marks and images need nothing more: the profile and the dialect see to them, also to the way back of
`reasoning_details`, and a finish reason stays what OpenRouter says.
"""

from __future__ import annotations

from ccrouter.transforms.additions import Additions


class OpenRouter(Additions):
    """The options become members of the request."""

    name = "openrouter"

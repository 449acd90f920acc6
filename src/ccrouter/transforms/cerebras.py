"""`cerebras`: Cerebras' own members, and nothing that it refuses. Pure.

The object `reasoning` of other gateways is an unknown member there (400). Whether to reason is said with
`reasoning_effort`, by the profile; the older `disable_reasoning` is deprecated
(inference-docs.cerebras.ai/capabilities/reasoning).
"""

from __future__ import annotations

from typing import Any

from ccrouter.transforms.additions import Additions
from ccrouter.transforms.base import Context


class Cerebras(Additions):
    """The options become members of the request; `reasoning` is taken out of a Chat request."""

    name = "cerebras"

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.dialect == "openai_chat":
            members.pop("reasoning", None)
        return super().members(members, context)

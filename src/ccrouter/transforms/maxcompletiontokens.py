"""`maxcompletiontokens`: OpenAI's newer name for the limit of a Chat answer. Pure."""

from __future__ import annotations

from typing import Any

from ccrouter.transforms.base import Context
from ccrouter.transforms.maxtoken import MaxToken


class MaxCompletionTokens(MaxToken):
    """`max_tokens` of a Chat request is sent as `max_completion_tokens`; other dialects have one name only. With an
    option `max_tokens` the limit is capped as well.
    """

    name = "maxcompletiontokens"

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        members = super().members(members, context)
        if context.dialect == "openai_chat" and "max_tokens" in members:
            limit = members.pop("max_tokens")
            members.setdefault("max_completion_tokens", limit)
        return members

"""Transforms in Python: name this file in `transformers`, and its classes in a provider's `use`.

"transformers": [{ "path": "transform.py", "options": { "header": "x-team", "value": "search" } }],
"Providers": [{ ..., "transformer": { "use": ["stamp", ["shorten", { "most": 2000 }], "polite"] } }],
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from ccrouter.extend import (
    Answer,
    BlockDelta,
    ConfigError,
    Context,
    EventFilter,
    MessageEvent,
    MessagesRequest,
    Problem,
    TextDelta,
    Transform,
    Wire,
)


class Stamp(Transform):
    """Adds a header to what leaves, and a member to its body."""

    name = "stamp"

    async def wire(self, wire: Wire, context: Context) -> Wire:
        headers = {**wire.headers, self.options.get("header", "x-stamp"): self.options.get("value", "yes")}
        body = json.loads(wire.body)
        body["user"] = f"session of {context.asked}"
        return replace(wire, headers=headers, body=json.dumps(body).encode())


class Shorten(Transform):
    """Cuts the limit of tokens, in the words of whichever provider it is used for."""

    name = "shorten"

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        if not isinstance(options.get("most", 1000), int):
            raise ConfigError([Problem("", "", "shorten: `most` must be a whole number", 'write { "most": 1000 }')])

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            if name in members:
                members[name] = min(members[name], self.options.get("most", 1000))
        return members


class Polite(Transform):
    """Asks for politeness, and shows that an answer can be changed while it streams."""

    name = "polite"

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        return request.replace(temperature=0.2)

    def events(self, context: Context) -> EventFilter | None:
        def soften(events: Iterable[MessageEvent]) -> list[MessageEvent]:
            changed = []
            for event in events:
                if isinstance(event, BlockDelta) and isinstance(event.delta, TextDelta):
                    event = BlockDelta(event.index, TextDelta(event.delta.text.replace("damn", "goodness")))  # noqa: PLW2901 - a changed one in its place
                changed.append(event)
            return changed

        return soften


class Tally(Transform):
    """Looks at the provider's bytes as they come in: here they are only counted."""

    name = "tally"
    seen = 0

    async def stream(self, answer: Answer, context: Context) -> AsyncIterator[bytes]:  # type: ignore[override] # an iterator will do
        while piece := await answer.read():
            Tally.seen += len(piece)
            yield piece

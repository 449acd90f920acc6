"""`forcereasoning`: a model that does not think by itself is asked to write its reasoning down first. Pure.

It is asked at the end of each request; what it writes between the tags becomes thinking, and on the next turn it sees
its earlier reasoning as it wrote it. Meant for models that have no thinking of their own.
"""

from __future__ import annotations

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, EventFilter, Transform
from ccrouter.transforms.extrathinktag import tag_of
from ccrouter.transforms.tagged import Tag, TaggedThinking
from ccrouter.transforms.turns import items_of, kind_of, members_of, raw, role_of, with_user_text

_TAG = "reasoning_content"
_TURNS = 10


def _prompt(tag: Tag) -> str:
    return (
        "Reason before you answer, however simple the task may seem, and write it down. Answer in this form:\n"
        f"{tag.open}\nyour reasoning, step by step\n{tag.close}\nyour answer, or the tool calls that you decided on"
    )


class _Thought(msgspec.Struct):
    thinking: str = ""


_thought = msgspec.json.Decoder(_Thought)


class ForceReasoning(Transform):
    """Asks for tagged reasoning, makes thinking of it, and shows the last `turns` turns that thought what they did."""

    name = "forcereasoning"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._tag = tag_of(options.get("tag", _TAG))
        self._turns: int = options.get("turns", _TURNS)
        self._words: str = options.get("prompt") or _prompt(self._tag)

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:  # noqa: ARG002 - the same for all
        if b'"thinking"' in bytes(request.members.get("messages", b"")):
            request = request.replace(messages=self._shown(request.raw_turns))
        return with_user_text(request, self._words)

    def events(self, context: Context) -> EventFilter:
        return TaggedThinking([self._tag], carrier.pack(context.dialect, context.target.provider.name))

    def _shown(self, turns: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """The turns, with the thinking of the last ones as tagged text and that of earlier ones left out."""
        shown: list[msgspec.Raw] = []
        left = self._turns
        for turn in reversed(turns):
            members = members_of(turn) if role_of(turn) == "assistant" else {}
            blocks = items_of(members.get("content"))
            kinds = [kind_of(block) for block in blocks]
            if "thinking" not in kinds:
                shown.append(turn)
                continue
            said = [self._retold(block) if left > 0 else None for block in blocks]
            content = [
                new if kind == "thinking" else block for block, kind, new in zip(blocks, kinds, said, strict=True)
            ]
            left -= 1
            kept = [block for block in content if block is not None]
            if kept:
                shown.append(raw({**members, "content": kept}))
        return shown[::-1]

    def _retold(self, block: msgspec.Raw) -> msgspec.Raw | None:
        """A thinking block as tagged text; None if there is nothing in it."""
        try:
            thought = _thought.decode(block).thinking
        except msgspec.DecodeError:
            return None
        tag = self._tag
        return raw({"type": "text", "text": f"{tag.open}\n{thought}\n{tag.close}"}) if thought.strip() else None

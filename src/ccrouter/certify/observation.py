"""What one question to a provider came to: as much of the answer as probes judge by. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ccrouter.errors import RouterError, UpstreamStatus
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    TextDelta,
    ThinkingDelta,
    ToolUseBlock,
    WireUsage,
)

#: Statuses by which servers say that they will not do what was asked, whoever asks and whenever.
_REFUSALS = frozenset({400, 404, 405, 413, 415, 422, 501})
#: Servers that say so with a 500 say it in words (llama.cpp: "image input is not supported").
_WORDS = ("support", "not implemented", "unexpected", "invalid")
#: What stands before the provider's own words in an explained error.
_BEFORE_OWN = ("Upstream said: ", " answered ")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `input` is None if its arguments are no JSON object; `pieces` is in how many they came."""

    name: str
    input: JsonObject | None
    pieces: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `error` is why nothing did, and None for an answer that ended as it should; `refused` is the member of
    the request that the error names. `pieces` is in how many the text came.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    stop_reason: str = ""
    usage: WireUsage = field(default_factory=WireUsage)
    answered: str = ""
    pieces: int = 0
    error: RouterError | None = None
    refused: str = ""

    @property
    def is_good(self) -> bool:
        """True for an answer, whatever it says."""
        return self.error is None

    @property
    def is_refusal(self) -> bool:
        """True if the provider will not do what was asked. False for failures that say nothing about it."""
        error = self.error
        if not isinstance(error, UpstreamStatus):
            return False
        return error.status in _REFUSALS or (error.status == 500 and any(word in str(error) for word in _WORDS))

    @property
    def told(self) -> str:
        """The error in a few words, the provider's own as far as it has some; "" without one."""
        if not isinstance(self.error, UpstreamStatus):
            return "" if self.error is None else str(self.error)
        words = str(self.error)
        own = next((after for mark in _BEFORE_OWN if (after := words.partition(mark)[2])), words)
        return f"{self.error.status}: {own.removeprefix(f'{self.error.status}: ')}"

    def says(self, *words: str) -> bool:
        """True if all of the words are in the text, whatever their case."""
        return all(word.casefold() in self.text.casefold() for word in words)


def answer_of(events: Sequence[MessageEvent], usage: WireUsage, answered: str) -> Answer:
    """The answer that these events, all of one stream, tell of."""
    text: list[str] = []
    thinking: list[str] = []
    calls: dict[int, tuple[str, list[str]]] = {}
    stop_reason = ""
    for event in events:
        match event:
            case BlockStart(index=index, content_block=ToolUseBlock(name=name)):
                calls[index] = (name, [])
            case BlockStart(index=index, content_block={"type": "tool_use", "name": str(name)}):
                calls[index] = (name, [])
            case BlockDelta(delta=TextDelta(text=piece)) if piece:
                text.append(piece)
            case BlockDelta(delta=ThinkingDelta(thinking=piece)) if piece:
                thinking.append(piece)
            case BlockDelta(index=index, delta=InputJsonDelta(partial_json=piece)) if piece and index in calls:
                calls[index][1].append(piece)
            case MessageDelta(delta=ending):
                stop_reason = ending.stop_reason or ""
            case _:
                pass
    found = tuple(Call(name, _object("".join(pieces)), len(pieces)) for name, pieces in calls.values())
    return Answer("".join(text), "".join(thinking), found, stop_reason, usage, answered, len(text))


def _object(text: str) -> JsonObject | None:
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None

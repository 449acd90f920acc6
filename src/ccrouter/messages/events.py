"""The events of a streamed Messages answer, and the answer itself, as typed values that know their bytes.

Shapes: platform.claude.com/docs/en/build-with-claude/streaming. What clients need of them beyond the documentation
(which fields may not be missing) is kept by the field defaults here.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ccrouter.errors import ErrorType
from ccrouter.jsontypes import JsonObject
from ccrouter.sse import escape_separators

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]


class WireUsage(msgspec.Struct):
    """Usage with every field present: SDK helpers and Claude Code add them up without looking.

    `input_tokens` excludes what was read from or written to a cache.
    """

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @property
    def context(self) -> int:
        """All input tokens, cached or not."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens


class Billed(msgspec.Struct):
    """What a provider reports of an answer beyond `WireUsage`, for the account of it; never sent to a client.

    `thinking_tokens` are among the output tokens, `cache_write_1h` among those written to a cache; `cost` is what the
    provider itself says that it charged, in US dollars. `service` names a way of serving that has prices of its own
    ("fast", "priority"), "" for the usual.
    """

    thinking_tokens: int = 0
    cache_write_1h: int = 0
    searches: int = 0
    cost: float | None = None
    service: str = ""

    def less(self, before: Billed) -> Billed:
        """What was billed beyond `before`, which is a part of it; the cost is known only if that of both is."""
        is_known = self.cost is not None and before.cost is not None
        return Billed(
            self.thinking_tokens - before.thinking_tokens,
            self.cache_write_1h - before.cache_write_1h,
            self.searches - before.searches,
            (self.cost or 0.0) - (before.cost or 0.0) if is_known else None,
            self.service,
        )

    def plus(self, other: Billed) -> Billed:
        """The two together. Their cost is known only if both are: a part of it would pass for the whole."""
        return Billed(
            self.thinking_tokens + other.thinking_tokens,
            self.cache_write_1h + other.cache_write_1h,
            self.searches + other.searches,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
            self.service or other.service,
        )


class MessageHead(msgspec.Struct):
    """The message as `message_start` announces it."""

    id: str
    model: str
    usage: WireUsage
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    content: list[JsonObject] = []
    stop_reason: None = None
    stop_sequence: None = None


class TextBlock(msgspec.Struct, tag="text"):
    text: str = ""


class ThinkingBlock(msgspec.Struct, tag="thinking"):
    thinking: str = ""
    signature: str = ""


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking"):
    data: str


class ToolUseBlock(msgspec.Struct, tag="tool_use"):
    id: str
    name: str
    input: JsonObject = {}


StartBlock: TypeAlias = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | JsonObject


class TextDelta(msgspec.Struct, tag="text_delta", gc=False):
    text: str


class ThinkingDelta(msgspec.Struct, tag="thinking_delta", gc=False):
    thinking: str


class SignatureDelta(msgspec.Struct, tag="signature_delta"):
    signature: str


class InputJsonDelta(msgspec.Struct, tag="input_json_delta", gc=False):
    partial_json: str


Delta: TypeAlias = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta | JsonObject


class MessageStart(msgspec.Struct, tag="message_start"):
    message: MessageHead


class BlockStart(msgspec.Struct, tag="content_block_start"):
    index: int
    content_block: StartBlock


class BlockDelta(msgspec.Struct, tag="content_block_delta", gc=False):  # gc=False here and above: no cycles
    index: int
    delta: Delta


class BlockStop(msgspec.Struct, tag="content_block_stop"):
    index: int


class Ending(msgspec.Struct):
    """Why the message ended, inside `message_delta`."""

    stop_reason: str | None
    stop_sequence: str | None = None


class MessageDelta(msgspec.Struct, tag="message_delta"):
    delta: Ending
    usage: WireUsage


class MessageStop(msgspec.Struct, tag="message_stop"):
    pass


class Ping(msgspec.Struct, tag="ping"):
    pass


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """The `error` member of an error answer or an error event."""

    type: ErrorType
    message: str
    details: JsonObject | None = None


class ErrorEvent(msgspec.Struct, tag="error"):
    error: ErrorBody


MessageEvent: TypeAlias = (
    MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | ErrorEvent
)


def begins_content(block: JsonObject) -> bool:
    """True if a block has something in it as it begins, or tells something by its kind (a call): a text that is only
    announced is nothing yet.
    """
    match block.get("type", "text"):
        case "text":
            return bool(block.get("text"))
        case "thinking":
            return bool(block.get("thinking") or block.get("signature"))
        case _:
            return True


def adds_content(delta: JsonObject) -> bool:
    """True if a piece of a block has anything in it."""
    return any(value for name, value in delta.items() if name != "type")


def is_content(event: MessageEvent) -> bool:
    """True if a client can make something of the event: then the answer has begun."""
    match event:
        case BlockStart(content_block=block):
            return begins_content(msgspec.to_builtins(block))
        case BlockDelta(delta=delta):
            return adds_content(msgspec.to_builtins(delta))
        case _:
            return False


_PREFIX: dict[type, bytes] = {
    kind: b"event: " + name + b"\ndata: "
    for kind, name in (
        (MessageStart, b"message_start"),
        (BlockStart, b"content_block_start"),
        (BlockDelta, b"content_block_delta"),
        (BlockStop, b"content_block_stop"),
        (MessageDelta, b"message_delta"),
        (MessageStop, b"message_stop"),
        (Ping, b"ping"),
        (ErrorEvent, b"error"),
    )
}
_encode = msgspec.json.Encoder().encode


def render(event: MessageEvent) -> bytes:
    """The event as one server-sent event, line separators in its text escaped."""
    data = _encode(event)
    if b"\xe2\x80" in data or b"\xc2\x85" in data:
        data = escape_separators(data)
    return b"%b%b\n\n" % (_PREFIX[type(event)], data)


class Message(msgspec.Struct):
    """A whole answer, as an unstreamed request gets it."""

    id: str
    model: str
    content: list[JsonObject]
    stop_reason: str | None
    usage: WireUsage
    stop_sequence: str | None = None
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"

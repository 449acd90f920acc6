"""What is fuzzed beside the wire: filters of events, careless JSON, Amazon's frames, configurations, presets.

The laws: events stay lawful and say the same however they are cut; every text becomes an object, and a valid one stays
as it is; a file is read, or refused with the place at fault.
"""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zlib import crc32

from ccrouter.config import load
from ccrouter.config.presets import Preset, launch_settings, read_configuration
from ccrouter.config.schema import Endpoint, Provider, Target, TransformSpec
from ccrouter.config.syntax import parse
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import ClientError, ConfigError, RemoteProtocolError, UnsupportedContent
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageHead,
    MessageStart,
    MessageStop,
    SignatureDelta,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    WireUsage,
)
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.chain import Chain
from ccrouter.transforms.jsonmend import mended
from ccrouter.transforms.jsonprefix import JsonPrefix
from ccrouter.transforms.registry import built_in
from ccrouter.transforms.textmember import TextMember
from ccrouter.upstream.eventstream import EventStreamResponse

#: Nobody's folder: no file of this machine is read.
_NOWHERE = {"HOME": "/nonexistent/home", "USERPROFILE": "/nonexistent/home"}
_FILE = Path("/nonexistent/config.json")

# -- filters -----------------------------------------------------------------------------------------------------------

_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "tooluse": ({},),
    "enhancetool": ({},),
    "extrathinktag": (
        {"tag": ["think", "t"], "open": "[[", "close": "]]"},
        {"where": "start"},
        {"begins_inside": True},
    ),
    "forcereasoning": ({},),
}
_TARGET = Target(Provider("local", (Endpoint("openai_chat", "http://127.0.0.1:9/v1/chat/completions"),)), "m1")
_TRANSFORMS: tuple[Transform, ...] = tuple(
    built_in(TransformSpec(name, options)) for name, each in _OPTIONS.items() for options in each
)
_DELTAS = {"text": TextDelta, "thinking": ThinkingDelta, "tool_use": InputJsonDelta}
_Blocks = list[tuple[str, str, str]]


def filters(data: bytes) -> None:
    """`{"blocks": [[kind, name, content], ...], "reason": ..., "seed": 1}`: events that every filter lets out lawfully,
    and that say the same wherever their deltas and the reads of the network were cut.
    """
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(given, dict) or not isinstance(given.get("blocks"), list):
        return
    blocks: _Blocks = [
        (kind, _text(name), _text(content))
        for kind, name, content in (one for one in given["blocks"] if isinstance(one, list) and len(one) == 3)
        if isinstance(kind, str) and kind in _DELTAS
    ]
    reason, seed = _text(given.get("reason")), _text(given.get("seed"))
    for transform in _TRANSFORMS:
        whole = _passed(transform, _batches(blocks, reason, None))
        cut = _passed(transform, _batches(blocks, reason, random.Random(seed)))
        for events in (whole, cut):
            _check_order(events)
        assert _said(whole) == _said(cut), "the cuts made a difference"


def _text(value: object) -> str:
    """Text as it can come out of a decoder of JSON: without halves of surrogate pairs."""
    return str(value).encode("utf-8", "replace").decode()


def _passed(transform: Transform, batches: list[list[MessageEvent]]) -> list[MessageEvent]:
    context = Context(_TARGET, "openai_chat", "asked", is_streamed=True, notes={transform: True})
    one = transform.events(context)
    assert one is not None
    return [event for batch in batches for event in one(batch)]


def _batches(blocks: _Blocks, reason: str, chance: random.Random | None) -> list[list[MessageEvent]]:
    """The message as events, in as many reads as there are with `chance`, its deltas in pieces; else in one."""
    events: list[MessageEvent] = [MessageStart(MessageHead("m", "asked", WireUsage()))]
    for index, (kind, name, content) in enumerate(blocks):
        starts = {"text": TextBlock(), "thinking": ThinkingBlock(), "tool_use": ToolUseBlock("id", name)}
        events.append(BlockStart(index, starts[kind]))
        events += [BlockDelta(index, _DELTAS[kind](piece)) for piece in _pieces(content, chance)]
        events += [BlockDelta(index, SignatureDelta("s"))] if kind == "thinking" else []
        events.append(BlockStop(index))
    events += [MessageDelta(Ending(reason), WireUsage()), MessageStop()]
    return _pieces(events, chance)


def _pieces(whole: Any, chance: random.Random | None) -> list[Any]:
    """Its beginning, and so on, to its end; none of nothing."""
    size = len(whole)
    cuts = [] if chance is None else [chance.randrange(size + 1) for _ in range(min(size, chance.randrange(8)))]
    return [whole[start:end] for start, end in pairwise(sorted({0, size, *cuts}))]


def _check_order(events: list[MessageEvent]) -> None:
    grammar = Grammar()
    for event in events:
        index = event.index if isinstance(event, (BlockStart, BlockDelta, BlockStop)) else None
        assert not isinstance(event, BlockStart) or index == grammar.blocks, "a gap in the numbers of blocks"
        grammar.step(str(type(event).__struct_config__.tag), index)
    assert isinstance(events[-1], MessageStop)


def _said(events: list[MessageEvent]) -> tuple[list[list[str]], str | None]:
    """The blocks, deltas joined, and the reason."""
    said: dict[int, list[str]] = {}
    reason: str | None = None
    for event in events:
        match event:
            case BlockStart(index=index, content_block=block):
                said[index] = [type(block).__name__, getattr(block, "name", ""), ""]
            case BlockDelta(index=index, delta=TextDelta(text) | ThinkingDelta(text) | InputJsonDelta(text)):
                said[index][2] += text
            case MessageDelta(delta=ending):
                reason = ending.stop_reason
    return list(said.values()), reason


_ON_REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("deepseek", {}),
    ("openrouter", {"provider": {"only": ["a"]}}),
    ("groq", {}),
    ("tooluse", {}),
    ("enhancetool", {}),
    ("reasoning", {}),
    ("forcereasoning", {}),
    ("maxtoken", {"max_tokens": 500}),
    ("maxcompletiontokens", {}),
    ("sampling", {}),
    ("customparams", {"a": {"b": 1}, "messages": [], "thinking": {"x": 1}}),
    ("streamoptions", {}),
    ("cleancache", {}),
    ("cerebras", {}),
)
_CHAIN = Chain(tuple(built_in(TransformSpec(name, options)) for name, options in _ON_REQUESTS))
_BACK = Chain(tuple(built_in(TransformSpec(name, options)) for name, options in reversed(_ON_REQUESTS)))


def chain(data: bytes) -> None:
    """A client's request through every transform at once, in order and in the reverse order, for every dialect: refused
    in words, or encoded as JSON.
    """
    try:
        asked = MessagesRequest.read(data)
        asked.validate()
    except ClientError:
        return
    for name, dialect in DIALECTS.items():
        target = Target(Provider("p", (Endpoint(name, "https://p.test/v1/x"),)), "m")
        for one in (_CHAIN, _BACK):
            context = Context(target, name, "asked", is_streamed=True)
            try:
                sent = dialect.encode(one.request(asked, context), target, {}, one.amend(context))
            except (ClientError, UnsupportedContent):
                continue
            json.loads(sent.body)


# -- careless JSON -----------------------------------------------------------------------------------------------------


def careless(data: bytes) -> None:
    """Any text becomes an object that begins with what was sure of it; a valid one stays; cuts make no difference."""
    text = data.decode("utf-8", "replace")
    pieces = _pieces(text, random.Random(len(text)))
    sure = JsonPrefix().feed(text)
    assert _sure_of(pieces) == sure
    whole = mended(text)
    assert whole.startswith(sure)
    try:
        made = json.loads(whole)
    except RecursionError:
        return
    assert isinstance(made, dict)
    assert mended(whole) == whole
    try:
        if isinstance(json.loads(text, parse_constant=_refuse), dict):
            assert whole == text.rstrip(), "a valid object was changed"
    except (ValueError, RecursionError):
        pass
    assert _member_of(pieces) == _member_of([text])


def _sure_of(pieces: list[str]) -> str:
    prefix = JsonPrefix()
    sure = ""
    for piece in pieces:
        if prefix.is_broken:
            break
        sure += prefix.feed(piece)
    return sure


def _refuse(word: str) -> None:
    """NaN and Infinity are no JSON, whatever Python reads."""
    raise ValueError(word)


def _member_of(pieces: list[str]) -> str:
    member = TextMember("response")
    return "".join([member.feed(piece) for piece in pieces]) + member.close()


# -- Amazon's frames ---------------------------------------------------------------------------------------------------


class _Pieces:
    """An answer that comes in these pieces."""

    status = 200
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        """There is nothing to close."""


def frames(data: bytes) -> None:
    """`{"frames": [[headers, payload], ...]}`, made into frames, or bytes as they are: events or RemoteProtocolError,
    the same in any cut.
    """
    wire = _wire(data)
    whole = _unwrapped([wire])
    assert _unwrapped(_pieces(wire, random.Random(len(wire)))) == whole, "the cuts made a difference"


def _wire(data: bytes) -> bytes:
    try:
        given = json.loads(data)
        named = [(dict(headers), payload) for headers, payload in given["frames"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return data
    wire = b"".join(_frame(headers, payload) for headers, payload in named)
    end = given.get("end")
    return wire[:end] if isinstance(end, int) else wire


def _frame(headers: dict[str, Any], payload: Any) -> bytes:
    """One frame; a payload that is an object with `bytes` has them in base64."""
    if isinstance(payload, dict) and isinstance(payload.get("bytes"), dict):
        payload = {**payload, "bytes": base64.b64encode(json.dumps(payload["bytes"]).encode()).decode()}
    body = (payload if isinstance(payload, str) else json.dumps(payload)).encode("utf-8", "surrogatepass")
    named = b""
    for name, value in headers.items():
        key, text = (str(one).encode("utf-8", "replace")[:99] for one in (name, value))
        named += struct.pack("!B", len(key)) + key + struct.pack("!BH", 7, len(text)) + text
    prelude = struct.pack("!II", 16 + len(named) + len(body), len(named))
    whole = prelude + struct.pack("!I", crc32(prelude)) + named + body
    return whole + struct.pack("!I", crc32(whole))


def _unwrapped(pieces: list[bytes]) -> tuple[bytes, bool]:
    """What comes out, and whether it ended well."""
    response = EventStreamResponse(_Pieces([piece for piece in pieces if piece]), "b")
    whole = b""
    while True:
        try:
            response.read().send(None)  # never waits
        except StopIteration as done:
            if not done.value:
                return whole, True
            whole += done.value
        except RemoteProtocolError:
            return whole, False


# -- files -------------------------------------------------------------------------------------------------------------


def config(data: bytes) -> None:
    """A configuration: read, with all that is wrong with it, or an error that names a place."""
    try:
        load.read(_FILE, _NOWHERE, text=data.decode("utf-8", "replace"))
    except ConfigError:
        return


def preset(data: bytes) -> None:
    """A preset's manifest: a configuration, or an error that names a place."""
    try:
        one = Preset(_FILE.parent / "presets" / "p", parse(data.decode("utf-8", "replace"), "manifest.json").tree)
        for question in one.inputs:
            for answer in ("", "1", "yes"):
                try:
                    question.read(answer)
                except ValueError:
                    continue
        launch_settings(one)
        read_configuration(one, _NOWHERE)
    except ConfigError:
        return

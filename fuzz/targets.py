"""What is fuzzed: one function a target, from bytes to nothing, that raises for a breach of its law.

The laws: a reader of others' words raises the errors that it says it raises and no others; what it lets through can be
read again; and how the network cut a stream makes no difference.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from functools import partial

import msgspec

from ccrouter.config.schema import DialectName, Endpoint, Provider, Target
from ccrouter.config.syntax import parse
from ccrouter.dialects.base import Dialect, UpstreamRequest
from ccrouter.dialects.registry import DIALECTS, SERVED
from ccrouter.errors import ClientError, ConfigError, RemoteProtocolError, UnsupportedContent, UpstreamStatus
from ccrouter.messages.events import BlockDelta, BlockStart, BlockStop, MessageEvent
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader

Fuzzed = Callable[[bytes], None]

_REFUSALS = (ClientError, UnsupportedContent)
_FAILURES = (UpstreamStatus, RemoteProtocolError)
_ASKED = {
    "model": "asked",
    "max_tokens": 1000,
    "stream": True,
    "stop_sequences": ["END"],
    "tools": [
        {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}},
        {"name": "n" * 80, "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "messages": [{"role": "user", "content": "hello"}],
}
#: The providers whose profiles differ most: each dialect is fuzzed for all of its own.
_PLACES: dict[DialectName, tuple[tuple[str, str, str], ...]] = {
    "anthropic": (
        ("anthropic", "https://api.anthropic.com/v1/messages", "claude-sonnet-4-6"),
        ("other", "https://relay.test/v1/messages", "m"),
    ),
    "openai_chat": (
        ("openai", "https://api.openai.com/v1/chat/completions", "gpt-5.2"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions", "google/gemini-3-pro"),
        ("deepseek", "https://api.deepseek.com/chat/completions", "deepseek-chat"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions", "mistral-large"),
        ("ollama", "http://127.0.0.1:11434/v1/chat/completions", "qwen3"),
    ),
    "openai_responses": (("openai", "https://api.openai.com/v1/responses", "gpt-5.2"),),
    "gemini": (
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/models", "gemini-3-pro-preview"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/models", "gemini-2.5-flash"),
    ),
}


def targets_of(dialect: DialectName) -> tuple[Target, ...]:
    """The targets that a dialect is fuzzed for."""
    return tuple(Target(Provider(name, (Endpoint(dialect, url),)), model) for name, url, model in _PLACES[dialect])


def request(dialect: DialectName, data: bytes) -> None:
    """A client's request: refused in words, or encoded as JSON, twice alike."""
    try:
        asked = MessagesRequest.read(data)
        asked.validate()
    except ClientError:
        return
    for target in targets_of(dialect):
        try:
            sent = DIALECTS[dialect].encode(asked, target, {"anthropic-beta": "b"})
        except _REFUSALS:
            continue
        msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
        sent.body.decode()
        again = DIALECTS[dialect].encode(MessagesRequest.read(data), target, {"anthropic-beta": "b"})
        assert again.body == sent.body, "the same request was encoded in two ways"


def stream(dialect: DialectName, data: bytes) -> None:
    """A provider's answer, as a stream and as a body: lawful events or an error, however it was cut."""
    encoder = DIALECTS[dialect]
    for target in targets_of(dialect):
        sent = encoder.encode(MessagesRequest.read(json.dumps(_ASKED).encode()), target, {})
        whole = _read(encoder, sent, target, [data])
        pieces = _cut(data)
        assert _told(_read(encoder, sent, target, pieces)) == _told(whole), "the cuts of the network made a difference"
        _check(whole[0])
        _check(_read_body(encoder, sent, target, data)[0])


def served(dialect: DialectName, data: bytes) -> None:
    """A client's request in another dialect: refused in words, or a Messages request that can be encoded."""
    try:
        asked = SERVED[dialect].read(data).request
        asked.validate()
        MessagesRequest.read(asked.encode())
    except _REFUSALS:
        return
    for name in DIALECTS:
        try:
            DIALECTS[name].encode(asked, targets_of(name)[0], {})
        except _REFUSALS:
            continue


def config(data: bytes) -> None:
    """A configuration file: a tree, or an error that names a place."""
    try:
        parse(data.decode("utf-8", "replace"), "config.json")
    except ConfigError:
        return


def _read(
    dialect: Dialect, sent: UpstreamRequest, target: Target, pieces: list[bytes]
) -> tuple[list[MessageEvent], str]:
    """The events, and the name of the error that ended them."""
    reader = dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked"))
    sse = SseReader()
    events: list[MessageEvent] = []
    try:
        for event in itertools.chain.from_iterable([*map(sse.feed, pieces), sse.close()]):
            events += reader.feed(event)
        events += reader.close()
    except _FAILURES as error:
        return events, type(error).__name__
    return events, ""


def _read_body(dialect: Dialect, sent: UpstreamRequest, target: Target, data: bytes) -> tuple[list[MessageEvent], str]:
    reader = dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked"))
    try:
        return [*reader.feed_body(data), *reader.close()], ""
    except _FAILURES as error:
        return [], type(error).__name__


def _cut(data: bytes) -> list[bytes]:
    """The bytes in pieces, always the same for the same bytes."""
    chance = random.Random(len(data))
    places = sorted(chance.randrange(len(data) + 1) for _ in range(min(len(data), 9)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _told(read: tuple[list[MessageEvent], str]) -> list[str]:
    """The events as they can be compared: ids that are made up differ from one reading to the next."""
    plain = [msgspec.to_builtins(event) for event in read[0]]
    for event in plain:
        block = event.get("content_block")
        if isinstance(block, dict):
            block.pop("id", None)
            block.pop("tool_use_id", None)
    return [*map(json.dumps, plain), read[1]]


def _check(events: list[MessageEvent]) -> None:
    grammar = Grammar()
    for event in events:
        index = event.index if isinstance(event, (BlockStart, BlockDelta, BlockStop)) else None
        grammar.step(str(msgspec.to_builtins(event)["type"]), index)


TARGETS: dict[str, Fuzzed] = {
    **{f"request-{name}": partial(request, name) for name in DIALECTS},
    **{f"stream-{name}": partial(stream, name) for name in DIALECTS},
    **{f"served-{name}": partial(served, name) for name in SERVED},
    "config": config,
}

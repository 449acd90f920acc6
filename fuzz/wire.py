"""What is fuzzed of the wire: requests, answers, and the requests of clients that speak other dialects.

The laws: a reader of others' words raises the errors that it says it raises and no others; what it lets through can be
read again, and written to every kind of client; and how the network cut a stream makes no difference.
"""

from __future__ import annotations

import itertools
import json
import random

import msgspec

from ccrouter.config.schema import DialectName, Endpoint, Provider, Target
from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.base import Dialect, UpstreamRequest
from ccrouter.dialects.registry import DIALECTS, SERVED
from ccrouter.errors import ClientError, RemoteProtocolError, UnsupportedContent, UpstreamStatus
from ccrouter.messages.events import BlockDelta, BlockStart, BlockStop, MessageEvent, render
from ccrouter.messages.fault import Fault
from ccrouter.messages.fold import Fold
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader

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
#: What a client of each other dialect asked: its answer is written in its words.
_ASKING = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "custom", "custom": {"name": "Read"}}, {"type": "function", "function": {"name": "f"}}],
    },
    "openai_responses": {
        "model": "m",
        "input": "x",
        "tools": [{"type": "custom", "name": "Read"}, {"type": "function", "name": "f"}, {"type": "local_shell"}],
    },
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
_TARGETS: dict[DialectName, tuple[Target, ...]] = {
    dialect: tuple(Target(Provider(name, (Endpoint(dialect, url),)), model) for name, url, model in places)
    for dialect, places in _PLACES.items()
}
_CLIENTS = {name: SERVED[name].read(json.dumps(_ASKING[name]).encode()) for name in SERVED}
_SENT = {
    id(target): DIALECTS[name].encode(MessagesRequest.read(json.dumps(_ASKED).encode()), target, {})
    for name, targets in _TARGETS.items()
    for target in targets
}


def request(dialect: DialectName, data: bytes) -> None:
    """A client's request: refused in words, or encoded as JSON, twice alike, naming no model but the target's."""
    try:
        asked = MessagesRequest.read(data)
        asked.validate()
    except ClientError:
        return
    for target in _TARGETS[dialect]:
        try:
            sent = DIALECTS[dialect].encode(asked, target, {"anthropic-beta": "b"})
        except _REFUSALS:
            continue
        msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
        sent.body.decode()
        models = DIALECTS[dialect].models_sent(sent.url or target.endpoint.url, sent.body)
        assert set(models) <= {target.model}, "the request asks for a model that nobody chose"
        again = DIALECTS[dialect].encode(MessagesRequest.read(data), target, {"anthropic-beta": "b"})
        assert again.body == sent.body, "the same request was encoded in two ways"


def stream(dialect: DialectName, data: bytes) -> None:
    """A provider's answer, as a stream and as a body: lawful events or an error, however it was cut, that every client
    can be told.
    """
    encoder = DIALECTS[dialect]
    for target in _TARGETS[dialect]:
        sent = _SENT[id(target)]
        whole = _read(encoder, sent, target, [data])
        pieces = _cut(data)
        assert _told(_read(encoder, sent, target, pieces)) == _told(whole), "the cuts of the network made a difference"
        _check(*whole)
        _check(*_read_body(encoder, sent, target, data))
    _look_on(dialect, data)


def errors(data: bytes) -> None:
    """The body of an error, at every dialect and status: a status and words for the client, whatever it says."""
    words = data[:60].decode("latin-1")
    headers = dict.fromkeys(("retry-after", "retry-after-ms", "x-ratelimit-reset", "date"), words)
    headers |= {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": words}
    for name, dialect in DIALECTS.items():
        sent = _SENT[id(_TARGETS[name][0])]
        for status in (200, 400, 403, 429, 503):
            error = dialect.explain(status, headers, data, "p")
            assert 400 <= error.status < 600
            str(error).encode()
            assert error.retry_after is None or error.retry_after >= 0
            refused = dialect.refused_member(error, sent)
            if refused:
                less = dialect.without(sent, [refused])
                msgspec.json.decode(less.body, type=dict[str, msgspec.Raw])


def served(dialect: DialectName, data: bytes) -> None:
    """A client's request in another dialect: refused in words, or a Messages request that can be encoded; or passed on
    in its own words.
    """
    try:
        reading = SERVED[dialect].read(data)
        asked = reading.request
        asked.validate()
        MessagesRequest.read(asked.encode())
    except _REFUSALS:
        return
    for name in DIALECTS:
        try:
            DIALECTS[name].encode(asked, _TARGETS[name][0], {})
        except _REFUSALS:
            continue
    for loss in reading.losses:
        assert reading.located(loss.path)
    target = _TARGETS[dialect][0]
    try:
        passed = reading.pass_on(target, {}, None)
    except _REFUSALS:
        return
    assert set(DIALECTS[dialect].models_sent(target.endpoint.url, passed.body)) <= {target.model}


def _look_on(dialect: DialectName, data: bytes) -> None:
    """What passes to a client of the provider's dialect is looked at, and raises the provider's errors only."""
    for is_stream in (True, False):
        tap = _CLIENTS[dialect].tap(asked="asked", sent="m") if dialect in SERVED else Tap()
        try:
            if not is_stream:
                tap.note_body(data) if isinstance(tap, Tap) else tap.feed_body(data)
                continue
            for event in _events(data):
                if event.data.strip() and event.data != b"[DONE]":
                    tap.feed(event)
            if not isinstance(tap, Tap):
                tap.close()
        except _FAILURES:
            if not isinstance(tap, Tap):
                tap.fault(Fault(502, "api_error", "x"))


def _events(data: bytes) -> list[ServerSentEvent]:
    sse = SseReader()
    return [*sse.feed(data), *sse.close()]


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


def _check(events: list[MessageEvent], error: str) -> None:
    """The events are lawful, and every kind of client can be told them, streamed or as a whole."""
    grammar = Grammar()
    for event in events:
        index = event.index if isinstance(event, (BlockStart, BlockDelta, BlockStop)) else None
        grammar.step(str(msgspec.to_builtins(event)["type"]), index)
        render(event).decode()
    for client in _CLIENTS.values():
        writer = client.writer(asked="asked")
        try:
            writer.frames(events).decode()
        except _FAILURES:
            continue
        if error:
            writer.fault(Fault(502, "api_error", "x"))
    fold = Fold()
    try:
        for event in events:
            fold.feed(event)
        message = fold.close() if events and not error else None
    except _FAILURES:
        return
    if message is not None:
        msgspec.json.encode(message)
        for client in _CLIENTS.values():
            json.loads(client.writer(asked="asked").whole(message))

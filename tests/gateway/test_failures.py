"""Every way an upstream can fail, for both dialects: an honest error, in the client's form, and never a finished turn."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.conftest import events_of, provider, running, text_of
from tests.upstream import (
    Cut,
    Gate,
    Reply,
    Reset,
    Stall,
    Upstream,
    anthropic_wire,
    chat_wire,
    json_reply,
    raw_reply,
    sse_reply,
)

MODELS = {"anthropic": "anthropic,m1", "openai": "openai,m1"}


def frames(dialect, text="Hello there, this is some text", **more):
    return (anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream)(text, **more)


def error_of(raw: bytes) -> dict:
    answer = json.loads(raw)
    assert answer["type"] == "error"
    assert set(answer["error"]) >= {"type", "message"}
    return answer["error"]


STATUSES = [
    (400, 400, "invalid_request_error"),
    (401, 401, "authentication_error"),
    (402, 402, "billing_error"),
    (403, None, "permission_error"),
    (404, 404, "not_found_error"),
    (413, 413, "request_too_large"),
    (422, None, "invalid_request_error"),
    (429, 429, "rate_limit_error"),
    (500, 500, "api_error"),
    (502, 502, "api_error"),
    (503, 503, "overloaded_error"),
    (529, 529, "overloaded_error"),
]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("status", "expected", "kind"), STATUSES)
async def test_statuses(router, upstream: Upstream, dialect, status, expected, kind, streamed):
    """An upstream's error status comes as that status, in the Messages form, with its words and its retry-after."""
    body = (anthropic_wire if dialect == "anthropic" else chat_wire).error_json
    error = body(kind, "the upstream's own words") if dialect == "anthropic" else body("the upstream's own words")
    upstream.reply(json_reply(error, status=status, headers={"retry-after": "7"}))
    got, headers, raw = await router.ask(model=MODELS[dialect], stream=streamed)
    if expected:
        assert got == expected
    assert 400 <= got < 600
    assert "upstream's own words" in error_of(raw)["message"]
    assert headers["request-id"].startswith("req_")
    if status == 429:
        assert headers["retry-after"] == "7"
        assert error_of(raw)["type"] == kind


async def test_key_in_an_error_is_redacted(router, upstream: Upstream, dialect):
    """An upstream that quotes the key in its error does not get it past us."""
    key = f"sk-{dialect}-upstream-secret-0123456789"
    words = f"Incorrect API key provided: {key}."
    error = (
        anthropic_wire.error_json("authentication_error", words)
        if dialect == "anthropic"
        else chat_wire.error_json(words)
    )
    upstream.reply(json_reply(error, status=401))
    status, _, raw = await router.ask(model=MODELS[dialect])
    assert status == 401
    assert key.encode() not in raw
    assert f"Invalid API key for provider '{dialect}'" in error_of(raw)["message"]


@pytest.mark.parametrize("streamed", [True, False])
async def test_html_error_page(router, upstream: Upstream, dialect, streamed):
    """A gateway's HTML page is told by its title, with its status, and is not dumped on the client."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body>" + b"secret internals " * 500 + b"</body></html>"
    upstream.reply(Reply(502, {"content-type": "text/html"}, (page,)))
    status, _, raw = await router.ask(model=MODELS[dialect], stream=streamed)
    assert status == 502
    assert "502 Bad Gateway" in error_of(raw)["message"]
    assert b"secret internals" not in raw


async def test_html_with_status_200(router, upstream: Upstream, dialect):
    """A captive portal's 200 is an error too."""
    upstream.reply(Reply(200, {"content-type": "text/html"}, (b"<html><title>Sign in</title></html>",)))
    status, _, raw = await router.ask(model=MODELS[dialect], stream=True)
    assert status == 502
    assert "Sign in" in error_of(raw)["message"]


async def test_redirects_are_not_followed(router, upstream: Upstream, dialect):
    """A redirect is an error: following it would carry the key to a place nobody approved."""
    upstream.reply(Reply(307, {"location": upstream.url + "/elsewhere"}))
    status, _, _ = await router.ask(model=MODELS[dialect])
    assert status >= 400
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_empty_200(router, upstream: Upstream, dialect, streamed):
    """A 200 with nothing in it is an error, not an empty answer."""
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, ()))
    status, _, raw = await router.ask(model=MODELS[dialect], stream=streamed)
    assert status == 502
    assert "empty" in error_of(raw)["message"]


async def test_error_object_in_a_200(router, upstream: Upstream, dialect):
    """An error object under a 200 is the error that it says it is, streamed or not."""
    error = (
        anthropic_wire.error_json("overloaded_error", "busy")
        if dialect == "anthropic"
        else chat_wire.error_json("busy", code=429)
    )
    for streamed in (True, False):
        upstream.reply(json_reply(error))
        status, _, raw = await router.ask(model=MODELS[dialect], stream=streamed)
        assert status >= 429
        assert "busy" in error_of(raw)["message"]


async def test_error_first_in_the_stream_is_a_status(router, upstream: Upstream, dialect):
    """An error before any content becomes a real HTTP error: nothing had been sent yet."""
    error = (
        anthropic_wire.error_frame("overloaded_error", "busy")
        if dialect == "anthropic"
        else chat_wire.error_frame("busy", 529)
    )
    upstream.reply(sse_reply([error]))
    status, _, raw = await router.ask(model=MODELS[dialect], stream=True)
    assert status >= 500
    assert "busy" in error_of(raw)["message"]


@pytest.mark.parametrize("ending", [Cut(), Reset()])
async def test_cut_at_every_frame(router, upstream: Upstream, dialect, ending):
    """A stream cut after any of its frames before the end was announced is an error, never a finished turn."""
    whole = frames(dialect, tools=[("t1", "Read", {"path": "a"})])
    finish = next(i for i, f in enumerate(whole) if b"message_delta" in f or b'"finish_reason":"' in f)
    for cut in range(finish + 1):
        sent = asyncio.Event()
        steps = (*whole[:cut], Gate(sent), ending) if isinstance(ending, Reset) else (*whole[:cut], ending)
        if isinstance(ending, Reset):
            sent.set()
        upstream.reply(Reply(200, {"content-type": "text/event-stream"}, steps))
        status, _, raw = await router.ask(model=MODELS[dialect], stream=True)
        if status == 200:
            events = events_of(raw)
            assert events[-1]["type"] == "error", cut
            assert events[-1]["error"]["type"] == "api_error"
        else:
            assert status == 502
            error_of(raw)
        assert b"message_stop" not in raw
        assert b"end_turn" not in raw


async def test_error_in_mid_stream(router, upstream: Upstream, dialect):
    """An error event after content: the text so far stands, then an `error` event of the mapped type, and no ending."""
    whole = frames(dialect)
    error = (
        anthropic_wire.error_frame("overloaded_error", "busy")
        if dialect == "anthropic"
        else chat_wire.error_frame("busy", 529)
    )
    upstream.reply(sse_reply([*whole[:6], error]))
    events = await router.stream(model=MODELS[dialect])
    assert text_of(events)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "overloaded_error"
    assert not any(event["type"] in {"message_stop", "message_delta"} for event in events)


async def test_corrupt_data_line(router, upstream: Upstream, dialect):
    """A data line that is not JSON among good ones is an error: what it held is lost, and nobody may pretend otherwise."""
    whole = frames(dialect)
    upstream.reply(sse_reply([*whole[:6], b'data: {"half\n\n', *whole[6:]]))
    events = await router.stream(model=MODELS[dialect])
    assert events[-1]["type"] == "error"


@pytest.mark.parametrize("split", ["bytes", "whole", 3])
async def test_cuts_and_content_types_do_not_matter(router, upstream: Upstream, dialect, split):
    """The same stream split anyhow, with a content type that lies, gives the same events."""
    whole = frames(dialect, text="größe 中文 🙂", tools=[("t1", "Read", {"path": "ä"})])
    upstream.reply(sse_reply(whole), sse_reply(whole, split=split, headers={"content-type": "text/plain"}))
    expected = await router.stream(model=MODELS[dialect])
    got = await router.stream(model=MODELS[dialect])
    for events in (expected, got):
        events[0]["message"].pop("id")
    assert text_of(got) == "größe 中文 🙂"
    if dialect == "anthropic":
        assert got == expected
    else:
        assert [e for e in got if "id" not in str(e.get("content_block", ""))] == [
            e for e in expected if "id" not in str(e.get("content_block", ""))
        ]


async def test_unreachable(tmp_path, upstream: Upstream, dialect):
    """A port where nobody listens: 502 at once, naming provider and address, no stack trace."""
    dead = provider(upstream, dialect)
    dead["api_base_url"] = dead["api_base_url"].replace(str(upstream.port), "9")
    async with running({"Providers": [dead], "Router": {"default": f"{dialect},m1"}}, tmp_path) as router:
        status, _, raw = await router.ask(stream=True)
    assert status == 502
    message = error_of(raw)["message"]
    assert dialect in message
    assert "127.0.0.1:9" in message
    assert "Traceback" not in message


async def test_not_http_at_all(router, upstream: Upstream, dialect):
    """Nonsense on the wire is the provider's protocol error."""
    upstream.reply(raw_reply(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Cut()))
    status, _, raw = await router.ask(model=MODELS[dialect])
    assert status == 502
    error_of(raw)


async def test_silence_is_a_timeout(tmp_path, upstream: Upstream, dialect):
    """An upstream that says nothing for longer than API_TIMEOUT_MS: 504 before content, an error event after it."""
    config = {
        "Providers": [provider(upstream, dialect)],
        "Router": {"default": f"{dialect},m1"},
        "API_TIMEOUT_MS": "200",
    }
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, (Stall(),)))
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames(dialect)[:4], Stall())))
    async with running(config, tmp_path) as router:
        status, _, raw = await router.ask(stream=True)
        assert status == 504
        assert error_of(raw)["type"] == "timeout_error"
        events = await router.stream()
        assert events[-1]["error"]["type"] == "timeout_error"


async def test_gzip_answer_is_decoded(router, upstream: Upstream, dialect):
    """An upstream that compresses although we asked it not to is understood."""
    upstream.reply(sse_reply(frames(dialect, "Hi"), gzip=True))
    assert text_of(await router.stream(model=MODELS[dialect])) == "Hi"


async def test_context_overflow_makes_claude_code_compact(router, upstream: Upstream, dialect):
    """A provider's overflow error arrives in the one wording that every Claude Code version acts on."""
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
    error = (
        anthropic_wire.error_json("invalid_request_error", words)
        if dialect == "anthropic"
        else chat_wire.error_json(words)
    )
    upstream.reply(json_reply(error, status=400))
    status, _, raw = await router.ask(model=MODELS[dialect])
    assert status == 400
    assert error_of(raw)["message"].startswith("prompt is too long: 9001 tokens > 8192 maximum")

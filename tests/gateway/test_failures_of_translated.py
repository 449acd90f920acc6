"""What test_failures.py says of Messages and Chat, for the other dialects: an honest error, never a finished turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.conftest import Router, events_of, running, text_of
from tests.gateway.test_failures import STATUSES, error_of
from tests.served.wires import WIRES, config
from tests.upstream import Cut, Gate, Reply, Reset, Upstream, json_reply, sse_reply

#: Headers of a client that are nobody's business upstream.
PRIVATE = {
    "x-api-key": "client-key-must-not-pass",
    "authorization": "Bearer client-token-must-not-pass",
    "cookie": "a=must-not-pass",
    "x-forwarded-for": "10.0.0.1",
    "x-ccr-client": "standard",
    "anthropic-beta": "some-beta-2026",
}


@pytest.fixture
async def router(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Router]:
    """Providers of every dialect, all of them the same upstream."""
    async with running(config(upstream), tmp_path) as router:
        yield router


@pytest.fixture(params=["responses", "gemini"])
def dialect(request) -> str:
    return request.param


def model(dialect: str) -> str:
    return f"{dialect},m1"


def is_final(frame: bytes) -> bool:
    """True for the frame that says that the answer is over."""
    return b'"finishReason"' in frame or b'"response.completed"' in frame


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("status", "expected", "kind"), STATUSES)
async def test_statuses(router, upstream: Upstream, dialect, status, expected, kind, streamed):
    """An upstream's error status comes as that status, in the Messages form, with its words and its retry-after."""
    upstream.reply(json_reply(WIRES[dialect].error("its own words"), status=status, headers={"retry-after": "7"}))
    got, headers, raw = await router.ask(model=model(dialect), stream=streamed)
    assert got == (expected or got)
    assert 400 <= got < 600
    assert "its own words" in error_of(raw)["message"]
    assert headers["request-id"].startswith("req_")
    if status == 429:
        assert (headers["retry-after"], error_of(raw)["type"]) == ("7", kind)


@pytest.mark.parametrize("is_midway", [False, True])
async def test_key_in_an_error_is_redacted(router, upstream: Upstream, dialect, is_midway):
    """An upstream that quotes the key in an error, as a status or amid its answer, does not get it past us."""
    key = f"sk-{dialect}-upstream-secret-0123456789"
    body = WIRES[dialect].error(f"Incorrect API key provided: {key}.")
    if is_midway:
        broken = json.dumps({"type": "error", **body} if dialect == "responses" else body).encode()
        upstream.reply(sse_reply([*WIRES[dialect].stream("Hi there, this is it")[:5], b"data: %b\n\n" % broken]))
    else:
        upstream.reply(json_reply(body, status=401))
    status, _, raw = await router.ask(model=model(dialect), stream=is_midway)
    assert status == (200 if is_midway else 401)
    assert b"***" in raw
    assert key.encode() not in raw


@pytest.mark.parametrize("streamed", [True, False])
async def test_html(router, upstream: Upstream, dialect, streamed):
    """A gateway's page is told by its title, whatever its status, and is not dumped on the client."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body>" + b"secret internals " * 500 + b"</body></html>"
    for code in (502, 200):
        upstream.reply(Reply(code, {"content-type": "text/html"}, (page,)))
        status, _, raw = await router.ask(model=model(dialect), stream=streamed)
        assert status == 502
        assert "502 Bad Gateway" in error_of(raw)["message"]
        assert b"secret internals" not in raw


@pytest.mark.parametrize("streamed", [True, False])
async def test_empty_200(router, upstream: Upstream, dialect, streamed):
    """A 200 with nothing in it is an error, not an empty answer."""
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, ()))
    status, _, raw = await router.ask(model=model(dialect), stream=streamed)
    assert status == 502
    assert "empty" in error_of(raw)["message"]


@pytest.mark.parametrize("ending", [Cut(), Reset()])
async def test_cut_at_every_frame(router, upstream: Upstream, dialect, ending):
    """A stream cut after any of its frames before the end was announced is an error, never a finished turn."""
    whole = WIRES[dialect].stream("some text", tools=[("t1", "Read", {"path": "a"})])
    final = next(number for number, frame in enumerate(whole) if is_final(frame))
    for cut in range(final + 1):
        sent = asyncio.Event()
        sent.set()
        steps = (*whole[:cut], Gate(sent), ending)
        upstream.reply(Reply(200, {"content-type": "text/event-stream"}, steps))
        status, _, raw = await router.ask(model=model(dialect), stream=True)
        if status == 200:
            assert events_of(raw)[-1]["error"]["type"] == "api_error", cut
        else:
            assert status == 502
            error_of(raw)
        assert b"message_stop" not in raw
        assert b'"stop_reason":"' not in raw


async def test_error_in_mid_stream(router, upstream: Upstream, dialect):
    """An error after content: the text so far stands, then an `error` event, and no ending."""
    whole = WIRES[dialect].stream("Hello there, this is some text")
    at = next(number for number, frame in enumerate(whole) if b"Hello" in frame) + 1
    upstream.reply(sse_reply([*whole[:at], WIRES[dialect].midway]))
    events = await router.stream(model=model(dialect))
    assert text_of(events).startswith("Hello")
    assert events[-1]["type"] == "error"
    assert "busy" in events[-1]["error"]["message"]
    assert not any(event["type"] in {"message_stop", "message_delta"} for event in events)


async def test_error_first_is_a_status(router, upstream: Upstream, dialect):
    """An error before any content becomes a real HTTP error: nothing had been sent yet."""
    upstream.reply(sse_reply([WIRES[dialect].midway]))
    status, _, raw = await router.ask(model=model(dialect), stream=True)
    assert status >= 500
    assert "busy" in error_of(raw)["message"]


@pytest.mark.parametrize("split", ["bytes", "whole", 3])
async def test_cuts_and_content_types_do_not_matter(router, upstream: Upstream, dialect, split):
    """The same stream split anyhow, compressed, and with a content type that lies, gives the same events."""
    whole = WIRES[dialect].stream("größe 中文 🙂", tools=[("t1", "Read", {"path": "ä"})])
    upstream.reply(
        sse_reply(whole),
        sse_reply(whole, split=split, headers={"content-type": "text/plain"}),
        sse_reply(whole, gzip=True),
    )
    answers = [await router.stream(model=model(dialect)) for _ in range(3)]
    for events in answers:
        events[0]["message"].pop("id")
    assert text_of(answers[0]) == "größe 中文 🙂"
    assert answers[1] == answers[2] == answers[0]


async def test_the_form_that_was_not_asked_for(router, upstream: Upstream, dialect):
    """A body where a stream was asked for, and a stream where a body was, are read for what they are."""
    upstream.reply(json_reply(WIRES[dialect].whole("Hi")), sse_reply(WIRES[dialect].stream("Hi")))
    assert text_of(await router.stream(model=model(dialect))) == "Hi"
    status, _, raw = await router.ask(model=model(dialect))
    assert (status, json.loads(raw)["content"][0]["text"]) == (200, "Hi")


async def test_no_header_of_the_client_passes(router, upstream: Upstream, dialect):
    """The provider's key is the only one that goes out, in one header and not in the URL; nothing else of the client's
    headers leaves.
    """
    key = f"sk-{dialect}-upstream-secret-0123456789"
    upstream.reply(json_reply(WIRES[dialect].whole("Hi")))
    assert (await router.ask(model=model(dialect), headers=PRIVATE))[0] == 200
    request = upstream.requests[0]
    assert key not in request.target
    name, value = ("x-goog-api-key", key) if dialect == "gemini" else ("authorization", f"Bearer {key}")
    assert request.headers[name] == value
    assert [one for one, told in request.headers.items() if key in told] == [name]
    assert "must-not-pass" not in str(dict(request.headers))
    assert {"cookie", "x-forwarded-for", "x-ccr-client", "anthropic-beta"}.isdisjoint(request.headers)


async def test_each_attempt_is_made_from_the_original(upstream: Upstream, tmp_path, dialect):
    """Down a chain of all dialects each provider gets its own path, key and model, and a Messages provider at its end
    the client's own request, whatever it was translated into before.
    """
    others = [one for one in ("responses", "gemini", "openai") if one != dialect]
    chain = [f"{one},m2" for one in (*others, "anthropic")]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    for _ in range(3):
        upstream.reply(Reply(500, {}, (b"no",)))
    upstream.reply(sse_reply(WIRES["anthropic"].stream("at last")))
    async with running(config(upstream, model(dialect), fallback={"default": chain}), tmp_path) as router:
        events = await router.stream(model="claude-x", thinking=thinking, novel={"kept": 1})
    assert text_of(events) == "at last"
    asked = [dialect, *others, "anthropic"]
    for one, received in zip(asked, upstream.requests, strict=True):
        assert received.target.startswith(WIRES[one].path)
        assert f"sk-{one}-upstream-secret-0123456789" in str(dict(received.headers))
        assert ("m1" if one == dialect else "m2") in (received.target if one == "gemini" else received.json()["model"])
    last = upstream.requests[-1].json()
    assert (last["thinking"], last["novel"]) == (thinking, {"kept": 1})

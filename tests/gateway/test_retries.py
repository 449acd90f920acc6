"""Trying again through the whole router: the same target after a pause, another one at once, and when nothing is tried."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.conftest import Router, provider, running, text_of
from tests.gateway.patience import Patience, http_date
from tests.upstream import Cut, Reply, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

RETRY = {"again": 2, "waitSeconds": 10, "openAfter": 5, "openSeconds": 30}


def anthropic_error(status: int, words: str = "no", **headers: str) -> Reply:
    kinds = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error", 404: "not_found_error"}
    kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json_reply(anthropic_wire.error_json(kind, words), status=status, headers=named)


ANSWER = json_reply(anthropic_wire.message_json("answered"))


def config(*providers: dict, default: str | list[str] = "anthropic,m1", retry: dict | None = None, **more) -> dict:
    router = {"default": default, **more}
    return {"Providers": list(providers), "Router": router, "retry": {**RETRY, **(retry or {})}}


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
async def lone(upstream: Upstream, tmp_path: Path, patience: Patience) -> AsyncIterator[Router]:
    """One provider, one target."""
    settings = config(provider(upstream, "anthropic"))
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        yield router


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_same_target_is_asked_again_after_about_a_second(lone, upstream, patience, streamed) -> None:
    """503, then an answer: the client sees the answer, and in a header that it took two attempts."""
    good = sse_reply(anthropic_wire.message_stream("answered")) if streamed else ANSWER
    upstream.reply(anthropic_error(503), good)
    status, headers, raw = await lone.ask(stream=streamed)
    assert (status, b"answered" in raw, b"error" in raw) == (200, True, False)
    assert (headers["x-ccr-attempts"], headers["x-ccr-model"]) == ("2", "anthropic,m1")
    assert len(patience.waits) == 1
    assert 0.75 <= patience.waits[0] <= 1.25
    first, second = (received.json() for received in upstream.requests)
    assert first == second


async def test_another_provider_is_asked_without_a_pause(upstream, tmp_path, patience) -> None:
    """Where another target is left nobody waits, and the headers name who answered."""
    settings = config(
        provider(upstream, "anthropic"), provider(upstream, "openai"), default=["anthropic,m1", "openai,m2"]
    )
    upstream.reply(anthropic_error(503), json_reply(chat_wire.chat_json("answered")))
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        began = time.monotonic()
        status, headers, raw = await router.ask()
        assert time.monotonic() - began < 1
    assert (status, b"answered" in raw, patience.waits) == (200, True, [])
    assert (headers["x-ccr-attempts"], headers["x-ccr-model"]) == ("2", "openai,m2")


async def test_an_error_in_the_first_events_is_tried_again_unseen(lone, upstream, patience) -> None:
    """Overload inside a good status, an empty stream and one cut before content are failures like any other."""
    upstream.reply(
        sse_reply([anthropic_wire.error_frame("overloaded_error", "busy")]),
        sse_reply(anthropic_wire.message_stream("x")[:1], ending=Cut()),
        sse_reply(anthropic_wire.message_stream("answered")),
    )
    events = await lone.stream()
    assert text_of(events) == "answered"
    assert [event["type"] for event in events].count("message_start") == 1
    assert not any(event["type"] == "error" for event in events)
    assert len(patience.waits) == 2


async def test_it_is_given_up_after_the_last_round(lone, upstream, patience) -> None:
    """Three attempts in all; the error is the last one's, with how often was tried."""
    upstream.reply(*(anthropic_error(503, f"attempt {n}") for n in (1, 2, 3)))
    status, headers, raw = await lone.ask()
    assert (status, headers["x-ccr-attempts"]) == (503, "3")
    assert "attempt 3" in json.loads(raw)["error"]["message"]
    assert len(patience.waits) == 2
    assert 1.5 <= patience.waits[1] <= 2.5


#: `retry-after`, and the least and the most that is waited.
TIMES = [
    ("3", 3.0, 3.0),
    ("3.5", 3.5, 3.5),
    (http_date(4), 4.0, 4.0),
    ("0", 0.75, 1.25),
    (http_date(-60), 0.75, 1.25),
    ("-5", 0.75, 1.25),
    ("soon", 0.75, 1.25),
    ("", 0.75, 1.25),
    ("NaN", 0.75, 1.25),
    ("1e999", 0.75, 1.25),
    ("Sun, 99 Nov 2026 10:00:00 GMT", 0.75, 1.25),
]


@pytest.mark.parametrize(("retry_after", "least", "most"), TIMES)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after(lone, upstream, patience, status, retry_after, least, most) -> None:
    """Seconds and dates are waited for; what has passed or is no time leaves the usual pause."""
    upstream.reply(anthropic_error(status, retry_after=retry_after, date=http_date(0)), ANSWER)
    got, headers, _ = await lone.ask()
    assert (got, headers["x-ccr-attempts"]) == (200, "2")
    assert least - 0.1 <= sum(patience.waits) <= most + 0.1


@pytest.mark.parametrize(
    ("retry_after", "told"), [("11", 11), ("3600", 3600), ("86400", 3600), ("9" * 30, 3600), (http_date(7200), 3600)]
)
async def test_a_time_longer_than_the_budget_is_the_clients(lone, upstream, patience, retry_after, told) -> None:
    """Nobody holds a request for longer than its budget: the client gets the 429 and the time, an hour at the most."""
    upstream.reply(anthropic_error(429, retry_after=retry_after, date=http_date(0)))
    status, headers, _ = await lone.ask()
    assert (status, headers["retry-after"], patience.waits) == (429, str(told), [])
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_is_not_tried_again(lone, upstream, patience, status) -> None:
    """A request's own fault, a refusal, a wrong name, a wrong key: the same again would fail the same."""
    upstream.reply(anthropic_error(status))
    got, headers, _ = await lone.ask()
    assert (got, headers["x-ccr-attempts"], patience.waits) == (status, "1", [])
    assert len(upstream.requests) == 1


async def test_a_context_too_long_goes_to_the_longer_model(upstream, tmp_path, patience) -> None:
    """The route `longContext` serves what turns out too long, before the route's own fallbacks."""
    too_long = anthropic_error(400, "prompt is too long: 210000 tokens > 200000 maximum")
    settings = config(
        provider(upstream, "anthropic", models=["m1", "m2", "big"]),
        default=["anthropic,m1", "anthropic,m2"],
        longContext="anthropic,big",
    )
    upstream.reply(too_long, ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, headers, _ = await router.ask(model="claude-x")
    assert (status, headers["x-ccr-model"], patience.waits) == (200, "anthropic,big", [])
    assert [received.json()["model"] for received in upstream.requests] == ["m1", "big"]


async def test_a_chain_reaches_the_next_provider_with_its_own_model_and_key(upstream, tmp_path, patience) -> None:
    """B is asked in B's dialect, for B's model, with B's key, and nothing of A's."""
    async with Upstream() as second:
        settings = config(
            provider(upstream, "anthropic"), provider(second, "openai"), default=["anthropic,m1", "openai,m2"]
        )
        upstream.reply(anthropic_error(500))
        second.reply(json_reply(chat_wire.chat_json("answered")))
        async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
            status, _, raw = await router.ask(model="claude-x")
        assert (status, b"answered" in raw) == (200, True)
        asked = second.requests[0]
        assert (asked.path, asked.json()["model"]) == ("/v1/chat/completions", "m2")
        assert asked.headers["authorization"] == "Bearer sk-openai-upstream-secret-0123456789"
        assert "sk-anthropic-upstream" not in repr(asked.headers) + asked.body.decode()


async def test_every_round_is_made_from_the_original(upstream, tmp_path, patience) -> None:
    """Back at a Messages provider after a chat attempt and a pause, `thinking` and everything else is there again."""
    settings = config(
        provider(upstream, "anthropic"), provider(upstream, "openai"), default=["anthropic,m1", "openai,m2"]
    )
    upstream.reply(anthropic_error(500), Reply(500, {}, (b"no",)), ANSWER)
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, headers, _ = await router.ask(model="claude-x", thinking=thinking, novel={"kept": 1}, max_tokens=2000)
    assert (status, headers["x-ccr-attempts"], len(patience.waits)) == (200, "3", 1)
    first, second, third = (received.json() for received in upstream.requests)
    assert third == first
    assert (third["thinking"], third["novel"]) == (thinking, {"kept": 1})
    assert "thinking" not in second


async def test_a_client_that_leaves_during_a_pause(upstream, tmp_path) -> None:
    """The pause ends at once, and no further attempt follows it."""
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    upstream.always(anthropic_error(503))
    async with running(config(provider(upstream, "anthropic")), tmp_path, wait=wait) as router:
        asking = asyncio.create_task(router.ask())
        await asyncio.wait_for(waiting.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(ended.wait(), 1)
    assert len(upstream.requests) == 1


async def test_nothing_is_replayed_after_content(lone, upstream, patience) -> None:
    """A cut after the first content is an error event, and nobody is asked again."""
    upstream.reply(sse_reply(anthropic_wire.message_stream("Hello there")[:4], ending=Cut()))
    events = await lone.stream()
    assert events[-1]["type"] == "error"
    assert (len(upstream.requests), patience.waits) == (1, [])


# -- unreachable -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def dead(name: str, url: str) -> dict:
    key = f"sk-{name}-upstream-secret-0123456789"
    return {"name": name, "api_base_url": url, "api_key": key, "models": ["m1"], "protocol": "anthropic"}


@pytest.fixture
def no_names(monkeypatch) -> None:
    """No name is found by this machine, and no network asked for one."""

    async def resolve(*_args: object, **_options: object) -> list:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


@pytest.fixture
async def plain() -> AsyncIterator[int]:
    """The port of a server that answers in plain text, whatever it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("kind", ["connect", "dns", "tls"])
@pytest.mark.usefixtures("no_names")
async def test_who_cannot_be_reached_gives_way(upstream, tmp_path, patience, plain, kind) -> None:
    """A refused connection, an unknown name and a failed handshake fall over at once, and are called so."""
    urls = {
        "connect": f"http://127.0.0.1:{free_port()}/v1/messages",
        "dns": "http://nowhere.invalid/v1/messages",
        "tls": f"https://127.0.0.1:{plain}/v1/messages",
    }
    settings = config(dead("gone", urls[kind]), provider(upstream, "anthropic"), default=["gone,m1", "anthropic,m1"])
    upstream.always(ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        began = time.monotonic()
        status, headers, _ = await router.ask()
        assert time.monotonic() - began < 5
        assert (status, headers["x-ccr-model"], patience.waits) == (200, "anthropic,m1", [])
        assert router.app.health.target_state("gone", "m1").last_failure == kind


async def test_a_dead_target_is_passed_over_tried_out_and_taken_back(upstream, tmp_path, patience) -> None:
    """After two failures nobody asks it; when its time is over one request does; a success takes it back."""
    port = free_port()
    first = dead("first", f"http://127.0.0.1:{port}/v1/messages")
    settings = config(
        first, provider(upstream, "anthropic"), default=["first,m1", "anthropic,m1"], retry={"openAfter": 2}
    )
    upstream.always(ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:

        async def ask() -> tuple[str, str]:
            status, headers, _ = await router.ask()
            assert status == 200
            return headers["x-ccr-model"], headers["x-ccr-attempts"]

        assert [await ask() for _ in range(3)] == [("anthropic,m1", "2")] * 2 + [("anthropic,m1", "1")]
        patience.let_pass(29)
        assert await ask() == ("anthropic,m1", "1")
        patience.let_pass(2)
        assert await ask() == ("anthropic,m1", "2")  # tried out, and dead still: passed over for twice as long
        patience.let_pass(31)
        assert await ask() == ("anthropic,m1", "1")
        async with Upstream(port) as back:
            back.always(ANSWER)
            patience.let_pass(30)
            assert [await ask() for _ in range(3)] == [("first,m1", "1")] * 3
        assert router.app.health.known_targets() == []


async def test_one_request_at_a_time_tries_it_out(upstream, tmp_path, patience) -> None:
    """While a probe is under way the others go where it is well."""
    async with Upstream() as slow:
        settings = config(
            provider(slow, "openai"), provider(upstream, "anthropic"), default=["openai,m1", "anthropic,m1"],
            retry={"openAfter": 1},
        )  # fmt: skip
        arrived, release = asyncio.Event(), asyncio.Event()

        async def hold(_received: object) -> Reply:
            arrived.set()
            await release.wait()
            return json_reply(chat_wire.chat_json("back"))

        slow.reply(Reply(500, {}, (b"no",)), hold)
        upstream.always(ANSWER)
        async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
            await router.ask()
            patience.let_pass(31)
            probe = asyncio.create_task(router.ask())
            await asyncio.wait_for(arrived.wait(), 5)
            others = [await router.ask() for _ in range(3)]
            assert {(status, headers["x-ccr-model"]) for status, headers, _ in others} == {(200, "anthropic,m1")}
            release.set()
            _, headers, raw = await probe
            assert (headers["x-ccr-model"], b"back" in raw) == ("openai,m1", True)
        assert len(slow.requests) == 2


async def test_a_client_that_tries_ten_times_more_is_not_multiplied(lone, upstream) -> None:
    """Claude Code's eleven requests at a provider that is down become fourteen: three, two, and then one each."""
    upstream.always(anthropic_error(503))
    assert {(await lone.ask())[0] for _ in range(11)} == {503}
    assert len(upstream.requests) == 14


async def test_where_it_is_the_only_one_a_dead_target_is_asked_all_the_same(lone, upstream, patience) -> None:
    """A breaker never refuses the only way there is; but from the fifth failure on nothing is asked twice."""
    upstream.reply(*(anthropic_error(500) for _ in range(5)), ANSWER)
    assert [(await lone.ask())[0] for _ in range(3)] == [500, 500, 200]
    assert lone.app.health.known_targets() == []

"""Particulars of the field, each of which hurt somebody: late last packets, odd paths, forgotten block ends, refused keys."""

from __future__ import annotations

import asyncio
import json

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running, text_of
from tests.upstream import Gate, Reply, Stall, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

SAID = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


async def test_a_late_last_packet_is_no_hang_up(upstream: Upstream, tmp_path, dialect):
    """The client has its whole answer, the upstream's last packet comes later: the exchange is a success in the log."""
    gate = asyncio.Event()
    config = {"Providers": [provider(upstream, dialect)], "Router": {"default": f"{dialect},m1"}}
    wire = anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream
    upstream.reply(sse_reply(wire("Hi"), ending=Gate(gate)))
    log = ExchangeLog(tmp_path / "log", "info")
    async with running(config, tmp_path, log=log) as router:
        assert text_of(await router.stream()) == "Hi"
        gate.set()
        upstream.reply(
            json_reply(anthropic_wire.message_json("x") if dialect == "anthropic" else chat_wire.chat_json("x"))
        )
        await router.ask()
    log.close()
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert sorted([first["status"], second["status"]]) == [200, 200]
    assert all(line["tokens"]["output"] > 0 for line in (first, second))


async def test_slashes(router, upstream: Upstream):
    """Base URLs written with a slash at the end, or two, reach the same endpoints."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    for path in ("//health", "/health/", "//v1/models", "/v1/models/"):
        async with router.client.get(router.url + path) as response:
            assert response.status == 200, path
    for path in ("//v1/messages", "/v1/messages/", "/v1//messages?beta=true"):
        async with router.client.post(router.url + path, json=SAID) as response:
            assert response.status == 200, path
    async with router.client.put(router.url + "/v1/messages") as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_health_under_any_name(upstream: Upstream, tmp_path):
    """Health checks need neither a key nor a known Host; a remote client without a key hears of the key, not of its Host."""
    config = {
        "APIKEY": "a-router-key-0123456789",
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
    }
    async with running(config, tmp_path) as router:
        host = {"host": "10.0.0.5:3456"}
        async with router.client.get(router.url + "/health", headers=host) as response:
            assert response.status == 200
        async with router.client.post(router.url + "/v1/messages", json=SAID, headers=host) as response:
            assert response.status == 401


@pytest.mark.parametrize("kind", ["text", "tool"])
async def test_a_forgotten_block_end(router, upstream: Upstream, kind):
    """A Messages upstream that forgets content_block_stop: it is added, as the message cannot end in the middle of a block."""
    tools = [("t1", "Read", {"p": 1})] if kind == "tool" else ()
    frames = [frame for frame in anthropic_wire.message_stream("Hi", tools=tools) if b"content_block_stop" not in frame]
    if kind == "tool":
        frames = [f for f in anthropic_wire.message_stream(None, tools=tools) if b"content_block_stop" not in f]
    upstream.reply(sse_reply(frames))
    events = await router.stream(model="anthropic,m1")
    assert [event["type"] for event in events][-3:] == ["content_block_stop", "message_delta", "message_stop"]


async def test_a_refused_key_names_its_source(upstream: Upstream, tmp_path, dialect):
    """The error for a key that the provider refuses says where the key comes from, and not to try again."""
    config = {"Providers": [provider(upstream, dialect, api_key="${SOME_KEY}")], "Router": {"default": f"{dialect},m1"}}
    error = (
        anthropic_wire.error_json("authentication_error", "no")
        if dialect == "anthropic"
        else chat_wire.error_json("no")
    )
    upstream.reply(json_reply(error, status=401, headers={"request-id": "req_theirs"}))
    async with running(config, tmp_path, {"SOME_KEY": "sk-some-key-0123456789"}) as router:
        status, headers, raw = await router.ask()
    assert status == 401
    message = json.loads(raw)["error"]["message"]
    assert f"Invalid API key for provider '{dialect}'" in message
    assert "${SOME_KEY}" in message
    assert headers["x-should-retry"] == "false"
    assert headers["x-ccr-model"] == f"{dialect},m1"
    assert headers["x-ccr-upstream-request-id"] == "req_theirs"


async def test_failures_of_attempts_are_redacted(upstream: Upstream, tmp_path):
    """A key of no particular shape that a provider quotes does not reach the log by way of a failed attempt."""
    key = "mysecretpassphrase99"
    config = {
        "Providers": [provider(upstream, "anthropic", api_key=key)],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["anthropic,m2"]},
    }
    upstream.reply(
        json_reply(anthropic_wire.error_json("api_error", f"bad {key}"), status=500),
        json_reply(anthropic_wire.message_json("ok")),
    )
    log = ExchangeLog(tmp_path / "log", "info")
    async with running(config, tmp_path, log=log) as router:
        assert (await router.ask())[0] == 200
    log.close()
    written = (tmp_path / "log").read_text()
    assert "bad ***" in written
    assert key not in written


async def test_models_that_are_served_exist(router):
    """A model that a request may name is found: bare Claude ids are served by the default route."""
    async with router.client.get(router.url + "/v1/models/claude-sonnet-4-5") as response:
        assert (await response.json())["id"] == "claude-sonnet-4-5"


async def test_chat_servers_get_a_bearer(upstream: Upstream, tmp_path):
    """A chat server that its user calls claude gets what chat servers know."""
    config = {"Providers": [{**provider(upstream, "openai"), "name": "claude"}], "Router": {"default": "claude,m1"}}
    upstream.reply(json_reply(chat_wire.chat_json("ok")))
    async with running(config, tmp_path) as router:
        await router.ask()
    assert upstream.requests[0].headers["authorization"].startswith("Bearer ")
    assert "x-api-key" not in upstream.requests[0].headers


async def test_retry_after_is_never_rounded_down(router, upstream: Upstream):
    """A part of a second is a second: zero would mean at once."""
    upstream.reply(
        json_reply(anthropic_wire.error_json("rate_limit_error", "x"), status=429, headers={"retry-after": "0.4"})
    )
    _, headers, _ = await router.ask(model="anthropic,m1")
    assert headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("limits", "steps", "expected"),
    [
        ({"firstByte": 30, "idle": 0.2}, "late start", 200),
        ({"firstByte": 30, "idle": 0.2}, "silence inside", 504),
        ({"firstByte": 0.2, "idle": 30}, "no start", 504),
    ],
)
async def test_first_byte_and_idle_are_two_limits(upstream: Upstream, tmp_path, dialect, limits, steps, expected):
    """The wait for an answer to begin and the silence within one are bounded apart, whichever is the longer."""
    wire = anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream
    frames = wire("Hello there, this is text")
    gate = asyncio.Event()
    script = {
        "late start": (Gate(gate), *frames),
        "silence inside": (*frames[:1], Stall()),
        "no start": (Stall(),),
    }[steps]
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, script))
    config = {"Providers": [provider(upstream, dialect, timeouts=limits)], "Router": {"default": f"{dialect},m1"}}
    async with running(config, tmp_path) as router:
        asking = asyncio.create_task(router.ask(stream=True))
        if steps == "late start":
            await upstream.request(1)
            done, _ = await asyncio.wait({asking}, timeout=0.5)  # longer than idle, and still waiting
            assert not done
            gate.set()
        status, _, raw = await asking
    assert status == expected, raw

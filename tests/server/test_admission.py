"""How much one router takes on at a time, who is turned away and with what words, and that nothing stays counted."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.schema import Limits
from ccrouter.errors import ClientError
from ccrouter.server.admission import Admission, Busy, Load, Stay
from tests.gateway.conftest import Router, provider, running
from tests.server.conftest import until
from tests.upstream import Gate, Stall, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

ASKED = {"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
BODY = json.dumps(ASKED).encode()
MOST_BYTES = 100_000


@contextlib.asynccontextmanager
async def at_work(upstream: Upstream, tmp_path: Path, *, key: str = "", **limits) -> AsyncIterator[Router]:
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "maxBodyBytes": MOST_BYTES,
        "limits": {"bufferedBytes": MOST_BYTES, **limits},
        **({"APIKEY": key} if key else {}),
    }
    launch_keys = {"ccr-launch-one", "ccr-launch-two"}
    async with running(config, tmp_path, is_launch_key=launch_keys.__contains__) as router:
        yield router
        await until(lambda: counts(router) == (0, 0))


def counts(router: Router) -> tuple[int, int]:
    told = router.app.admission.snapshot()
    return told["requests"], told["bufferedBytes"]


class Asking:
    """A streamed request under way, which the upstream holds back until `gate` is set."""

    def __init__(self, router: Router, headers=None, body: bytes | None = None) -> None:
        sent = json.dumps({**ASKED, "stream": True}).encode() if body is None else body
        self._sending = router.client.post(f"{router.url}/v1/messages", data=sent, headers=headers)
        self.task = asyncio.ensure_future(self._sending.__aenter__())

    async def end(self) -> tuple[int, bytes]:
        response = await self.task
        async with response:
            return response.status, await response.read()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def post(router: Router, path: str, headers=None, body: bytes = BODY):
    async with router.client.post(f"{router.url}{path}", data=body, headers=headers) as response:
        return response.status, response.headers, json.loads(await response.read())


async def test_as_many_as_may_be(upstream: Upstream, tmp_path):
    """One request more than `limits.concurrent` is a 429 that says when to come again and what to change, in the form of
    the client, before its body is read; the operator is not turned away; and when one ends the next is served.
    """
    gate = asyncio.Event()
    upstream.always(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
    async with at_work(upstream, tmp_path, concurrent=2) as router:
        asking = [Asking(router) for _ in range(2)]
        await until(lambda: len(upstream.requests) == 2)
        assert counts(router)[0] == 2
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            status, headers, body = await post(router, path)
            assert (status, headers["retry-after"], headers["x-should-retry"]) == (429, "1", "true")
            assert body["error"]["type"] == "rate_limit_error"
            assert "limits.concurrent" in body["error"]["message"]
            assert body["request_id"] == headers["request-id"]
        status, headers, body = await post(router, "/v1/chat/completions")
        assert (status, headers["retry-after"]) == (429, "1")
        assert "limits.concurrent" in body["error"]["message"]
        assert "type" not in body
        for path in ("/health", "/api/config", "/v1/models", "/ui"):
            async with router.client.get(f"{router.url}{path}") as response:
                assert response.status == 200, path
        assert len(upstream.requests) == 2
        gate.set()
        assert [(await one.end())[0] for one in asking] == [200, 200]
        upstream.always(json_reply(anthropic_wire.message_json("ok")))
        assert (await router.ask())[0] == 200
        told = router.app.admission.snapshot()
        assert told["refused"] == {"concurrent": 3, "perClient": 0, "bufferedBytes": 0}
        assert told["mostRequests"] == 2


async def test_the_body_of_one_turned_away_is_not_read(upstream: Upstream, tmp_path):
    """Who asks before sending a body (`Expect: 100-continue`) hears of the 429 and is not told to go on."""
    async with at_work(upstream, tmp_path, concurrent=1) as router:
        upstream.reply(Stall_reply())
        asking = Asking(router)
        await until(lambda: len(upstream.requests) == 1)
        port = int(router.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        writer.close()
        await asking.leave()


def Stall_reply():  # noqa: N802 - reads as the step that it makes a reply of
    return sse_reply([Stall()])


async def test_as_many_as_one_client_may_have(upstream: Upstream, tmp_path):
    """`limits.perClient` counts by the key that lets somebody in: launches count apart from each other and from the
    router's own key, and what else is shown changes nothing.
    """
    gate = asyncio.Event()
    upstream.always(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
    own = {"x-api-key": "the-routers-own-key"}
    one = {"authorization": "Bearer ccr-launch-one"}
    two = {"authorization": "Bearer ccr-launch-two"}
    async with at_work(upstream, tmp_path, key="the-routers-own-key", perClient=1) as router:
        asking = []
        for number, headers in enumerate((own, one, two), 1):
            asking.append(Asking(router, headers))
            await until(lambda number=number: len(upstream.requests) == number)
        disguised = {"authorization": "Bearer another", "x-api-key": "the-routers-own-key"}
        hidden = {"authorization": "Bearer the-routers-own-key", "x-api-key": "something"}
        for headers in (own, one, two, disguised, hidden, {**one, "x-api-key": "something"}):
            status, answered, body = await post(router, "/v1/messages", headers)
            assert (status, answered["retry-after"]) == (429, "2"), headers
            assert "limits.perClient" in body["error"]["message"]
        assert router.app.admission.snapshot()["clients"] == 3
        gate.set()
        assert [(await each.end())[0] for each in asking] == [200, 200, 200]
    assert router.app.admission.snapshot()["clients"] == 0


async def test_clients_without_a_key(upstream: Upstream, tmp_path):
    """Where no key is asked for, a client is who shows the same one, and who shows none is where it comes from."""
    upstream.always(Stall_reply())
    async with at_work(upstream, tmp_path, perClient=1) as router:
        asking = []
        for number, headers in enumerate(({}, {"x-api-key": "a"}, {"x-api-key": "b"}), 1):
            asking.append(Asking(router, headers))
            await until(lambda number=number: len(upstream.requests) == number)
        for headers in ({}, {"x-api-key": "a"}, {"authorization": "Bearer b"}):
            assert (await post(router, "/v1/messages", headers))[0] == 429, headers
        for one in asking:
            await one.leave()


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_bytes_of_bodies(is_chunked, upstream: Upstream, tmp_path):
    """Bodies of all requests together are never more than `limits.bufferedBytes`: half-sent ones count with what they
    declared, others as they grow; one more is a 503 with retry-after. Those of clients that leave are let go.
    """
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with at_work(upstream, tmp_path) as router:
        port = int(router.url.rpartition(":")[2])
        how = "transfer-encoding: chunked" if is_chunked else "content-length: 30000"
        head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\n{how}\r\n\r\n".encode()
        half = (b"%x\r\n%s\r\n" % (29_999, b"x" * 29_999)) if is_chunked else b"x"
        waiting = []
        for number in range(1, 4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + half)
            await writer.drain()
            waiting.append((reader, writer))
            each = 29_999 if is_chunked else 30_000
            await until(lambda number=number, each=each: counts(router) == (number, number * each))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + half)
        answered = await reader.readuntil(b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answered
        said = await reader.readuntil(b'"request_id"')
        assert b"limits.bufferedBytes" in said
        assert b"overloaded_error" in said
        assert counts(router) == (3, 3 * each)
        assert (await router.ask())[0] == 200  # a small one still fits
        for _, one in (*waiting, (reader, writer)):
            one.close()
            await one.wait_closed()
        await until(lambda: counts(router) == (0, 0))


async def test_bytes_of_compressed_bodies(upstream: Upstream, tmp_path):
    """A compressed body counts with what it is decompressed: a small one that is large in the end has to fit."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    large = json.dumps({**ASKED, "messages": [{"role": "user", "content": "x" * 80_000}]}).encode()
    packed = gzip.compress(large)
    async with at_work(upstream, tmp_path) as router:
        gate = asyncio.Event()
        upstream.reply(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
        asking = Asking(router, body=json.dumps({**ASKED, "stream": True, "system": "y" * 30_000}).encode())
        await until(lambda: len(upstream.requests) == 1)
        status, _, _ = await post(router, "/v1/messages", {"content-encoding": "gzip"}, packed)
        assert status == 503
        gate.set()
        await asking.end()
        await until(lambda: counts(router) == (0, 0))
        status, _, _ = await post(router, "/v1/messages", {"content-encoding": "gzip"}, packed)
        assert status == 200


async def test_the_operators_requests_hold_nothing(upstream: Upstream, tmp_path):
    """A body that an operator sends is not turned away for those of clients."""
    async with at_work(upstream, tmp_path) as router:
        port = int(router.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n{")
        await until(lambda: counts(router) == (1, 100_000))
        async with router.client.post(f"{router.url}/providers", json={"name": "new"}) as response:
            assert response.status == 400, await response.text()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("stage", ["body", "before headers", "mid-stream", "unstreamed", "counting"])
async def test_who_leaves_frees_its_place(stage, upstream: Upstream, tmp_path):
    """At whatever stage a client leaves, its place and its bytes are free at once."""
    frames = anthropic_wire.message_stream(["first", " last"])
    upstream.always(sse_reply([*frames[:4], Stall()] if stage == "mid-stream" else [Stall()]))
    sent = json.dumps({**ASKED, "stream": stage != "unstreamed"}).encode()
    length = len(sent) + (stage == "body")
    path = "/v1/messages/count_tokens" if stage == "counting" else "/v1/messages"
    async with at_work(upstream, tmp_path) as router:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(router.url.rpartition(":")[2]))
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length + (stage == 'counting')}\r\n\r\n"
        writer.write(head.encode() + sent)
        await until(lambda: counts(router)[0] == 1)
        if stage not in {"body", "counting"}:
            await until(lambda: len(upstream.requests) == 1)
        if stage == "mid-stream":
            await reader.readuntil(b"content_block_start")
        writer.close()
        await writer.wait_closed()
        await until(lambda: counts(router) == (0, 0))


async def test_slow_readers_hold_what_they_sent(upstream: Upstream, tmp_path):
    """Clients that do not read their answers hold their places and the bytes of their bodies, and no more than a few
    pieces of the answer each, however large it is: the upstream is held back.
    """
    piece = "x" * 65_536
    frames = anthropic_wire.message_stream([piece] * 400)
    upstream.always(sse_reply(frames))
    sent = json.dumps({**ASKED, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(sent)}\r\n\r\n".encode()
    async with at_work(upstream, tmp_path, concurrent=8) as router:
        port = int(router.url.rpartition(":")[2])
        clients = [await asyncio.open_connection("127.0.0.1", port, limit=4096) for _ in range(8)]
        for _, writer in clients:
            writer.write(head + sent)
        await until(lambda: len(upstream.requests) == 8)
        assert (await post(router, "/v1/messages"))[0] == 429
        before, still = -1, 0
        while still < 200:  # until the buffers of the system, ours and the upstream's are full something moves
            now = sum(one.written for one in upstream.requests)
            still = still + 1 if now == before else 0
            before = now
            await asyncio.sleep(0)
        assert counts(router) == (8, 8 * len(sent))
        assert before < 8 * 400 * 65_536 / 2
        for _, writer in clients:
            writer.transport.abort()
        await until(lambda: counts(router) == (0, 0))


async def test_limits_change_at_a_reload(upstream: Upstream, tmp_path):
    """What is in force counts: lowered limits end nothing that has begun, and hold for whoever comes next."""
    gate = asyncio.Event()
    upstream.always(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
    async with at_work(upstream, tmp_path, concurrent=2) as router:
        asking = [Asking(router) for _ in range(2)]
        await until(lambda: len(upstream.requests) == 2)
        config, _ = router.app.in_force
        for most, expected in ((1, 429), (3, 200)):
            await router.app.amend(replace(config, limits=replace(config.limits, concurrent=most)), {})
            another = Asking(router)
            if expected == 200:
                await until(lambda: len(upstream.requests) == 3)
                gate.set()
            status, _ = await another.end()
            assert status == expected
        assert [(await one.end())[0] for one in asking] == [200, 200]


# -- the counts, by themselves -------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "enter", "hold", "end"]), st.integers(0, 5), st.integers(0, 60)), max_size=60
)


@given(STEPS, st.integers(1, 4), st.integers(0, 2), st.integers(1, 100))
def test_nothing_stays_counted(steps, concurrent, per_client, buffered):
    """Whatever begins, is refused and ends, in whatever order: the counts are those of what is under way, never above a
    limit, and zero in the end.
    """
    limits = Limits(concurrent=concurrent, per_client=per_client, buffered_bytes=buffered)
    admission = Admission(lambda: limits)
    under_way: list[tuple[Stay, int]] = []
    entered: dict[int, str] = {}
    held: Counter[int] = Counter()
    is_large: list[tuple[int, bool]] = []
    for number, (what, who, size) in enumerate(steps):
        if what == "begin":
            under_way.append((admission.stay(is_bounded=True).__enter__(), number))
            continue
        if not under_way:
            continue
        stay, name = under_way[who % len(under_way)]
        try:
            if what == "enter":
                stay.enter(lambda who=who: f"client {who % 2}")
                entered.setdefault(name, f"client {who % 2}")
            elif what == "hold":
                stay.hold(size)
                held[name] = max(held[name], size)
            else:
                under_way.remove((stay, name))
                entered.pop(name, None)
                del held[name]
                stay.__exit__(None, None, None)
        except Busy:
            pass
        except ClientError as error:
            is_large.append((error.status, size > buffered))
        told = admission.snapshot()
        assert told["requests"] == len(entered) <= concurrent
        assert told["bufferedBytes"] == held.total() <= buffered
        if per_client:
            assert all(count <= per_client for count in Counter(entered.values()).values())
    assert set(is_large) <= {(413, True)}
    for stay, _ in under_way:
        stay.__exit__(None, None, None)
    told = admission.snapshot()
    assert (told["requests"], told["bufferedBytes"], told["clients"]) == (0, 0, 0)


def test_processes_that_count_together():
    """What other processes have in work counts with what is in work here, until they are gone; each hears of its own."""
    limits = Limits(concurrent=5, per_client=2, buffered_bytes=100)
    heard: list[Load] = []
    here, there = Admission(lambda: limits), Admission(lambda: limits)
    here.share(b"the same", lambda: heard.append(here.load))
    there.share(b"the same", lambda: None)
    with there.stay(is_bounded=True) as stay:
        stay.enter(lambda: "a")
        stay.hold(60)
        here.note_other(1, there.load)
    with here.stay(is_bounded=True) as first, here.stay(is_bounded=True) as second, here.stay(is_bounded=True) as third:
        first.enter(lambda: "a")
        with pytest.raises(Busy, match="perClient"):
            second.enter(lambda: "a")
        second.enter(lambda: "b")
        first.hold(40)
        with pytest.raises(Busy, match="bufferedBytes"):
            second.hold(1)
        here.note_other(2, Load(2, 0, {}))
        with pytest.raises(Busy, match="concurrent"):
            third.enter(lambda: "c")
        here.note_other(1, None)
        third.enter(lambda: "a")
        second.hold(60)
    assert (heard[0].requests, heard[-1]) == (1, Load(0, 0, {}))
    assert max(load.bytes for load in heard) == 100


async def test_random_ends(upstream: Upstream, tmp_path):
    """Requests that are answered, fail, are turned away, break off, leave at any moment: in the end nobody is counted."""
    gate = asyncio.Event()
    frames = anthropic_wire.message_stream("ok")
    replies = [
        sse_reply(frames),
        sse_reply([*frames[:3], Stall()]),
        sse_reply(frames[:4]),
        json_reply(chat_wire.error_json("no"), 400),
        sse_reply([Gate(gate), *frames]),
    ]
    async with at_work(upstream, tmp_path, concurrent=5, perClient=3) as router:
        for number in range(60):
            upstream.reply(replies[number % len(replies)])
        bodies = [None, BODY, b"{", b"x" * 50_000, b"x" * 150_000]
        asking = []
        for number in range(60):
            one = Asking(router, {"x-api-key": f"k{number % 3}"}, bodies[number % 7 % len(bodies)])
            asking.append(one)
            for _ in range(number % 11):
                await asyncio.sleep(0)
            if number % 4 == 3:
                await asking[number // 2].leave()
        gate.set()
        for one in asking:
            await one.leave()
        for one in asking:
            if not one.task.cancelled() and one.task.exception() is None:
                one.task.result().close()
        assert isinstance(router.client, aiohttp.ClientSession)
    told = router.app.admission.snapshot()
    assert (told["requests"], told["bufferedBytes"], told["clients"]) == (0, 0, 0)

"""Records of a running router: every request in them once, whatever ends it, and what is kept is what is in force."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sqlite3

import aiohttp
import pytest

from ccrouter.config.schema import RecordKeeping
from ccrouter.server.exchanges import UNDER_WAY, Exchanges
from ccrouter.store.reports import Reports
from tests.gateway.conftest import provider, running
from tests.upstream import Gate, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

BODY = {"model": "any", "max_tokens": 100, "messages": [{"role": "user", "content": "the secret word is marzipan"}]}


@pytest.fixture
async def upstream():
    async with Upstream() as up:
        yield up


def config(upstream: Upstream, **more) -> dict:
    return {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        **more,
    }


def recorded(tmp_path) -> list[dict]:
    reports = Reports(tmp_path / "records.db")
    try:
        return [reports.request(row["id"]) for row in reports.requests()["items"]]
    finally:
        reports.close()


def keeping(upstream, tmp_path, **more):
    return running(config(upstream, **more), tmp_path, {"HOME": str(tmp_path)}, records=tmp_path / "records.db")


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_client_that_hangs_up_is_recorded_once(path, has_begun, upstream: Upstream, tmp_path):
    """Before the first content and in the middle of it: one record, 499, its cost unknown, and nothing under way."""
    gate = asyncio.Event()
    frames = anthropic_wire.message_stream("Hello world", size=3)
    upstream.reply(sse_reply([*frames[:6], Gate(gate), *frames[6:]] if has_begun else [Gate(gate), *frames]))
    async with keeping(upstream, tmp_path) as router:
        asking = asyncio.create_task(router.client.post(router.url + path, json={**BODY, "stream": True}))
        if has_begun:
            response = await asking
            await response.content.readany()
            response.close()
        else:
            await until(lambda: any(one["attempts"] for one in router.app.exchanges.under_way(0.0)))
            asking.cancel()
        await until(lambda: not router.app.exchanges.under_way(0.0))
        gate.set()
    (told,) = recorded(tmp_path)
    assert told["status"] == 499
    assert told["attempts"][0]["kind"] is None


async def test_who_is_cut_off_at_the_end_is_recorded(upstream: Upstream, tmp_path):
    """A stream that the router's end cuts off is in the records when the router has ended."""
    gate = asyncio.Event()
    frames = anthropic_wire.message_stream("Hello world", size=3)
    upstream.reply(sse_reply([*frames[:6], Gate(gate), *frames[6:]]))
    async with aiohttp.ClientSession() as client:
        async with keeping(upstream, tmp_path) as router:
            response = await client.post(router.url + "/v1/messages", json={**BODY, "stream": True})
            await response.content.readany()
        gate.set()
    (told,) = recorded(tmp_path)
    assert told["status"] == 503
    assert told["cost"]["usd"] is None
    assert not router.app.exchanges.under_way(0.0)


async def test_every_request_is_recorded_once(upstream: Upstream, tmp_path):
    """Answered, refused, unreadable, failed, by any API: as many records as requests, and nothing is left under way."""
    upstream.always(lambda received: json_reply({"error": {"message": "no"}}, status=400))
    asked = 0
    async with keeping(upstream, tmp_path) as router:
        for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses"):
            for body in (BODY, {}, [], {**BODY, "model": "nobody,knows"}, {**BODY, "stream": True}):
                async with router.client.post(router.url + path, data=json.dumps(body)) as response:
                    await response.read()
                asked += 1
        assert not router.app.exchanges.under_way(0.0)
    rows = recorded(tmp_path)
    assert len(rows) == len({one["id"] for one in rows}) == asked
    assert {one["cost"]["usd"] for one in rows} == {0.0}


async def test_a_change_of_what_is_kept_holds_from_the_next_request_on(upstream: Upstream, tmp_path):
    """Off, on with contents, on without, off again: each request is kept as was in force when it came."""
    upstream.always(json_reply(anthropic_wire.message_json("The word is marzipan.")))
    steps = [
        RecordKeeping(enabled=False),
        RecordKeeping(content="full"),
        RecordKeeping(content="none"),
        RecordKeeping(enabled=False, content="full"),
    ]
    ids = []
    async with keeping(upstream, tmp_path) as router:
        app = router.app
        for step in steps:
            changed = dataclasses.replace(app.in_force[0], record=step)
            async with app.changing:
                await app.amend(changed, {})
            await app.keeping._changing
            _, headers, _ = await router.ask(**BODY)
            ids.append(headers["request-id"])
            assert app.recorder.flush(10)
    told = {one["id"]: one for one in recorded(tmp_path)}
    assert set(told) == set(ids[1:3])
    assert "marzipan" in json.dumps(told[ids[1]]["content"])
    assert not told[ids[2]].get("content")


@pytest.mark.parametrize("fault", ["folder", "no database", "newer"])
async def test_a_file_that_cannot_be_used_costs_no_request(fault, upstream: Upstream, tmp_path):
    """Whatever stands in the place of the file, requests are answered."""
    upstream.always(json_reply(anthropic_wire.message_json("Hi")))
    path = tmp_path / "records.db"
    if fault == "folder":
        path.mkdir()
    elif fault == "newer":
        with sqlite3.connect(path) as made:
            made.execute("PRAGMA user_version = 999")
    else:
        path.write_bytes(b"rubbish" * 1000)
    async with keeping(upstream, tmp_path) as router:
        for _ in range(3):
            assert (await router.ask(**BODY))[0] == 200
            router.app.recorder.flush(0.1)
        async with router.client.get(router.url + "/api/requests") as response:
            assert response.status in {200, 503}, await response.text()


async def test_what_is_under_way_elsewhere_is_no_exchange():
    """The word that other processes are asked by for what is under way is no exchange's id."""

    async def elsewhere(wanted: str) -> list[dict]:
        return [{"live": []}]

    exchanges = Exchanges()
    exchanges.ask_elsewhere(elsewhere)
    assert await exchanges.recall(UNDER_WAY) is None
    assert await exchanges.all_under_way(0.0) == []


async def test_no_word_of_a_silent_provider_is_a_nought(upstream: Upstream, tmp_path):
    """Where a provider tells of no use, the pages do not say that nothing was used."""
    answer = chat_wire.chat_json("Hi")
    del answer["usage"]
    upstream.reply(json_reply(answer))
    priced = {"openai,m1": {"input": 1, "output": 1}}
    async with keeping(upstream, tmp_path, prices=priced) as router:
        status, headers, _ = await router.ask(**{**BODY, "model": "openai,m1"})
        assert status == 200
        assert router.app.recorder.flush(10)
        for place in ("/ui/requests", "/ui/requests/" + headers["request-id"]):
            async with router.client.get(router.url + place) as response:
                page = await response.text()
                assert response.status == 200
                assert "not told" in page
    (told,) = recorded(tmp_path)
    assert told["cost"]["usd"] is None

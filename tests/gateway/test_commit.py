"""When an answer has begun: with the first thing that a client can make anything of, and not with its announcement."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from tests.gateway.conftest import events_of, provider, running, text_of
from tests.upstream import (
    Cut,
    Gate,
    Reply,
    Reset,
    Upstream,
    anthropic_wire,
    chat_wire,
    json_reply,
    responses_wire,
    sse_reply,
)
from tests.upstream.anthropic_wire import frame

START = anthropic_wire.message_stream("x")[0]
PING = frame("ping", {"type": "ping"})
TEXT = {"type": "text", "text": ""}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def begin(block: dict, index: int = 0) -> bytes:
    return frame("content_block_start", {"type": "content_block_start", "index": index, "content_block": block})


def piece(delta: dict, index: int = 0) -> bytes:
    return frame("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})


def stop(index: int = 0) -> bytes:
    return frame("content_block_stop", {"type": "content_block_stop", "index": index})


NO_TEXT = piece({"type": "text_delta", "text": ""})
NO_THOUGHT = piece({"type": "thinking_delta", "thinking": ""})
ANNOUNCED = {
    "text": [START, begin(TEXT), PING],
    "empty deltas": [START, begin(TEXT), NO_TEXT, NO_TEXT],
    "thinking": [START, begin(THINKING), NO_THOUGHT],
    "an empty block": [START, begin(TEXT), NO_TEXT, stop(), begin(TEXT, 1)],
}
CONTENT = {
    "text": [begin(TEXT), piece({"type": "text_delta", "text": "a"})],
    "thinking": [begin(THINKING), piece({"type": "thinking_delta", "thinking": "a"})],
    "a signature": [begin(THINKING), piece({"type": "signature_delta", "signature": "EqQBCg=="})],
    "a call": [begin(TOOL)],
    "text at once": [begin({"type": "text", "text": "a"})],
    "sealed thinking": [begin({"type": "redacted_thinking", "data": "EqQBCg=="})],
    "what is not known": [begin({"type": "hologram"})],
}
ENDINGS = {
    "error": [anthropic_wire.error_frame("overloaded_error", "Overloaded")],
    "cut": [Cut()],
    "reset": [Reset()],
    "end": [],
}
#: The ways an answer of a Messages provider can take: as it is; through the typed events; to a client of Chat.
ROADS = ("relay", "translation", "chat")


def configured(upstream: Upstream, road: str) -> dict:
    first = provider(upstream, "anthropic", **({"transformer": {"use": ["tooluse"]}} if road == "translation" else {}))
    return {"Providers": [first, provider(upstream, "openai")], "Router": {"default": ["anthropic,m1", "openai,m2"]}}


async def stream(router, road: str) -> bytes:
    if road != "chat":
        status, _, raw = await router.ask(stream=True)
    else:
        asked = {"model": "any", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with router.client.post(f"{router.url}/v1/chat/completions", json=asked) as response:
            status, raw = response.status, await response.read()
    assert status == 200, raw
    return raw


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("announced", ANNOUNCED)
async def test_what_is_only_announced_is_not_begun(upstream: Upstream, tmp_path, road, ending, announced):
    """Blocks that were opened, and nothing put into them, can still be another target's to fill."""
    upstream.reply(
        Reply(headers={"content-type": "text/event-stream"}, steps=(*ANNOUNCED[announced], *ENDINGS[ending])),
        sse_reply(chat_wire.chat_stream("from the second")),
    )
    async with running(configured(upstream, road), tmp_path) as router:
        raw = await stream(router, road)
    assert len(upstream.requests) == 2
    assert b"error" not in raw
    if road != "chat":
        events = events_of(raw)
        assert text_of(events) == "from the second"
        assert sum(event["type"] == "message_start" for event in events) == 1


@pytest.mark.parametrize(
    ("road", "content"),
    [(road, one) for road in ROADS for one in CONTENT if road != "chat" or one in {"text", "thinking", "a call"}],
)
async def test_content_is_not_held_back(upstream: Upstream, tmp_path, road, content):
    """The first piece of anything goes out while the provider has not said more."""
    more = asyncio.Event()
    steps = (START, *CONTENT[content], Gate(more))
    upstream.reply(Reply(headers={"content-type": "text/event-stream"}, steps=steps))
    path = "/v1/chat/completions" if road == "chat" else "/v1/messages"
    asked = {"model": "any", "stream": True, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    async with running(configured(upstream, road), tmp_path) as router:
        async with router.client.post(router.url + path, json=asked) as response:
            async with asyncio.timeout(5):
                assert await response.content.readany()
        more.set()


ITEM = {"id": "msg_01", "type": "message", "status": "in_progress", "role": "assistant", "content": []}


def told(kind: str, **members) -> bytes:
    return frame(kind, {"type": kind, "sequence_number": 2, **members})


@pytest.mark.parametrize(
    "announced",
    [
        [told("response.output_item.added", output_index=0, item=ITEM)],
        [told("keepalive")],
        [
            told("response.output_item.added", output_index=0, item=ITEM),
            told("response.content_part.added", part={"type": "output_text", "text": ""}, item_id="msg_01"),
            told("response.output_text.delta", delta="", item_id="msg_01"),
        ],
        [told("response.output_item.added", output_index=0, item={"id": "rs_1", "type": "reasoning", "summary": []})],
    ],
)
async def test_responses_that_pass(upstream: Upstream, tmp_path, announced):
    """The same holds for answers that pass untouched to a client of the Responses API."""
    one = {**provider(upstream, "openai"), "protocol": "responses", "api_base_url": f"{upstream.url}/v1/responses"}
    config = {
        "Providers": [{**one, "name": "one"}, {**one, "name": "two"}],
        "Router": {"default": ["one,m1", "two,m1"]},
    }
    frames = responses_wire.response_stream("more")
    upstream.reply(
        sse_reply([*frames[:2], *announced, responses_wire.error_frame("it broke")]),
        sse_reply(frames),
    )
    async with running(config, tmp_path) as router:
        asked = {"model": "any", "input": "Hi", "stream": True}
        async with router.client.post(f"{router.url}/v1/responses", json=asked) as response:
            raw = await response.read()
    assert b"it broke" not in raw
    assert b"more" in raw
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_block_without_anything_in_it_is_an_empty_answer(upstream: Upstream, tmp_path, streamed):
    """Another target is asked; if it has no more to say, the first one's answer is given as it is."""
    frames = [START, begin(TEXT), NO_TEXT, stop(), *anthropic_wire.message_stream(None)[1:]]
    body = {**anthropic_wire.message_json("x"), "content": [TEXT]}
    empty = sse_reply(frames) if streamed else json_reply(body)
    nothing = sse_reply(chat_wire.chat_stream("")) if streamed else json_reply(chat_wire.chat_json(""))
    upstream.reply(empty, nothing)
    async with running(configured(upstream, "relay"), tmp_path) as router:
        status, _, raw = await router.ask(stream=streamed)
    assert (status, len(upstream.requests)) == (200, 2)
    if streamed:
        assert [event["type"] for event in events_of(raw)].count("content_block_start") == 1
    else:
        assert json.loads(raw)["content"] == [TEXT]


@pytest.mark.parametrize("road", ["relay", "translation"])
async def test_what_is_held_back_is_bounded(upstream: Upstream, tmp_path, road):
    """A provider that signals life for ever and says nothing has failed once that is more than anybody would keep."""
    pings = PING * 2000
    upstream.reply(
        Reply(
            headers={"content-type": "text/event-stream"},
            steps=(START, *itertools.repeat(pings, 40), Gate(asyncio.Event())),
        ),
        sse_reply(chat_wire.chat_stream("from the second")),
    )
    async with running(configured(upstream, road), tmp_path) as router:
        async with asyncio.timeout(10):
            assert text_of(events_of(await stream(router, road))) == "from the second"


@pytest.mark.parametrize("first", [b"\n", b" ", b"\r\n"])
async def test_white_space_before_an_answer_is_not_kept(upstream: Upstream, tmp_path, first):
    """Servers that keep a connection alive with empty lines do so for as long as they like."""
    steps = (*itertools.repeat(first, 200), b"".join(anthropic_wire.message_stream("there")))
    upstream.reply(Reply(headers={"content-type": "text/event-stream"}, steps=steps))
    async with running(configured(upstream, "relay"), tmp_path) as router:
        assert text_of(events_of(await stream(router, "relay"))) == "there"

"""Servers that refuse a parameter: the request is sent again without it, once found out never with it."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import provider, running, text_of
from tests.upstream import Upstream, chat_wire, json_reply, sse_reply


@pytest.fixture
async def router(upstream: Upstream, tmp_path):
    """A chat server that no profile describes."""
    server = {**provider(upstream, "openai"), "name": "somewhere"}
    async with running({"Providers": [server], "Router": {"default": "somewhere,m1"}}, tmp_path) as router:
        yield router


REFUSALS = [
    ("Unrecognized request argument supplied: stream_options", "stream_options", None),
    ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
     "max_tokens", "max_completion_tokens"),
    ("[{'type': 'extra_forbidden', 'loc': ('body', 'temperature'), 'msg': 'Extra inputs are not permitted'}]",
     "temperature", None),
]  # fmt: skip


@pytest.mark.parametrize(("words", "gone", "instead"), REFUSALS)
async def test_sent_again_without(router, upstream: Upstream, words, gone, instead):
    """The client sees the answer; the second request lacks the member (or has it renamed), and so does every later one."""
    upstream.reply(
        json_reply(chat_wire.error_json(words), status=400),
        sse_reply(chat_wire.chat_stream("Hi")),
        sse_reply(chat_wire.chat_stream("Again")),
    )
    assert text_of(await router.stream(model="somewhere,m1", temperature=0.5)) == "Hi"
    assert text_of(await router.stream(model="somewhere,m1", temperature=0.5)) == "Again"
    first, second, third = (received.json() for received in upstream.requests)
    assert gone in first
    for later in (second, third):
        assert gone not in later
        if instead:
            assert later[instead] == first[gone]


@pytest.mark.parametrize(
    "words", ["'messages' contains an unsupported role", "unknown model", "temperature must be between 0 and 1"]
)
async def test_other_errors_are_told(router, upstream: Upstream, words):
    """An error about anything that matters is the client's to see, and is not tried again."""
    upstream.reply(json_reply(chat_wire.error_json(words), status=400))
    status, _, raw = await router.ask(model="somewhere,m1", temperature=0.5, stream=True)
    assert status == 400
    assert words in json.loads(raw)["error"]["message"]
    assert len(upstream.requests) == 1


async def test_a_server_that_refuses_both_names(router, upstream: Upstream):
    """Refusing a member under either name ends in the error, not in a loop."""
    upstream.reply(
        json_reply(chat_wire.error_json("Unknown parameter: max_tokens"), status=400),
        json_reply(chat_wire.error_json("Unknown parameter: max_completion_tokens"), status=400),
        json_reply(chat_wire.error_json("Unknown parameter: max_tokens"), status=400),
    )
    status, _, _ = await router.ask(model="somewhere,m1")
    assert status == 400
    assert len(upstream.requests) == 3

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


TOO_HIGH = [
    ("max_tokens is too large: 128000. This model supports at most 16384 completion tokens, whereas you provided 128000.",
     16384),
    ("Range of max_tokens should be [1, 65536]", 65536),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
    (("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
     "`context_window` for this model"), 8192),
    (("Unable to submit request because it has a maxOutputTokens value of 128000 but the supported range is from 1 "
     "(inclusive) to 65537 (exclusive). Update the value and try again."), 65536),
    ("max_tokens must be between 1 and 4096", 4096),
    ("max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for m1", 64000),
    ("max_tokens: Input should be less than or equal to 16,384", 16384),
]  # fmt: skip


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("words", "most"), TOO_HIGH)
async def test_a_limit_that_is_too_high(router, upstream: Upstream, words, most, status):
    """The request is sent again with the limit that the error names, later ones at once; a lower limit stays."""
    upstream.reply(
        json_reply(chat_wire.error_json(words), status=status),
        sse_reply(chat_wire.chat_stream("Hi")),
        sse_reply(chat_wire.chat_stream("Again")),
        sse_reply(chat_wire.chat_stream("Short")),
    )
    assert text_of(await router.stream(model="somewhere,m1", max_tokens=128000)) == "Hi"
    assert text_of(await router.stream(model="somewhere,m1", max_tokens=128000)) == "Again"
    assert text_of(await router.stream(model="somewhere,m1", max_tokens=100)) == "Short"
    assert [received.json()["max_tokens"] for received in upstream.requests] == [128000, most, most, 100]


async def test_a_limit_under_the_other_name(router, upstream: Upstream):
    """The limit is lowered under the name that it has by then."""
    upstream.reply(
        json_reply(
            chat_wire.error_json("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'"), status=400
        ),
        json_reply(chat_wire.error_json("max_completion_tokens must be at most 16384 tokens"), status=400),
        sse_reply(chat_wire.chat_stream("Hi")),
        sse_reply(chat_wire.chat_stream("Hi")),
    )
    for _ in range(2):
        assert text_of(await router.stream(model="somewhere,m1", max_tokens=128000)) == "Hi"
    for received in upstream.requests[2:]:
        assert received.json()["max_completion_tokens"] == 16384
        assert "max_tokens" not in received.json()


@pytest.mark.parametrize(
    "words",
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 137000 tokens (9000 in the messages, "
            "128000 in the completion). Please reduce the length of the messages or completion."
        ),
        (
            "'max_tokens' is too large: 128000. This model's maximum context length is 32768 tokens and your request has 9000 "
            "input tokens (128000 > 32768 - 9000)"
        ),
        "prompt is too long: 210000 tokens > 200000 maximum",
        "max_tokens is too large: at most 500 tokens are left of the context length",
        "max_tokens is too large: at most 8000 tokens per minute",
        "max_tokens must be less than or equal to 200000",
    ],
)
async def test_an_overflow_is_no_such_limit(router, upstream: Upstream, words):
    """A conversation that is too long, or a limit that the request keeps, stays an error."""
    upstream.reply(json_reply(chat_wire.error_json(words), status=400))
    status, _, _ = await router.ask(model="somewhere,m1", max_tokens=128000, stream=True)
    assert status == 400
    assert len(upstream.requests) == 1

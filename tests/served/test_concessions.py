"""What is translated for a Messages provider and refused there is asked again without it: the client never named it."""

from __future__ import annotations

import pytest

from tests.served.conftest import post
from tests.upstream import Upstream, anthropic_wire, json_reply

ASKED = {"model": "anthropic,m1", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9000}


def refusal(words: str):
    return json_reply(anthropic_wire.error_json("invalid_request_error", words), status=400)


OK = json_reply(anthropic_wire.message_json("ok"))

REFUSALS = [
    ("adaptive thinking is not supported on this model", {"reasoning_effort": "low"},
     {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    ("adaptive thinking is not supported on this model", {"reasoning_effort": "max", "max_tokens": 3000, "temperature": 0.2},
     {"thinking": {"type": "enabled", "budget_tokens": 1976}, "max_tokens": 3000}),
    ("adaptive thinking is not supported on this model", {"reasoning_effort": "max", "max_tokens": 1500}, {"max_tokens": 1500}),
    ("output_config.effort: Extra inputs are not permitted", {"reasoning_effort": "low"}, {"thinking": {"type": "adaptive"}}),
    ("`temperature` is deprecated for this model.", {"temperature": 0.5, "top_p": 1}, {"top_p": 1.0}),
    ("`temperature` and `top_p` cannot both be specified for this model.", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
    ("tools.0.strict: Extra inputs are not permitted",
     {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
     {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "more", "sent"), REFUSALS)
async def test_asked_again(router, upstream: Upstream, words, more, sent):
    """The second request is without what was refused, all else as it was; the next one begins without it."""
    upstream.reply(refusal(words), OK, OK)
    for _ in range(2):
        status, headers, raw = await post(router, "/v1/chat/completions", {**ASKED, **more})
        assert status == 200, raw
        assert int(headers["x-ccr-losses"]) >= 1
    base = {"model": "m1", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stream": False}
    expected = {**base, "max_tokens": 9000, **sent}
    assert [request.json() for request in upstream.requests[1:]] == [expected, expected]


async def test_a_lost_thought(router, upstream: Upstream):
    """A provider that wants the thinking of an earlier turn, which the client did not keep, is asked without thinking;
    the next conversation has it again.
    """
    words = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    upstream.reply(refusal(words), OK, OK)
    for _ in range(2):
        status, _, _ = await post(router, "/v1/chat/completions", {**ASKED, "reasoning": {"max_tokens": 2000}})
        assert status == 200
    assert ["thinking" in request.json() for request in upstream.requests] == [True, False, True]


@pytest.mark.parametrize(
    "words", ["messages.0.content: some words that are unknown", "prompt is too long: 9 tokens > 8 maximum"]
)
async def test_what_cannot_be_done_without(router, upstream: Upstream, words):
    """Other refusals are the client's."""
    upstream.reply(refusal(words))
    status, _, raw = await post(router, "/v1/chat/completions", {**ASKED, "temperature": 1, "reasoning_effort": "low"})
    assert status == 400
    assert words.encode() in raw


async def test_clients_of_messages_negotiate_themselves(router, upstream: Upstream):
    """A Messages client sees the refusal, as before."""
    upstream.reply(refusal("`temperature` is deprecated for this model."))
    status, _, raw = await router.ask(model="anthropic,m1", temperature=0.5)
    assert status == 400
    assert b"deprecated" in raw

"""What providers tell of a bill beyond tokens: read in every dialect, by readers and by taps, and never passed on."""

from __future__ import annotations

import json
import re

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.bills import cost_reported, count_of, service_of
from ccrouter.dialects.openai_chat.served.tap import ChatTap
from ccrouter.dialects.openai_responses.served.tap import ResponsesTap
from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages.events import Billed, render
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.upstream import anthropic_wire, chat_wire, gemini_wire, responses_wire

ASKED = {"model": "asked", "max_tokens": 5000, "messages": [{"role": "user", "content": "hi"}]}
COST = {"cost": 0.0125}
MESSAGES = {
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "server_tool_use": {"web_search_requests": 2},
    "output_tokens_details": {"thinking_tokens": 7},
    "speed": "fast",
    **COST,
}
CHAT = {"completion_tokens_details": {"reasoning_tokens": 7}, **COST}
RESPONSES = {"reasoning": 7}
GEMINI = {"thoughtsTokenCount": 7}


def charged(data: bytes, cost: object = 0.0125) -> bytes:
    """A frame or an answer of Responses whose usage says what was charged, as OpenRouter's does."""
    return re.sub(rb'"usage": ?\{', b'"usage":{"cost":' + json.dumps(cost).encode() + b",", data)


#: Dialect → frames of a stream, a whole answer, and what is told in both.
SPOKEN = {
    "anthropic": (
        lambda: anthropic_wire.message_stream("Hi", usage=MESSAGES),
        lambda: anthropic_wire.message_json("Hi", usage=MESSAGES),
        Billed(7, 10, 2, 0.0125, "fast"),
    ),
    "openai_chat": (
        lambda: chat_wire.chat_stream("Hi", usage=CHAT),
        lambda: chat_wire.chat_json("Hi", usage=CHAT),
        Billed(7, cost=0.0125),
    ),
    "openai_responses": (
        lambda: [charged(frame) for frame in responses_wire.response_stream("Hi", usage=RESPONSES)],
        lambda: json.loads(charged(json.dumps(responses_wire.response_json("Hi", usage=RESPONSES)).encode())),
        Billed(7, cost=0.0125),
    ),
    "gemini": (
        lambda: gemini_wire.gemini_stream("Hi", usage=GEMINI),
        lambda: gemini_wire.gemini_json("Hi", usage=GEMINI),
        Billed(7),
    ),
}


def reader_of(dialect):
    target = Target(Provider("p", (Endpoint(dialect, "https://example.test/v1"),)), "m")
    sent = DIALECTS[dialect].encode(MessagesRequest.read(json.dumps(ASKED).encode()), target, {})
    return DIALECTS[dialect].reader(sent, target, MessageWriter(id="msg_1", model="asked", input_tokens=0))


@pytest.mark.parametrize("dialect", SPOKEN)
def test_read_from_a_stream(dialect):
    """A streamed answer's bill is read, and no byte that a client gets tells of it."""
    frames, _, told = SPOKEN[dialect]
    reader, sse = reader_of(dialect), SseReader()
    assert reader.billed == Billed()
    events = [made for event in sse.feed(b"".join(frames())) for made in reader.feed(event)] + reader.close()
    assert reader.billed == told
    assert not any(word in b"".join(map(render, events)) for word in (b"0.0125", b"thinking_tokens", b"reasoning_tok"))


@pytest.mark.parametrize("dialect", SPOKEN)
def test_read_from_a_whole_answer(dialect):
    """So is an unstreamed one's."""
    _, whole, told = SPOKEN[dialect]
    reader = reader_of(dialect)
    reader.feed_body(json.dumps(whole()).encode())
    reader.close()
    assert reader.billed == told


TAPS = {
    "anthropic": Tap,
    "openai_chat": lambda: ChatTap(asked="m", sent="m"),
    "openai_responses": lambda: ResponsesTap(asked="m", sent="m", echo={}),
}


@pytest.mark.parametrize("dialect", TAPS)
def test_looked_at_in_passing(dialect):
    """A tap reads the same, streamed and whole, and the bytes are as they came."""
    frames, whole, told = SPOKEN[dialect]
    tap, sse = TAPS[dialect](), SseReader()
    for event in sse.feed(b"".join(frames())):
        passed = tap.feed(event)
        assert passed in (None, event.data)
    assert tap.billed == told
    tap = TAPS[dialect]()
    body = json.dumps(whole()).encode()
    (tap.note_body if dialect == "anthropic" else tap.feed_body)(body)
    assert tap.billed == told


@pytest.mark.parametrize("dialect", [name for name in SPOKEN if name != "gemini"])
@pytest.mark.parametrize("nonsense", ["1.5", True, -1, [1], {"total": 2}, None])
def test_nonsense_is_no_bill(dialect, nonsense):
    """A cost of another type, or one that is no amount, is not known; the answer is read as ever."""
    wires = {"anthropic": anthropic_wire.message_json, "openai_chat": chat_wire.chat_json}
    body = json.dumps(wires.get(dialect, responses_wire.response_json)("Hi")).encode()
    reader = reader_of(dialect)
    reader.feed_body(charged(body, nonsense))
    reader.close()
    assert reader.billed == Billed()
    assert reader.usage.output_tokens == 12


def test_a_key_of_ones_own_at_the_upstream():
    """OpenRouter's fee and the upstream's charge are both paid; the fee alone would pass for all of it."""
    assert cost_reported(0.01, is_byok=True, details={"upstream_inference_cost": 0.2}) == pytest.approx(0.21)
    assert cost_reported(0.01, is_byok=True, details={"upstream_inference_cost": None}) is None
    assert cost_reported(0.01, is_byok=True) is None
    assert cost_reported(0.01, is_byok=False, details={"upstream_inference_cost": 0.2}) == 0.01
    assert cost_reported(0, is_byok=False) == 0.0


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (("standard", "default", None), ""),
        (("auto", 3, "not_available"), ""),
        (("standard", "priority", "us"), "priority"),
        ((None, None, "us"), "us"),
    ],
)
def test_the_usual_service_is_not_named(told, named):
    """Of the words for how an answer was served, those stand out that have prices of their own."""
    assert service_of(*told) == named


def test_a_tier_of_openai():
    """Chat and Responses say at their top which tier served; a Messages answer says it in its usage."""
    for dialect, whole in (
        ("openai_chat", chat_wire.chat_json("Hi")),
        ("openai_responses", responses_wire.response_json("Hi")),
    ):
        for tap in (TAPS[dialect](), reader_of(dialect)):
            tap.feed_body(json.dumps({**whole, "service_tier": "priority"}).encode())
            assert tap.billed.service == "priority"


def test_searches_that_the_provider_made():
    """Responses are told by their items, of which opening a page is no search; Gemini's by its queries."""
    calls = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page", "url": "u"}},
        {"type": "web_search_call", "id": "ws_3", "status": "completed"},
    ]
    whole = responses_wire.response_json("A web_search_call, in words")
    whole["output"] = [*calls, *whole["output"]]
    for teller in (TAPS["openai_responses"](), reader_of("openai_responses")):
        teller.feed_body(json.dumps(whole).encode())
        assert teller.billed.searches == 2
    grounded = gemini_wire.gemini_json("Hi")
    grounded["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["a", "b"]}
    reader = reader_of("gemini")
    reader.feed_body(json.dumps(grounded).encode())
    assert reader.billed.searches == 2


def test_counts_that_are_none():
    """Are 0, and so is what is less."""
    assert [count_of(value) for value in (3, 2.9, True, "3", None, -4, float("inf"), [])] == [3, 2, 0, 0, 0, 0, 0, 0]


def test_sums_know_what_they_do_not_know():
    """Two bills make one, whose cost is known only if both were."""
    first, second = Billed(1, 2, 3, 0.5), Billed(10, 20, 30, 0.25, "fast")
    assert first.plus(second) == Billed(11, 22, 33, 0.75, "fast")
    assert first.plus(Billed(1)).cost is None
    assert Billed(1).plus(second).cost is None

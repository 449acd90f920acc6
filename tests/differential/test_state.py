"""Reasoning state from every maker to every receiver: its maker gets it exactly as it was sent, nobody else any of it."""

from __future__ import annotations

import base64
import json
import re

import msgspec
import pytest

from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages.request import MessagesRequest
from tests.differential.answers import events_of, folded
from tests.differential.targets import TARGETS, dialect_of
from tests.upstream import anthropic_wire, chat_wire, gemini_wire, responses_wire

CALLS = (("call_1", "Read", {"path": "x"}), ("call_2", "List", {}))
THOUGHT = "The hidden plan of the maker."
SIGNATURE = "EqQBCkYIARgCIkAn-signature"
DETAILS = [
    {"type": "reasoning.text", "text": THOUGHT, "signature": "SIG-of-openrouter", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "SEALED-of-openrouter", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]  # fmt: skip


def _openrouter(*, streamed):
    if not streamed:
        body = chat_wire.chat_json("Look:", None, CALLS)
        body["choices"][0]["message"] |= {"reasoning": THOUGHT, "reasoning_details": DETAILS}
        return json.dumps(body).encode()
    frames = chat_wire.chat_stream("Look:", None, CALLS)
    told = [chat_wire.chunk({"reasoning": THOUGHT, "reasoning_details": DETAILS})]
    return b"".join([frames[0], *told, *frames[1:]])


def _one(stream, whole):
    return lambda *, streamed: b"".join(stream()) if streamed else json.dumps(whole()).encode()


#: Of every maker of state: what it answers, and where in its next request it finds again what it sent.
MAKERS = {
    "anthropic": (
        _one(
            lambda: anthropic_wire.message_stream("Look:", THOUGHT, CALLS, signature=SIGNATURE),
            lambda: anthropic_wire.message_json("Look:", THOUGHT, CALLS, signature=SIGNATURE),
        ),
        lambda body: body["messages"][1]["content"][0],
        {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE},
        [SIGNATURE],
    ),
    "openrouter": (
        _openrouter,
        lambda body: body["messages"][1]["reasoning_details"],
        DETAILS,
        ["SIG-of-openrouter", "SEALED-of-openrouter"],
    ),
    "deepseek": (
        _one(
            lambda: chat_wire.chat_stream("Look:", THOUGHT, CALLS),
            lambda: chat_wire.chat_json("Look:", THOUGHT, CALLS),
        ),
        lambda body: body["messages"][1]["reasoning_content"],
        THOUGHT,
        [],
    ),
    "responses": (
        _one(
            lambda: responses_wire.response_stream("Look:", [THOUGHT, "More."], CALLS),
            lambda: responses_wire.response_json("Look:", [THOUGHT, "More."], CALLS),
        ),
        lambda body: body["input"][1],
        responses_wire.items(thinking=[THOUGHT, "More."])[0],
        [responses_wire.SEALED],
    ),
    "gemini": (
        _one(
            lambda: gemini_wire.gemini_stream("Look:", THOUGHT, CALLS, size=99),
            lambda: gemini_wire.gemini_json("Look:", THOUGHT, CALLS),
        ),
        lambda body: body["contents"][1]["parts"],
        [{"text": THOUGHT, "thought": True}, {"text": "Look:"}, *gemini_wire.call_parts(CALLS)],
        [gemini_wire.SIGNATURE],
    ),
}
_PACKED = re.compile(rb"ccr1:[A-Za-z0-9_:=-]*")


def history_of(maker, *, streamed):
    """A conversation in which the maker's answer, as a client keeps it, is the second turn, and its calls are answered."""
    wire = MAKERS[maker][0](streamed=streamed)
    content = msgspec.to_builtins(folded(events_of(TARGETS[maker], wire, streamed=streamed)))["content"]
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in content
        if block["type"] == "tool_use"
    ]
    assert len(results) == 2
    return [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [*results, {"type": "text", "text": "on"}]},
    ]


def encoded(receiver, messages):
    body = {"model": "asked", "max_tokens": 8000, "messages": messages}
    return DIALECTS[dialect_of(receiver)].encode(MessagesRequest.read(json.dumps(body).encode()), TARGETS[receiver], {})


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("maker", MAKERS)
def test_state_comes_back_to_its_maker_as_it_was(maker, streamed):
    """What a provider sent as its reasoning is in its next request to the letter, and the ledger names no loss there."""
    _, place, sent, _ = MAKERS[maker]
    request = encoded(maker, history_of(maker, streamed=streamed))
    assert place(json.loads(request.body)) == sent
    assert not [loss for loss in request.losses if loss.path.startswith("messages[1]") and loss.fate != "hint"]


#: Anthropic's own signatures are its API's, whoever serves it.
STRANGERS = [
    (maker, receiver)
    for maker in MAKERS
    for receiver in TARGETS
    if receiver != maker and not (maker == "anthropic" == dialect_of(receiver))
]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("maker", "receiver"), STRANGERS)
def test_state_goes_to_nobody_else(maker, receiver, streamed):
    """Another provider, or another model where state is a model's own, gets neither the thought nor its seal, in no
    wrapping; the ledger names the block that was left out, and the rest of the answer is there.
    """
    messages = history_of(maker, streamed=streamed)
    request = encoded(receiver, messages)
    for secret in (THOUGHT, *MAKERS[maker][3]):
        for form in (secret.encode(), base64.b64encode(secret.encode()), base64.urlsafe_b64encode(secret.encode())):
            assert form.rstrip(b"=")[:-2] not in request.body
    assert not _PACKED.search(request.body)
    content = messages[1]["content"]
    left_out = {f"messages[1].content[{place}]" for place, block in enumerate(content) if block["type"] == "thinking"}
    told = {loss.path for loss in request.losses if loss.fate != "hint" and loss.path.startswith("messages[1]")}
    assert left_out
    assert left_out <= told
    assert b"Look:" in request.body
    assert request.body.count(b'"Read"') >= 1


@pytest.mark.parametrize("maker", MAKERS)
def test_state_survives_a_turn_with_somebody_else(maker):
    """After another provider answered a turn, the maker still gets its own, and nothing of the other's."""
    _, place, sent, _ = MAKERS[maker]
    other = "gemini" if maker != "gemini" else "responses"
    messages = history_of(maker, streamed=True)
    theirs = history_of(other, streamed=True)[1:]
    for block in theirs[0]["content"] + theirs[1]["content"]:  # ids of a conversation are its own
        for name in ("id", "tool_use_id"):
            if name in block:
                block[name] += "b"
    body = json.loads(encoded(maker, [*messages, *theirs]).body)
    assert place(body) == sent
    for secret in MAKERS[other][3]:
        assert secret not in json.dumps(body)

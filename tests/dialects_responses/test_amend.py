"""Servers that refuse something: what is left out, what is moved, and what is the client's to see."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.ledger import counted
from ccrouter.dialects.openai_responses import DIALECT
from ccrouter.dialects.openai_responses.reasoning import pack
from tests.dialects_responses.casefile import make_target, read_request
from tests.dialects_responses.law import check_request
from tests.upstream import responses_wire

ITEM = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": []}
THOUGHT = {"type": "thinking", "thinking": "", "signature": pack("openai", "gpt-5-mini", ITEM, "")}
MEMBERS = {
    "system": "Be brief.", "metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 500},
    "tools": [{"name": "Read"}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "y"}]},
        {"role": "user", "content": "z"},
    ],
}  # fmt: skip


def sent_to(target="openai gpt-5-mini", **members):
    return DIALECT.encode(read_request(**{**MEMBERS, **members}), make_target(target), {})


def refused(sent, message, status=400):
    body = json.dumps(responses_wire.error_json(message)).encode()
    return DIALECT.refused_member(DIALECT.explain(status, {}, body, "openai"), sent)


def amended(sent, *names):
    later = DIALECT.without(sent, names)
    body = json.loads(later.body)
    check_request(body)
    new = [loss for loss in counted(later.losses) if loss not in sent.losses]
    return body, new


CASES = [
    ("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", "parallel_tool_calls"),
    ("Unknown parameter: 'prompt_cache_key'.", "prompt_cache_key"),
    ("Unsupported parameter: 'reasoning.effort' is not supported with this model.", "reasoning.effort"),
    ("Unsupported parameter: 'reasoning' is not supported with this model.", "reasoning"),
    ("Unknown parameter: 'reasoning.summary'.", "reasoning.summary"),
    ("Your organization must be verified to generate reasoning summaries. Please go to: https://e.com", "reasoning.summary"),
    ("Encrypted content is not supported with this model.", "include"),
    ("Unknown parameter: 'include'.", "include"),
    ("Unsupported parameter: max_output_tokens", "max_output_tokens"),
]  # fmt: skip


ASKED = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use", "prompt_cache_key": "", "include": "",
    "reasoning.summary": "", "reasoning.effort": "thinking", "reasoning": "thinking",
}  # fmt: skip


@pytest.mark.parametrize(("message", "name"), CASES)
def test_left_out(message, name):
    """A refused member is left out, and nothing else of the request changes; a loss names the place where it was asked
    for. Hints, and what the router asks by itself, are none.
    """
    sent = sent_to()
    before = json.loads(sent.body)
    assert refused(sent, message) == name
    body, losses = amended(sent, name)
    member, _, inner = name.partition(".")
    if inner:
        del before[member][inner]
    else:
        del before[member]
    assert body == before
    assert [loss.path for loss in losses] == [path for path in [ASKED.get(name, name)] if path]
    assert DIALECT.without(sent, [name, name]).body == DIALECT.without(sent, [name]).body


def test_nothing_left_of_reasoning():
    """A `reasoning` of which nothing is left is not sent."""
    sent = sent_to(thinking={"type": "adaptive"})
    assert json.loads(sent.body)["reasoning"] == {"summary": "auto"}
    assert "reasoning" not in amended(sent, "reasoning.summary")[0]


def test_an_effort_that_this_model_does_not_know():
    """The one word is left out, also of later requests; others are not."""
    sent = sent_to(thinking={"type": "disabled"})
    message = "Unsupported value: 'minimal' is not supported with the 'gpt-5-mini' model. Supported values are: 'low', 'high'."
    name = refused(sent, message)
    assert name == "reasoning.effort=minimal"
    assert "reasoning" not in amended(sent, name)[0]
    other = sent_to(output_config={"effort": "high"})
    body, losses = amended(other, name)
    assert body["reasoning"]["effort"] == "high"
    assert losses == []


def test_instructions_become_a_message():
    """A server without `instructions` is told them in the first message; nothing is lost."""
    sent = sent_to()
    assert refused(sent, "Unsupported parameter: 'instructions'") == "instructions"
    body, losses = amended(sent, "instructions")
    assert "instructions" not in body
    assert body["input"][0] == {"type": "message", "role": "system", "content": "Be brief."}
    assert losses == []


def test_a_limit_that_is_too_high():
    """The limit goes down to what the error names; a lower one stays."""
    sent = sent_to("openai gpt-4.1", max_tokens=128_000)
    message = "max_output_tokens is too large: 128000. This model supports at most 16384 completion tokens."
    message = message.replace("128000", str(json.loads(sent.body)["max_output_tokens"]))
    name = refused(sent, message)
    assert name == "max_output_tokens<=16384"
    body, losses = amended(sent, name)
    assert body["max_output_tokens"] == 16384
    assert [loss.path for loss in losses] == ["max_tokens"]
    assert amended(sent_to(max_tokens=9000), name)[0]["max_output_tokens"] == 9000


LOST = [
    ("The encrypted content gAAA...DQ== could not be verified.", 400),
    ("The encrypted content for item rs_1 could not be verified. Reason: could not be decrypted or parsed.", 400),
    ("Item 'rs_1' of type 'reasoning' was provided without its required following item.", 400),
    ("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", 404),
]  # fmt: skip


@pytest.mark.parametrize(("message", "status"), LOST)
def test_reasoning_that_its_maker_cannot_read(message, status):
    """It is left out with a loss: better than a session that ends there."""
    sent = sent_to()
    name = refused(sent, message, status)
    assert name == "input[].reasoning!"
    body, losses = amended(sent, name)
    assert [item["type"] for item in body["input"]] == ["message", "message", "message"]
    assert [loss.path for loss in losses] == ["messages[].content[].signature"]
    assert refused(sent_to(messages=[{"role": "user", "content": "x"}]), message, status) == ""


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Unknown parameter: 'store'.", 400),
        ("Invalid value: 'hologram'. Supported values are: 'input_text'.", 400),
        ("temperature must be between 0 and 2", 400),
        ("Unsupported value: 'x' is not supported with the 'gpt-5-mini' model.", 400),
        ("The model `gpt-9` does not exist", 404),
        ("Unsupported parameter: 'parallel_tool_calls'", 500),
        ("prompt is too long: max_output_tokens must be at most 10 tokens", 400),
    ],
)
def test_other_errors_are_told(message, status):
    """An error about anything that matters is the client's to see; that nothing be stored is never given up."""
    assert refused(sent_to(), message, status) == ""


def test_what_is_refused_was_sent():
    """A member that is not in the request cannot be what the error means."""
    assert refused(sent_to(), "Unsupported parameter: 'temperature'") == ""
    assert DIALECT.without(sent_to(), ["temperature", "reasoning.mode"]).body == sent_to().body

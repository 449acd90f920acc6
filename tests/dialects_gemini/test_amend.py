"""Doing without what a server refuses: read from the words that Google's servers really use."""

from __future__ import annotations

import json

import msgspec
import pytest

from ccrouter.dialects.gemini import DIALECT
from tests.dialects_gemini.casefile import make_target, read_request
from tests.dialects_gemini.law import check_request

CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"n": 1}}
MEMBERS = {
    "max_tokens": 60000,
    "temperature": 0.5,
    "top_k": 50,
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "tools": [
        {
            "name": "Read",
            "input_schema": {
                "type": "object",
                "properties": {
                    "n": {"type": ["integer", "null"], "enum": [1, 2]},
                    "tags": {"type": "array"},
                    "when": {"type": "string", "format": "date"},
                    "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {}}, {"type": "null"}]},
                    "any": {},
                },
                "additionalProperties": False,
            },
        },
        {"name": "Bare"},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
    ],
}
UNKNOWN = "Invalid JSON payload received. Unknown name \"{}\" at '{}': Cannot find field."


def error(message, status=400):
    body = json.dumps({"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}).encode()
    return DIALECT.explain(status, {}, body, "google")


def sent_to(target="google gemini-3-pro-preview", **changes):
    return DIALECT.encode(read_request(**{**MEMBERS, **changes}), make_target(target), {})


def body_of(sent):
    return json.loads(sent.body)


def amended(message, sent):
    """The body without what the error names, and what is lost with it."""
    name = DIALECT.refused_member(error(message), sent)
    assert name, message
    again = DIALECT.without(sent, (name,))
    assert DIALECT.refused_member(error(message), again) == "", "it is not done without twice"
    assert DIALECT.without(again, (name,)).body == again.body
    return body_of(again), [loss.path for loss in again.losses[len(sent.losses) :]]


@pytest.mark.parametrize(
    "message",
    [
        UNKNOWN.format("thinkingConfig", "generation_config"),
        UNKNOWN.format("thinkingLevel", "generation_config.thinking_config"),
        "Unable to submit request because Thinking_level is not supported by this model.",
        "Thinking level MINIMAL is not supported for this model. Please retry with other thinking level.",
        "Budget 0 is invalid. This model only works in thinking mode.",
        "The thinking budget 100000 is invalid. Please choose a value between 512 and 24576.",
        "Thinking is not enabled for this model",
    ],
)
def test_thinking(message):
    """A model that cannot be told how to think is not told."""
    body, lost = amended(message, sent_to())
    assert "thinkingConfig" not in body["generationConfig"]
    assert lost == ["thinking"]


@pytest.mark.parametrize(
    ("message", "member", "path"),
    [
        (UNKNOWN.format("topK", "generation_config"), "topK", "top_k"),
        ("Unable to submit request because it has a topK value of 50 but the supported range is from 1", "topK", "top_k"),
        ("temperature is not supported for this model", "temperature", "temperature"),
    ],
)  # fmt: skip
def test_sampling(message, member, path):
    """Sampling that a model does not take is left to it."""
    body, lost = amended(message, sent_to())
    assert member not in body["generationConfig"]
    assert lost == [path]


def test_limit():
    """A limit that is too high goes down to the highest one."""
    message = (
        "Unable to submit request because it has a maxOutputTokens value of 60000 but the supported range is from 1 "
        "(inclusive) to 8193 (exclusive). Update the value and try again."
    )
    body, lost = amended(message, sent_to())
    assert body["generationConfig"]["maxOutputTokens"] == 8192
    assert lost == ["max_tokens"]


def test_ids():
    """A server that knows no ids matches calls and results by their order: nothing is lost."""
    body, lost = amended(UNKNOWN.format("id", "contents[1].parts[0].function_call"), sent_to())
    check_request(body, is_signed=True, has_ids=False)
    assert lost == []


def test_older_schemas():
    """A server that knows no JSON Schema gets OpenAPI's."""
    body, lost = amended(UNKNOWN.format("parametersJsonSchema", "tools[0].function_declarations[0]"), sent_to())
    check_request(body, is_signed=True)
    read, bare = body["tools"][0]["functionDeclarations"]
    assert read["parameters"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "nullable": True},
            "tags": {"type": "array", "items": {"type": "string"}},
            "when": {"type": "string"},
            "either": {"anyOf": [{"type": "string"}, {"type": "object"}]},
            "any": {"type": "string"},
        },
    }
    assert bare == {"name": "Bare"}
    assert lost == []


def test_signatures():
    """A model that turns out to want its calls signed gets the word that passes for a signature."""
    sent = sent_to("relay house-model", tools=MEMBERS["tools"][:1])
    assert "thoughtSignature" not in body_of(sent)["contents"][1]["parts"][0]
    message = "Function call is missing a thought_signature in functionCall parts. This is required for tools to work."
    body, lost = amended(message, sent)
    check_request(body, is_signed=True, has_ids=False)
    assert lost == []


def test_announcement():
    """A server that knows no announcement of its own searches gets none."""
    sent = sent_to()
    assert body_of(sent)["toolConfig"] == {"includeServerSideToolInvocations": True}
    body, _ = amended(UNKNOWN.format("includeServerSideToolInvocations", "tool_config"), sent)
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("API key not valid. Please pass a valid API key.", 400),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 400),
        ("Tool use with function calling is unsupported", 400),
        (UNKNOWN.format("contents", ""), 400),
        (UNKNOWN.format("seed", "generation_config"), 400),
        (UNKNOWN.format("thinkingConfig", "generation_config"), 500),
        ("Function calling with a response mime type: 'application/json' is unsupported", 400),
    ],
)
def test_what_may_not_go(message, status):
    """Keys, the conversation, tools and the asked format are nothing to do without."""
    assert DIALECT.refused_member(error(message, status), sent_to()) == ""


def test_ledger_keeps_up():
    """What is done without is lost, and no longer mapped."""
    sent = sent_to()
    again = DIALECT.without(sent, ("thinkingConfig", "maxOutputTokens<=10"))
    assert {"thinking.type", "max_tokens"} <= sent.mapped
    assert not {"thinking.type", "max_tokens"} & again.mapped


def test_unreadable_numbers_stay():
    """Arguments that hold a number beyond every type are left as they are, and nothing breaks on them."""
    call = b'{"type":"tool_use","id":"t1","name":"Read","input":{"n":1e999}}'
    raw = json.dumps(MEMBERS["messages"]).encode().replace(json.dumps(CALL).encode(), call)
    request = read_request(**MEMBERS).replace(messages=msgspec.Raw(raw))
    sent = DIALECT.encode(request, make_target(), {})
    assert b"1e999" in DIALECT.without(sent, ("functionCall.id", "thinkingConfig")).body


def test_nothing_refused_changes_nothing():
    """Without a refusal the request is the same object."""
    sent = sent_to()
    assert DIALECT.without(sent, ()) is sent

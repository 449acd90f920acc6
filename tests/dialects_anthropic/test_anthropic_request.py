"""Messages to Messages: the client's bytes but for the model, and nothing that only others may see."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.anthropic import DIALECT
from ccrouter.messages import carrier
from ccrouter.messages.request import MessagesRequest

FIRST = Target(Provider("anthropic", (Endpoint("anthropic", "https://api.anthropic.com/v1/messages"),)), "claude-sent")
THIRD = Target(
    Provider("openrouter", (Endpoint("anthropic", "https://openrouter.ai/api/v1/messages"),)), "qwen/sent:free"
)
RELAY = Target(Provider("relay", (Endpoint("anthropic", "https://relay.example/v1/messages"),)), "m1")
TARGETS = [FIRST, THIRD, RELAY]

BILLING = "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;"


def encode(body: str | dict, target=FIRST, headers=None):
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return DIALECT.encode(MessagesRequest.read(text.encode()), target, headers or {})


def sent(body, target=FIRST, headers=None) -> dict:
    return json.loads(encode(body, target, headers).body)


# -- identity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.provider.name)
def test_bytes_are_untouched_but_the_model(target):
    """Unknown members and blocks, number formats, escapes and order reach the provider as the client wrote them."""
    body = (
        '{"model":%s,"max_tokens":100,"temperature":1.0,"stream":true,'
        '"messages":[ {"role":"user", "content":[{"type":"hologram","n":1.50,"t":"\\u00e9 \\/"}]} ],'
        '"tools":[{"name":"T","input_schema":{"$schema":"x","minimum":-0.0}}],"surprise":{"b":[1,2.0,1e3],"a":null},'
        '"thinking":{"type":"adaptive","display":"updates"},"context_management":{"edits":[]},"metadata":{"user_id":"{}"}}'
    )
    encoded = encode(body % '"asked"', target)
    assert encoded.body.decode() == body % json.dumps(target.model)
    assert encoded.losses == ()
    assert encoded.names == {}


def test_a_name_given_twice_is_sent_once():
    """The provider cannot read another model than the router judged by: duplicates collapse before the model is set."""
    encoded = encode('{"model":"a","max_tokens":1,"model":"b","messages":[1],"messages":[2]}')
    assert encoded.body == b'{"model":"claude-sent","max_tokens":1,"messages":[2]}'


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=4) | st.none(), max_size=4))
def test_any_member_passes(extra):
    """Members that nobody has heard of pass with their values."""
    extra = {name: value for name, value in extra.items() if name not in {"model", "max_tokens", "messages"}}
    body = {"model": "a", "max_tokens": 5, "messages": [], **extra}
    assert sent(msgspec.json.encode(body).decode()) == {**body, "model": "claude-sent"}


def test_max_tokens_is_filled_in_where_the_api_insists():
    """Absent or null max_tokens becomes the profile's and is told as a loss; a given one, or a provider that needs none,
    is left alone.
    """
    for body in ({"model": "a", "messages": []}, {"model": "a", "messages": [], "max_tokens": None}):
        encoded = encode(body)
        assert json.loads(encoded.body)["max_tokens"] > 1000
        assert [loss.path for loss in encoded.losses] == ["max_tokens"]
        assert sent(body, THIRD).get("max_tokens") is None
    assert sent({"model": "a", "messages": [], "max_tokens": 7})["max_tokens"] == 7


def test_configured_members_are_added():
    """A provider's `extra_body` is set on top of what the client sent."""
    provider = Provider("relay", RELAY.provider.endpoints, extra_body={"provider": {"order": ["x"]}, "top_k": 3})
    body = sent({"model": "a", "messages": [], "max_tokens": 1, "top_k": 9}, Target(provider, "m1"))
    assert (body["provider"], body["top_k"]) == ({"order": ["x"]}, 3)


# -- attribution -------------------------------------------------------------------------------------------------------


PROMPT = {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}


def system_of(system, target):
    return sent({"model": "a", "max_tokens": 1, "system": system, "messages": []}, target).get("system", "absent")


def test_attribution_reaches_anthropic():
    """Claude Code's attribution block is part of the bytes that Anthropic itself gets."""
    system = [{"type": "text", "text": BILLING}, PROMPT]
    assert system_of(system, FIRST) == system
    assert system_of(BILLING + "\nBe brief.", FIRST) == BILLING + "\nBe brief."


@pytest.mark.parametrize("target", [THIRD, RELAY], ids=["openrouter", "relay"])
@pytest.mark.parametrize(
    ("system", "left"),
    [
        ([{"type": "text", "text": BILLING}, PROMPT], [PROMPT]),
        ([PROMPT, {"type": "text", "text": BILLING}], [PROMPT]),
        ([{"type": "text", "text": BILLING}], "absent"),
        (BILLING, "absent"),
        (BILLING + "\n\nYou are brief.", "You are brief."),
        ("Never write x-anthropic-billing-header.", "Never write x-anthropic-billing-header."),
        ([{"type": "text", "text": "About x-anthropic-billing-header"}], [{"type": "text", "text": "About x-anthropic-billing-header"}]),
        ([PROMPT], [PROMPT]),
    ],
)  # fmt: skip
def test_attribution_is_dropped_for_others(system, left, target):
    """Others do not get the attribution, which would undo their prefix caches; texts that only mention it stay whole."""
    assert system_of(system, target) == left


def test_other_system_blocks_keep_their_bytes():
    """Taking the attribution out leaves the blocks beside it as they were written."""
    system = '[{"type":"text","text":"' + BILLING + '"}, {"type":"text","text":"\\u00e9" , "n":1.0}]'
    encoded = encode('{"model":"a","max_tokens":1,"messages":[],"system":' + system + "}", RELAY)
    assert b'"system":[{"type":"text","text":"\\u00e9" , "n":1.0}]' in encoded.body


# -- foreign state -----------------------------------------------------------------------------------------------------

OWN = '{"type":"thinking","thinking":"t" ,"signature":"EqQBCkYIARgC"}'
FOREIGN = '{"type":"thinking","thinking":"f","signature":"' + carrier.pack("openai_chat", "deepseek", b"state") + '"}'
CALL = '{"type":"tool_use","id":"t1","name":"T","input":{"n":1.0, "big":123456789012345678901234567890}}'


def with_turns(*turns: str) -> str:
    return '{"model":"a","max_tokens":1,"messages":[' + ",".join(turns) + "]}"


def assistant(*blocks: str) -> str:
    return '{"role":"assistant","content":[' + ",".join(blocks) + '],"novel":1.0}'


USER = '{"role":"user", "content":"x"}'


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.provider.name)
def test_foreign_thinking_is_removed_and_counted(target):
    """Thinking that another dialect's provider sealed is gone and told as a loss; own thinking and all other bytes stay."""
    encoded = encode(with_turns(USER, assistant(FOREIGN, OWN, CALL), USER), target)
    assert encoded.body.decode() == with_turns(USER, assistant(OWN, CALL), USER).replace(
        '"a"', json.dumps(target.model)
    )
    assert [loss.path for loss in encoded.losses] == ["messages[1].content[0]"]


def test_a_turn_of_nothing_else_is_removed():
    """A turn that was nothing but foreign thinking goes as a whole, and is told as such."""
    encoded = encode(with_turns(USER, assistant(FOREIGN, FOREIGN), USER))
    assert encoded.body.decode() == with_turns(USER, USER).replace('"a"', '"claude-sent"')
    assert [loss.path for loss in encoded.losses] == ["messages[1].content[0]", "messages[1].content[1]", "messages[1]"]


@pytest.mark.parametrize(
    "turn",
    [
        '{"role":"user","content":"quoting \\"ccr1:x:y:z\\""}',
        '{"role":"user","content":[{"type":"text","text":"\\"ccr1:x:y:z\\""}]}',
        '{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ccr1:a"}]}]}',
        '{"role":"user","content":[{"type":"text","text":"ccr1:a"},"ccr1:b",7,{"signature":["ccr1:c"]}]}',
        '{"role":"user","note":"ccr1:a"}',
        '"ccr1:a"',
        '["ccr1:a"]',
        '{"role":"user","content":{"signature":"ccr1:a"}}',
    ],
)
def test_the_mark_elsewhere_changes_nothing(turn):
    """The mark in a text, or in a turn of a shape that only the provider can judge, changes not a byte and fails nothing."""
    assert encode(with_turns(turn)).body.decode() == with_turns(turn).replace('"a"', '"claude-sent"', 1)


# -- headers -----------------------------------------------------------------------------------------------------------

CLIENT = {
    "host": "127.0.0.1:3456",
    "x-api-key": "client-key",
    "authorization": "Bearer client-key",
    "proxy-authorization": "Basic x",
    "cookie": "session=1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "h",
    "forwarded": "for=10.0.0.1",
    "x-real-ip": "10.0.0.1",
    "via": "1.1 x",
    "connection": "keep-alive",
    "transfer-encoding": "chunked",
    "content-length": "10",
    "content-type": "application/json",
    "content-encoding": "gzip",
    "accept": "application/json",
    "accept-encoding": "gzip, br",
    "origin": "http://localhost",
    "referer": "http://localhost/x",
    "x-ccr-client": "standard",
    "x-custom": "1",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "anthropic-version": "2026-10-21",
    "anthropic-beta": "a-2026,b-2026",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "x-claude-code-session-id": "s",
    "x-claude-code-request-class": "main",
}
COMMON = {"accept", "user-agent", "anthropic-version", "anthropic-beta"}


def test_anthropic_gets_the_protocols_headers():
    """Anthropic itself gets every header of its own protocol, with the client's values, and no other."""
    headers = encode({"model": "a", "messages": []}, FIRST, CLIENT).headers
    protocol = {name for name in CLIENT if name.startswith(("anthropic-", "x-stainless-", "x-claude-code-"))}
    assert set(headers) == COMMON | protocol | {"x-app"}
    assert all(headers[name] == CLIENT[name] for name in headers if name != "accept")


@pytest.mark.parametrize("target", [THIRD, RELAY], ids=["openrouter", "relay"])
def test_others_get_version_and_betas(target):
    """Others get the version, the betas under both their names and the user agent; what tells of the user's machine or
    session stays here.
    """
    headers = encode({"model": "a", "messages": []}, target, CLIENT).headers
    assert set(headers) == COMMON | {"x-anthropic-beta"}
    assert headers["anthropic-beta"] == headers["x-anthropic-beta"] == "a-2026,b-2026"
    assert headers["anthropic-version"] == "2026-10-21"


PRIVATE = [
    "x-api-key", "authorization", "proxy-authorization", "cookie", "set-cookie", "x-forwarded-for", "x-forwarded-proto", "forwarded",
    "x-real-ip", "host", "connection", "x-ccr-client", "x-goog-api-key", "api-key", "content-length", "transfer-encoding",
]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(PRIVATE) | st.text(alphabet="abx-", min_size=1, max_size=8), st.just("v")),
    st.sampled_from(TARGETS),
)
def test_what_is_not_listed_never_passes(headers, target):
    """Keys, cookies, tracks and whatever else is not on the list do not pass, to nobody."""
    passed = encode({"model": "a", "messages": []}, target, headers).headers
    assert set(passed) <= COMMON | {"x-app", "x-anthropic-beta"}
    assert "v" not in {value for name, value in passed.items() if name not in {"user-agent", "x-app"}}


def test_defaults_of_the_headers():
    """Without a version the stable one is sent; `accept` says whether a stream is asked for."""
    body = {"model": "a", "messages": []}
    assert encode(body).headers == {"accept": "application/json", "anthropic-version": "2023-06-01"}
    assert encode({**body, "stream": True}).headers["accept"] == "text/event-stream"
    assert encode(body, headers={"anthropic-version": ""}).headers["anthropic-version"] == "2023-06-01"

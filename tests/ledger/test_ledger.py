"""What becomes of a request: losses and hints told apart, each by its path, and everything else kept or mapped."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.base import Loss
from ccrouter.dialects.ledger import HINTS, counted, pattern_of, summed_up
from ccrouter.messages import carrier
from tests.ledger.conftest import CALL, CHATTER, HI, encoded, request_of


def fates(sent) -> dict[str, str]:
    return {loss.path: loss.fate for loss in sent.losses}


def test_what_claude_code_always_sends_is_no_loss():
    """Caching, accounting, telemetry and presentation: all of it is listed, each once, and none of it is counted."""
    sent = encoded(headers={"anthropic-beta": "effort-2025-11-24"}, **CHATTER)
    assert counted(sent.losses) == ()
    assert fates(sent) == dict.fromkeys(
        [
            "system[]", "system[].cache_control", "messages[].content[].cache_control", "metadata", "safeguards",
            "context_management", "thinking.display", "tools[].defer_loading", "tools[]", "headers.anthropic-beta",
        ],
        "hint",
    )  # fmt: skip
    assert len(sent.losses) == len(set(sent.losses))


def test_a_cache_mark_is_told_once_a_place():
    """A hundred marks in a conversation are one hint."""
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    sent = encoded(messages=[{"role": "user", "content": [marked] * 100}])
    assert [loss.path for loss in sent.losses] == ["messages[].content[].cache_control"]


def test_a_cache_mark_is_kept_where_it_means_something():
    """OpenRouter honours marks on Claude's texts: they are kept, and no hint says otherwise."""
    sent = encoded("openrouter anthropic/claude-sonnet-4.5", **{**CHATTER, "tools": []})
    assert "messages[].content[].cache_control" in sent.kept
    assert "messages[].content[].cache_control" not in fates(sent)


@pytest.mark.parametrize("name", sorted(HINTS))
def test_every_hint_is_a_hint(name):
    """Each member of the table is told as a hint and goes nowhere; nothing about it is counted."""
    sent = encoded(**{name: {"mk": "marker"}})
    assert fates(sent) == {name: "hint"}
    assert b"marker" not in sent.body


LOSSES = [
    ({"top_k": 5}, "top_k", "dropped"),
    ({"inference_geo": "eu"}, "inference_geo", "dropped"),
    ({"container": "c"}, "container", "dropped"),
    ({"fallbacks": [{"model": "m"}]}, "fallbacks", "dropped"),
    ({"invented": 1}, "invented", "dropped"),
    ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget", "dropped"),
    ({"thinking": {"type": "adaptive", "invented": 1}}, "thinking.invented", "dropped"),
    ({"output_config": {"effort": "high"}}, "output_config.effort", "dropped"),
    ({"stop_sequences": list("abcdef")}, "stop_sequences", "approximated"),
    ({"tools": [{"name": "t", "input_schema": {}, "strict": True}]}, "tools[0].strict", "dropped"),
    ({"tools": [{"name": "t", "input_schema": {}, "input_examples": [{}]}]}, "tools[0].input_examples", "dropped"),
    ({"tools": [{"name": "t", "input_schema": {}, "allowed_callers": ["x"]}]}, "tools[0].allowed_callers", "dropped"),
    ({"messages": [HI, {"role": "system", "content": "now"}, HI]}, "messages[1].role", "approximated"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "t", "novel": 1}]}]},
     "messages[0].content[0].novel", "dropped"),
    ({"messages": [{"role": "user", "content": "t", "novel": 1}]}, "messages[0].novel", "dropped"),
    ({"system": [{"type": "text", "text": "t", "novel": 1}]}, "system[0].novel", "dropped"),
    ({"messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "text", "data": "d"}, "citations": {"enabled": True}}]}]},
     "messages[0].content[0].citations", "dropped"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "path", "fate"), LOSSES, ids=[path for _, path, _ in LOSSES])
def test_a_real_loss_is_counted_by_its_path(members, path, fate):
    """What the model would read or do otherwise is a loss where the provider has no such thing, and only that."""
    sent = encoded(**members)
    assert fates(sent) == {path: fate}
    assert len(counted(sent.losses)) == 1


NOTHING = [
    {"tools": [{"name": "t", "input_schema": {}, "strict": False, "allowed_callers": ["direct"], "input_examples": []}]},
    {"messages": [HI, {"role": "assistant", "content": [{**CALL, "caller": {"type": "direct"}}]},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}]},
    {"messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "text", "data": "d"}, "citations": {"enabled": False}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "t", "citations": None, "novel": None}]}]},
    {"container": None, "thinking": None, "temperature": 1, "context_management": {}},
]  # fmt: skip


@pytest.mark.parametrize("members", NOTHING)
def test_what_says_nothing_is_no_loss(members):
    """Defaults, nulls and empty lists are worth no line."""
    assert encoded(**members).losses == ()


def test_thinking_of_others_is_dropped_and_the_targets_own_is_mapped():
    """Each thinking block is told by its own path; what goes back is in `mapped`."""
    own = {"type": "thinking", "thinking": "hm", "signature": carrier.pack("openai_chat", "deepseek")}
    other = {"type": "thinking", "thinking": "hm", "signature": "ErUB"}
    text = {"type": "text", "text": "so"}
    sent = encoded("deepseek deepseek-chat", messages=[HI, {"role": "assistant", "content": [other, own, text]}, HI])
    assert fates(sent) == {"messages[1].content[0]": "dropped"}
    assert {"messages[].content[].thinking", "messages[].content[].signature"} <= sent.mapped


def test_words_for_pages_lose_what_was_sealed():
    """A search that Anthropic made is told in words, and what only Anthropic can read of it is dropped by name."""
    page = {"type": "web_search_result", "url": "https://x.test", "title": "X", "encrypted_content": "sealed"}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [page]}
    sent = encoded(messages=[HI, {"role": "assistant", "content": [found]}, HI])
    assert fates(sent) == {
        "messages[1].content[0]": "approximated",
        "messages[1].content[0].content[].encrypted_content": "dropped",
    }


def test_schemas_lose_what_binds_and_not_what_notes():
    """Keywords that Gemini refuses are one loss for all tools, with their names; `$schema` is none."""
    schema = {"$schema": "d", "type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": 1}}}
    tools = [{"name": name, "input_schema": {**schema, "additionalProperties": False}} for name in "ab"]
    (loss,) = encoded("gemini gemini-2.5-flash", tools=tools).losses
    assert loss.path == "tools[].input_schema"
    assert loss.fate == "approximated"
    assert loss.what.endswith(": additionalProperties, exclusiveMinimum")
    assert encoded("gemini gemini-2.5-flash", tools=[{"name": "a", "input_schema": {"$schema": "d"}}]).losses == ()


def test_what_a_provider_refuses_is_told_by_the_clients_path():
    """A member that is sent no more is a loss at the place where it was asked for, and neither kept nor mapped."""
    from ccrouter.dialects.openai_chat import DIALECT  # noqa: PLC0415 - the one place that needs it

    sent = encoded(
        "openrouter x/y", temperature=0.5, thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=9000
    )
    assert {"temperature"} <= sent.kept
    assert {"thinking.type", "thinking.budget_tokens"} & sent.mapped
    less = DIALECT.without(sent, ("temperature", "reasoning", "max_tokens<=4000"))
    assert {"temperature": "dropped", "thinking": "dropped", "max_tokens": "approximated"}.items() <= fates(
        less
    ).items()
    assert not {"temperature", "thinking.type", "thinking.budget_tokens"} & (less.kept | less.mapped)


def test_unread_fields():
    """Unknown fields of turns and blocks are found wherever there are some; the conversation is decoded as ever."""
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "x": 1, "y": None}]},
        {"role": "assistant", "content": "c", "z": {}},
    ]
    request = request_of(messages=messages, system=[{"type": "text", "text": "s", "w": [1]}])
    assert request.unread == ["system[0].w", "messages[0].content[1].x", "messages[1].z"]
    assert [turn.role for turn in request.turns] == ["user", "assistant"]
    assert request.turns[0].content[1].text == "b"
    assert request_of().unread == []


def test_fields_within_inner_blocks_are_free():
    """What tools answer may hold what it likes: blocks within blocks are not looked at for unknown fields."""
    inner = {"type": "text", "text": "x", "novel": 1}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [inner]}
    assert request_of(messages=[{"role": "user", "content": [result]}]).unread == []


def test_summing_up():
    """Losses that differ by their indexes alone are one entry: pattern, count, and the first five paths."""
    losses = [Loss(f"messages[{n}].content[0]", "not sent") for n in range(7)] + [Loss("top_k", "none", "hint")]
    first, second = summed_up(losses)
    assert (first.path, first.count, first.fate) == ("messages[].content[]", 7, "dropped")
    assert first.places == tuple(f"messages[{n}].content[0]" for n in range(5))
    assert (second.path, second.count, second.places) == ("top_k", 1, ("top_k",))
    assert pattern_of("a[12].b[3].c") == "a[].b[].c"


def test_names_of_any_length_are_cut():
    """A client's own member names cannot make the record grow without bounds."""
    (entry,) = summed_up([Loss("x" * 5000, "y" * 5000)])
    assert len(entry.path) == len(entry.what) == len(entry.places[0]) == 200


def test_identity_keeps_everything():
    """A Messages upstream gets every member as it came; only the model is another."""
    from ccrouter.config.schema import Endpoint, Provider, Target  # noqa: PLC0415 - the one place that needs it
    from ccrouter.dialects.anthropic import DIALECT  # noqa: PLC0415 - as above

    target = Target(Provider("p", (Endpoint("anthropic", "https://relay.example/v1/messages"),)), "m")
    sent = DIALECT.encode(request_of(novel={"a": 1}, top_k=3), target, {})
    assert sent.kept == {"max_tokens", "messages", "novel", "top_k"}
    assert sent.mapped == {"model"}
    assert sent.losses == ()
    assert json.loads(sent.body)["novel"] == {"a": 1}

"""Shapes that no well-behaved program sends: an error in the Messages form or an answer, never a defect of ours."""

from __future__ import annotations

import pytest

from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

SCHEMAS = [
    {"type": "object", "properties": {"a": {}}, "required": [{"a": 1}, ["b"], 5, None, "a"]},
    {"type": "object", "properties": {"a": {"type": "object", "required": True}}, "required": True},
    {"type": "object", "properties": [], "$defs": [1], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "object", "required": ["a"]}}, "additionalProperties": False},
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("place", ["tool", "format"])
async def test_schemas_of_any_shape(router, upstream: Upstream, schema, place):
    """A JSON schema that is none goes to the provider, which may judge it; it breaks nothing here."""
    upstream.reply(json_reply(chat_wire.chat_json("ok")))
    if place == "tool":
        more = {"tools": [{"name": "t", "input_schema": schema}]}
    else:
        more = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    status, _, raw = await router.ask(model="openai,m1", **more)
    assert status == 200, raw


async def test_a_role_of_nothing(router, upstream: Upstream):
    """A turn with an empty role, with the Claudable profile: the provider's to judge, or a 400."""
    upstream.always(json_reply(chat_wire.chat_json("ok")))
    status, _, raw = await router.ask(
        {"x-ccr-client": "claudable"}, model="openai,m1", messages=[{"role": "", "content": "x"}]
    )
    assert status == 400
    assert b"messages[0].role" in raw


@pytest.mark.parametrize("start", [b'{"type":"message_start"}', b'{"type":"message_start","message":[]}'])
async def test_message_start_without_a_message(router, upstream: Upstream, start):
    """A stream whose first event holds no message is the provider's protocol error."""
    frames = anthropic_wire.message_stream("Hi")
    frames[0] = b"event: message_start\ndata: " + start + b"\n\n"
    upstream.reply(sse_reply(frames))
    status, _, raw = await router.ask(model="anthropic,m1", stream=True)
    assert status == 502, raw

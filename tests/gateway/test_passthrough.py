"""Messages to Messages: identity, but for the model's name."""

from __future__ import annotations

import json

from tests.gateway.conftest import events_of, running, text_of
from tests.upstream import Upstream, chat_wire, json_reply, sse_reply
from tests.upstream import anthropic_wire as wire

UNTOUCHED = (
    '{"model": %s, "max_tokens":100,"messages":[{"role":"user","content":[{"type":"hologram","n":1.50,"t":"\\u00e9 é"}]}],'
    '"surprise":{"b":[1,2.0,1e3],"a":null},"stream":%s,"metadata":{"user_id":"u"}}'
)


async def test_request_bytes_are_untouched_but_model(router, upstream: Upstream):
    """Unknown members and blocks, number formats, escapes and key order reach the upstream as the client wrote them."""
    upstream.reply(json_reply(wire.message_json("ok")))
    body = UNTOUCHED % ('"anthropic,m1"', "false")
    async with router.client.post(f"{router.url}/v1/messages?beta=true", data=body.encode()) as response:
        assert response.status == 200
    assert upstream.requests[0].body.decode() == (UNTOUCHED % ('"m1"', "false")).replace(
        '"model": ', '"model":'
    ).replace(', "max_tokens"', ',"max_tokens"')
    assert upstream.requests[0].path == "/v1/messages"


async def test_stream_bytes_are_untouched(router, upstream: Upstream):
    """When the asked model is the sent one, the stream that the client gets is the upstream's, byte for byte."""
    frames = wire.message_stream("Hello wörld 🙂", thinking="hm", tools=[("t1", "Read", {"p": 1})])
    upstream.always(sse_reply(frames, split=7))
    status, _, raw = await router.ask(model="m1", stream=True)
    assert status == 200
    # a bare id that two providers list goes by the default route, under its own name
    assert raw == b"".join(frames)


async def test_message_start_names_the_asked_model(router, upstream: Upstream):
    """The client sees the model that it asked for, in streams and in JSON; every other byte is the upstream's."""
    frames = wire.message_stream("Hi", model="answered-model")
    upstream.reply(sse_reply(frames), json_reply(wire.message_json("Hi", model="answered-model")))
    _, headers, raw = await router.ask(model="anthropic,m2", stream=True)
    assert events_of(raw)[0]["message"]["model"] == "anthropic,m2"
    assert raw.split(b"\n\n")[1:] == b"".join(frames).split(b"\n\n")[1:]
    assert headers["x-ccr-model"] == "anthropic,m2"
    _, _, raw = await router.ask(model="anthropic,m2")
    assert json.loads(raw)["model"] == "anthropic,m2"


async def test_openrouter_extras_are_stripped(router, upstream: Upstream):
    """`[DONE]` and comments that OpenRouter adds do not reach the client; line separators in text are escaped."""
    frames = wire.message_stream(["a\u2028b", "c\u0085d"])
    noisy = [b": OPENROUTER PROCESSING\n\n", *frames, b"data: [DONE]\n\n"]
    upstream.reply(sse_reply(noisy, split="bytes"))
    _, _, raw = await router.ask(stream=True)
    assert b"DONE" not in raw
    assert b"PROCESSING" not in raw
    assert "\u2028".encode() not in raw
    assert text_of(events_of(raw)) == "a\u2028bc\u0085d"


async def test_unknown_events_pass(router, upstream: Upstream):
    """Events that did not exist when this was written pass."""
    frames = wire.message_stream("Hi")
    frames.insert(2, b'event: novelty\ndata: {"type":"novelty","x":1}\n\n')
    upstream.reply(sse_reply(frames))
    assert {"type": "novelty", "x": 1} in await router.stream()


async def test_missing_event_lines_are_added(router, upstream: Upstream):
    """An upstream that sends only data lines is made readable: every frame of ours has its event line."""
    bare = [frame[frame.index(b"data:") :] for frame in wire.message_stream("Hi")]
    upstream.reply(sse_reply(bare))
    assert text_of(await router.stream()) == "Hi"


async def test_json_where_a_stream_was_asked(router, upstream: Upstream):
    """An upstream that answers JSON to a streaming request: the client gets a well-formed stream all the same."""
    upstream.reply(json_reply(wire.message_json("Hi", thinking="hm", tools=[("t1", "Read", {"p": 1})])))
    events = await router.stream()
    assert text_of(events) == "Hi"
    assert [e["type"] for e in events if e["type"] in {"message_start", "message_stop"}] == [
        "message_start",
        "message_stop",
    ]
    assert any(e["type"] == "content_block_delta" and e["delta"].get("partial_json") == '{"p":1}' for e in events)


async def test_stream_where_json_was_asked(router, upstream: Upstream):
    """An upstream that streams to an unstreamed request: the client gets one JSON message."""
    upstream.reply(sse_reply(wire.message_stream("Hi", tools=[("t1", "Read", {"p": 1})])))
    status, _, raw = await router.ask()
    message = json.loads(raw)
    assert status == 200
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]
    assert message["stop_reason"] == "tool_use"


async def test_forgotten_message_stop_is_added(router, upstream: Upstream):
    """The end was announced by message_delta: a missing message_stop is added, as SDK helpers insist on one."""
    upstream.reply(sse_reply(wire.message_stream("Hi")[:-1]))
    assert (await router.stream())[-1] == {"type": "message_stop"}


async def test_headers(router, upstream: Upstream):
    """The provider's key goes upstream, the client's never; protocol headers pass, tracks and hop-by-hop do not."""
    upstream.reply(json_reply(wire.message_json("ok")))
    await router.ask(
        headers={
            "x-api-key": "client-key-must-not-pass",
            "authorization": "Bearer client-token-must-not-pass",
            "anthropic-beta": "some-beta-2026",
            "user-agent": "claude-cli/2.1",
            "x-forwarded-for": "10.0.0.1",
            "cookie": "a=b",
            "x-ccr-client": "standard",
            "te": "trailers",
        }
    )
    sent = upstream.requests[0].headers
    assert sent["x-api-key"] == "sk-anthropic-upstream-secret-0123456789"
    assert "must-not-pass" not in str(dict(sent))
    assert sent["anthropic-beta"] == "some-beta-2026"
    assert sent["anthropic-version"] == "2023-06-01"
    assert sent["user-agent"] == "claude-cli/2.1"
    for name in ("x-forwarded-for", "cookie", "x-ccr-client", "te"):
        assert name not in sent


async def test_endpoint_falls_back_once_and_is_remembered(upstream: Upstream, tmp_path):
    """A provider that may speak either: 404 at the Messages path means chat, and is not asked for again."""

    def brain(received):
        if received.path.endswith("/messages"):
            return json_reply({"detail": "Not Found"}, status=404)
        return json_reply(chat_wire.chat_json("from chat"))

    upstream.always(brain)
    config = {
        "providers": {"openrouter": {"baseURL": upstream.url + "/api", "apiKey": "sk-or-0123456789abcdef"}},
        "routers": {"default": {"defaultProvider": "openrouter", "routes": {"openrouter,q/q": {"default": True}}}},
    }
    async with running(config, tmp_path) as router:
        for _ in range(2):
            status, _, raw = await router.ask()
            assert status == 200
            assert json.loads(raw)["content"][0]["text"] == "from chat"
    assert [received.path for received in upstream.requests] == [
        "/api/v1/messages",
        "/api/v1/chat/completions",
        "/api/v1/chat/completions",
    ]

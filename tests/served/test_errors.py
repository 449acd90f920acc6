"""Errors in OpenAI's form, with the right status, wherever they come from."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.conftest import running
from tests.served.conftest import post
from tests.served.law import events_of, frames_of
from tests.served.wires import WIRES, config, unfinished
from tests.upstream import Reply, Upstream, chat_wire, json_reply, sse_reply

PATHS = ("/v1/chat/completions", "/chat/completions", "/v1/responses", "/responses")
ASKED = {"model": "anthropic,m1", "messages": [{"role": "user", "content": "x"}], "input": "x"}


def error_of(raw: bytes) -> dict:
    body = json.loads(raw)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


BAD = [
    (b"", "", 400),
    (b"{", "", 400),
    (b"[]", "", 400),
    (b'"x"', "", 400),
    (b'{"model":"m","messages":[{"role":"us\xff', "", 400),
    (b'{"model":1,"messages":[],"input":[]}', "model", 400),
    (b'{"model":"m"}', {"chat": "messages", "resp": "input"}, 400),
    (b'{"model":"m","messages":{},"input":{}}', {"chat": "messages", "resp": "input"}, 400),
    (b'{"model":"m","stream":"yes","messages":[],"input":[]}', "stream", 400),
    (b'{"model":"m","temperature":"hot","messages":[{"role":"user","content":"x"}],"input":"x"}', "temperature", 400),
    (b'{"model":"m","temperature":-1,"messages":[{"role":"user","content":"x"}],"input":"x"}', "temperature", 400),
    (b'{"model":"m","tools":{},"messages":[],"input":[]}', "tools", 400),
    (b'{"model":"m","tool_choice":"perhaps","messages":[],"input":[]}', "tool_choice", 400),
    (b'{"model":"m","tool_choice":{"type":"function","name":"f"},"messages":[],"input":[]}', "tool_choice", 400),
    (b'{"model":"m","messages":[{"role":"king","content":"x"}],"input":[{"role":"king","content":"x"}]}',
     {"chat": "messages[0].role", "resp": "input[0].role"}, 400),
    (b'{"model":"m","messages":[{"role":"user","content":5}],"input":[{"role":"user","content":5}]}',
     {"chat": "messages[0].content", "resp": "input[0].content"}, 400),
    (b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://x"}}]}],"input":[{"role":"user","content":[{"type":"input_image","image_url":"ftp://x"}]}]}',
     {"chat": "messages[0].content[0].image_url.url", "resp": "input[0].content[0].image_url"}, 400),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("body", "param", "status"), BAD, ids=[str(number) for number in range(len(BAD))])
async def test_what_is_no_request(router, path, body, param, status):
    """A 400 in OpenAI's form, with the JSON path at fault as `param`; no provider is asked."""
    got, headers, raw = await post(router, path, body)
    error = error_of(raw)
    assert (got, error["type"], headers["content-type"]) == (status, "invalid_request_error", "application/json")
    expected = param if isinstance(param, str) else param["chat" if "chat" in path else "resp"]
    assert (error["param"] or "") == expected
    assert error["message"]


UNSAYABLE = [
    ("/v1/chat/completions", {"n": 2}, "n"),
    ("/v1/chat/completions", {"modalities": ["text", "audio"], "audio": {"voice": "x"}}, "modalities"),
    ("/v1/chat/completions",
     {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]},
     "messages[0].content[0]"),
    ("/v1/chat/completions",
     {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
     "messages[0].content[0].file.file_id"),
    ("/v1/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("/v1/responses", {"conversation": "conv_1"}, "conversation"),
    ("/v1/responses", {"prompt": {"id": "pmpt_1"}, "input": None}, "prompt"),
    ("/v1/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ("/v1/responses", {"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
    ("/v1/responses", {"input": [{"type": "hologram"}]}, "input[0]"),
    ("/v1/responses", {"background": True}, "background"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more", "param"), UNSAYABLE)
async def test_what_messages_cannot_say(router, path, more, param):
    """What a provider of another dialect could not be told is refused by its path, with the reason."""
    status, _, raw = await post(router, path, {**ASKED, **more})
    error = error_of(raw)
    assert (status, error["param"]) == (400, param)
    assert error["message"].startswith(f"{param}: ")


async def test_a_target_of_the_clients_own_dialect_can(upstream: Upstream, tmp_path):
    """Where a fallback speaks the client's dialect, it is asked what the first target cannot be told."""
    upstream.reply(json_reply(chat_wire.chat_json("ok")))
    tree = config(upstream, "anthropic,m1")
    tree["Router"]["fallback"] = {"default": ["openai,m2"]}
    async with running(tree, tmp_path) as router:
        status, _, _ = await post(router, "/v1/chat/completions", {**ASKED, "model": "any", "n": 2})
    assert status == 200
    assert upstream.requests[0].json()["n"] == 2


async def test_paths_are_the_clients_own(router):
    """What an encoder refuses is named where it stands in the client's request, not in the one made of it."""
    asked = {
        "model": "openai,m1",
        "input": [
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_url": "https://x/y.pdf"}],
            },
        ],
    }
    status, _, raw = await post(router, "/v1/responses", asked)
    assert status == 400, raw
    assert error_of(raw)["param"] == "input[1].content[1]"


@pytest.mark.parametrize("path", PATHS)
async def test_the_routers_own_key(upstream: Upstream, tmp_path, path):
    """401 without or with a wrong key, and the SDK is told not to try again; the right one is taken as a Bearer."""
    upstream.reply(json_reply(WIRES["anthropic"].whole("ok")))
    async with running({**config(upstream), "APIKEY": "the-key-of-the-router"}, tmp_path) as router:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            status, told, raw = await post(router, path, ASKED, headers)
            error = error_of(raw)
            assert (status, error["code"]) == (401, "invalid_api_key")
            assert told["x-should-retry"] == "false"
            assert told["x-request-id"]
        status, _, _ = await post(router, path, ASKED, {"authorization": "Bearer the-key-of-the-router"})
    assert status == 200


async def test_a_foreign_origin(router):
    """403 in OpenAI's form for a page that tries."""
    status, _, raw = await post(router, "/v1/responses", ASKED, {"origin": "https://evil.example"})
    assert (status, error_of(raw)["type"]) == (403, "permission_error")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/embeddings", 404),
        ("POST", "/v1/completions", 404),
        ("GET", "/v1/responses/resp_1", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/responses", 405),
    ],
)
async def test_other_paths_of_openai(router, method, path, status):
    """What is not served says so in OpenAI's form, and names what is."""
    async with router.client.request(method, router.url + path) as response:
        assert response.status == status
        error = error_of(await response.read())
        assert response.headers["x-request-id"]
        assert ("allow" in response.headers) == (status == 405)
    assert error["type"] == "invalid_request_error"


async def test_too_large(upstream: Upstream, tmp_path):
    """413 before all of it is read."""
    async with running({**config(upstream), "maxBodyBytes": 1024}, tmp_path) as router:
        status, _, raw = await post(router, "/v1/chat/completions", {**ASKED, "user": "x" * 2000})
    assert (status, error_of(raw)["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", PATHS)
async def test_rate_limits(router, upstream: Upstream, dialect, path):
    """429 keeps the provider's words and its retry-after; so does 529, which is a 503 to clients of OpenAI."""
    asked = {**ASKED, "model": f"{dialect},m1"}
    for given, status in ((429, 429), (529, 503)):
        upstream.reply(json_reply(WIRES[dialect].error("slow down"), status=given, headers={"retry-after": "17"}))
        got, headers, raw = await post(router, path, asked)
        assert (got, headers["retry-after"]) == (status, "17")
        assert "slow down" in error_of(raw)["message"]
        assert headers["x-ccr-model"] == f"{dialect},m1"
        router.app.health.reset()  # else nobody would be asked before the 17 s are over


async def test_a_conversation_too_long(router, upstream: Upstream):
    """A provider's overflow, in whatever words, has the code by which agents compact."""
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    upstream.reply(json_reply(chat_wire.error_json(words), status=400))
    status, _, raw = await post(router, "/v1/responses", {**ASKED, "model": "openai,m1"})
    assert (status, error_of(raw)["code"]) == (400, "context_length_exceeded")


async def test_unknown_models(upstream: Upstream, tmp_path):
    """A model that nobody serves is `model_not_found`."""
    tree = config(upstream)
    tree["Router"] = {"default": "anthropic,m1"}
    async with running(tree, tmp_path) as router:
        status, _, raw = await post(router, "/v1/chat/completions", {**ASKED, "model": "nobody,x"})
    assert (status, error_of(raw)["code"]) == (404, "model_not_found")


async def test_a_broken_stream_of_chat(router, upstream: Upstream, dialect):
    """An error frame is the last, there is no [DONE], and no choice was finished."""
    upstream.reply(sse_reply(unfinished(dialect)))
    _, _, raw = await post(router, "/v1/chat/completions", {**ASKED, "model": f"{dialect},m1", "stream": True})
    frames = frames_of(raw)
    assert "finished" in json.loads(frames[-1][1])["error"]["message"]
    assert all("error" in json.loads(data) or not _finished(json.loads(data)) for _, data in frames)


def _finished(chunk):
    return any(choice["finish_reason"] for choice in chunk["choices"])


async def test_a_broken_stream_of_responses(router, upstream: Upstream, dialect):
    """`response.failed` tells what failed, and an `error` event after it makes SDKs raise; all is in order up to then."""
    upstream.reply(sse_reply(unfinished(dialect)))
    _, _, raw = await post(router, "/v1/responses", {**ASKED, "model": f"{dialect},m1", "stream": True})
    events = events_of(raw)
    failed, error = events[-2:]
    assert (failed["type"], failed["response"]["status"], error["type"]) == ("response.failed", "failed", "error")
    assert failed["response"]["error"] == {"code": "server_error", "message": error["message"]}
    assert "finished" in error["message"]


async def test_nothing_of_a_failed_attempt_is_seen(upstream: Upstream, tmp_path):
    """A target that begins an answer without content and breaks off leaves no trace in the answer of the next one."""
    upstream.reply(
        sse_reply(WIRES["anthropic"].stream("x")[:1]),
        sse_reply(chat_wire.chat_stream("from the second", usage_in="none")),
    )
    tree = config(upstream, "anthropic,m1")
    tree["Router"]["fallback"] = {"default": ["openai,m2"]}
    async with running(tree, tmp_path) as router:
        _, _, raw = await post(router, "/v1/responses", {**ASKED, "model": "any", "stream": True})
    events = events_of(raw)
    assert [event["type"] for event in events].count("response.created") == 1
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "from the second"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_a_failure_after_a_keep_alive(router, upstream: Upstream, path, monkeypatch):
    """While a provider is silent the client gets comments; a failure after that is told as the stream's own."""
    monkeypatch.setattr("ccrouter.server.respond.SILENCE_LIMIT", 0.0)
    gate = asyncio.Event()

    async def brain(_received):
        await gate.wait()
        return Reply(529, {}, (b"busy",))

    upstream.reply(brain)
    asking = asyncio.create_task(router.client.post(router.url + path, json={**ASKED, "stream": True}))
    await upstream.request(1)
    router.app._pulse.beat()
    response = await asyncio.wait_for(asking, 5)  # headers are here, and the provider has said nothing yet
    assert response.status == 200
    gate.set()
    raw = await response.read()
    assert raw.startswith(b": keep-alive\n\n")
    if path == "/v1/responses":
        assert [event["type"] for event in events_of(raw)] == [
            "response.created", "response.in_progress", "response.failed", "error",
        ]  # fmt: skip
    else:
        assert [json.loads(data)["error"]["code"] for _, data in frames_of(raw)] == ["server_is_overloaded"]

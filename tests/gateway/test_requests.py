"""What clients may send and who may send it: validation, limits, keys, names, the small endpoints."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, json_reply

GOOD = {"model": "anthropic,m1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


async def post(router, data, headers=None, path="/v1/messages"):
    async with router.client.post(router.url + path, data=data, headers=headers) as response:
        return response.status, response.headers, await response.read()


BAD = [
    (b"", "empty"),
    (b"{", "JSON"),
    (b"[]", "object"),
    (b'"text"', "object"),
    (b"{}", "Missing model"),
    (b'{"model":"m","messages":[]}', "messages"),
    (b'{"model":"m"}', "messages"),
    (b'{"model":5,"messages":[{"role":"user","content":"x"}]}', "model"),
    (b'{"model":"m","messages":"x"}', "messages"),
    (b'{"model":"m","max_tokens":"many","messages":[{"role":"user","content":"x"}]}', "max_tokens"),
    (b'{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]}', "max_tokens"),
    (b'{"model":"m","stream":"yes","messages":[{"role":"user","content":"x"}]}', "stream"),
    (
        b'{"model":"openai,m1","messages":[{"role":"user","content":[{"type":"text","text":5}]}]}',
        "messages[0].content[0].text",
    ),
    (b'{"model":"openai,m1","messages":[{"role":5,"content":"x"}]}', "messages[0].role"),
    (b'{"model":"m","messages":' + b"[" * 100_000, "JSON"),
    (b'{"model":"\xff","messages":[{"role":"user","content":"x"}]}', ""),
]


@pytest.mark.parametrize(("body", "place"), BAD)
async def test_bad_bodies(router, upstream: Upstream, body, place):
    """A malformed request is a 400 in the Messages form that names the place, and reaches no provider."""
    status, headers, raw = await post(router, body)
    answer = json.loads(raw)
    assert status == 400
    assert answer["type"] == "error"
    assert answer["error"]["type"] == "invalid_request_error"
    assert place in answer["error"]["message"]
    assert answer["request_id"] == headers["request-id"]
    assert "Traceback" not in raw.decode()
    assert upstream.requests == []


async def test_message_threads_are_refused_recoverably(router):
    """`thread` gets the exact error on which the SDKs resend the whole conversation."""
    status, _, raw = await post(router, json.dumps({**GOOD, "thread": {"type": "create"}}))
    assert status == 400
    assert json.loads(raw)["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


async def test_body_limit(tmp_path, upstream: Upstream):
    """A body above the limit is a 413 in the Messages form: by its declared length before it is read, and as it is read."""
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "maxBodyBytes": 2000,
    }
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(config, tmp_path) as router:
        big = json.dumps({**GOOD, "padding": "x" * 3000}).encode()

        async def pieces():
            for start in range(0, len(big), 500):
                yield big[start : start + 500]

        for data in (big, pieces()):
            status, _, raw = await post(router, data)
            assert status == 413
            assert json.loads(raw)["error"]["type"] == "request_too_large"
        bomb = gzip.compress(json.dumps({**GOOD, "padding": "x" * 1_000_000}).encode())
        assert len(bomb) < 2000
        assert (await post(router, bomb, {"content-encoding": "gzip"}))[0] == 413
        assert (await post(router, gzip.compress(json.dumps(GOOD).encode()), {"content-encoding": "gzip"}))[0] == 200
        assert (await post(router, b"not gzip", {"content-encoding": "gzip"}))[0] == 400
        assert (await post(router, b"x", {"content-encoding": "br"}))[0] == 415


KEY = "router-key-0123456789"
ACCEPTED = [
    {"x-api-key": KEY},
    {"authorization": f"Bearer {KEY}"},
    {"authorization": f"bearer {KEY}"},
    {"authorization": KEY},
    {"authorization": "Bearer sk-ant-oat-somebody-else", "x-api-key": KEY},
    {"authorization": f"Bearer {KEY}", "x-api-key": "something else"},
]
REFUSED = [
    {},
    {"x-api-key": ""},
    {"x-api-key": KEY[:-1]},
    {"x-api-key": KEY + "x"},
    {"x-api-key": KEY.upper()},
    {"authorization": f"Basic {KEY}"},
    {"authorization": f"Bearer {KEY}x"},
    {"authorization": "Bearer"},
]


async def test_keys(tmp_path, upstream: Upstream):
    """With APIKEY set: either header may carry it, in any usual form; nothing else will do, nor a key in the URL."""
    config = {"APIKEY": KEY, "Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(config, tmp_path) as router:
        for headers in ACCEPTED:
            assert (await post(router, json.dumps(GOOD), headers))[0] == 200, headers
        for headers in REFUSED:
            status, answered, raw = await post(router, json.dumps(GOOD), headers)
            assert status == 401, headers
            assert json.loads(raw)["error"]["type"] == "authentication_error"
            assert answered["x-should-retry"] == "false"
        assert (await post(router, json.dumps(GOOD), path=f"/v1/messages?key={KEY}&api_key={KEY}"))[0] == 401
        for path, expected in (
            ("/health", 200),
            ("/", 401),
            ("/api/hello", 401),
            ("/v1/models", 401),
            ("/nowhere", 401),
        ):
            async with router.client.get(router.url + path) as response:
                assert response.status == expected, path
            async with router.client.get(router.url + path, headers={"x-api-key": "wrong"}) as response:
                assert response.status == expected, path


async def test_without_a_key_any_will_do(router, upstream: Upstream):
    """Without APIKEY every client key is accepted and none of them is sent upstream."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    for headers in ({}, {"x-api-key": "test"}, {"authorization": "Bearer sk-or-users-own"}):
        assert (await post(router, json.dumps(GOOD), headers))[0] == 200
    assert "sk-or-users-own" not in str([dict(received.headers) for received in upstream.requests])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:3456"}, 403),
        ({"host": "["}, 403),
        ({"origin": "http://["}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost:3456"}, 200),
        ({"host": "[::1]:3456"}, 200),
        ({"host": "router.example"}, 200),
        ({"host": "fancy-name-3456.app.github.dev"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "https://fancy-name-3456.app.github.dev"}, 200),
    ],
)
async def test_foreign_hosts_and_origins(tmp_path, upstream: Upstream, headers, expected):
    """DNS rebinding gets nowhere: a Host or Origin that is not ours is a 403; ours, Codespaces' and configured ones pass."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "allowedHosts": ["router.example"],
    }
    environ = {"CODESPACE_NAME": "fancy-name", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"}
    async with running(config, tmp_path, environ) as router:
        status, answered, _ = await post(router, json.dumps(GOOD), headers)
    assert status == expected
    assert not any(name.lower().startswith("access-control") for name in answered)


async def test_small_endpoints(router):
    """What clients probe before they send anything."""
    for method, path, expected in (
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/api/hello", 200),
        ("GET", "/v1/messages", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/health", 405),
    ):
        async with router.client.request(method, router.url + path) as response:
            assert response.status == expected, (method, path)
            assert response.headers["request-id"].startswith("req_")
            if expected >= 400:
                assert (await response.json())["type"] == "error"
    async with router.client.get(router.url + "/health?x=1") as response:
        assert (await response.json())["status"] == "ok"
    async with router.client.post(router.url + "/api/event_logging/batch", json={"events": []}) as response:
        assert response.status == 200


async def test_models(router):
    """Models are listed in the Messages form; one by id; an unknown one is a 404 in the Messages form."""
    async with router.client.get(router.url + "/v1/models?limit=1000") as response:
        answer = await response.json()
    ids = [entry["id"] for entry in answer["data"]]
    assert "anthropic,m1" in ids
    assert answer["first_id"] == ids[0]
    assert all(entry["type"] == "model" and entry["display_name"] for entry in answer["data"])
    async with router.client.get(router.url + "/v1/models/anthropic,m1") as response:
        assert (await response.json())["id"] == "anthropic,m1"
    async with router.client.get(router.url + "/v1/models/none,such") as response:
        assert response.status == 404
        assert (await response.json())["error"]["type"] == "not_found_error"


async def test_count_tokens(router, upstream: Upstream):
    """For a chat provider count_tokens estimates here, asks nobody, and refuses what the Messages endpoint would refuse."""
    status, _, raw = await post(
        router, json.dumps({**GOOD, "model": "openai,m1"}), path="/v1/messages/count_tokens?beta=true"
    )
    assert status == 200
    assert json.loads(raw)["input_tokens"] > 0
    status, _, raw = await post(router, b'{"model":"m","messages":[]}', path="/v1/messages/count_tokens")
    assert status == 400
    assert upstream.requests == []


async def test_odd_model_names_do_not_break_headers(router, upstream: Upstream):
    """Model names with other scripts or line breaks end up in headers encoded, never raw."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    for name in ("anthropic,模型/é", "anthropic,a\r\nx-injected: 1"):
        status, headers, _ = await post(router, json.dumps({**GOOD, "model": name}))
        assert status == 200
        assert headers["x-ccr-model"].isascii()
        assert "x-injected" not in headers
        assert json.loads(upstream.requests[-1].body)["model"] == name.split(",", 1)[1]


async def test_unknown_provider(router, upstream: Upstream):
    """A provider that does not exist is a 404 that names those that do."""
    status, _, raw = await post(router, json.dumps({**GOOD, "model": "nowhere,m"}))
    assert status == 404
    message = json.loads(raw)["error"]["message"]
    assert "nowhere" in message
    assert "anthropic" in message
    assert upstream.requests == []

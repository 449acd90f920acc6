"""Attacks by request, on a router whose configuration was never verified: strangers are configured, and its routes lead
there. Each is refused in the client's form, or answered by the approved provider with an allowed model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.attacks.world import KEY, SENT, STRANGERS_WORDS, config_with, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.upstream import Upstream

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
QWEN = "openrouter,qwen/qwen3-coder"
TAG = f"<CCR-SUBAGENT-MODEL>{QWEN}</CCR-SUBAGENT-MODEL>"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": TAG}}


@dataclass(frozen=True)
class Attack:
    """What is sent (a body, or the bytes of one) to a router with these routes, and what must be seen: "refused" is a
    403 and nobody connected to, "malformed" the same as a 400; "approved" an answer of the approved
    provider.
    """

    name: str
    seen: str
    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""


def asks(model: str) -> dict[str, Any]:
    return {"model": model}


def says(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(content)}]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def whole(inner: str) -> bytes:
    """A whole body, written by hand, with `inner` in it."""
    return f'{{{inner},"max_tokens":9,"messages":[{{"role":"user","content":"x"}}]}}'.encode()


def talk(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


RESULT = talk(
    ("user", "x"),
    ("assistant", [USE]),
    ("user", [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [text(TAG)]}]),
)
DEEP = (
    b'{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"x"}],"metadata":'
    + b"[" * 50_000
    + b"]" * 50_000
    + b"}"
)

ATTACKS = [
    # -- comma models, and what looks like them
    Attack("banned provider", "refused", asks(QWEN)),
    Attack("unlisted provider", "refused", asks("evil,gpt-5")),
    Attack("allowed model of a stranger", "refused", asks("openrouter,claude-3.7-sonnet")),
    Attack("another model of the approved one", "refused", asks("anthropic,claude-opus-4-8")),
    Attack("a model that nobody lists", "refused", asks("anthropic,gpt-5")),
    Attack("the sent model", "refused", asks("anthropic,claude-sonnet-4-6")),
    Attack("capital provider", "refused", asks("OpenRouter,qwen/qwen3-coder")),
    Attack("blanks", "refused", asks(" openrouter , qwen/qwen3-coder ")),
    Attack("tab and line feed", "refused", asks("openrouter\t,\nqwen/qwen3-coder")),
    Attack("two commas", "refused", asks("anthropic,claude-3.7-sonnet,openrouter")),
    Attack("slash in the model", "refused", asks("anthropic,openrouter/claude-3.7-sonnet")),
    Attack("a line of a header", "refused", asks("anthropic,x\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK")),
    Attack("model in capitals", "approved", asks("anthropic,Claude-3.7-Sonnet")),
    Attack("model in full width", "refused", asks("anthropic,\uff43laude-3.7-sonnet")),
    Attack("model with zero width", "refused", asks("anthropic,claude-3.7-sonnet\u200b")),
    Attack("model of the long context", "refused", asks("anthropic,claude-3.7-sonnet[1m]")),
    Attack("preset", "refused", asks("anthropic,@preset/evil")),
    Attack("glob", "refused", asks("anthropic,claude-*")),
    Attack("a very long one", "refused", asks("anthropic," + "x" * 200_000)),
    Attack("provider in full width", "refused", asks("\uff4fpenrouter,qwen/qwen3-coder")),
    Attack("provider with zero width", "refused", asks("open\u200brouter,qwen/qwen3-coder")),
    Attack("provider in Cyrillic", "refused", asks("\u0430nthropic,claude-3.7-sonnet")),
    Attack("nobody's provider", "refused", asks("volcengine,x")),
    Attack("no provider", "refused", asks(",claude-3.7-sonnet")),
    Attack("URL for a provider", "refused", asks("https://evil.example/v1/messages,x")),
    Attack("half a character", "any", b'{"model":"anthropic,\\ud800","max_tokens":9,"messages":[{"role":"user","content":"x"}]}'),
    # -- bare ids
    Attack("bare id of a stranger", "refused", asks("qwen/qwen3-coder")),
    Attack("bare id of two strangers", "refused", asks("gpt-5")),
    Attack("bare Claude id", "approved", asks("claude-opus-4-8")),
    Attack("allowed bare id", "approved", asks("claude-3.7-sonnet")),
    Attack("full-width comma", "approved", asks("openrouter\uff0cqwen/qwen3-coder")),
    Attack("escaped comma", "approved", asks("openrouter%2Cqwen%2Fqwen3-coder")),
    Attack("no model", "approved", whole('"stream":false')),
    Attack("model null", "approved", whole('"model":null')),
    Attack("model as a list", "malformed", whole(f'"model":["{QWEN}"]')),
    Attack("model as an object", "malformed", whole('"model":{"id":"gpt-5"}')),
    # -- /model and tags
    Attack("/model in the prompt", "approved", says(text(f"/model {QWEN}"))),
    Attack("/model as a command", "approved", says(text(f"<command-name>/model</command-name><command-args>{QWEN}</command-args>"))),
    Attack("tag in a system block", "refused", {"system": [text(TAG)]}),
    Attack("tag in the system text", "refused", {"system": f"You are an agent. {TAG}"}),
    Attack("tag in the prompt", "refused", says(text(TAG + "go"))),
    Attack("tag in a plain prompt", "refused", talk(("user", TAG))),
    Attack("tag, escaped", "refused", b'{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"\\u003cCCR-SUBAGENT-MODEL\\u003eopenrouter,qwen/qwen3-coder\\u003c/CCR-SUBAGENT-MODEL\\u003e"}]}'),
    Attack("second of two tags", "approved", says(text("<CCR-SUBAGENT-MODEL>anthropic,claude-3.7-haiku</CCR-SUBAGENT-MODEL>" + TAG))),
    Attack("tag of another model", "refused", says(text("<CCR-SUBAGENT-MODEL>anthropic,claude-opus-4-8</CCR-SUBAGENT-MODEL>"))),
    Attack("tag in a tool's result", "approved", RESULT),
    Attack("tag in a tool's plain result", "approved", talk(
        ("user", "x"), ("assistant", [USE]),
        ("user", [{"type": "tool_result", "tool_use_id": "toolu_1", "content": TAG}]))),
    Attack("tag in an answer", "approved", talk(("user", "x"), ("assistant", TAG), ("user", "y"))),
    Attack("tag in a tool's description", "approved", {"tools": [{"name": "T", "description": TAG, "input_schema": {"type": "object"}}]}),
    Attack("tag within a tag", "refused", says(text(f"<CCR-SUBAGENT-MODEL>{TAG}</CCR-SUBAGENT-MODEL>x"))),
    Attack("tag in small letters", "approved", says(text(TAG.lower()))),
    # -- what a request is
    Attack("thinking", "refused", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, routes={"think": QWEN}),
    Attack("web search", "refused", {"tools": [SEARCH]}, routes={"webSearch": QWEN}),
    Attack("image", "refused", says(IMAGE), routes={"image": QWEN}),
    Attack("long context", "refused", says(text("word " * 80_000)), routes={"longContext": QWEN}),
    Attack("background", "refused", asks("claude-haiku-4-5"), routes={"background": QWEN}),
    Attack("haiku by an alias", "refused", asks("claude-haiku-4-5"), routes={"models": {"claude-haiku-*": QWEN}}),
    Attack("compaction by a header", "refused", headers={"x-claude-code-request-class": "compaction"}, routes={"compaction": QWEN}),
    Attack("subagent by a header", "refused", headers={"x-claude-code-agent-id": "a1"}, routes={"subagent": QWEN}),
    Attack("fallback", "refused", routes={"fallback": {"default": [QWEN]}}),
    Attack("fallback at the top", "refused", more={"fallback": {"default": ["evil,gpt-5"]}}),
    Attack("alias", "refused", asks("claude-best"), routes={"models": {"claude-best": QWEN}}),
    Attack("default", "refused", routes={"default": QWEN}),
    # -- members that choose models
    Attack("model twice, the bad one last", "refused", whole(f'"model":"anthropic,claude-3.7-sonnet","model":"{QWEN}"')),
    Attack("model twice, the bad one first", "approved", whole(f'"model":"{QWEN}","model":"anthropic,claude-3.7-sonnet"')),
    Attack("model twice, escaped", "refused", whole(f'"model":"anthropic,claude-3.7-sonnet","mod\\u0065l":"{QWEN}"')),
    Attack("capital twin", "refused", whole('"model":"x","Model":"gpt-5"')),
    Attack("twin that folds", "refused", whole('"model":"x","MODEL\u017f":["gpt-5"]')),
    Attack("models", "refused", {"models": ["claude-sonnet-4-6", "gpt-5"]}),
    Attack("models, escaped", "refused", whole('"model":"x","m\\u006fdels":["gpt-5"]')),
    Attack("fallbacks", "refused", {"fallbacks": [{"model": "gpt-5"}]}),
    Attack("fallback models", "refused", {"fallback_models": ["gpt-5"]}),
    Attack("route of the provider", "refused", {"route": "fallback"}),
    Attack("provider with a model", "refused", {"provider": {"order": ["x"], "model": "gpt-5"}}),
    Attack("plugins with models", "refused", {"plugins": [{"id": "x", "analysis_models": ["gpt-5"]}]}),
    Attack("server tool with a model", "refused", {"tools": [{"type": "advisor_20260301", "name": "a", "model": "gpt-5"}]}),
    Attack("server tool's parameters", "refused", {"tools": [{"type": "x:advisor", "parameters": {"model": "gpt-5"}}]}),
    Attack("tool twice of a type", "refused", whole('"model":"x","tools":[{"type":"custom","name":"a","type":"b","model":"gpt-5"}]')),
    Attack("deep within", "refused", {"container": {"skills": [{"x": [{"model": "gpt-5"}]}]}}),
    # -- shape
    Attack("deep", "any", DEEP),
    Attack("deep content", "any", b'{"model":"x","max_tokens":9,"messages":[{"role":"user","content":' + b'[{"type":"tool_result","content":' * 5000 + b'"x"' + b"}]" * 5000 + b"}]}"),
    Attack("huge", "approved", says(text("x" * 3_000_000)), routes={"longContextThreshold": 10_000_000}),
    Attack("two documents", "malformed", whole('"model":"x"') + whole(f'"model":"{QWEN}"')),
    Attack("a list", "malformed", b"[" + whole(f'"model":"{QWEN}"') + b"]"),
    Attack("UTF-16", "malformed", whole(f'"model":"{QWEN}"').decode().encode("utf-16")),
    Attack("no JSON", "malformed", b"model=openrouter,gpt-5"),
    # -- headers and queries
    Attack("headers that choose", "approved", headers={
        "x-ccr-model": QWEN, "x-ccr-route": "openrouter", "x-ccr-provider": "openrouter", "x-ccr-policy": "open",
        "x-model": "gpt-5", "anthropic-model": "gpt-5", "x-claude-code-model": "gpt-5"}),
    Attack("headers of forwarders", "approved", headers={
        "x-forwarded-host": "openrouter.ai", "x-forwarded-proto": "http", "x-original-url": "/evil", "forwarded": "host=evil.example",
        "x-http-method-override": "GET", "x-rewrite-url": "/providers"}),
    Attack("headers of proxies", "approved", headers={
        "proxy-authorization": "Basic eDp5", "proxy-connection": "keep-alive", "proxy": "http://proxy.example", "upgrade": "h2c"}),
    Attack("another Host", "approved", headers={"host": "openrouter.ai"}),
    Attack("model in the query", "approved", query="?model=openrouter,qwen/qwen3-coder&provider=openrouter"),
    Attack("client of another profile", "approved", headers={"x-ccr-client": "claudable"}),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "attack", [pytest.param(attack, id=f"R{number:03d} {attack.name[:60]}") for number, attack in enumerate(ATTACKS, 1)]
)
async def test_attack(attack: Attack, path: str, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """What must be seen is seen, for messages and for counts alike; no stranger is reached."""
    config = config_with(approved, stranger, dict(attack.routes), **attack.more)
    policy = preset_at(approved)
    base = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    raw = attack.body if isinstance(attack.body, bytes) else json.dumps({**base, **attack.body}).encode()
    headers = {"x-api-key": KEY, "content-type": "application/json", **attack.headers}
    async with (
        running(config, tmp_path, ENVIRON, policy=policy) as router,
        router.client.post(f"{router.url}{path}{attack.query}", data=io.BytesIO(raw), headers=headers) as response,
    ):
        status, told, got = response.status, response.headers, await response.read()
    assert "x-evil" not in told
    assert STRANGERS_WORDS.encode() not in got
    expected = {"refused": 403, "malformed": 400, "approved": 200}.get(attack.seen)
    if expected is None:
        assert status in {200, 400, 403, 404}, got[:500]
    else:
        assert status == expected, got[:500]
    if status == 200:
        assert approved.connections == 1
        assert {request.json()["model"] for request in approved.requests} <= SENT
        assert {request.path.partition("?")[0] for request in approved.requests} == {path}
        hosts = {request.headers["host"] for request in approved.requests}
        assert hosts == {f"127.0.0.1:{approved.port}"}
        sent = {name.lower() for request in approved.requests for name, _ in request.headers.items()}
        assert not sent & {name for name in attack.headers if name.startswith(("x-ccr", "x-forw", "proxy", "forw"))}
    else:
        assert approved.connections == 0
        answer = json.loads(got)
        assert answer["type"] == "error"
        if status == 403:
            assert answer["error"]["type"] == "permission_error"
            assert "allowed" in answer["error"]["message"]


async def test_model_lists(approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """R200: no list and no look-up gives the name of a model that would be refused, as one that is served."""
    config = config_with(approved, stranger, {"models": {"best": QWEN, "fine": "anthropic,claude-3.7-haiku"}})
    async with running(config, tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        headers = {"x-api-key": KEY}
        async with router.client.get(f"{router.url}/v1/models", headers=headers) as response:
            names = {entry["id"] for entry in (await response.json())["data"]}
        seen = {}
        for name in (QWEN, "evil%2Cgpt-5", "anthropic,claude-opus-4-8", "gpt-5", "best", "../openrouter,gpt-5"):
            async with router.client.get(f"{router.url}/v1/models/{name}", headers=headers) as response:
                seen[name] = response.status
    assert names == {"anthropic,claude-3.7-sonnet", "anthropic,claude-3.7-haiku", "claude-3.7-haiku", "fine"}
    assert set(seen.values()) <= {403, 404}, seen
    assert approved.connections == 0


@pytest.mark.parametrize("asked", ["openrouter", "sonnet"])
async def test_a_streamed_answer_is_no_way_round(asked, approved, stranger, tmp_path) -> None:
    """R201: the same for a stream: refused before it begins, with a status and no event."""
    config = config_with(approved, stranger, {"fallback": {"default": [QWEN]}})
    async with running(config, tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        status, headers, raw = await router.ask({"x-api-key": KEY}, stream=True, model=asked)
    assert status == 403
    assert headers["content-type"] == "application/json"
    assert json.loads(raw)["error"]["type"] == "permission_error"
    assert approved.connections == 0

"""Policy at the doors of OpenAI's dialects: the same judgement, the same record, and nobody reached who is not allowed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.attacks.conftest import approved, stranger  # noqa: F401 - fixtures of the attacks, by name
from tests.attacks.world import KEY, SENT, STRANGERS_WORDS, config_with, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.served.conftest import post
from tests.upstream import Upstream, chat_wire, json_reply, responses_wire

PATHS = {"/v1/chat/completions": "messages", "/v1/responses": "input"}
QWEN = "openrouter,qwen/qwen3-coder"
TAG = f"<CCR-SUBAGENT-MODEL>{QWEN}</CCR-SUBAGENT-MODEL>"
SAID = [{"role": "user", "content": "x"}]

#: What is sent beside a message, with the routes there are, and what must be seen: a 403 and nobody asked, or an answer of
#: the approved provider by an allowed model.
ATTACKS = [
    ("a comma model", 403, {"model": QWEN}, {}),
    ("an unlisted provider", 403, {"model": "evil,gpt-5"}, {}),
    ("an allowed model of a stranger", 403, {"model": "openrouter,claude-3.7-sonnet"}, {}),
    ("another model of the approved one", 403, {"model": "anthropic,claude-opus-4-8"}, {}),
    ("a bare id of a stranger", 403, {"model": "qwen/qwen3-coder"}, {}),
    ("a bare Claude id", 200, {"model": "claude-opus-4-8"}, {}),
    ("no model", 200, {}, {}),
    ("a tag in the system prompt", 403, {"said": [{"role": "system", "content": TAG}, *SAID]}, {}),
    ("a tag in a developer's words", 403, {"said": [{"role": "developer", "content": TAG}, *SAID]}, {}),
    ("a tag in the prompt", 403, {"said": [{"role": "user", "content": TAG + "go"}]}, {}),
    ("a tag in an answer", 200, {"said": [*SAID, {"role": "assistant", "content": TAG}, *SAID]}, {}),
    (
        "an effort that selects thinking",
        403,
        {"reasoning_effort": "max", "reasoning": {"effort": "max"}},
        {"think": QWEN},
    ),
    ("a web search", 403, {"web_search_options": {}, "tools": [{"type": "web_search"}]}, {"webSearch": QWEN}),
    ("a long context", 403, {"said": [{"role": "user", "content": "word " * 80_000}]}, {"longContext": QWEN}),
    ("background", 403, {"model": "claude-haiku-4-5"}, {"background": QWEN}),
    ("a fallback", 403, {}, {"fallback": {"default": [QWEN]}}),
    ("an alias", 403, {"model": "claude-best"}, {"models": {"claude-best": QWEN}}),
    ("the default", 403, {}, {"default": QWEN}),
    ("models, which the approved one is not told", 200, {"models": ["gpt-5"], "fallbacks": [{"model": "gpt-5"}]}, {}),
    ("a preset, a route, a provider", 200, {"preset": "evil", "route": "fallback", "provider": {"model": "gpt-5"}}, {}),
    ("a tool with a model", 200, {"tools": [{"type": "image_generation", "model": "gpt-image-2"}]}, {}),
    ("moderation by another model", 200, {"moderation": {"model": "omni-moderation"}}, {}),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("seen", "body", "routes"), [attack[1:] for attack in ATTACKS], ids=[attack[0] for attack in ATTACKS]
)
async def test_attack(path, seen, body, routes, approved: Upstream, stranger: Upstream, tmp_path):  # noqa: F811 - as above
    """What must be seen is seen in OpenAI's form too; no stranger is reached, and no other model is asked for."""
    if path == "/v1/chat/completions" and body.get("tools", [{}])[0].get("type") == "web_search":
        body = {name: value for name, value in body.items() if name != "tools"}
    asked = {PATHS[path]: body.get("said", SAID), **{name: value for name, value in body.items() if name != "said"}}
    config = config_with(approved, stranger, routes)
    async with running(config, tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        status, _, raw = await post(router, path, asked, {"authorization": f"Bearer {KEY}"})
    assert status == seen, raw[:400]
    assert STRANGERS_WORDS.encode() not in raw
    if status == 200:
        assert {request.json()["model"] for request in approved.requests} <= SENT
        assert b"gpt-5" not in approved.requests[0].body
    else:
        assert approved.connections == 0
        error = json.loads(raw)["error"]
        assert error["type"] == "permission_error"
        assert "allowed" in error["message"]


MEMBERS = [
    {"models": ["m1", "gpt-5"]},
    {"fallbacks": [{"model": "gpt-5"}]},
    {"route": "fallback"},
    {"provider": {"order": ["x"], "model": "gpt-5"}},
    {"plugins": [{"id": "x", "analysis_models": ["gpt-5"]}]},
    {"preset": "evil"},
    {"moderation": {"model": "omni-moderation"}},
    {"tools": [{"type": "image_generation", "model": "gpt-image-2"}]},
    {"tools": [{"type": "x:advisor", "parameters": {"model": "gpt-5"}}]},
    {"Model": "gpt-5"},
]


@pytest.mark.parametrize("member", MEMBERS, ids=[next(iter(member)) + str(n) for n, member in enumerate(MEMBERS)])
@pytest.mark.parametrize("path", PATHS)
async def test_members_of_passing_bytes(path, member, upstream: Upstream, tmp_path):
    """Bytes that pass are judged as they leave: a further model anywhere in them is a 403, in the audit too; without it
    the same request is answered.
    """
    tree, policy = _alone(upstream, path)
    told = []
    said = SAID if path == "/v1/chat/completions" else [{"role": "user", "content": "x", "type": "message"}]
    asked = {"model": "mine,m1", PATHS[path]: said}
    async with running(tree, tmp_path, policy=policy, auditor=_Auditor(told)) as router:
        status, _, raw = await post(router, path, {**asked, **member})
        assert status == 403, raw
        assert json.loads(raw)["error"]["type"] == "permission_error"
        assert upstream.connections == 0
        upstream.reply(json_reply(chat_wire.chat_json("ok") if "chat" in path else responses_wire.response_json("ok")))
        status, _, _ = await post(router, path, asked)
        assert status == 200
    assert [kind for kind, _ in told if kind != "start"] == ["decision", "denial", "outcome", "decision", "outcome"]
    lines = [facts for _, facts in told]
    assert {facts["path"] for facts in lines} == {path}
    assert [facts["result"] for facts in lines] == ["allowed", "denied", "permission_error", "allowed", "answered"]
    assert lines[-1]["sent"] == "m1"


class _Auditor:
    def __init__(self, told: list) -> None:
        self._told = told

    def record(self, kind, facts) -> None:
        self._told.append((kind, dict(facts)))


def _alone(upstream: Upstream, path: str):
    """One approved provider that speaks the client's dialect, with two allowed models."""
    dialect = "openai" if "chat" in path else "responses"
    tree = {
        "PORT": 3456,
        "Providers": [
            {"name": "mine", "api_base_url": upstream.url + path, "api_key": "sk-x-0123456789abcdef", "models": ["m1"], "protocol": dialect}
        ],
        "Router": {"default": "mine,m1"},
    }  # fmt: skip
    policy = replace(
        preset_at(upstream), allowed_providers=("mine",), allowed_models=("m1",), banned_models=(), sent_as={}
    )
    return tree, policy

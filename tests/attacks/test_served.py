"""Attacks by requests in OpenAI's dialects, whose bytes pass to an upstream that speaks the same: whatever in them
chooses a model or a place is judged as it leaves, refused in the client's own words, or means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.attacks.world import KEY, STRANGERS_WORDS, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.upstream import Received, Reply, Upstream, json_reply

GOOD = "gpt-good"
#: The path of the client and of the provider, and the member that the conversation is in.
WIRES = {"chat": ("/v1/chat/completions", "messages"), "responses": ("/v1/responses", "input")}
SAID = [{"role": "user", "content": "x"}]
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"model": {"type": "string"}}}}


@dataclass(frozen=True)
class Attack:
    """As in test_requests: "refused" is a 403, "malformed" a 400, both with nobody connected to; "approved" an answer
    of the approved provider, asked for the allowed model and nothing else.
    """

    name: str
    seen: str
    body: Mapping[str, Any] | str = field(default_factory=dict)
    wires: tuple[str, ...] = ("chat", "responses")
    headers: Mapping[str, str] = field(default_factory=dict)


def asks(model: str) -> dict[str, Any]:
    return {"model": model}


ATTACKS = [
    Attack("nothing", "approved"),
    # -- the model
    Attack("banned provider", "refused", asks("openrouter,gpt-5")),
    Attack("unlisted provider", "refused", asks("evil,gpt-good")),
    Attack("another model", "refused", asks("approved,gpt-5")),
    Attack("model twice", "approved", f'"model":"evil,gpt-5","model":"{GOOD}"'),
    Attack("model twice, the other way", "refused", f'"model":"{GOOD}","model":"evil,gpt-5"'),
    Attack("Model", "refused", {"Model": "gpt-5"}),
    Attack("model with an escape", "approved", '"mod\\u0065l":"gpt-good"'),
    Attack("MODEL with an escape", "refused", '"MOD\\u0045L":"gpt-5"'),
    Attack("models", "refused", {"models": ["gpt-good", "gpt-5"]}),
    Attack("models, one text", "refused", {"models": "gpt-5"}),
    Attack("fallbacks", "refused", {"fallbacks": ["gpt-5"]}),
    Attack("fallbacks, objects", "refused", {"fallbacks": [{"model": "gpt-5"}]}),
    Attack("fallbacks, by model", "refused", {"fallbacks": [{"gpt-good": ["gpt-5"]}]}),
    Attack("fallbacks of long ones", "refused", {"context_window_fallbacks": [{"gpt-good": ["gpt-5"]}]}),
    Attack("fallbacks of refused ones", "refused", {"content_policy_fallbacks": [{"gpt-good": ["gpt-5"]}]}),
    Attack("fallbacks in settings", "refused", {"router_settings": {"fallbacks": [{"gpt-good": ["gpt-5"]}]}}),
    Attack("route", "refused", {"route": "fallback"}),
    Attack("preset", "refused", {"preset": "cheap"}),
    Attack("model_name", "refused", {"model_name": "gpt-5"}),
    Attack("modelId", "refused", {"modelId": "gpt-5"}),
    Attack("model_id", "refused", {"model_id": "gpt-5"}),
    Attack("extra body", "refused", {"extra_body": {"models": ["gpt-5"]}}),
    Attack("provider", "approved", {"provider": {"order": ["gpt-5"], "allow_fallbacks": True}}),
    Attack("provider's model", "refused", {"provider": {"preferred": {"model": "gpt-5"}}}),
    Attack("plugins", "refused", {"plugins": [{"id": "auto-router", "allowed_models": ["gpt-5"]}]}),
    Attack("plugin's judge", "refused", {"plugins": [{"id": "fusion", "judge": {"model": "gpt-5"}}]}),
    Attack("nested twice", "refused", '"x":{"model":"gpt-good","model":"gpt-5"}'),
    # -- tools that the provider runs
    Attack("image generation", "refused", {"tools": [{"type": "image_generation", "model": "gpt-image-1"}]}, ("responses",)),
    Attack("within a namespace", "refused", {"tools": [
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "image_generation", "model": "gpt-5"}]}]},
        ("responses",)),
    Attack("a function's second type", "refused",
        '"tools":[{"type":"function","type":"image_generation","name":"f","model":"gpt-5","parameters":{}}]', ("responses",)),
    Attack("a server's tool with parameters", "refused",
        {"tools": [{"type": "openrouter:fusion", "parameters": {"models": ["gpt-5"]}}]}),
    Attack("a function about models", "approved", {"tools": [{"type": "function", "function": FUNCTION}]}, ("chat",)),
    Attack("a function about models", "approved", {"tools": [{"type": "function", **FUNCTION}]}, ("responses",)),
    Attack("search options", "refused", {"web_search_options": {"search_model": "gpt-5"}}, ("chat",)),
    # -- what is kept elsewhere, and what runs later
    Attack("in the background", "malformed", {"background": True}, ("responses",)),
    Attack("content that speaks of models", "approved",
        {"messages": [{"role": "user", "content": '{"model": "gpt-5"}'}]}, ("chat",)),
    Attack("metadata", "approved", {"metadata": {"model": "gpt-5"}}),
    # -- headers
    Attack("the client's own key", "approved", headers={"openai-organization": "org-x", "openai-project": "p"}),
    Attack("another host", "approved", headers={"x-forwarded-host": "evil.example", "x-base-url": "http://evil.example"}),
    Attack("a cloud's headers", "approved", headers={"api-key": "client", "x-goog-api-key": "client", "cookie": "a=b"}),
]  # fmt: skip


def serve(received: Received) -> Reply:
    if received.path.endswith("/responses"):
        message = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
                   "content": [{"type": "output_text", "text": "approved", "annotations": []}]}  # fmt: skip
        return json_reply({"id": "resp_1", "object": "response", "model": GOOD, "status": "completed", "output": [message],
                           "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})  # fmt: skip
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "approved"}}
    return json_reply({"id": "c", "object": "chat.completion", "created": 1, "model": GOOD, "choices": [choice],
                       "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})  # fmt: skip


def config(approved: Upstream, stranger: Upstream, path: str) -> dict[str, Any]:
    return {
        "APIKEY": "${CCR_APIKEY}",
        "Providers": [
            {
                "name": name,
                "api_base_url": f"{at.url}{path}",
                "api_key": "${ANTHROPIC_API_KEY}",
                "models": [GOOD, "gpt-5"],
            }
            for name, at in (("approved", approved), ("openrouter", stranger), ("evil", stranger))
        ],
        "Router": {"default": f"approved,{GOOD}"},
    }


def _cases() -> list[Any]:
    return [
        pytest.param(attack, wire, id=f"V{number:03d} {attack.name}-{wire}")
        for number, attack in enumerate(ATTACKS, 1)
        for wire in attack.wires
    ]


@pytest.mark.parametrize(("attack", "wire"), _cases())
async def test_attack(attack: Attack, wire: str, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """Whatever the client's bytes say, the approved host is asked for the allowed model, or nobody for anything."""
    approved.always(serve)
    path, member = WIRES[wire]
    begin = {} if isinstance(attack.body, str) and '"model"' in attack.body else {"model": GOOD}
    body = json.dumps({**begin, member: SAID, **(attack.body if isinstance(attack.body, Mapping) else {})})
    if isinstance(attack.body, str):
        body = f"{body[:-1]},{attack.body}}}"
    rules = preset_at(approved, allowed_providers=("approved",), allowed_models=(GOOD,), sent_as={}, banned_models=())
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **attack.headers}
    async with (
        running(config(approved, stranger, path), tmp_path, dict(ENVIRON), policy=rules) as router,
        router.client.post(f"{router.url}{path}", data=body, headers=headers) as answer,
    ):
        status, raw = answer.status, await answer.read()
    assert STRANGERS_WORDS.encode() not in raw
    assert status == {"refused": 403, "malformed": 400, "approved": 200}[attack.seen], raw
    assert "error" in json.loads(raw) or status == 200
    assert len(approved.requests) == (status == 200)
    for received in approved.requests:
        assert received.path == path
        assert received.json()["model"] == GOOD
        told = {name.lower(): value for name, value in received.headers.items()}
        assert told["authorization"] == f"Bearer {ENVIRON['ANTHROPIC_API_KEY']}"
        assert not {"api-key", "x-goog-api-key", "x-api-key", "cookie", "openai-organization", "x-forwarded-host",
                    "x-base-url"} & told.keys()  # fmt: skip


async def test_names_of_any_length(approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """V900: what is remembered of an exchange is small, however long the names are that a client makes up."""
    approved.always(serve)
    environ = dict(ENVIRON)
    path, member = WIRES["chat"]
    body = {"model": GOOD, member: SAID, **{f"{number}{'y' * 2_000}": number for number in range(300)}}
    headers = {"authorization": f"Bearer {KEY}"}
    async with running(config(approved, stranger, path), tmp_path, environ) as router:
        for asked in (body, {**body, "model": "approved," + "x" * 200_000}):
            async with router.client.post(f"{router.url}{path}", json=asked, headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
            told = router.app.exchanges.last()
            assert told is not None
            assert told["status"] == 200
            assert len(json.dumps(told)) < 150_000

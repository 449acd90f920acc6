"""A policy in force, each request on its final targets: whichever way leads to what is not allowed, nothing is sent."""

from __future__ import annotations

import json

import pytest

from ccrouter.audit.trail import AuditTrail
from ccrouter.compliance.policy import Policy
from ccrouter.config.load import load
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Provider, Target
from ccrouter.errors import RouterError
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.pipeline import Gateway
from ccrouter.gateway.record import Exchange
from ccrouter.secret import Secret
from ccrouter.upstream.client import UpstreamClient
from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, json_reply

SESSION = "3f0d5c3e-1111-4222-8333-444455556666"
IN_SESSION = {"x-claude-code-session-id": SESSION}
SECRET_WORDS = "the words of the user"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
TAG = "<CCR-SUBAGENT-MODEL>bad,b1</CCR-SUBAGENT-MODEL>"


@pytest.fixture
async def evil():
    """The host that nobody approved."""
    async with Upstream() as up:
        up.always(json_reply(anthropic_wire.message_json("from where nothing may go")))
        yield up


@pytest.fixture
def good(upstream: Upstream) -> Upstream:
    upstream.always(json_reply(anthropic_wire.message_json("approved")))
    return upstream


def policy_for(good: Upstream, **more) -> Policy:
    rules = {
        "name": "test",
        "source": "a test",
        "digest": "d" * 64,
        "allowed_providers": ("good",),
        "allowed_hosts": (f"127.0.0.1:{good.port}",),
        "allowed_models": ("m1", "m2"),
        **more,
    }
    return Policy(**rules)


def config_for(good: Upstream, evil: Upstream, router: dict | None = None, **more) -> dict:
    return {
        "Providers": [
            provider(good, "anthropic", name="good"),
            provider(evil, "anthropic", name="bad", models=["b1", "m1"]),
        ],
        "Router": {"default": "good,m1", **(router or {})},
        **more,
    }


def said(*content) -> dict:
    return {"messages": [{"role": "user", "content": list(content)}]}


def text(words: str) -> dict:
    return {"type": "text", "text": words}


TOOL_RESULT = {
    "messages": [
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Agent", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [text(TAG)]}]},
    ]
}
WEB = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
CLASS = "x-claude-code-request-class"

#: way: (Router, other members of the config, headers, body)
WAYS = {
    "comma model": ({}, {}, {}, {"model": "bad,b1"}),
    "comma model in other letters": ({}, {}, {}, {"model": "  BAD , b1 "}),
    "comma model with an allowed name": ({}, {}, {}, {"model": "bad,m1"}),
    "bare model": ({}, {}, {}, {"model": "b1"}),
    "model that is not allowed, at the allowed provider": ({}, {}, {}, {"model": "good,b1"}),
    "model with a prefix": ({}, {}, {}, {"model": "good,x/m1"}),
    "model in wide letters": ({}, {}, {}, {"model": "good,\uff4d1"}),
    "model with an invisible letter": ({}, {}, {}, {"model": "good,m\u200b1"}),
    "model with a comma": ({}, {}, {}, {"model": "good,m1,b1"}),
    "subagent tag": ({}, {}, {}, {"system": [text("You are an agent."), text(TAG)]}),
    "default route": ({"default": "bad,b1"}, {}, {}, {}),
    "background route": ({"background": "bad,b1"}, {}, {}, {"model": "claude-haiku-4-5"}),
    "think route": ({"think": "bad,b1"}, {}, {}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    "long context route": (
        {"longContext": "bad,b1", "longContextThreshold": 1000},
        {},
        {},
        said(text("word " * 30_000)),
    ),
    "web search route": ({"webSearch": "bad,b1"}, {}, {}, WEB),
    "image route": ({"image": "bad,b1"}, {}, {}, said(IMAGE)),
    "compaction route": ({"compaction": "bad,b1"}, {}, {CLASS: "compaction"}, {}),
    "subagent route": ({"subagent": "bad,b1"}, {}, {CLASS: "subagent"}, {}),
    "fallback": ({}, {"fallback": {"default": ["good,m2", "bad,b1"]}}, {}, {}),
    "fallback of another route": (
        {"background": "good,m2"},
        {"fallback": {"background": ["bad,b1"]}},
        {},
        {"model": "claude-haiku-4-5"},
    ),
    "built-in provider": ({}, {}, {}, {"model": "dry-run,dry-run"}),
}


def ways() -> dict:
    return {**WAYS, "alias": ({"aliases": {"claude-*": "bad,b1"}}, {}, {}, {"model": "claude-x"})}


async def ask(router, path: str, headers: dict, body: dict):
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": SECRET_WORDS}], **body}
    async with router.client.post(router.url + path, json=body, headers=headers) as response:
        return response.status, response.headers, await response.json()


class Ledger:
    """An auditor that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def record(self, kind, facts):
        json.dumps(facts)
        self.lines.append((kind, dict(facts)))

    def of(self, kind: str) -> list[dict]:
        return [facts for found, facts in self.lines if found == kind]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("way", ways())
async def test_every_way_to_a_target_that_is_not_allowed(way, path, good, evil, tmp_path):
    """403 permission_error with the rule and what is allowed, not to be tried again; nobody is connected to, not even
    the provider that would have been allowed; the denial is on record.
    """
    routes, more, headers, body = ways()[way]
    ledger = Ledger()
    config = config_for(good, evil, routes, **more)
    async with running(config, tmp_path, policy=policy_for(good), auditor=ledger) as router:
        status, answered, error = await ask(router, path, headers, body)
    assert status == 403
    assert error["error"]["type"] == "permission_error"
    assert "of policy test" in error["error"]["message"]
    assert "allowed" in error["error"]["message"]
    assert answered["x-should-retry"] == "false"
    assert (good.connections, evil.connections) == (0, 0)
    [denial] = ledger.of("denial")
    assert denial["result"] == "denied"
    assert denial["policy"] == "d" * 64
    assert denial["rule"].split(".")[0] in {"providers", "models", "hosts"}
    assert denial["path"] == path
    assert denial["request"] == answered["request-id"]
    assert ledger.of("decision") == []
    assert [facts["status"] for facts in ledger.of("outcome")] == [403]
    assert SECRET_WORDS not in json.dumps(ledger.lines)


async def test_a_tag_in_a_tool_result(good, evil, tmp_path):
    """A tag in what a tool answered is words of strangers: it moves nothing, and never to what is not allowed."""
    async with running(config_for(good, evil), tmp_path, policy=policy_for(good)) as router:
        status, answered, _ = await ask(router, "/v1/messages", {}, TOOL_RESULT)
    assert status in {200, 403}
    assert answered["x-ccr-model"] == "good,m1"
    assert evil.connections == 0


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"model": "OpenRouter,x/y"}, "providers.banned"),
        ({"model": "nobody,x"}, "providers.allowed"),
        ({"system": [text("<CCR-SUBAGENT-MODEL>openrouter,x</CCR-SUBAGENT-MODEL>")]}, "providers.banned"),
    ],
)
async def test_a_provider_that_is_not_configured(body, rule, path, good, evil, tmp_path):
    """A provider that the policy does not allow is denied by name, and on record, though none of that name exists."""
    ledger = Ledger()
    policy = policy_for(good, banned_providers=("openrouter",))
    async with running(config_for(good, evil), tmp_path, policy=policy, auditor=ledger) as router:
        status, _, error = await ask(router, path, {}, body)
    assert (status, error["error"]["type"]) == (403, "permission_error"), error
    assert [facts["rule"] for facts in ledger.of("denial")] == [rule]
    assert (good.connections, evil.connections) == (0, 0)


async def test_a_name_given_twice(good, evil, tmp_path):
    """Of two models in one body the one that is routed is the one that is judged and sent; it stands there once."""
    async with running(config_for(good, evil), tmp_path, policy=policy_for(good)) as router:
        seen = []
        for first, second in (("good,m1", "bad,b1"), ("bad,b1", "good,m1")):
            raw = (
                f'{{"model":"{first}","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],"model":"{second}"}}'
            )
            async with router.client.post(router.url + "/v1/messages", data=raw) as response:
                seen.append(response.status)
    assert seen == [403, 200]
    assert evil.connections == 0
    assert good.requests[0].body.count(b'"model"') == 1
    assert good.requests[0].json()["model"] == "m1"


@pytest.mark.parametrize("whose", ["project", "session"])
async def test_routers_of_projects(whose, good, evil, tmp_path):
    """A router that a project or a session brings is judged as the global one is; other sessions are served."""
    home = tmp_path / "home"
    transcripts = home / ".claude" / "projects" / "-repo"
    transcripts.mkdir(parents=True)
    (transcripts / f"{SESSION}.jsonl").touch()
    folder = home / ".claude-code-router" / "-repo"
    folder.mkdir(parents=True)
    name = "config.json" if whose == "project" else f"{SESSION}.json"
    (folder / name).write_text(json.dumps({"Router": {"default": "bad,b1"}}))
    config = config_for(good, evil)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    projects = ProjectRouters(load(path, {}), {"HOME": str(home)})
    async with running(config, tmp_path, policy=policy_for(good), projects=projects) as router:
        mine, _, _ = await ask(router, "/v1/messages", IN_SESSION, {})
        counted, _, _ = await ask(router, "/v1/messages/count_tokens", IN_SESSION, {})
        others, _, _ = await ask(router, "/v1/messages", {}, {})
    assert (mine, counted, others) == (403, 403, 200)
    assert evil.connections == 0


def project_router(tmp_path, config: dict, text: str) -> ProjectRouters:
    """The routers of a home folder where the session's project has `text` for one."""
    home = tmp_path / "home"
    transcripts = home / ".claude" / "projects" / "-repo"
    transcripts.mkdir(parents=True)
    (transcripts / f"{SESSION}.jsonl").touch()
    folder = home / ".claude-code-router" / "-repo"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return ProjectRouters(load(path, {}), {"HOME": str(home)})


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ('{"Router": {"default": "openrouter,x"}}', "providers.banned", "BANNED provider: openrouter"),
        ('{"Router": {"default": "good,m1", "think": "OpenRouter,x"}}', "providers.banned", "BANNED provider"),
        ('{"Router": {"default": "good,m1", "fallback": {"default": ["nobody,x"]}}}', "providers.allowed", "nobody"),
        ('{"Router": {"default": "good,"}}', "strictSyntax", "-repo/config.json: Router.default: names no model"),
        ('{"Router": ', "strictSyntax", "-repo/config.json: line 1, column 12: the file ends too early"),
    ],
)
async def test_a_router_of_a_project_that_cannot_be_used(path, text, rule, words, good, evil, tmp_path):
    """One that names what is not configured is judged as it is written, and one that cannot be read breaks a strict policy:
    a denial that is on record, and tells no path of this machine. Other sessions are served.
    """
    ledger = Ledger()
    config = config_for(good, evil)
    projects = project_router(tmp_path, config, text)
    policy = policy_for(good, banned_providers=("openrouter",), strict_syntax=True)
    async with running(config, tmp_path, policy=policy, projects=projects, auditor=ledger) as router:
        status, answered, error = await ask(router, path, IN_SESSION, {})
        others, _, _ = await ask(router, "/v1/messages", {}, {})
    assert (status, error["error"]["type"], others) == (403, "permission_error", 200), error
    assert words in error["error"]["message"]
    assert str(tmp_path) not in json.dumps(error)
    [denial] = ledger.of("denial")
    assert (denial["rule"], denial["request"]) == (rule, answered["request-id"])
    assert (denial["result"], denial["session"]) == ("denied", SESSION)
    assert evil.connections == 0


async def test_a_router_of_a_project_that_cannot_be_used_without_a_policy(good, evil, tmp_path):
    """It is an error that says what to mend, without a path of this machine, and is on record; nothing is sent."""
    ledger = Ledger()
    config = config_for(good, evil)
    projects = project_router(tmp_path, config, '{"Router": {"default": "openrouter,x"}}')
    async with running(config, tmp_path, projects=projects, auditor=ledger) as router:
        status, _, error = await ask(router, "/v1/messages", IN_SESSION, {})
    assert (status, error["error"]["type"]) == (500, "api_error")
    assert error["error"]["message"] == (
        "the router of this project or session cannot be used: "
        '-repo/config.json: Router.default: no provider is called "openrouter"'
    )
    assert [(facts["result"], facts.get("rule")) for facts in ledger.of("denial")] == [("refused", None)]
    assert [facts["status"] for facts in ledger.of("outcome")] == [500]
    assert (good.connections, evil.connections) == (0, 0)


@pytest.mark.parametrize("name", ["good", "GOOD", "\uff47\uff4f\uff4f\uff44"])
async def test_a_provider_under_another_name(name, good, evil, tmp_path):
    """An allowed name does not make a host an allowed one: what a provider is called is not who it is."""
    config = {"Providers": [provider(evil, "anthropic", name=name)], "Router": {"default": f"{name},m1"}}
    async with running(config, tmp_path, policy=policy_for(good)) as router:
        status, _, error = await ask(router, "/v1/messages", {}, {})
    assert status == 403
    assert "hosts.allowed" in error["error"]["message"]
    assert (good.connections, evil.connections) == (0, 0)


async def test_a_failing_target_does_not_lead_elsewhere(good, evil, tmp_path):
    """An allowed target that fails with an allowed fallback falls back; nothing else ever takes its place."""
    good.reply(json_reply(anthropic_wire.error_json("overloaded_error", "busy"), status=529))
    config = config_for(good, evil, fallback={"default": ["good,m2"]})
    async with running(config, tmp_path, policy=policy_for(good)) as router:
        status, _, _ = await ask(router, "/v1/messages", {}, {})
    assert status == 200
    assert [received.json()["model"] for received in good.requests] == ["m1", "m2"]
    assert evil.connections == 0


async def test_a_strict_router_is_on_record(good, evil, tmp_path):
    """A denial of the router's own strictness, without any policy, is on record too."""
    ledger = Ledger()
    config = config_for(good, evil, {"strict": True})
    async with running(config, tmp_path, auditor=ledger) as router:
        status, _, _ = await ask(router, "/v1/messages", {}, {"model": "bad,b1"})
    assert status == 403
    assert [denial["rule"] for denial in ledger.of("denial")] == ["router.strict"]
    assert evil.connections == 0


async def test_another_model_is_sent(good, evil, tmp_path):
    """Asked, sent and answered are three facts: what is sent in place of a configured model is in the bytes; the client
    is told the configured one, and its answer names what it asked for.
    """
    policy = policy_for(good, allowed_models=("m1",), sent_as={"m1": "real-model-1"})
    good.always(json_reply({**anthropic_wire.message_json("hi"), "model": "real-model-1-2026"}))
    ledger = Ledger()
    config = config_for(good, evil)
    async with running(config, tmp_path, policy=policy, auditor=ledger) as router:
        status, answered, message = await ask(router, "/v1/messages", {}, {})
        direct, _, _ = await ask(router, "/v1/messages", {}, {"model": "good,real-model-1"})
    assert (status, direct) == (200, 403)
    assert [received.json()["model"] for received in good.requests] == ["real-model-1"]
    assert answered["x-ccr-model"] == "good,m1"
    assert message["model"] == "claude-x"
    assert ledger.of("decision")[0]["targets"] == ["good,m1"]


async def test_count_tokens_sends_the_other_model(good, evil, tmp_path):
    """Counting is of the model that would be sent."""
    policy = policy_for(good, allowed_models=("m1",), sent_as={"m1": "real-model-1"})
    good.always(json_reply({"input_tokens": 7}))
    config = config_for(good, evil)
    config["Providers"][0]["profile"] = "anthropic"
    async with running(config, tmp_path, policy=policy) as router:
        status, _, answer = await ask(router, "/v1/messages/count_tokens", {}, {})
    assert (status, answer) == (200, {"input_tokens": 7})
    assert good.requests[0].json()["model"] == "real-model-1"


async def test_the_list_of_models(good, evil, tmp_path):
    """GET /v1/models lists what may be asked for and nothing else; one model alone is 200, 403 or 404."""
    routes = {"aliases": {"fine": "good,m2", "foul": "bad,b1"}, "background": "good,m2"}
    config = config_for(good, evil, routes)
    async with running(config, tmp_path, policy=policy_for(good)) as router:
        async with router.client.get(router.url + "/v1/models") as response:
            names = [entry["id"] for entry in (await response.json())["data"]]
        seen = {}
        for name in ("good,m1", "good,b1", "bad,b1", "b1", "fine", "foul", "claude-x", "nobody,m1"):
            async with router.client.get(f"{router.url}/v1/models/{name}") as response:
                seen[name] = response.status
    assert set(names) == {"good,m1", "good,m2", "m2", "fine"}
    assert seen == {
        "good,m1": 200, "good,b1": 403, "bad,b1": 403, "b1": 403, "fine": 200, "foul": 403, "claude-x": 403,
        "nobody,m1": 403,
    }  # fmt: skip
    assert (good.connections, evil.connections) == (0, 0)


@pytest.mark.parametrize("name", ["claude-opus-4-8", "nonsense"])
async def test_a_model_that_nothing_lists(name, good, evil, tmp_path):
    """What no provider lists and no alias means is no model of a policy that restricts models, though a request that asks
    for it is served by a route; the denial's line has the request's id. An alias's pattern, and a policy without a word
    on models, let it be one.
    """
    ledger = Ledger()
    config = config_for(good, evil)
    async with running(config, tmp_path, policy=policy_for(good), auditor=ledger) as router:
        async with router.client.get(f"{router.url}/v1/models/{name}") as response:
            assert response.status == 403
            assert f"Model not allowed: {name}" in (await response.json())["error"]["message"]
            request_id = response.headers["request-id"]
        status, answered, _ = await ask(router, "/v1/messages", {}, {"model": name})
    [denial] = ledger.of("denial")
    assert (denial["request"], denial["asked"], denial["rule"]) == (request_id, name, "models.allowed")
    assert (status, answered["x-ccr-model"]) == (200, "good,m1")
    seen = []
    for routes, policy in (
        ({"aliases": {"*o*": "good,m2"}}, policy_for(good)),
        ({}, policy_for(good, allowed_models=None)),
        ({}, policy_for(good, allowed_models=("m1", "*"))),
    ):
        async with (
            running(config_for(good, evil, routes), tmp_path, policy=policy) as router,
            router.client.get(f"{router.url}/v1/models/{name}") as response,
        ):
            seen.append(response.status)
    assert seen == [200, 200, 200]


async def test_models_behind_a_denied_fallback(good, evil, tmp_path):
    """A name whose plan holds a target that is not allowed is refused when it is asked for, so it is not listed."""
    config = config_for(good, evil, fallback={"default": ["bad,b1"]})
    async with running(config, tmp_path, policy=policy_for(good)) as router:
        async with router.client.get(router.url + "/v1/models") as response:
            assert (await response.json())["data"] == []
        async with router.client.get(router.url + "/v1/models/claude-x") as response:
            assert response.status == 403


async def test_without_a_policy(good, evil, tmp_path):
    """No policy: every way leads where it always did, and every model is listed."""
    async with running(config_for(good, evil), tmp_path) as router:
        status, _, _ = await ask(router, "/v1/messages", {}, {"model": "bad,b1"})
        async with router.client.get(router.url + "/v1/models") as response:
            names = [entry["id"] for entry in (await response.json())["data"]]
    assert status == 200
    assert evil.connections == 1
    assert {"bad,b1", "b1", "good,m1"} <= set(names)


# -- the account ---------------------------------------------------------------------------------------------------


async def test_a_decision_is_on_record_before_it_is_sent(good, evil, tmp_path):
    """One decision, written before the provider hears anything, and one outcome after; no word of what was said."""
    ledger = Ledger()

    def answer(_received):
        assert [kind for kind, _ in ledger.lines] == ["decision"]
        return json_reply(anthropic_wire.message_json("a very private answer"))

    good.always(answer)
    config = config_for(good, evil, fallback={"default": ["good,m2"]})
    async with running(config, tmp_path, policy=policy_for(good), auditor=ledger) as router:
        status, answered, _ = await ask(router, "/v1/messages", IN_SESSION, {"system": SECRET_WORDS})
    assert status == 200
    assert ledger.of("decision") == [
        {
            "request": answered["request-id"],
            "session": SESSION,
            "path": "/v1/messages",
            "asked": "claude-x",
            "target": "good,m1",
            "targets": ["good,m1", "good,m2"],
            "route": "default",
            "reason": "default: no other rule applies",
            "policy": "d" * 64,
            "result": "allowed",
        }
    ]
    assert ledger.of("outcome") == [
        {
            "request": answered["request-id"],
            "session": SESSION,
            "path": "/v1/messages",
            "target": "good,m1",
            "sent": "m1",
            "answered": anthropic_wire.MODEL,
            "route": "default",
            "status": 200,
            "result": "answered",
        }
    ]
    assert not any(words in json.dumps(ledger.lines) for words in (SECRET_WORDS, "private answer", "upstream-secret"))


async def test_counting_is_on_record_only_under_a_policy(good, evil, tmp_path):
    """Claude Code counts all the time: without a policy that leaves no line, unless it was denied."""
    kinds = []
    for policy in (Policy(), policy_for(good)):
        ledger = Ledger()
        async with running(config_for(good, evil), tmp_path, policy=policy, auditor=ledger) as router:
            status, _, _ = await ask(router, "/v1/messages/count_tokens", {}, {})
        assert status == 200
        kinds.append([kind for kind, _ in ledger.lines])
    assert kinds == [[], ["decision", "outcome"]]
    config = config_for(good, evil, {"strict": True})
    ledger = Ledger()
    async with running(config, tmp_path, auditor=ledger) as router:
        await ask(router, "/v1/messages/count_tokens", {}, {"model": "bad,b1"})
    assert [kind for kind, _ in ledger.lines] == ["denial", "outcome"]


async def test_the_outcome_names_who_answered(good, evil, tmp_path):
    """After a fallback the outcome's target is the one that answered; of a failure it says the kind and no more."""
    busy = json_reply(anthropic_wire.error_json("overloaded_error", SECRET_WORDS), status=529)
    good.reply(busy, json_reply(anthropic_wire.message_json("second")), busy, busy)
    ledger = Ledger()
    config = config_for(good, evil, fallback={"default": ["good,m2"]})
    async with running(config, tmp_path, policy=policy_for(good), auditor=ledger) as router:
        await ask(router, "/v1/messages", {}, {})
        await ask(router, "/v1/messages", {}, {})
    outcomes = [(facts["target"], facts["status"], facts["result"]) for facts in ledger.of("outcome")]
    assert outcomes == [("good,m2", 200, "answered"), ("good,m2", 529, "overloaded_error")]
    assert SECRET_WORDS not in json.dumps(ledger.lines)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_an_account_that_cannot_be_kept(path, good, evil, tmp_path):
    """Where a decision must be written down and cannot be, the request fails and nobody is connected to."""

    class Full:
        def record(self, kind, facts):
            raise RouterError("no space left")

    async with running(config_for(good, evil), tmp_path, policy=policy_for(good), auditor=Full()) as router:
        status, _, error = await ask(router, path, {}, {})
    assert status >= 500
    assert error["error"]["type"] == "api_error"
    assert (good.connections, evil.connections) == (0, 0)


async def test_what_was_never_decided_needs_no_line(good, evil, tmp_path):
    """A request that cannot be read reaches no decision, and leaves no line."""
    ledger = Ledger()
    async with (
        running(config_for(good, evil), tmp_path, policy=policy_for(good), auditor=ledger) as router,
        router.client.post(router.url + "/v1/messages", data=b"{") as response,
    ):
        assert response.status == 400
    assert [kind for kind, _ in ledger.lines if kind in {"decision", "denial", "outcome"}] == []


def test_secrets_in_names_are_not_written_down(tmp_path):
    """A key that a client puts where a model belongs is masked in the audit log, and long names are cut."""
    trail = AuditTrail(tmp_path / "audit", 3456, is_required=True, secrets=[Secret("configured-secret-1")])
    approval = Approval(Policy(), trail)
    exchange = Exchange(
        "req_1", "/v1/messages", 0.0, asked="x" * 180 + " configured-secret-1 sk-ant-0123456789abcdefghij"
    )
    approval.approve([Target(Provider("p", ()), "m" * 5000)], exchange)
    trail.close()
    [facts] = map(json.loads, (tmp_path / "audit" / "audit-3456.jsonl").read_text().splitlines())
    assert "configured-s" not in json.dumps(facts)
    assert "sk-ant" not in json.dumps(facts)
    assert all(len(value) <= 200 for value in (facts["asked"], facts["target"], facts["targets"][0]))


async def test_a_client_under_another_policy_is_not_taken(good):
    """The last step judges by the same policy as the first one: a gateway refuses a client that does not."""
    client = UpstreamClient()
    with pytest.raises(ValueError, match="another policy"):
        Gateway(load(None, {}), client, lambda: 0.0, policy=policy_for(good))
    await client.close()

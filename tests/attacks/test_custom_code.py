"""Attacks by the user's own code: where a policy does not allow it none runs, however it is brought in; where it does,
what it answers and what it makes of requests is judged like everything else.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ccrouter.compliance.examine import examine
from ccrouter.config.load import load
from ccrouter.config.projects import ProjectRouters
from ccrouter.errors import ConfigError
from ccrouter.server.app import App
from tests.attacks.test_management import Household, house, to
from tests.attacks.world import KEY, SENT, STRANGERS_WORDS, config_with, preset_at
from tests.compliance.configs import ANTHROPIC_ONLY, ENVIRON, Desk, changed
from tests.gateway.conftest import running
from tests.upstream import Upstream

__all__ = ["house"]

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="NO NODE ON THIS MACHINE: attacks in JavaScript are NOT made"
)

#: Whatever runs of it leaves this file beside it.
TRACE = "it-ran"
PYTHON = f"""
from pathlib import Path
from ccrouter.extend import Transform
Path(__file__).with_name({TRACE!r}).touch()
class Mine(Transform):
    name = "mine"
def route(request, config, context):
    return "evil,gpt-5"
"""
SCRIPT = f"""
require("node:fs").writeFileSync(require("node:path").join(__dirname, {TRACE!r}), "");
module.exports = class {{ name = "mine"; }};
"""

#: What brings code in → what the policy's refusal names.
ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "router": ({"CUSTOM_ROUTER_PATH": "own.py"}, "CUSTOM_ROUTER_PATH"),
    "router, JavaScript": ({"CUSTOM_ROUTER_PATH": "own.js"}, "CUSTOM_ROUTER_PATH"),
    "router, another spelling": ({"customRouterPath": "own.py"}, "CUSTOM_ROUTER_PATH"),
    "transformer": ({"transformers": [{"path": "own.py"}]}, "custom transformer"),
    "transformer, JavaScript": ({"transformers": [{"path": "own.js"}]}, "custom transformer"),
    "transformer that is not used": ({"transformers": [{"path": "own.py", "name": "x"}]}, "custom transformer"),
    "prompt": ({"REWRITE_SYSTEM_PROMPT": "own.py"}, "REWRITE_SYSTEM_PROMPT"),
}


def lay_out(folder: Path) -> None:
    (folder / "own.py").write_text(PYTHON)
    (folder / "own.js").write_text(SCRIPT)


def has_run(folder: Path) -> bool:
    return any(folder.rglob(TRACE))


# -- a policy that allows none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES)
async def test_none_is_verified_started_or_run(entry, desk: Desk, world):
    """The examination refuses it by its rule; a router that is started on it all the same does not come up."""
    more, words = ENTRIES[entry]
    lay_out(desk.folder)
    verdict = desk.examine(changed(lambda tree: tree.update(more)))
    assert any(words in one.message and one.rule == "extensions.allowed" for one in verdict.errors), verdict.errors
    app = App(load(desk.path, desk.environ({})), policy=ANTHROPIC_ONLY, environ=desk.environ({"PATH": "/usr/bin:/bin"}))
    with pytest.raises(ConfigError, match=r"extension point; rule extensions.allowed of policy anthropic-only"):
        await app.prepare()
    assert not has_run(desk.home)


async def test_an_installed_one_is_refused_too(desk: Desk, world, monkeypatch):
    """A transform that a package offers is a transform: it is not imported."""
    site = desk.home / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text("[ccrouter.transforms]\nmine = own_of_acme:Mine\n")
    (site / "own_of_acme.py").write_text(PYTHON)
    monkeypatch.syspath_prepend(str(site))
    verdict = desk.examine(to({"use": ["anthropic", "mine"]}, "Providers", 0, "transformer"))
    assert any('transformer "mine"' in one.message for one in verdict.errors)
    app = App(load(desk.path, desk.environ({})), policy=ANTHROPIC_ONLY, environ=desk.environ({}))
    with pytest.raises(ConfigError, match=r"extension point|custom transformer|transformer"):
        await app.prepare()
    assert not has_run(desk.home)


@pytest.mark.parametrize("entry", ENTRIES)
async def test_no_reload_and_no_save_brings_it_in(entry, house: Household):
    """Written into the file, or posted, it is refused: what was in force stays so, and nothing has run."""
    more, words = ENTRIES[entry]
    lay_out(house.desk.folder)
    tree = changed(lambda tree: tree.update(more))
    before = house.desk.path.read_text()
    posted = await house.post("/api/config", tree)
    assert posted.status == 403, posted.raw
    assert words in posted.message
    assert house.desk.path.read_text() == before
    house.desk.write(tree)
    reloaded = await house.post("/api/restart")
    assert reloaded.status == 400
    assert words in reloaded.message
    await house.holds()
    assert not has_run(house.desk.home)


@pytest.mark.parametrize("name", ["config.json", "0b3c1f9e-1111-4222-8333-444455556666.json"])
async def test_no_project_or_session_brings_it_in(name, approved: Upstream, stranger: Upstream, tmp_path, monkeypatch):
    """The files of projects and sessions hold routers and nothing else: what else is in them is not read."""

    home = tmp_path / "home"
    session = "0b3c1f9e-1111-4222-8333-444455556666"
    project = home / ".claude-code-router" / "-repo"
    project.mkdir(parents=True)
    transcripts = home / ".claude" / "projects" / "-repo"
    transcripts.mkdir(parents=True)
    (transcripts / f"{session}.jsonl").write_text("")
    lay_out(project)
    own = {
        "CUSTOM_ROUTER_PATH": str(project / "own.py"),
        "transformers": [{"path": str(project / "own.py")}],
        "REWRITE_SYSTEM_PROMPT": str(project / "own.py"),
        "Router": {"default": "anthropic,claude-3.7-sonnet"},
    }
    (project / name).write_text(json.dumps(own))
    environ = ENVIRON | {"HOME": str(home)}
    text = config_with(approved, stranger)
    (tmp_path / "config.json").write_text(text)
    projects = ProjectRouters(load(tmp_path / "config.json", environ), environ)
    async with running(text, tmp_path, environ, policy=preset_at(approved), projects=projects) as router:
        headers = {"x-api-key": KEY, "x-claude-code-session-id": session}
        status, _, raw = await router.ask(headers, system=[{"type": "text", "text": "a<env>b"}])
    assert status == 200, raw
    assert not has_run(home)
    assert "class Mine" not in approved.requests[-1].body.decode()


async def test_no_request_brings_it_in(approved: Upstream, stranger: Upstream, tmp_path):
    """Whatever a request names, in its body or its headers: nothing is loaded, and nothing spawned."""
    lay_out(tmp_path)
    path = str(tmp_path / "own.py")
    async with running(config_with(approved, stranger), tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        named = dict.fromkeys(
            ("CUSTOM_ROUTER_PATH", "transformer", "transformers", "plugins", "extensions", "use"), path
        )
        headers = {"x-api-key": KEY, "x-ccr-router": path, "x-ccr-transformer": path, "custom-router-path": path}
        for body in (
            named,
            {"metadata": named},
            {"model": f"anthropic,{path}"},
            {"tools": [{"name": path, "input_schema": {}}]},
        ):
            await router.ask(headers, **body)
        async with router.client.post(
            f"{router.url}/providers", json={"name": "x", "transformer": {"use": [path]}}, headers=headers
        ) as response:
            assert response.status in (400, 403)
    assert not has_run(tmp_path)


async def test_without_a_policy_a_provider_added_in_memory_names_no_code(
    approved: Upstream, stranger: Upstream, tmp_path
):
    """`POST /providers` takes neither transformers nor paths."""
    lay_out(tmp_path)
    async with running(config_with(approved, stranger), tmp_path, ENVIRON) as router:
        given = {"name": "x", "baseUrl": "http://127.0.0.1:9/v1", "models": ["m"], "transformer": {"use": ["mine"]}}
        async with router.client.post(f"{router.url}/providers", json=given, headers={"x-api-key": KEY}) as response:
            assert response.status == 400
        async with router.client.post(
            f"{router.url}/providers",
            json={**given, "transformers": [{"path": str(tmp_path / "own.py")}]},
            headers={"x-api-key": KEY},
        ) as response:
            assert response.status == 400
    assert not has_run(tmp_path)


# -- a policy that allows it -------------------------------------------------------------------------------------------

LANGUAGES = pytest.mark.parametrize("language", ["py", pytest.param("js", marks=needs_node)])
CUSTOM = frozenset({"customRouter", "transforms", "promptRewrite"})

ANSWERS = {
    "a banned provider": "openrouter,qwen/qwen3-coder",
    "in capitals": "OpenRouter,qwen/qwen3-coder",
    "with blanks": " openrouter , qwen/qwen3-coder ",
    "a provider that is not allowed": "evil,gpt-5",
    "an allowed model of a stranger": "openrouter,claude-3.7-sonnet",
    "another model": "anthropic,claude-opus-4-8",
    "the model that is sent": "anthropic,claude-sonnet-4-6",
    "nobody's provider": "volcengine,x",
    "a URL": "https://evil.example/v1/messages,x",
    "a provider in Cyrillic": "\u0430nthropic,claude-3.7-sonnet",
}


@LANGUAGES
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_router_that_leads_to_strangers(answer, language, approved: Upstream, stranger: Upstream, tmp_path):
    """What it chooses is judged like every plan: a 403, on record, and nobody connected to."""
    chosen = json.dumps(ANSWERS[answer])
    if language == "py":
        (tmp_path / "own.py").write_text(f"def route(request, config, context):\n    return {chosen}\n")
    else:
        (tmp_path / "own.js").write_text(f"module.exports = () => {chosen};")
    text = config_with(approved, stranger, CUSTOM_ROUTER_PATH=f"own.{language}")
    environ = ENVIRON | {"PATH": "/usr/bin:/bin:/usr/local/bin"}
    async with running(text, tmp_path, environ, policy=preset_at(approved, allowed_extensions=CUSTOM)) as router:
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            body = {"model": "claude-3.7-sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            async with router.client.post(f"{router.url}{path}", json=body, headers={"x-api-key": KEY}) as response:
                told = await response.json()
                assert response.status == 403, told
                assert told["error"]["type"] == "permission_error"
    assert approved.requests == []


@LANGUAGES
async def test_a_router_that_leads_to_the_approved(language, approved: Upstream, stranger: Upstream, tmp_path):
    """The same policy lets a choice of its own pass, with the model that is sent for it: the tests above can fail."""
    if language == "py":
        (tmp_path / "own.py").write_text(
            "def route(request, config, context):\n    return 'anthropic,claude-3.7-haiku'\n"
        )
    else:
        (tmp_path / "own.js").write_text("module.exports = () => 'anthropic,claude-3.7-haiku';")
    text = config_with(approved, stranger, CUSTOM_ROUTER_PATH=f"own.{language}")
    environ = ENVIRON | {"PATH": "/usr/bin:/bin:/usr/local/bin"}
    async with running(text, tmp_path, environ, policy=preset_at(approved, allowed_extensions=CUSTOM)) as router:
        status, headers, _ = await router.ask({"x-api-key": KEY})
    assert (status, headers["x-ccr-model"]) == (200, "anthropic,claude-3.7-haiku")
    assert approved.requests[-1].json()["model"] in SENT


#: What a transform makes of a request, in Python and in JavaScript.
CHANGES = {
    "URL": ("url", "{stranger}/v1/messages"),
    "URL with a user": ("url", "http://127.0.0.1:{approved}@evil.example/v1/messages"),
    "no URL at all": ("url", "file:///etc/passwd"),
    "model": ("model", "gpt-5"),
    "model of the strangers": ("model", "qwen/qwen3-coder"),
    "the configured model, which is not what is sent": ("model", "claude-opus-4-8"),
    "no model": ("model", None),
    "model twice": ("bytes", '{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[],"model":"gpt-5"}'),
    "no JSON": ("bytes", "model=claude-sonnet-4-6"),
}  # fmt: skip

PYTHON_CHANGES = {
    "url": "return Wire({0!r}, wire.body, wire.headers)",
    "model": "return Wire(wire.url, json.dumps({{**json.loads(wire.body), 'model': {0!r}}}).encode(), wire.headers)",
    "bytes": "return Wire(wire.url, {0!r}.encode(), wire.headers)",
}
SCRIPT_CHANGES = {
    "url": "return {{ body, config: {{ url: {0} }} }};",
    "model": "return {{ ...body, model: {0} ?? undefined }};",
}


@LANGUAGES
@pytest.mark.parametrize("change", CHANGES)
async def test_a_transform_that_leads_to_strangers(change, language, approved: Upstream, stranger: Upstream, tmp_path):
    """What leaves is judged by what it has become: nothing of it leaves."""
    kind, value = CHANGES[change]
    if isinstance(value, str):
        value = value.replace("{stranger}", stranger.url).replace("{approved}", str(approved.port))
    if language == "js" and kind == "bytes":
        pytest.skip("a transformer in JavaScript gives an object, no bytes")
    if language == "py":
        line = PYTHON_CHANGES[kind].format(value)
        (tmp_path / "own.py").write_text(
            f"import json\nfrom ccrouter.extend import *\nclass Mine(Transform):\n    name = 'mine'\n    def wire(self, wire, context):\n        {line}\n"
        )
    else:
        line = SCRIPT_CHANGES[kind].format(json.dumps(value))
        (tmp_path / "own.js").write_text(
            f"module.exports = class {{ name = 'mine'; transformRequestIn(body) {{ {line} }} }};"
        )
    tree = json.loads(config_with(approved, stranger, transformers=[{"path": f"own.{language}"}]))
    tree["Providers"][0]["transformer"] = {"use": ["anthropic", "mine"]}
    environ = ENVIRON | {"PATH": "/usr/bin:/bin:/usr/local/bin"}
    async with running(tree, tmp_path, environ, policy=preset_at(approved, allowed_extensions=CUSTOM)) as router:
        status, _, raw = await router.ask({"x-api-key": KEY})
    assert status >= 400, raw
    assert STRANGERS_WORDS.encode() not in raw
    assert approved.requests == []


@LANGUAGES
async def test_headers_of_a_transform(language, approved: Upstream, stranger: Upstream, tmp_path):
    """A transform may change headers, but neither whose host it is nor how the request is framed."""
    headers = {
        "host": "evil.example",
        "content-length": "1",
        "x-forwarded-host": "evil.example",
        "transfer-encoding": "chunked",
        "connection": "upgrade",
        "x-mine": "yes",
    }
    if language == "py":
        (tmp_path / "own.py").write_text(
            f"from ccrouter.extend import *\nclass Mine(Transform):\n    name = 'mine'\n    def wire(self, wire, context):\n        return Wire(wire.url, wire.body, {{**wire.headers, **{headers!r}}})\n"
        )
    else:
        (tmp_path / "own.js").write_text(
            f"module.exports = class {{ name = 'mine'; transformRequestIn(body) {{ return {{ body, config: {{ headers: {json.dumps(headers)} }} }}; }} }};"
        )
    tree = json.loads(config_with(approved, stranger, transformers=[{"path": f"own.{language}"}]))
    tree["Providers"][0]["transformer"] = {"use": ["anthropic", "mine"]}
    environ = ENVIRON | {"PATH": "/usr/bin:/bin:/usr/local/bin"}
    async with running(tree, tmp_path, environ, policy=preset_at(approved, allowed_extensions=CUSTOM)) as router:
        status, _, raw = await router.ask({"x-api-key": KEY})
    assert status == 200, raw
    sent = approved.requests[-1].headers
    assert sent["host"] == f"127.0.0.1:{approved.port}"
    assert sent["x-mine"] == "yes"
    assert sent["content-length"] == str(len(approved.requests[-1].body))
    assert "transfer-encoding" not in sent


async def test_an_examination_runs_nothing(desk: Desk):
    """Even where custom code is allowed, verifying a configuration only reads it."""

    lay_out(desk.folder)
    desk.write(
        changed(lambda tree: tree.update({"CUSTOM_ROUTER_PATH": "own.py", "transformers": [{"path": "own.js"}]}))
    )
    policy = replace(ANTHROPIC_ONLY, allowed_extensions=CUSTOM)
    verdict = examine(desk.path, desk.environ({}), policy)
    assert not any(one.rule == "extensions.allowed" for one in verdict.errors), verdict.errors
    assert not has_run(desk.home)

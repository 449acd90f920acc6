"""Attacks on what is in force: by the endpoints of management, by the files behind them, by who asks and how.

The router has real files under the shipped policy, the reload that `ccr start` gives it, and an audit that remembers.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccrouter.cli.acceptance import accept, reloader
from ccrouter.cli.options import StartOptions
from ccrouter.compliance.document import preset_text
from ccrouter.config import syntax
from ccrouter.server.app import App
from tests.attacks.world import APPROVED_ADDRESS, KEY, World
from tests.compliance.configs import ENVIRON, GUIDE, OPENROUTER, Desk, changed, put
from tests.server.conftest import Answer, Recorder, call

P = ("Providers", 0)
SENT = {"content-type": "application/json", "x-api-key": KEY}
LAUNCH = "ccr-launch-of-a-launch-that-lives"
EVIL = "https://evil.example/v1/messages"


@dataclass
class Household:
    """A router at work, its files, and what was recorded."""

    desk: Desk
    app: App
    audit: Recorder

    @property
    def policy(self) -> Path:
        return self.desk.folder / "policy.json"

    def write_policy(self, document: Any, mode: int = 0o600) -> None:
        self.policy.unlink(missing_ok=True)
        self.policy.write_text(document if isinstance(document, str) else json.dumps(document))
        self.policy.chmod(mode)

    async def post(self, path: str, value: Any = None, method: str = "POST", **headers: str) -> Answer:
        body = json.dumps(value if value is not None else {}).encode()
        return await call(self.app, method, path, {**SENT, **headers}, body)

    async def ask(self, model: str) -> Answer:
        body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        return await self.post("/v1/messages", body)

    async def holds(self) -> None:
        """The policy of the start is in force, and does what it says."""
        assert self.app.in_force[1].name == "anthropic-only"
        told = (await call(self.app, "GET", "/api/policy", SENT)).json
        assert told["policy"]["name"] == "anthropic-only"
        for model in ("openrouter,qwen/qwen3-coder", "anthropic,claude-opus-4-8", "evil,x"):
            assert (await self.ask(model)).status == 403


@pytest.fixture
async def house(desk: Desk, world: World, monkeypatch) -> AsyncIterator[Household]:
    for name, value in desk.environ({}).items():
        monkeypatch.setenv(name, value)
    desk.write(GUIDE)
    policy = desk.beside("policy.json", preset_text("anthropic-only").decode())
    policy.chmod(0o600)
    options = StartOptions()
    accepted = accept(options)
    audit = Recorder()
    app = App(
        accepted.config,
        policy=accepted.policy,
        auditor=audit,
        is_launch_key=lambda key: key == LAUNCH,
        reload=reloader(options, accepted, require_audit=lambda: None),
        environ=os.environ,
    )
    ending, ended = asyncio.Event(), asyncio.Event()
    begun = asyncio.Event()
    pieces = [{"type": "lifespan.startup"}]

    async def receive():
        if pieces:
            return pieces.pop()
        await ending.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message):
        (begun if "startup" in message["type"] else ended).set()

    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, receive, send))
    await begun.wait()
    here = Household(desk, app, audit)
    await here.holds()
    try:
        yield here
    finally:
        ending.set()
        await running
    assert set(world.dialled) <= {(APPROVED_ADDRESS, 443)}


def to(value: object, *path: object) -> Any:
    return changed(lambda tree: put(tree, value, *path))


#: What is posted to /api/config → a word of the refusal.
WEAKER = {
    "banned provider": (changed(lambda tree: tree["Providers"].append(OPENROUTER)), "BANNED provider"),
    "another host": (to(EVIL, *P, "api_base_url"), "Host not allowed"),
    "another model": (to(["gpt-5"], *P, "models"), "Model not allowed"),
    "route": (to("openrouter,x", "Router", "webSearch"), "BANNED provider"),
    "fallback": (to({"default": ["openrouter,x"]}, "fallback"), "BANNED provider"),
    "open to the network": (to("0.0.0.0", "HOST"), "HOST must be"),
    "no key": (changed(lambda tree: tree.pop("APIKEY")), "APIKEY"),
    "key in the file": (to("a-new-key-of-the-attacker", "APIKEY"), "comes from the file"),
    "proxy": (to("http://proxy.example", "PROXY_URL"), "Proxy not allowed"),
    "custom router": (to("/tmp/x.js", "CUSTOM_ROUTER_PATH"), "extension point"),
    "body": (to({"mcp_servers": [{"url": EVIL}]}, *P, "extra_body"), "extension point"),
    "a policy within": (to({"extends": "open"}, "policy"), "not a setting"),
    "a policy by variable": (to("open", "CCR_POLICY"), "not a setting"),
    "lower-case twin": (to([OPENROUTER], "providers"), "BANNED provider"),
    "nothing in it": ({"HOST": "127.0.0.1"}, "Providers"),
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"M{n:03d} {name}") for n, name in enumerate(WEAKER, 1)])
async def test_a_config_that_weakens(name, house: Household) -> None:
    """Refused whole with 403, the file untouched, the denial on record; a restart changes nothing."""
    before = house.desk.path.read_bytes()
    tree, word = WEAKER[name]
    answer = await house.post("/api/config", tree)
    assert answer.status == 403, answer.raw
    assert answer.json["error"]["type"] == "permission_error"
    assert word in answer.message
    assert house.desk.path.read_bytes() == before
    assert [path.name for path in house.desk.folder.iterdir() if path.suffix == ".bak"] == []
    assert house.audit.of("denial")[-1]["path"] == "/api/config"
    assert (await house.post("/api/restart")).status == 200
    await house.holds()


@pytest.mark.parametrize("depth", [150, 400, 700, 50_000])
async def test_a_deep_config(depth, house: Household) -> None:
    """M020: one that is nested too deeply is a 400 and no defect."""
    body = json.dumps(GUIDE)[:-1] + ', "StatusLine": ' + '{"a":' * depth + "1" + "}" * depth + "}"
    answer = await call(house.app, "POST", "/api/config", SENT, body.encode())
    assert answer.status == 400, answer.raw[:300]
    await house.holds()


async def test_a_huge_config(house: Household) -> None:
    """M021: one of many megabytes is refused at once."""
    tree = {**copy.deepcopy(GUIDE), "StatusLine": {"x": "x" * 20_000_000}}
    answer = await house.post("/api/config", tree)
    assert answer.status in {400, 403, 413}, answer.raw[:300]
    await house.holds()


WRITES = [
    ("POST", "/providers", {"name": "q", "type": "anthropic", "baseUrl": EVIL, "apiKey": "k", "models": ["x"]}),
    ("PUT", "/providers/anthropic", {"baseUrl": EVIL}),
    ("PUT", "/providers/anthropic", {"models": ["gpt-5"]}),
    ("DELETE", "/providers/anthropic", {}),
    ("PATCH", "/providers/anthropic/toggle", {"enabled": False}),
]


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [pytest.param(*one, id=f"M{n:03d} {one[0]} {one[1]}") for n, one in enumerate(WRITES, 30)],
)
async def test_writing_providers(method, path, value, house: Household) -> None:
    """In memory nothing can be changed under a policy."""
    answer = await house.post(path, value, method)
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    await house.holds()


def _twice(document: str) -> str:
    return document.rstrip()[:-1] + ', "name": "anthropic-only"}'


ANTHROPIC_ONLY = preset_text("anthropic-only").decode()
#: What happens to policy.json before a restart.
POLICIES: dict[str, Callable[[Household], object]] = {
    "removed": lambda house: house.policy.unlink(),
    "empty": lambda house: house.write_policy(""),
    "null": lambda house: house.write_policy("null"),
    "no policy": lambda house: house.write_policy({}),
    "broken": lambda house: house.write_policy(ANTHROPIC_ONLY[:-20]),
    "unknown member": lambda house: house.write_policy({"name": "x", "extends": "anthropic-only", "allow": ["*"]}),
    "unknown member within": lambda house: house.write_policy(
        {"name": "x", "extends": "anthropic-only", "models": {"allow": []}}
    ),
    "member twice": lambda house: house.write_policy(_twice(ANTHROPIC_ONLY)),
    "wrong type": lambda house: house.write_policy({"name": "x", "extends": "anthropic-only", "httpsOnly": "false"}),
    "another reaction": lambda house: house.write_policy(
        {"name": "x", "extends": "anthropic-only", "onViolation": "default"}
    ),
    "writable by others": lambda house: house.policy.chmod(0o666),
    "writable by the group": lambda house: house.policy.chmod(0o620),
    "folder writable": lambda house: house.desk.folder.chmod(0o777),
    "a folder": lambda house: (house.policy.unlink(), house.policy.mkdir()),
    "a link to nowhere": lambda house: (house.policy.unlink(), house.policy.symlink_to("nowhere.json")),
    "a link to /dev/null": lambda house: (house.policy.unlink(), house.policy.symlink_to("/dev/null")),
    "a link to /dev/zero": lambda house: (house.policy.unlink(), house.policy.symlink_to("/dev/zero")),
    "extends itself": lambda house: house.write_policy({"name": "x", "extends": "policy.json"}),
    "extends what is not there": lambda house: house.write_policy({"name": "x", "extends": "../../nowhere.json"}),
    "extends a password file": lambda house: house.write_policy({"name": "x", "extends": "/etc/passwd"}),
    "extends what others can write": lambda house: (
        house.desk.beside("base.json", {"name": "base"}).chmod(0o666),
        house.write_policy({"name": "x", "extends": "base.json"}),
    ),
    "deep": lambda house: house.write_policy('{"name": "x", "hosts": ' + '{"a":' * 600 + "1" + "}" * 601),
    "huge": lambda house: house.write_policy('{"name": "x", "description": "' + "x" * 9_000_000 + '"}'),
    "allowed and banned": lambda house: house.write_policy(
        {"name": "x", "extends": "anthropic-only", "hosts": {"allowed": ["openrouter.ai"]}}
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"M{n:03d} {name}") for n, name in enumerate(POLICIES, 40)])
async def test_a_policy_that_is_none(name, house: Household) -> None:
    """A policy that is gone, or cannot be read or trusted, is an error and never no policy: what was in force stays, and
    the refusal is on record."""
    POLICIES[name](house)
    answer = await house.post("/api/restart")
    house.desk.folder.chmod(0o700)
    assert answer.status == 400, answer.raw
    assert house.audit.of("reload")[-1]["result"] == "refused"
    await house.holds()


async def test_a_circle_of_policies(house: Household) -> None:
    """M070: policies that extend each other are refused."""
    house.desk.beside("a.json", {"name": "a", "extends": "b.json"}).chmod(0o600)
    house.desk.beside("b.json", {"name": "b", "extends": "a.json"}).chmod(0o600)
    house.write_policy({"name": "x", "extends": "a.json"})
    answer = await house.post("/api/restart")
    assert answer.status == 400
    assert "circle" in answer.message
    await house.holds()


async def test_the_owner_changes_the_policy(house: Household, world: World) -> None:
    """M071: what the machine's owner writes into a policy that is not pinned is in force after a reload, and on record,
    if it is as strict; what allows more needs a restart, and without a reload nothing changes."""
    before = house.app.in_force[1].digest
    house.write_policy({"name": "mine", "extends": "anthropic-only", "clientKey": {"required": True, "minLength": 17}})
    await house.holds()
    assert (await house.post("/api/restart")).status == 200
    assert house.app.in_force[1].name == "mine"
    mine = house.app.in_force[1].digest
    assert mine != before
    assert [line["policy"] for line in house.audit.of("policy")] == [mine]
    assert (await house.ask("openrouter,qwen/qwen3-coder")).status == 403
    for text in (preset_text("open"), preset_text("anthropic-only"), b'{"name": "nothing"}'):
        house.write_policy(text.decode())
        answer = await house.post("/api/restart")
        assert (answer.status, "a reload can only tighten" in answer.message) == (400, True)
        assert house.app.in_force[1].digest == mine
    assert (await house.ask("openrouter,qwen/qwen3-coder")).status == 403


async def test_the_file_changes_behind_the_save(house: Household) -> None:
    """M072: what was examined when it was saved is examined again when it is put in force."""
    assert (await house.post("/api/config", GUIDE)).status == 200
    house.desk.write(changed(lambda tree: tree["Providers"].append(OPENROUTER)))
    answer = await house.post("/api/restart")
    assert answer.status == 400
    assert "BANNED provider" in answer.message
    await house.holds()


async def test_the_file_changes_while_it_is_read(house: Household, monkeypatch) -> None:
    """M073: what is judged is what is put in force, also if the file is another one right after it was read."""
    read, evil = syntax.read_bounded, json.dumps(changed(lambda tree: put(tree, EVIL, *P, "api_base_url")))

    def read_and_swap(path: Path) -> bytes:
        data = read(path)
        if path.name == "config.json":
            path.write_text(evil)
        return data

    monkeypatch.setattr(syntax, "read_bounded", read_and_swap)
    await house.post("/api/restart")
    monkeypatch.undo()
    urls = [endpoint.url for one in house.app.in_force[0].providers for endpoint in one.endpoints]
    assert not any("evil" in url for url in urls)
    for name, value in house.desk.environ({}).items():
        monkeypatch.setenv(name, value)
    assert (await house.ask("x")).status in {502, 403}


async def test_another_policy_by_variable(house: Household, monkeypatch) -> None:
    """M074: a variable that names something else where a policy is in force is judged like a start: here it is the
    user's own process and choice, on record."""
    monkeypatch.setenv("CCR_POLICY", str(house.desk.folder / "nowhere.json"))
    assert (await house.post("/api/restart")).status == 400
    monkeypatch.delenv("CCR_POLICY")
    await house.holds()


#: Who asks, and how → the status. Each is tried on every path of management.
FORGERIES: dict[str, tuple[dict[str, str], str | None, set[int]]] = {
    "no key": ({"x-api-key": ""}, "127.0.0.1", {401}),
    "guessed key": ({"x-api-key": KEY[:-1] + "x"}, "127.0.0.1", {401}),
    "beginning of the key": ({"x-api-key": KEY[:-1]}, "127.0.0.1", {401}),
    "key and more": ({"x-api-key": KEY + "x"}, "127.0.0.1", {401}),
    "key twice in one": ({"x-api-key": f"{KEY},{KEY}"}, "127.0.0.1", {401}),
    "key of a launch": ({"x-api-key": LAUNCH}, "127.0.0.1", {401}),
    "key as Basic": ({"x-api-key": "", "authorization": f"Basic {KEY}"}, "127.0.0.1", {401}),
    "key as a cookie": ({"x-api-key": "", "cookie": f"x-api-key={KEY}"}, "127.0.0.1", {401}),
    "rebound name": ({"host": "evil.example:3456"}, "127.0.0.1", {403}),
    "name that begins right": ({"host": "127.0.0.1.evil.example"}, "127.0.0.1", {403}),
    "name that ends right": ({"host": "evil.example#127.0.0.1"}, "127.0.0.1", {403}),
    "name with a user": ({"host": "127.0.0.1@evil.example"}, "127.0.0.1", {403}),
    "approved name": ({"host": "api.anthropic.com"}, "127.0.0.1", {403}),
    "foreign Origin": ({"origin": "https://evil.example"}, "127.0.0.1", {403}),
    "Origin null": ({"origin": "null"}, "127.0.0.1", {403}),
    "Origin that begins right": ({"origin": "http://127.0.0.1.evil.example"}, "127.0.0.1", {403}),
    "Origin with a user": ({"origin": "http://127.0.0.1@evil.example"}, "127.0.0.1", {403}),
    "Origin of an extension": ({"origin": "chrome-extension://abcdef"}, "127.0.0.1", {403}),
    "from elsewhere": ({}, "192.0.2.7", {403}),
    "from elsewhere, forwarded": ({"x-forwarded-for": "127.0.0.1"}, "192.0.2.7", {403}),
    "mapped from elsewhere": ({}, "::ffff:192.0.2.7", {403}),
    "by nobody": ({}, None, {403}),
    "passed on": ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1", {403}),
    "passed on, standard": ({"forwarded": "for=127.0.0.1"}, "127.0.0.1", {403}),
    "passed on by a proxy": ({"via": "1.1 proxy"}, "127.0.0.1", {403}),
    "form": ({"content-type": "application/x-www-form-urlencoded"}, "127.0.0.1", {415}),
    "plain text": ({"content-type": "text/plain"}, "127.0.0.1", {415}),
    "parts": ({"content-type": "multipart/form-data; boundary=application/json"}, "127.0.0.1", {415}),
    "nearly JSON": ({"content-type": "text/plain;application/json"}, "127.0.0.1", {415}),
}
PATHS = [("POST", "/api/config"), ("POST", "/api/restart"), ("POST", "/providers"), ("PUT", "/providers/anthropic"),
         ("DELETE", "/providers/anthropic"), ("PATCH", "/providers/anthropic/toggle")]  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, id=f"M{n:03d} {name}") for n, name in enumerate(FORGERIES, 80)])
async def test_forgeries(name, house: Household) -> None:
    """Whoever is not a program of this machine with the router's key changes nothing, and leaves nothing on record."""
    headers, peer, statuses = FORGERIES[name]
    before = list(house.audit.lines)
    for method, path in PATHS:
        answer = await call(house.app, method, path, {**SENT, **headers}, b"{}", peer=peer)
        assert answer.status in statuses, (method, path, answer.raw)
        assert answer.json["type"] == "error"
        assert "access-control-allow-origin" not in answer.headers
    assert house.audit.lines == before
    await house.holds()


@pytest.mark.parametrize("query", [f"?api_key={KEY}", f"?x-api-key={KEY}", f"?key={KEY}", f"?access_token={KEY}"])
async def test_keys_in_query_strings(query, house: Household) -> None:
    """M120: a key in a URL is no key."""
    for method, path in (
        ("GET", "/api/config"),
        ("POST", "/api/restart"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/models"),
    ):
        sent = {"content-type": "application/json"}
        answer = await call(house.app, method, path, sent, b"{}", query=query[1:].encode())
        assert answer.status == 401
        assert KEY not in answer.raw.decode()


async def test_nothing_of_the_keys_is_told(house: Household) -> None:
    """M121: no answer of management has a key in it."""
    for path in ("/api/config", "/providers", "/providers/anthropic", "/api/policy", "/health"):
        answer = await call(house.app, "GET", path, SENT)
        assert answer.status == 200
        for secret in ENVIRON.values():
            assert secret not in answer.raw.decode()

"""The management endpoints, as the programs that know them from the classic router use them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import stat

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.config.load import Overrides, load
from tests.gateway.conftest import running
from tests.server.conftest import JSON, KEY, UPSTREAM_KEY, call, settings
from tests.upstream import Upstream

POLICY = Policy(name="strict", source="preset strict", digest="d" * 64, allowed_providers=("p",))


async def save(router, config, headers=JSON):
    return await call(router.app, "POST", "/api/config", headers, json.dumps(config).encode())


def backups(tmp_path):
    return sorted(tmp_path.glob("config.json.*.bak"))


async def test_the_file_as_written(tmp_path, upstream: Upstream):
    """GET /api/config gives what is written: placeholders as placeholders, literal secrets masked, unknown keys kept."""
    config = settings(upstream, APIKEY="$CCR_APIKEY", mine={"password": "hunter2-hunter2", "colour": "red"})
    async with running(config, tmp_path, {"CCR_APIKEY": KEY}) as router:
        answer = await call(router.app, "GET", "/api/config", {"x-api-key": KEY})
    told = answer.json
    assert answer.status == 200
    assert told["Router"]["default"] == "p,m1"
    assert told["APIKEY"] == "$CCR_APIKEY"
    assert told["Providers"][0]["models"] == ["m1", "m2"]
    assert told["Providers"][0]["api_key"] == "***"
    assert told["mine"] == {"password": "***", "colour": "red"}
    assert UPSTREAM_KEY not in answer.raw.decode()


async def test_the_guides_shape_is_given_as_it_is(tmp_path, upstream: Upstream):
    """Of a file in the guide's shape what is there is given, and of one that broke since, what is in force."""
    config = {
        "providers": {"p": {"baseURL": upstream.url, "apiKey": UPSTREAM_KEY, "type": "anthropic"}},
        "routers": {"default": {"routes": {"p,m1": {"default": True}}}},
    }
    async with running(config, tmp_path) as router:
        told = (await call(router.app, "GET", "/api/config")).json
        assert told["routers"] == config["routers"]
        assert told["providers"]["p"]["apiKey"] == "***"
        (tmp_path / "config.json").write_text("{ broken")
        assert (await call(router.app, "GET", "/api/config")).json["routers"] == config["routers"]


async def test_saving(tmp_path, upstream: Upstream):
    """POST /api/config replaces the file: secrets that came back masked stay, comments and placeholders too, the old
    content is in a backup, and nothing of it is in force before the next reload."""
    text = json.dumps(settings(upstream, APIKEY="$CCR_APIKEY"), indent=2)
    text = text.replace('"Router"', '// my routes\n  "Router"')
    environ = {"CCR_APIKEY": KEY}
    path = tmp_path / "config.json"
    key = {"x-api-key": KEY, **JSON}
    async with running(text, tmp_path, environ) as router:
        path.chmod(0o600)
        told = (await call(router.app, "GET", "/api/config", key)).json
        told["Router"]["background"] = "p,m2"
        answer = await save(router, told, key)
        assert answer.status == 200, answer.raw
        assert answer.json["success"] is True
        assert answer.json["message"] == "Config saved successfully"
        assert "POST /api/restart" in answer.json["note"]
        written = path.read_text()
        assert "// my routes" in written
        assert '"$CCR_APIKEY"' in written
        assert UPSTREAM_KEY in written
        assert KEY not in written
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        config = load(path, environ)
        assert str(config.router.routes["background"]) == "p,m2"
        assert config.providers[0].key.matches(UPSTREAM_KEY)
        (kept,) = backups(tmp_path)
        assert str(kept) == answer.json["backup"]
        assert kept.read_text() == text
        assert "background" not in router.app.edition.config.router.routes
        assert (await call(router.app, "GET", "/api/config", key)).json == told


REFUSED = [
    (b"", "whole configuration"),
    (b"{}", "whole configuration"),
    (b"[]", "object"),
    (b"{", "JSON"),
    (b'"x"', "object"),
    (b"\xff", "JSON"),
    (b"[" * 100_000, "JSON"),
    (b'{"Router": {"default": "nowhere,m"}}', "nowhere"),
    (b'{"PORT": "many"}', "PORT"),
    (b'{"HOST": "0.0.0.0"}', "APIKEY"),
    (b'{"Providers": [{"name": "q", "api_base_url": "http://127.0.0.1:1", "api_key": "***"}]}', "masked"),
    (b'{"Providers": 5, "Router": {"default": 5}}', "Router"),
]


@pytest.mark.parametrize(("body", "word"), REFUSED)
async def test_what_cannot_be_used_is_not_saved(tmp_path, upstream: Upstream, body, word):
    """A configuration with anything wrong in it is a 400 that says what; the file and its folder are as they were."""
    async with running(settings(upstream), tmp_path) as router:
        before = (tmp_path / "config.json").read_bytes()
        answer = await call(router.app, "POST", "/api/config", JSON, body)
        assert answer.status == 400
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert word in answer.message
        assert (tmp_path / "config.json").read_bytes() == before
        assert backups(tmp_path) == []


async def test_all_reasons_at_once_and_no_secret(tmp_path, upstream: Upstream):
    """Every reason is given, in words and as data, and none repeats a secret of the refused content."""
    secret = "hunter2-hunter2-hunter2"
    bad = settings(upstream, PORT="many", LOG_LEVEL="loud", APIKEY=secret)
    bad["Providers"][0]["api_key"] = [secret]
    bad["Router"]["default"] = secret
    async with running(settings(upstream), tmp_path) as router:
        answer = await save(router, bad)
    problems = answer.json["error"]["details"]["problems"]
    assert {"PORT", "LOG_LEVEL"} <= {problem["path"] for problem in problems}
    assert "PORT" in answer.message
    assert "LOG_LEVEL" in answer.message
    assert secret not in answer.raw.decode()


async def test_a_save_cannot_weaken_the_policy(tmp_path, upstream: Upstream, recorder):
    """What the policy forbids is a 403 that names the rule; the file is as it was, and the audit knows."""
    config = settings(upstream)
    async with running(config, tmp_path, policy=POLICY, auditor=recorder) as router:
        before = (tmp_path / "config.json").read_bytes()
        config["Providers"].append(
            {"name": "other", "api_base_url": upstream.url, "api_key": "k" * 20, "models": ["x"]}
        )
        config["Router"]["webSearch"] = "other,x"
        answer = await save(router, config)
        assert answer.status == 403
        assert answer.json["error"]["type"] == "permission_error"
        assert "other" in answer.message
        assert any(problem["rule"] for problem in answer.json["error"]["details"]["problems"])
        assert (tmp_path / "config.json").read_bytes() == before
        assert backups(tmp_path) == []
    (denial,) = recorder.of("denial")
    assert denial["path"] == "/api/config"
    assert denial["policy"] == POLICY.digest
    assert denial["rule"]


async def test_a_file_that_cannot_be_read_is_not_overwritten(tmp_path, upstream: Upstream):
    """Somebody is in the middle of mending it: a save would lose what is in there."""
    async with running(settings(upstream), tmp_path) as router:
        (tmp_path / "config.json").write_text("{ half")
        answer = await save(router, settings(upstream))
        assert answer.status == 409
        assert (tmp_path / "config.json").read_text() == "{ half"


async def test_a_file_that_cannot_be_written(tmp_path, upstream: Upstream):
    """A folder where the file should be: an error in the Messages form, not a trace."""
    async with running(settings(upstream), tmp_path) as router:
        (tmp_path / "config.json").unlink()
        (tmp_path / "config.json").mkdir()
        answer = await save(router, settings(upstream))
        assert answer.status in {409, 500}
        assert "Traceback" not in answer.raw.decode()


async def test_transformers(tmp_path, upstream: Upstream):
    """The names of the built-in transformers, each with the path that is served for it."""
    async with running(settings(upstream), tmp_path) as router:
        told = (await call(router.app, "GET", "/api/transformers")).json["transformers"]
    assert {"name": "anthropic", "endpoint": "/v1/messages"} in told
    assert {"name": "openrouter", "endpoint": None} in told
    assert all(set(entry) == {"name", "endpoint"} for entry in told)


async def test_policy_in_force(tmp_path, upstream: Upstream):
    """GET /api/policy tells which process runs by which policy and which content of which file."""
    async with running(settings(upstream), tmp_path, policy=POLICY) as router:
        told = (await call(router.app, "GET", "/api/policy")).json
        assert told["policy"] == {"name": "strict", "digest": "d" * 64, "source": "preset strict", "isPinned": False}
        assert told["config"] == {"path": str(tmp_path / "config.json"), "digest": router.app.edition.config.digest}
        assert told["pid"] > 0
        assert told["version"]
        assert told["started"].endswith("Z")
    async with running(settings(upstream), tmp_path) as router:
        assert (await call(router.app, "GET", "/api/policy")).json["policy"] is None


# -- providers ---------------------------------------------------------------------------------------------------------------


def extra(upstream, **more):
    return {
        "id": "q",
        "name": "q",
        "type": "anthropic",
        "baseUrl": upstream.url,
        "apiKey": "sk-q-0123456789-0123456789",
        "models": ["n1"],
        **more,
    }


async def ask(router, method, path, body=None):
    return await call(router.app, method, path, JSON, json.dumps(body).encode() if body is not None else b"")


async def test_providers_are_listed_without_keys(tmp_path, upstream: Upstream):
    """GET /providers is the array that smoke tests read: names and models, keys masked, credentials in URLs left out."""
    config = settings(upstream)
    config["Providers"][0]["api_base_url"] = (
        upstream.url.replace("//", "//user:pass-word-1@") + "/v1/messages?key=sec-ret-1"
    )
    config["Providers"] += [
        {"name": "local", "api_base_url": upstream.url, "models": ["x"]},
        {"name": "off", "api_base_url": upstream.url, "models": ["x"], "enabled": False},
    ]
    async with running(config, tmp_path) as router:
        answer = await ask(router, "GET", "/providers")
        one = await ask(router, "GET", "/providers/P")
        missing = await ask(router, "GET", "/providers/none")
    told = {entry["name"]: entry for entry in answer.json}
    assert told["p"] == {
        "id": "p",
        "name": "p",
        "type": "anthropic",
        "baseUrl": f"{upstream.url}/v1/messages",
        "api_base_url": f"{upstream.url}/v1/messages",
        "apiKey": "***",
        "models": ["m1", "m2"],
        "enabled": True,
    }
    assert told["local"]["apiKey"] is None
    assert told["local"]["type"] == "openai"
    assert told["off"]["enabled"] is False
    assert "dry-run" not in told
    assert one.json == told["p"]
    assert missing.status == 404
    assert missing.json["error"]["type"] == "not_found_error"
    for secret in (UPSTREAM_KEY, "pass-word-1", "sec-ret-1"):
        assert secret not in answer.raw.decode()


async def test_providers_change_in_memory(tmp_path, upstream: Upstream):
    """Without a policy providers can be added, changed, switched off and deleted; the file is not touched, and what is
    in force follows at once."""
    async with running(settings(upstream), tmp_path) as router:
        before = (tmp_path / "config.json").read_bytes()
        added = await ask(router, "POST", "/providers", extra(upstream))
        assert added.status == 200, added.raw
        assert added.json["apiKey"] == "***"
        assert added.json["type"] == "anthropic"
        assert "q,n1" in router.app.edition.gateway.models()
        assert (await ask(router, "POST", "/providers", extra(upstream))).status == 409
        changed = await ask(router, "PUT", "/providers/q", {"models": ["n2"], "apiKey": "***"})
        assert changed.json["models"] == ["n2"]
        target = router.app.edition.gateway.catalog.resolve("q,n2")
        assert target.provider.key.matches("sk-q-0123456789-0123456789")
        moved = await ask(router, "PUT", "/providers/q", {"baseUrl": "http://127.0.0.1:9/v1/messages"})
        assert moved.json["baseUrl"] == "http://127.0.0.1:9/v1/messages"
        off = await ask(router, "PATCH", "/providers/q/toggle", {"enabled": False})
        assert off.json == {"message": "Provider disabled successfully"}
        assert (await ask(router, "GET", "/providers/q")).json["enabled"] is False
        assert (await ask(router, "PATCH", "/providers/q/toggle", {"enabled": True})).status == 200
        assert (await ask(router, "DELETE", "/providers/q")).json == {"message": "Provider deleted successfully"}
        assert (await ask(router, "GET", "/providers/q")).status == 404
        assert (await ask(router, "DELETE", "/providers/q")).status == 404
        assert (await ask(router, "PUT", "/providers/q", {"models": []})).status == 404
        assert (tmp_path / "config.json").read_bytes() == before


async def test_providers_of_the_guides_shape(tmp_path, upstream: Upstream):
    """In a file whose providers are a map they are found, changed and added all the same."""
    config = {
        "providers": {"p": {"baseURL": f"{upstream.url}/v1/messages", "apiKey": UPSTREAM_KEY, "models": ["m1"]}},
        "routers": {"default": {"routes": {"p,m1": {"default": True}}}},
    }
    async with running(config, tmp_path) as router:
        assert (await ask(router, "POST", "/providers", extra(upstream))).status == 200
        changed = await ask(router, "PUT", "/providers/p", {"baseUrl": f"{upstream.url}/other/v1/messages"})
        assert changed.json["baseUrl"] == f"{upstream.url}/other/v1/messages"
        assert [entry["name"] for entry in (await ask(router, "GET", "/providers")).json] == ["p", "q"]


BAD = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": 5}, "name"),
    ({"name": "a,b", "baseUrl": "http://127.0.0.1:9", "apiKey": "k"}, "comma"),
    ({"name": "x"}, "URL"),
    ({"name": "x", "baseUrl": "file:///etc/passwd"}, "http"),
    ({"name": "x", "baseUrl": "http://127.0.0.1:9", "type": "fax"}, "fax"),
    ({"name": "x", "baseUrl": "http://127.0.0.1:9", "headers": {"a": "b"}}, "headers"),
    ({"name": "x", "baseUrl": "http://127.0.0.1:9", "transformer": {"use": ["x"]}}, "transformer"),
    ({"name": "x", "baseUrl": "http://127.0.0.1:9", "models": "many", "apiKey": {"a": "sk-not-to-be-told"}}, "api_key"),
]


@pytest.mark.parametrize(("body", "word"), BAD)
async def test_bad_providers(tmp_path, upstream: Upstream, body, word):
    """A provider that a config file could not have is a 400 that says why, and nothing changes."""
    async with running(settings(upstream), tmp_path) as router:
        before = router.app.edition
        answer = await ask(router, "POST", "/providers", body)
        assert answer.status == 400, answer.raw
        assert word in answer.message
        assert "sk-not-to-be-told" not in answer.raw.decode()
        assert router.app.edition is before


async def test_what_a_route_needs_stays(tmp_path, upstream: Upstream):
    """A provider that a route leads to can neither be deleted nor switched off, and none can be renamed."""
    async with running(settings(upstream), tmp_path) as router:
        assert (await ask(router, "DELETE", "/providers/p")).status == 400
        assert (await ask(router, "PATCH", "/providers/p/toggle", {"enabled": False})).status == 400
        assert (await ask(router, "PATCH", "/providers/p/toggle", {})).status == 400
        assert (await ask(router, "PUT", "/providers/p", {"name": "z"})).status == 400
        assert (await ask(router, "GET", "/providers/p")).json["enabled"] is True


async def test_a_changed_file_comes_first(tmp_path, upstream: Upstream):
    """Providers are changed on top of what is in force: if the file says something else by now, that has to be settled."""
    async with running(settings(upstream), tmp_path) as router:
        (tmp_path / "config.json").write_text(json.dumps(settings(upstream, strict=True)))
        assert (await ask(router, "POST", "/providers", extra(upstream))).status == 409


async def test_providers_are_fixed_under_a_policy(tmp_path, upstream: Upstream, recorder):
    """Under a policy every write is a 403 that says what to do instead, and the audit knows; reading goes on."""
    policy = dataclasses.replace(POLICY, allowed_providers=None)
    async with running(settings(upstream), tmp_path, policy=policy, auditor=recorder) as router:
        before = router.app.edition
        for method, path, body in (
            ("POST", "/providers", extra(upstream)),
            ("PUT", "/providers/p", {"models": []}),
            ("DELETE", "/providers/p", None),
            ("PATCH", "/providers/p/toggle", {"enabled": True}),
        ):
            answer = await ask(router, method, path, body)
            assert answer.status == 403, path
            assert answer.json["error"]["type"] == "permission_error"
            assert "strict" in answer.message
        assert (await ask(router, "GET", "/providers")).status == 200
        assert router.app.edition is before
    assert len(recorder.of("denial")) == 4


async def test_a_key_from_the_command_line(tmp_path, upstream: Upstream):
    """A router that was given its key on the command line examines files as it will be started again: with that key."""
    config = settings(upstream, HOST="192.0.2.1")
    path = tmp_path / "config.json"
    async with running(settings(upstream), tmp_path) as router:
        path.write_text(json.dumps(config))
        given = load(path, {}, Overrides(api_key=KEY))
        await router.app.amend(given, config)
        headers = {"x-api-key": KEY, **JSON}
        assert (await save(router, {**config, "strict": True}, headers)).status == 200
        body = json.dumps(extra(upstream)).encode()
        assert (await call(router.app, "POST", "/providers", headers, body)).status == 200
        await router.app.amend(dataclasses.replace(given, api_key=None), config)
        assert (await save(router, config)).status in {400, 403}


async def test_changes_come_one_after_the_other(tmp_path, upstream: Upstream):
    """While a reload or another change is under way a save waits: the file is not touched before that is over."""
    async with running(settings(upstream), tmp_path) as router:
        before = (tmp_path / "config.json").read_bytes()
        async with router.app.changing:
            saving = asyncio.create_task(save(router, settings(upstream, strict=True)))
            done, _ = await asyncio.wait({saving}, timeout=0.2)
            assert not done
            assert (tmp_path / "config.json").read_bytes() == before
        assert (await saving).status == 200
        assert (tmp_path / "config.json").read_bytes() != before

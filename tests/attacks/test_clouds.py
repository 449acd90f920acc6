"""Attacks on providers whose models are part of the URL: by names of models, projects and regions."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from ccrouter.config.load import load
from ccrouter.errors import ConfigError
from tests.attacks.world import KEY, preset_at
from tests.gateway.conftest import running
from tests.upstream import Received, Reply, Upstream, anthropic_wire, json_reply

API_KEY = "cloud-key-of-attacks"
GOOD = "claude-sonnet-4-6"
BEFORE = {
    "bedrock": "/model/",
    "vertex": "/v1/projects/p/locations/global/publishers/anthropic/models/",
}
AFTER = {"bedrock": "/invoke", "vertex": ":rawPredict"}

#: What a client may ask for: each a name that would lead elsewhere if it were put into a URL as it is.
NAMES = [
    "../../evil", "..%2f..%2fevil", "claude-x/../evil", "claude-x/../../../../evil", "claude-x%2f..%2fevil", "..",
    ".", "claude-x/..", "%2e%2e", "%2e%2e%2fevil", "claude-x?model=evil", "claude-x#", "claude-x#/evil",
    "claude-x:evil", "claude-x:rawPredict?", "evil:rawPredict/claude-x", "claude-x;evil", "claude-x;/evil", "evil;claude-x",
    "claude-x/invoke/../../evil", "claude-x/invoke?x=", "@evil.example/", "//evil.example/claude-x", "\\\\evil.example\\x",
    "http://evil.example/claude-x", "claude-x\r\nhost: evil.example", "claude-x evil", "claude-x\x00evil", "claude-x\tevil",
    "claude-x%00evil", "claude-x%0d%0aevil", "claude-x%252f..%252fevil", "ｃlaude-x／..／evil", "claude-x\u2044..\u2044evil",
    "claude-x&model=evil", "claude-x/converse", "evil/model/claude-x", "count-tokens",
]  # fmt: skip


def config(approved: Upstream, platform: str) -> dict[str, Any]:
    cloud = {
        "name": "anthropic",
        "platform": platform,
        "api_base_url": approved.url,
        "api_key": "${CLOUD_KEY}",
        "models": [GOOD],
        "protocol": "anthropic",
    }
    placed = {"vertex": {"project": "p", "location": "global"}, "bedrock": {"region": "eu-west-1"}}[platform]
    return {"APIKEY": "${CCR_APIKEY}", "Providers": [cloud | placed], "Router": {"default": f"anthropic,{GOOD}"}}


def serve(_received: Received) -> Reply:
    return json_reply(anthropic_wire.message_json("approved"))


@pytest.mark.parametrize("platform", ["bedrock", "vertex"])
@pytest.mark.parametrize("name", [pytest.param(name, id=f"C{n:03d}") for n, name in enumerate(NAMES, 1)])
async def test_names_of_models(approved: Upstream, tmp_path, platform, name) -> None:
    """Where every model is allowed, a name is one segment of the path or refused: it moves neither path nor host."""
    approved.always(serve)
    environ = {"CLOUD_KEY": API_KEY, "CCR_APIKEY": KEY}
    rules = preset_at(approved, allowed_models=None, banned_models=(), sent_as={}, allowed_key_origins=None)
    async with running(config(approved, platform), tmp_path, environ, policy=rules) as router:
        status, _, raw = await router.ask({"x-api-key": KEY}, model=f"anthropic,{name}")
    assert status in (200, 400), raw
    assert len(approved.requests) == (status == 200)
    for received in approved.requests:
        sent = received.target.removeprefix(BEFORE[platform]).removesuffix(AFTER[platform])
        assert received.target == BEFORE[platform] + sent + AFTER[platform]
        assert not set("/?#") & set(sent)
        assert unquote(sent) == name
        assert received.headers.get_all("host") == [f"127.0.0.1:{approved.port}"]


@pytest.mark.parametrize("platform", ["bedrock", "vertex"])
async def test_names_against_a_list(approved: Upstream, tmp_path, platform) -> None:
    """C100: where models are listed, only what a server reads as one of these arrives."""
    approved.always(serve)
    environ = {"CLOUD_KEY": API_KEY, "CCR_APIKEY": KEY}
    rules = preset_at(approved, allowed_models=(GOOD,), sent_as={})
    async with running(config(approved, platform), tmp_path, environ, policy=rules) as router:
        for name in [*NAMES, *(name.replace("claude-x", GOOD) for name in NAMES)]:
            status, _, raw = await router.ask({"x-api-key": KEY}, model=f"anthropic,{name}")
            assert status in (400, 403), (name, raw)
        assert approved.requests == []
        assert (await router.ask({"x-api-key": KEY}, model=f"anthropic,{GOOD}"))[0] == 200
    assert [one.target for one in approved.requests] == [BEFORE[platform] + GOOD + AFTER[platform]]


PLACES = [
    "evil.example/#", "x.evil.example", "evil.example#", "evil.example?", "us-east5@evil.example", "../..", "us/east",
    "us-east5-", "-us", "US-EAST5", "us east", "us%2feast", "", "a:b", "ü", "us-east5\n", "us-east5\nevil", ".", "a" * 300,
    "a-b-c-d-e-f-g-h-i",
]  # fmt: skip


@pytest.mark.parametrize("place", [pytest.param(place, id=f"C{n}") for n, place in enumerate(PLACES, 200)])
def test_names_of_regions(tmp_path, place) -> None:
    """A region is part of a host's name: one that could be more is refused, in the file and in the environment."""
    for platform, key, variable in (
        ("vertex", "location", "GOOGLE_CLOUD_LOCATION"),
        ("vertex", "location", "CLOUD_ML_REGION"),
        ("bedrock", "region", "AWS_REGION"),
        ("bedrock", "region", "AWS_DEFAULT_REGION"),
    ):
        for written, environ in (({key: place}, {}), ({}, {variable: place})):
            provider = {"name": "p", "platform": platform, "project": "p", "models": ["claude-x"], **written}
            path = tmp_path / "config.json"
            path.write_text(json.dumps({"Providers": [provider], "Router": {"default": "p,claude-x"}}))
            if place.strip() != place and place.strip() == "us-east5":
                assert load(path, environ).providers[0].options.get(key) == "us-east5"
                continue
            with pytest.raises(ConfigError):
                load(path, environ)


@pytest.mark.parametrize(
    "project", ["../..", "p/locations/x", "p?x", "p#x", "p%2f..", "p;x", "p x", "..", "@x", "p\\x"]
)
def test_names_of_projects(tmp_path, project) -> None:
    """C300: nor does a project lead elsewhere, whoever names it: the file, the environment, a credentials file."""
    credentials = tmp_path / "account.json"
    credentials.write_text(json.dumps({"project_id": project}))
    for written, environ in (
        ({"project": project}, {}),
        ({}, {"GOOGLE_CLOUD_PROJECT": project}),
        ({}, {"ANTHROPIC_VERTEX_PROJECT_ID": project}),
        ({"credentials": str(credentials)}, {}),
    ):
        provider = {"name": "p", "platform": "vertex", "location": "global", "models": ["claude-x"], **written}
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"Providers": [provider], "Router": {"default": "p,claude-x"}}))
        with pytest.raises(ConfigError, match="Google Cloud project"):
            load(path, environ)


async def test_google_credentials_from_a_program(approved: Upstream, tmp_path, monkeypatch) -> None:
    """C400: where a policy says where keys may come from, no program gives them, whatever else allows it to be run."""
    ran = tmp_path / "ran"
    account = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": {"command": f"/usr/bin/touch {ran}", "timeout_millis": 5000}},
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    written = config(approved, "vertex")
    del written["Providers"][0]["api_key"]
    written["Providers"][0]["credentials"] = str(tmp_path / "account.json")
    environ = {"CCR_APIKEY": KEY}
    rules = preset_at(approved, allowed_models=None, banned_models=(), sent_as={})
    async with running(written, tmp_path, environ, policy=rules) as router:
        status, _, raw = await router.ask({"x-api-key": KEY})
    assert (status, ran.exists()) == (403, False), raw
    assert "from a program" in json.loads(raw)["error"]["message"]
    assert approved.requests == []
    async with running(written, tmp_path, environ) as router:
        await router.ask({"x-api-key": KEY})
    assert ran.exists(), "without a policy it is run: the test above can fail"

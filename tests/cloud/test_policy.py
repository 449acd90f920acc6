"""Under a policy: models in URLs are judged, and where credentials are fetched from is judged before anything is sent."""

from __future__ import annotations

import json
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.config.load import load
from ccrouter.config.schema import Endpoint
from ccrouter.errors import Denied
from ccrouter.upstream.client import UpstreamClient
from tests.cloud.amazon import ACCESS, API_KEY, SECRET, Amazon
from tests.cloud.google import Google
from tests.cloud.test_bedrock import config as on_bedrock
from tests.cloud.test_vertex import config as on_vertex
from tests.gateway.conftest import running
from tests.upstream import Upstream, json_reply


def policy(**rules: Any) -> Policy:
    return Policy(name="p", source="a test", **rules)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


async def test_the_server_of_tokens_has_to_be_allowed(google: Google, upstream: Upstream, tmp_path: Path) -> None:
    """Where its host is not allowed nothing is sent to it, nor to the model: 403, with the rule and who it is for."""
    elsewhere = google.service_account(token_uri=f"{upstream.url}/token")
    host, tokens = f"127.0.0.1:{google.upstream.port}", f"127.0.0.1:{upstream.port}"
    async with running(
        on_vertex(google, credentials=elsewhere), tmp_path, policy=policy(allowed_hosts=(host,))
    ) as router:
        status, _, raw = await router.ask()
    message = json.loads(raw)["error"]["message"]
    assert status == 403
    assert "Provider 'v' would fetch its credentials from 127.0.0.1" in message
    assert f"Host not allowed: {tokens}" in message
    assert (upstream.connections, google.upstream.connections) == (0, 0)
    upstream.always(google.serve)
    rules = policy(allowed_hosts=(host, tokens))
    async with running(on_vertex(google, credentials=elsewhere), tmp_path, policy=rules) as router:
        assert (await router.ask())[0] == 200


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"https_only": True}, "httpsOnly"),
        ({"allowed_proxies": ()}, "proxies.allowed"),
        ({"banned_hosts": ("token.test",)}, "hosts.banned"),
    ],
)
async def test_the_way_to_it_is_judged(
    google: Google, upstream: Upstream, tmp_path, monkeypatch, rules, expected
) -> None:
    """Scheme, proxy and host of the server of tokens are judged like those of models."""
    monkeypatch.setenv("http_proxy", upstream.url)
    elsewhere = google.service_account(token_uri="http://token.test/token")
    client = UpstreamClient(policy(**rules))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(on_vertex(google, credentials=elsewhere)))
    [provider, _] = load(path, {}).providers
    where = Endpoint("anthropic", "https://vertex.test/models/m:rawPredict", "vertex")
    try:
        with pytest.raises(Denied) as told:
            await client._clouds._account(provider, where).keeper.get()
    finally:
        await client.close()
    assert told.value.rule == expected
    assert upstream.connections == 0


async def test_the_metadata_server_is_judged(google: Google, tmp_path: Path, monkeypatch) -> None:
    """Without a file google-auth asks the machine's metadata server: not where its address is excluded."""
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", False)
    written = on_vertex(google)
    del written["Providers"][0]["credentials"]
    banned = policy(banned_addresses=(ip_network("169.254.0.0/16"),))
    async with running(written, tmp_path, policy=banned) as router:
        status, _, raw = await router.ask()
    assert status == 403
    assert "addresses.banned" in json.loads(raw)["error"]["message"]


async def test_sts_has_to_be_allowed(
    amazon: Amazon, upstream: Upstream, tmp_path, bare_environment, monkeypatch
) -> None:
    """A role is not assumed where the host of STS is not allowed."""
    (bare_environment / ".aws").mkdir()
    (bare_environment / ".aws" / "config").write_text(
        "[profile base]\naws_access_key_id = A\naws_secret_access_key = s\n"
        "[profile work]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", upstream.url)
    rules = policy(allowed_hosts=(f"127.0.0.1:{amazon.upstream.port}",))
    async with running(on_bedrock(amazon, awsProfile="work"), tmp_path, policy=rules) as router:
        status, _, raw = await router.ask()
    assert status == 403
    assert "would fetch its credentials" in json.loads(raw)["error"]["message"]
    assert (upstream.connections, amazon.upstream.connections) == (0, 0)


async def test_metadata_of_containers_and_instances(amazon: Amazon, upstream: Upstream, tmp_path, monkeypatch) -> None:
    """What botocore asks by itself, at addresses of the machine, is judged before it is asked."""
    upstream.always(json_reply({}))
    rules = policy(allowed_hosts=(f"127.0.0.1:{amazon.upstream.port}",))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{upstream.url}/creds")
    async with running(on_bedrock(amazon), tmp_path, policy=rules) as router:
        assert (await router.ask())[0] == 403
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", upstream.url)
    async with running(on_bedrock(amazon), tmp_path, policy=rules) as router:
        assert (await router.ask())[0] == 403
    assert upstream.connections == 0


async def test_programs_that_give_credentials(amazon: Amazon, tmp_path: Path, bare_environment: Path) -> None:
    """A program of the AWS profile is run, but not where a policy says where keys may come from: nor that of a profile
    by which it takes on a role.
    """
    ran = tmp_path / "ran"
    program = tmp_path / "program.py"
    held = {"Version": 1, "AccessKeyId": ACCESS, "SecretAccessKey": SECRET}
    program.write_text(f"open({str(ran)!r}, 'w').close()\nprint({json.dumps(held)!r})\n")
    (bare_environment / ".aws").mkdir()
    (bare_environment / ".aws" / "config").write_text(
        f"[profile work]\ncredential_process = {sys.executable} {program}\n"
        "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = work\n"
        "[profile further]\nrole_arn = arn:aws:iam::1:role/s\nsource_profile = role\n"
    )
    rules = policy(allowed_key_origins=frozenset({"environment"}))
    for name in ("work", "role", "further"):
        async with running(on_bedrock(amazon, awsProfile=name), tmp_path, policy=rules) as router:
            status, _, raw = await router.ask()
        assert (status, ran.exists()) == (403, False)
        assert "from a program" in json.loads(raw)["error"]["message"]
    async with running(on_bedrock(amazon, awsProfile="work"), tmp_path) as router:
        assert (await router.ask())[0] == 200
    assert ran.exists()


# -- models -------------------------------------------------------------------------------------------------------------

ALLOWED = ("claude-*", "*.anthropic.claude-*")


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("model", ["claude-good", "eu.anthropic.claude-good-v1:0"])
async def test_an_allowed_model(amazon: Amazon, tmp_path: Path, model: str) -> None:
    """An allowed model in the URL passes, on both platforms, in both forms."""
    async with running(on_bedrock(amazon, model), tmp_path, policy=policy(allowed_models=ALLOWED)) as router:
        status, _, raw = await router.ask()
        assert status == 200, raw
        assert len(await router.stream()) > 3


async def test_an_allowed_model_on_vertex(google: Google, tmp_path: Path) -> None:
    """The same on Vertex."""
    async with running(on_vertex(google), tmp_path, policy=policy(allowed_models=ALLOWED)) as router:
        assert (await router.ask())[0] == 200
        assert len(await router.stream()) > 3


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("setting", [{"extra_body": {"model": "evil"}}, {"extra_body": {"models": ["evil"]}}])
async def test_models_that_are_slipped_in(amazon: Amazon, google: Google, tmp_path: Path, setting) -> None:
    """A model that the configuration puts in behind the router's back is judged where it comes out: in the URL, or in
    the bytes."""
    for config, cloud in ((on_bedrock(amazon, **setting), amazon), (on_vertex(google, **setting), google)):
        async with running(config, tmp_path, policy=policy(allowed_models=ALLOWED)) as router:
            status, _, raw = await router.ask()
        assert status == 403, raw
        assert "Model not allowed: evil" in json.loads(raw)["error"]["message"]
        assert cloud.asked == []


@pytest.mark.parametrize(
    ("platform", "path", "named"),
    [
        ("bedrock", "/model/evil/invoke", "evil"),
        ("bedrock", "/model/evil/invoke-with-response-stream", "evil"),
        ("bedrock", "/model/evil/converse", "evil"),
        ("bedrock", "/model/claude-good/../evil/invoke", "evil"),
        ("bedrock", "/model/ev%69l/invoke", "evil"),
        ("bedrock", "/model/arn%3Aaws%3Abedrock%3A%3A%3Ax%2Fevil/invoke", "arn:aws:bedrock:::x/evil"),
        ("bedrock", "/MODEL/evil/invoke", "evil"),
        ("vertex", "/v1/publishers/anthropic/models/evil:rawPredict", "evil"),
        ("vertex", "/v1/publishers/anthropic/models/claude-good/../evil:rawPredict", "evil"),
        ("vertex", "/v1/publishers/anthropic/models/evil:x:rawPredict", "evil:x"),
        ("vertex", "/v1/publishers/google/models/evil:streamGenerateContent?alt=sse", "evil"),
        ("vertex", "/v1/projects/p/locations/l/endpoints/17:rawPredict", "17"),
        ("vertex", "/v1/publishers/anthropic/models/claude-good:rawPredict/models/evil:rawPredict", "evil"),
    ],
)
async def test_models_in_urls(amazon: Amazon, tmp_path: Path, platform: str, path: str, named: str) -> None:
    """However a URL names a model, as it goes out, it is judged."""
    [provider, _] = _loaded(on_bedrock(amazon, api_key=API_KEY), tmp_path).providers
    client = UpstreamClient(policy(allowed_models=ALLOWED))
    try:
        with pytest.raises(Denied, match=f"Model not allowed: {named}"):
            await client.send(provider, Endpoint("anthropic", amazon.url + path, platform), {}, b"{}")
    finally:
        await client.close()
    assert amazon.upstream.connections == 0


@pytest.mark.parametrize("path", ["/", "/model/", "/v1/publishers/anthropic/models", "/model//invoke", "/x:rawPredict"])
async def test_urls_without_a_model(amazon: Amazon, tmp_path: Path, path: str) -> None:
    """A request that names a model nowhere, neither in its URL nor in its bytes, is refused."""
    [provider, _] = _loaded(on_bedrock(amazon, api_key=API_KEY), tmp_path).providers
    client = UpstreamClient(policy(allowed_models=("*",)))
    try:
        with pytest.raises(Denied, match="names no model"):
            await client.send(provider, Endpoint("anthropic", amazon.url + path, "bedrock"), {}, b"{}")
    finally:
        await client.close()
    assert amazon.upstream.connections == 0


def _loaded(config: dict[str, Any], tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return load(path, {})

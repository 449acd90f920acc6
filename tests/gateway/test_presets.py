"""Presets as they are served: a gateway of their own below /preset/NAME, behind the router's own guard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.compliance.policy import Policy
from tests.gateway.conftest import events_of, provider, running, text_of
from tests.upstream import Upstream, anthropic_wire, json_reply, sse_reply

KEY = "the-key-of-the-router"


def put(home: Path, name: str, manifest: object) -> None:
    folder = home / ".claude-code-router" / "presets" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))


def manifest(upstream: Upstream, **more) -> dict:
    return {
        "name": "Other Title",
        "Providers": [provider(upstream, "anthropic", name="inner", models=["p1", "p2"], api_key="#{key}")],
        "Router": {"default": "inner,p1"},
        "fallback": {"default": ["inner,p2"]},
        "schema": [{"id": "key", "type": "password"}],
        "userValues": {"key": "${PRESET_KEY}"},
        **more,
    }


def outer(upstream: Upstream) -> dict:
    return {
        "APIKEY": KEY,
        "Providers": [provider(upstream, "anthropic", name="outer", models=["o1"])],
        "Router": {"default": "outer,o1"},
    }


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PRESET_KEY": "sk-of-the-preset"}


async def post(router, path, headers=None, **body):
    body = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **body}
    given = {"x-api-key": KEY} if headers is None else headers
    async with router.client.post(router.url + path, json=body, headers=given) as response:
        return response.status, response.headers, await response.read()


async def test_a_preset_serves_by_its_own_configuration(upstream: Upstream, tmp_path, environ):
    """Its providers, routes, key and fallbacks; the router's own requests are served as before."""
    put(tmp_path / "home", "acme", manifest(upstream))
    busy = json_reply(anthropic_wire.error_json("overloaded_error", "busy"), 529)
    async with running(outer(upstream), tmp_path, environ) as router:
        upstream.reply(busy, sse_reply(anthropic_wire.message_stream("from the preset")))
        status, headers, raw = await post(router, "/preset/acme/v1/messages?beta=true", stream=True)
        assert status == 200, raw
        assert text_of(events_of(raw)) == "from the preset"
        assert headers["x-ccr-model"] == "inner,p2"
        assert [request.json()["model"] for request in upstream.requests] == ["p1", "p2"]
        assert upstream.requests[0].headers["x-api-key"] == "sk-of-the-preset"
        upstream.reply(json_reply(anthropic_wire.message_json("from the router")))
        _, headers, _ = await post(router, "/v1/messages")
        assert headers["x-ccr-model"] == "outer,o1"


@pytest.mark.parametrize("path", ["/preset/acme/v1/models", "/preset/acme/v1/messages/count_tokens"])
async def test_other_endpoints_of_clients(path, upstream: Upstream, tmp_path, environ):
    """What clients ask besides is answered by the preset too."""
    put(tmp_path / "home", "acme", manifest(upstream))
    async with running(outer(upstream), tmp_path, environ) as router:
        if path.endswith("models"):
            async with router.client.get(router.url + path, headers={"x-api-key": KEY}) as response:
                names = [model["id"] for model in (await response.json())["data"]]
            assert "inner,p1" in names
            assert "outer,o1" not in names
        else:
            status, _, raw = await post(router, path)
            assert status == 200, raw
            assert json.loads(raw)["input_tokens"] > 0


async def test_found_by_its_title(upstream: Upstream, tmp_path, environ):
    """Setups of the classic router ask by the manifest's name."""
    put(tmp_path / "home", "folder", manifest(upstream, name="titled"))
    upstream.always(json_reply(anthropic_wire.message_json("x")))
    async with running(outer(upstream), tmp_path, environ) as router:
        for name in ("folder", "titled"):
            assert (await post(router, f"/preset/{name}/v1/messages"))[0] == 200


@pytest.mark.parametrize("path", ["/preset/acme/v1/messages", "/preset/acme/api/config", "/preset/none/v1/messages"])
async def test_behind_the_same_guard(path, upstream: Upstream, tmp_path, environ):
    """Without the router's key nothing is served, and nothing is told of which presets there are."""
    put(tmp_path / "home", "acme", manifest(upstream))
    async with running(outer(upstream), tmp_path, environ) as router:
        status, _, raw = await post(router, path, headers={})
        assert status == 401
        assert b"acme" not in raw
    assert not upstream.requests


@pytest.mark.parametrize(
    "path",
    ["/preset/acme/api/config", "/preset/acme/providers", "/preset/acme/ui/", "/preset/acme/health", "/preset/acme"],
)
async def test_nothing_but_models_below_a_preset(path, upstream: Upstream, tmp_path, environ):
    """Management and pages are the router's alone."""
    put(tmp_path / "home", "acme", manifest(upstream))
    async with (
        running(outer(upstream), tmp_path, environ) as router,
        router.client.get(router.url + path, headers={"x-api-key": KEY}) as response,
    ):
        assert response.status == 404, await response.text()


async def test_an_unknown_preset(upstream: Upstream, tmp_path, environ):
    """Is a 404 that names those there are."""
    put(tmp_path / "home", "acme", manifest(upstream))
    async with running(outer(upstream), tmp_path, environ) as router:
        status, _, raw = await post(router, "/preset/none/v1/messages")
    assert status == 404
    assert b"acme" in raw


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("{", "cannot be used"),
        ({"Router": {"default": "nobody,x"}}, "nobody"),
        ({"userValues": {}}, "is not answered"),
        ({"CUSTOM_ROUTER_PATH": "/tmp/x.py"}, "code of the preset"),
    ],
)
async def test_a_preset_that_cannot_be_used(broken, told, upstream: Upstream, tmp_path, environ):
    """Says why to whoever asks for it; the router and the other presets serve on."""
    whole = manifest(upstream, **broken) if isinstance(broken, dict) else broken
    if isinstance(broken, dict) and "userValues" in broken:
        whole["schema"] = [{"id": "key", "type": "password"}]
    put(tmp_path / "home", "bad", whole)
    put(tmp_path / "home", "good", manifest(upstream))
    upstream.always(json_reply(anthropic_wire.message_json("x")))
    async with running(outer(upstream), tmp_path, environ) as router:
        status, _, raw = await post(router, "/preset/bad/v1/messages")
        assert status == 500
        assert told in raw.decode()
        assert (await post(router, "/preset/good/v1/messages"))[0] == 200
        assert (await post(router, "/v1/messages"))[0] == 200


@pytest.mark.parametrize("path", ["/preset/.acme/v1/messages", "/preset/a..b/v1/messages", "/preset/a%2fb/v1/messages"])
async def test_names_that_lead_elsewhere(path, upstream: Upstream, tmp_path, environ):
    """Are no presets."""
    async with running(outer(upstream), tmp_path, environ) as router:
        status, _, _ = await post(router, path)
    assert status == 404


async def test_a_policy_without_presets(upstream: Upstream, tmp_path, environ):
    """None is served, whatever lies on the disk."""
    put(tmp_path / "home", "acme", manifest(upstream))
    policy = Policy(name="t", source="a test", digest="d" * 64, allowed_extensions=())
    async with running(outer(upstream), tmp_path, environ, policy=policy) as router:
        status, _, _ = await post(router, "/preset/acme/v1/messages")
    assert status == 404
    assert not upstream.requests


async def test_a_policy_over_presets(upstream: Upstream, tmp_path, environ):
    """Where presets may be, the policy judges their targets as all others."""
    put(tmp_path / "home", "acme", manifest(upstream))
    policy = Policy(
        name="t", source="a test", digest="d" * 64, allowed_extensions=("presets",), allowed_providers=("outer",)
    )
    async with running(outer(upstream), tmp_path, environ, policy=policy) as router:
        status, _, raw = await post(router, "/preset/acme/v1/messages")
    assert status == 403, raw
    assert not upstream.requests

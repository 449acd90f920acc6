"""Several keys of a provider in the endpoints that show and change the configuration."""

from __future__ import annotations

import json

from ccrouter.config.load import load
from tests.gateway.conftest import running
from tests.server.conftest import JSON, call, settings
from tests.upstream import Upstream

FIRST, SECOND, THIRD = "sk-pool-canary-1-0123456789", "sk-pool-canary-2-0123456789", "sk-pool-canary-3-0123456789"
POOL = [FIRST, "${FROM_ENVIRONMENT}", {"key": SECOND, "label": "team", "weight": 2}]
ENVIRON = {"FROM_ENVIRONMENT": THIRD}


def with_pool(upstream):
    config = settings(upstream)
    config["Providers"][0]["api_key"] = POOL
    return config


async def ask(router, method, path, body=None):
    return await call(router.app, method, path, JSON, json.dumps(body).encode() if body is not None else b"")


async def test_what_is_shown_can_be_saved(tmp_path, upstream: Upstream):
    """GET and POST /api/config: keys come masked, what is said of them does not, and what comes back changed keeps them."""
    async with running(with_pool(upstream), tmp_path, ENVIRON) as router:
        told = (await ask(router, "GET", "/api/config")).json
        shown = told["Providers"][0]["api_key"]
        assert shown == ["***", "${FROM_ENVIRONMENT}", {"key": "***", "label": "team", "weight": 2}]
        told["Providers"][0]["api_key"] = [{**shown[2], "weight": 3}, "${FROM_ENVIRONMENT}", shown[0]]
        told["Router"]["think"] = ["p,m2", "p,m1"]
        saved = await ask(router, "POST", "/api/config", told)
        assert saved.status == 200, saved.raw
    config = load(tmp_path / "config.json", ENVIRON)
    assert [key.secret.reveal() for key in config.providers[0].keys] == [SECOND, THIRD, FIRST]
    assert [key.label for key in config.providers[0].keys] == ["team", "FROM_ENVIRONMENT", "key 3"]
    assert [key.weight for key in config.providers[0].keys] == [3, 1, 1]
    assert [str(ref) for ref in config.router.fallback["think"]] == ["p,m1"]


async def test_a_mask_without_its_key_is_not_saved(tmp_path, upstream: Upstream):
    """A mask that may stand for another key than it did is a 400, and the file is as it was."""
    async with running(with_pool(upstream), tmp_path, ENVIRON) as router:
        before = (tmp_path / "config.json").read_bytes()
        told = (await ask(router, "GET", "/api/config")).json
        told["Providers"][0]["api_key"] = ["***", "***"]
        answer = await ask(router, "POST", "/api/config", told)
        assert answer.status == 400
        assert "canary" not in answer.raw.decode()
        assert (tmp_path / "config.json").read_bytes() == before


async def test_keys_change_in_memory(tmp_path, upstream: Upstream):
    """PUT /providers takes a pool, masked keys in it as they are; no answer has a key in it."""
    async with running(with_pool(upstream), tmp_path, ENVIRON) as router:
        changed = await ask(
            router, "PUT", "/providers/p", {"apiKey": ["***", {"key": "***", "label": "team"}, "${X:-k}"]}
        )
        assert changed.status == 200, changed.raw
        assert changed.json["apiKey"] == "***"
        provider = router.app.edition.config.providers[0]
        assert [key.secret.reveal() for key in provider.keys] == [FIRST, SECOND, "k"]
        refused = await ask(router, "PUT", "/providers/p", {"apiKey": ["***", "***"]})
        assert refused.status == 400
        wrong = await ask(
            router, "PUT", "/providers/p", {"apiKey": [f"{FIRST} x", "***"], "baseUrl": f"ftp://{SECOND}"}
        )
        assert wrong.status == 400
        assert "canary" not in (changed.raw + refused.raw + wrong.raw).decode()

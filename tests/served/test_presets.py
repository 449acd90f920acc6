"""OpenAI's APIs below a preset: its own configuration, the same forms."""

from __future__ import annotations

import json

from tests.gateway.conftest import running
from tests.gateway.test_presets import KEY, environ, manifest, outer, put  # noqa: F401 - a fixture, by name
from tests.served.conftest import post
from tests.served.law import whole_chat_of
from tests.upstream import Upstream, anthropic_wire, json_reply


async def test_a_preset_serves_clients_of_openai(upstream: Upstream, tmp_path, environ):  # noqa: F811 - as above
    """Its provider answers; what it does not serve is refused in OpenAI's form."""
    put(tmp_path / "home", "mine", manifest(upstream))
    upstream.reply(json_reply(anthropic_wire.message_json("from the preset")))
    asked = {"model": "any", "messages": [{"role": "user", "content": "x"}]}
    headers = {"authorization": f"Bearer {KEY}"}
    async with running(outer(upstream), tmp_path, environ) as router:
        status, told, raw = await post(router, "/preset/mine/v1/chat/completions", asked, headers)
        lost = await post(router, "/preset/mine/v1/embeddings", asked, headers)
        denied = await post(router, "/preset/mine/v1/responses", asked)
    assert (status, told["x-ccr-model"]) == (200, "inner,p1")
    assert whole_chat_of(raw)["content"] == "from the preset"
    for (status, _, body), expected in ((lost, 404), (denied, 401)):
        assert (status, set(json.loads(body)["error"])) == (expected, {"message", "type", "param", "code"})

"""`/api/statusline`: what Claude Code's status line is told, and to whom."""

from __future__ import annotations

import asyncio
import json

from tests.gateway.conftest import running
from tests.server.conftest import KEY, call, settings, until
from tests.upstream import Upstream, anthropic_wire
from tests.upstream.reply import Gate, json_reply, sse_reply

MODULES = [
    {"type": "model", "icon": "M", "text": "{{model}}", "color": "red", "background": "bg_blue", "more": {"x": 1}},
    {"type": "script", "icon": "S", "scriptPath": "/home/me/own.js", "options": {"token": "sk-secret-0123456789"}},
    "nonsense",
    {"type": 3, "text": ["x"]},
]
LINE = {"enabled": True, "currentStyle": "mine", "mine": {"modules": MODULES, "note": "x"}, "other": {"modules": [{}]}}
USAGE = {"input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 0}


def session(name: str, **more: str) -> dict[str, str]:
    return {"x-claude-code-session-id": name, **{key.replace("_", "-"): value for key, value in more.items()}}


async def told(router, query: str = "session=one", **headers: str) -> dict:
    answer = await call(router.app, "GET", "/api/statusline", headers, query=query.encode())
    assert answer.status == 200, answer.raw
    return answer.json


async def written(router) -> None:
    assert await asyncio.to_thread(router.app.recorder.flush)


async def test_a_session(tmp_path, upstream: Upstream):
    """Its sums, and the last turn of its main conversation: not that of an agent, of a title or of one that failed, nor
    another session's. Who really answered, where, and how much of the prompt came from the cache.
    """
    upstream.always(json_reply(anthropic_wire.message_json("ok", usage=USAGE, model="m1-2026")))
    async with running(settings(upstream, retry={"again": 0}), tmp_path, records=tmp_path / "records.db") as router:
        status, headers, _ = await router.ask(session("one", x_claude_code_request_class="main"), model="claude-x")
        assert status == 200
        asked = headers["request-id"]
        for more in (
            {"x_claude_code_agent_id": "a1"},
            {"x_claude_code_request_class": "auxiliary"},
            {"x_claude_code_request_class": "subagent"},
        ):
            assert (await router.ask(session("one", **more), model="p,m2"))[0] == 200
        assert (await router.ask(session("two"), model="p,m2"))[0] == 200
        upstream.always(json_reply(anthropic_wire.error_json("invalid_request_error", "no"), status=400))
        assert (await router.ask(session("one"), model="p,m2"))[0] == 400
        await written(router)
        found = await told(router)
        assert await told(router, "session=nobody") == found | {"session": None, "last": None}
        assert (await told(router, ""))["session"] is None
    last = found["last"]
    assert (last["id"], last["asked"], last["sent"], last["answered"]) == (asked, "claude-x", "m1", "m1-2026")
    assert (last["provider"], last["route"], last["cacheShare"], last["contextTokens"]) == ("p", "default", 0.9, 1000)
    assert last["cost"] is None
    assert found["session"]["requests"] == 5
    assert found["session"]["cost"] == {"usd": 0, "unknown": 4}  # what failed cost nothing
    assert (found["service"], found["default"], found["streaming"], found["style"]) == ("ccrouter", "p,m1", False, None)


async def test_a_request_under_way(tmp_path, upstream: Upstream):
    """Is told of, to its own session."""
    gate = asyncio.Event()
    upstream.always(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
    async with running(settings(upstream), tmp_path) as router:
        asking = asyncio.create_task(router.stream(session("one")))
        await until(lambda: len(upstream.requests) == 1)
        assert (await told(router))["streaming"] is True
        assert (await told(router, "session=two"))["streaming"] is False
        assert (await told(router, ""))["streaming"] is False
        gate.set()
        await asking
        assert (await told(router))["streaming"] is False


async def test_how_it_looks(tmp_path, upstream: Upstream):
    """The style that is chosen is told as far as it says how the line looks: no path, no options, and nothing else."""
    async with running(settings(upstream, StatusLine=LINE), tmp_path) as router:
        style = (await told(router))["style"]
    assert style == {
        "currentStyle": "mine",
        "mine": {
            "modules": [
                {"type": "model", "icon": "M", "text": "{{model}}", "color": "red", "background": "bg_blue"},
                {"type": "script", "icon": "S"},
                {},
            ]
        },
    }


async def test_what_a_preset_brings(tmp_path, upstream: Upstream):
    """A preset's own style is told where the preset is named, without its scripts; one that has none has the router's."""
    presets = tmp_path / ".claude-code-router" / "presets"
    for name, more in (("team", {"StatusLine": LINE}), ("plain", {})):
        (presets / name).mkdir(parents=True)
        manifest = {"name": name, "version": "1.0.0", **settings(upstream), **more}
        manifest["Router"] = {"default": "p,m2"}
        (presets / name / "manifest.json").write_text(json.dumps(manifest))
    own = {"currentStyle": "default", "default": {"modules": [{"text": "own"}]}}
    environ = {"HOME": str(tmp_path)}
    async with running(settings(upstream, StatusLine=own), tmp_path, environ) as router:
        team, plain = await told(router, "preset=team"), await told(router, "preset=plain")
        nobody = await told(router, "preset=..%2Fnobody")
    assert [one.get("type") for one in team["style"]["mine"]["modules"]] == ["model", None]
    assert (team["default"], plain["default"], nobody["default"]) == ("p,m2", "p,m2", "p,m1")
    assert plain["style"] == nobody["style"] == own


async def test_who_is_told(tmp_path, upstream: Upstream):
    """A client with the router's key or a launch's, as Claude Code has; nobody without, and no page of another site."""
    config = settings(upstream, APIKEY=KEY)
    async with running(config, tmp_path, is_launch_key=lambda key: key == "ccr-launch-x") as router:
        for headers, expected in (
            ({"x-api-key": KEY}, 200),
            ({"authorization": f"Bearer {KEY}"}, 200),
            ({"authorization": "Bearer ccr-launch-x"}, 200),
            ({"authorization": "Bearer ccr-launch-y"}, 401),
            ({}, 401),
            ({"x-api-key": KEY, "origin": "https://evil.example"}, 403),
        ):
            assert (await call(router.app, "GET", "/api/statusline", headers)).status == expected, headers

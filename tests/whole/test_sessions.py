"""What the router remembers of a session, and the routers of projects and sessions, from the request to the answer."""

from __future__ import annotations

import json

import pytest

from ccrouter.config.load import load
from ccrouter.config.projects import ProjectRouters
from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply

SESSION = "3f0d5c3e-1111-4222-8333-444455556666"
WAYS = {
    "header": ({"x-claude-code-session-id": SESSION}, {}),
    "json": ({}, {"metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSION})}}),
    "text": ({}, {"metadata": {"user_id": f"user_0123_account__session_{SESSION}"}}),
}


def _answer(received):
    return json_reply(chat_wire.chat_json("ok") if "chat" in received.path else anthropic_wire.message_json("ok"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whose", ["project", "session"])
async def test_router_of_a_project(way, whose, upstream: Upstream, tmp_path):
    """The Router in a project's or session's file replaces the whole router for that session and no other, however the
    session is named; a background route that it lacks is not taken from the global one.
    """
    home = tmp_path / "home"
    transcripts = home / ".claude" / "projects" / "-home-me-repo"
    transcripts.mkdir(parents=True)
    (transcripts / f"{SESSION}.jsonl").touch()
    folder = home / ".claude-code-router" / "-home-me-repo"
    folder.mkdir(parents=True)
    file = folder / ("config.json" if whose == "project" else f"{SESSION}.json")
    file.write_text(json.dumps({"Router": {"default": "openai,m2"}}))
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1", "background": "anthropic,m2"},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    projects = ProjectRouters(load(path, {}), {"HOME": str(home)})
    upstream.always(_answer)
    headers, body = WAYS[way]
    async with running(config, tmp_path, projects=projects) as router:
        _, mine, _ = await router.ask(headers, model="claude-haiku-4-5", **body)
        _, others, _ = await router.ask(model="claude-haiku-4-5")
        file.write_text(json.dumps({"Router": {"default": "nobody,m2"}}))
        status, _, broken = await router.ask(headers, model="claude-haiku-4-5", **body)
    assert (mine["x-ccr-route"], mine["x-ccr-model"]) == ("default", "openai,m2")
    assert (others["x-ccr-route"], others["x-ccr-model"]) == ("background", "anthropic,m2")
    assert status == 500, "a routing failure is an error, never a silent default"
    assert b"nobody" in broken


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
async def test_what_the_session_really_took(kind, upstream: Upstream, tmp_path):
    """After a turn whose provider counted more than the threshold, cached tokens included, the same conversation goes to
    longContext though it is estimated at less; another conversation of that session, and a short one, do not.
    """
    config = {
        "Providers": [provider(upstream, kind)],
        "Router": {"default": f"{kind},m1", "longContext": f"{kind},m2"},
    }
    if kind == "anthropic":
        counted = {"input_tokens": 5, "cache_read_input_tokens": 60_000, "cache_creation_input_tokens": 200}
        made = anthropic_wire.message_json("ok", usage=counted)
    else:
        counted = {"prompt_tokens": 60_205, "prompt_tokens_details": {"cached_tokens": 60_000}}
        made = chat_wire.chat_json("ok", usage=counted)
    upstream.always(json_reply(made))
    headers = {"x-claude-code-session-id": SESSION}
    long = [{"role": "user", "content": "word " * 40_000}]
    grown = [*long, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]
    other = [{"role": "user", "content": "term " * 40_000}]
    async with running(config, tmp_path) as router:
        routes = []
        for messages in (long, grown, other, [{"role": "user", "content": "word"}]):
            _, answered, _ = await router.ask(headers, model="claude-x", messages=messages)
            routes.append(answered["x-ccr-route"])
            reason = answered["x-ccr-reason"]
            if answered["x-ccr-route"] == "longContext":
                assert "60,205" in reason, reason
    assert routes == ["default", "longContext", "default", "default"]

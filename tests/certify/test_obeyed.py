"""What was found out is obeyed: the same request to the same server, before a test of the provider and after it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccrouter.certify import files
from ccrouter.certify.questions import document, text
from ccrouter.config.certified import profile_path
from ccrouter.config.schema import Target
from ccrouter.dialects.profiles import profile_of
from tests.certify.conftest import provider_at
from tests.certify.mind import KEY, MODEL, ChatServer, Temper
from tests.certify.mind import _password as password
from tests.gateway.conftest import Router, running
from tests.upstream import Upstream

WEATHER = {"name": "get_weather", "description": "Weather.", "input_schema": {"type": "object", "properties": {}}}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}


@contextlib.asynccontextmanager
async def router_for(upstream: Upstream, home: Path) -> AsyncIterator[Router]:
    config = {
        "Providers": [
            {
                "name": "mine",
                "api_base_url": f"{upstream.url}/v1/chat/completions",
                "api_key": KEY,
                "models": [MODEL],
            }
        ],
        "Router": {"default": f"mine,{MODEL}"},
    }
    async with running(config, home, {"HOME": str(home)}) as router:
        yield router


#: What is asked → the server that does not take it as it goes out to strangers.
CASES = {
    "a forced call": (
        Temper(choices=frozenset({"auto", "none"})),
        {"messages": [{"role": "user", "content": "Weather in Paris?"}], "tools": [WEATHER], "tool_choice": {"type": "any"}},
    ),
    "an image": (
        Temper(images="refused"),
        {"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "Hi"}]}]},
    ),
    "a long id": (
        Temper(id_limit=40),
        {
            "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "toolu_" + "x" * 50, "name": "get_weather", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_" + "x" * 50, "content": "Sunny"},
                ]},
            ],
            "tools": [WEATHER],
        },
    ),
    "words behind a result": (
        Temper(user_after_tool=False),
        {
            "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny"},
                    {"type": "text", "text": "Thanks"},
                ]},
            ],
            "tools": [WEATHER],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_request_that_was_refused_is_answered(name, upstream, certify, tmp_path):
    """Before the test the provider answers 400; with the profile in place the same request is answered."""
    temper, request = CASES[name]
    upstream.always(ChatServer(temper))
    async with router_for(upstream, tmp_path) as router:
        status, _, body = await router.ask(**request)
        assert status == 400, body
    await _test(certify, upstream, temper, tmp_path)
    async with router_for(upstream, tmp_path) as router:
        status, _, body = await router.ask(**request)
        assert status == 200, body


async def test_a_document_that_could_not_be_sent_is_read(upstream, certify, tmp_path):
    """Of an unknown provider nobody assumes that it reads PDF; once it was seen to, documents go there."""
    upstream.always(ChatServer())
    block = document("The password is PLUM")
    assert password(block["source"]["data"]) == "PLUM"
    request = {"messages": [{"role": "user", "content": [block, text("Which password?")]}]}
    async with router_for(upstream, tmp_path) as router:
        status, _, body = await router.ask(**request)
        assert (status, b"cannot read a document" in body) == (400, True)
    await _test(certify, upstream, Temper(), tmp_path)
    async with router_for(upstream, tmp_path) as router:
        status, _, body = await router.ask(**request)
        assert status == 200
        assert json.loads(body)["content"][0]["text"] == "The password is PLUM."


async def _test(certify, upstream: Upstream, temper: Temper, home: Path) -> None:
    run = await certify(ChatServer(temper))
    upstream.always(ChatServer(temper))
    endpoint = run.asker.endpoint
    tested = files.Tested(MODEL, run.outcome, datetime(2026, 11, 22, tzinfo=UTC))
    path = profile_path(home / ".claude-code-router", "mine")
    files.write(path, files.document("mine", endpoint, tested, {}))
    assert KEY not in path.read_text()


async def test_profiles_are_cached_with_what_was_found(upstream):
    """A provider with findings has a profile of its own; the same findings give the very same object, others another
    one; what holds for all models holds for each, and what holds for one goes over it.
    """
    plain = provider_at(upstream)
    found = {"": {"accepts_images": False, "max_stops": 2}, "m1": {"max_stops": 7}}
    certified = provider_at(upstream, certified=found)
    assert profile_of(Target(plain, "m1")).accepts_images
    profile = profile_of(Target(certified, "M1"))
    assert (profile.accepts_images, profile.max_stops) == (False, 7)
    assert profile_of(Target(certified, "m2")).max_stops == 2
    again = provider_at(upstream, certified={name: dict(changes) for name, changes in found.items()})
    assert profile_of(Target(again, "m1")) is profile

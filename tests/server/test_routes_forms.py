"""Trying a route from the page and as JSON: what is pasted is decided about, or its mistake is shown; nothing is sent."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import provider, running
from tests.server.conftest import JSON, UPSTREAM_KEY, call, settings
from tests.upstream import Upstream
from tests.web.conftest import Browser, Document
from tests.web.test_pages import soundness

REQUEST = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


async def test_what_is_pasted_is_decided_about(tmp_path, upstream: Upstream):
    """The page tells the route, the reason and the target; the request stands in its field again; nobody was asked."""
    async with running(settings(upstream), tmp_path) as router:
        text = json.dumps(REQUEST, indent=2).replace("\n", "\r\n")
        answer = await Browser(router.app).post("/ui/routes", {"request": text, "api": "messages"})
        assert answer.status == 200
        document = Document(answer.raw.decode())
        assert soundness(document) == []
        assert "would be sent by route default Why: default: no other rule applies" in document.content
        assert "p,m1 first choice allowed" in document.content
        assert '"content": "Hello"' in document.content
        assert upstream.requests == []


async def test_headers_count(tmp_path, upstream: Upstream):
    """The fields stand for the headers that clients send."""
    config = settings(upstream)
    config["Router"]["auxiliary"] = "p,m2"
    async with running(config, tmp_path) as router:
        fields = {
            "request": json.dumps(REQUEST),
            "requestClass": "auxiliary",
            "agent": "a-17",
            "userAgent": "claude-cli/2",
        }
        content = Document((await Browser(router.app).post("/ui/routes", fields)).raw.decode()).content
        assert "by route auxiliary" in content
        assert "agent a-17" in content


@pytest.mark.parametrize(("text", "words"), [
    ("", "Paste a request first"),
    ('{"model": "x",\n "max_tokens": 1O0}', "at line 2, column 17"),
    ('{"model": "x"', "at line 1, column 14"),
    ("[1]", "must be a JSON object"),
    ('{"model": 5, "messages": []}', "model"),
    ('{"model": "x"}', "messages: required"),
    ("[" * 100_000, "This is n"),
    ('{"model": "x", "messages": [{"role": "user", "content": "\ud83d"}]}', ""),
])  # fmt: skip
async def test_a_mistake_is_shown_with_its_place(tmp_path, upstream: Upstream, text, words):
    """Whatever is pasted: 400, the form again with what was pasted, and where it is wrong."""
    async with running(settings(upstream), tmp_path) as router:
        answer = await Browser(router.app).post("/ui/routes", {"request": text.encode("utf-8", "surrogatepass")})
        document = Document(answer.raw.decode())
        if words:
            assert answer.status == 400
            assert words in document.content
            assert [one for one in document.of("p") if one.get("role") == "alert"]
        assert soundness(document) == []


async def test_the_twin_tells_the_same(tmp_path, upstream: Upstream):
    """POST /api/routes/try answers with the facts; a key in the request is not told back."""
    async with running(settings(upstream), tmp_path) as router:
        request = {**REQUEST, "model": f"p,{UPSTREAM_KEY}"}
        body = json.dumps({"request": request, "headers": {"X-Claude-Code-Agent-Id": "a1"}}).encode()
        answer = await call(router.app, "POST", "/api/routes/try", JSON, body)
        assert answer.status == 200
        assert answer.json["facts"]["agent"] == "a1"
        assert answer.json["route"]["name"] == "explicit"
        assert UPSTREAM_KEY not in answer.raw.decode()
        assert upstream.requests == []


async def test_other_apis_can_be_tried(tmp_path, upstream: Upstream):
    """A request of Chat Completions or Responses is read as such; what speaks its dialect gets its own bytes."""
    config = settings(upstream)
    config["Providers"].append(provider(upstream, "openai", name="chat"))
    async with running(config, tmp_path) as router:
        asked = {"model": "chat,m1", "messages": [{"role": "user", "content": "Hello"}]}
        for api, request in (("openai_chat", asked), ("openai_responses", {"model": "chat,m1", "input": "Hello"})):
            body = json.dumps({"request": request, "api": api}).encode()
            told = (await call(router.app, "POST", "/api/routes/try", JSON, body)).json
            assert (told["result"], told["translation"]["target"]) == ("sent", "chat,m1"), api


@pytest.mark.parametrize("body", [
    {}, {"request": []}, {"request": REQUEST, "api": "gemini"}, {"request": REQUEST, "headers": {"a": 1}},
    {"request": REQUEST, "more": 1}, {"request": REQUEST, "headers": {str(n): "x" for n in range(51)}},
])  # fmt: skip
async def test_what_is_no_trial_is_refused(tmp_path, upstream: Upstream, body):
    """400 with the form that is wanted."""
    async with running(settings(upstream), tmp_path) as router:
        answer = await call(router.app, "POST", "/api/routes/try", JSON, json.dumps(body).encode())
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")

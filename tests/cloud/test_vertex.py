"""Claude on Vertex, through the whole router: recipes, credentials, what is sent, what comes back."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import anthropic
import pytest

from ccrouter.config.load import load
from ccrouter.errors import UpstreamStatus, UpstreamUnreachable
from ccrouter.upstream.client import UpstreamClient
from tests.cloud.google import MODELS, PROJECT, Google
from tests.gateway.conftest import running, text_of
from tests.upstream import Reply, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

MODEL = "claude-sonnet-4-5@20250929"
TOOL = {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}


def config(google: Google, **provider: Any) -> dict[str, Any]:
    """A provider on Vertex, at the fake."""
    written = {
        "name": "v",
        "platform": "vertex",
        "api_base_url": google.url,
        "project": PROJECT,
        "location": "global",
        "credentials": google.service_account(),
        "models": [MODEL],
        **provider,
    }
    return {"Providers": [written], "Router": {"default": f"v,{MODEL}"}}


async def test_streamed_and_unstreamed(google: Google, tmp_path: Path) -> None:
    """Both forms are answered, at the model's own URLs, with one token for both."""
    async with running(config(google), tmp_path) as router:
        assert text_of(await router.stream()) == "Hi from Vertex"
        status, _, body = await router.ask()
    assert status == 200
    assert json.loads(body)["content"][0]["text"] == "Hi from Vertex"
    assert [one.target for one in google.asked] == [f"{MODELS}{MODEL}:streamRawPredict", f"{MODELS}{MODEL}:rawPredict"]
    assert google.tokens == 1


async def test_everything_else_is_the_clients(google: Google, tmp_path: Path) -> None:
    """Tools, thinking, unknown members and unknown blocks arrive as they were asked; the model only in the URL."""
    asked = {
        "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any"},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "novelty", "x": 1.0}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "ä"}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "c"}]},
        ],
        "unheard_of": {"a": [1]},
    }
    async with running(config(google), tmp_path) as router:
        status, _, raw = await router.ask(max_tokens=4000, **asked)
    assert status == 200, raw
    sent = google.asked[0].json()
    assert sent == {**asked, "max_tokens": 4000, "anthropic_version": "vertex-2023-10-16"}


async def test_headers(google: Google, tmp_path: Path) -> None:
    """Betas go out as a header, those that only Anthropic's own service knows left out, and no other of its headers."""
    betas = "claude-code-20250219,advanced-tool-use-2025-11-20, oauth-2025-04-20,context-1m-2025-08-07"
    headers = {"anthropic-beta": betas, "anthropic-version": "2023-06-01", "x-app": "cli", "x-stainless-os": "Linux"}
    async with running(config(google, headers={"X-Team": "t"}), tmp_path) as router:
        status, _, raw = await router.ask(headers)
    assert status == 200, raw
    sent = google.asked[0].headers
    assert sent["anthropic-beta"] == "claude-code-20250219,tool-search-tool-2025-10-19,context-1m-2025-08-07"
    assert sent["x-team"] == "t"
    assert not {"anthropic-version", "x-app", "x-stainless-os", "x-api-key"} & set(sent)


async def test_versions(google: Google, tmp_path: Path) -> None:
    """The first version of the API has a name of its own on Vertex; a later one that a client speaks is passed on."""
    async with running(config(google), tmp_path) as router:
        for version in ("2023-06-01", "2026-10-21"):
            await router.ask({"anthropic-version": version})
    assert [one.json()["anthropic_version"] for one in google.asked] == ["vertex-2023-10-16", "2026-10-21"]


async def test_a_beta_that_vertex_does_not_know(google: Google, tmp_path: Path) -> None:
    """What the 400 names is left out, at once and from then on; the loss is told."""
    words = "Unexpected value(s) `effort-2025-11-24`, `x-1` for the `anthropic-beta` header. Please consult our documentation"

    def answer(received):
        if "effort" in received.headers.get("anthropic-beta", ""):
            return json_reply(anthropic_wire.error_json("invalid_request_error", words), 400)
        return json_reply(anthropic_wire.message_json("ok"))

    google.answer = answer
    async with running(config(google), tmp_path) as router:
        for _ in range(2):
            status, _, raw = await router.ask({"anthropic-beta": "a-1,effort-2025-11-24"})
            assert status == 200, raw
    assert [one.headers["anthropic-beta"] for one in google.asked] == ["a-1,effort-2025-11-24", "a-1", "a-1"]


async def test_the_sdk(google: Google, tmp_path: Path) -> None:
    """The official client, through the router: the message, tools and all, is the one that Vertex sent."""
    calls = [("t1", "Read", {"path": "ä 中"}), ("t2", "Read", {"path": "b"})]
    google.answer = lambda _: sse_reply(anthropic_wire.message_stream("Hi 🙂", thinking="hm", tools=calls), split=7)
    async with (
        running(config(google), tmp_path) as router,
        anthropic.AsyncAnthropic(base_url=router.url, api_key="any", max_retries=0) as client,
        client.messages.stream(
            model="any", max_tokens=50, messages=[{"role": "user", "content": "x"}], tools=[TOOL]
        ) as stream,
    ):
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content[2:]] == [call[2] for call in calls]
    assert message.stop_reason == "tool_use"
    assert message.content[0].signature


async def test_the_fake_is_honest(google: Google) -> None:
    """Anthropic's own client for Vertex is served by the same fake: URL, version and model are where it puts them."""
    async with anthropic.AsyncAnthropicVertex(
        region="global", project_id=PROJECT, access_token=google.valid, base_url=f"{google.url}/v1", max_retries=0
    ) as client:
        message = await client.messages.create(
            model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "x"}], stream=False
        )
    assert message.content[0].text == "Hi from Vertex"
    assert google.asked[0].target == f"{MODELS}{MODEL}:rawPredict"


async def test_a_service_account(google: Google, tmp_path: Path) -> None:
    """A key file is enough: it names the project too, as in the classic router."""
    written = config(google, credentials=google.service_account())
    del written["Providers"][0]["project"]
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert google.grants[0]["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert google.asked[0].path.startswith(MODELS)


async def test_what_gcloud_left(google: Google, tmp_path: Path, bare_environment: Path, monkeypatch) -> None:
    """Without a file that is named, the one of `gcloud auth application-default login` is used, with its quota project."""
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{google.url}/token")
    folder = bare_environment / ".config" / "gcloud"
    folder.mkdir(parents=True)
    shutil.move(google.user(quota_project_id="paying"), folder / "application_default_credentials.json")
    written = config(google)
    del written["Providers"][0]["credentials"]
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert google.grants[0]["refresh_token"] == ["1//refresh"]
    assert google.asked[0].headers["x-goog-user-project"] == "paying"


async def test_the_users_own_authorization_wins(google: Google, tmp_path: Path) -> None:
    """Where the user configured how to be known (a gateway in front of Vertex), no token is fetched."""
    google.tokens = 1
    written = config(google, headers={"Authorization": f"Bearer {google.valid}"}, credentials="/no/such/file")
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert google.grants == []


async def test_an_access_token_as_key(google: Google, tmp_path: Path) -> None:
    """`api_key` is an access token that the user got elsewhere."""
    google.tokens = 1
    async with running(config(google, api_key=google.valid), tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert google.grants == []


async def test_extra_body_and_proxy(google: Google, upstream: Upstream, tmp_path: Path) -> None:
    """`extra_body` is merged, its model being the one that is asked for; through `proxy` go model and token."""
    upstream.always(google.serve)
    written = config(google, proxy=upstream.url, extra_body={"service_tier": "auto", "model": "claude-other"})
    written["Providers"][0]["api_base_url"] = "http://vertex.test"
    written["Providers"][0]["credentials"] = google.service_account(token_uri="http://token.test/token")

    async def serve(received):
        received.path = received.path.removeprefix("http://token.test").removeprefix("http://vertex.test")
        return await google.serve(received)

    upstream.always(serve)
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    token, asked = upstream.requests
    assert token.target == "http://token.test/token"
    assert asked.target == f"http://vertex.test{MODELS}claude-other:rawPredict"
    assert asked.json()["service_tier"] == "auto"
    assert google.upstream.requests == []


async def test_count_tokens_is_estimated(google: Google, tmp_path: Path) -> None:
    """A count is answered without asking Vertex, also where the provider is said to be Anthropic's."""
    async with running(config(google, profile="anthropic"), tmp_path) as router:
        body = {"model": "x", "messages": [{"role": "user", "content": "Hello " * 50}]}
        async with router.client.post(f"{router.url}/v1/messages/count_tokens", json=body) as response:
            assert 40 < (await response.json())["input_tokens"] < 150
    assert google.upstream.requests == []


# -- tokens -------------------------------------------------------------------------------------------------------------


def the_provider(google: Google, tmp_path: Path, **more: Any):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(google, **more)))
    return load(path, {}).providers[0]


class Clock:
    """A time of day that only tests move; whoever pauses waits until the test lets it go."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.pauses: asyncio.Queue[float] = asyncio.Queue()
        self._waiting: list[asyncio.Event] = []

    def now(self) -> float:
        return self.time

    async def pause(self, seconds: float) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        self.pauses.put_nowait(seconds)
        await event.wait()

    async def paused(self) -> float:
        """For how long whoever renews the token pauses next."""
        async with asyncio.timeout(30):
            return await self.pauses.get()

    def pass_by(self, seconds: float) -> None:
        self.time += seconds
        self._waiting.pop(0).set()


async def ask(client: UpstreamClient, provider: Any) -> int:
    url = f"{provider.endpoints[0].url}/m:rawPredict"
    where = type(provider.endpoints[0])("anthropic", url, "vertex")
    response = await client.send(provider, where, {}, b'{"anthropic_version":"vertex-2023-10-16"}')
    while await response.read():
        pass
    response.close()
    return response.status


async def test_renewed_in_the_background(google: Google, tmp_path: Path) -> None:
    """Five minutes before its end the token is renewed by itself; requests go on with the old one meanwhile."""
    clock, provider = Clock(), the_provider(google, tmp_path)
    client = UpstreamClient(now=clock.now, pause=clock.pause)
    try:
        assert await ask(client, provider) == 200
        assert 3290 < await clock.paused() <= 3300
        arrived, go_on = asyncio.Event(), asyncio.Event()
        serve = google.serve

        async def slowly(received):
            if received.path == "/token":
                arrived.set()
                await go_on.wait()
            return await serve(received)

        google.upstream.always(slowly)
        clock.pass_by(3300)
        await arrived.wait()
        assert google.tokens == 1
        assert await ask(client, provider) == 200
        go_on.set()
        await clock.paused()
        assert google.tokens == 2
        clock.time += 3000
        assert await ask(client, provider) == 200
        assert [one.headers["authorization"] for one in google.asked][-1] == "Bearer ya29.token-2"
        assert google.tokens == 2
    finally:
        await client.close()


async def test_a_renewal_that_fails(google: Google, tmp_path: Path) -> None:
    """It is tried again before the old token's end, which serves meanwhile; at its end the reason is told."""
    clock, provider = Clock(), the_provider(google, tmp_path)
    client = UpstreamClient(now=clock.now, pause=clock.pause)
    try:
        await ask(client, provider)
        await clock.paused()
        google.refusal = json_reply(
            {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400
        )
        clock.pass_by(3300)
        assert await clock.paused() == pytest.approx(150, abs=10)
        assert await ask(client, provider) == 200
        clock.pass_by(400)
        with pytest.raises(UpstreamStatus, match=r"revoked.*gcloud auth application-default login") as told:
            await ask(client, provider)
        assert (told.value.status, told.value.type) == (401, "authentication_error")
        google.refusal = None
        assert await ask(client, provider) == 200
        assert google.tokens == 2
    finally:
        await client.close()


async def test_one_fetch_for_all_who_wait(google: Google, tmp_path: Path) -> None:
    """Many requests that come before there is a token wait for the same one."""
    provider = the_provider(google, tmp_path)
    client = UpstreamClient()
    try:
        assert await asyncio.gather(*(ask(client, provider) for _ in range(8))) == [200] * 8
    finally:
        await client.close()
    assert google.tokens == 1


async def test_who_leaves_does_not_spoil_it_for_others(google: Google, tmp_path: Path) -> None:
    """A request that is cancelled while the token is fetched does not cancel the fetch that another waits for."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    serve = google.serve

    async def slowly(received):
        if received.path == "/token":
            arrived.set()
            await go_on.wait()
        return await serve(received)

    google.upstream.always(slowly)
    provider = the_provider(google, tmp_path)
    client = UpstreamClient()
    try:
        first, second = (asyncio.create_task(ask(client, provider)) for _ in range(2))
        await arrived.wait()
        first.cancel()
        go_on.set()
        assert await second == 200
        assert first.cancelled()
    finally:
        await client.close()


async def test_a_token_that_is_not_used_is_not_renewed(google: Google, tmp_path: Path) -> None:
    """A router that serves nobody asks for no tokens; the next request gets a new one."""
    clock, provider = Clock(), the_provider(google, tmp_path)
    client = UpstreamClient(now=clock.now, pause=clock.pause)
    try:
        await ask(client, provider)
        await clock.paused()
        clock.pass_by(3300)
        await clock.paused()  # renewed once, as it had been used
        assert google.tokens == 2
        [account] = client._clouds._accounts.values()
        clock.pass_by(3300)
        done, _ = await asyncio.wait({account.keeper._renewal}, timeout=30)
        assert done
        clock.time += 1000
        assert google.tokens == 2
        assert await ask(client, provider) == 200
        assert google.tokens == 3
    finally:
        await client.close()


async def test_a_token_that_was_revoked(google: Google, tmp_path: Path) -> None:
    """A 401 for a kept token: one new token, one more try, and nothing is told to the client."""
    provider = the_provider(google, tmp_path)
    client = UpstreamClient()
    try:
        assert await ask(client, provider) == 200
        google.tokens += 1  # the one that was given out is no longer the valid one
        assert await ask(client, provider) == 200
        assert google.tokens == 3
    finally:
        await client.close()


async def test_closing_while_a_token_is_fetched(google: Google, tmp_path: Path) -> None:
    """A client that is closed lets nobody wait: neither the request nor the thread of google-auth."""
    arrived = asyncio.Event()

    async def never(received):
        arrived.set()
        await asyncio.Event().wait()

    google.upstream.always(never)
    client = UpstreamClient()
    waiting = asyncio.create_task(ask(client, the_provider(google, tmp_path)))
    await arrived.wait()
    try:
        client._clouds.close()  # before the connections are, so that it does not rest on their end
        with pytest.raises((asyncio.CancelledError, UpstreamUnreachable)):
            await waiting
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().shutdown_default_executor()
    finally:
        await client.close()


async def test_the_event_loop_is_not_blocked(google: Google, tmp_path: Path) -> None:
    """While google-auth waits for its token in a thread, the loop goes on serving."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    serve = google.serve

    async def slowly(received):
        if received.path == "/token":
            arrived.set()
            await go_on.wait()
        return await serve(received)

    google.upstream.always(slowly)
    async with running(config(google), tmp_path) as router:
        waiting = asyncio.create_task(router.ask())
        await arrived.wait()
        async with router.client.get(f"{router.url}/health") as response:
            assert response.status == 200
        go_on.set()
        assert (await waiting)[0] == 200


# -- what goes wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("/no/such/file.json", "was not found"),
        ("nonsense", "not a valid json file"),
        ("empty", "does not have a valid type"),
    ],
)
async def test_a_file_that_is_none(google: Google, tmp_path: Path, credentials: str, expected: str) -> None:
    """The client is told which file is wrong and what to do: a 401 that it does not repeat."""
    if not credentials.startswith("/"):
        path = tmp_path / f"{credentials}.json"
        path.write_text("{}" if credentials == "empty" else "{")
        credentials = str(path)
    async with running(config(google, credentials=credentials), tmp_path) as router:
        status, headers, raw = await router.ask()
    message = json.loads(raw)["error"]["message"]
    assert (status, headers["x-should-retry"]) == (401, "false")
    assert credentials in message
    assert expected in message
    assert "gcloud auth application-default login" in message
    assert google.upstream.requests == []


async def test_no_credentials_at_all(google: Google, tmp_path: Path) -> None:
    """Nothing named, nothing left by gcloud, no metadata server: the same, with what to do."""
    written = config(google)
    del written["Providers"][0]["credentials"]
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 401
    assert "gcloud auth application-default login" in json.loads(raw)["error"]["message"]


async def test_a_server_of_tokens_that_is_not_there(google: Google, tmp_path: Path) -> None:
    """It is the network then, not the account: unreachable, and a fallback may serve."""
    async with Upstream() as gone:
        url = gone.url
    written = config(google, credentials=google.service_account(token_uri=f"{url}/token"))
    written["Providers"].append(
        {"name": "w", "platform": "vertex", "api_base_url": google.url, "project": PROJECT, "location": "global"}
        | {"credentials": google.user(), "api_key": "ya29.token-0", "models": [MODEL]}
    )
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
        assert status == 502
        assert "no token from Google" in json.loads(raw)["error"]["message"]
    written["fallback"] = {"default": [f"w,{MODEL}"]}
    async with running(written, tmp_path) as router:
        assert (await router.ask())[0] == 200


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (json_reply(anthropic_wire.error_json("rate_limit_error", "slow down"), 429), 429, "rate_limit_error"),
        (json_reply(anthropic_wire.error_json("overloaded_error", "busy"), 529), 529, "overloaded_error"),
        (json_reply([{"error": {"code": 403, "message": "Permission 'aiplatform.endpoints.predict' denied on resource", "status": "PERMISSION_DENIED"}}], 403), 403, "permission_error"),
        (json_reply({"error": {"code": 404, "message": "Publisher Model `x` was not found", "status": "NOT_FOUND"}}, 404), 404, "not_found_error"),
        (json_reply({"error": {"code": 429, "message": "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model", "status": "RESOURCE_EXHAUSTED"}}, 429), 429, "rate_limit_error"),
        (json_reply(anthropic_wire.error_json("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), 400), 400, "invalid_request_error"),
        (Reply(502, {"content-type": "text/html"}, (b"<html><title>502</title></html>",)), 502, "api_error"),
    ],
)  # fmt: skip
async def test_errors(google: Google, tmp_path: Path, reply: Reply, status: int, kind: str) -> None:
    """Anthropic's and Google's own errors come out in Messages' words."""
    google.answer = lambda _: reply
    async with running(config(google), tmp_path) as router:
        got, _, raw = await router.ask()
    error = json.loads(raw)
    assert (got, error["type"], error["error"]["type"]) == (status, "error", kind)


# -- Gemini -------------------------------------------------------------------------------------------------------------


def _gemini(received):
    text = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi from Gemini"}]}, "finishReason": "STOP"}]
    }
    whole = {**text, "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}
    if received.query == "alt=sse":
        return sse_reply([f"data: {json.dumps(whole)}\r\n\r\n".encode()])
    return json_reply(whole)


@pytest.mark.parametrize("transformer", [None, "vertex-gemini"])
async def test_gemini(google: Google, tmp_path: Path, transformer: str | None) -> None:
    """Gemini's dialect with Google's credentials, at Vertex's URL; streams are asked for as event streams."""
    google.answer = _gemini
    written = config(google, models=["gemini-2.5-pro"], headers={"X-Team": "t"}, extra_body={"labels": {"a": "b"}})
    written["Router"] = {"default": "v,gemini-2.5-pro"}
    if transformer:
        written["Providers"][0]["transformer"] = {"use": [transformer]}
    async with running(written, tmp_path) as router:
        assert text_of(await router.stream()) == "Hi from Gemini"
        status, _, raw = await router.ask()
    assert json.loads(raw)["content"][0]["text"] == "Hi from Gemini", status
    base = f"/v1beta1/projects/{PROJECT}/locations/global/publishers/google/models/gemini-2.5-pro"
    assert [one.target for one in google.asked] == [f"{base}:streamGenerateContent?alt=sse", f"{base}:generateContent"]
    for one in google.asked:
        assert "x-goog-api-key" not in one.headers
        assert (one.headers["x-team"], one.json()["labels"]) == ("t", {"a": "b"})


async def test_chat(google: Google, tmp_path: Path) -> None:
    """What Vertex serves in OpenAI's format is spoken as chat, with Google's credentials."""
    google.answer = lambda _: json_reply(chat_wire.chat_json("Hi from Llama"))
    written = config(google, models=["meta/llama"], protocol="openai")
    written["Router"] = {"default": "v,meta/llama"}
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert json.loads(raw)["content"][0]["text"] == "Hi from Llama", status
    assert google.asked[0].path == f"/v1/projects/{PROJECT}/locations/global/endpoints/openapi/chat/completions"
    assert google.asked[0].json()["model"] == "meta/llama"

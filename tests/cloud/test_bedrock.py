"""Claude on Bedrock, through the whole router: signatures, keys, what is sent, what comes back."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anthropic
import pytest

from ccrouter.config.load import load
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import UnsupportedContent, UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.upstream.client import UpstreamClient
from tests.cloud.amazon import ACCESS, API_KEY, REGION, SECRET, Amazon, error, stream
from tests.cloud.frames import chunks, exception
from tests.gateway.conftest import running, text_of
from tests.upstream import Reply, Upstream, anthropic_wire, chat_wire, json_reply

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
TOOL = {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of an account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def config(amazon: Amazon, model: str = MODEL, **provider: Any) -> dict[str, Any]:
    """A provider on Bedrock, at the fake."""
    written = {
        "name": "b",
        "platform": "bedrock",
        "api_base_url": amazon.url,
        "region": REGION,
        "models": [model],
        **provider,
    }
    return {"Providers": [written], "Router": {"default": f"b,{model}"}}


@pytest.mark.usefixtures("account")
async def test_streamed_and_unstreamed(amazon: Amazon, tmp_path: Path) -> None:
    """Both forms are answered, with signatures of what really went out."""
    async with running(config(amazon), tmp_path) as router:
        assert text_of(await router.stream()) == "Hi from Bedrock"
        status, _, body = await router.ask()
    assert status == 200, body
    assert json.loads(body)["content"][0]["text"] == "Hi from Bedrock"
    streamed, whole = amazon.asked
    assert streamed.path == f"/model/{MODEL}/invoke-with-response-stream"
    assert streamed.headers["accept"] == "application/vnd.amazon.eventstream"
    assert whole.path == f"/model/{MODEL}/invoke"
    assert whole.headers["accept"] == "application/json"


@pytest.mark.usefixtures("account")
async def test_everything_else_is_the_clients(amazon: Amazon, tmp_path: Path) -> None:
    """Tools, thinking, unknown members and blocks arrive as they were asked; the model in the URL, betas in the body."""
    asked = {
        "tools": [TOOL],
        "thinking": {"type": "adaptive"},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "novelty", "x": 1.0}]}],
        "unheard_of": {"a": [1]},
    }
    headers = {"anthropic-beta": "interleaved-thinking-2025-05-14,oauth-2025-04-20", "x-app": "cli"}
    async with running(config(amazon), tmp_path) as router:
        status, _, raw = await router.ask(headers, max_tokens=4000, anthropic_beta=["context-1m-2025-08-07"], **asked)
    assert status == 200, raw
    betas = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"]
    expected = {**asked, "max_tokens": 4000, "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": betas}
    assert amazon.asked[0].json() == expected
    sent = amazon.asked[0].headers
    assert not {"anthropic-beta", "x-anthropic-beta", "anthropic-version", "x-app"} & set(sent)


@pytest.mark.parametrize("model", [MODEL, ARN, "a b".replace(" ", "~"), "x%2fy", "ü", "a?b#c", "@x"])
@pytest.mark.usefixtures("account")
async def test_models_of_every_spelling(amazon: Amazon, tmp_path: Path, model: str) -> None:
    """Whatever a model is called, it is one segment of the path, and the signature covers it as it went out."""
    async with running(config(amazon, model), tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    head, sent, tail = amazon.asked[0].target.strip("/").split("/")
    assert (head, unquote(sent), tail) == ("model", model, "invoke")


@pytest.mark.usefixtures("account")
async def test_large_bodies(amazon: Amazon, tmp_path: Path) -> None:
    """A body that goes out in pieces is signed as a whole."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(amazon)))
    client = UpstreamClient()
    try:
        assert await ask(client, load(path, {}).providers[0], "ä" * 1_500_000) == 200
    finally:
        await client.close()
    assert len(amazon.asked[0].body) > 3_000_000


@pytest.mark.usefixtures("account")
async def test_headers_of_amazon_are_signed(amazon: Amazon, tmp_path: Path) -> None:
    """A guardrail that the user configured goes out, and the signature covers it."""
    headers = {"X-Amzn-Bedrock-GuardrailIdentifier": "gr-1", "X-Amzn-Bedrock-GuardrailVersion": "1", "X-Team": "t"}
    async with running(config(amazon, headers=headers, extra_body={"top_k": 3}), tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    sent = amazon.asked[0]
    assert "x-amzn-bedrock-guardrailidentifier;" in sent.headers["authorization"]
    assert (sent.headers["x-team"], sent.json()["top_k"]) == ("t", 3)


@pytest.mark.usefixtures("account")
async def test_through_a_proxy(amazon: Amazon, upstream: Upstream, tmp_path: Path) -> None:
    """Through a proxy the signature is that of the URL behind it."""
    seen = []

    def serve(received):
        seen.append(received.target)
        received.target = received.target.removeprefix("http://bedrock.test")
        received.path = received.target
        return amazon.serve(received)

    upstream.always(serve)
    written = config(amazon, proxy=upstream.url)
    written["Providers"][0]["api_base_url"] = "http://bedrock.test"
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert seen == [f"http://bedrock.test/model/{MODEL}/invoke"]


@pytest.mark.parametrize("where", ["provider", "environment", "top"])
async def test_an_api_key(amazon: Amazon, tmp_path: Path, where: str) -> None:
    """A Bedrock API key goes as Bearer, and nothing is signed."""
    written = config(amazon, **({"api_key": API_KEY} if where == "provider" else {}))
    if where == "top":
        written["AWS_BEARER_TOKEN_BEDROCK"] = API_KEY
    environ = {"AWS_BEARER_TOKEN_BEDROCK": API_KEY} if where == "environment" else {}
    async with running(written, tmp_path, environ) as router:
        assert text_of(await router.stream()) == "Hi from Bedrock"
    assert amazon.asked[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert "x-amz-date" not in amazon.asked[0].headers


async def test_a_profile(amazon: Amazon, tmp_path: Path, bare_environment: Path) -> None:
    """`awsProfile` names the account to sign with, whatever key the environment has."""
    (bare_environment / ".aws").mkdir()
    (bare_environment / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n"
        f"[work]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\naws_session_token = st\n"
    )
    amazon.session_token = "st"
    async with running(config(amazon, awsProfile="work"), tmp_path, {"AWS_BEARER_TOKEN_BEDROCK": "k"}) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert amazon.asked[0].headers["x-amz-security-token"] == "st"


async def test_credentials_that_run_out(amazon: Amazon, upstream: Upstream, tmp_path: Path, monkeypatch) -> None:
    """Those of a container are fetched before the first request, and renewed in the background before their end."""
    served = []

    def serve(received):
        served.append(received.path)
        amazon.session_token = f"token-{len(served)}"
        end = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=7)  # so near that botocore renews whenever it is asked
        return json_reply(
            {
                "AccessKeyId": ACCESS,
                "SecretAccessKey": SECRET,
                "Token": amazon.session_token,
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )

    upstream.always(serve)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{upstream.url}/creds")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(amazon)))
    [provider, _] = load(path, {}).providers
    pauses: asyncio.Queue[float] = asyncio.Queue()
    go_on = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await go_on.wait()
        go_on.clear()

    client = UpstreamClient(pause=pause)
    try:
        assert await ask(client, provider) == 200
        fetched = len(served)
        assert await ask(client, provider) == 200
        assert len(served) == fetched
        assert await pauses.get() == pytest.approx(150, abs=1)  # of 420 seconds at least 300 are left: half of them
        go_on.set()
        async with asyncio.timeout(30):
            await pauses.get()
        assert len(served) == fetched + 1
        assert await ask(client, provider) == 200
        assert len(served) == fetched + 1
    finally:
        await client.close()


async def ask(client: UpstreamClient, provider: Provider, text: str = "") -> int:
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "text": text}, ensure_ascii=False).encode()
    where = Endpoint("anthropic", f"{provider.endpoints[0].url}/model/m/invoke", "bedrock")
    response = await client.send(provider, where, {}, body)
    while await response.read():
        pass
    response.close()
    return response.status


async def test_a_role_is_assumed_through_the_routers_own_client(
    amazon: Amazon, upstream: Upstream, tmp_path: Path, bare_environment: Path, monkeypatch
) -> None:
    """What botocore asks of STS goes by the provider's proxy, like the request itself."""
    (bare_environment / ".aws").mkdir()
    (bare_environment / ".aws" / "config").write_text(
        "[profile base]\naws_access_key_id = AKBASE\naws_secret_access_key = s\n"
        "[profile work]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://sts.test")
    end = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = (
        "<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials>"
        f"<AccessKeyId>{ACCESS}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
        f"<SessionToken>role</SessionToken><Expiration>{end}</Expiration></Credentials>"
        "<AssumedRoleUser><Arn>a</Arn><AssumedRoleId>i</AssumedRoleId></AssumedRoleUser></AssumeRoleResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )

    def serve(received):
        if received.target.startswith("http://sts.test"):
            assert b"Action=AssumeRole" in received.body
            return Reply(200, {"content-type": "text/xml"}, (answer.encode(),), "length")
        received.target = received.path = received.target.removeprefix("http://bedrock.test")
        return amazon.serve(received)

    upstream.always(serve)
    amazon.session_token = "role"
    written = config(amazon, awsProfile="work", proxy=upstream.url)
    written["Providers"][0]["api_base_url"] = "http://bedrock.test"
    async with running(written, tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 200, raw
    assert len(upstream.requests) == 2


@pytest.mark.usefixtures("account")
async def test_the_sdk(amazon: Amazon, tmp_path: Path) -> None:
    """The official client, through the router, cuts in every frame: the message is the one that Bedrock sent."""
    calls = [("t1", "Read", {"path": "ä 中"}), ("t2", "Read", {"path": "b"})]
    wire = b"".join(chunks(anthropic_wire.message_stream("Hi 🙂", thinking="hm", tools=calls, pings=False)))
    amazon.answer = lambda _: stream([wire[at : at + 41] for at in range(0, len(wire), 41)])
    async with (
        running(config(amazon), tmp_path) as router,
        anthropic.AsyncAnthropic(base_url=router.url, api_key="any", max_retries=0) as client,
        client.messages.stream(
            model="any", max_tokens=50, messages=[{"role": "user", "content": "x"}], tools=[TOOL]
        ) as streamed,
    ):
        message = await streamed.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content[2:]] == [call[2] for call in calls]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 12)


async def test_the_fake_is_honest(amazon: Amazon) -> None:
    """Anthropic's own client for Bedrock is served by the same fake, and reads its frames."""
    async with anthropic.AsyncAnthropicBedrock(
        aws_region=REGION, api_key=API_KEY, base_url=amazon.url, max_retries=0
    ) as client:
        asked = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        message = await client.messages.create(**asked)
        events = [event.type async for event in await client.messages.create(**asked, stream=True)]
    assert message.content[0].text == "Hi from Bedrock"
    assert (events[0], events[-1]) == ("message_start", "message_stop")
    assert amazon.asked[0].path == f"/model/{MODEL}/invoke"


# -- what goes wrong ----------------------------------------------------------------------------------------------------


async def test_no_credentials(amazon: Amazon, tmp_path: Path) -> None:
    """The client is told what to do: a 401 that it does not repeat."""
    async with running(config(amazon), tmp_path) as router:
        status, headers, raw = await router.ask()
    assert (status, headers["x-should-retry"]) == (401, "false")
    assert "aws sso login" in json.loads(raw)["error"]["message"]
    assert amazon.asked == []


async def test_a_profile_that_is_not_there(amazon: Amazon, tmp_path: Path) -> None:
    """The name of the profile is told, and how to sign in to it."""
    async with running(config(amazon, awsProfile="nope"), tmp_path) as router:
        status, _, raw = await router.ask()
    message = json.loads(raw)["error"]["message"]
    assert status == 401
    assert "(nope)" in message
    assert "aws sso login --profile nope" in message


async def test_a_login_that_has_run_out(amazon: Amazon, tmp_path: Path, bare_environment: Path) -> None:
    """SSO without a login: the same, and once the user has signed in the next request works without a restart."""
    (bare_environment / ".aws").mkdir()
    file = bare_environment / ".aws" / "config"
    file.write_text(
        "[profile work]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://x.awsapps.test/start\n"
    )
    async with running(config(amazon, awsProfile="work"), tmp_path) as router:
        status, _, raw = await router.ask()
        assert status == 401, raw
        assert "aws sso login --profile work" in json.loads(raw)["error"]["message"]
        file.write_text(f"[profile work]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
        assert (await router.ask())[0] == 200


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (error("ThrottlingException", "Too many requests, please wait before trying again.", 429), 429, "rate_limit_error"),
        (error("ServiceQuotaExceededException", "over", 400), 429, "rate_limit_error"),
        (error("ModelNotReadyException", "warming up", 429), 529, "overloaded_error"),
        (error("ServiceUnavailableException", "down", 503), 503, "overloaded_error"),
        (error("ModelTimeoutException", "slow", 408), 408, "timeout_error"),
        (error("ModelErrorException", "model failed", 424), 500, "api_error"),
        (error("InternalServerException", "oops", 500), 500, "api_error"),
        (error("AccessDeniedException", "You don't have access to the model with the specified model ID.", 403), 403, "permission_error"),
        (error("UnrecognizedClientException", "The security token included in the request is invalid.", 403), 401, "authentication_error"),
        (error("ExpiredTokenException", "The security token included in the request is expired", 403), 401, "authentication_error"),
        (error("ResourceNotFoundException", "Could not resolve the foundation model", 404), 404, "not_found_error"),
        (error("ValidationException", "The provided model identifier is invalid.", 400), 400, "invalid_request_error"),
        (error("NoveltyException", "new", 418), 418, "invalid_request_error"),
        (Reply(403, {"x-amzn-errortype": "AccessDeniedException"}, (b"<AccessDeniedException/>",)), 403, "permission_error"),
        (json_reply({"message": "Forbidden"}, 403), 403, "permission_error"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("account")
async def test_errors(amazon: Amazon, tmp_path: Path, reply: Reply, status: int, kind: str) -> None:
    """Amazon's errors come out in Messages' words, by their names."""
    amazon.answer = lambda _: reply
    async with running(config(amazon), tmp_path) as router:
        got, _, raw = await router.ask()
    told = json.loads(raw)
    assert (got, told["type"], told["error"]["type"]) == (status, "error", kind), raw
    if kind == "authentication_error":
        assert "aws sso login" in told["error"]["message"]


@pytest.mark.usefixtures("account")
async def test_a_conversation_that_is_too_long(amazon: Amazon, tmp_path: Path) -> None:
    """Bedrock's words for it become those by which Claude Code knows to compact."""
    amazon.answer = lambda _: error("ValidationException", "Input is too long for requested model.", 400)
    async with running(config(amazon), tmp_path) as router:
        status, _, raw = await router.ask()
    assert status == 400
    assert json.loads(raw)["error"]["message"].startswith("prompt is too long")


@pytest.mark.parametrize(("at", "status"), [(0, 429), (3, 200)])
@pytest.mark.usefixtures("account")
async def test_an_exception_within_the_stream(amazon: Amazon, tmp_path: Path, at: int, status: int) -> None:
    """Before the first content it is the answer's status; after it an `error` event, and never an ending."""
    frames = chunks(anthropic_wire.message_stream("Hi from Bedrock", pings=False))
    amazon.answer = lambda _: stream([*frames[:at], exception("throttlingException", message="slow down")])
    async with running(config(amazon), tmp_path) as router:
        got, _, raw = await router.ask(stream=True)
    assert got == status
    assert b"rate_limit_error" in raw
    assert b"message_stop" not in raw


@pytest.mark.usefixtures("account")
async def test_a_stream_that_is_cut(amazon: Amazon, tmp_path: Path) -> None:
    """A stream that ends between or within frames ends in an error for the client."""
    wire = b"".join(chunks(anthropic_wire.message_stream("Hi from Bedrock", pings=False)))
    for cut in (
        len(wire) // 2,
        len(b"".join(chunks(anthropic_wire.message_stream("Hi from Bedrock", pings=False)[:3]))),
    ):
        amazon.answer = lambda _, cut=cut: stream([wire[:cut]])
        async with running(config(amazon), tmp_path) as router:
            _, _, raw = await router.ask(stream=True)
        assert b'"type":"error"' in raw
        assert b"message_stop" not in raw


@pytest.mark.usefixtures("account")
async def test_betas_that_bedrock_does_not_know(amazon: Amazon, tmp_path: Path) -> None:
    """ "invalid beta flag" does not say which: first the undocumented ones go, then the rest; and it is remembered."""

    def answer(received):
        if received.json().get("anthropic_beta"):
            return error("ValidationException", "invalid beta flag", 400)
        return json_reply(anthropic_wire.message_json("ok"))

    amazon.answer = answer
    betas = {"anthropic-beta": "context-1m-2025-08-07,claude-code-20250219"}
    async with running(config(amazon), tmp_path) as router:
        for _ in range(2):
            status, _, raw = await router.ask(betas)
            assert status == 200, raw
    sent = [one.json().get("anthropic_beta") for one in amazon.asked]
    assert sent == [["context-1m-2025-08-07", "claude-code-20250219"], ["context-1m-2025-08-07"], None, None]


@pytest.mark.parametrize("model", ["", ".", "..", "a;b", "a b", "a\nb", "a\x00"])
def test_models_that_are_none(model: str) -> None:
    """A model that would be another path, or that a server could read as another one, is refused."""
    for platform in ("bedrock", "vertex"):
        target = Target(Provider("b", (Endpoint("anthropic", "http://h", platform),)), model)
        with pytest.raises(UnsupportedContent, match="cannot be the name of a model"):
            DIALECTS["anthropic"].encode(MessagesRequest.read(b'{"model":"x","messages":[]}'), target, {})


def test_the_losses_are_told() -> None:
    """Each beta that is left out is in the ledger."""
    target = Target(Provider("b", (Endpoint("anthropic", "http://h", "bedrock"),)), "m")
    dialect = DIALECTS["anthropic"]
    request = MessagesRequest.read(b'{"model":"x","max_tokens":1,"messages":[]}')
    sent = dialect.encode(request, target, {"anthropic-beta": "oauth-2025-04-20,novelty-1,effort-2025-11-24"})
    refusal = UpstreamStatus("invalid beta flag", status=400, type="invalid_request_error")
    name = dialect.refused_member(refusal, sent)
    assert [loss.what.split(":")[0] for loss in dialect.without(sent, (name,)).losses] == [
        "oauth-2025-04-20",
        "novelty-1",
    ]
    assert dialect.without(sent, ("max_tokens",)) is sent


@pytest.mark.usefixtures("account")
async def test_chat(amazon: Amazon, tmp_path: Path) -> None:
    """What Bedrock serves in OpenAI's format is spoken as chat, and signed all the same."""
    amazon.answer = lambda _: json_reply(chat_wire.chat_json("Hi from gpt-oss"))
    async with running(config(amazon, "openai.gpt-oss-120b-1:0", protocol="openai"), tmp_path) as router:
        status, _, raw = await router.ask()
    assert json.loads(raw)["content"][0]["text"] == "Hi from gpt-oss", status
    assert amazon.upstream.requests[0].path == "/openai/v1/chat/completions"

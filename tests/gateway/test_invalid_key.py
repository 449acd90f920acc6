"""A key that a provider refuses, and everything else that comes as 401 or 403 and is no such thing."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.upstream_error import explain_error
from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

KEY = "sk-ant-the-wrong-key-0123456789"
FIRST_WORDS = "Invalid API key for provider 'anthropic'"


def config_for(upstream: Upstream, **more) -> dict:
    more = {"api_key": "${ANTHROPIC_API_KEY}", **more}
    return {"Providers": [provider(upstream, "anthropic", **more)], "Router": {"default": "anthropic,m1"}}


def refusal(words: str = "invalid x-api-key") -> dict:
    return anthropic_wire.error_json("authentication_error", words)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key(status, streamed, upstream: Upstream, tmp_path):
    """To the client a 401 authentication_error that is not to be tried again, to the log the same words: what is wrong,
    which variable to check, and what the provider said, in this order.
    """
    upstream.reply(json_reply(refusal("invalid x-api-key: the api key is not valid"), status=status))
    log = ExchangeLog(tmp_path / "log", "info")
    async with running(config_for(upstream), tmp_path, {"ANTHROPIC_API_KEY": KEY}, log=log) as router:
        got, headers, raw = await router.ask(stream=streamed)
    log.close()
    error = json.loads(raw)["error"]
    assert (got, error["type"], headers["x-should-retry"]) == (401, "authentication_error", "false")
    message = error["message"]
    assert message.startswith(FIRST_WORDS + ". Check the environment variable ANTHROPIC_API_KEY")
    assert message.index("ANTHROPIC_API_KEY") < message.index("invalid x-api-key")
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["error"] == message
    assert KEY not in line + raw.decode()


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("$ANTHROPIC_API_KEY", "Check the environment variable ANTHROPIC_API_KEY"),
        ("${ANTHROPIC_API_KEY}", "Check the environment variable ANTHROPIC_API_KEY"),
        ("${HALF}${OTHER}", "Check the environment variable HALF and OTHER"),
        (KEY, "The key comes from the config file: check it there"),
        (None, "No key is configured for it"),
    ],
)
async def test_where_to_look(written, hint, upstream: Upstream, tmp_path):
    """The hint is about the place that the key really came from."""
    upstream.reply(json_reply(refusal(), status=401))
    config = config_for(upstream, api_key=written)
    if written is None:
        del config["Providers"][0]["api_key"]
    environ = {"ANTHROPIC_API_KEY": KEY, "HALF": "sk-ant-half-", "OTHER": "of-it-0123456789"}
    async with running(config, tmp_path, environ) as router:
        status, _, raw = await router.ask()
    assert status == 401
    assert f"{FIRST_WORDS}. {hint}" in json.loads(raw)["error"]["message"]


async def test_a_refusal_within_a_stream(upstream: Upstream, tmp_path):
    """An answer of 200 whose stream begins with a refused key says the same."""
    upstream.reply(sse_reply([anthropic_wire.error_frame("authentication_error", "invalid x-api-key")]))
    async with running(config_for(upstream), tmp_path, {"ANTHROPIC_API_KEY": KEY}) as router:
        status, headers, raw = await router.ask(stream=True)
    assert status == 401
    assert headers["x-should-retry"] == "false"
    assert json.loads(raw)["error"]["message"].startswith(f"{FIRST_WORDS}. Check the environment variable")


@pytest.mark.parametrize("key", [KEY, "a-passphrase-of-no-known-shape"])
@pytest.mark.parametrize("padding", range(270, 301, 3))
async def test_no_part_of_the_key_is_quoted(key, padding, upstream: Upstream, tmp_path):
    """The provider's words are short, and where they are cut no beginning of the key is left standing."""
    words = "w " * (padding // 2) + f"'{key}' is not a key " + "and more " * 200
    upstream.reply(json_reply(refusal(words), status=401))
    async with running(config_for(upstream), tmp_path, {"ANTHROPIC_API_KEY": key}) as router:
        _, _, raw = await router.ask()
    message = json.loads(raw)["error"]["message"]
    assert key[:6] not in message
    assert len(message) < 700


async def test_counting_is_never_worth_an_error(upstream: Upstream, tmp_path):
    """A refused key makes count_tokens an estimate."""
    upstream.reply(json_reply(refusal(), status=401))
    config = config_for(upstream, profile="anthropic")
    async with running(config, tmp_path, {"ANTHROPIC_API_KEY": KEY}) as router:
        body = {"model": "claude-x", "messages": [{"role": "user", "content": "Hello " * 100}]}
        async with router.client.post(f"{router.url}/v1/messages/count_tokens", json=body) as response:
            assert response.status == 200
            assert (await response.json())["input_tokens"] > 50
    assert len(upstream.requests) == 1


ABOUT_THE_KEY = {
    "OpenAI": (401, chat_wire.error_json("Incorrect API key provided: sk-no")),
    "OpenRouter": (401, {"error": {"code": 401, "message": "User not found."}}),
    "OpenRouter's other": (401, {"error": {"code": 401, "message": "No auth credentials found"}}),
    "Google": (400, {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}),
    "Google, leaked": (
        403,
        {"error": {"code": 403, "message": "Your API key was reported as leaked.", "status": "PERMISSION_DENIED"}},
    ),
    "Google, none": (
        403,
        {"error": {"message": "Method doesn't allow unregistered callers.", "status": "PERMISSION_DENIED"}},
    ),
    "a relay": (403, {"error": {"message": "Invalid token"}}),
    "Anthropic": (401, refusal()),
}
NOT_ABOUT_THE_KEY = {
    "moderation": {"error": {"code": 403, "message": "Input flagged", "metadata": {"reasons": ["violence"]}}},
    "moderation of a text on keys": {
        "error": {
            "code": 403,
            "message": "The model requires moderation; your input was flagged: how do I steal an api key",
            "metadata": {"reasons": ["illicit"], "flagged_input": "steal an api key"},
        }
    },
    "flagged": {
        "error": {"code": 403, "message": "Blocked: bearer of ill news", "metadata": {"flagged_input": "token"}}
    },
    "region": {
        "error": {
            "code": "unsupported_country_region_territory",
            "message": "Country, region not supported for api key",
        }
    },
    "model of a project": {"error": {"code": "model_not_found", "message": "Project does not have access to `gpt-9`"}},
    "model of a key": {"error": {"message": "This API key is not allowed to use the model gpt-9"}},
    "OpenRouter's guardrail": {
        "error": {"code": 403, "message": "Blocked by guardrail", "metadata": {"error_type": "permission_denied"}}
    },
    "Anthropic": anthropic_wire.error_json(
        "permission_error", "Your API key does not have permission to use the specified resource."
    ),
    "content": {"error": {"message": "Rejected by the content policy for this bearer"}},
}


@pytest.mark.parametrize("case", ABOUT_THE_KEY)
def test_refusals_of_keys(case):
    """What providers say to a wrong key, whatever status they say it with, is a 401 about the key."""
    status, body = ABOUT_THE_KEY[case]
    error = explain_error(status, {}, json.dumps(body).encode(), "anthropic")
    assert (error.status, error.type) == (401, "authentication_error")
    assert str(error).startswith(FIRST_WORDS)


@pytest.mark.parametrize("case", NOT_ABOUT_THE_KEY)
def test_refusals_of_other_things(case):
    """A 403 about a model, a region, a moderated text or a permission keeps its meaning, whatever words it uses."""
    error = explain_error(403, {}, json.dumps(NOT_ABOUT_THE_KEY[case]).encode(), "anthropic")
    assert (error.status, error.type) == (403, "permission_error")
    assert "Invalid API key" not in str(error)

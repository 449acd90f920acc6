"""What is tried after a failure, and after which."""

from __future__ import annotations

import pytest

from ccrouter.config.schema import ModelRef
from ccrouter.errors import (
    ClientError,
    ConfigError,
    Denied,
    LocalProtocolError,
    NoTarget,
    NotAuthorized,
    RemoteProtocolError,
    UnsupportedContent,
    UpstreamStatus,
    UpstreamUnreachable,
)
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.plan import is_context_overflow, make_plan, should_fall_back
from ccrouter.routing.rules import Route
from tests.routing.casefile import PROVIDERS, make_provider, make_router

CATALOG = Catalog(make_provider(name, models) for name, models in PROVIDERS.items())


def status(code: int, message: str = "no") -> UpstreamStatus:
    return UpstreamStatus(message, status=code, type="api_error")


@pytest.mark.parametrize("code", [401, 402, 408, 409, 425, 429, 500, 501, 502, 503, 504, 520, 529])
def test_falls_back(code: int):
    """What is wrong with one account or one server need not be wrong with another."""
    assert should_fall_back(status(code))


@pytest.mark.parametrize("code", [400, 403, 404, 405, 410, 413, 422])
def test_does_not_fall_back(code: int):
    """What is wrong with the request or the configuration is shown, not papered over."""
    assert not should_fall_back(status(code))


@pytest.mark.parametrize("kind", ["connect", "tls", "dns", "timeout", "reset"])
def test_falls_back_when_unreachable(kind):
    """No answer at all is a reason to ask elsewhere."""
    assert should_fall_back(UpstreamUnreachable("no", kind=kind))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RemoteProtocolError("ended without a finish"), True),
        (UnsupportedContent("messages[0].content[1]", "a PDF"), True),
        (ClientError("bad"), False),
        (NotAuthorized("no key"), False),
        (Denied("no", rule="r"), False),
        (NoTarget("none"), False),
        (ConfigError([]), False),
        (LocalProtocolError("bug"), False),
    ],
)
def test_other_errors(error, expected):
    """Nonsense from a provider and content that a target cannot carry may end elsewhere; the rest is final."""
    assert should_fall_back(error) is expected


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "the request exceeds the available context size. try increasing the context size",
        "Please reduce the length of the messages or completion.",
        "Range of input length should be [1, 98304]",
        "Prompt exceeds max length",
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
    ],
)
def test_falls_back_when_the_context_overflows(message: str):
    """A request too long for one model's window may fit another's, however the provider words it."""
    assert is_context_overflow(status(400, message))
    assert should_fall_back(status(400, message))
    assert should_fall_back(status(413, message))
    assert not is_context_overflow(status(500, message))


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens",
        "messages: text content blocks must be non-empty",
        "context_management: Extra inputs are not permitted",
        "You exceeded your current quota",
    ],
)
def test_other_refusals_are_no_overflow(message: str):
    """What another window would not mend is not taken for an overflow."""
    assert not should_fall_back(status(400, message))


def test_a_fallback_without_its_provider_is_left_out():
    """A fallback whose provider was left out of the configuration is no part of a plan; the others keep their order."""
    router = make_router({"fallback": {"think": ["gemini,gemini-3-pro", "nowhere,x"], "default": ["neither,y"]}})
    target = CATALOG.target(ModelRef("local", "qwen3:8b"))
    assert target
    assert list(map(str, make_plan(Route("think", target, "think: why"), router, CATALOG))) == [
        "local,qwen3:8b",
        "gemini,gemini-3-pro",
    ]


def test_a_plan_uses_the_names_as_listed():
    """Fallbacks are found in any case, like everything else that people write."""
    router = make_router({"fallback": {"default": ["GEMINI,Gemini-3-Pro"]}})
    target = CATALOG.target(ModelRef("local", "qwen3:8b"))
    assert target
    assert str(make_plan(Route("subagent", target, "subagent: why"), router, CATALOG)[1]) == "gemini,gemini-3-pro"

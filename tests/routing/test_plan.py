"""What is tried, in which order, and what of it is for requests that turn out too long."""

from __future__ import annotations

import pytest

from ccrouter.config.schema import ModelRef, Router
from ccrouter.errors import UpstreamStatus
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.failures import failure_of, is_context_overflow
from ccrouter.routing.plan import make_plan
from ccrouter.routing.rules import Route
from tests.routing.casefile import PROVIDERS, make_provider, make_router

CATALOG = Catalog(make_provider(name, models) for name, models in PROVIDERS.items())


def status(code: int, message: str = "no") -> UpstreamStatus:
    return UpstreamStatus(message, status=code, type="api_error")


def names(route: str, router: Router, target: str = "local,qwen3:8b", alias: str = "") -> list[str]:
    found = CATALOG.resolve(target)
    assert found is not None
    return [str(one) for one in make_plan(Route(route, found, f"{route}: why", alias), router, CATALOG).targets]


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
def test_a_context_overflow_is_known_by_its_words(message: str):
    """A request too long for one model's window may fit another's, however the provider words it."""
    assert failure_of(status(400, message)).kind == "too_long"
    assert failure_of(status(413, message)).kind == "too_long"
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
    assert failure_of(status(400, message)).kind == "request"


def test_a_fallback_without_its_provider_is_left_out():
    """A fallback whose provider was left out of the configuration is no part of a plan; the others keep their order."""
    router = make_router({"fallback": {"think": ["gemini,gemini-3-pro", "nowhere,x"], "default": ["neither,y"]}})
    assert names("think", router) == ["local,qwen3:8b", "gemini,gemini-3-pro"]


def test_a_plan_uses_the_names_as_listed():
    """Fallbacks are found in any case, like everything else that people write."""
    router = make_router({"fallback": {"default": ["GEMINI,Gemini-3-Pro"]}})
    assert names("subagent", router)[1] == "gemini,gemini-3-pro"


def test_an_alias_has_the_fallbacks_of_its_pattern():
    """A chain written for an alias counts for it alone; an alias without one has those of `default`, as ever."""
    gemini = ModelRef("gemini", "gemini-3-pro")
    router = Router(
        alias_fallback={"claude-opus-*": (gemini,)}, fallback={"default": (ModelRef("deepseek", "deepseek-chat"),)}
    )
    assert names("alias", router, alias="claude-opus-*") == ["local,qwen3:8b", "gemini,gemini-3-pro"]
    assert names("alias", router, alias="claude-sonnet-*")[1:] == ["deepseek,deepseek-chat"]


@pytest.mark.parametrize(
    ("route", "target", "longer"),
    [
        ("default", "local,qwen3:8b", "gemini,gemini-3-pro"),
        ("longContext", "gemini,gemini-3-pro", None),  # it is the longest there is
        ("default", "gemini,gemini-3-pro", None),  # the same model again would say the same again
        ("explicit", "local,qwen3:8b", None),  # who names a model is to know that it is too small
    ],
)
def test_what_is_too_long_may_go_to_the_long_route(route: str, target: str, longer: str | None):
    """The route for long contexts serves a request that turned out too long, unless it had been asked already."""
    found = CATALOG.resolve(target)
    assert found is not None
    router = Router(routes={"longContext": ModelRef("gemini", "gemini-3-pro")})
    plan = make_plan(Route(route, found, f"{route}: why"), router, CATALOG)
    assert (str(plan.longer) if plan.longer else None) == longer
    assert [str(one) for one in plan.every] == [target, *([longer] if longer else [])]

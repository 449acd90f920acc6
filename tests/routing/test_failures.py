"""What an attempt's error is called: every error of the tree, and what providers say in their own words."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from ccrouter.dialects.upstream_error import explain_error, explain_error_object
from ccrouter.errors import (
    Broken,
    LossyTarget,
    RemoteProtocolError,
    Unreachable,
    UnsupportedContent,
    UpstreamError,
    UpstreamStatus,
    UpstreamUnreachable,
)
from ccrouter.routing.failures import Failure, failure_of, is_context_overflow


@pytest.mark.parametrize("kind", get_args(Unreachable))
def test_no_answer(kind: Unreachable) -> None:
    """What did not reach the provider is called as the seam calls it, without a status."""
    assert failure_of(UpstreamUnreachable("x", kind=kind)) == Failure(kind)


@pytest.mark.parametrize("kind", get_args(Broken))
def test_a_broken_answer(kind: Broken) -> None:
    """So is an answer that was none."""
    assert failure_of(RemoteProtocolError("x", kind=kind)) == Failure(kind)


def test_ours() -> None:
    """What a target cannot carry, or only with losses, is no fault of its health."""
    assert failure_of(UnsupportedContent("messages", "holds a hologram")) == Failure("unsupported")
    assert failure_of(LossyTarget(["top_k"], "would be lost")) == Failure("unsupported")


def test_an_error_of_no_other_name() -> None:
    """An upstream error that says nothing more is a breach."""
    assert failure_of(UpstreamError("x")) == Failure("protocol")


#: status → kind, where the words say nothing.
STATUSES = {
    400: "request",
    401: "key",
    402: "quota",
    403: "refused",
    404: "missing",
    405: "request",
    408: "server",
    409: "server",
    410: "request",
    413: "request",
    415: "request",
    422: "request",
    425: "server",
    429: "rate_limit",
    451: "request",
    500: "server",
    501: "server",
    502: "server",
    503: "overloaded",
    504: "server",
    520: "server",
    524: "server",
    529: "overloaded",
    599: "server",
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_by_status(status: int, kind: str) -> None:
    """A status without telling words has its own meaning; an empty body and a page of HTML change nothing."""
    for body in (b"", b"<html><head><title>Oops</title></head></html>", b'{"error":{"message":"no"}}'):
        failure = failure_of(explain_error(status, {}, body, "p"))
        assert failure.kind == kind, body
        if kind not in {"key", "quota"}:
            assert failure.status == status


#: Who says it, with which status, in which words; and what it is.
WORDS = [
    # -- the account is used up: waiting does not help
    (
        "openai", 429, "quota",
        {"error": {"message": "You exceeded your current quota, please check your plan and billing details.",
                   "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}},
    ),
    (
        "anthropic", 400, "quota",
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to "
                                    "access the Anthropic API. Please go to Plans & Billing to upgrade."}},
    ),
    (
        "anthropic", 429, "quota",
        {"type": "error", "error": {"type": "billing_error", "message": "Your credit balance is too low."}},
    ),
    ("deepseek", 402, "quota", {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}),
    (
        "openrouter", 402, "quota",
        {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}},
    ),
    (
        "moonshot", 429, "quota",
        {"error": {"type": "exceeded_current_quota_error", "message": "Your account is suspended"}},
    ),
    (
        "zai", 429, "quota",
        {"error": {"code": "1113", "message": "Insufficient balance or no resource package. Please recharge."}},
    ),
    (
        "gemini", 429, "quota",
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
                   "message": "You exceeded your current quota, please check your plan and billing details."}},
    ),
    # -- a limit: it passes
    (
        "gemini", 429, "rate_limit",
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
                   "message": "You exceeded your current quota, please check your plan and billing details.\n"
                              "Please retry in 34.07s."}},
    ),
    (
        "gemini", 429, "rate_limit",
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota.",
                   "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"}]}},
    ),
    (
        "openai", 429, "rate_limit",
        {"error": {"message": "Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 30000, "
                              "Used 29000, Requested 2000. Please try again in 2s.", "type": "tokens",
                   "code": "rate_limit_exceeded"}},
    ),
    (
        "anthropic", 429, "rate_limit",
        {"type": "error", "error": {"type": "rate_limit_error", "message": "This request would exceed your "
                                    "organization's rate limit of 40,000 input tokens per minute"}},
    ),
    ("deepseek", 429, "rate_limit", {"error": {"message": "Rate limit reached", "code": "rate_limit_reached_error"}}),
    (
        "openrouter", 429, "rate_limit",
        {"error": {"code": 429, "message": "Provider returned error",
                   "metadata": {"provider_name": "X", "raw": "m is temporarily rate-limited upstream."}}},
    ),
    # -- more than it can serve
    ("anthropic", 529, "overloaded", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ("openai", 503, "overloaded", {"error": {"message": "The engine is currently overloaded", "type": "server_error"}}),
    ("anthropic", 500, "overloaded", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ("gemini", 503, "overloaded", {"error": {"code": 503, "message": "The model is overloaded.",
                                             "status": "UNAVAILABLE"}}),
    # -- the key
    ("openai", 401, "key", {"error": {"message": "Incorrect API key provided: x.", "code": "invalid_api_key"}}),
    (
        "gemini", 400, "key",
        {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                   "status": "INVALID_ARGUMENT"}},
    ),
    ("openrouter", 401, "key", {"error": {"code": 401, "message": "No auth credentials found"}}),
    ("someone", 403, "key", {"error": {"message": "Invalid API key"}}),
    # -- a refusal of what was asked for, or from where
    (
        "openrouter", 403, "refused",
        {"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged",
                   "metadata": {"reasons": ["violence"], "flagged_input": "…"}}},
    ),
    ("openai", 403, "refused", {"error": {"message": "Country, region, or territory not supported",
                                          "code": "unsupported_country_region_territory"}}),
    (
        "openai", 400, "request",
        {"error": {"message": "The response was filtered due to the prompt triggering our content management policy.",
                   "code": "content_filter"}},
    ),
    # -- no such model
    ("openai", 404, "missing", {"error": {"message": "The model `gpt-9` does not exist", "code": "model_not_found"}}),
    # -- too long for the model
    (
        "anthropic", 400, "too_long",
        {"type": "error", "error": {"type": "invalid_request_error",
                                    "message": "prompt is too long: 205000 tokens > 200000 maximum"}},
    ),
    (
        "anthropic", 400, "too_long",
        {"type": "error", "error": {"type": "invalid_request_error", "message": "input length and `max_tokens` exceed "
                                    "context limit: 190000 + 20000 > 200000"}},
    ),
    (
        "openai", 400, "too_long",
        {"error": {"message": "This model's maximum context length is 128000 tokens. However, your messages resulted "
                              "in 130000 tokens.", "code": "context_length_exceeded"}},
    ),
    (
        "gemini", 400, "too_long",
        {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (1200000) exceeds the "
                   "maximum number of tokens allowed (1048576)."}},
    ),
    (
        "openrouter", 400, "too_long",
        {"error": {"code": 400, "message": "This endpoint's maximum context length is 65536 tokens. However, you "
                   "requested about 70000 tokens (60000 of text input, 10000 in the output)."}},
    ),
    ("dashscope", 400, "too_long", {"error": {"message": "Range of input length should be [1, 30720]"}}),
    ("zai", 400, "too_long", {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
    # -- the request's own fault
    (
        "anthropic", 413, "request",
        {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
    ),
    ("openai", 400, "request", {"error": {"message": "Invalid value for 'temperature'", "code": None}}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "status", "kind", "body"), WORDS)
def test_in_the_words_of_providers(who: str, status: int, kind: str, body: dict[str, object]) -> None:
    """The kind is told from the provider's own words where the status alone would mislead."""
    assert failure_of(explain_error(status, {}, json.dumps(body).encode(), who)).kind == kind


#: Error objects that came inside a 200.
WITHIN = [
    ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded"),
    ({"type": "api_error", "message": "Internal server error"}, "server"),
    ({"type": "rate_limit_error", "message": "slow down"}, "rate_limit"),
    ({"type": "authentication_error", "message": "no"}, "key"),
    ({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}, "too_long"),
    ({"code": 502, "message": "Provider returned error"}, "server"),
    ({"code": 503, "message": "Overloaded", "metadata": {"error_type": "provider_overloaded"}}, "overloaded"),
    ({"code": 429, "message": "Rate limited"}, "rate_limit"),
    ({"code": "insufficient_quota", "message": "You exceeded your current quota"}, "quota"),
    ("words alone", "server"),
]


@pytest.mark.parametrize(("error", "kind"), WITHIN)
def test_inside_a_200(error: object, kind: str) -> None:
    """An error in the middle of a good status counts as if it had been the status: overload is overload."""
    assert failure_of(explain_error_object(error, "p")).kind == kind


def test_the_wait_is_told() -> None:
    """Status and seconds are the provider's."""
    error = explain_error(429, {"retry-after": "7"}, b'{"error":{"message":"slow"}}', "p")
    assert failure_of(error) == Failure("rate_limit", 429, 7.0)


def test_words_without_a_dialect() -> None:
    """Also of an error whose status nobody has translated: used up is used up, unless a time to come back is named."""

    def kind(words: str, seconds: float | None = None) -> str:
        return failure_of(UpstreamStatus(words, status=429, type="rate_limit_error", retry_after=seconds)).kind

    assert kind("You exceeded your current quota") == "quota"
    assert kind("You exceeded your current quota", 34.0) == "rate_limit"
    assert kind("Number of requests has exceeded your rate limit") == "rate_limit"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_overflow_is_known_by_its_words(status: int) -> None:
    """With the statuses that a request's fault may have, and with no other."""
    words = "prompt is too long: 9 tokens > 8 maximum"
    assert is_context_overflow(UpstreamStatus(words, status=status, type="invalid_request_error"))
    assert not is_context_overflow(UpstreamStatus(words, status=500, type="api_error"))
    assert not is_context_overflow(UpstreamStatus("max_tokens: too large", status=status, type="invalid_request_error"))

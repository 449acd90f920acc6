"""What OpenTelemetry is told of an exchange, in the words of its GenAI conventions (open-telemetry's repository
semantic-conventions-genai, as of November 2026). Data only: no library, and no content.

Tokens stand at the attempts alone: a program that adds up spans would count them twice else. Attributes of the
conventions are `gen_ai.*`, `server.*`, `http.*` and `error.type`; what they have no word for is `ccrouter.*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias
from urllib.parse import urlsplit

from ccrouter.config.schema import Config
from ccrouter.gateway.record import CLIENT_GONE, IMAGE, Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.server.metrics import Names, outcome_of, target_of
from ccrouter.store.entry import Entry

Value: TypeAlias = str | bool | int | float | list[str]
Attributes: TypeAlias = dict[str, Value]
#: One measurement: the instrument, the value, what it is of.
Figure: TypeAlias = tuple[str, float, Attributes]

TOKENS = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105 - of a model's answer, no password

#: The bounds that the conventions recommend.
BOUNDARIES: Mapping[str, tuple[float, ...]] = {
    TOKENS: (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    DURATION: (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    FIRST_TOKEN: (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
}

#: Hosts of providers for which the conventions have a name that must be used; others go by the name in the config.
_PROVIDERS = (
    ("api.anthropic.com", "anthropic"),
    ("api.openai.com", "openai"),
    ("*.openai.azure.com", "azure.ai.openai"),
    ("*.services.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("*aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("bedrock*.amazonaws.com", "aws.bedrock"),
    ("api.cohere.*", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("*.ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.*", "moonshot_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
)
_CHAT = "chat"
_COUNTING = "/v1/messages/count_tokens"
_PORTS = {"https": 443, "http": 80}
_LONGEST = 200  # characters of a name that a client or a provider gives


@dataclass(frozen=True, slots=True)
class Span:
    """One span; `began` and `ended` in nanoseconds since 1970."""

    name: str
    began: int
    ended: int
    attributes: Attributes
    is_client: bool = False
    has_failed: bool = False


def instruments() -> tuple[tuple[str, str, str], ...]:
    """Name, unit and description of every metric."""
    return (
        (TOKENS, "{token}", "Number of input and output tokens used."),
        (DURATION, "s", "GenAI operation duration."),
        (FIRST_TOKEN, "s", "Time to generate first token for successful responses."),
    )


def spans_of(entry: Entry, sites: Sites) -> tuple[Span, list[Span], list[Figure]]:
    """The request's span, those of its attempts in order, and what is measured of it. A mere count of tokens has no
    attempts, and nothing is measured of it.
    """
    exchange = entry.exchange
    began = exchange.ended_at - exchange.total
    whole = Span(
        f"{_CHAT} {exchange.asked[:_LONGEST]}" if exchange.path != _COUNTING and exchange.asked else exchange.path,
        _nanoseconds(began),
        _nanoseconds(exchange.ended_at),
        _of_request(entry),
        has_failed=exchange.status >= 500,
    )
    if exchange.path == _COUNTING:
        return whole, [], []
    parts: list[Span] = []
    figures: list[Figure] = []
    last = next((one for one in reversed(exchange.attempts) if not one.target.endswith(IMAGE)), None)
    for one in exchange.attempts:
        is_last = one is last  # of those that were to answer: one that looked at an image for it stands behind it
        attributes = sites.of(one) | _of_attempt(exchange, one, is_last=is_last)
        model = str(attributes.get("gen_ai.request.model", ""))
        ended = max(one.ended, one.began)
        parts.append(
            Span(
                f"{_CHAT} {model}" if model else _CHAT,
                _nanoseconds(began + one.began),
                _nanoseconds(began + ended),
                attributes,
                is_client=True,
                has_failed=bool(one.failure or one.kind),
            )
        )
        bounded = sites.of(one, is_bounded=True)
        failed: Attributes = {"error.type": one.kind or "_OTHER"} if one.failure or one.kind else {}
        figures.append((DURATION, ended - one.began, bounded | failed))
        figures += _tokens(usage_of(exchange, one, is_last=is_last), bounded)
        if is_last and exchange.ttft is not None:
            figures.append((FIRST_TOKEN, exchange.ttft, bounded))
    return whole, parts, figures


def usage_of(exchange: Exchange, attempt: Attempt, *, is_last: bool) -> WireUsage | None:
    """What the provider reported of an attempt; None if nothing."""
    if attempt.usage is not None:
        return attempt.usage
    is_alone = is_last and not any(one.usage is not None for one in exchange.attempts)
    return exchange.usage if is_alone and (exchange.usage.context or exchange.usage.output_tokens) else None


class Sites:
    """Where targets are, by what the configuration says of their providers."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._names = Names(config)
        self._urls = {one.name: urlsplit(one.endpoints[0].url) for one in config.providers if one.endpoints}

    def of(self, attempt: Attempt, *, is_bounded: bool = False) -> Attributes:
        """What was asked; bounded: with names that stand in the configuration alone."""
        provider, model = target_of(attempt)
        if is_bounded:
            provider, model = self._names.target(provider, model)
        url = self._urls.get(provider)
        host = (url.hostname or "") if url is not None else ""
        known = next((name for pattern, name in _PROVIDERS if fnmatchcase(host, pattern)), provider or "_OTHER")
        found: Attributes = {"gen_ai.operation.name": _CHAT, "gen_ai.provider.name": known}
        if model:
            found["gen_ai.request.model"] = model[:_LONGEST]
        if host and url is not None:
            found["server.address"] = host
            found["server.port"] = url.port or _PORTS.get(url.scheme, 0)
        return found


def _of_request(entry: Entry) -> Attributes:
    exchange = entry.exchange
    told: dict[str, Value | None] = {
        "http.request.method": "POST",
        "http.route": exchange.path,
        "http.response.status_code": exchange.status,
        "error.type": None if exchange.status < 400 else outcome_of(exchange),
        "gen_ai.operation.name": None if exchange.path == _COUNTING else _CHAT,
        "gen_ai.request.model": exchange.asked[:_LONGEST],
        "gen_ai.response.model": (exchange.answered or exchange.sent)[:_LONGEST] if exchange.status < 400 else None,
        "gen_ai.conversation.id": exchange.session[:_LONGEST],
        "gen_ai.agent.id": exchange.agent,
        "gen_ai.agent.name": exchange.agent_type,
        "user_agent.original": exchange.client[:_LONGEST],
        "ccrouter.request.id": exchange.id,
        "ccrouter.route": exchange.route,
        "ccrouter.provider": exchange.provider,
        "ccrouter.attempts": len(exchange.attempts),
        "ccrouter.resumed": exchange.resumed or None,
        "ccrouter.cost.usd": entry.cost.usd,
        "ccrouter.policy": exchange.policy[:_LONGEST],
        "ccrouter.cache.broken_by": _broken_by(entry),
        **{f"ccrouter.losses.{fate}": count for fate, count in exchange.count_by_fate().items()},
    }
    return _known(told)


def _broken_by(entry: Entry) -> str | None:
    """Who lost the prompt cache; None if nothing was lost."""
    verdict = entry.verdict or {}
    return str(verdict["by"]) if verdict.get("lostTokens") else None


def _of_attempt(exchange: Exchange, one: Attempt, *, is_last: bool) -> Attributes:
    has_failed = bool(one.failure or one.kind)
    is_answer = is_last and not has_failed and exchange.status != CLIENT_GONE
    usage = usage_of(exchange, one, is_last=is_last)
    told: dict[str, Value | None] = {
        "error.type": (one.kind or "_OTHER") if has_failed else None,
        "gen_ai.request.stream": exchange.streamed,
        "gen_ai.response.model": exchange.answered[:_LONGEST] if is_answer else None,
        "gen_ai.response.finish_reasons": [exchange.stop_reason] if is_answer and exchange.stop_reason else None,
        "gen_ai.response.time_to_first_chunk": max(0.0, one.first - (one.sent or one.began)) if one.first else None,
        "http.response.status_code": one.status or None,
        "ccrouter.provider": target_of(one)[0],
        "ccrouter.key": one.key,
        "ccrouter.waited_seconds": one.waited or None,
        "ccrouter.upstream_request.id": exchange.upstream_id[:_LONGEST] if is_last else None,
    }
    if usage is not None:
        told |= {
            "gen_ai.usage.input_tokens": usage.context,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_input_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_creation_input_tokens,
        }
        thinking = (one.billed or exchange.billed).thinking_tokens
        if thinking and (is_last or one.billed is not None):
            told["gen_ai.usage.reasoning.output_tokens"] = thinking
    return _known(told)


def _tokens(usage: WireUsage | None, attributes: Attributes) -> Iterator[Figure]:
    if usage is None:
        return
    for kind, count in (("input", usage.context), ("output", usage.output_tokens)):
        if count:
            yield TOKENS, count, {**attributes, "gen_ai.token.type": kind}


def _known(told: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in told.items() if value is not None and value != ""}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)

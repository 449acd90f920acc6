"""A provider's error, whatever its shape, in Messages terms, with words that tell the user what to do. Pure.

Used by every dialect, for error statuses and for error objects inside a stream. Never invents a number, never shows a
page of HTML or a key. Where the text goes: Claude Code shows it, compacts on "prompt is too long: N tokens > M
maximum", retries with fewer tokens on "input length and `max_tokens` exceed context limit: A + B > C", and drops
features on others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import msgspec

from ccrouter.dialects.context_overflow import overflow_message
from ccrouter.dialects.retry_after import retry_after
from ccrouter.errors import ErrorType, UpstreamStatus
from ccrouter.messages.fault import STATUS_BY_TYPE, type_of_status
from ccrouter.secret import redact

#: Upstream's words are cut here; the rest of a long one is traces and echoes of the request.
MAX_WORDS = 1500
#: Of a refused key only the beginning is worth reading: what to do about it stands in front.
_MAX_WORDS_OF_KEY = 300
#: What to do about a refused key where nobody knows where it comes from; who does, puts that in its place.
KEY_HINT = (
    "Check its key in the router's configuration or environment (not the client's), and that it is one for this URL."
)

#: What providers call their errors (OpenAI `code`/`type`, OpenRouter `error_type`, Google `status`, and others), in
#: lower case → the Messages API's word. Words that say no more than the status are left out on purpose.
_TYPES: dict[str, ErrorType] = {
    "authentication": "authentication_error",
    "authentication_error": "authentication_error",
    "invalid_api_key": "authentication_error",
    "unauthenticated": "authentication_error",
    "permission_denied": "permission_error",
    "permission_error": "permission_error",
    "payment_required": "billing_error",
    "billing_error": "billing_error",
    "insufficient_quota": "billing_error",
    "insufficient_balance": "billing_error",
    "insufficient_user_quota": "billing_error",
    "billing_hard_limit_reached": "billing_error",
    "arrearage": "billing_error",
    "exceeded_current_quota_error": "billing_error",
    "not_found": "not_found_error",
    "not_found_error": "not_found_error",
    "model_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "rate_limit_error": "rate_limit_error",
    "rate_limit_reached_error": "rate_limit_error",
    "resource_exhausted": "rate_limit_error",
    "too_many_requests": "rate_limit_error",
    "throttling": "rate_limit_error",
    "provider_overloaded": "overloaded_error",
    "overloaded_error": "overloaded_error",
    "engine_overloaded_error": "overloaded_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "timeout_error": "timeout_error",
    "deadline_exceeded": "timeout_error",
    "invalid_request": "invalid_request_error",
    "invalid_request_error": "invalid_request_error",
    "invalid_prompt": "invalid_request_error",
    "invalid_argument": "invalid_request_error",
    "failed_precondition": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "max_tokens_exceeded": "invalid_request_error",
    "content_policy_violation": "invalid_request_error",
    "content_filter": "invalid_request_error",
    "request_too_large": "request_too_large",
    "api_error": "api_error",
    "server": "api_error",
    "server_error": "api_error",
    "internal_server_error": "api_error",
    "internal": "api_error",
    "provider_unavailable": "api_error",
}
# Types that are surer than the status they came with: OpenAI says 429 to an empty purse, Google 400 to a wrong key.
_SURER_THAN_STATUS = frozenset({"billing_error", "authentication_error"})

_KEY = re.compile(
    r"api.?key|invalid.{0,20}token|token.{0,20}(invalid|expired)|no auth|unauthori[sz]ed|authenticat|credential"
    r"|user not found|bearer",
    re.IGNORECASE,
)
_WRONG_KEY = re.compile(
    r"api.?key (is )?(not valid|invalid|incorrect|expired|missing)|(invalid|incorrect|missing) api.?key"
    r"|api.?key (was|has been) (reported as leaked|revoked|disabled|deleted|suspended)|unregistered callers",
    re.IGNORECASE,
)
#: A 403 that says one of these is about what was asked for, or from where, even if it speaks of a key too.
_NOT_THE_KEY = re.compile(
    r"moderat|flagged|guardrail|content.{0,12}(policy|filter)|safety|region|countr(y|ies)|territor|location|\bmodels?\b"
    r"|data policy|blocked by",
    re.IGNORECASE,
)
_NAMES_NOT_THE_KEY = frozenset({
    "content_policy_violation", "content_filter", "moderation", "model_not_found", "permission_denied",
    "permission_error", "unsupported_country_region_territory", "request_forbidden",
})  # fmt: skip
_QUOTA = re.compile(
    r"insufficient.{0,20}(balance|credit|quota|fund)|exceeded your current quota|credit balance|out of credits"
    r"|requires? more credits|余额不足|欠费",
    re.IGNORECASE,
)
#: What to do about well-known errors: (pattern in upstream's words, advice).
_ADVICE = (
    (
        re.compile(r"no endpoints found that support tool use", re.IGNORECASE),
        "This model cannot call tools there: choose one that can (openrouter.ai/models?supported_parameters=tools).",
    ),
    (
        re.compile(r"no endpoints found matching your data policy|no allowed providers", re.IGNORECASE),
        "Your account's privacy or provider settings leave nobody for this model (openrouter.ai/settings/privacy).",
    ),
    (
        re.compile(
            r"no endpoints found|model.{0,80}(not found|does not exist|not exist|is not supported|unavailable)"
            r"|(unknown|invalid|not a valid) model|模型不存在",
            re.IGNORECASE,
        ),
        "Check the model's name in the router's configuration against the provider's list of models.",
    ),
)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")
_CUT_WORD = re.compile(r"[^\s\"',;:()<>]+$")
#: A run of so many characters without a break is no key, in any quotation.
_LONGEST_KEY = 1000


class _Found:
    """What could be read out of an error body."""

    __slots__ = ("limits", "names", "status", "words")

    def __init__(self) -> None:
        self.words = ""
        self.names: list[str] = []
        self.status = 0
        self.limits: Mapping[str, Any] = {}


def explain_error(
    status: int, headers: Mapping[str, str], body: bytes, provider_name: str, now: float | None = None
) -> UpstreamStatus:
    """The provider's error answer in Messages terms.

    `headers` are lower-case; `now` is the time in seconds since the epoch, for a `retry-after` that is a date (without
    it the answer's own `date` serves). The message begins with what to do where that is known, and holds upstream's
    words without anything that has the shape of a key.
    """
    parsed = _parse(body)
    found = _read(parsed) if parsed is not None else _read_text(body)
    if status < 400:
        status = _status_of(found)
    wait = retry_after(status, headers, found.limits, found.words, now)
    return _error(status, found, provider_name, wait)


def explain_error_object(error: object, provider_name: str) -> UpstreamStatus:
    """As `explain_error`, for an error object that came inside a 200: its own code stands for the status."""
    found = _read({"error": error} if not isinstance(error, dict) or "error" not in error else error)
    status = _status_of(found)
    wait = retry_after(status, {}, found.limits, found.words, None)
    return _error(status, found, provider_name, wait, verb="failed in its answer")


def _status_of(found: _Found) -> int:
    """The status that an error means by itself, where it came with a good one."""
    return found.status or STATUS_BY_TYPE[_type_of_names(found.names) or "api_error"]


def html_title(body: bytes) -> str | None:
    """The title of an HTML page ("" if it has none); None if `body` is no HTML page."""
    start = body[:1024].lstrip().lower()
    if not (start.startswith((b"<!doctype", b"<html", b"<head", b"<body")) or b"<html" in start):
        return None
    match = _TITLE.search(body[:65536].decode("utf-8", "replace"))
    return _SPACE.sub(" ", unescape(match.group(1))).strip()[:200] if match else ""


# -- the answer ----------------------------------------------------------------------------------------------------


def _error(status: int, found: _Found, provider: str, wait: float | None, verb: str = "") -> UpstreamStatus:
    words = _shorten(redact(found.words))
    name = f"provider '{provider}'" if provider else "the provider"
    overflow = overflow_message(status, found.words, found.names, found.limits)
    if overflow is not None:
        return UpstreamStatus(
            f"{overflow} ({name} said: {words})" if words else overflow,
            status=400, type="invalid_request_error", provider=provider,
        )  # fmt: skip
    kind = _type(status, found, wait)
    if kind in _SURER_THAN_STATUS:
        status = STATUS_BY_TYPE[kind]
    message = _message(kind, f"{name[0].upper()}{name[1:]} {verb or f'answered {status}'}", words, provider)
    return UpstreamStatus(message, status=status, type=kind, retry_after=wait, provider=provider)


def _type(status: int, found: _Found, wait: float | None) -> ErrorType:
    words = found.words
    named = _type_of_names(found.names)
    if status == 401 or (status == 403 and _is_about_key(found)):
        return "authentication_error"
    # Gemini says "quota" to a limit per minute, and in how many seconds to come back: then it is a limit.
    if status in {400, 403, 429} and wait is None and _QUOTA.search(words):
        return "billing_error"
    if status == 400 and _WRONG_KEY.search(words):
        return "authentication_error"
    if named in _SURER_THAN_STATUS and status in {400, 402, 403, 429}:
        return named
    if status in {500, 502, 503} and named in {"overloaded_error", "rate_limit_error", "timeout_error"}:
        return named
    return type_of_status(status)


def _is_about_key(found: _Found) -> bool:
    """True if a 403 means the key itself, and not what is asked for with it: a model, a region, a moderated text."""
    if _NOT_THE_KEY.search(found.words):
        return False
    if _WRONG_KEY.search(found.words):
        return True
    return _NAMES_NOT_THE_KEY.isdisjoint(found.names) and _KEY.search(found.words) is not None


def _type_of_names(names: list[str]) -> ErrorType | None:
    return next((_TYPES[name] for name in names if name in _TYPES), None)


def _message(kind: ErrorType, event: str, words: str, provider: str) -> str:
    said = words or "no message"
    name = f"provider '{provider}'" if provider else "the provider"
    if kind == "authentication_error":
        return f"Invalid API key for {name}. {KEY_HINT} Upstream said: {_shorten(said, _MAX_WORDS_OF_KEY)}"
    if kind == "billing_error":
        return (
            f"Out of credits or quota at {name}: add credits or raise the limit of its API key. Upstream said: {said}"
        )
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(words)), "")
    return f"{advice} {event}: {said}" if advice else f"{event}: {said}"


def _shorten(words: str, longest: int = MAX_WORDS) -> str:
    """The words, cut where they are too long; between words, as half a key in quotation would not be known for one."""
    words = words.strip()
    if len(words) <= longest:
        return words
    cut = words[:longest]
    whole = _CUT_WORD.sub("", cut)
    return (whole if len(cut) - len(whole) < _LONGEST_KEY else cut).rstrip() + " …"


# -- the shapes ----------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> Any:
    """The decoded body if it is a JSON object or array, else None. An SSE error frame counts by its data."""
    text = body.strip()
    if text.startswith((b"data:", b"event:")):
        text = next((line[5:].strip() for line in text.splitlines() if line.startswith(b"data:")), b"")
    if not text.startswith((b"{", b"[")):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read_text(body: bytes) -> _Found:
    found = _Found()
    title = html_title(body)
    if title is None:
        found.words = body[: MAX_WORDS * 4].decode("utf-8", "replace").strip().strip('"')
    else:
        page = _TAGS.sub(" ", body[:16384].decode("utf-8", "replace"))
        found.words = f"an HTML page titled “{title}”" if title else "an HTML page without a title"
        if not title and (text := _SPACE.sub(" ", unescape(page)).strip()):
            found.words += f", beginning “{text[:80]}”"
    return found


def _read(parsed: Any) -> _Found:
    """The facts in any of the known JSON shapes."""
    found = _Found()
    if isinstance(parsed, list):  # Google: [{"error": {...}}]
        parsed = next((item for item in parsed if isinstance(item, dict)), {})
    if not isinstance(parsed, dict):
        found.words = str(parsed)
        return found
    error = parsed.get("error", parsed.get("errors"))
    if isinstance(error, list):  # Cloudflare: {"errors": [{"code", "message"}]}
        error = next((item for item in error if isinstance(item, dict)), None)
    inner: dict[str, Any] = error if isinstance(error, dict) else parsed
    found.limits = inner
    for source in (inner, parsed):
        for key in ("code", "type", "status", "error_type", "statusCode"):
            _take_name(found, source.get(key))
    found.words = _words_of(inner, error)
    metadata = inner.get("metadata")
    if isinstance(metadata, dict):
        _read_metadata(found, metadata)
    base = inner.get("base_resp")
    if isinstance(base, dict):  # MiniMax
        found.words = found.words or str(base.get("status_msg", ""))
        code = base.get("status_code")
        _take_name(found, _OF_MINIMAX.get(code) if isinstance(code, int) else None)
    if not found.words:
        found.words = msgspec.json.encode(parsed).decode()
    return found


#: Codes of MiniMax that mean a status.
_OF_MINIMAX = {1004: 401, 1008: 402, 1002: 429, 1039: 429}
_LONGEST_CODE = 20


def _take_name(found: _Found, value: object) -> None:
    if isinstance(value, bool) or value is None:
        return
    text = str(value)
    if text.isdecimal() and len(text) < _LONGEST_CODE:
        if not found.status and 400 <= int(text) <= 599:
            found.status = int(text)
        found.names.append(text)
    else:
        found.names.append(text.lower().rsplit(".", 1)[0])


def _words_of(inner: dict[str, Any], error: object) -> str:
    if isinstance(error, str):
        return error
    for key in ("message", "detail", "error_description", "msg", "title"):
        value = inner.get(key)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, dict):  # Mistral: {"message": {"detail": [...]}}
            value = value.get("detail", value)
        if isinstance(value, list) and value:  # FastAPI: [{"loc": [...], "msg": "..."}]
            return "; ".join(_violation(item) for item in value[:8])
        if isinstance(value, dict) and value:
            return msgspec.json.encode(value).decode()
    return ""


def _violation(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    place = item.get("loc")
    where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
    return where + str(item.get("msg", item))


def _read_metadata(found: _Found, metadata: dict[str, Any]) -> None:
    """OpenRouter's: the stable word for the error, and what the provider behind it said."""
    kind = metadata.get("error_type")
    if isinstance(kind, str):
        found.names.insert(0, kind.lower())
    raw = metadata.get("raw")
    if isinstance(raw, str) and raw.strip():
        parsed = _parse(raw.encode())
        below = _read(parsed) if parsed is not None else _read_text(raw.encode())
        found.names += below.names
        if below.limits:
            found.limits = {**found.limits, **below.limits}
        if below.words and below.words not in found.words:
            who = metadata.get("provider_name")
            found.words = f"{found.words} ({who + ': ' if isinstance(who, str) else ''}{below.words})"
    if "flagged_input" in metadata:
        found.names.append("moderation")
    reasons = metadata.get("reasons")
    if isinstance(reasons, list) and reasons:
        found.words = f"{found.words} (reasons: {', '.join(map(str, reasons[:8]))})"

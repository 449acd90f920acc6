"""Where to POST and in which wire format: from what a user wrote as a provider's URL. Pure; opens nothing.

The order of authority: an explicit protocol, then the URL, then the provider's name (for relays of the two whose base
URLs the SDKs made well known), then the transformer's name. A URL that ends in `/chat/completions` is chat even where
the transformer is called "anthropic": configurations in use rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ccrouter.config.schema import DialectName, Endpoint
from ccrouter.config.transformers import WIRE_FORMATS

#: What `protocol` may say, canonical words only.
PROTOCOLS: Mapping[str, DialectName] = {
    "anthropic": "anthropic",
    "openai": "openai_chat",
    "responses": "openai_responses",
    "gemini": "gemini",
}

#: The wire formats that this version speaks.
SPOKEN: frozenset[DialectName] = frozenset({"anthropic", "openai_chat"})

GEMINI_HOST = "generativelanguage.googleapis.com"
GEMINI_CHAT_PATH = "/v1beta/openai/chat/completions"
GEMINI_CHAT_URL = f"https://{GEMINI_HOST}{GEMINI_CHAT_PATH}"

_ENDS_IN_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/openai)?$")
_AUTO_BASE = re.compile(r"(?P<base>(?:.*/api)?)(?:/v1)?")
_AUTO_NAMES = frozenset({"openrouter", "anthropic"})


def complaint(url: str) -> str:
    """What is wrong with a URL to POST to; "" if nothing is. Does not repeat it: a URL may hold a key."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https"):
        return "must begin with https:// or http://"
    if not host or re.search(r"\s", url):
        return "is not a URL"
    return ""


def endpoints_of(
    url: str, *, name: str = "", protocol: str | None = None, wire: Sequence[str] = (), is_full: bool = True
) -> tuple[Endpoint, ...]:
    """The endpoints of a provider, the one to try first in front.

    `url` is one that `complaint` accepts, `protocol` a word of PROTOCOLS, `wire` what wire formats its transformer
    names; `is_full` says that the user was asked for a full URL, and may have meant an unusual path as it is.
    The dialects may be ones that are not SPOKEN. Gemini's own API at Google is not among these: the same models answer
    at its OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai), which is given in its place.
    """
    parts = urlsplit(url)._replace(fragment="")
    path = parts.path.rstrip("/")
    dialect = PROTOCOLS.get(protocol or "") or _dialect_by_url(parts.hostname or "", path.lower())
    auto = _AUTO_BASE.fullmatch(path)
    if dialect is None and name.casefold() in _AUTO_NAMES and auto:
        return (
            _endpoint("anthropic", parts, f"{auto['base']}/v1/messages"),
            _endpoint("openai_chat", parts, f"{auto['base']}/v1/chat/completions"),
        )
    dialect = dialect or _dialect_by_transformer(wire)
    if dialect == "gemini" and parts.hostname == GEMINI_HOST and not any(word.startswith("vertex") for word in wire):
        return (_endpoint("openai_chat", parts, GEMINI_CHAT_PATH),)
    if dialect not in SPOKEN:
        return (_endpoint(dialect, parts, path),)
    paths = _messages_paths if dialect == "anthropic" else _chat_paths
    return tuple(_endpoint(dialect, parts, found) for found in paths(parts.hostname or "", path, is_full=is_full))


def is_gemini_by_chat(url: str, protocol: str | None, endpoint: Endpoint) -> bool:
    """True if `url`, as written, means Gemini's own API, and `endpoint` is the OpenAI-compatible one in its place."""
    written, found = urlsplit(url), urlsplit(endpoint.url)
    is_chat = endpoint.dialect == "openai_chat" and (found.hostname, found.path) == (GEMINI_HOST, GEMINI_CHAT_PATH)
    return is_chat and "/openai" not in written.path and protocol != "openai"


def _endpoint(dialect: DialectName, parts: SplitResult, path: str) -> Endpoint:
    return Endpoint(dialect, urlunsplit(parts._replace(path=path)))


def _dialect_by_url(host: str, path: str) -> DialectName | None:
    if path.endswith("/completions"):
        return "openai_chat"
    if path.endswith("/messages"):
        return "anthropic"
    if path.endswith("/responses"):
        return "openai_responses"
    if host == GEMINI_HOST or host.endswith("aiplatform.googleapis.com"):
        return "openai_chat" if "/openai" in path else "gemini"
    if path.endswith(("/v1beta/models", "generatecontent")):
        return "gemini"
    if host == "api.anthropic.com" or (host == "openrouter.ai" and path in ("", "/api", "/api/v1")):
        return "anthropic"
    if "anthropic" in path.split("/"):  # api.deepseek.com/anthropic, api.z.ai/api/anthropic and their like
        return "anthropic"
    return None


def _dialect_by_transformer(wire: Sequence[str]) -> DialectName:
    return WIRE_FORMATS[wire[0]] if wire else "openai_chat"


def _messages_paths(host: str, path: str, *, is_full: bool) -> list[str]:
    if path.lower().endswith(("/messages", "/completions")):
        return [path]
    if host == "api.anthropic.com":
        return ["/v1/messages"]
    if host == "openrouter.ai":
        return ["/api/v1/messages"]
    if _ENDS_IN_VERSION.search(path):
        return [f"{path}/messages"]
    return [f"{path}/v1/messages", *([path] if is_full and path else [])]


def _chat_paths(host: str, path: str, *, is_full: bool) -> list[str]:
    if path.lower().endswith(("/completions", "/messages", "/responses")):
        return [path]
    if host == "openrouter.ai":
        return ["/api/v1/chat/completions"]
    if host == GEMINI_HOST:
        return [GEMINI_CHAT_PATH]
    if _ENDS_IN_VERSION.search(path):
        return [f"{path}/chat/completions"]
    if is_full and path:
        return [path, f"{path}/v1/chat/completions"]
    return [f"{path}/v1/chat/completions", f"{path}/chat/completions"]

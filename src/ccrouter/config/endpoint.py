"""Where to POST and in which wire format: from what a user wrote as a provider's URL. Pure; opens nothing.

The order of authority: an explicit protocol, then the URL, then the provider's name (for relays of the two whose base
URLs the SDKs made well known), then the transformer's name. A URL that ends in `/chat/completions` is chat even where
the transformer is called "anthropic": configurations in use rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from ccrouter.config.schema import DialectName, Endpoint
from ccrouter.config.transformers import WIRE_FORMATS

#: What `protocol` may say, canonical words only.
PROTOCOLS: Mapping[str, DialectName] = {
    "anthropic": "anthropic",
    "openai": "openai_chat",
    "responses": "openai_responses",
    "gemini": "gemini",
}

GEMINI_HOST = "generativelanguage.googleapis.com"
#: As the classic router's users write it: the place of the models, each with a URL of its own below.
GEMINI_URL = f"https://{GEMINI_HOST}/v1beta/models/"
_GEMINI_PATH = "/v1beta/models"
_GEMINI_CHAT_PATH = "/v1beta/openai/chat/completions"

_ENDS_IN_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/openai)?$")
_AUTO_BASE = re.compile(r"(?P<base>(?:.*/api)?)(?:/v1)?")
_AUTO_NAMES = frozenset({"openrouter", "anthropic"})
_ONE_MODEL = re.compile(r"/models/[^/]+(?::\w+)?$")
#: In the query of a URL for Gemini: the key goes into a header, and how to answer is said with each request.
_NOT_IN_GEMINI_QUERY = frozenset({"key", "alt"})


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
    names; `is_full` says that the user was asked for a full URL, and may have meant an unusual path as it is. For
    Gemini the URL is the base of its models' own. Providers on a cloud platform have other rules: see `platforms`.
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
    dialect = dialect or (WIRE_FORMATS[wire[0]] if wire else "openai_chat")
    if dialect == "gemini":
        parts = parts._replace(query=_query_for_gemini(parts.query))
    paths = _PATHS[dialect]
    return tuple(_endpoint(dialect, parts, found) for found in paths(parts.hostname or "", path, is_full=is_full))


def _endpoint(dialect: DialectName, parts: SplitResult, path: str) -> Endpoint:
    return Endpoint(dialect, urlunsplit(parts._replace(path=path)))


def _dialect_by_url(host: str, path: str) -> DialectName | None:
    if path.endswith("/completions"):
        return "openai_chat"
    if path.endswith("/messages"):
        return "anthropic"
    if path.endswith("/responses"):
        return "openai_responses"
    if host == GEMINI_HOST:
        return "openai_chat" if "/openai" in path else "gemini"
    if path.endswith(("/v1beta/models", "generatecontent")):
        return "gemini"
    if host == "api.anthropic.com" or (host == "openrouter.ai" and path in ("", "/api", "/api/v1")):
        return "anthropic"
    if "anthropic" in path.split("/"):  # api.deepseek.com/anthropic, api.z.ai/api/anthropic and their like
        return "anthropic"
    return None


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
        return [_GEMINI_CHAT_PATH]
    if _ENDS_IN_VERSION.search(path):
        return [f"{path}/chat/completions"]
    if is_full and path:
        return [path, f"{path}/v1/chat/completions"]
    return [f"{path}/v1/chat/completions", f"{path}/chat/completions"]


def _responses_paths(host: str, path: str, *, is_full: bool) -> list[str]:
    if path.lower().endswith(("/responses", "/completions", "/messages")):
        return [path]
    if host == "openrouter.ai":
        return ["/api/v1/responses"]
    if _ENDS_IN_VERSION.search(path):
        return [f"{path}/responses"]
    return [*([path] if is_full and path else []), f"{path}/v1/responses"]


def _gemini_paths(host: str, path: str, *, is_full: bool) -> list[str]:
    path = _ONE_MODEL.sub("/models", path)
    if path.lower().endswith("/models"):
        return [path]
    if host == GEMINI_HOST and not _ENDS_IN_VERSION.search(path):
        return [_GEMINI_PATH]
    if _ENDS_IN_VERSION.search(path):
        return [f"{path}/models"]
    return [*([path] if is_full and path else []), f"{path}{_GEMINI_PATH}"]


def key_of_gemini(url: str) -> str:
    """The key that a URL of Google's examples has in its query; "" if there is none."""
    return next((value for name, value in parse_qsl(urlsplit(url).query) if name.lower() == "key"), "")


def _query_for_gemini(query: str) -> str:
    pairs = [pair for pair in query.split("&") if pair.partition("=")[0].lower() not in _NOT_IN_GEMINI_QUERY]
    return "&".join(pairs)


_PATHS: Mapping[DialectName, Callable[..., list[str]]] = {
    "anthropic": _messages_paths,
    "openai_chat": _chat_paths,
    "openai_responses": _responses_paths,
    "gemini": _gemini_paths,
}

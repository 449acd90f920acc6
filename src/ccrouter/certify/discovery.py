"""What models a provider offers today, asked of its own list of models. Judged by the policy like every request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from ccrouter.config.schema import Endpoint, Provider
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import RemoteProtocolError, RouterError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.upstream.client import UpstreamClient

_LARGEST = 32 * 1024 * 1024
_MOST_PAGES = 20
_PAGE = "1000"
#: How the lists call the length of a model's context, in tokens.
_CONTEXTS = ("context_length", "context_window", "max_context_length", "max_model_len", "inputTokenLimit")
_ENDS = ("/chat/completions", "/responses", "/messages", "/completions")


class NoList(RouterError):
    """The provider has no list of models at a place that is known."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model on offer, by the id that requests name. `context` is its length in tokens, 0 if the list does not say."""

    id: str
    context: int = 0


async def offers(client: UpstreamClient, provider: Provider) -> list[Offer]:
    """The models that `provider` lists, in its order. Raises NoList, UpstreamError, and Denied by the policy."""
    endpoint = next((one for one in provider.endpoints if one.dialect in DIALECTS), None)
    listing = endpoint and list_endpoint(endpoint)
    if listing is None:
        raise NoList(f"{provider.name} has no list of models that can be asked for")
    found: list[Offer] = []
    asked: dict[str, str] = _first_page(listing)
    for _ in range(_MOST_PAGES):
        told = await _get(client, provider, _with_query(listing, asked))
        found += read_offers(told)
        following = _next_page(told)
        if not following:
            break
        asked |= following
    return list({offer.id: offer for offer in found}.values())


def list_endpoint(endpoint: Endpoint) -> Endpoint | None:
    """Where the list of models is, beside an endpoint to POST to; None where nobody knows."""
    parts = urlsplit(endpoint.url)
    path = parts.path.rstrip("/")
    if endpoint.platform or parts.scheme not in {"http", "https"} or "/deployments/" in path.lower():
        return None
    if endpoint.dialect != "gemini":
        end = next((end for end in _ENDS if path.lower().endswith(end)), None)
        if end is None:
            return None
        path = f"{path[: -len(end)]}/models"
    return replace(endpoint, url=urlunsplit(parts._replace(path=path, fragment="")))


def read_offers(told: Json) -> list[Offer]:
    """The models of one page: OpenAI's and Anthropic's `data`, Gemini's `models`, or a bare list.

    Raises RemoteProtocolError for anything else.
    """
    entries = told
    if isinstance(told, dict):
        entries = next((told[name] for name in ("data", "models") if isinstance(told.get(name), list)), None)
    if not isinstance(entries, list):
        raise RemoteProtocolError("the answer is not a list of models")
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        methods = entry.get("supportedGenerationMethods")
        if isinstance(methods, list) and "generateContent" not in methods:  # Gemini lists embeddings, too
            continue
        name = entry.get("id") or entry.get("name") or entry.get("model")
        if isinstance(name, str) and name:
            found.append(Offer(name.removeprefix("models/"), _context(entry)))
    return found


def _context(entry: JsonObject) -> int:
    values = (entry.get(name) for name in _CONTEXTS)
    return next((value for value in values if isinstance(value, int) and value > 0), 0)


def _first_page(listing: Endpoint) -> dict[str, str]:
    return {"anthropic": {"limit": _PAGE}, "gemini": {"pageSize": _PAGE}}.get(listing.dialect, {})


def _next_page(told: Json) -> dict[str, str]:
    match told:
        case {"has_more": True, "last_id": str(last)}:
            return {"after_id": last}
        case {"nextPageToken": str(token)} if token:
            return {"pageToken": token}
        case _:
            return {}


def _with_query(listing: Endpoint, asked: dict[str, str]) -> Endpoint:
    parts = urlsplit(listing.url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *asked.items()])
    return replace(listing, url=urlunsplit(parts._replace(query=query)))


async def _get(client: UpstreamClient, provider: Provider, listing: Endpoint) -> Json:
    headers = {"accept": "application/json"}
    if listing.dialect == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    response = await client.send(provider, listing, headers, None)
    try:
        body = b""
        while len(body) < _LARGEST and (chunk := await response.read()):
            body += chunk
    finally:
        response.close()
    if response.status >= 300:
        raise DIALECTS[listing.dialect].explain(response.status, response.headers, body, provider.name)
    try:
        told: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("the list of models is not JSON", provider=provider.name) from error
    return told

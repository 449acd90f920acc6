"""What a custom router is shown: the request, the configuration without secrets, and what is known of the exchange.

All of it is to be read: changing it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from ccrouter.config.schema import DRY_RUN, Config, Provider, Router
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.facts import RequestFacts
from ccrouter.secret import MASK

T = TypeVar("T")

#: Headers of clients that are keys, or may be.
_SECRET_HEADERS = frozenset(
    {"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization", "x-goog-api-key", "x-forwarded-for"}
)


class RequestView(Mapping[str, Any]):
    """The body of a Messages request as plain lists and dictionaries, each member decoded when it is looked at."""

    def __init__(self, request: MessagesRequest) -> None:
        self._request = request
        self._decoded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._decoded:
            self._decoded[name] = msgspec.json.decode(self._request.members[name])
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._request.members)

    def __len__(self) -> int:
        return len(self._request.members)

    def __contains__(self, name: object) -> bool:
        return name in self._request.members

    def __repr__(self) -> str:
        return f"RequestView({', '.join(self)})"

    @property
    def raw(self) -> bytes:
        """The body as JSON, without line ends: none stands within a text of JSON."""
        return self._request.encode().replace(b"\n", b" ").replace(b"\r", b" ")


@dataclass(frozen=True)
class RouteContext:
    """What a router may know beside the body.

    `facts` are what the router's own rules go by; `headers` the client's, lower-case, without its keys; `path` the
    endpoint that was asked: "/v1/messages/count_tokens" for a mere count.
    """

    request_id: str
    path: str
    facts: RequestFacts
    headers: Mapping[str, str]
    count: Callable[[], int] = field(repr=False)
    find_project: Callable[[], str | None] = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def asked(self) -> str:
        """The model that the client asks for, "" for none."""
        return self.facts.asked

    @property
    def session_id(self) -> str:
        """Claude Code's session, "" if the client names none."""
        return self.facts.session_id

    @cached_property
    def token_estimate(self) -> int:
        """The request's input tokens, estimated: counted when this is first asked."""
        return self._here(self.count)

    @cached_property
    def project(self) -> str | None:
        """The folder in `~/.claude/projects` that the session belongs to; None if it has none, or none yet."""
        return self._here(self.find_project)

    def _here(self, find: Callable[[], T]) -> T:
        """`find()` on the event loop, whose memories it uses, whichever thread asks."""

        async def carry_out() -> T:
            return find()

        try:
            is_here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_here = False
        return find() if is_here else asyncio.run_coroutine_threadsafe(carry_out(), self.loop).result()


def shown_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The client's headers without its keys."""
    return MappingProxyType({name: value for name, value in headers.items() if name not in _SECRET_HEADERS})


def config_view(config: Config) -> JsonObject:
    """The configuration in the shape of the classic file, keys masked; what else stands in the file, as it is written.

    A new copy with each call: it is handed to code that may change it.
    """
    written: JsonObject = msgspec.json.decode(msgspec.json.encode(config.raw))
    for name in ("providers", "Providers", "routers", "servers", "APIKEY"):
        written.pop(name, None)
    return {
        **written,
        "HOST": config.host,
        "PORT": config.port,
        "Providers": [_provider(one) for one in config.providers if one.name != DRY_RUN],
        "Router": _router(config.router),
        "fallback": {name: [str(ref) for ref in refs] for name, refs in config.router.fallback.items()},
    }


def _provider(provider: Provider) -> JsonObject:
    return {
        "name": provider.name,
        "api_base_url": provider.endpoints[0].public_url,
        "api_key": MASK if provider.key else "",
        "models": list(provider.models),
    }


def _router(router: Router) -> JsonObject:
    return {
        **{name: str(ref) for name, ref in router.routes.items()},
        "longContextThreshold": router.long_context_threshold,
        "models": {pattern: str(ref) for pattern, ref in router.aliases},
    }

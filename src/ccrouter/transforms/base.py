"""What a transform is: a class with hooks, each of which a subclass may leave as it is. Pure.

    request   MessagesRequest ─▶ MessagesRequest      before the dialect encodes it
    members   members ─▶ members                      the provider's own words, before they become bytes
    wire      Wire ─▶ Wire                            URL, headers and bytes as they will leave (async)
    stream    Answer ─▶ Answer                        the provider's bytes as they come in
    events    a filter of Messages events             after the dialect has read them

Requests pass the transforms of a provider in the order of its `use`, then those of the model; answers pass them in
the reverse order. The router's own transforms use `request`, `members` and `events` only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ccrouter.config.schema import DialectName, Target
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import MessageEvent
from ccrouter.messages.request import MessagesRequest

#: What becomes of the events of one answer: called with those of one read of the network, in order, gives those to send
#: instead. What it holds back it must give out by the time it sees `message_delta`.
EventFilter = Callable[[Iterable[MessageEvent]], list[MessageEvent]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a transform may know of the attempt that it works for. `asked` is the model that the client named.

    `notes` is where a hook leaves what a later hook of the same attempt has to know, under its transform as the key.
    """

    target: Target
    dialect: DialectName
    asked: str
    is_streamed: bool
    request_id: str = ""
    notes: dict[Any, Any] = field(default_factory=dict, compare=False)


#: Carries out hooks that may block, away from the event loop: gives what the call gives, raises what it raises.
Drive = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it is about to leave. Whatever it says, policy and egress judge what it has become.

    A header that a transform sets or changes wins over everybody's, authentication included; "" leaves it out.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Answer(Protocol):
    """A provider's answer that has begun; `headers` are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The next piece; b"" at the end. Raises UpstreamError."""

    def close(self) -> None:
        """Give the connection back, or cut it. May be called twice."""


class Transform:
    """One opinion, for one entry of a `use` list. Instances are shared by all requests: they keep no state of one.

    `options` is what the entry says; a subclass raises ConfigError from `__init__` for options that it cannot use.
    """

    #: What `use` calls it. A subclass need not set it: an instance has it from its entry.
    name: str = ""

    def __init__(self, options: JsonObject) -> None:
        self.options = options

    def acts(self, hook: str) -> bool:
        """True if it has a hook of that name of its own."""
        return getattr(type(self), hook) is not getattr(Transform, hook)

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:  # noqa: ARG002 - for subclasses
        """The request to encode in place of `request`, which stays as it is."""
        return request

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """The top-level members to send. `members` may be changed; its values may be `msgspec.Raw`."""
        return members

    async def wire(self, wire: Wire, context: Context) -> Wire:  # noqa: ARG002 - for subclasses
        """What is to leave in place of `wire`."""
        return wire

    def stream(self, answer: Answer, context: Context) -> Answer:  # noqa: ARG002 - for subclasses
        """The answer to read in place of `answer`."""
        return answer

    def events(self, context: Context) -> EventFilter | None:  # noqa: ARG002 - for subclasses
        """A new filter for one answer; None for an answer that passes as it is."""
        return None

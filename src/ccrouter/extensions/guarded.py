"""A transform of the user's, driven so that whatever it does ends in an answer or in a clear error, and in time.

Its hooks may be functions or coroutines. `request`, `members`, `events` and `stream` are called in a thread (Aside), by
a chain that knows it has to; `wire` brings itself there.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ccrouter.errors import ExtensionError
from ccrouter.extensions.aside import Aside, at_work, took_too_long, wait_for
from ccrouter.extensions.faults import Faults
from ccrouter.messages.events import MessageEvent
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Answer, Context, EventFilter, Transform, Wire

T = TypeVar("T")


class Members(dict[str, Any]):
    """The members of a request, each decoded when it is looked at: a large conversation that nobody looks at stays
    the bytes that it is.
    """

    def __getitem__(self, name: str) -> Any:
        return self._decoded(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        return self._decoded(name, super().get(name, default))

    def pop(self, name: str, *default: Any) -> Any:
        value = super().pop(name, *default)
        return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value

    def setdefault(self, name: str, default: Any = None) -> Any:
        super().setdefault(name, default)
        return self[name]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]

    def _decoded(self, name: str, value: Any) -> Any:
        if isinstance(value, msgspec.Raw):  # then it is a member that is there
            value = msgspec.json.decode(value)
            self[name] = value
        return value


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a transform comes from, and how it is driven. `limit` in seconds, for each call of a hook."""

    name: str
    path: Path
    limit: float
    aside: Aside
    faults: Faults

    def doing(self, hook: str) -> str:
        return f"`{hook}` of transform {self.name!r}"


class Guarded(Transform):
    """One instance of the user's class."""

    def __init__(self, inner: Transform, origin: Origin) -> None:
        super().__init__(inner.options)
        self._inner = inner
        self._origin = origin
        self.name = origin.name

    def acts(self, hook: str) -> bool:
        return self._inner.acts(hook)

    @property
    def may_block(self) -> bool:
        """True if a chain with it must be driven in a thread."""
        return any(map(self.acts, ("request", "members", "events", "stream")))

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        if not self.acts("request"):
            return request
        changed = self._call("request", context, self._inner.request, request, context)
        return self._checked("request", changed, MessagesRequest, context)

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        changed = self._call("members", context, self._inner.members, Members(members), context)
        checked: dict[str, Any] = self._checked("members", changed, dict, context)
        try:
            msgspec.json.encode(checked)
        except (TypeError, ValueError) as error:
            raise self._origin.faults.blame(
                error, self._origin.doing("members"), self._origin.path, request_id=context.request_id
            ) from error
        return dict(dict.items(checked))  # what was not looked at is still raw

    async def wire(self, wire: Wire, context: Context) -> Wire:
        hook = self._inner.wire
        if inspect.iscoroutinefunction(hook):
            changed = await self._in_time("wire", hook(wire, context), context)
        else:
            changed = await self._origin.aside.carry_out(lambda: self._call("wire", context, hook, wire, context))
        checked: Wire = self._checked("wire", changed, Wire, context)
        if not (isinstance(checked.url, str) and isinstance(checked.body, bytes) and _are_headers(checked.headers)):
            raise self._wrong("wire", "a Wire with a URL, bytes and headers of text", context)
        return checked

    def stream(self, answer: Answer, context: Context) -> Answer:
        if not self.acts("stream"):
            return answer
        given = self._call("stream", context, self._inner.stream, Source(answer), context)
        if not callable(getattr(given, "read", None)) and not hasattr(given, "__aiter__"):
            raise self._wrong("stream", "an answer with `read`, or an asynchronous iterator of bytes", context)
        return _Guarded(given, answer, self, context)

    def events(self, context: Context) -> EventFilter | None:
        if not self.acts("events"):
            return None
        chosen: Any = self._call("events", context, self._inner.events, context)
        if chosen is None:
            return None
        if not callable(chosen):
            raise self._wrong("events", "a function from events to events, or None", context)

        def filter_events(events: Iterable[MessageEvent]) -> list[MessageEvent]:
            given = self._call("events", context, chosen, events)
            try:
                return list(given)
            except TypeError:
                raise self._wrong("events", "a filter that gives a list of events", context) from None

        return filter_events

    def blame(self, error: BaseException, hook: str, context: Context) -> BaseException:
        """What to raise for what the hook let through."""
        return self._origin.faults.blame(
            error, self._origin.doing(hook), self._origin.path, request_id=context.request_id
        )

    def _call(self, hook: str, context: Context, function: Callable[..., Any], *arguments: Any) -> Any:
        what, limit = self._origin.doing(hook), self._origin.limit
        try:
            with at_work(what, limit):
                given = function(*arguments)
            return wait_for(given, what, limit) if inspect.isawaitable(given) else given
        except (Exception, SystemExit) as error:
            raise self.blame(error, hook, context) from error

    async def _in_time(self, hook: str, call: Any, context: Context) -> Any:
        limit = self._origin.limit
        try:
            async with asyncio.timeout(limit) as clock:
                return await call
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and clock.expired():
                raise took_too_long(self._origin.doing(hook), limit) from None
            raise self.blame(error, hook, context) from error

    def _checked(self, hook: str, given: Any, kind: type[T], context: Context) -> T:
        if isinstance(given, kind):
            return given
        raise self._wrong(hook, f"a {kind.__name__}", context, given)

    def _wrong(self, hook: str, wanted: str, context: Context, given: Any = None) -> ExtensionError:
        words = f"it must give {wanted}" + (f", not {type(given).__name__}" if given is not None else "")
        if given is None and hook in {"request", "members", "wire"}:
            words += "; it gave nothing: is there a `return`?"
        return self._origin.faults.tell(
            self._origin.doing(hook), self._origin.path, None, words, words, request_id=context.request_id
        )


def _are_headers(headers: Any) -> bool:
    return isinstance(headers, Mapping) and all(
        isinstance(name, str) and isinstance(value, str) for name, value in headers.items()
    )


class Source:
    """An Answer as a user's transform gets it: it can also be gone through with `async for`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    async def read(self) -> bytes:
        return await self._answer.read()

    def close(self) -> None:
        self._answer.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._answer.read():
            yield chunk


class _Guarded:
    """An Answer over one of the user's, or over their iterator."""

    def __init__(self, given: Any, source: Answer, transform: Guarded, context: Context) -> None:
        self.status: int = source.status
        self.headers = source.headers
        self._source = source
        self._given = given
        self._transform = transform
        self._context = context
        self._pieces: AsyncIterator[bytes] | None = None
        if not callable(getattr(given, "read", None)):
            self._pieces = aiter(given)
        self._closing: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        try:
            piece = await self._next()
            if not isinstance(piece, bytes):
                raise TypeError(f"a piece must be bytes, not {type(piece).__name__}")  # noqa: TRY301 - blamed below
        except (Exception, SystemExit) as error:
            raise self._transform.blame(error, "stream", self._context) from error
        return piece

    async def _next(self) -> bytes:
        if self._pieces is None:
            piece: bytes = await self._given.read()
            return piece
        async for given in self._pieces:
            if given or not isinstance(given, bytes):
                return given
        return b""

    def close(self) -> None:
        self._source.close()
        end = getattr(self._given, "aclose", None)
        if self._pieces is not None and end is not None and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._end(end))

    async def _end(self, end: Callable[[], Any]) -> None:
        try:
            await end()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the answer is over; the log is told
            self._transform.blame(error, "stream", self._context)

"""The transforms of one target, in order: requests pass them forth, answers pass them back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ccrouter.dialects.base import Amend, UpstreamRequest
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Answer, Context, Drive, EventFilter, Transform, Wire

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chain:
    """Transforms of the provider, then of the model, as an attempt uses them. `drive` is set where hooks may block."""

    transforms: Sequence[Transform] = ()
    drive: Drive | None = None
    _acting: dict[str, tuple[Transform, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def acting(self, hook: str) -> tuple[Transform, ...]:
        """Those that have a hook of this name of their own, in order."""
        found = self._acting.get(hook)
        if found is None:
            found = self._acting[hook] = tuple(one for one in self.transforms if one.acts(hook))
        return found

    async def carry_out(self, work: Callable[[], T]) -> T:
        """`work()`, which calls hooks other than `wire`: away from the event loop where these may block."""
        if self.drive is None:
            return work()
        done: T = await self.drive(work)
        return done

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        """What is encoded in place of `request`."""
        for transform in self.acting("request"):
            request = transform.request(request, context)
        return request

    def amend(self, context: Context) -> Amend | None:
        """The hand on a request's members; None where no transform lays one on them."""
        acting = self.acting("members")
        if not acting:
            return None

        def amend(members: dict[str, Any]) -> dict[str, Any]:
            for transform in acting:
                members = transform.members(members, context)
            return members

        return amend

    async def wire(self, sent: UpstreamRequest, url: str, context: Context) -> UpstreamRequest:
        """What leaves in place of `sent`, which would go to `url`."""
        acting = self.acting("wire")
        if not acting:
            return sent
        wire = Wire(url, sent.body, sent.headers)
        for transform in acting:
            wire = await transform.wire(wire, context)
        return replace(sent, url=wire.url, body=wire.body, final_headers=_changed(sent.headers, wire.headers))

    async def receive(self, answer: Answer, context: Context) -> tuple[Answer, list[EventFilter]]:
        """`stream` and `filters` of an answer that has begun; it is closed if they fail."""
        try:
            return await self.carry_out(lambda: (self.stream(answer, context), self.filters(context)))
        except BaseException:
            answer.close()
            raise

    def stream(self, answer: Answer, context: Context) -> Answer:
        """The answer that is read in place of `answer`: the last transform's hand is the first on it."""
        for transform in reversed(self.acting("stream")):
            answer = transform.stream(answer, context)
        return answer

    def filters(self, context: Context) -> list[EventFilter]:
        """The filters for one answer, in the order in which events pass them."""
        found = (transform.events(context) for transform in reversed(self.acting("events")))
        return [one for one in found if one is not None]


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The headers of `after` that `before` has not, or not so; and "" for those that are gone."""
    changed = {name.lower(): value for name, value in after.items() if before.get(name.lower()) != value}
    return {**dict.fromkeys(before.keys() - {name.lower() for name in after}, ""), **changed}

"""The transforms of one target, in order: requests pass them forth, answers pass them back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ccrouter.dialects.base import Amend, UpstreamRequest
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Answer, Context, EventFilter, Transform, Wire


@dataclass(frozen=True, slots=True)
class Chain:
    """Transforms of the provider, then of the model, as an attempt uses them."""

    transforms: Sequence[Transform] = ()

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        """What is encoded in place of `request`."""
        for transform in self.transforms:
            request = transform.request(request, context)
        return request

    def amend(self, context: Context) -> Amend | None:
        """The hand on a request's members; None where no transform lays one on them."""
        acting = [one for one in self.transforms if type(one).members is not Transform.members]
        if not acting:
            return None

        def amend(members: dict[str, Any]) -> dict[str, Any]:
            for transform in acting:
                members = transform.members(members, context)
            return members

        return amend

    async def wire(self, sent: UpstreamRequest, url: str, context: Context) -> UpstreamRequest:
        """What leaves in place of `sent`, which would go to `url`."""
        acting = [one for one in self.transforms if type(one).wire is not Transform.wire]
        if not acting:
            return sent
        wire = Wire(url, sent.body, sent.headers)
        for transform in acting:
            wire = await transform.wire(wire, context)
        return replace(sent, url=wire.url, body=wire.body, headers=wire.headers)

    def stream(self, answer: Answer, context: Context) -> Answer:
        """The answer that is read in place of `answer`: the last transform's hand is the first on it."""
        for transform in reversed(self.transforms):
            answer = transform.stream(answer, context)
        return answer

    def filters(self, context: Context) -> list[EventFilter]:
        """The filters for one answer, in the order in which events pass them."""
        found = (transform.events(context) for transform in reversed(self.transforms))
        return [one for one in found if one is not None]

"""What is asked of a target, whichever it will be, and by whom: a client of the Messages API, or of another dialect."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from ccrouter.config.schema import Endpoint, Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.draft import refusal
from ccrouter.dialects.registry import DIALECTS
from ccrouter.dialects.served import Reading
from ccrouter.errors import UnsupportedContent
from ccrouter.gateway.seam import Said, Seam
from ccrouter.gateway.viewer import Viewer
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import EventFilter

_TOOL = re.compile(r"^tools\[(\d+)\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A client's request, and what every attempt to answer it needs besides.

    `headers` are the client's, `told` what it is told of the decision; `estimate` gives the input tokens that a
    translated `message_start` reports; `make_filter` makes the client profile's filter, anew for each attempt.
    `reading` is what the client really said, in its own dialect; None for one that speaks Messages. `viewer` looks at
    the images in it for models that cannot see; None where there are none, or nobody to look. `losses` are those of
    what was made of the request before it is encoded, `own_tools` how many tools were put in front of the client's.
    `said` notes what the client is told, where a cut answer may be gone on with; with a `seam` this is the request for
    the rest of one.
    """

    request: MessagesRequest
    headers: Mapping[str, str]
    asked: str
    told: Mapping[str, str]
    estimate: Callable[[], int]
    make_filter: Callable[[], EventFilter] | None = None
    reading: Reading | None = None
    viewer: Viewer | None = None
    losses: tuple[Loss, ...] = ()
    own_tools: int = 0
    said: Said | None = None
    seam: Seam | None = None

    def passes(self, request: MessagesRequest, endpoint: Endpoint) -> bool:
        """True if the client's own bytes may go to `endpoint`: its dialect is spoken there, and nobody has changed what
        it asks. `request` is what that has become.
        """
        reading = self.reading
        if reading is None or endpoint.dialect != reading.dialect or endpoint.platform:
            return False
        return request is reading.request

    def encode(self, request: MessagesRequest, target: Target, amend: Amend | None, *, passes: bool) -> UpstreamRequest:
        """What goes to `target`: the client's own bytes if they may pass, else `request` in the target's dialect.

        Paths in losses, and in UnsupportedContent if that is raised, are those of what the client sent.
        """
        reading = self.reading
        dialect = DIALECTS[target.endpoint.dialect]
        if reading is None:
            sent = dialect.encode(request, target, self.headers, amend)
            return dataclasses.replace(sent, losses=self._all_losses(sent)) if self.losses else sent
        if passes:
            return reading.pass_on(target, self.headers, amend)
        reading.check()
        headers = {name: value for name, value in self.headers.items() if name == "user-agent"}  # the rest is OpenAI's
        try:
            sent = dialect.encode(request, target, headers, amend)
        except UnsupportedContent as error:
            raise refusal(reading.located(error.path), str(error).removeprefix(f"{error.path}: ")) from error
        told = [dataclasses.replace(loss, path=reading.located(loss.path)) for loss in self._all_losses(sent)]
        return dataclasses.replace(sent, losses=(*reading.losses, *told))

    def _all_losses(self, sent: UpstreamRequest) -> tuple[Loss, ...]:
        """The losses so far and those of encoding, with the client's own numbers of its tools."""
        if not self.own_tools:
            return (*self.losses, *sent.losses)
        told = [dataclasses.replace(loss, path=_TOOL.sub(self._number, loss.path)) for loss in sent.losses]
        return (*self.losses, *told)

    def _number(self, found: re.Match[str]) -> str:
        return f"tools[{max(0, int(found[1]) - self.own_tools)}]"

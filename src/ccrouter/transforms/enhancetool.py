"""`enhancetool`: arguments of tools that are not valid JSON, mended. Pure.

Valid arguments pass as they come, character by character. At the first character that cannot be right the rest is held
back to the end of the call, and sent mended: what has been sent stays true, and together it is an object.

Arguments that the length limit cut off are not completed: half of a file would be written as if it were all of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    StartBlock,
    ToolUseBlock,
)
from ccrouter.transforms.base import Context, EventFilter, Transform
from ccrouter.transforms.jsonmend import mended
from ccrouter.transforms.jsonprefix import JsonPrefix

_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})


class EnhanceTool(Transform):
    """Each call's arguments are a JSON object, except where the answer was cut off in the middle of them."""

    name = "enhancetool"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._tools = frozenset(options.get("tools") or ())
        self._keeps_text = options.get("unreadable", "text") == "text"

    def events(self, context: Context) -> EventFilter:  # noqa: ARG002 - the same for all
        return _Mending(self._tools, keeps_text=self._keeps_text)


class _Call:
    """A call whose arguments come in: what was passed on (`sent`) is the beginning of an object."""

    __slots__ = ("has_ended", "prefix", "rest", "sent")

    def __init__(self) -> None:
        self.prefix = JsonPrefix()
        self.sent: list[str] = []
        self.rest: list[str] = []  # what came after the arguments broke
        self.has_ended = False

    def feed(self, piece: str) -> str:
        """What of the arguments may be passed on with `piece`."""
        if self.prefix.is_broken:
            self.rest.append(piece)
            return ""
        sure = self.prefix.feed(piece)
        if sure:
            self.sent.append(sure)
        return sure

    @property
    def unsent(self) -> str:
        return self.prefix.held + "".join(self.rest)

    def mended(self, *, keeps_text: bool) -> str:
        """What has to follow for the arguments to be an object."""
        sent = "".join(self.sent)
        if self.prefix.is_whole or not (sent or self.unsent.strip()):
            return ""
        whole = mended(sent + self.unsent, keeps_text=keeps_text)
        return whole[len(sent) :]


class _Mending:
    """The filter for one answer. A call's end waits for the event after it, which tells whether it was cut off."""

    def __init__(self, tools: frozenset[str], *, keeps_text: bool) -> None:
        self._tools = tools
        self._keeps_text = keeps_text
        self._calls: dict[int, _Call] = {}

    def __call__(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        out: list[MessageEvent] = []
        for event in events:
            match event:
                case BlockDelta(index=index, delta=delta) if index in self._calls:
                    self._take(index, delta, out)
                case BlockStart(index=index, content_block=block):
                    self._end_calls(out, is_cut_off=False)
                    out.append(event)
                    if self._is_call(block):
                        self._calls[index] = _Call()
                case BlockStop(index=index) if index in self._calls:
                    self._stop(index, event, out)
                case MessageDelta():
                    self._end_calls(out, is_cut_off=event.delta.stop_reason in _CUT_OFF)
                    out.append(event)
                case _:
                    out.append(event)
        return out

    def _is_call(self, block: StartBlock) -> bool:
        if isinstance(block, ToolUseBlock):
            return not self._tools or block.name in self._tools
        if not isinstance(block, dict) or block.get("type") != "tool_use":
            return False
        return not self._tools or block.get("name") in self._tools

    def _take(self, index: int, delta: Delta, out: list[MessageEvent]) -> None:
        if not isinstance(delta, InputJsonDelta):
            out.append(BlockDelta(index, delta))
            return
        sure = self._calls[index].feed(delta.partial_json)
        if sure:
            out.append(BlockDelta(index, InputJsonDelta(sure)))

    def _stop(self, index: int, event: BlockStop, out: list[MessageEvent]) -> None:
        call = self._calls[index]
        if call.prefix.is_whole:
            del self._calls[index]
            out.append(event)
        else:
            call.has_ended = True

    def _end_calls(self, out: list[MessageEvent], *, is_cut_off: bool) -> None:
        for index, call in list(self._calls.items()):
            if not call.has_ended:
                continue
            rest = call.unsent if is_cut_off else call.mended(keeps_text=self._keeps_text)
            if rest:
                out.append(BlockDelta(index, InputJsonDelta(rest)))
            out.append(BlockStop(index))
            del self._calls[index]

"""Eyes for a model that has none: images become numbered words, a tool looks at them, a seeing model answers. Pure.

    request   every image ─▶ "[Image #N]"; the tool `analyzeImage` in front of the client's, and what it is for
    answer    a call of that tool is taken out of the stream, answered by the model of the `image` route, and the
              conversation goes on: the client sees one message

Images are numbered in the order of the conversation, so that the same image keeps its number from turn to turn and the
provider's prompt cache its prefix. Who asks and sends is `attempt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    TextBlock,
    TextDelta,
    WireUsage,
)
from ccrouter.messages.fold import Fold
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.turns import items_of, kind_of, members_of

TOOL_NAME = "analyzeImage"
#: A model that asks again and again is answered once more, without the tool.
MOST_ROUNDS = 6
#: Each look is a request of its own to the model that sees.
MOST_LOOKS = 24

_TOOL: JsonObject = {
    "name": TOOL_NAME,
    "description": (
        "Look at one or more images of this conversation and answer a question about them. You cannot see images "
        "yourself: call this whenever the answer depends on what is in one."
    ),
    "input_schema": {
        "type": "object",
        "properties": {
            "imageId": {
                "type": "array",
                "items": {"type": "string"},
                "description": 'The numbers of the images, for example ["1"] for [Image #1]',
            },
            "task": {
                "type": "string",
                "description": "What to find out, in full: the images are looked at for this only",
            },
            "regions": {
                "type": "array",
                "description": "Parts of the images to look at in particular",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "x": {"type": "number"},
                        "y": {"type": "number"},
                        "w": {"type": "number"},
                        "h": {"type": "number"},
                        "units": {"type": "string", "enum": ["px", "pct"]},
                    },
                    "required": ["x", "y", "w", "h", "units"],
                },
            },
        },
        "required": ["imageId", "task"],
    },
}
_PROMPT = (
    "You cannot see images. Where the conversation holds one there is a mark like [Image #1]. To learn what an image "
    f"shows, call the tool {TOOL_NAME} with its number and a precise task. Never guess what an image shows, and do not "
    "mention the tool or these marks to the user."
)
_VIEWER = (
    "You look at images on behalf of a model that cannot see. Answer the task completely and exactly: quote text as it "
    "is written, name positions, colours and values where they matter, and say what cannot be made out."
)
_MARK = b'"image"'

_CACHE = "cache_control"
_NOT_SHOWN = "told as a mark: the model cannot see it, and may have another look at it"


class Look(msgspec.Struct, rename={"image_ids": "imageId"}):
    """What a call of the tool asks. Models write the numbers in many ways: see `numbers`."""

    image_ids: list[str | int] | str | int = []
    task: str = ""
    regions: list[JsonObject] | None = None

    @property
    def numbers(self) -> list[str]:
        """The numbers asked for, as in the marks: of "[Image #2]", "#2" and 2 each time "2"."""
        given = self.image_ids if isinstance(self.image_ids, list) else [self.image_ids]
        digits = ("".join(char for char in str(one) if char.isdigit()) for one in given)
        return list(dict.fromkeys(number.lstrip("0") or "0" for number in digits if number))


@dataclass(slots=True)
class ImageAgent:
    """The agent for one request. `request` is what the model without eyes is asked; `images` are blocks by number, and
    `losses` say where they stood.
    """

    request: MessagesRequest
    images: Mapping[str, msgspec.Raw]
    losses: tuple[Loss, ...] = ()
    rounds: int = 0

    @property
    def is_last_round(self) -> bool:
        """True once the model is not offered to look any more."""
        return self.rounds >= MOST_ROUNDS

    @classmethod
    def of(cls, request: MessagesRequest) -> ImageAgent | None:
        """The agent for `request`, None if there is no image in it."""
        found: list[_Found] = []
        turns = [_without_images(raw, f"messages[{place}]", found) for place, raw in enumerate(request.raw_turns)]
        if not found:
            return None
        told = request.replace(messages=turns, system=_system(request), **_offered(request))
        images = {str(number): one.block for number, one in enumerate(found, 1)}
        return cls(told, images, tuple(Loss(one.path, _NOT_SHOWN, "approximated") for one in found))

    def question(self, look: Look) -> MessagesRequest | str:
        """The request to the model that sees, unstreamed; for numbers that there are not, what to answer instead."""
        unknown = [number for number in look.numbers if number not in self.images]
        if unknown or not look.numbers:
            known = ", ".join(self.images)
            return f"There is no image {', '.join(unknown) or 'named'}. The images here are: {known}."
        content: list[Any] = []
        for number in look.numbers:
            image = {name: value for name, value in members_of(self.images[number]).items() if name != _CACHE}
            content += [{"type": "text", "text": f"[Image #{number}]"}, image]
        task = look.task or "Describe everything that can be seen."
        if look.regions:
            regions = msgspec.json.encode(look.regions).decode()
            task = f"{task}\n\nLook at these regions in particular (x, y, width, height; px or per cent): {regions}"
        content.append({"type": "text", "text": task})
        members = {"system": _VIEWER, "messages": [{"role": "user", "content": content}], "max_tokens": 4096}
        return MessagesRequest({
            name: msgspec.Raw(msgspec.json.encode(value)) for name, value in {"model": "", **members}.items()
        })  # fmt: skip

    def go_on(self, said: list[JsonObject], results: Mapping[str, tuple[str, bool]]) -> None:
        """After the call `request` continues the conversation: with what the model `said`, and with `results` (text,
        whether it is an error) of its calls by id.
        """
        self.rounds += 1
        answered = [
            {"type": "tool_result", "tool_use_id": id, "content": text, **({"is_error": True} if failed else {})}
            for id, (text, failed) in results.items()  # noqa: A001 - the protocol's own word
        ]
        turns = [*self.request.raw_turns, {"role": "assistant", "content": said}, {"role": "user", "content": answered}]
        self.request = self.request.replace(messages=turns)
        if self.is_last_round:
            tools = [tool for tool in items_of(self.request.members["tools"]) if not _is_ours(tool)]
            # A conversation with calls in it needs some tool to be there.
            self.request = self.request.replace(**({"tools": tools} if tools else {"tool_choice": {"type": "none"}}))


@dataclass(slots=True)
class Splice:
    """Makes one message of the answers of all rounds: the events of each go through it, those to send come out.

    After the last event of an answer `looks` holds the calls of the tool by id, in order, and `said` what the model
    said. Unless `goes_on`, the message has been ended.
    """

    looks: dict[str, Look] = field(default_factory=dict)
    said: list[JsonObject] = field(default_factory=list)
    _has_begun: bool = False
    _next: int = 0
    _indexes: dict[int, int] = field(default_factory=dict)  # of blocks that are sent: theirs → ours
    _hidden: set[int] = field(default_factory=set)
    _has_calls: bool = False  # the client's own
    _fold: Fold = field(default_factory=Fold)
    _ending: MessageDelta | None = None
    _output: int = 0
    _is_complete: bool = False
    _stop_reason: str = ""

    @property
    def is_complete(self) -> bool:
        """True once the answer of this round has come to its end."""
        return self._is_complete

    @property
    def stop_reason(self) -> str:
        """Why the whole message ended, "" before it has."""
        return self._stop_reason

    @property
    def output(self) -> int:
        """The output tokens of all rounds that came to their end."""
        return self._output

    @property
    def goes_on(self) -> bool:
        """True if the model waits for nothing but what it looked for."""
        return bool(self.looks) and not self._has_calls

    def feed(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        """The events to send for these. Raises RemoteProtocolError for a call whose arguments are no JSON object."""
        return [out for event in events for out in self._one(event)]

    def begin_round(self) -> None:
        """The next answer begins."""
        self.looks, self.said = {}, []
        self._indexes, self._hidden, self._has_calls = {}, set(), False
        self._fold, self._ending, self._is_complete = Fold(), None, False

    def answers(self, results: Mapping[str, tuple[str, bool]]) -> list[MessageEvent]:
        """The end of a message that leaves calls to the client too: what was seen goes before it, as text, so that the
        model finds it in the history.
        """
        assert self._ending is not None, "only after the last event of an answer"
        events: list[MessageEvent] = []
        for id, (text, _) in results.items():  # noqa: A001 - the protocol's own word
            marks = " ".join(f"[Image #{number}]" for number in self.looks[id].numbers)
            events += self._text(f"{marks} {text}".strip())
        return [*events, *self._end(self._ending)]

    def _one(self, event: MessageEvent) -> Iterator[MessageEvent]:
        self._fold.feed(event)
        match event:
            case MessageStart():
                if not self._has_begun:
                    self._has_begun = True
                    yield event
            case BlockStart(index=index, content_block=block):
                plain: JsonObject = msgspec.to_builtins(block)
                if plain.get("type") == "tool_use":
                    if plain.get("name") == TOOL_NAME:
                        self._hidden.add(index)
                        return
                    self._has_calls = True
                self._indexes[index] = self._next
                yield replace_index(event, self._next)
                self._next += 1
            case BlockDelta(index=index) | BlockStop(index=index):
                if index not in self._hidden:
                    yield replace_index(event, self._indexes[index])
            case MessageDelta():
                self._ending = event
            case MessageStop():
                yield from self._close()
            case _:
                yield event

    def _close(self) -> Iterator[MessageEvent]:
        """The answer is complete: end the message, unless somebody has to look first."""
        assert self._ending is not None, "the grammar has message_delta before message_stop"
        self._output += self._ending.usage.output_tokens
        self._is_complete = True
        message = self._fold.close()
        self.said = message.content
        for block in message.content:
            if block.get("type") == "tool_use" and block.get("name") == TOOL_NAME:
                self.looks[block["id"]] = _look(block.get("input") or {})
        if not self.looks:
            yield from self._end(self._ending)

    def _end(self, ending: MessageDelta) -> Iterator[MessageEvent]:
        """The input of the last round, which holds all before it; the output of all rounds."""
        reason = ending.delta.stop_reason
        if reason == "tool_use" and not self._has_calls:
            reason = "end_turn"
        self._stop_reason = reason or ""
        usage: WireUsage = msgspec.structs.replace(ending.usage, output_tokens=self._output)
        yield MessageDelta(Ending(reason, ending.delta.stop_sequence), usage)
        yield MessageStop()

    def _text(self, text: str) -> list[MessageEvent]:
        index, self._next = self._next, self._next + 1
        return [BlockStart(index, TextBlock()), BlockDelta(index, TextDelta(text)), BlockStop(index)]


def replace_index(event: BlockStart | BlockDelta | BlockStop, index: int) -> BlockStart | BlockDelta | BlockStop:
    """The event, about block `index`."""
    return event if event.index == index else msgspec.structs.replace(event, index=index)


def _look(given: JsonObject) -> Look:
    try:
        return msgspec.convert(given, Look)
    except msgspec.ValidationError:
        return Look(task=str(given.get("task") or ""))


def _is_ours(tool: msgspec.Raw) -> bool:
    return bytes(tool) == msgspec.json.encode(_TOOL)


def _offered(request: MessagesRequest) -> dict[str, Any]:
    """The members that offer the tool in front of the client's; alone where these may not be called."""
    choice = request.tool_choice
    if choice is not None and choice.type == "none":
        return {"tools": [_TOOL], "tool_choice": msgspec.UNSET}
    return {"tools": [_TOOL, *items_of(request.members.get("tools"))]}


def _system(request: MessagesRequest) -> list[Any]:
    """The system prompt with ours behind it, where it spoils no prefix."""
    ours = {"type": "text", "text": _PROMPT}
    if isinstance(request.system, str):
        return [{"type": "text", "text": request.system}, ours] if request.system else [ours]
    return [*items_of(request.members.get("system")), ours]


class _Found(NamedTuple):
    path: str
    block: msgspec.Raw


def _without_images(turn: msgspec.Raw, path: str, found: list[_Found]) -> msgspec.Raw:
    """The turn with words for its images, which are added to `found`; the very same bytes if it has none."""
    if _MARK not in bytes(turn):
        return turn
    members = members_of(turn)
    before = len(found)
    told = _in_blocks(items_of(members.get("content")), f"{path}.content", found)
    if len(found) == before:
        return turn
    return msgspec.Raw(msgspec.json.encode({**members, "content": told}))


def _in_blocks(blocks: list[msgspec.Raw], path: str, found: list[_Found]) -> list[Any]:
    told: list[Any] = []
    for place, block in enumerate(blocks):
        kind = kind_of(block) if _MARK in bytes(block) else ""
        members = members_of(block) if kind in {"image", "tool_result"} else {}
        if kind == "image":
            found.append(_Found(f"{path}[{place}]", block))
            words = f"[Image #{len(found)}] (an image; {TOOL_NAME} can look at it)"
            kept = {_CACHE: members[_CACHE]} if _CACHE in members else {}
            told.append({"type": "text", "text": words, **kept})
        elif inner := items_of(members.get("content")):
            told.append({**members, "content": _in_blocks(inner, f"{path}[{place}].content", found)})
        else:
            told.append(block)
    return told

"""A Messages request in the making, from the requests of clients that order a conversation differently. Pure.

What holds for the turns that come out: the first is the user's; roles alternate; every tool call has one result, in the
turn right after it, and results stand before everything else of that turn; ids of calls are unique. Where a block came
from is remembered, so that whatever is said about it later is said by the client's own paths.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from ccrouter.dialects.base import Fate, Loss
from ccrouter.dialects.callids import client_id
from ccrouter.dialects.turns import MISSING_RESULT
from ccrouter.errors import UnsupportedContent
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest

_BEGINNING = "[The beginning of the conversation is missing.]"
_STEP = re.compile(r"(?:\.[^.\[]+|\[\d+\])$")

Blocks = list[JsonObject]


def refusal(path: str, why: str) -> UnsupportedContent:
    """A refusal that names its path as OpenAI's errors do."""
    error = UnsupportedContent(path, why)
    error.details = {"param": path}
    return error


class _Turn:
    """`blocks` with the paths that they came from; `results` likewise, by the id of their call."""

    __slots__ = ("blocks", "results", "role")

    def __init__(self, role: Literal["user", "assistant"]) -> None:
        self.role = role
        self.blocks: list[tuple[JsonObject, str]] = []
        self.results: dict[str, tuple[JsonObject, str]] = {}

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The ids of its tool calls, in order, with their paths."""
        return [(block["id"], path) for block, path in self.blocks if block["type"] == "tool_use"]


class Draft:
    """`members` are those of the request beside `system` and `messages`; `losses` and `refusals` what could not be said
    by the client's paths: the former is told, the latter must not be lost.
    """

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self.losses: list[Loss] = []
        self.refusals: list[UnsupportedContent] = []
        self._origins: dict[str, str] = {}
        self._system: list[tuple[JsonObject, str]] = []
        self._turns: list[_Turn] = []
        self._answered_by: dict[str, str] = {}  # the client's id of a call without a result yet → our id
        self._place: dict[str, int] = {}  # our id → the turn of the call

    # -- what is missing -------------------------------------------------------------------------------------------

    def lose(self, path: str, what: str, fate: Fate = "dropped") -> None:
        self.losses.append(Loss(path, what, fate))

    def refuse(self, path: str, why: str) -> None:
        self.refusals.append(refusal(path, why))

    # -- the conversation ------------------------------------------------------------------------------------------

    def instruct(self, text: str, path: str) -> None:
        """A system or developer message. Amid the conversation it becomes the user's turn, marked as what it is: few
        models of the Messages API take one there.
        """
        if not text:
            return
        if not self._turns:
            self._system.append(({"type": "text", "text": text}, path))
            return
        self.lose(path, "a system message amid the conversation, sent as a reminder in the user's turn", "approximated")
        marked = f"<system-reminder>\n{text}\n</system-reminder>"
        self._turn("user").blocks.append(({"type": "text", "text": marked}, path))

    def add_instruction(self, text: str, path: str) -> None:
        """Words of ours at the end of the system prompt."""
        self._system.append(({"type": "text", "text": text}, path))

    def say(self, role: Literal["user", "assistant"], block: JsonObject, path: str) -> None:
        """One block of a turn; no block for no text, which the API refuses."""
        if block["type"] == "text" and not block["text"]:
            return
        self._turn(role).blocks.append((block, path))

    def call(self, id: str, name: str, arguments: object, path: str) -> None:  # noqa: A002 - the protocol's own word
        """A tool call of the model's. `arguments` is JSON text, or an object."""
        own = self._unused(client_id(id) if id else "call")
        given = self._arguments(arguments, path)
        self._turn("assistant").blocks.append(({"type": "tool_use", "id": own, "name": name, "input": given}, path))
        self._answered_by[id] = own
        self._place[own] = len(self._turns) - 1

    def result(self, id: str, content: str | Blocks, path: str, *, is_error: bool = False) -> None:  # noqa: A002 - as above
        """The result of the call that the client names `id`. One whose call is not there is the user's words."""
        own = self._answered_by.pop(id, None)
        if own is None:
            self.lose(path, "tool result without its call, sent as text", "approximated")
            self.say("user", {"type": "text", "text": f"[Result of an earlier tool call {id}:]"}, path)
            for said in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                self.say("user", said, path)
            return
        block: JsonObject = {"type": "tool_result", "tool_use_id": own, "content": content}
        if is_error:
            block["is_error"] = True
        place = self._place[own] + 1
        if place == len(self._turns):
            self._turns.append(_Turn("user"))
        self._turns[place].results[own] = (block, path)

    def _turn(self, role: Literal["user", "assistant"]) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _unused(self, id: str) -> str:  # noqa: A002 - as above
        found, number = id, 1
        while found in self._place:
            number += 1
            found = f"{id}_{number}"
        return found

    def _arguments(self, arguments: object, path: str) -> object:
        """An object as its own bytes; what the model wrote instead of one, in one."""
        if isinstance(arguments, dict):
            return arguments
        text = arguments if isinstance(arguments, str) else ""
        if not text.strip():
            return {}
        try:
            msgspec.json.decode(text, type=dict)
        except (msgspec.DecodeError, RecursionError):
            self.lose(path, "the call's arguments are no JSON object, sent as text in one", "approximated")
            return {"arguments": text}
        return msgspec.Raw(text.strip().encode())

    # -- the request -----------------------------------------------------------------------------------------------

    def mark(self, path: str, origin: str) -> None:
        """Remember that `path` of the request came from `origin` of the client's."""
        self._origins[path] = origin

    def located(self, path: str) -> str:
        """The client's path for one of the request; the path itself where nothing is known."""
        rest = ""
        known = path
        while known:
            origin = self._origins.get(known)
            if origin is not None:  # what is within a block has no path of its own at the client's
                return origin if known.startswith(("messages[", "system[")) else origin + rest
            found = _STEP.search(known)
            if found is None:
                return path
            known, rest = known[: found.start()], found[0] + rest
        return path

    def request(self) -> MessagesRequest:
        """What was gathered."""
        self._complete()
        members: dict[str, Any] = {"model": self.members.pop("model", "")}
        if self._system:
            members["system"] = [block for block, _ in self._system]
            for number, (_, path) in enumerate(self._system):
                self._origins[f"system[{number}]"] = path
        messages = []
        for place, turn in enumerate(self._turns):
            placed = [*turn.results.values(), *turn.blocks]
            for number, (_, path) in enumerate(placed):
                self._origins[f"messages[{place}].content[{number}]"] = path
            messages.append({"role": turn.role, "content": [block for block, _ in placed]})
        members |= {"messages": messages, **self.members}
        return MessagesRequest({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items()})

    def _complete(self) -> None:
        """See to what holds for the turns."""
        for place in range(len(self._turns) - 1, -1, -1):
            if self._turns[place].role == "assistant":
                self._complete_results(place)
        if not self._turns and self._system:
            self.lose(self._system[0][1], "nothing but instructions: sent as the user's turn", "approximated")
            self._turns.append(_Turn("user"))
            self._turns[0].blocks, self._system = self._system, []
        if not self._turns:
            self.refuse("messages", "there is nothing in them to answer")
            self._turn("user").blocks.append(({"type": "text", "text": _BEGINNING}, "messages"))
        if self._turns[0].role == "assistant":
            path = self._turns[0].blocks[0][1]
            self.lose(path, "the conversation begins with an answer: a note stands before it", "approximated")
            begun = _Turn("user")
            begun.blocks.append(({"type": "text", "text": _BEGINNING}, path))
            self._turns.insert(0, begun)

    def _complete_results(self, place: int) -> None:
        """Every call of the turn has its result, in the order of the calls."""
        calls = self._turns[place].calls
        if not calls:
            return
        if place + 1 == len(self._turns):
            self._turns.append(_Turn("user"))
        following = self._turns[place + 1]
        results = {}
        for own, path in calls:
            if own not in following.results:
                self.lose(path, "tool call without a result: a note stands for it", "approximated")
                block: JsonObject = {"type": "tool_result", "tool_use_id": own, "content": MISSING_RESULT}
                following.results[own] = (block, path)
            results[own] = following.results[own]
        following.results = results

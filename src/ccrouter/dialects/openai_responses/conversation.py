"""The turns of a conversation → the input items of a Responses request that every server takes. Pure.

What holds for the items that come out: every call has an output, after it and before the user says anything, in the
order of the calls; no two calls have one id; a reasoning item is followed by the message or call that it led to; no
item is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from ccrouter.dialects.base import Loss
from ccrouter.dialects.callids import wire_id
from ccrouter.dialects.ledger import ATTRIBUTION, CALLER, is_asked
from ccrouter.dialects.openai_responses.content import SYSTEM, TURNS, Content, Parts, shortest, text_parts
from ccrouter.dialects.openai_responses.reasoning import replayed
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.toolnames import sent_name
from ccrouter.dialects.turns import MISSING_RESULT, REMINDER, ROLES, Placed, blocks_of, end_of_run
from ccrouter.dialects.words import BILLING_PREFIX
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import Block, Turn

_CALL = {f"{TURNS}.{name}" for name in ("id", "name", "input")}
_RESULT = {f"{TURNS}.{name}" for name in ("tool_use_id", "content")}
_THOUGHT = {f"{TURNS}.{name}" for name in ("thinking", "signature")}

_Call = tuple[str, Block, str]
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class Conversation:
    """Writes one conversation. After `write`: `items` in order, the `instructions`, `names` for the tool names that had
    to be changed, `ids` with every call id that the client knows.
    """

    def __init__(self, content: Content, provider: str, model: str) -> None:
        self.items: list[JsonObject] = []
        self.instructions = ""
        self.names: dict[str, str] = {}
        self.ids: set[str] = set()
        self._content = content
        self._profile: Profile = content.profile
        self._provider = provider
        self._model = model
        self._system: list[str] = []
        self._pending: Parts = []  # parts of the user message that is being gathered
        self._thoughts: list[tuple[str, JsonObject]] = []  # reasoning whose message or call has not come yet
        self._phase = ""
        self._sent: set[str] = set()  # call ids as they are sent

    def write(self, system: str | list[Block], turns: Sequence[Turn], instruction: str = "") -> None:
        """Write the system prompt, with `instruction` at its end, and all turns.

        Raises ClientError for roles that do not exist and for a conversation without any content.
        """
        content = self._content
        content.place = SYSTEM
        self._write_system(system)
        content.place = TURNS
        content.mapped.add("messages[].role")
        if any(isinstance(turn.content, str) for turn in turns):
            content.kept.add("messages[].content")
        start = 0
        while start < len(turns):
            middle = end_of_run(turns, start, is_assistant=True)
            end = end_of_run(turns, middle, is_assistant=False)
            answered = self._write_assistant(turns, start, middle, end)
            self._write_others(turns, middle, end, answered)
            start = end
        self._flush()
        if not self.items:
            raise ClientError("messages: there is nothing in them to answer: every one is empty")
        self.instructions = "\n".join(filter(None, (*self._system, instruction)))

    # -- system ----------------------------------------------------------------------------------------------------

    def _write_system(self, system: str | list[Block]) -> None:
        if isinstance(system, str):
            if system.startswith(BILLING_PREFIX):
                system = system.partition("\n")[2]
                self._content.losses.append(ATTRIBUTION)
            self._content.mapped.add("system")
            self._system.append(system)
            return
        for place, block in enumerate(system):
            if (block.text or "").startswith(BILLING_PREFIX):
                self._content.losses.append(ATTRIBUTION)
            else:
                self._system += self._content.texts(block, f"system[{place}]")

    def _write_system_turn(self, turn: Turn, place: int) -> None:
        """A system turn amid the conversation, in its place; before everything else it belongs to the instructions."""
        texts = [text for path, block in blocks_of(turn, place) for text in self._content.texts(block, path)]
        if not self.items and not self._pending:
            self._system += texts
        elif self._profile.accepts_mid_system:
            self._flush()
            self._message(self._profile.system_role, [part for text in texts for part in text_parts(text)])
        else:
            self._content.losses.append(
                Loss(f"messages[{place}].role", "system sent as the user's words", "approximated")
            )
            for text in texts:
                self._pending += text_parts(text if REMINDER in text else f"{REMINDER}\n{text}\n</system-reminder>")

    # -- user ------------------------------------------------------------------------------------------------------

    def _write_others(self, turns: Sequence[Turn], start: int, end: int, answered: dict[str, str]) -> None:
        """User and system turns, without the results in `answered` (call id → path), which are written already."""
        for place in range(start, end):
            turn = turns[place]
            if turn.role not in ROLES:
                raise ClientError(f"messages[{place}].role: must be user, assistant or system, not {turn.role!r}")
            if turn.role == "system":
                self._write_system_turn(turn, place)
                continue
            for path, block in blocks_of(turn, place):
                if block.type != "tool_result":
                    self._pending += self._content.parts(block, path)
                elif answered.get(block.tool_use_id or "") != path:
                    self._pending += self._orphan(block, path)

    def _orphan(self, block: Block, path: str) -> Parts:
        """A result whose call is not there: what it says is kept, as the user's words."""
        self._content.losses.append(Loss(path, "tool result without its call, sent as text", "approximated"))
        output, media = self._content.result(block, path)
        said = text_parts(output) if isinstance(output, str) else output
        return [*text_parts(f"[Result of an earlier tool call {block.tool_use_id}:]"), *said, *media]

    def _flush(self) -> None:
        parts, self._pending = self._pending, []
        self._message("user", parts)

    def _message(self, role: str, parts: Parts) -> None:
        if parts:
            self.items.append({"type": "message", "role": role, "content": shortest(parts)})

    # -- assistant -------------------------------------------------------------------------------------------------

    def _write_assistant(self, turns: Sequence[Turn], start: int, middle: int, end: int) -> dict[str, str]:
        """The assistant turns from `start` to `middle`, and the results of their calls, which are looked for up to
        `end`. The results written: call id → path.
        """
        calls: list[_Call] = []
        for place in range(start, middle):
            for path, block in blocks_of(turns[place], place):
                if block.type in _THOUGHTS:
                    self._think(path, block)
                elif block.type == "tool_use":
                    calls.append((path, block, self._call(path, block)))
                else:
                    for text in self._content.texts(block, path):
                        self._say(text)
        losses = self._content.losses
        losses += [Loss(path, "reasoning that led to nothing not sent") for path, _ in self._thoughts]
        self._thoughts, self._phase = [], ""
        return self._write_results(calls, turns, middle, end) if calls else {}

    def _think(self, path: str, block: Block) -> None:
        item, phase = replayed(block, path, self._provider, self._model, self._content.losses)
        if item:
            self._content.mapped |= _THOUGHT
            self._thoughts.append((path, item))
            self._phase = phase

    def _say(self, text: str) -> None:
        self._lead_in()
        message: JsonObject = {"type": "message", "role": "assistant", "content": text}
        if self._phase:
            message["phase"], self._phase = self._phase, ""
        self.items.append(message)

    def _call(self, path: str, block: Block) -> str:
        """Write a call; its id as it is sent."""
        self._lead_in()
        self._content.mapped |= _CALL
        self._content.note_marks(block, path)
        if block.caller and is_asked(block.caller):
            self._content.losses.append(Loss(f"{path}.caller", CALLER))
        id = block.id or f"call_{len(self.items)}"  # noqa: A001 - the protocol's own word
        self.ids.add(id)
        asked = block.name or ""
        name = sent_name(asked, self._profile.tool_name_limit)
        if name != asked:
            self.names[name] = asked
        arguments = bytes(block.input).decode()
        sent = self._unused(wire_id(id, self._profile))
        call = {"call_id": sent, "name": name, "arguments": arguments if arguments.startswith("{") else "{}"}
        self.items.append({"type": "function_call", **call})
        return sent

    def _lead_in(self) -> None:
        """Something that the assistant said or did comes: write what came before it."""
        self._flush()
        self.items += [item for _, item in self._thoughts]
        self._thoughts = []

    def _unused(self, id: str) -> str:  # noqa: A002 - the protocol's own word
        """`id`, or one like it that no other call of the conversation has."""
        number, found = 1, id
        while found in self._sent:
            number += 1
            suffix = f"_{number}"
            found = id[: self._profile.tool_id_limit - len(suffix)] + suffix
        self._sent.add(found)
        return found

    def _write_results(self, calls: list[_Call], turns: Sequence[Turn], start: int, end: int) -> dict[str, str]:
        results: dict[str, Placed] = {}
        for place in range(start, end):
            for path, block in blocks_of(turns[place], place):
                if block.type == "tool_result":
                    results.setdefault(block.tool_use_id or "", (path, block))
        answered: dict[str, str] = {}
        for path, block, sent in calls:
            output: str | Parts = MISSING_RESULT
            id = block.id or ""  # noqa: A001 - as above
            if id in results and id not in answered:
                place_of, result = results[id]
                answered[id] = place_of
                output, media = self._content.result(result, place_of)
                self._content.mapped |= _RESULT
                if media:
                    self._pending += [*text_parts(f"[From the result of {block.name}:]"), *media]
            else:
                what = "tool call without a result: a note stands for it"
                self._content.losses.append(Loss(path, what, "approximated"))
            self.items.append({"type": "function_call_output", "call_id": sent, "output": output})
        return answered

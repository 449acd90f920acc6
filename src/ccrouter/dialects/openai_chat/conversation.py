"""The turns of a conversation → Chat messages that every server takes. Pure.

What holds for the messages that come out: every tool message follows the assistant message whose call it answers, in
the order of the calls, and every call has one; no two user messages and no two assistant messages stand side by side;
none is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccrouter.dialects.base import Loss
from ccrouter.dialects.callids import unused_id, wire_id
from ccrouter.dialects.ledger import ATTRIBUTION, CALLER, is_asked
from ccrouter.dialects.openai_chat.content import SYSTEM, TURNS, Content, Parts
from ccrouter.dialects.openai_chat.reasoning import Replay, replay_of
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.toolnames import sent_name
from ccrouter.dialects.turns import MISSING_RESULT, REMINDER, ROLES, Placed, blocks_of, end_of_run
from ccrouter.dialects.words import BILLING_PREFIX
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import Block, Turn

#: Stands between a tool message and a user message for servers that refuse the one after the other.
BRIDGE = "OK."
_CALL = {f"{TURNS}.{name}" for name in ("id", "name", "input")}
_THINKING = {f"{TURNS}.{name}" for name in ("thinking", "signature")}
_RESULT = {f"{TURNS}.{name}" for name in ("tool_use_id", "content")}


class Conversation:
    """Writes one conversation. After `write`: `messages` in order, `names` for the tool names that had to be changed,
    `ids` with every call id that the client knows.
    """

    def __init__(self, content: Content, provider: str) -> None:
        self.messages: list[JsonObject] = []
        self.names: dict[str, str] = {}
        self.ids: set[str] = set()
        self._content = content
        self._profile: Profile = content.profile
        self._provider = provider
        self._system: Parts = []
        self._pending: Parts = []  # parts of the user message that is being gathered

    def write(self, system: str | list[Block], turns: Sequence[Turn], instruction: str = "") -> None:
        """Write the system prompt, with `instruction` at its end, and all turns.

        Raises ClientError for roles that do not exist and for a conversation without any content.
        """
        content = self._content
        content.place = SYSTEM
        self._system = self._system_parts(system)
        content.place = TURNS
        content.mapped.add("messages[].role")
        if any(isinstance(turn.content, str) for turn in turns):
            content.kept.add("messages[].content")
        start = 0
        while start < len(turns):
            if turns[start].role != "assistant":
                end = end_of_run(turns, start, is_assistant=False)
                self._write_others(turns, start, end, {})
                start = end
                continue
            middle = end_of_run(turns, start, is_assistant=True)
            end = end_of_run(turns, middle, is_assistant=False)
            answered = self._write_assistant(turns, start, middle, end)
            self._write_others(turns, middle, end, answered)
            start = end
        self._flush()
        if instruction:
            self._system += self._content.text(instruction)
        self._end()
        if self._system:
            role = self._profile.system_role
            self.messages.insert(0, {"role": role, "content": self._content.join(self._system)})

    def _end(self) -> None:
        if not self.messages:
            raise ClientError("messages: there is nothing in them to answer: every one is empty")
        last = self.messages[-1]
        if last["role"] == "assistant" and self._profile.prefill_member and "tool_calls" not in last:
            last[self._profile.prefill_member] = True

    # -- system ----------------------------------------------------------------------------------------------------

    def _system_parts(self, system: str | list[Block]) -> Parts:
        if isinstance(system, str):
            if system.startswith(BILLING_PREFIX):
                system = system.partition("\n")[2]
                self._content.losses.append(ATTRIBUTION)
            self._content.mapped.add("system")
            return self._content.text(system)
        parts: Parts = []
        for place, block in enumerate(system):
            if (block.text or "").startswith(BILLING_PREFIX):
                self._content.losses.append(ATTRIBUTION)
            else:
                parts += self._content.parts(block, f"system[{place}]")
        return parts

    def _write_system_turn(self, parts: Parts, place: int) -> None:
        """A system turn amid the conversation, in its place: some servers take one only at the very beginning."""
        if not parts:
            return
        if not self.messages and not self._pending:
            self._system += parts
        elif self._profile.accepts_mid_system:
            self._flush()
            self.messages.append({"role": self._profile.system_role, "content": self._content.join(parts)})
        else:
            for part in parts:
                text = part.get("text", "")
                if part["type"] == "text" and REMINDER not in text:
                    part["text"] = f"{REMINDER}\n{text}\n</system-reminder>"
            self._content.losses.append(
                Loss(f"messages[{place}].role", "system sent as the user's words", "approximated")
            )
            self._pending += parts

    # -- user ------------------------------------------------------------------------------------------------------

    def _write_others(self, turns: Sequence[Turn], start: int, end: int, answered: dict[str, str]) -> None:
        """User and system turns, without the results in `answered` (call id → path), which are written already."""
        for place in range(start, end):
            turn = turns[place]
            if turn.role not in ROLES:
                raise ClientError(f"messages[{place}].role: must be user, assistant or system, not {turn.role!r}")
            parts: Parts = []
            for path, block in blocks_of(turn, place):
                if block.type != "tool_result":
                    parts += self._content.parts(block, path)
                elif answered.get(block.tool_use_id or "") != path:
                    parts += self._orphan(block, path)
            if turn.role == "system":
                self._write_system_turn(parts, place)
            else:
                self._pending += parts

    def _orphan(self, block: Block, path: str) -> Parts:
        """A result whose call is not there: what it says is kept, as the user's words."""
        self._content.losses.append(Loss(path, "tool result without its call, sent as text", "approximated"))
        texts, media = self._content.result(block, path)
        return [*self._content.text(f"[Result of an earlier tool call {block.tool_use_id}:]"), *texts, *media]

    def _flush(self) -> None:
        if not self._pending:
            return
        parts, self._pending = self._pending, []
        if self.messages and self.messages[-1]["role"] == "tool" and not self._profile.accepts_user_after_tool:
            self.messages.append({"role": "assistant", "content": BRIDGE})
        self.messages.append({"role": "user", "content": self._content.join(parts)})

    # -- assistant -------------------------------------------------------------------------------------------------

    def _write_assistant(self, turns: Sequence[Turn], start: int, middle: int, end: int) -> dict[str, str]:
        """The assistant turns from `start` to `middle` as one message, and the results of its calls, which are looked
        for up to `end`. The results written: call id → path.
        """
        blocks = [placed for place in range(start, middle) for placed in blocks_of(turns[place], place)]
        results: dict[str, Placed] = {}
        calls = [placed for placed in blocks if placed[1].type == "tool_use"]
        if calls:
            for place in range(middle, end):
                for path, block in blocks_of(turns[place], place):
                    if block.type == "tool_result":
                        results.setdefault(block.tool_use_id or "", (path, block))
        self._write_assistant_message(blocks, calls)
        return self._write_results(calls, results) if calls else {}

    def _write_assistant_message(self, blocks: list[Placed], calls: list[Placed]) -> None:
        """One message of all `blocks`; none if there is nothing to say."""
        thoughts = [placed for placed in blocks if placed[1].type in {"thinking", "redacted_thinking"}]
        replay = Replay()
        if thoughts or (calls and self._profile.must_replay_reasoning):
            replay = replay_of(thoughts, self._profile, self._provider, self._content.losses, has_calls=bool(calls))
            if replay.members or replay.prefix or replay.calls:
                self._content.mapped |= _THINKING
        parts: Parts = []
        for path, block in blocks:
            if block.type not in {"thinking", "redacted_thinking", "tool_use"}:
                parts += self._content.parts(block, path)
        if not parts and not calls:
            return
        content = self._content.join(parts) if parts else None
        if replay.prefix:
            content = replay.prefix + (content if isinstance(content, str) else "")
        message: JsonObject = {"role": "assistant", "content": content, **replay.members}
        if calls:
            message["tool_calls"] = self._calls(calls, replay)
        self._flush()
        if self.messages and self.messages[-1]["role"] == "assistant":
            self._merge_into(self.messages[-1], message)
        else:
            self.messages.append(message)

    def _merge_into(self, last: JsonObject, message: JsonObject) -> None:
        """Two assistant messages with nothing between them (an empty user turn was dropped) become one."""
        both = [content for content in (last["content"], message["content"]) if content]
        if all(isinstance(content, str) for content in both):
            content: str | Parts | None = "\n".join(both) if both else None
        else:
            content = [
                part for piece in both for part in (piece if isinstance(piece, list) else self._content.text(piece))
            ]
        last.update(message)
        last["content"] = content

    def _calls(self, calls: list[Placed], replay: Replay) -> list[JsonObject]:
        sent: list[JsonObject] = []
        self._content.mapped |= _CALL
        for number, (path, block) in enumerate(calls):
            if block.cache_control:
                self._content.note_mark(block)
            if block.caller and is_asked(block.caller):
                self._content.losses.append(Loss(f"{path}.caller", CALLER))
            id = block.id or f"call_{number}"  # noqa: A001 - the protocol's own word
            self.ids.add(id)
            asked = block.name or ""
            name = sent_name(asked, self._profile.tool_name_limit)
            if name != asked:
                self.names[name] = asked
            arguments = bytes(block.input).decode()
            wire = unused_id(wire_id(id, self._profile), {call["id"] for call in sent})
            function = {"name": name, "arguments": arguments if arguments.startswith("{") else "{}"}
            call: JsonObject = {"id": wire, "type": "function", "function": function}
            extra = replay.calls.get(id)
            if extra is not None:
                call["extra_content"] = extra
            elif number == 0 and self._profile.placeholder_signature:
                call["extra_content"] = {"google": {"thought_signature": self._profile.placeholder_signature}}
            sent.append(call)
        return sent

    def _write_results(self, calls: list[Placed], results: dict[str, Placed]) -> dict[str, str]:
        answered: dict[str, str] = {}
        sent: list[JsonObject] = self.messages[-1]["tool_calls"]
        pictures: Parts = []
        for (path, block), call in zip(calls, sent, strict=True):
            message: dict[str, Any] = {"role": "tool", "tool_call_id": call["id"]}
            if self._profile.names_tool_results:
                message["name"] = call["function"]["name"]
            id = block.id or ""  # noqa: A001 - as above
            if id in results and id not in answered:
                place, result = results[id]
                answered[id] = place
                texts, media = self._content.result(result, place)
                self._content.mapped |= _RESULT
                message["content"] = self._content.join(texts)
                if media:
                    pictures += [*self._content.text(f"[From the result of {block.name}:]"), *media]
            else:
                self._content.losses.append(
                    Loss(path, "tool call without a result: a note stands for it", "approximated")
                )
                message["content"] = MISSING_RESULT
            self.messages.append(message)
        self._pending += pictures
        return answered

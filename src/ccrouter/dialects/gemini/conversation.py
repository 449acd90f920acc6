"""The turns of a conversation → Gemini contents that every model takes. Pure.

What holds for the contents that come out: user and model take turns, the user first; a content with calls is followed
by one that begins with their results, one for each, in the order of the calls; none is empty, and no part is, unless it
carries a signature.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.dialects.callids import unused_id, wire_id
from ccrouter.dialects.gemini.content import SYSTEM, TURNS, Content, Parts, text_parts
from ccrouter.dialects.gemini.replay import State, unpack
from ccrouter.dialects.gemini.tools import function_name
from ccrouter.dialects.ledger import ATTRIBUTION, CALLER, is_asked
from ccrouter.dialects.turns import MISSING_RESULT, REMINDER, ROLES, Placed, blocks_of, end_of_run
from ccrouter.dialects.words import BILLING_PREFIX
from ccrouter.errors import ClientError, UnsupportedContent
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import Block, Turn

#: Stands before a conversation that the model would begin.
OPENING = "[The conversation so far:]"
#: Asks for what a prefilled answer asks for, where the model's own turn may not be the last.
CONTINUE = "[Go on with your last message exactly where it ends, without repeating any of it.]"
_CALL = {f"{TURNS}.{name}" for name in ("id", "name", "input")}
_THINKING = {f"{TURNS}.{name}" for name in ("thinking", "signature")}
_CALL_WITHOUT_ID = _CALL - {f"{TURNS}.id"}
_RESULT = {f"{TURNS}.{name}" for name in ("tool_use_id", "content")}
_NO_IDS = tuple(
    Loss(f"{TURNS}.{name}", "calls and results are matched by their order there", "hint")
    for name in ("id", "tool_use_id")
)

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class Conversation:
    """Writes one conversation for a model of a provider. After `write`: `contents` in order, the `system` instruction,
    `names` for the tool names that had to be changed, `ids` with every call id that the client knows.
    """

    def __init__(self, content: Content, provider: str, model: str) -> None:
        self.contents: list[JsonObject] = []
        self.system: Parts = []
        self.names: dict[str, str] = {}
        self.ids: set[str] = set()
        self._content = content
        self._profile = content.profile
        self._provider = provider
        self._model = model
        self._pending: Parts = []  # parts of the user content that is being gathered

    def write(self, system: str | list[Block], turns: Sequence[Turn], instruction: str = "") -> None:
        """Write the system prompt, with `instruction` at its end, and all turns.

        Raises ClientError for roles that do not exist and for a conversation without any content, UnsupportedContent
        for what the target cannot carry.
        """
        self._write_system(system)
        self._content.place = TURNS
        self._content.mapped.add("messages[].role")
        if any(isinstance(turn.content, str) for turn in turns):
            self._content.kept.add("messages[].content")
        start = 0
        while start < len(turns):
            middle = end_of_run(turns, start, is_assistant=True)
            end = end_of_run(turns, middle, is_assistant=False)
            answered = self._write_assistant(turns, start, middle, end) if middle > start else {}
            self._write_others(turns, middle, end, answered)
            start = end
        self._flush()
        self.system += text_parts(instruction)
        self._end(len(turns) - 1)

    def _end(self, last: int) -> None:
        if not self.contents:
            raise ClientError("messages: there is nothing in them to answer: every one is empty")
        if self.system and not self._profile.accepts_system:
            self._content.losses.append(Loss("system", "sent as the user's words", "approximated"))
            self._put_first(self.system)
            self.system = []
        elif self.contents[0]["role"] == "model":
            self._put_first(text_parts(OPENING))
        if self.contents[-1]["role"] == "model" and not self._profile.accepts_prefill:
            self._content.losses.append(
                Loss(f"messages[{last}]", "the model cannot go on with its own words; it is asked to", "approximated")
            )
            self.contents.append({"role": "user", "parts": text_parts(CONTINUE)})

    def _put_first(self, parts: Parts) -> None:
        if self.contents[0]["role"] == "user":
            self.contents[0]["parts"][:0] = parts
        else:
            self.contents.insert(0, {"role": "user", "parts": [*parts]})

    # -- system --------------------------------------------------------------------------------------------------------

    def _write_system(self, system: str | list[Block]) -> None:
        content = self._content
        content.place = SYSTEM
        if isinstance(system, str):
            if system.startswith(BILLING_PREFIX):
                system = system.partition("\n")[2]
                content.losses.append(ATTRIBUTION)
            content.mapped.add("system")
            self.system = text_parts(system)
            return
        for place, block in enumerate(system):
            if (block.text or "").startswith(BILLING_PREFIX):
                content.losses.append(ATTRIBUTION)
                continue
            parts = content.parts(block, f"system[{place}]")
            if any("text" not in part for part in parts):
                raise UnsupportedContent(f"system[{place}]", "the system prompt of this target is text only")
            self.system += parts

    def _write_system_turn(self, parts: Parts, place: int) -> None:
        """A system turn: the instruction goes on, or, amid the conversation, it is the user's words, in its place."""
        if not parts:
            return
        if not self.contents and not self._pending and all("text" in part for part in parts):
            self.system += parts
            return
        for part in parts:
            if REMINDER not in part.get("text", REMINDER):
                part["text"] = f"{REMINDER}\n{part['text']}\n</system-reminder>"
        self._content.losses.append(Loss(f"messages[{place}].role", "system sent as the user's words", "approximated"))
        self._pending += parts

    # -- user ----------------------------------------------------------------------------------------------------------

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
        kind = "Error" if block.is_error else "Result"
        head = text_parts(f"[{kind} of an earlier tool call {block.tool_use_id}:]")
        return [*head, *(self._content.result_parts(block, path) or text_parts("(no output)"))]

    def _flush(self) -> None:
        if self._pending:
            self.contents.append({"role": "user", "parts": self._pending})
            self._pending = []

    # -- model ---------------------------------------------------------------------------------------------------------

    def _write_assistant(self, turns: Sequence[Turn], start: int, middle: int, end: int) -> dict[str, str]:
        """The assistant turns from `start` to `middle` as one content, and the results of its calls, which are looked
        for up to `end`. The results written: call id → path.
        """
        blocks = [placed for place in range(start, middle) for placed in blocks_of(turns[place], place)]
        parts, sent = self._model_parts(blocks)
        if not any(map(_says, parts)):
            thoughts = [placed for placed in blocks if placed[1].type in _THOUGHTS]
            self._content.losses += [Loss(path, f"{block.type} without an answer not sent") for path, block in thoughts]
            return {}
        if sent and self._profile.placeholder_signature:
            # Of what was not Gemini's own. Only steps since the user's last words are checked, and which those are is
            # not clear where words stand beside results: so every step has one.
            sent[0].setdefault("thoughtSignature", self._profile.placeholder_signature)
        self._flush()
        if self.contents and self.contents[-1]["role"] == "model":
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": "model", "parts": parts})
        if not sent:
            return {}
        results: dict[str, Placed] = {}
        for place in range(middle, end):
            for path, block in blocks_of(turns[place], place):
                if block.type == "tool_result":
                    results.setdefault(block.tool_use_id or "", (path, block))
        placed = [placed for placed in blocks if placed[1].type == "tool_use"]
        return self._write_results(placed, [part["functionCall"] for part in sent], results)

    def _model_parts(self, blocks: list[Placed]) -> tuple[Parts, Parts]:
        """All parts of a model's content, and those of them that are calls."""
        parts: Parts = []
        sent: Parts = []
        signatures: dict[str, str] = {}
        following = ""  # the signature for the text that comes next
        for path, block in blocks:
            if block.type in _THOUGHTS:
                state = self._state(path, block)
                if state is not None:
                    _sign_text(parts, state.before)
                    parts += [*_thought(block.thinking or "", state.own), *state.parts]
                    following = state.text
                    signatures |= state.calls
            elif block.type == "tool_use":
                call = self._call(path, block, sent)
                if block.id in signatures:
                    call["thoughtSignature"] = signatures[block.id]
                sent.append(call)
                parts.append(call)
            else:
                written = self._content.parts(block, path)
                if following and written:
                    written[-1]["thoughtSignature"], following = following, ""
                parts += written
        return parts, sent

    def _state(self, path: str, block: Block) -> State | None:
        """The state of a thinking block, None if it is not for this model; then a loss tells of it."""
        state = unpack(block.signature or "", self._provider) if block.type == "thinking" else None
        if state is not None and state.model == self._model:
            self._content.mapped |= _THINKING
            return state
        maker = "maker" if state is None else "model"
        self._content.losses.append(Loss(path, f"{block.type} of another {maker} not sent"))
        return None

    def _call(self, path: str, block: Block, sent: Parts) -> JsonObject:
        self._content.mapped |= _CALL if self._profile.has_call_ids else _CALL_WITHOUT_ID
        self._content.note_mark(block)
        if block.caller and is_asked(block.caller):
            self._content.losses.append(Loss(f"{path}.caller", CALLER))
        id = block.id or f"call_{len(sent)}"  # noqa: A001 - the protocol's own word
        self.ids.add(id)
        asked = block.name or ""
        name = function_name(asked, self._profile)
        if name != asked:
            self.names[name] = asked
        arguments = bytes(block.input)
        if not arguments.startswith(b"{"):
            if arguments not in {b"", b"null"}:
                self._content.losses.append(Loss(f"{path}.input", "not sent: arguments are an object"))
            arguments = b"{}"
        call: JsonObject = {"name": name, "args": msgspec.Raw(arguments)}
        if self._profile.has_call_ids:
            call["id"] = unused_id(wire_id(id, self._profile), {part["functionCall"].get("id") for part in sent})
        else:
            self._content.losses += _NO_IDS
        return {"functionCall": call}

    def _write_results(self, calls: list[Placed], sent: list[JsonObject], results: dict[str, Placed]) -> dict[str, str]:
        """The results of `calls`, as `sent`, at the head of the content that follows."""
        answered: dict[str, str] = {}
        pictures: Parts = []
        for (path, block), call in zip(calls, sent, strict=True):
            response: JsonObject = {name: call[name] for name in ("id", "name") if name in call}
            id = block.id or ""  # noqa: A001 - the protocol's own word
            if id in results and id not in answered:
                place, result = results[id]
                answered[id] = place
                members, media = self._content.result(result, place)
                self._content.mapped |= _RESULT
                response.update(members)
                if media:
                    pictures += [*text_parts(f"[From the result of {block.name}:]"), *media]
            else:
                what = "tool call without a result: a note stands for it"
                self._content.losses.append(Loss(path, what, "approximated"))
                response["response"] = {"error": MISSING_RESULT}
            self._pending.append({"functionResponse": response})
        self._pending += pictures
        return answered


def _says(part: JsonObject) -> bool:
    """True for a part that is more than a thought, or a signature alone."""
    return "thought" not in part and part.get("text") != ""


def _thought(text: str, signature: str) -> Parts:
    """A thought as it came. One of nothing but a signature is one too."""
    if not text and not signature:
        return []
    part: JsonObject = {"text": text, "thought": True}
    if signature:
        part["thoughtSignature"] = signature
    return [part]


def _sign_text(parts: Parts, signature: str) -> None:
    """Put `signature` on the text that was written last, if nothing came after it."""
    if signature and parts and "text" in parts[-1] and "thought" not in parts[-1]:
        parts[-1]["thoughtSignature"] = signature

"""`tooluse`: the model calls a tool at every turn, and a tool of our own when it has finished. Pure.

Some models talk about what they would do instead of doing it. Told that only calls count, and with `ExitTool` for the
answer itself, they act; the client sees that call as the text in it, while it streams, and a turn that ended.

A demand for a call and thinking do not go together everywhere: Anthropic's API refuses both at once
(platform.claude.com/docs/en/build-with-claude/extended-thinking), so do DeepSeek ("Thinking mode does not support this
tool_choice"), Moonshot and DashScope. There a call is demanded only of requests that do not ask for thinking, and
thinking that the server would do unasked is switched off for them; the others get the reminder and the tool alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.dialects.efforts import mode_of
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    Delta,
    Ending,
    InputJsonDelta,
    MessageDelta,
    StartBlock,
    TextBlock,
    TextDelta,
    ToolUseBlock,
)
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, EventFilter, Transform
from ccrouter.transforms.blocks import BlockFilter
from ccrouter.transforms.textmember import TextMember
from ccrouter.transforms.turns import items_of, kind_of, raw, role_of, with_user_text

EXIT = "ExitTool"
_RESPONSE = "response"
_TOOL = raw(
    {
        "name": EXIT,
        "description": (
            "Ends the turn with your answer to the user. Call it when the task is done, or when none of the other "
            "tools can help with it; never while one of them still can."
        ),
        "input_schema": {
            "type": "object",
            "properties": {
                _RESPONSE: {
                    "type": "string",
                    "description": "Your answer, shown to the user exactly as it stands here.",
                }
            },
            "required": [_RESPONSE],
        },
    }
)
_REMINDER = (
    "Tool mode is on: answer by calling a tool. Choose the one that brings the user's task forward best, and consider "
    f"first whether it fits. When no tool is left to call, call {EXIT} with your answer; text outside of a tool call "
    "is not an answer."
)
#: How chat servers are told to think, of those that refuse a demanded call while they do.
_EXCLUSIVE = frozenset({"thinking", "qwen"})


class ToolUse(Transform):
    """Requests that offer tools offer `ExitTool` too, and demand a call; a call of it is told as the answer's text."""

    name = "tooluse"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._force: str = options.get("force", "auto")
        self._reminder: str = options.get("reminder") or _REMINDER

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        tools = items_of(request.members.get("tools"))
        if not self._applies(request, tools):
            return request
        context.notes[self] = True
        changes: dict[str, Any] = {"tools": [*tools, _TOOL]}
        changes |= self._demand(request, context, profile_of(context.target))
        return self._reminded(request.replace(**changes), context)

    def events(self, context: Context) -> EventFilter | None:
        return _Exits() if context.notes.get(self) else None

    @staticmethod
    def _applies(request: MessagesRequest, tools: list[msgspec.Raw]) -> bool:
        """False where the client offers no tool of its own, chooses among them itself, has one of the same name, or has
        begun the answer.
        """
        choice = request.tool_choice
        return (
            any(kind_of(tool) in {"", "custom"} for tool in tools)
            and (choice is None or choice.type == "auto")
            and not any(b'"ExitTool"' in bytes(tool) for tool in tools)
            and role_of(request.raw_turns[-1]) != "assistant"
        )

    def _demand(self, request: MessagesRequest, context: Context, profile: Profile) -> dict[str, Any]:
        """The members that demand a call; {} where none is demanded."""
        if self._force == "false":
            return {}
        choice = request.tool_choice
        demand: JsonObject = {"type": "any"}
        if choice is not None and choice.disable_parallel_tool_use is not None:
            demand["disable_parallel_tool_use"] = choice.disable_parallel_tool_use
        is_chat = context.dialect == "openai_chat"
        if is_chat and "required" not in profile.tool_choice_forms:
            return {}
        is_exclusive = context.dialect == "anthropic" or (is_chat and profile.reasoning_style in _EXCLUSIVE)
        if not is_exclusive:
            return {"tool_choice": demand}
        mode = mode_of(request.thinking.type if request.thinking else None)
        if self._force == "true" or (mode == "unasked" and context.dialect != "anthropic"):
            return {"tool_choice": demand, "thinking": {"type": "disabled"}} if profile.can_disable_thinking else {}
        return {"tool_choice": demand} if mode in {"off", "unasked"} else {}

    def _reminded(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        """The request with the reminder at its end: as a turn of the system, or where the API itself is Messages, which
        may know none, in the user's.
        """
        if context.dialect == "anthropic":
            return with_user_text(request, f"<system-reminder>\n{self._reminder}\n</system-reminder>")
        return request.replace(messages=[*request.raw_turns, {"role": "system", "content": self._reminder}])


class _Exits(BlockFilter):
    """Tells calls of `ExitTool` as text."""

    def __init__(self) -> None:
        super().__init__()
        self._exits: dict[int, TextMember] = {}
        self._told: set[int] = set()  # of those, the ones whose text has begun
        self._has_exited = False
        self._has_called = False

    def start(self, index: int, block: StartBlock) -> None:
        members = block if isinstance(block, dict) else {}
        is_call = isinstance(block, ToolUseBlock) or members.get("type") == "tool_use"
        name = block.name if isinstance(block, ToolUseBlock) else members.get("name")
        if not is_call or name != EXIT:
            self._has_called = self._has_called or is_call
            self.begin(index, block)
            return
        self._exits[index] = TextMember(_RESPONSE)
        self._has_exited = True
        given = members.get("input")
        if given:
            self._tell(index, self._exits[index].feed(msgspec.json.encode(given).decode()))

    def delta(self, index: int, delta: Delta) -> None:
        if index not in self._exits:
            self.add(index, delta)
        elif isinstance(delta, InputJsonDelta):
            self._tell(index, self._exits[index].feed(delta.partial_json))

    def stop(self, index: int) -> None:
        member = self._exits.pop(index, None)
        if member is None:
            self.end(index)
            return
        self._tell(index, member.close())
        if index in self._told:
            self._told.discard(index)
            self.end(index)

    def ending(self, event: MessageDelta) -> MessageDelta:
        reason = event.delta.stop_reason
        if reason == "tool_use" and self._has_exited and not self._has_called:
            return MessageDelta(Ending("end_turn"), event.usage)
        return event

    def _tell(self, index: int, text: str) -> None:
        if not text:
            return
        if index not in self._told:
            self._told.add(index)
            self.begin(index, TextBlock())
        self.add(index, TextDelta(text))

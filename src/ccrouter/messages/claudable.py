"""The client profile of Claudable: what its router adapter sends, and the dialect of Messages that it reads.

The adapter sends no tools and expects tool calls all the same; it reads text only from blocks of a type `output_text`,
which no other client knows. No single stream serves it and a standard SDK, so this profile is applied to it alone: by
its fingerprint, by `clients.claudable` in the config, or by the request header `x-ccr-client: claudable | standard`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from ccrouter.errors import LocalProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    Ping,
    TextBlock,
    TextDelta,
)
from ccrouter.messages.request import MessagesRequest, Turn
from ccrouter.messages.textcalls import TextCall, TextCallReader
from ccrouter.messages.writer import MessageWriter

_USER_ID = re.compile(r"project_.+_session_.+", re.DOTALL)


def is_claudable(request: MessagesRequest, headers: Mapping[str, str], mode: Literal["auto", "on", "off"]) -> bool:
    """True if this request is to be served Claudable's way: a header decides, else the config, else a fingerprint."""
    match headers.get("x-ccr-client", "").lower():
        case "claudable":
            return True
        case "standard":
            return False
    if mode != "auto":
        return mode == "on"
    return (
        "anthropic-version" not in headers
        and headers.get("user-agent", "").startswith("python-httpx/")
        and "tools" not in request.members
        and _USER_ID.match(request.user_id) is not None
    )


def prepare(request: MessagesRequest) -> MessagesRequest:
    """The request with what the adapter leaves out: tool definitions, and a history that strict upstreams accept.

    Texts of nothing but white space and turns without a block are gone, and neighbouring turns of one role are one (the
    adapter sends each tool result as a turn of its own). Requests that bring tools keep theirs.

    Raises ClientError (400) for turns that are none.
    """
    turns: list[JsonObject] = []
    role = ""
    for turn, raw in zip(request.turns, request.raw_turns, strict=True):
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        content = _content(turn, members)
        if content and turns and turn.role == role:
            turns[-1]["content"].extend(content)
        elif content:
            role = turn.role
            turns.append({**members, "content": content})
    changes: JsonObject = {"messages": turns}
    if not request.tools:
        changes["tools"] = list(TOOLS)
        changes["tool_choice"] = {"type": "auto"}
    return request.replace(**changes)


def _content(turn: Turn, members: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """The turn's blocks, each in its own bytes; a text that is nothing is none."""
    if isinstance(turn.content, str):
        text = {"type": "text", "text": turn.content}
        return [msgspec.Raw(msgspec.json.encode(text))] if turn.content.strip() else []
    raws = msgspec.json.decode(members["content"], type=list[msgspec.Raw])
    return [
        raw for block, raw in zip(turn.content, raws, strict=True) if block.type != "text" or (block.text or "").strip()
    ]


class ClaudableFilter:
    """Turns a standard stream of events into the adapter's: text renamed, thinking left out, leaked calls made real."""

    def __init__(self, request: MessagesRequest) -> None:
        self._texts = TextCallReader({tool.name: tool.input_schema or {} for tool in request.tools})
        self._writer: MessageWriter | None = None
        self._tools: dict[int, JsonObject] = {}  # the input that each open call began with, until pieces of it come
        self._ending: MessageDelta | None = None

    def __call__(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        """The adapter's events for these standard ones."""
        out: list[MessageEvent] = []
        for event in events:
            if isinstance(event, (Ping, ErrorEvent)) or (self._writer is None and not isinstance(event, MessageStart)):
                out.append(event)
                continue
            self._write(event)
            if self._writer is not None:
                out += map(_renamed, self._writer.take())
        return out

    def _write(self, event: MessageEvent) -> None:
        if isinstance(event, MessageStart):
            head = event.message
            self._writer = MessageWriter(id=head.id, model=head.model, input_tokens=head.usage.input_tokens)
            return
        writer = self._writer
        assert writer is not None
        match event:
            case BlockStart(index=index, content_block=block):
                self._spread(writer, self._texts.close())
                self._begin(writer, index, msgspec.to_builtins(block))
            case BlockDelta(delta=TextDelta(text=text)):
                self._spread(writer, self._texts.feed(text))
            case BlockDelta(index=index, delta=InputJsonDelta(partial_json=piece)) if index in self._tools:
                self._tools[index] = {}
                writer.tool_input(str(index), piece)
            case BlockStop(index=index) if index in self._tools:
                if given := self._tools.pop(index):
                    writer.tool_input(str(index), msgspec.json.encode(given).decode())
                writer.tool_end(str(index))
            case MessageDelta():
                self._ending = event
            case MessageStop():
                self._spread(writer, self._texts.close())
                self._finish(writer)
            case _:
                pass

    def _begin(self, writer: MessageWriter, index: int, block: JsonObject) -> None:
        match block:
            case {"type": "tool_use", "id": str(id_), "name": str(name)}:
                self._tools[index] = block.get("input") or {}
                writer.tool_use(str(index), id=id_, name=name)
            case {"type": "text", "text": str(text)}:
                self._spread(writer, self._texts.feed(text))
            case _:
                pass

    def _finish(self, writer: MessageWriter) -> None:
        if self._ending is None:
            raise LocalProtocolError("message_stop without message_delta")
        ending = self._ending.delta
        reason = ending.stop_reason or "end_turn"
        if writer.has_tool_use and reason == "end_turn":
            reason = "tool_use"
        writer.finish(reason, self._ending.usage, ending.stop_sequence)

    def _spread(self, writer: MessageWriter, pieces: list[str | TextCall]) -> None:
        for piece in pieces:
            if isinstance(piece, TextCall):
                key = f"text-{secrets.token_hex(4)}"
                writer.tool_use(key, id=f"toolu_{secrets.token_hex(12)}", name=piece.name)
                writer.tool_input(key, piece.arguments)
                writer.tool_end(key)
            else:
                writer.text(piece)


def _renamed(event: MessageEvent) -> MessageEvent:
    match event:
        case BlockStart(index=index, content_block=TextBlock()):
            return BlockStart(index, {"type": "output_text", "text": ""})
        case BlockDelta(index=index, delta=TextDelta(text=text)):
            return BlockDelta(index, {"type": "output_text_delta", "text": text})
        case _:
            return event


def _tool(name: str, description: str, required: tuple[str, ...], **properties: str) -> JsonObject:
    return {
        "name": name,
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
            "required": list(required),
        },
    }


#: The tools that the adapter carries out, with the argument names that it accepts. Paths are relative to the project.
TOOLS = (
    _tool("Read", "Read a text file of the project and return its content.", ("file_path",),
          file_path="Path of the file, relative to the project root"),
    _tool("Write", "Create a file, or replace its whole content.", ("file_path", "content"),
          file_path="Path of the file, relative to the project root",
          content="The complete new content of the file; it may not be empty"),
    _tool("Edit", "Replace a piece of text in an existing file.", ("file_path", "old_content", "replacement"),
          file_path="Path of the file, relative to the project root",
          old_content="The exact text to replace, as it stands in the file",
          replacement="The text to put in its place"),
    _tool("LS", "List the entries of a directory.", ("path",), path="Path of the directory; '.' is the project root"),
    _tool("Glob", "Find files by a pattern such as '**/*.tsx'.", ("pattern",), pattern="The glob pattern"),
    _tool("Grep", "Search the content of files for a regular expression.", ("pattern",),
          pattern="The regular expression", path="File or directory to search in; the whole project if left out"),
    _tool("Bash", "Run a shell command in the project directory and return its output.", ("command",),
          command="The command to run"),
)  # fmt: skip

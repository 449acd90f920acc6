"""A request of either dialect, read into one list of turns the scripted model can think about.

It reads and judges; it sends nothing. `objections` is what a strict provider of that dialect would answer 400 to.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_TOKENS_MISSING = "max_tokens: Field required"
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


@dataclass(frozen=True)
class Turn:
    """One thing said.

    kind: system, user, assistant (text each), thinking, call (a tool call of the model), result, image.
    `ident` is the id of a call or result; `data` holds an image's bytes; `signature` a thinking block's.
    """

    kind: str
    text: str = ""
    ident: str = ""
    name: str = ""
    input: Any = None
    data: bytes = b""
    signature: str = ""
    is_error: bool = False


@dataclass
class Conversation:
    """The request as the scripted model sees it."""

    dialect: str
    model: str
    streamed: bool
    tools: list[str]
    turns: list[Turn]
    body: dict[str, Any] = field(repr=False)

    @property
    def schemas(self) -> dict[str, Any]:
        """The input schema of each tool on offer, by name."""
        found = {}
        for tool in self.body.get("tools") or []:
            function = tool.get("function", tool)
            found[function.get("name", "")] = function.get("input_schema") or function.get("parameters")
        return found

    def told(self) -> str:
        """For the reader of a failed test: one short line a turn."""
        lines = [f"  to {self.model}, {len(self.tools)} tools, stream {self.streamed}"]
        for turn in self.turns:
            more = [part for part in (turn.ident, turn.name, turn.signature[:40]) if part]
            said = turn.text if turn.input is None else json.dumps(turn.input)
            short = said if len(said) < 200 else f"{said[:90]} … {said[-90:]}"
            lines.append(f"    {turn.kind} {' '.join(more)} {short!r}{f' {len(turn.data)} bytes' if turn.data else ''}")
        return "\n".join(lines)

    def objections(self) -> list[str]:
        judge = strict_anthropic if self.dialect == "anthropic" else strict_chat
        return list(judge(self.body))


def read(dialect: str, body: dict[str, Any]) -> Conversation:
    """The request body, decoded JSON, as a conversation."""
    read_turns = anthropic_turns if dialect == "anthropic" else chat_turns
    named = [tool.get("name") or tool.get("function", {}).get("name", "") for tool in body.get("tools") or []]
    return Conversation(dialect, body["model"], bool(body.get("stream")), named, list(read_turns(body)), body)


def as_blocks(content: Any) -> list[dict[str, Any]]:
    """Content as a list of blocks: a string is one text block."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def anthropic_turns(body: dict[str, Any]) -> Iterator[Turn]:
    for block in as_blocks(body.get("system")):
        yield Turn("system", block["text"])
    for message in body["messages"]:
        for block in as_blocks(message["content"]):
            yield from _anthropic_block(message["role"], block)


def _anthropic_block(role: str, block: dict[str, Any]) -> Iterator[Turn]:
    match block["type"]:
        case "text":
            yield Turn(role, block["text"])
        case "image":
            yield Turn("image", data=base64.b64decode(block["source"]["data"]))
        case "thinking":
            yield Turn("thinking", block["thinking"], signature=block.get("signature", ""))
        case "tool_use":
            yield Turn("call", ident=block["id"], name=block["name"], input=block["input"])
        case "tool_result":
            inner = as_blocks(block.get("content"))
            text = "".join(part["text"] for part in inner if part["type"] == "text")
            yield Turn("result", text, ident=block["tool_use_id"], is_error=bool(block.get("is_error")))
            for part in inner:
                if part["type"] == "image":
                    yield Turn("image", data=base64.b64decode(part["source"]["data"]))


def chat_turns(body: dict[str, Any]) -> Iterator[Turn]:
    for message in body["messages"]:
        role = "system" if message["role"] == "developer" else message["role"]
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        if not reasoning:
            reasoning = "".join(part.get("text", "") for part in message.get("reasoning_details") or [])
        if reasoning:
            yield Turn("thinking", reasoning)
        if role == "tool":
            text = "".join(part["text"] for part in as_blocks(message["content"]) if part["type"] == "text")
            yield Turn("result", text, ident=message["tool_call_id"])
            continue
        for part in as_blocks(message.get("content")):
            if part["type"] == "image_url":
                yield Turn("image", data=base64.b64decode(part["image_url"]["url"].partition("base64,")[2]))
            else:
                yield Turn(role, part["text"])
        for call in message.get("tool_calls") or []:
            function = call["function"]
            yield Turn("call", ident=call["id"], name=function["name"], input=json.loads(function["arguments"]))


def strict_anthropic(body: dict[str, Any]) -> Iterator[str]:
    """What the Messages API refuses."""
    if not isinstance(body.get("max_tokens"), int):
        yield MAX_TOKENS_MISSING
    if not body["messages"] or body["messages"][0]["role"] != "user":
        yield "messages: first message must use the user role"
    waiting: set[str] = set()
    for at, message in enumerate(body["messages"]):
        if message["role"] not in ("user", "assistant", "system"):
            yield f"messages.{at}.role: unexpected value {message['role']!r}"
        blocks = as_blocks(message["content"])
        if not blocks:
            yield f"messages.{at}: content must not be empty"
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if message["role"] == "user":
            if answered - waiting:
                yield f"messages.{at}: unexpected tool_use_id {sorted(answered - waiting)}"
            waiting -= answered
        elif message["role"] == "assistant":
            if waiting:
                yield f"messages.{at}: tool_use without tool_result: {sorted(waiting)}"
            waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for block in blocks:
            if block["type"] == "text" and not block["text"]:
                yield f"messages.{at}: text content blocks must be non-empty"
    if waiting:
        yield f"tool_use without tool_result: {sorted(waiting)}"


def strict_chat(body: dict[str, Any]) -> Iterator[str]:
    """What a strict Chat Completions server refuses."""
    foreign = {
        "system",
        "thinking",
        "metadata",
        "context_management",
        "output_config",
        "stop_sequences",
        "top_k",
    }
    if found := foreign & set(body):
        yield f"unknown parameters {sorted(found)}"
    if not body["messages"]:
        yield "messages: empty array"
    for tool in body.get("tools") or []:
        function = tool.get("function") or {}
        if tool.get("type") != "function" or not TOOL_NAME.match(function.get("name") or ""):
            yield f"invalid tool {json.dumps(tool)[:200]}"
        if function.get("parameters", {}).get("type", "object") != "object":
            yield f"tool {function.get('name')}: parameters must be an object"
    open_calls: set[str] = set()
    for at, message in enumerate(body["messages"]):
        role = message["role"]
        if role not in ("system", "developer", "user", "assistant", "tool"):
            yield f"messages[{at}].role: {role!r}"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield f"messages[{at}]: tool message without a preceding call {message.get('tool_call_id')!r}"
            open_calls.discard(message.get("tool_call_id"))
        elif open_calls:
            yield f"messages[{at}]: calls without a tool message: {sorted(open_calls)}"
            open_calls = set()
        calls = message.get("tool_calls")
        if role == "assistant" and calls:
            open_calls = {call["id"] for call in calls}
        if calls == []:
            yield f"messages[{at}].tool_calls: empty array"
        if not message.get("content") and not calls and role != "tool":
            yield f"messages[{at}]: no content"
        for part in message["content"] if isinstance(message.get("content"), list) else []:
            if part["type"] not in ("text", "image_url", "file", "input_audio"):
                yield f"messages[{at}]: content part {part['type']!r}"
            if role in ("assistant", "tool", "system") and part["type"] != "text":
                yield f"messages[{at}]: {part['type']} in a {role} message"
    if open_calls:
        yield f"calls without a tool message: {sorted(open_calls)}"

"""A request of any dialect, read into one list of turns the scripted model can think about.

It reads and judges; it sends nothing. `objections` is what a strict provider of that dialect would answer 400 to.
"""

from __future__ import annotations

import base64
import json
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
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
            for function in tool.get("functionDeclarations") or [tool.get("function", tool)]:
                schema = function.get("input_schema") or function.get("parametersJsonSchema")
                found[function.get("name", "")] = schema or function.get("parameters")
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
        """What a strict provider of the dialect refuses."""
        return list(_JUDGES[self.dialect](self.body))


def read(dialect: str, body: dict[str, Any], *, model: str = "", streamed: bool | None = None) -> Conversation:
    """The request body, decoded JSON, as a conversation; `model` and `streamed` where the URL says them."""
    is_streamed = bool(body.get("stream")) if streamed is None else streamed
    turns = list(_READERS[dialect](body))
    conversation = Conversation(dialect, model or body["model"], is_streamed, [], turns, body)
    conversation.tools.extend(conversation.schemas)
    return conversation


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


def gemini_turns(body: dict[str, Any]) -> Iterator[Turn]:
    """Where calls have no ids, results belong to those of their name, in order."""
    for part in (body.get("systemInstruction") or {}).get("parts") or []:
        yield Turn("system", part["text"])
    counted: Counter[tuple[str, str]] = Counter()
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        for part in content["parts"]:
            for turn in _gemini_part(role, part):
                if turn.ident == turn.name and turn.name:
                    counted[turn.kind, turn.name] += 1
                    turn = replace(turn, ident=f"{turn.name}#{counted[turn.kind, turn.name]}")  # noqa: PLW2901  # numbered
                yield turn


def _gemini_part(role: str, part: dict[str, Any]) -> Iterator[Turn]:
    signature = part.get("thoughtSignature", "")
    match part:
        case {"functionCall": {"name": name, **call}}:
            yield Turn("call", ident=call.get("id", name), name=name, input=call.get("args") or {}, signature=signature)
        case {"functionResponse": {"name": name, "response": response, **rest}}:
            said = response.get("output", response.get("error"))
            text = said if isinstance(said, str) else json.dumps(response, ensure_ascii=False)
            yield Turn("result", text, ident=rest.get("id", name), name=name, is_error="error" in response)
            for inner in rest.get("parts") or []:
                yield from _gemini_part(role, inner)
        case {"inlineData": {"data": data}}:
            yield Turn("image", data=base64.b64decode(data))
        case {"thought": True, "text": text}:
            yield Turn("thinking", text, signature=signature)
        case {"text": text}:
            yield Turn(role, text, signature=signature)


def strict_gemini(body: dict[str, Any]) -> Iterator[str]:
    """What generateContent refuses; of the generation that gives ids to calls, calls without a signature too."""
    from tests.dialects_gemini.law import check_request  # noqa: PLC0415  # loads an SDK

    has_ids = any("id" in part.get("functionCall", ()) for content in body["contents"] for part in content["parts"])
    yield from _broken(lambda: check_request(body, is_signed=has_ids, has_ids=has_ids))


def strict_responses(body: dict[str, Any]) -> Iterator[str]:
    """What the Responses API refuses, and what would make it keep the conversation."""
    from tests.dialects_responses.law import check_request  # noqa: PLC0415  # loads an SDK

    foreign = {"messages", "system", "thinking", "max_tokens", "stop_sequences", "stop", "top_k", "output_config"}
    if found := foreign & set(body):
        yield f"Unknown parameter: {sorted(found)}"
    yield from _broken(lambda: check_request(body))


def _broken(check: Callable[[], None]) -> Iterator[str]:
    """Where in the law `check` found a breach."""
    try:
        check()
    except Exception as breach:  # noqa: BLE001  # assertions, the SDKs' own errors, and members that are not there
        where = traceback.extract_tb(breach.__traceback__)
        law = next((frame for frame in reversed(where) if frame.name.lstrip("_").startswith("check")), where[-1])
        yield f"{law.line}: {breach!r}"[:2000]


def responses_turns(body: dict[str, Any]) -> Iterator[Turn]:
    if body.get("instructions"):
        yield Turn("system", body["instructions"])
    for item in body["input"]:
        match item.get("type", "message"):
            case "message":
                role = "system" if item["role"] in ("developer", "system") else item["role"]
                yield from _responses_parts(role, item["content"])
            case "reasoning":
                text = "".join(part["text"] for part in item.get("summary") or [])
                yield Turn("thinking", text, signature=item.get("encrypted_content") or "")
            case "function_call":
                yield Turn("call", ident=item["call_id"], name=item["name"], input=json.loads(item["arguments"]))
            case "function_call_output":
                parts = list(_responses_parts("result", item["output"]))
                text = "".join(part.text for part in parts if part.kind == "result")
                yield Turn("result", text, ident=item["call_id"])
                yield from (part for part in parts if part.kind == "image")


def _responses_parts(kind: str, content: Any) -> Iterator[Turn]:
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    for part in content:
        if part["type"] == "input_image":
            yield Turn("image", data=base64.b64decode(part["image_url"].partition("base64,")[2]))
        else:
            yield Turn(kind, part["text"])


_READERS = {
    "anthropic": anthropic_turns,
    "chat": chat_turns,
    "gemini": gemini_turns,
    "responses": responses_turns,
}
_JUDGES = {
    "anthropic": strict_anthropic,
    "chat": strict_chat,
    "gemini": strict_gemini,
    "responses": strict_responses,
}

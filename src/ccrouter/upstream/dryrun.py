"""The built-in provider `dry-run`: a scripted Messages answer, so that the whole path can be seen before paying
anybody.

It never leaves the process. What it says is labelled as scripted; when tools are offered it calls one that only reads,
once, and ends the turn when the result comes back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from ccrouter.jsontypes import Json, JsonObject
from ccrouter.messages.events import WireUsage, render
from ccrouter.messages.fold import Fold
from ccrouter.messages.request import MessagesRequest, Tool
from ccrouter.messages.writer import MessageWriter

_READ_ONLY = ("Glob", "LS", "Read", "Grep")

_LABEL = (
    "[dry-run] This is a scripted answer from ccrouter itself: no provider was asked and nothing was charged.\n\n"
    "Your request arrived, was routed and is being streamed back, so the whole path works. "
    "To get real answers, add a provider to ~/.claude-code-router/config.json; `ccr start` prints where it is."
)


class DryRunResponse:
    """An UpstreamResponse (see client.py) that was made here. One event a read, as a real stream would come."""

    def __init__(self, body: bytes) -> None:
        request = MessagesRequest.read(body)
        self.status = 200
        events = _answer(request)
        if request.stream:
            self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
            self._pieces = [render(event) for event in events.take()]
        else:
            self.headers = {"content-type": "application/json"}
            fold = Fold()
            for event in events.take():
                fold.feed(event)
            self._pieces = [msgspec.json.encode(fold.close())]

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self._pieces = []


def _answer(request: MessagesRequest) -> MessageWriter:
    writer = MessageWriter(id=f"msg_dryrun_{secrets.token_hex(8)}", model=request.model)
    tokens_in = max(1, sum(len(bytes(raw)) for raw in request.members.values()) // 4)
    schema = (request.output_config.format or {}).get("schema")
    last = request.turns[-1].content if request.turns else ""
    has_result = isinstance(last, list) and any(block.type == "tool_result" for block in last)
    tool = None if has_result or schema else _choose(request.tools)
    if isinstance(schema, dict):
        text = msgspec.json.encode(_example(schema)).decode()
        writer.text(text)
    else:
        text = "[dry-run] The tool's result came back; the turn ends here." if has_result else _LABEL
        for word in text.split(" "):
            writer.text(word + " ")
    if tool is not None:
        arguments = msgspec.json.encode(_example(tool.input_schema or {})).decode()
        writer.tool_use("0", id=f"toolu_dryrun_{secrets.token_hex(8)}", name=tool.name)
        writer.tool_input("0", arguments)
    writer.finish(
        "tool_use" if tool else "end_turn", WireUsage(input_tokens=tokens_in, output_tokens=max(1, len(text) // 4))
    )
    return writer


def _choose(tools: list[Tool]) -> Tool | None:
    """A tool to call: one that only reads, else the first one a client would run itself."""
    own = {tool.name: tool for tool in tools if tool.type in {None, "custom"}}
    for name in _READ_ONLY:
        if name in own:
            return own[name]
    return next(iter(own.values()), None)


def _example(schema: JsonObject) -> Json:
    """The least value that a JSON Schema asks for: required properties only."""
    if schema.get("enum"):
        first: Json = schema["enum"][0]
        return first
    match schema.get("type", "object"):
        case "object":
            properties = schema.get("properties") or {}
            return {name: _example(properties.get(name) or {"type": "string"}) for name in schema.get("required") or []}
        case "array":
            return [_example(schema.get("items") or {"type": "string"})] if schema.get("minItems") else []
        case "integer" | "number":
            least: Json = schema.get("minimum", 1)
            return least
        case "boolean":
            return False
        case _:
            return "dry-run"

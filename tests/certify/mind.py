"""A model that understands what the battery asks, and nothing else; and servers of several temperaments around it.

A server refuses what it does not take with the words of real ones. Its wire formats are those of `tests.upstream`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.upstream import Received, Reply, anthropic_wire, chat_wire, json_reply, sse_reply

KEY = "sk-scripted-0123456789abcdef"
MODEL = "m1"
ALL_CHOICES = frozenset({"auto", "none", "required", "named"})
TEN = "one, two, three, four, five, six, seven, eight, nine, ten"
NUMBERS = "\n".join(map(str, range(1, 301)))
FORTY = ", ".join(f"number {number}" for number in range(1, 41))


@dataclass(frozen=True)
class Temper:
    """What a server takes, and how it behaves. The defaults are those of a good one."""

    models: tuple[str, ...] = (MODEL,)
    checks_key: bool = True
    knows_models: bool = True
    limit: str = "max_tokens"
    least: int = 1
    cap: int = 0
    refuses: frozenset[str] = frozenset()  # members of the request
    max_stops: int = 16
    stream_usage: str = "asked"  # "asked", "never", "refused"
    choices: frozenset[str] = ALL_CHOICES
    obeys_choices: bool = True
    images: str = "seen"  # "seen", "refused", "ignored"
    tool_images: str = "seen"
    files: str = "seen"
    mid_system: str = "obeyed"  # "obeyed", "refused", "ignored"
    user_after_tool: bool = True
    id_limit: int = 256
    short_ids: bool = False
    name_limit: int = 128
    format: str = "json_schema"
    thinking: str = ""  # the member that switches it on: "effort", "thinking", "qwen", "openrouter", "template"
    always_thinks: bool = False
    efforts: tuple[str, ...] = ("none", "low", "medium", "high")
    argument_size: int = 12  # characters a piece
    leaks_calls: bool = False
    calls_tools: bool = True
    lies_about_length: bool = False
    caches: bool = True


@dataclass
class Heard:
    """A request, whatever its dialect."""

    words: list[tuple[str, str]]  # role and text, in order
    stream: bool
    limit: int = 1024
    tools: tuple[str, ...] = ()
    choice: str = "auto"
    named: str = ""
    single: bool = False
    stops: tuple[str, ...] = ()
    image: bool = False
    file: str = ""
    result: str = ""
    thinks: bool | None = None


@dataclass
class Said:
    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    cut: bool = False


def answer(heard: Heard, temper: Temper) -> Said:
    """What the model says."""
    said = _say(heard, temper)
    if (
        heard.thinks
        or (heard.thinks is None and temper.always_thinks)
        or (temper.always_thinks and not temper.thinking)
    ):
        said.thinking = "Let me think about that."
    for stop in heard.stops:
        said.text = said.text.partition(stop)[0]
    if len(said.text) > heard.limit * 4:
        said.text, said.cut = said.text[: heard.limit * 4], True
    return said


def _say(heard: Heard, temper: Temper) -> Said:
    last = heard.words[-1][1] if heard.words else ""
    everything = "\n".join(text for _, text in heard.words)
    if heard.tools and heard.choice != "none" and not heard.result:
        calls = _calls(heard, temper, everything)
        if calls and temper.calls_tools:
            return _leaked(calls[0]) if temper.leaks_calls else Said(calls=calls)
    system_turns = [text for place, (role, text) in enumerate(heard.words) if role == "system" and place]
    if any("KIWI" in text for text in system_turns) and temper.mid_system == "obeyed":
        return Said("KIWI")
    if heard.file:
        return Said(f"The password is {heard.file}.")
    if "two colours" in everything:
        return Said("Red and blue." if heard.image else "I see no image.")
    if "word KIWI" in last:
        return Said("KIWI")
    if heard.result:
        return Said(f"The tool says: {heard.result}")
    for mark, text in (
        ("single word OK", "OK"),
        ("Count from one to ten", TEN),
        ("1 to 300", NUMBERS),
        ("alpha STOP-A beta", "alpha STOP-A beta"),
        ("capital of France", '{"city": "Paris"}'),
        ("9.11 or 9.9", "9.9"),
        ("weather", "I cannot tell."),
    ):
        if mark in everything:
            return Said(text)
    return Said("Hello.")


def _calls(heard: Heard, temper: Temper, text: str) -> list[tuple[str, str, dict[str, Any]]]:
    if heard.choice == "named" and temper.obeys_choices:
        return [("call_1", heard.named, {"text": "hello"})]
    if "keep this text" in text:
        return [("call_1", "write_note", {"text": FORTY})]
    weather = next((name for name in heard.tools if name.startswith("get_weather")), "")
    cities = [city for city in ("Paris", "Tokyo") if city in text] if "weather" in text else []
    if not cities and heard.choice == "required" and temper.obeys_choices:
        cities = ["Paris"]
    cities = cities[:1] if heard.single else cities
    return [(f"call_{number}", weather, {"city": city}) for number, city in enumerate(cities, 1)]


def _leaked(call: tuple[str, str, dict[str, Any]]) -> Said:
    _, name, arguments = call
    return Said("<tool_call>\n" + json.dumps({"name": name, "arguments": arguments}) + "\n</tool_call>")


class Refusal(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class ChatServer:
    """Chat Completions. `seen` holds the decoded requests."""

    temper: Temper = field(default_factory=Temper)
    seen: list[dict[str, Any]] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)

    def __call__(self, received: Received) -> Reply:
        try:
            self._check_key(received)
            if received.method == "GET":
                models = [{"id": name, "object": "model", "context_length": 32768} for name in self.temper.models]
                return json_reply({"object": "list", "data": models})
            body = received.json()
            self.seen.append(body)
            self._check(body)
            return self._reply(body)
        except Refusal as error:
            return json_reply(chat_wire.error_json(str(error)), error.status)

    def _check_key(self, received: Received) -> None:
        if self.temper.checks_key and received.headers.get("authorization") != f"Bearer {KEY}":
            shown = received.headers.get("authorization", "").removeprefix("Bearer ")
            raise Refusal(f"Incorrect API key provided: {shown}", 401)

    def _check(self, body: dict[str, Any]) -> None:
        temper = self.temper
        if temper.knows_models and body["model"] not in temper.models:
            raise Refusal(f"The model `{body['model']}` does not exist", 404)
        for name in ("max_tokens", "max_completion_tokens"):
            if name in body and name != temper.limit:
                raise Refusal(f"Unsupported parameter: '{name}' is not supported. Use '{temper.limit}' instead.")
        limit = body.get(temper.limit, 0)
        if temper.cap and limit > temper.cap:
            raise Refusal(
                f"max_tokens is too large: {limit}. This model supports at most {temper.cap} completion tokens"
            )
        if temper.limit in body and limit < temper.least:
            raise Refusal(f"integer below minimum value. Expected a value >= {temper.least}")
        for name in temper.refuses & body.keys():
            raise Refusal(f"Unsupported parameter: '{name}' is not supported with this model.")
        if temper.stream_usage == "refused" and "stream_options" in body:
            raise Refusal("stream_options: Extra inputs are not permitted", 422)
        if len(body.get("stop", [])) > temper.max_stops:
            raise Refusal(f"Invalid 'stop': array too long. Expected at most {temper.max_stops}.")
        asked = body.get("response_format", {}).get("type", "")
        if asked and temper.format not in {asked, "json_schema"}:
            raise Refusal(f"response_format {asked} is not supported")
        self._check_tools(body)
        self._check_messages(body["messages"])
        effort = body.get("reasoning_effort")
        if effort is not None and temper.thinking == "effort" and effort not in temper.efforts:
            raise Refusal(f"Invalid value: '{effort}'. Supported values are: {', '.join(temper.efforts)}")

    def _check_tools(self, body: dict[str, Any]) -> None:
        for tool in body.get("tools", []):
            if len(tool["function"]["name"]) > self.temper.name_limit:
                raise Refusal("Invalid 'tools[0].function.name': string too long.")
        choice = body.get("tool_choice", "auto")
        form = "named" if isinstance(choice, dict) else choice
        if form not in self.temper.choices:
            raise Refusal(f"tool_choice {form} is not supported")

    def _check_messages(self, messages: list[dict[str, Any]]) -> None:
        temper = self.temper
        for place, message in enumerate(messages):
            role = message["role"]
            if role == "system" and place and temper.mid_system == "refused":
                raise Refusal("System message must be at the beginning.")
            if role == "user" and place and messages[place - 1]["role"] == "tool" and not temper.user_after_tool:
                raise Refusal("Unexpected role 'user' after role 'tool'")
            for call in message.get("tool_calls", []):
                if len(call["id"]) > temper.id_limit:
                    raise Refusal(f"string too long. Expected a string with maximum length {temper.id_limit}")
                if temper.short_ids and not re.fullmatch(r"[A-Za-z0-9]{9}", call["id"]):
                    raise Refusal(f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9.")
            for part in _parts(message):
                if part["type"] == "image_url" and temper.images == "refused":
                    raise Refusal("This model does not support image input.")
                if part["type"] == "image_url" and role == "tool" and temper.tool_images == "refused":
                    raise Refusal("Invalid content type: image_url in a tool message.")
                if part["type"] == "file" and temper.files == "refused":
                    raise Refusal("Invalid content type: file is not supported.")

    def _reply(self, body: dict[str, Any]) -> Reply:
        heard = self._hear(body)
        said = answer(heard, self.temper)
        prompt = 20 + len(json.dumps(body["messages"])) // 4
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": max(1, len(said.text) // 4)}
        first = json.dumps(body["messages"][:1])
        if self.temper.caches and first in self.cached and prompt > 1024:
            usage["prompt_tokens_details"] = {"cached_tokens": 1024}
        self.cached.add(first)
        finish = "length" if said.cut and not self.temper.lies_about_length else ""
        told: dict[str, Any] = {"text": said.text or None, "reasoning": said.thinking or None, "tools": said.calls}
        model = body["model"]
        if not heard.stream:
            return json_reply(chat_wire.chat_json(**told, finish=finish, usage=usage, model=model))
        asked = body.get("stream_options", {}).get("include_usage") and self.temper.stream_usage == "asked"
        frames = chat_wire.chat_stream(
            **told, finish=finish, usage=usage, model=model, usage_in="final" if asked else "none",
            size=self.temper.argument_size,
        )  # fmt: skip
        return sse_reply(frames)

    def _hear(self, body: dict[str, Any]) -> Heard:
        messages = body["messages"]
        words = [(one["role"], "\n".join(part.get("text", "") for part in _parts(one))) for one in messages]
        images = [
            part for one in messages for part in _parts(one) if part["type"] == "image_url"
            and (one["role"] != "tool" or self.temper.tool_images == "seen")
        ]  # fmt: skip
        files = [part["file"]["file_data"] for one in messages for part in _parts(one) if part["type"] == "file"]
        choice = body.get("tool_choice", "auto")
        results = [text or "an image" for role, text in words if role == "tool"]
        return Heard(
            words=[(role, text) for role, text in words if role != "tool"],
            stream=bool(body.get("stream")),
            limit=body.get(self.temper.limit, 1024),
            tools=tuple(tool["function"]["name"] for tool in body.get("tools", [])),
            choice="named" if isinstance(choice, dict) else choice if self.temper.obeys_choices else "auto",
            named=choice["function"]["name"] if isinstance(choice, dict) else "",
            single=body.get("parallel_tool_calls") is False,
            stops=tuple(body.get("stop", [])),
            image=bool(images) and self.temper.images == "seen",
            file=_password(files[0]) if files and self.temper.files == "seen" else "",
            result=results[-1] if results else "",
            thinks=self._thinks(body),
        )

    def _thinks(self, body: dict[str, Any]) -> bool | None:
        match self.temper.thinking:
            case "effort" if "reasoning_effort" in body:
                return bool(body["reasoning_effort"] != "none")
            case "thinking" if "thinking" in body:
                return bool(body["thinking"]["type"] == "enabled")
            case "qwen" if "enable_thinking" in body:
                return bool(body["enable_thinking"])
            case "openrouter" if "reasoning" in body:
                return body["reasoning"].get("effort") != "none"
            case "template" if "chat_template_kwargs" in body:
                return bool(body["chat_template_kwargs"]["enable_thinking"])
            case _:
                return None


@dataclass
class MessagesServer:
    """The Messages API."""

    temper: Temper = field(default_factory=Temper)
    seen: list[dict[str, Any]] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)

    def __call__(self, received: Received) -> Reply:
        if received.headers.get("x-api-key") != KEY:
            return json_reply(anthropic_wire.error_json("authentication_error", "invalid x-api-key"), 401)
        if received.method == "GET":
            return self._list(received)
        body = received.json()
        self.seen.append(body)
        if body["model"] not in self.temper.models:
            return json_reply(anthropic_wire.error_json("not_found_error", f"model: {body['model']}"), 404)
        cap = self.temper.cap
        if cap and body["max_tokens"] > cap:
            message = f"max_tokens: {body['max_tokens']} > {cap}, which is the maximum allowed number of output tokens"
            return json_reply(anthropic_wire.error_json("invalid_request_error", message), 400)
        if any(one["role"] == "system" for one in body["messages"]) and self.temper.mid_system == "refused":
            message = 'messages: Unexpected role "system".'
            return json_reply(anthropic_wire.error_json("invalid_request_error", message), 400)
        return self._reply(body)

    def _list(self, received: Received) -> Reply:
        after = dict(pair.split("=") for pair in received.query.split("&")).get("after_id")
        names = list(self.temper.models)
        start = names.index(after) + 1 if after else 0
        page = [{"type": "model", "id": name} for name in names[start : start + 1]]
        return json_reply({"data": page, "has_more": start + 1 < len(names), "last_id": page[-1]["id"]})

    def _reply(self, body: dict[str, Any]) -> Reply:
        said = answer(self._hear(body), self.temper)
        size = len(json.dumps(body)) // 4
        system = json.dumps(body.get("system", ""))
        cached = 900 if system in self.cached and "cache_control" in system and self.temper.caches else 0
        self.cached.add(system)
        usage = {"input_tokens": size - cached, "cache_read_input_tokens": cached, "output_tokens": 9}
        ending = "max_tokens" if said.cut and not self.temper.lies_about_length else None
        told: dict[str, Any] = {"text": said.text or None, "thinking": said.thinking or None, "tools": said.calls}
        if body.get("stream"):
            frames = anthropic_wire.message_stream(
                **told, stop_reason=ending, usage=usage, model=body["model"], size=self.temper.argument_size
            )
            return sse_reply(frames)
        return json_reply(anthropic_wire.message_json(**told, stop_reason=ending, usage=usage, model=body["model"]))

    def _hear(self, body: dict[str, Any]) -> Heard:
        blocks = [(one["role"], block) for one in body["messages"] for block in _blocks(one["content"])]
        inner = [block for _, one in blocks if one["type"] == "tool_result" for block in _blocks(one["content"])]
        every = [*(block for _, block in blocks), *inner]
        results = [block.get("text", "an image") for block in inner]
        files = [block["source"]["data"] for block in every if block["type"] == "document"]
        choice = body.get("tool_choice", {"type": "auto"})
        thinking = body.get("thinking", {}).get("type")
        return Heard(
            words=[(role, block["text"]) for role, block in blocks if block["type"] == "text"],
            stream=bool(body.get("stream")),
            limit=body["max_tokens"],
            tools=tuple(tool["name"] for tool in body.get("tools", [])),
            choice={"any": "required", "tool": "named"}.get(choice["type"], choice["type"]),
            named=choice.get("name", ""),
            single=bool(choice.get("disable_parallel_tool_use")),
            stops=tuple(body.get("stop_sequences", [])),
            image=any(block["type"] == "image" for block in every),
            file=_password(files[0]) if files else "",
            result=results[-1] if results else "",
            thinks={"enabled": True, "adaptive": True, "disabled": False}.get(str(thinking)),
        )


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _password(data: str) -> str:
    found = re.search(rb"The password is (\w+)", base64.b64decode(data.partition("base64,")[2] or data))
    assert found
    return found[1].decode()

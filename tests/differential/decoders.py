"""Requests of every dialect, read into facts by the shapes that their APIs document; independent of the code under test."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.differential.facts import Fact, Facts, blocks_of, data_of, facts_of

_TITLE = re.compile(r"Document: (.*)", re.DOTALL)
#: Where a server takes no user message after a tool's, this stands between them.
BRIDGE = "OK."


def decode(dialect: str, body: dict[str, Any], names: Mapping[str, str]) -> list[Fact]:
    """The facts of a request body; `names` gives the asked name for a sent one that differs."""
    return _DECODERS[dialect](body, names)


def _messages(body: dict[str, Any], names: Mapping[str, str]) -> list[Fact]:
    assert not names
    return facts_of(body)


# -- Chat --------------------------------------------------------------------------------------------------------------


def _chat(body: dict[str, Any], names: Mapping[str, str]) -> list[Fact]:
    facts = Facts()
    previous = ""
    for message in body["messages"]:
        role = "system" if message["role"] == "developer" else message["role"]
        if role == "tool":
            previous = role
            text = "\n".join(part["text"] for part in blocks_of(message["content"]) if part["type"] == "text")
            facts.result(message["tool_call_id"], text)
            for part in blocks_of(message["content"]):
                _chat_part(facts, role, part)
            continue
        if previous == "tool" and message == {"role": "assistant", "content": BRIDGE}:
            continue
        previous = role
        thinking = message.get("reasoning_content") or ""
        if thinking.strip():
            facts.add("thinking", thinking, "")
        for part in blocks_of(message.get("content")):
            _chat_part(facts, role, part)
        for call in message.get("tool_calls") or ():
            name = call["function"]["name"]
            facts.call(call["id"], names.get(name, name), json.loads(call["function"]["arguments"]))
    return facts.facts


def _chat_part(facts: Facts, role: str, part: dict[str, Any]) -> None:
    match part:
        case {"type": "text", "text": text} if role != "tool":
            facts.say(role, text)
        case {"type": "image_url", "image_url": {"url": url}}:
            facts.add("image", data_of(url))
        case {"type": "file", "file": {"filename": title, "file_data": data}}:
            facts.add("file", title, data_of(data))


# -- Responses ---------------------------------------------------------------------------------------------------------


def _responses(body: dict[str, Any], names: Mapping[str, str]) -> list[Fact]:
    facts = Facts()
    facts.say("system", body.get("instructions") or "")
    pictures: list[dict[str, Any]] = []
    for item in body["input"]:
        if item["type"] != "function_call_output":
            _responses_parts(facts, "", pictures)
            pictures = []
        match item["type"]:
            case "message":
                role = "system" if item["role"] == "developer" else item["role"]
                _responses_parts(facts, role, item["content"])
            case "reasoning":
                text = "\n\n".join(part["text"] for part in item["summary"])
                facts.add("thinking", text, item.get("encrypted_content", ""))
            case "function_call":
                name = item["name"]
                facts.call(item["call_id"], names.get(name, name), json.loads(item["arguments"]))
            case "function_call_output":
                output = item["output"]
                parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
                text = "\n".join(part["text"] for part in parts if part["type"] == "input_text")
                facts.result(item["call_id"], text)
                pictures += [part for part in parts if part["type"] != "input_text"]
            case kind:
                raise AssertionError(kind)
    _responses_parts(facts, "", pictures)
    return facts.facts


def _responses_parts(facts: Facts, role: str, content: Any) -> None:
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
        match part:
            case {"type": "input_text" | "output_text", "text": text}:
                facts.say(role, text)
            case {"type": "input_image", "image_url": url}:
                facts.add("image", data_of(url))
            case {"type": "input_file", "filename": title, "file_data": data}:
                facts.add("file", title, data_of(data))
            case _:
                raise AssertionError(part)


# -- Gemini ------------------------------------------------------------------------------------------------------------


def _gemini(body: dict[str, Any], names: Mapping[str, str]) -> list[Fact]:
    facts = Facts()
    for part in (body.get("systemInstruction") or {"parts": ()})["parts"]:
        facts.say("system", part["text"])
    open_calls: list[int] = []
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        parts = content["parts"]
        if role == "assistant":
            before = len(facts.facts)
            for part in parts:
                _gemini_part(facts, role, part, names)
            open_calls = [fact[1] for fact in facts.facts[before:] if fact[0] == "call"]
            continue
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        assert len(results) == len(open_calls)
        for number, result in zip(open_calls, results, strict=True):
            _gemini_result(facts, number, result)
        for result in results:
            for part in result.get("parts") or ():
                _gemini_part(facts, role, part, names)
        open_calls = []
        _gemini_others(facts, [part for part in parts if "functionResponse" not in part], names)
    return facts.facts


def _gemini_result(facts: Facts, number: int, result: dict[str, Any]) -> None:
    ident = result.get("id")
    assert ident is None or facts.calls[ident] == number
    (word, text), *more = result["response"].items()
    assert not more
    facts.result(number, text, is_error=word == "error")


def _gemini_others(facts: Facts, parts: list[dict[str, Any]], names: Mapping[str, str]) -> None:
    for part, following in itertools.pairwise([*parts, {}]):
        blob = following.get("inlineData") or {}
        title = _TITLE.fullmatch(part.get("text", ""))
        if title and blob.get("mimeType") == "application/pdf":
            facts.add("file", title[1], base64.b64decode(blob["data"]))
        elif (part.get("inlineData") or {}).get("mimeType") != "application/pdf":
            _gemini_part(facts, "user", part, names)


def _gemini_part(facts: Facts, role: str, part: dict[str, Any], names: Mapping[str, str]) -> None:
    match part:
        case {"thought": True, "text": text}:
            facts.add("thinking", text, part.get("thoughtSignature", ""))
        case {"text": text}:
            facts.say(role, text)
        case {"functionCall": call}:
            name = call["name"]
            number = len([fact for fact in facts.facts if fact[0] == "call"])
            facts.call(call.get("id", f"call {number}"), names.get(name, name), call["args"])
        case {"inlineData": {"data": data}}:
            facts.add("image", base64.b64decode(data))
        case {"fileData": {"fileUri": url}}:
            facts.add("image", url)
        case _:
            raise AssertionError(part)


_DECODERS: dict[str, Callable[[dict[str, Any], Mapping[str, str]], list[Fact]]] = {
    "anthropic": _messages,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
}

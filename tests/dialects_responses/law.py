"""What every strict Responses server checks of a request: as assertions, and by the official SDK's own types."""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec
import pydantic
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.responses.response_input_item_param import ResponseInputItemParam

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = {"user", "assistant", "system", "developer"}
_PARTS = {"input_text", "input_image", "input_file"}


@functools.cache
def _item_type() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(ResponseInputItemParam)


@functools.cache
def _request_type() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(ResponseCreateParamsNonStreaming)


def check_request(body: dict[str, Any]) -> None:
    """`body` is a Responses request that no server can refuse for its form."""
    assert body["store"] is False
    assert "previous_response_id" not in body
    assert body.get("instructions") != ""
    items = body["input"]
    assert items
    _check_calls(items)
    _check_order(items)
    for item in items:
        _check_item(item)
        _item_type().validate_python(item)
    _check_tools(body)
    # OpenRouter's own members and tools are not the SDK's; `input` has been checked item by item.
    known = {
        name: value
        for name, value in body.items()
        if name not in {"input", "session_id", "reasoning", "tools", "tool_choice", "stream"}
    }
    _request_type().validate_python({**known, "input": "x"})


def _check_item(item: dict[str, Any]) -> None:
    match item["type"]:
        case "message":
            assert item["role"] in _ROLES
            _check_content(item["content"])
            assert item["role"] != "assistant" or isinstance(item["content"], str)
        case "function_call":
            assert _NAME.fullmatch(item["name"])
            assert 0 < len(item["call_id"]) <= 64
            msgspec.json.decode(item["arguments"], type=dict)
        case "function_call_output":
            _check_content(item["output"])
        case "reasoning":
            assert isinstance(item["summary"], list)
            assert "status" not in item
            assert item.get("encrypted_content") or item.get("content")
        case other:
            raise AssertionError(f"item of type {other}")


def _check_content(content: Any) -> None:
    assert content, "nothing is empty"
    if isinstance(content, list):
        for part in content:
            assert part["type"] in _PARTS
            assert part.get("text") != ""


def _check_calls(items: list[dict[str, Any]]) -> None:
    """Every call has one output, after it and before the user speaks; no id is used twice."""
    open_calls: list[str] = []
    seen: set[str] = set()
    for item in items:
        if item["type"] == "function_call":
            assert item["call_id"] not in seen
            seen.add(item["call_id"])
            open_calls.append(item["call_id"])
        elif item["type"] == "function_call_output":
            assert open_calls, "an output answers a call"
            assert item["call_id"] == open_calls.pop(0), "outputs come in the order of their calls"
        elif item["type"] == "message" and item["role"] != "assistant":
            assert not open_calls, f"calls {open_calls} are answered before anything else is said"
    assert not open_calls, "every call is answered"


def _check_order(items: list[dict[str, Any]]) -> None:
    """Reasoning is followed by what it led to."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if item["type"] == "reasoning":
            assert following is not None
            assert following["type"] in {"reasoning", "function_call"} or following.get("role") == "assistant"


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools", [])
    functions = [tool for tool in tools if tool["type"] == "function"]
    names = [tool["name"] for tool in functions]
    assert all(_NAME.fullmatch(name) for name in names)
    assert all(tool["strict"] is False and tool["parameters"]["type"] == "object" for tool in functions)
    choice = body.get("tool_choice")
    assert choice is None or tools
    if isinstance(choice, dict) and choice["type"] == "function":
        assert choice["name"] in names

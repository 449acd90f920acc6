"""What a strict Gemini server checks of a request: as assertions, and by the official SDK's own types.

The types refuse members that they do not know, as the server does ("Unknown name ...: Cannot find field").
"""

from __future__ import annotations

import itertools
import re
from typing import Any
from urllib.parse import urlsplit

from google.genai import types

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse", "toolCall", "toolResponse"}
_MEMBERS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
#: ai.google.dev/api/generate-content, responseJsonSchema: the words of JSON Schema that are read.
_WORDS = {
    "type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems", "minimum",
    "maximum", "anyOf", "properties", "additionalProperties", "required",
}  # fmt: skip
#: The Schema of `parameters`: what an older server takes.
_OPENAPI_WORDS = (_WORDS - {"prefixItems", "additionalProperties"}) | {"nullable"}
_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}


def check_url(url: str, model: str) -> None:
    """`url` asks for `model` and nothing else, at the host and the path of all models."""
    parts = urlsplit(url)
    assert parts.hostname in {"generativelanguage.googleapis.com", "aiplatform.googleapis.com", "relay.example"}
    assert re.search(r"/models/[^/?#]+:(?:stream)?[gG]enerateContent$", parts.path), url
    assert "key=" not in parts.query
    assert ("alt=sse" in parts.query) == (":stream" in parts.path)
    assert parts.path.count("/models/") == 1 or "/models/" in model


def check_request(body: dict[str, Any], *, is_signed: bool = False, has_ids: bool = True) -> None:
    """`body` is a Gemini request that no server can refuse for its form. `is_signed`: calls have to carry signatures;
    `has_ids`: and calls and results ids, else none may.
    """
    assert set(body) <= _MEMBERS
    _check_contents(body["contents"], is_signed=is_signed, has_ids=has_ids)
    if "systemInstruction" in body:
        parts = body["systemInstruction"]["parts"]
        assert parts
        assert all(set(part) == {"text"} and part["text"] for part in parts)
    functions = _check_tools(body.get("tools"))
    _check_choice(body.get("toolConfig"), functions)
    _check_config(body.get("generationConfig", {}))
    for content in body["contents"]:
        types.Content.model_validate(_readable(content))
    for tool in body.get("tools") or ():
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig") or {})
    types.GenerationConfig.model_validate(body.get("generationConfig") or {})


def _readable(content: dict[str, Any]) -> dict[str, Any]:
    """Signatures in the cases are words; the SDK decodes them."""
    return {
        **content,
        "parts": [
            {name: value for name, value in part.items() if name != "thoughtSignature"} for part in content["parts"]
        ],
    }


def _check_contents(contents: list[dict[str, Any]], *, is_signed: bool, has_ids: bool) -> None:
    assert contents
    roles = [content["role"] for content in contents]
    assert roles[0] == "user"
    assert all(first != second for first, second in itertools.pairwise(roles)), "user and model take turns"
    waiting: list[tuple[str, str | None]] = []
    for content in contents:
        assert set(content) == {"role", "parts"}
        assert content["parts"], "no content is empty"
        for part in content["parts"]:
            _check_part(part)
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        assert [(result["name"], result.get("id")) for result in results] == waiting, "each call has its result"
        assert content["parts"][: len(results)] == [{"functionResponse": result} for result in results]
        calls = [part for part in content["parts"] if "functionCall" in part]
        assert not calls or content["role"] == "model"
        waiting = [(part["functionCall"]["name"], part["functionCall"].get("id")) for part in calls]
        ids = [known for _, known in waiting]
        assert all(map(bool, ids)) if has_ids else not any(ids)
        assert not has_ids or len(set(ids)) == len(ids)
        if calls and is_signed:
            assert calls[0].get("thoughtSignature"), "the first call of a step is signed"
    assert not waiting, "every call is answered"


def _check_part(part: dict[str, Any]) -> None:
    assert len(_DATA & part.keys()) == 1
    assert part.keys() - _DATA <= {"thought", "thoughtSignature"}
    assert part.get("thoughtSignature", "x")
    if "text" in part:
        assert part["text"] or part.get("thoughtSignature"), "no part is empty"
    if "functionCall" in part:
        assert _NAME.fullmatch(part["functionCall"]["name"])
        assert isinstance(part["functionCall"]["args"], dict)
    if "functionResponse" in part:
        assert isinstance(part["functionResponse"]["response"], dict)
        for inner in part["functionResponse"].get("parts", ()):
            assert set(inner) == {"inlineData"}


def _check_tools(tools: list[dict[str, Any]] | None) -> set[str]:
    assert tools != []
    names: list[str] = []
    for tool in tools or ():
        for function in tool.get("functionDeclarations", ()):
            assert _NAME.fullmatch(function["name"])
            names.append(function["name"])
            assert ("parametersJsonSchema" in function) + ("parameters" in function) <= 1
            schema = function.get("parametersJsonSchema", function.get("parameters", {"type": "object"}))
            assert schema["type"] == "object"
            check_schema(schema, is_openapi="parameters" in function)
    assert len(set(names)) == len(names)
    return set(names)


def _check_choice(config: dict[str, Any] | None, functions: set[str]) -> None:
    assert config != {}
    calling = (config or {}).get("functionCallingConfig")
    if calling is not None:
        assert functions, "Function calling config is set without function_declarations."
        assert calling["mode"] in {"AUTO", "ANY", "NONE"}
        assert set(calling.get("allowedFunctionNames", ())) <= functions


def _check_config(config: dict[str, Any]) -> None:
    assert len(config.get("stopSequences", ())) <= 5
    thinking = config.get("thinkingConfig", {"includeThoughts": True})
    assert thinking
    assert not {"thinkingBudget", "thinkingLevel"} <= set(thinking)
    assert thinking.get("thinkingLevel", "LOW") in {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}
    if "responseJsonSchema" in config:
        assert config["responseMimeType"] == "application/json"
        check_schema(config["responseJsonSchema"])


def check_schema(schema: dict[str, Any], *, is_openapi: bool = False) -> None:
    """`schema` says nothing that Gemini does not read."""
    assert set(schema) <= (_OPENAPI_WORDS if is_openapi else _WORDS), schema
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert set(kinds) <= _TYPES
    assert len([kind for kind in kinds if kind != "null"]) <= 1
    assert not is_openapi or isinstance(schema.get("type", ""), str)
    if "anyOf" in schema:
        assert set(schema) == {"anyOf"}, "any_of must be the only field set"
    if "enum" in schema:
        values = schema["enum"]
        assert values
        assert all(value for value in values if isinstance(value, str))
        assert all(isinstance(value, str) for value in values) or not is_openapi
        assert not any(isinstance(value, bool | None | list | dict) for value in values)
    if "required" in schema:
        assert set(schema["required"]) <= set(schema["properties"])
    if "array" in kinds:
        assert "items" in schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema[word] for word in ("items", "additionalProperties") if isinstance(schema.get(word), dict)]
    for piece in inner:
        check_schema(piece, is_openapi=is_openapi)

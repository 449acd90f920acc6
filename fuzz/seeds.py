"""Where fuzzing begins: the inputs of the suite's golden cases, and what its fake providers send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
CASES = _ROOT / "tests" / "cases"
_LINE = "\n----\n"
_SERVED = {"served-openai_chat": "chat", "served-openai_responses": "responses"}


def seeds_of(name: str) -> list[bytes]:
    """The seeds of the target `name`."""
    kind, _, dialect = name.partition("-")
    match kind:
        case "request" | "chain":
            seeds = [body for folder in sorted(CASES.glob("*/request")) for body in _bodies(folder)]
        case "stream" if dialect == "anthropic":
            seeds = _messages()
        case "stream":
            seeds = _bodies(CASES / dialect / "stream")
        case "served":
            seeds = _bodies(CASES / "served" / _SERVED[name] / "request")
        case "errors":
            seeds = [body for folder in sorted(CASES.glob("*/error")) for body in _bodies(folder)]
        case "config":
            paths = sorted(CASES.glob("config/**/*.txt"))
            uppers = [path.read_bytes().partition(_LINE.encode())[0] for path in paths]
            seeds = [upper.partition(b"\n")[2] for upper in uppers]
        case _:
            seeds = [json.dumps(value).encode() for value in _INSIDE[name]]
            seeds += [value.encode() for value in _INSIDE[name] if isinstance(value, str)]
    return [seed for seed in seeds if seed.strip()]


def _bodies(folder: Path) -> list[bytes]:
    """What is fed in the golden cases below `folder`: after the head, up to the line."""
    uppers = [path.read_text(encoding="utf-8").partition(_LINE)[0] for path in sorted(folder.rglob("*.txt"))]
    return [upper.partition("\n\n")[2].encode() for upper in uppers]


def _messages() -> list[bytes]:
    """Answers of the Messages API, streamed and whole."""
    from tests.upstream import anthropic_wire as wire  # noqa: PLC0415 - only seeds need it

    calls = [("toolu_1", "Read", {"path": "ä"}), ("toolu_2", "n" * 80, {})]
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
        {"type": "text", "text": "found", "citations": [{"type": "web_search_result_location", "url": "https://x"}]},
    ]
    told: list[dict[str, Any]] = [
        {"text": "Hello 🙂"},
        {"text": "Hi", "thinking": "Let me see.", "redacted": "AAAA"},
        {"text": "Look:", "tools": calls},
        {"text": "cut", "stop_reason": "max_tokens"},
        {"text": "no", "stop_reason": "refusal"},
        {"text": "END", "stop_reason": "stop_sequence", "stop_sequence": "END"},
        {"content": blocks, "usage": {"cache_read_input_tokens": 9}},
    ]
    seeds = [b"".join(wire.message_stream(**one)) for one in told]
    seeds += [json.dumps(wire.message_json(**one)).encode() for one in told]
    seeds.append(seeds[0][: len(seeds[0]) // 2] + wire.error_frame("overloaded_error", "busy"))
    return [*seeds, json.dumps(wire.error_json("api_error", "x")).encode()]


_CHUNK = {":message-type": "event", ":event-type": "chunk"}
_INSIDE: dict[str, list[Any]] = {
    "filters": [
        {
            "blocks": [["text", "", "<think>a</think> b"], ["tool_use", "Read", '{"a": "b",}']],
            "reason": "tool_use",
            "seed": 1,
        },
        {"blocks": [["text", "", "[[a]] b [[c"], ["thinking", "", "x"]], "reason": "end_turn", "seed": 2},
        {"blocks": [["text", "", "<reasoning_content>a</reasoning_content>b"]], "reason": "end_turn", "seed": 3},
        {
            "blocks": [["tool_use", "ExitTool", '{"response": "said \\n \\ud83d"}']],
            "reason": "tool_use",
            "seed": 4,
        },
        {
            "blocks": [["tool_use", "Read", "{'a': 1"], ["tool_use", "Read", ""], ["text", "", " </think> x"]],
            "reason": "max_tokens",
            "seed": 5,
        },
    ],
    "json": [
        '{"response": "a\\ud83d\\u0041", "b": [1, {"c": null}]}',
        "{'a': 'it\\'s', b: True, c: None,}",
        '{"a": "he said "hi", and left", "b": 1}',
        '```json\n{"a": 01, "b": .5, "c": 0x1F}\n```',
        '{"a": "x", /* c */ "b": 2 // end\n}',
        '"{\\"a\\": 1}"',
        "{“a”: “b”, ‘c’: `d`}",
        '{"a": [1, {"b": "x',
        "ls -la",
    ],
    "frames": [
        {"frames": [[_CHUNK, {"bytes": {"type": "ping"}}], [_CHUNK, {"bytes": {"type": "message_stop"}, "p": "ab"}]]},
        {
            "frames": [
                [
                    {":message-type": "exception", ":exception-type": "throttlingException"},
                    {"message": "a", "originalMessage": "b"},
                ]
            ]
        },
        {"frames": [[{":message-type": "error", ":error-code": "x", ":error-message": "y"}, ""]], "end": 40},
        {"frames": [[_CHUNK, '{"bytes": "%%%"}'], [{":message-type": "event", ":event-type": "novelty"}, "{}"]]},
    ],
    "preset": [
        {
            "name": "p",
            "version": "1",
            "schema": [
                {
                    "id": "key",
                    "type": "password",
                    "validator": "sk-.*",
                    "when": {"field": "a", "operator": "eq", "value": 1},
                },
                {
                    "id": "kind",
                    "type": "select",
                    "options": {"options": [{"label": "L", "value": "v"}]},
                    "default": "v",
                },
                {"id": "n", "type": "number", "min": 1, "max": 9, "default": 3},
            ],
            "template": {
                "Providers": [
                    {
                        "name": "x",
                        "api_base_url": "https://x.test/v1/chat/completions",
                        "api_key": "#{key}",
                        "models": ["#{kind}"],
                    }
                ]
            },
            "configMappings": [
                {
                    "target": "Router.default",
                    "value": "x,#{kind}",
                    "when": [{"field": "n", "operator": "gt", "value": 2}],
                }
            ],
            "userValues": {"key": "sk-1", "a": 1},
        },
        {"configMappings": [{"target": "Providers[0].api_key"}], "claudeCodeSettings": {"env": {"A": "#{a}"}}},
    ],
}  # fmt: skip

"""Request bodies like those of Claude Code: system blocks, tools, a tool loop over code. Deterministic.

Every user message ends with a mark "vary#00000000". The load generator renumbers the last one for each
request, and the mock upstream wants to see one, so that a body which lost its messages is noticed.
"""

from __future__ import annotations

import json
import random
from typing import Any

Json = dict[str, Any]

MARK = "vary#"
SYSTEM_TEXT_BYTES = 9_000
VERBS = ("read", "parse", "fold", "encode", "route", "retry", "cancel", "flush", "measure", "validate")
NOUNS = (
    "stream",
    "request",
    "header",
    "session",
    "provider",
    "token",
    "message",
    "buffer",
    "schema",
    "client",
)
PROSE = [
    "the",
    "of",
    "to",
    "in",
    "is",
    "that",
    "it",
    "for",
    "as",
    "with",
    "on",
    "be",
    "at",
    "this",
    "by",
    "from",
    "or",
    "an",
    "are",
    "not",
    "which",
    "when",
    "if",
    "will",
    "must",
]
TOOL_NAMES = (
    "Task", "Bash", "Glob", "Grep", "Read", "Edit", "MultiEdit", "Write", "NotebookEdit", "WebFetch",
    "TodoWrite", "WebSearch", "BashOutput", "KillShell",
)  # fmt: skip


def _prose(chance: random.Random, size: int) -> str:
    words: list[str] = []
    length = 0
    while length < size:
        word = chance.choice((chance.choice(PROSE), chance.choice(PROSE), chance.choice(VERBS + NOUNS)))
        word += chance.choice(("", "", "", "", "", "", ",", ".", " –", ".\n\n- "))
        words.append(word)
        length += len(word) + 1
    return " ".join(words)


def _code(chance: random.Random, size: int) -> str:
    lines: list[str] = []
    length = 0
    while length < size:
        verb, noun, other = chance.choice(VERBS), chance.choice(NOUNS), chance.choice(NOUNS)
        number = len(lines) + 1
        for text in (
            f"    def {verb}_{noun}(self, {other}: dict[str, int], limit: int = {chance.randrange(999)}):",
            f'        """{_prose(chance, 50)}"""',
            f'        if "{noun}" in {other} and {other}["{noun}"] > limit:',
            f"            raise ValueError(f'{noun} → {{limit!r}}\\t{chance.randrange(1 << 32):08x}')",
            f'        return self.{other}s.get("{verb}", "")',
            "",
        ):
            lines.append(f"{number:6d}\t{text}")
            length += len(lines[-1]) + 1
    return "\n".join(lines)


def _tool(chance: random.Random, name: str) -> Json:
    keys = ["file_path", "pattern", "command", "description", "timeout", "replace_all"]
    kinds = ["string", "string", "string", "string", "number", "boolean"]
    properties: Json = {
        key: {"type": kind, "description": _prose(chance, 80)} for key, kind in zip(keys, kinds, strict=True)
    }
    properties["items"] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "content": {"type": "string", "minLength": 1},
                "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
            },
            "required": ["content", "status"],
            "additionalProperties": False,
        },
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["file_path"],
        "additionalProperties": False,
    }
    return {"name": name, "description": _prose(chance, 900), "input_schema": schema}


def _mark(salt: int) -> Json:
    return {"type": "text", "text": f"<system-reminder>turn {MARK}{salt:08d}</system-reminder>"}


def _turn(chance: random.Random, index: int, salt: int) -> list[Json]:
    """What the assistant did and what came back: two messages, about 5 KB."""
    calls = [f"toolu_{index:04d}{letter}{salt:08d}" for letter in "ab"[: 1 + index % 2]]
    said: list[Json] = [{"type": "text", "text": _prose(chance, 300)}]
    back: list[Json] = []
    for number, call in enumerate(calls):
        arguments = {
            "file_path": f"/home/me/project/src/{chance.choice(NOUNS)}.py",
            "limit": chance.randrange(900),
        }
        said.append({"type": "tool_use", "id": call, "name": ("Read", "Grep")[number], "input": arguments})
        code = _code(chance, chance.randrange(1500, 5000))
        content: Any = code if number else [{"type": "text", "text": code}]
        back.append({"type": "tool_result", "tool_use_id": call, "content": content})
    back.append(_mark(0))
    return [{"role": "assistant", "content": said}, {"role": "user", "content": back}]


def _frame(chance: random.Random, *, stream: bool, is_small: bool, salt: int) -> Json:
    session = f"5e5510{chance.randrange(1 << 24):06x}-0000-4000-8000-{salt:012d}"
    system = [{"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}]
    if not is_small:
        text = _prose(chance, SYSTEM_TEXT_BYTES)
        system.append({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})  # type: ignore[dict-item] # wire JSON
        system.append({"type": "text", "text": "<env>\nWorking directory: /home/me/project\nPlatform: linux\n</env>"})
    body: Json = {
        "model": "m1",
        "messages": [],
        "system": system,
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": session})},
        "max_tokens": 8000,
        "stream": stream,
    }
    if not is_small:
        body["tools"] = [_tool(chance, name) for name in TOOL_NAMES]
    return body


def write(body: Json) -> bytes:
    """As JavaScript's clients write it: no spaces, no escapes for what is not ASCII."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def growing(model: str, sizes: list[int], *, stream: bool = True, salt: int = 0) -> list[bytes]:
    """One conversation, cut where it first reaches each of the sizes (bytes, ascending)."""
    chance = random.Random(len(sizes) * 1_000_003 + sizes[-1])
    frame = _frame(chance, stream=stream, is_small=sizes[0] < 10_000, salt=salt)
    frame["model"] = model
    first = min(1_500, max(600, sizes[0] - 700)) if sizes[0] < 10_000 else 1_500
    messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": _prose(chance, first)}, _mark(salt)]}]
    length = len(write(frame)) + len(write(messages[0]))
    written: list[bytes] = []
    for size in sizes:
        while length < size - 2_500 and sizes[0] >= 10_000:
            turn = _turn(chance, len(messages), salt)
            messages += turn
            length += sum(len(write(message)) + 1 for message in turn)
        written.append(write({**frame, "messages": messages}))
    return written


def single(model: str, size: int, *, stream: bool, salt: int = 0) -> bytes:
    """One body of about `size` bytes."""
    return growing(model, [size], stream=stream, salt=salt)[0]

"""Mutations that keep JSON JSON: random bytes rarely get past a parser, and what lies behind it is to be fuzzed."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

#: Values that have broken readers of such APIs before.
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**70, 1e308, -0.0, "", " ", "\n", "a", "\ud83d", "\u2028", "\x00", "🦜" * 3,
    [], {}, [None], {"type": "text"}, "tool_use", "data:image/png;base64,AAAA", "toolu_1", "[DONE]", "{", '{"a":', [[]],
    "x" * 300,
    {"type": "tool_use", "id": "t", "name": "Read", "input": {}}, {"type": "tool_result", "tool_use_id": "t"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, {"type": "thinking"},
)  # fmt: skip

#: What the router itself packs state into begins so, and ends in base64.
_CARRIERS = ("ccr1:", "ccrouter:")


def mutate(data: bytes, size: int, seed: int) -> bytes:
    """A neighbour of `data`, of at most `size` bytes: JSON, or a stream of lines of JSON, with something changed."""
    chance = random.Random(seed)
    lines = data.split(b"\n")
    is_stream = any(line.startswith(b"data:") for line in lines)
    changed = _stream(lines, chance) if is_stream else _document(data, chance)
    return changed[:size]


def _stream(lines: list[bytes], chance: random.Random) -> bytes:
    places = [place for place, line in enumerate(lines) if line.startswith(b"data:")]
    match chance.randrange(6):
        case 0:  # an event twice
            place = chance.choice(places)
            lines[place:place] = [lines[place], b""]
        case 1:  # an event gone
            del lines[chance.choice(places)]
        case 2:  # two in the wrong order
            one, other = chance.choice(places), chance.choice(places)
            lines[one], lines[other] = lines[other], lines[one]
        case 3:  # the end is missing
            lines = lines[: chance.choice(places)]
        case _:
            place = chance.choice(places)
            lines[place] = b"data: " + _document(lines[place][5:].strip(), chance)
    return b"\n".join(lines)


def _document(data: bytes, chance: random.Random) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes(data, chance)
    for _ in range(chance.randrange(1, 4)):
        tree = _tree(tree, chance)
    try:
        return json.dumps(tree, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return data


def _tree(node: Any, chance: random.Random) -> Any:
    """The tree with one of its nodes changed; the deeper ones as likely as the others."""
    if isinstance(node, dict) and node and chance.random() < 0.85:
        key = chance.choice(list(node))
        match chance.randrange(12):
            case 0:
                return {name: value for name, value in node.items() if name != key}
            case 1:
                return {**node, chance.choice(list(node)): node[key]}
            case 2:
                return {**node, key: [node[key]]}
            case _:
                return {**node, key: _tree(node[key], chance)}
    if isinstance(node, list) and node and chance.random() < 0.85:
        place = chance.randrange(len(node))
        match chance.randrange(10):
            case 0:
                return node[:place] + node[place + 1 :]
            case 1:
                return [*node, node[place]]
            case 2:
                return node[::-1]
            case _:
                return [*node[:place], _tree(node[place], chance), *node[place + 1 :]]
    if isinstance(node, str) and node.startswith(_CARRIERS) and chance.random() < 0.8:
        return _carrier(node, chance)
    if isinstance(node, str) and node and chance.random() < 0.5:
        place = chance.randrange(len(node))
        return node[:place] + chance.choice(["", "\\", '"', "é", "\n", "0", "}", "</think>", "<think>"]) + node[place:]
    return chance.choice(_ODD)


def _carrier(text: str, chance: random.Random) -> str:
    """Opaque state, mostly with something changed in what is inside."""
    head, _, coded = text.rpartition(":")
    try:
        inner = base64.b64decode(coded, altchars=b"-_", validate=True)
    except ValueError:
        return text[: chance.randrange(len(text))]
    changed = _document(inner, chance) if chance.random() < 0.8 else _bytes(inner, chance)
    return f"{head}:{base64.urlsafe_b64encode(changed).decode()}"


def _bytes(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"{}"
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + chance.randrange(2) :]

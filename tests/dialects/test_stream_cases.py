"""Golden cases: a Chat answer as it is on the wire, a line of dashes, and the Messages events that it becomes."""

from __future__ import annotations

import random

import pytest

from ccrouter.errors import RemoteProtocolError
from tests.dialects.casefile import Case, cases, read_answer, told
from tests.dialects.chat_law import check_events, folded


def outcome(case, chunks):
    events, end = read_answer(case, chunks)
    return "\n".join([*told(events), end]) + "\n", events


def ways(wire):
    """The wire in one piece, in single bytes, with other line ends, and cut at random."""
    yield "whole", [wire]
    yield "byte by byte", [wire[at : at + 1] for at in range(len(wire))]
    crlf = wire.replace(b"\n", b"\r\n")
    yield "CRLF", [crlf]
    yield "CRLF, byte by byte", [crlf[at : at + 1] for at in range(len(crlf))]
    yield "CR", [wire.replace(b"\n", b"\r")]
    yield "no space after the colon", [wire.replace(b"data: ", b"data:")]
    chance = random.Random(20261122)
    for number in range(8):
        cuts = sorted(chance.sample(range(len(wire)), min(len(wire), chance.randrange(1, 12))))
        yield f"cut {number}", [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


@pytest.mark.parametrize("path", cases("stream"))
def test_case(path):
    """The answer above the line becomes the events below it, however it is cut, and they are a lawful stream."""
    case = Case(path)
    if case.head.get("kind") == "body":
        result, events = outcome(case, None)
        case.check(result)
    else:
        wire = case.body.encode()
        result, events = outcome(case, iter([wire]))
        case.check(result)
        for way, chunks in ways(wire):
            assert outcome(case, iter(chunks))[0] == result, way
    check_events(events)


@pytest.mark.parametrize("path", cases("stream"))
def test_folded(path):
    """The message folded from the events holds what the deltas say, with the calls' arguments as one JSON object."""
    case = Case(path)
    chunks = None if case.head.get("kind") == "body" else iter([case.body.encode()])
    events, end = read_answer(case, chunks)
    if not end.startswith("usage"):
        return
    if "folds: no" in case.upper:
        with pytest.raises(RemoteProtocolError):
            folded(events)
        return
    message = folded(events)
    assert message["role"] == "assistant"
    if "folds: without the call" in case.upper:
        assert message["stop_reason"] == "max_tokens"
        assert not any(block["type"] == "tool_use" for block in message["content"])
        return
    assert [block["type"] for block in message["content"]] == [
        event.content_block["type"]
        if isinstance(event.content_block, dict)
        else event.content_block.__struct_config__.tag
        for event in events
        if type(event).__name__ == "BlockStart"
    ]
    for block in message["content"]:
        if block["type"] == "tool_use":
            assert isinstance(block["input"], dict)


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("stream")) >= 60

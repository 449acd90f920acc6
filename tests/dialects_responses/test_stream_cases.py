"""Golden cases: a Responses answer as it is on the wire, a line of dashes, and the Messages events that it becomes."""

from __future__ import annotations

import pytest

from ccrouter.errors import RemoteProtocolError
from tests.dialects.casefile import told
from tests.dialects.chat_law import check_events, folded
from tests.dialects.test_stream_cases import ways
from tests.dialects_responses.casefile import Case, cases, read_answer


def outcome(case, chunks):
    events, end = read_answer(case, chunks)
    return "\n".join([*told(events), end]) + "\n", events


@pytest.mark.parametrize("path", cases("stream"))
def test_case(path):
    """The answer above the line becomes the events below it, however it is cut, and they are a lawful stream."""
    case = Case(path)
    if case.head.get("kind") == "body":
        result, events = outcome(case, None)
        case.check(result)
    else:
        wire = case.wire
        result, events = outcome(case, iter([wire]))
        case.check(result)
        for way, chunks in ways(wire):
            assert outcome(case, iter(chunks))[0] == result, way
    check_events(events)


@pytest.mark.parametrize("path", cases("stream"))
def test_folded(path):
    """The message folded from the events holds what the deltas say, with the calls' arguments as one JSON object."""
    case = Case(path)
    chunks = None if case.head.get("kind") == "body" else iter([case.wire])
    events, end = read_answer(case, chunks)
    if not end.startswith("usage"):
        return
    if "folds: no" in case.upper:
        with pytest.raises(RemoteProtocolError):
            folded(events)
        return
    message = folded(events)
    kinds = [
        block["type"] if isinstance(block, dict) else block.__struct_config__.tag
        for block in (event.content_block for event in events if type(event).__name__ == "BlockStart")
    ]
    if "folds: without the call" in case.upper:
        assert message["stop_reason"] == "max_tokens"
        kinds.remove("tool_use")
    assert [block["type"] for block in message["content"]] == kinds
    assert all(isinstance(block["input"], dict) for block in message["content"] if block["type"] == "tool_use")


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("stream")) >= 60

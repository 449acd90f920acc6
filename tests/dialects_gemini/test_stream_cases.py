"""Golden cases: a Gemini answer as it is on the wire, a line of dashes, and the Messages events that it becomes."""

from __future__ import annotations

import json

import anthropic
import pytest

from ccrouter.messages.events import render
from tests.dialects.casefile import told
from tests.dialects.chat_law import check_events, folded
from tests.dialects.test_stream_cases import ways
from tests.dialects_gemini.casefile import Case, cases, read_answer
from tests.upstream import ThreadedUpstream, sse_reply


@pytest.fixture(scope="module")
def server():
    with ThreadedUpstream() as upstream:
        yield upstream


def outcome(case, chunks):
    events, end = read_answer(case, chunks)
    return "\n".join([*told(events), end]) + "\n", events


def chunks_of(case):
    return None if case.head.get("kind") == "body" else [case.wire]


@pytest.mark.parametrize("path", cases("stream"))
def test_case(path):
    """The answer above the line becomes the events below it, however it is cut, and they are a lawful stream."""
    case = Case(path)
    result, events = outcome(case, chunks_of(case))
    case.check(result)
    if case.head.get("kind") != "body":
        for way, chunks in ways(case.wire):
            assert outcome(case, chunks)[0] == result, way
    check_events(events)


@pytest.mark.parametrize("path", cases("stream"))
def test_no_answer_ends_with_thinking(path):
    """The last block of an answer that says something is no thinking: Claude Code would print nothing of it."""
    case = Case(path)
    events, end = read_answer(case, chunks_of(case))
    if not end.startswith("usage"):
        return
    kinds = [block["type"] for block in folded(events)["content"]]
    assert kinds[-1:] != ["thinking"] or set(kinds) == {"thinking"}


@pytest.mark.parametrize("path", cases("stream"))
def test_official_client(path, server):
    """The official client gathers from the events the very message that is folded here."""
    case = Case(path)
    events, end = read_answer(case, chunks_of(case))
    if not end.startswith("usage"):
        return
    server.reply(sse_reply([render(event) for event in events]))
    question = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    with (
        anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0) as client,
        client.messages.stream(**question) as stream,
    ):
        got = json.loads(stream.get_final_message().to_json())
    expected = folded(events)
    assert got["stop_reason"] == expected["stop_reason"]
    assert got["usage"]["output_tokens"] == expected["usage"]["output_tokens"]
    assert [_plain(block) for block in got["content"]] == [_plain(block) for block in expected["content"]]


def _plain(block):
    return {name: value for name, value in block.items() if value is not None and name != "caller"}


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("stream")) >= 50

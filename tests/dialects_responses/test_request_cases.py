"""Golden cases: a Messages request, a line of dashes, and the Responses request that it becomes.

`ACCEPT=1 python -m pytest tests/dialects_responses` rewrites the lower halves; the difference is for a reader to judge.
"""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.openai_responses import DIALECT
from tests.dialects_responses.casefile import Case, cases, make_target, read_request, request_outcome
from tests.dialects_responses.law import check_request


@pytest.mark.parametrize("path", cases("request"))
def test_case(path):
    """The request above the line is sent as what stands below it, and that is a lawful Responses request."""
    case = Case(path)
    outcome = request_outcome(case)
    case.check(outcome)
    if not outcome.startswith("refused"):
        check_request(json.JSONDecoder().raw_decode(outcome)[0])


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("request")) >= 40


TEXTS = [
    "  two spaces before, two after  ",
    "\tdef f():\n\t\treturn '\\u0000'\n\n",
    "\n\n",
    "<|endoftext|> <|im_start|>",
    "emoji 😀 and 漢字 and \u2028 separators \u0085",
    '{"json": "\\"quoted\\""}',
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_never_altered(text):
    """User text, system prompt, assistant text and tool results, as string and as blocks, arrive to the character."""
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    for written in (text, [{"type": "text", "text": text}]):
        request = read_request(
            system=written,
            messages=[
                {"role": "user", "content": written},
                {"role": "assistant", "content": written},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": written}]},
            ],
        )
        body = json.loads(DIALECT.encode(request, make_target(), {}).body)
        assert body["instructions"] == text
        assert [item.get("content", item.get("output")) for item in body["input"]] == [text, text, None, text]

"""Golden cases: a Messages request, a line of dashes, and the Chat request that it becomes.

`ACCEPT=1 python -m pytest tests/dialects` rewrites the lower halves; the difference is then for a reader to judge.
"""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.messages.request import MessagesRequest
from tests.dialects.casefile import Case, cases, make_target, request_outcome
from tests.dialects.chat_law import check_request


@pytest.mark.parametrize("path", cases("request"))
def test_case(path):
    """The request above the line is sent as what stands below it, and that is lawful Chat."""
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
    """User text, system prompt and tool results, as string and as blocks, arrive to the character as they came."""
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    for written in (text, [{"type": "text", "text": text}]):
        request = {
            "model": "m",
            "system": written,
            "messages": [
                {"role": "user", "content": written},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": written}]},
            ],
        }
        sent = DIALECT.encode(MessagesRequest.read(json.dumps(request).encode()), make_target(), {})
        messages = json.loads(sent.body)["messages"]
        assert [message["content"] for message in messages] == [text, text, None, text]

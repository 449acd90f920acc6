"""Golden cases: a Messages request, a line of dashes, and where and as what it goes to Gemini.

`ACCEPT=1 python -m pytest tests/dialects_gemini` rewrites the lower halves; the difference is then for a reader to judge.
"""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.gemini import DIALECT
from ccrouter.dialects.profiles import profile_of
from ccrouter.messages.request import MessagesRequest
from tests.dialects.test_request_cases import TEXTS
from tests.dialects_gemini.casefile import Case, cases, make_target, request_outcome
from tests.dialects_gemini.law import check_request, check_url


@pytest.mark.parametrize("path", cases("request"))
def test_case(path):
    """The request above the line is sent as what stands below it, and that is lawful Gemini."""
    case = Case(path)
    outcome = request_outcome(case)
    case.check(outcome)
    if outcome.startswith("refused"):
        return
    url, _, rest = outcome.partition("\n")
    profile = profile_of(case.target)
    check_url(url, case.target.model)
    body = json.JSONDecoder().raw_decode(rest)[0]
    if "extra_body" not in case.head:
        check_request(body, is_signed=bool(profile.placeholder_signature), has_ids=profile.has_call_ids)


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("request")) >= 60


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
        sent = json.loads(DIALECT.encode(MessagesRequest.read(json.dumps(request).encode()), make_target(), {}).body)
        assert sent["systemInstruction"] == {"parts": [{"text": text}]}
        assert sent["contents"][0]["parts"] == [{"text": text}]
        assert sent["contents"][2]["parts"][0]["functionResponse"]["response"] == {"output": text}

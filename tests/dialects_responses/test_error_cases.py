"""Golden cases: a provider's error answer, a line of dashes, and the error that the client gets."""

from __future__ import annotations

import pytest

from ccrouter.dialects.openai_responses import DIALECT
from tests.dialects_responses.casefile import Case, cases

_OWN = {"status", "provider"}


@pytest.mark.parametrize("path", cases("error"))
def test_case(path):
    """The answer above the line is explained as below it, by the dialect itself."""
    case = Case(path)
    headers = {name: value for name, value in case.head.items() if name not in _OWN}
    body = case.body.encode()
    error = DIALECT.explain(int(case.head["status"]), headers, body, case.head.get("provider", "acme"))
    case.check(f"{error.status} {error.type}\nretry after {error.retry_after}\n{error}\n")
    assert error.body is None
    assert "sk-" not in str(error)


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("error")) >= 10

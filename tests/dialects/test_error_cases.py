"""Golden cases: a provider's error answer, a line of dashes, and the error that the client gets."""

from __future__ import annotations

import pytest

from ccrouter.dialects.upstream_error import explain_error
from tests.dialects.casefile import Case, cases

_OWN = {"status", "provider", "now"}


@pytest.mark.parametrize("path", cases("error"))
def test_case(path):
    """The answer above the line is explained as below it, in a text whose beginning tells the user enough."""
    case = Case(path)
    headers = {name: value for name, value in case.head.items() if name not in _OWN}
    now = float(case.head["now"]) if "now" in case.head else None
    error = explain_error(int(case.head["status"]), headers, case.body.encode(), case.head.get("provider", "acme"), now)
    case.check(f"{error.status} {error.type}\nretry after {error.retry_after}\n{error}\n")
    assert error.body is None
    assert "<html" not in str(error).lower()
    assert "sk-" not in str(error)


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("error")) >= 30

"""Golden cases: an error answer of Google's, a line of dashes, and the error that the client gets."""

from __future__ import annotations

import pytest

from ccrouter.dialects.gemini import DIALECT
from tests.dialects_gemini.casefile import Case, cases


@pytest.mark.parametrize("path", cases("error"))
def test_case(path):
    """The answer above the line is explained as below it."""
    case = Case(path)
    headers = {name: value for name, value in case.head.items() if name != "status"}
    error = DIALECT.explain(int(case.head["status"]), headers, case.body.encode(), "google")
    case.check(f"{error.status} {error.type}\nretry after {error.retry_after}\n{error}\n")
    assert "AIza" not in str(error)


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(cases("error")) >= 10

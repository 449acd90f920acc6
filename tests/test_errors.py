"""The errors of the router: fit for a user's eyes, and the tree drawn in the module is the tree."""

from __future__ import annotations

import inspect
import re

import pytest

from ccrouter import errors
from ccrouter.errors import ConfigError, NotAuthorized, Problem, RouterError, UnsupportedContent


def test_the_drawing_is_the_tree():
    """The tree at the head of the module names every error class, each below its parent."""
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in inspect.getdoc(errors).splitlines():
        match = re.match(r"([│ ├└─]*)([A-Z]\w+)", line)
        if not match or match.group(2) not in vars(errors):
            continue
        depth = len(match.group(1))
        above = [one for one in above if one[0] < depth]
        drawn[match.group(2)] = above[-1][1] if above else "Exception"
        above.append((depth, match.group(2)))
    real = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, RouterError)
    }
    assert drawn == real


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("config.json", "Providers[0].api_key", "is missing", "write one"), "config.json: Providers[0].api_key: is missing\n  hint: write one"),
        (Problem("config.json", "", "is not JSON"), "config.json: is not JSON"),
    ],
)  # fmt: skip
def test_a_problem_says_where_what_and_what_to_write(problem, text):
    """File, path, what is wrong, and the hint on a line of its own; what is not known is left out."""
    assert str(problem) == text


def test_a_config_error_tells_all_at_once():
    """Every problem is in the text, in order."""
    problems = [Problem("f", "a", "one"), Problem("f", "b", "two")]
    error = ConfigError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "f: a: one\nf: b: two"


def test_unsupported_content_names_its_place():
    """The block that cannot be carried is named in the text."""
    error = UnsupportedContent("messages[2].content[0]", "no PDF here")
    assert str(error) == "messages[2].content[0]: no PDF here"
    assert error.status == 400


def test_not_authorized_has_the_type_of_its_status():
    """401 asks for a key; 403 is no matter of keys."""
    assert (NotAuthorized("x").status, NotAuthorized("x").type) == (401, "authentication_error")
    assert NotAuthorized("x", status=403).type == "permission_error"

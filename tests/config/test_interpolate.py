"""Variables in texts: once, everywhere, and never a placeholder for a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.interpolate import Filled, fill, fill_text, is_malformed, unset_in

ENVIRON = {"A": "alpha", "B_2": "beta", "EMPTY": "", "lower": "low", "NESTED": "${A} $A $$", "with space": "s"}


@pytest.mark.parametrize(
    ("text", "filled", "unset"),
    [
        ("plain", "plain", ()),
        ("$A", "alpha", ()),
        ("${A}", "alpha", ()),
        ("x$A.y${B_2}z", "xalpha.ybetaz", ()),
        ("$lower costs $5", "$lower costs $5", ()),
        ("${lower}", "low", ()),
        ("${with space}", "s", ()),
        ("$$A $${A} $$", "$A ${A} $", ()),
        ("${NO:-fallback}", "fallback", ()),
        ("${EMPTY:-fallback}", "fallback", ()),
        ("${NO:-}", "", ()),
        ("${NO:-http://x:1/}", "http://x:1/", ()),
        ("$NESTED", "${A} $A $$", ()),
        ("$NO and ${GONE} and $NO", "$NO and ${GONE} and $NO", ("NO", "GONE")),
        ("$EMPTY", "$EMPTY", ("EMPTY",)),
        ("${A:y}", "${A:y}", ("A:y",)),
    ],
)
def test_table(text, filled, unset):
    """A text with variables comes to this, and these variables are missing."""
    result = fill_text(text, ENVIRON)
    assert result == filled
    assert unset_in(result) == unset


def test_keys_stay_and_values_are_filled_at_any_depth():
    """Every text value is filled, however deep; keys and other values stay."""
    tree = {"$A": ["$A", {"x": ["${B_2}", 1, None, True]}]}
    assert fill(tree, ENVIRON) == {"$A": ["alpha", {"x": ["beta", 1, None, True]}]}
    assert tree["$A"][0] == "$A"


def test_the_repr_of_a_filled_text_is_what_was_written():
    """A value that comes from the environment cannot be printed by accident."""
    filled = fill_text("Bearer $A", ENVIRON)
    assert isinstance(filled, Filled)
    assert "alpha" not in repr(filled)
    assert "alpha" not in repr([{"x": filled}])


@pytest.mark.parametrize(
    ("text", "is_bad"), [("${A", True), ("${}", True), ("${A}", False), ("$${A", False), ("a", False)]
)
def test_malformed(text, is_bad):
    """A `${` that names nothing or does not end is seen."""
    assert is_malformed(fill_text(text, ENVIRON)) is is_bad


@given(st.text())
def test_doubling_dollars_protects_any_text(text):
    """Whatever a text is, with every dollar sign doubled it arrives as it was."""
    assert fill_text(text.replace("$", "$$"), {"A": "x"}) == text

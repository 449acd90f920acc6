"""Two changes of one text brought together."""

from __future__ import annotations

import pytest

from ccrouter.config.merging import merge

BASE = "a\nb\nc\nd\ne\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\nE\n"),
        ("a\nb\nc\nd\ne\nf\n", "0\na\nb\nc\nd\ne\n", "0\na\nb\nc\nd\ne\nf\n"),
        ("b\nc\nd\ne\n", "a\nb\nc\nd\n", "b\nc\nd\n"),
        ("a\nX\nc\nd\ne\n", "a\nX\nc\nd\ne\n", "a\nX\nc\nd\ne\n"),
        (BASE, "a\nb\nc\nd\nE\n", "a\nb\nc\nd\nE\n"),
        (BASE, BASE, BASE),
        ("a\nX\nc\nd\ne\n", "a\nY\nc\nd\ne\n", None),
        ("a\nX\nc\nd\ne\n", "a\nb\nY\nd\ne\n", None),
        ("a\nb\nX\nc\nd\ne\n", "a\nb\nY\nc\nd\ne\n", None),
        ("", "a\nX\nc\nd\ne\n", None),
    ],
)
def test_merge(ours, theirs, both):
    """Changes of different lines are both made; where they touch the same lines, or neighbouring ones, neither is."""
    assert merge(BASE, ours, theirs) == both
    assert merge(BASE, theirs, ours) == both

"""Every reader and converter keeps its law on whatever stands near a lawful input: seeds with something changed.

The laws are those of the fuzzer (fuzz/wire.py, fuzz/inside.py), which goes on for as long as one lets it; here each
is tried in the suite, the same way at every run.
"""

from __future__ import annotations

import pytest
from fuzz.mutate import mutate
from fuzz.seeds import seeds_of
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

#: JSON5 is read slowly.
SETTINGS = {
    name: settings(max_examples=40 if name in {"config", "preset"} else 120, deadline=None, derandomize=True)
    for name in TARGETS
}
_LARGEST = 65_536


@pytest.mark.parametrize("name", TARGETS)
def test_neighbours_of_the_seeds_keep_the_law(name):
    """Whatever few changes are made to a golden case, it is read or refused as the law of its target says."""

    @SETTINGS[name]
    @given(st.sampled_from(seeds_of(name)), st.lists(st.integers(0, 2**32), min_size=1, max_size=4))
    def check(data, changes):
        for change in changes:
            data = mutate(data, _LARGEST, change)
        TARGETS[name](data)

    check()

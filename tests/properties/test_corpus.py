"""What coverage-guided fuzzing found worth keeping (fuzz/corpus) keeps every law of its target; and the seeds do."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.seeds import seeds_of
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
#: Bytes that all of them may have: they are committed, and read here at every run.
_MOST = 2_000_000


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_keeps_the_law(name):
    """Every input of a corpus is read or refused as its target's law says."""
    paths = sorted((CORPUS / name).iterdir())
    assert paths
    for path in paths:
        _check(name, path.read_bytes(), path.name)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_keep_the_law(name):
    """So is every input that fuzzing begins with, and there are some for every target."""
    seeds = seeds_of(name)
    assert seeds
    for seed in seeds:
        _check(name, seed, repr(seed[:200]))


def test_corpora_are_of_targets_and_small():
    """No corpus outlives its target, and none grows beyond what a repository should hold."""
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < _MOST


def _check(name, data, told):
    try:
        TARGETS[name](data)
    except Exception as breach:
        raise AssertionError(f"{name} breaks its law on {told}: {breach!r}") from breach

"""What is done after a failure: the whole table, every kind with every combination of chances, and how long is waited."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.failures import Failure, FailureKind
from ccrouter.routing.recovery import FIRST_PAUSE, SCATTER, UNHEALTHY, Chances, Step, is_passing, next_step, pause

TABLE = Path(__file__).parents[1] / "cases" / "recovery" / "steps.txt"
#: How the file writes a step.
WORDS: dict[str, Step] = {
    "key": "next_key", "longer": "longer_context", "next": "next_target", "again": "again", "end": "give_up",
}  # fmt: skip
KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


def chances_of(letters: str) -> Chances:
    return Chances(
        has_key="k" in letters, has_target="t" in letters, has_longer="l" in letters, may_repeat="a" in letters
    )


def rows() -> Iterator[tuple[FailureKind, str, str]]:
    """(kind, letters of the chances, word of the step) of every cell of the file."""
    lines = [line for line in TABLE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    head, *body = (line.split() for line in lines)
    assert head[0] == "kind"
    for kind, *cells in body:
        for letters, word in zip(head[1:], cells, strict=True):
            yield kind, letters, word  # type: ignore[misc] # a kind of the file; that all of them are is tested


CELLS = list(rows())


def test_the_table_is_whole() -> None:
    """Every kind stands in it once, with every combination of the four chances."""
    every = {"".join(letter if there else "-" for letter, there in zip("ktla", combination, strict=True))
             for combination in itertools.product((False, True), repeat=4)}  # fmt: skip
    assert len(CELLS) == len(KINDS) * 16
    assert {(kind, letters) for kind, letters, _ in CELLS} == set(itertools.product(KINDS, every))


@pytest.mark.parametrize(("kind", "letters", "word"), CELLS)
def test_every_cell(kind: FailureKind, letters: str, word: str) -> None:
    """The step is the file's."""
    assert next_step(Failure(kind), chances_of(letters)) == WORDS[word]


@pytest.mark.parametrize(("kind", "letters"), [(kind, letters) for kind, letters, _ in CELLS])
def test_laws(kind: FailureKind, letters: str) -> None:
    """Whatever the table: no step without its chance; refusals, wrong names and the request's own faults end it; a key's
    failure goes to another key first, nothing is repeated while somebody else is left to be asked, and nothing is given
    up while there is a chance.
    """
    chances = chances_of(letters)
    step = next_step(Failure(kind), chances)
    assert step != "next_key" or chances.has_key
    assert step != "next_target" or chances.has_target
    assert step != "longer_context" or (chances.has_longer and kind == "too_long")
    assert step != "again" or (chances.may_repeat and not chances.has_target)
    if kind in {"refused", "missing", "request"}:
        assert step == "give_up"
    elif chances.has_target or chances.may_repeat:
        assert step != "give_up"
    if kind in {"key", "quota", "rate_limit"} and chances.has_key:
        assert step == "next_key"


def test_what_is_unhealthy() -> None:
    """A target's health is not about keys, refusals, or what was asked for."""
    assert set(KINDS) - UNHEALTHY == {
        "local", "rate_limit", "quota", "key", "too_long", "unsupported", "refused", "missing", "request",
    }  # fmt: skip


def test_what_passes() -> None:
    """What may be another thing a second later; a time-out has cost minutes, and a certificate stays as it is."""
    assert {kind for kind in KINDS if is_passing(Failure(kind))} == {
        "connect", "dns", "reset", "local", "rate_limit", "overloaded", "server", "empty", "cut", "protocol",
    }  # fmt: skip


scatters = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10), scatters)
def test_a_pause_doubles_within_its_scatter(times: int, scatter: float) -> None:
    """One second, two, four …, a quarter more or less."""
    middle = FIRST_PAUSE * 2 ** (times - 1)
    assert middle * (1 - SCATTER) <= pause(times, None, scatter) <= middle * (1 + SCATTER)


def test_the_scatter_reaches_both_ends() -> None:
    """Chance decides over the whole width: 0.75 s to 1.25 s for the first."""
    assert pause(1, None, 0.0) == 0.75
    assert pause(1, None, 0.5) == 1.0
    assert pause(1, None, math.nextafter(1.0, 0.0)) == pytest.approx(1.25)


@given(st.integers(1, 10), st.floats(0, 3600), scatters)
def test_no_shorter_than_the_provider_asked(times: int, seconds: float, scatter: float) -> None:
    """Its time is a least one: not cut by the scatter, and lengthened only by our own pause."""
    found = pause(times, seconds, scatter)
    assert found >= seconds
    assert found == max(seconds, pause(times, None, scatter))


@pytest.mark.parametrize("garbage", [0.0, -1.0, -math.inf, math.nan])
def test_garbage_is_no_time(garbage: float) -> None:
    """A time that is none shortens nothing."""
    assert pause(1, garbage, 0.5) == 1.0


def test_forever_is_longer_than_any_patience() -> None:
    """A provider that never wants to be asked again is not asked again: no budget holds that pause."""
    assert pause(1, math.inf, 0.5) == math.inf

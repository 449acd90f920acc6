"""The law of event order: what may come when, judged alike for our own streams and for a provider's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.messages.grammar import KNOWN_EVENTS, Grammar, GrammarBreach

START, STOP, DELTA = "content_block_start", "content_block_stop", "content_block_delta"
END, DONE = "message_delta", "message_stop"


def run(*events) -> Grammar:
    grammar = Grammar()
    for event in events:
        grammar.step(*event) if isinstance(event, tuple) else grammar.step(event)
    return grammar


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (["message_start", END, DONE], "done"),
        (["message_start", (START, 0), (DELTA, 0), (STOP, 0), END, DONE], "done"),
        (["message_start", (START, 0), (STOP, 0), (START, 1), (STOP, 1), END], "ending"),
        (["message_start", (START, 0), (START, 1), (DELTA, 0), (DELTA, 1), (STOP, 1), (DELTA, 0), (STOP, 0), END, DONE], "done"),
        (["message_start", (START, 1), (STOP, 1), (START, 4), (STOP, 4), END, DONE], "done"),
        (["message_start", END, END, DONE], "done"),
        (["ping", "message_start", "ping", (START, 0), "ping", (STOP, 0), END, "ping", DONE, "ping"], "done"),
        (["error"], "failed"),
        (["message_start", (START, 0), "error"], "failed"),
        (["message_start", END, "error"], "failed"),
        (["novelty", "message_start", ("novelty", 9), END, DONE, "novelty"], "done"),
    ],
)  # fmt: skip
def test_what_may_come(events, state):
    """Real streams pass: interleaved blocks, indexes with gaps, two message_deltas, pings and novelties anywhere."""
    assert run(*events).state == state


@pytest.mark.parametrize(
    ("events", "breach"),
    [
        ([], (START, 0)),
        ([], (DELTA, 0)),
        ([], END),
        ([], DONE),
        (["message_start"], "message_start"),
        (["message_start"], DONE),
        (["message_start"], (START, None)),
        (["message_start"], (DELTA, 0)),
        (["message_start"], (STOP, 0)),
        (["message_start", (START, 0)], (START, 0)),
        (["message_start", (START, 0)], (DELTA, 1)),
        (["message_start", (START, 0)], (DELTA, None)),
        (["message_start", (START, 0)], (STOP, 1)),
        (["message_start", (START, 0)], END),
        (["message_start", (START, 0), (STOP, 0)], (DELTA, 0)),
        (["message_start", (START, 0), (STOP, 0)], (STOP, 0)),
        (["message_start", (START, 0), (STOP, 0)], (START, 0)),
        (["message_start", (START, 3), (STOP, 3)], (START, 1)),
        (["message_start", END], (START, 0)),
        (["message_start", END, DONE], DONE),
        (["message_start", END, DONE], "message_start"),
        (["message_start", END, DONE], "error"),
        (["error"], "message_start"),
        (["error"], "ping"),
    ],
)  # fmt: skip
def test_what_may_not_come(events, breach):
    """An event out of order is a breach, and the grammar then stands where it stood."""
    grammar = run(*events)
    before = (grammar.state, grammar.blocks, set(grammar.open))
    with pytest.raises(GrammarBreach):
        grammar.step(*breach) if isinstance(breach, tuple) else grammar.step(breach)
    assert (grammar.state, grammar.blocks, grammar.open) == before


@given(st.lists(st.tuples(st.sampled_from(sorted(KNOWN_EVENTS)), st.integers(0, 3)), max_size=25))
def test_every_accepted_stream_makes_sense(steps):
    """Of any events, those that pass form a stream in which each block begins once, ends once, and nothing follows the
    end.
    """
    grammar, passed = Grammar(), []
    for step in steps:
        try:
            grammar.step(*step)
        except GrammarBreach:
            continue
        passed.append(step)
    names = [name for name, _ in passed]
    assert names.count("message_start") <= 1
    assert names.count(DONE) <= 1
    for index in range(4):
        life = [name for name, at in passed if name.startswith("content_block") and at == index]
        assert life == [] or life[0] == START
        assert life.count(START) <= 1
        assert STOP not in life[:-1]
    if DONE in names:
        assert set(names[names.index(DONE) + 1 :]) <= {"ping"}
        assert END in names
    if grammar.state in {"ending", "done"}:
        assert not grammar.open

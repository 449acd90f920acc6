"""What waits is bounded, and detail goes before records do."""

from __future__ import annotations

import pytest

from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Content, PromptNote
from ccrouter.routing.facts import RequestFacts
from ccrouter.store.allowance import Allowance
from ccrouter.store.backlog import Backlog, Mark, size_of


def _full(make):
    content = Content(100)
    content.note_request(b"x" * 100)
    return make(content=content, losses=(Loss("a", "b"),), kept=frozenset("k"), facts=RequestFacts())


def test_detail_goes_before_records(make):
    """Of a hundred that may wait: contents are given up from the 25th on, ledgers and facts from the 50th, and only
    then exchanges.
    """
    backlog = Backlog(most=100)
    put = [_full(make) for _ in range(110)]
    for exchange in put:
        backlog.add(exchange)
    assert [one.content is not None for one in put[:100]] == [True] * 25 + [False] * 75
    assert [bool(one.losses and one.facts and one.kept) for one in put[:100]] == [True] * 50 + [False] * 50
    assert len(backlog) == 100
    assert (backlog.shed.contents, backlog.shed.details, backlog.shed.exchanges) == (85, 60, 10)


def test_bytes_are_bounded(make):
    """Prompts and contents beyond the bound are let go of; their exchanges wait all the same."""
    backlog = Backlog(most=100, most_bytes=1000)
    notes = [PromptNote({"messages": b"m" * 300}, b"s" * 100) for _ in range(3)]
    for note in notes:
        backlog.add_prompt(note)
    exchange = _full(make)
    exchange.content.most = 100
    backlog.add(exchange)
    more = Content(500)
    more.note_request(b"z" * 500)
    late = make(content=more)
    backlog.add(late)
    assert [note.sent is not None for note in notes] == [True, True, False]
    assert (exchange.content is not None, late.content is None) == (True, True)
    assert (backlog.held, len(backlog)) == (900, 4)
    assert (backlog.shed.prompts, backlog.shed.contents) == (1, 1)


def test_a_crowd_of_exchanges_costs_prompts_first(make):
    """Where many exchanges wait prompts are not taken in any more."""
    backlog = Backlog(most=8)
    for _ in range(2):
        backlog.add(make())
    note = PromptNote({}, b"s")
    backlog.add_prompt(note)
    assert (note.sent, backlog.shed.prompts) == (None, 1)


def test_the_order_is_kept(make):
    """What was added first is taken first, marks included."""
    backlog, note, exchange, mark = Backlog(), PromptNote({"a": b"12"}, b"345"), make(), Mark()
    backlog.add_prompt(note)
    backlog.add(exchange)
    backlog.add_mark(mark)
    assert [backlog.take() for _ in range(4)] == [note, exchange, mark, None]
    backlog.release(size_of(note))
    assert backlog.held == 0


def test_the_first_addition_wakes(make):
    """Whoever rests is woken by the next addition, and only by the first one."""
    backlog = Backlog()
    backlog.rest()
    assert not backlog.wake.is_set()
    backlog.add(make())
    assert backlog.wake.is_set()
    backlog.wake.clear()
    backlog.add(make())
    assert not backlog.wake.is_set()
    backlog.rest()
    backlog.add(make())
    assert backlog.wake.is_set()


@pytest.mark.parametrize("size", [0, 17 * 1024 * 1024])
def test_many_bytes_are_in_a_hurry(size):
    """A quarter of the bytes that may be held is not left to wait for more."""
    backlog = Backlog()
    backlog.add_prompt(PromptNote({}, bytes(size)))
    assert backlog.hurry.is_set() is (size > 0)


def test_an_allowance_is_used_up_and_grows_again():
    """A tenth of the time, two seconds at most: what was taken is missing until enough time has passed."""
    now = [0.0]
    allowance = Allowance(0.1, 2.0, lambda: now[0])
    assert allowance.has_any()
    allowance.take(3.0)
    now[0] = 9.0
    assert not allowance.has_any()
    now[0] = 11.0
    assert allowance.has_any()
    now[0] = 1000.0
    assert allowance.has_any()
    allowance.take(2.0)
    assert not allowance.has_any()

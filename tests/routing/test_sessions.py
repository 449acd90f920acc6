"""What conversations really took."""

from __future__ import annotations

from ccrouter.routing.facts import Thread
from ccrouter.routing.sessions import SessionUsage

MAIN = Thread("s", "", 1)
SIDE = Thread("s", "", 2)


def test_unknown_conversations_have_no_past():
    """Before the first report the estimate is all there is."""
    usage = SessionUsage()
    assert usage.previous(MAIN) == 0
    assert usage.corrected(MAIN, 500) == 500


def test_an_estimate_is_corrected_by_the_last_report():
    """Only the growth since the last report is estimated."""
    usage = SessionUsage()
    usage.record(MAIN, 1200, 1000)
    assert usage.previous(MAIN) == 1200
    assert usage.corrected(MAIN, 1000) == 1200
    assert usage.corrected(MAIN, 1300) == 1500


def test_a_report_below_the_estimate_corrects_downwards():
    """The estimator may have said too much as well as too little."""
    usage = SessionUsage()
    usage.record(MAIN, 800, 1000)
    assert usage.corrected(MAIN, 1300) == 1100


def test_a_shrunken_conversation_is_estimated_afresh():
    """What was cut away is unknown, so the old report says nothing."""
    usage = SessionUsage()
    usage.record(MAIN, 1200, 1000)
    assert usage.corrected(MAIN, 999) == 999


def test_a_report_without_an_estimate_corrects_nothing():
    """Where nothing was counted there is no growth to add: it would count the conversation twice."""
    usage = SessionUsage()
    usage.record(MAIN, 1200, None)
    assert usage.corrected(MAIN, 1300) == 1300
    assert usage.previous(MAIN) == 1200


def test_providers_that_report_nothing_erase_nothing():
    """An answer without usage leaves the last figure as it was."""
    usage = SessionUsage()
    usage.record(MAIN, 1200, 1000)
    usage.record(MAIN, 0, 1100)
    assert usage.previous(MAIN) == 1200


def test_side_calls_do_not_touch_the_main_conversation():
    """A title or a haiku call of the same session has its own figure."""
    usage = SessionUsage()
    usage.record(MAIN, 150_000, 140_000)
    usage.record(SIDE, 900, 1000)
    assert usage.previous(MAIN) == 150_000


def test_requests_without_a_session_are_nobodys():
    """Clients that name no session must not share one figure."""
    usage = SessionUsage()
    usage.record(Thread("", "", 1), 1200, 1000)
    assert usage.previous(Thread("", "", 1)) == 0


def test_memory_is_bounded_and_the_least_used_goes_first():
    """Looking a conversation up keeps it; the one that nobody asked for is dropped."""
    usage = SessionUsage(capacity=2)
    usage.record(MAIN, 1, 1)
    usage.record(SIDE, 2, 2)
    assert usage.previous(MAIN) == 1
    usage.record(Thread("s", "agent", 1), 3, 3)
    assert len(usage) == 2
    assert usage.previous(SIDE) == 0
    assert usage.previous(MAIN) == 1

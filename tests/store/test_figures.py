"""Buckets, percentiles, and the spans that make up a time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ccrouter.store.filters import cover
from ccrouter.store.histogram import bucket_of, percentile
from ccrouter.store.rollups import DAY, HOUR, MINUTE
from tests.store.conftest import NOW


@given(some.floats(0, 10_000), some.floats(0, 10_000))
def test_longer_is_in_no_lower_bucket(one, other):
    """Buckets keep the order of what is in them."""
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_percentiles_are_near_the_true_ones(share):
    """Of latencies as they are, a percentile is within a tenth of what sorting them says."""
    dice = random.Random(3)
    taken = sorted(dice.lognormvariate(0.5, 0.8) for _ in range(20_000))
    told = percentile(Counter(map(bucket_of, taken)), share)
    assert told == pytest.approx(taken[int(share * len(taken))] * 1000, rel=0.1)


def test_percentiles_of_nothing_and_of_one():
    """Of nothing there is none; of a single one it is near that one."""
    assert percentile({}, 0.5) is None
    assert percentile({bucket_of(2.0): 1}, 0.95) == pytest.approx(2000, rel=0.2)
    assert percentile({0: 4}, 0.5) <= 0.5


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@given(some.integers(0, 100 * DAY), some.integers(0, 100 * DAY))
def test_spans_cover_a_time_once(before, length):
    """Whatever the time, its parts lie end to end, none is shorter than need be, and they hold it all."""
    low = NOW - before
    high = min(low + length, NOW)
    parts = sorted((first, last, span) for span, first, last in cover(_moment(low), _moment(high), NOW))
    for (_, end, _), (begin, _, _) in pairwise(parts):
        assert end == begin
    for first, last, span in parts:
        assert first % span == last % span == 0
        assert first < last
        assert span > MINUTE or first >= NOW - 2 * DAY
        assert (last - first) // span < (48 if span == HOUR else 120 if span == MINUTE else 10**6)
    if parts:
        assert parts[0][0] <= low
        assert parts[-1][1] >= high
        assert low - parts[0][0] < HOUR
        assert parts[-1][1] - high < HOUR


def test_all_times_are_days():
    """Without limits only the sums of days are looked at."""
    assert [span for span, _, _ in cover(None, None, NOW)] == [DAY]

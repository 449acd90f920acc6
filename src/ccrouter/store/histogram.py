"""Latencies by size: counts in buckets that are a quarter of an octave wide, and percentiles of such counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: Buckets an octave: a bucket's limits are 19 % apart.
_STEPS = 4
#: The first bucket holds what is shorter, in seconds.
_LEAST = 0.0005
_log2 = math.log2


def bucket_of(seconds: float) -> int:
    """The number of the bucket that `seconds` falls into."""
    return int(_STEPS * _log2(seconds / _LEAST)) + 1 if seconds > _LEAST else 0


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The milliseconds that `share` (0 to 1) of all stayed below, within the width of a bucket; None of none at all."""
    wanted = share * sum(counts.values())
    if wanted <= 0:
        return None
    before = 0
    for bucket in sorted(counts):
        count = counts[bucket]
        if before + count >= wanted:
            low, high = _limit(bucket - 1), _limit(bucket)
            return round(1000 * (low + (high - low) * (wanted - before) / count), 1)
        before += count
    return round(1000 * _limit(max(counts)), 1)


def _limit(bucket: int) -> float:
    """The upper limit of a bucket in seconds; of the one before the first, 0."""
    return _LEAST * 2 ** (bucket / _STEPS) if bucket >= 0 else 0.0

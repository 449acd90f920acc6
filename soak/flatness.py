"""Whether a series of measurements grows. Pure arithmetic; a verdict has its figures with it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: What may be added over the second half of a run, by the line that fits it best: more is a leak. Memory in MB.
#: A run's length does not matter: what leaks a little with each request leaks thousands of times.
MAY_GROW = {"rss": 6.0, "descriptors": 4.0, "threads": 1.0, "tasks": 3.0}
#: What a young process still takes and keeps, ÷ minutes of the run: memory, a pool of threads, kept connections. Over
#: half an hour hardly any of it falls into the second half, over a minute most.
WARMING = {"rss": 40.0, "descriptors": 20.0, "threads": 6.0, "tasks": 5.0}
#: A growth counts only if it is this many times what scatter alone makes likely.
CERTAINTY = 3.0
#: Samples that a fitted line needs.
LEAST = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """`growth` over the second half, along the fitted line, and how much of it chance alone may have made (`error`)."""

    name: str
    first: float
    last: float
    largest: float
    growth: float
    error: float
    bound: float
    samples: int

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.bound or self.growth <= CERTAINTY * self.error


def judge(name: str, series: Sequence[tuple[float, float]], minutes: float = 30.0) -> Verdict:
    """What the second half of `series` (time, value) does, of a run of so many minutes.

    Raises ValueError for fewer than LEAST samples in it.
    """
    half = series[len(series) // 2 :]
    if len(half) < LEAST:
        raise ValueError(f"{name}: {len(half)} samples are too few to tell a growth from")
    growth, error = _fit(half)
    values = [value for _, value in series]
    edge = max(1, len(half) // 5)
    return Verdict(
        name,
        statistics.median(values[len(series) // 2 :][:edge]),
        statistics.median(values[-edge:]),
        max(values),
        growth,
        error,
        round(MAY_GROW[name] + WARMING[name] / max(minutes, 1.0), 1),
        len(half),
    )


def _fit(series: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The growth over the whole of `series` along its line of least squares, and the standard error of it."""
    times = [time for time, _ in series]
    values = [value for _, value in series]
    span = times[-1] - times[0]
    middle, centre = statistics.fmean(times), statistics.fmean(values)
    spread = sum((time - middle) ** 2 for time in times)
    slope = sum((time - middle) * (value - centre) for time, value in series) / spread
    rest = sum((value - centre - slope * (time - middle)) ** 2 for time, value in series)
    return slope * span, (rest / (len(series) - 2) / spread) ** 0.5 * span


def percentile(values: Sequence[float], share: float) -> float:
    """Of `values` the one that this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

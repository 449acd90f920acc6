"""Usage as rows of figures: days put together from hours, gaps filled, all of it added up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from ccrouter.cli.period import local
from ccrouter.jsontypes import JsonObject

KINDS = ("input", "output", "cacheRead", "cacheWrite", "cacheWrite1h", "thinking")
#: How many days or hours at most are shown though nothing was asked in them.
_MOST_FILLED = 120


@dataclass(slots=True)
class Figures:
    """What a number of requests came to. `usd` is the sum of the costs that are known, `unknown` counts the others."""

    name: str
    requests: int = 0
    failed: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    usd: float = 0.0
    unknown: int = 0

    def add(self, row: JsonObject) -> None:
        """Count a row of `store.reports.Reports.usage` in."""
        self.requests += row["requests"]
        self.failed += row["failed"]
        for kind in KINDS:
            self.tokens[kind] += row["tokens"].get(kind, 0)
        self.usd += row["cost"]["usd"] or 0.0
        self.unknown += row["cost"]["unknown"]

    @property
    def prompt(self) -> int:
        """All tokens that went in, from the cache or not."""
        return self.tokens["input"] + self.tokens["cacheRead"] + self.tokens["cacheWrite"]

    @property
    def cache_share(self) -> float | None:
        """The share of them that came from the cache; None if there were none."""
        return self.tokens["cacheRead"] / self.prompt if self.prompt else None

    @property
    def known_usd(self) -> float | None:
        """The cost as far as it is known; None if of no request it is."""
        return None if self.unknown and not self.usd else self.usd

    def as_json(self) -> JsonObject:
        """The same as a JSON object, in the words of the router's other reports."""
        return {
            "name": self.name,
            "requests": self.requests,
            "failed": self.failed,
            "tokens": dict(self.tokens),
            "cacheShare": None if self.cache_share is None else round(self.cache_share, 4),
            "cost": {"usd": self.known_usd, "unknown": self.unknown},
        }


def figures_of(rows: Iterable[JsonObject]) -> list[Figures]:
    """A row of figures for each row of a report."""
    made = []
    for row in rows:
        made.append(Figures(str(row["name"] or "")))
        made[-1].add(row)
    return made


def by_day(hours: Iterable[JsonObject], zone: tzinfo | None = None) -> list[Figures]:
    """Hours put together to the days of `zone`, None for the machine's; in order."""
    days: dict[str, Figures] = {}
    for row in hours:
        name = f"{local(datetime.fromisoformat(str(row['name'])), zone):%Y-%m-%d}"
        days.setdefault(name, Figures(name)).add(row)
    return [days[name] for name in sorted(days)]


def by_hour(hours: Iterable[JsonObject], zone: tzinfo | None = None) -> list[Figures]:
    """Hours, by the clock of `zone`; in order. An hour that summer time repeats is two."""
    made = []
    for row in sorted(hours, key=lambda row: str(row["name"])):
        at = local(datetime.fromisoformat(str(row["name"])), zone)
        made.append(Figures(f"{at:%Y-%m-%d %H:%M}"))
        made[-1].add(row)
    return made


def filled(rows: Sequence[Figures], step: timedelta) -> list[Figures]:
    """The rows of days or hours, with empty ones between the first and the last for those in which nothing was asked.

    As they are where that would be too many.
    """
    if len(rows) < 2:
        return list(rows)
    form = "%Y-%m-%d" if step >= timedelta(days=1) else "%Y-%m-%d %H:%M"
    first, last = (datetime.strptime(row.name, form).replace(tzinfo=UTC) for row in (rows[0], rows[-1]))
    if (last - first) / step > _MOST_FILLED:
        return list(rows)
    names = {row.name for row in rows}
    empty, at = [], first
    while at < last:
        if (name := f"{at:{form}}") not in names:
            empty.append(Figures(name))
        at += step
    return sorted([*rows, *empty], key=lambda row: row.name)


def total_of(rows: Iterable[Figures]) -> Figures:
    """All rows as one."""
    total = Figures("total")
    for row in rows:
        total.add(row.as_json())
    return total


def dearest_first(rows: Iterable[Figures]) -> list[Figures]:
    """By cost, then by tokens: what is not known to have cost anything comes last."""
    return sorted(rows, key=lambda row: (-row.usd, -(row.prompt + row.tokens["output"]), row.name))

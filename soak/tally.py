"""What was found out: rows of figures, each with its bound and whether it holds. Pure; `show` makes text of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from soak.client import Seen
from soak.flatness import Verdict

#: Of the answers that are not as they must be, those that are told in full.
_TOLD = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. `bound` says what it must be."""

    phase: str
    what: str
    figure: str
    bound: str
    holds: bool


@dataclass(slots=True)
class Tally:
    """Rows, and below them what there is to say about those that do not hold."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(row.holds for row in self.rows)

    def add(self, phase: str, what: str, figure: object, bound: str, *, holds: bool) -> None:
        self.rows.append(Row(phase, what, str(figure), bound, holds))

    def add_list(self, phase: str, what: str, found: Iterable[str]) -> None:
        """A row that holds if nothing was found; what was is told below."""
        every = list(found)
        self.add(phase, what, len(every), "0", holds=not every)
        self.notes += [f"{phase}: {what}: {one}" for one in every[:_TOLD]]

    def add_answers(self, phase: str, answers: Iterable[Seen], *, least: int = 1) -> None:
        """Rows for what the clients saw: how many, and that each is what it must be."""
        every = list(answers)
        outcomes = Counter(seen.outcome for seen in every)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        self.add(phase, "answers", f"{len(every)} ({told})", f"at least {least}", holds=len(every) >= least)
        self.add_list(
            phase,
            "answers that are not what they must be",
            (
                f"{seen.request.kind} {seen.request.model} {seen.request.ask}: {seen.outcome}, "
                f"not {' or '.join(sorted(seen.request.expects))}: {seen.detail}"
                for seen in every
                if not seen.is_as_expected
            ),
        )

    def add_verdict(self, phase: str, verdict: Verdict, where: str) -> None:
        unit = " MB" if verdict.name == "rss" else ""
        figure = (
            f"{verdict.first:.1f} to {verdict.last:.1f}{unit} over the second half "
            f"({verdict.growth:+.1f} ± {verdict.error:.1f}; at most {verdict.largest:.1f}; {verdict.samples} samples)"
        )
        self.add(phase, f"{verdict.name} {where}", figure, f"grows by at most {verdict.bound:g}", holds=verdict.is_flat)

    def as_json(self) -> dict[str, object]:
        return {"holds": self.holds, "rows": [asdict(row) for row in self.rows], "notes": self.notes}

    def show(self) -> str:
        """A table for people."""
        lines = []
        width = max((len(row.what) for row in self.rows), default=0)
        phase = ""
        for row in self.rows:
            if row.phase != phase:
                phase = row.phase
                lines += ["", phase]
            mark = "ok  " if row.holds else "FAIL"
            lines.append(f"  {mark}  {row.what:<{width}}  {row.figure}   [{row.bound}]")
        return "\n".join([*lines, *(["", "What does not hold:", *self.notes] if self.notes else [])])

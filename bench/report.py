"""The report: plain tables of one run, and the ratios of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import workloads
from bench.targets import OURS, TARGETS, UNRECORDED, Target, figure, stall_free_streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.measure import Table

ORDER = ("direct", "nginx", "node", OURS, UNRECORDED)
TITLES = {workload.name: workload.title for workload in (*workloads.BURSTS, workloads.PACED)}
UNSTEADY_SHARE = 0.05
COMPARED = ("cpu_ms", "first_event_p50", "first_event_p99", "total_p50", "total_p99", "age_p50", "age_p99", "stalls")
COMPARED_TOO = {  # what has a meaning in these rows only; of start, memory and micro everything has
    "session": ("first_event_sum", "total_sum"),
    "conversation": ("cold",),
}


def number(value: float | None) -> str:
    """Three figures that count, or a dash."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    return (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 0.1
        else f"{value:.3f}"
    )


def ratio(ours: float | None, theirs: float | None) -> str:
    """ "1.4x" of the other's figure, or "1/33" where it is far below it."""
    if ours is None or not theirs or not ours:
        return "–"
    quotient = ours / theirs
    return f"{quotient:.2f}x" if quotient >= 0.5 else f"1/{1 / quotient:.1f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        return "  ".join(
            [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))]
        ).rstrip()

    ruler = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(cells[0]), ruler, *(line(row) for row in cells[1:])])


def _section(title: str, figures: Table, rows: Sequence[tuple[str, str, str]], present: Sequence[str]) -> str:
    """Rows of (label, workload, key): each contender's figure, and ours beside nginx and the Node router."""
    others = [who for who in present if who in ("nginx", "node")] if OURS in present else []
    lines = []
    for label, workload, key in rows:
        values = {who: figure(figures, workload, who, key) for who in present}
        if all(value is None for value in values.values()):
            continue
        beside = [ratio(values[OURS], values[other]) for other in others]
        lines.append([label, *(number(values[who]) for who in present), *beside])
    if not lines:
        return ""
    return f"\n{title}\n" + table(["", *present, *(f"÷ {other}" for other in others)], lines)


def _sections(figures: Table, present: Sequence[str]) -> Iterable[str]:
    names = list(TITLES)
    yield _section(
        "CPU of the program's processes, ms per request",
        figures,
        [(f"{name}  {TITLES[name]}", name, "cpu_ms") for name in names],
        present,
    )
    yield _section(
        "First event, ms (unstreamed: the whole reply)",
        figures,
        [(f"{name} {point}", name, f"{_first(name)}_{point}") for name in names for point in ("p50", "p99")],
        present,
    )
    yield _section("Whole reply, ms", figures, [(f"{name} p50", name, "total_p50") for name in names[:-1]], present)
    steps = [name for name in figures if name.startswith("streams-")]
    paced = [
        ("64 streams at 10 ms (W5)", "W5"),
        *((f"{name.removeprefix('streams-')} streams at 20 ms", name) for name in steps),
    ]
    yield _section(
        "Paced streams: age of a delta when the client has it, ms; stalls (gaps over 5 times the pace)",
        figures,
        [
            (f"{label} {what}", name, key)
            for label, name in paced
            for what, key in (
                ("age p50", "age_p50"),
                ("age p99", "age_p99"),
                ("stalls", "stalls"),
                ("CPU ms", "cpu_ms"),
            )
        ],
        present,
    )
    yield _section(
        "Sessions, memory, start",
        figures,
        [
            ("30-turn session, first events together, ms", "session", "first_event_sum"),
            ("30-turn session, whole replies together, ms", "session", "total_sum"),
            ("440 k tokens, first event, next turn p50, ms", "conversation", "first_event_p50"),
            ("440 k tokens, first event, never seen, ms", "conversation", "cold"),
            ("RSS idle, MB", "start", "rss_idle_mb"),
            ("RSS after W1-W5 and L1-L4, MB", "memory", "rss_after_load_mb"),
            ("RSS at the end of everything, MB", "memory", "rss_at_end_mb"),
            ("start to first /health, s", "start", "start_s"),
            ("in process: estimate of the next turn at 1 MB, ms", "micro", "next_turn_ms"),
            ("in process: one chat chunk, µs", "micro", "chat_chunk_us"),
            ("in process: encode 120 KB for chat, ms", "micro", "encode_120kb_ms"),
            ("in process: encode 1 MB for chat, ms", "micro", "encode_1mb_ms"),
        ],
        present,
    )


def _records_section(figures: Table, present: Sequence[str]) -> str:
    rows = [
        (f"{name} {what}", f"records-{name}", key)
        for name in TITLES
        for what, key in (("event loop", "loop_ms"), ("whole process", "cpu_ms"))
    ]
    return _section("With records and without: CPU, ms per request", figures, rows, present)


def _first(name: str) -> str:
    return "total" if name in ("W1", "L1") else "first_event"


def _bound(target: Target, bound: float | None) -> str:
    if bound is None:
        return ""
    sign = "≥" if target.is_floor else "≤"
    shown = f"1/{1 / bound:.0f}" if target.unit == "x" and bound < 0.5 else f"{bound:g}"
    return f"{sign} {shown}"


def targets_table(figures: Table) -> str:
    lines = []
    for target in TARGETS:
        value = target.value(figures)
        row = [target.title]
        if value is None:
            row.append("not measured")
        elif target.unit == "x":
            row.append(f"{value:.2f}x" if value >= 0.5 else f"1/{1 / value:.1f}")
        else:
            row.append(f"{number(value)} {target.unit}".strip())
        for bound in (target.first, target.final):
            mark = "" if value is None or bound is None else "ok" if target.is_met(value, bound) else "MISS"
            row += [_bound(target, bound), mark]
        lines.append(row)
    return "\nTargets\n" + table(["", OURS, "first stage", "", "final", ""], lines)


def _commit(result: dict[str, Any]) -> str:
    return f"{result['commit']}{'+changes' if result['is_dirty'] else ''}"


def show(result: dict[str, Any]) -> str:
    """The whole report of one result, as read from its JSON."""
    figures: Table = result["figures"]
    present = [who for who in ORDER if who in result["contenders"]]
    versions = ", ".join(f"{who} {result['contenders'][who]}".strip() for who in present)
    lines = [
        f"ccrouter {_commit(result)}, {result['when']}, {result['effort']}",
        result["machine"],
        f"other programs used {result['foreign_share']:.0%} of the measured CPU meanwhile"
        + (": the figures are unsteady" if result["foreign_share"] > UNSTEADY_SHARE else ""),
        f"compared: {versions}",
    ]
    lines += [f"skipped: {who}: {why}" for who, why in result["skipped"].items()]
    everywhere = [who for who in present if who != UNRECORDED]
    records = _records_section(figures, [who for who in present if who in (OURS, UNRECORDED)])
    lines += [section for section in (*_sections(figures, everywhere), records) if section]
    shown = {who: stall_free_streams(figures, who) for who in everywhere}
    if any(count is not None for count in shown.values()):
        lines.append("Stall-free streams: " + ", ".join(f"{who} {number(count)}" for who, count in shown.items()))
    lines.append(targets_table(figures))
    lines += [f"FAILED: {what}: {why}" for what, why in result["failures"].items()]
    return "\n".join(lines)


def _is_compared(workload: str, key: str) -> bool:
    if workload in ("start", "memory", "micro"):
        return True
    return key in COMPARED_TOO.get(workload, ()) or (key in COMPARED and workload != "session")


def compare(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Every figure that both have, new over old. The rows of the others show how alike the machine was."""
    rows = []
    for workload, row in old["figures"].items():
        for who in ORDER:
            for key, before in row.get(who, {}).items():
                after = figure(new["figures"], workload, who, key)
                if after is None or not before or not _is_compared(workload, key):
                    continue
                quotient = after / before
                mark = "" if 0.9 <= quotient <= 1.1 else "better" if quotient < 1 else "WORSE"
                rows.append([f"{workload} {who} {key}", number(before), number(after), f"{quotient:.2f}x", mark])
    names = [_commit(result) for result in (old, new)]
    rows.sort(key=lambda cells: cells[0].split()[1] != OURS)  # ours first, otherwise as they were
    return table(["", *names, "new ÷ old", ""], rows)

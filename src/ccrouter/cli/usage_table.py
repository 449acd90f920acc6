"""Usage as a table with a bar for each row, for a terminal of any width; and as text for a pipe. Says, asks nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccrouter.cli.terminal import harmless, say
from ccrouter.cli.usage_figures import Figures
from ccrouter.web.words import count, money, percent, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEAST_BAR, _MOST_BAR = 8, 48
_MOST_NAME, _LEAST_NAME = 48, 16
_GAP = 2
_WIDEST = 140


def show(title: str, rows: Sequence[Figures], total: Figures) -> None:
    """The table on stdout: drawn if that is a terminal, aligned text if it is not."""
    heads = (title, "requests", "failed", "in", "out", "cached", "cost")
    cells = [_cells(row) for row in rows]
    cells += [_cells(total)] if len(rows) > 1 else []
    if sys.stdout.isatty():
        _draw(heads, cells, rows)
        return
    widths = [max(len(line[place]) for line in (heads, *cells)) for place in range(len(heads))]
    for line in (heads, *cells):
        name, *figures = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        say("  ".join([line[0].ljust(len(name)), *figures]).rstrip())


def summary(total: Figures) -> str:
    """All of it in a line."""
    requests = f"{count(total.requests)} request{'s' if total.requests != 1 else ''}"
    failed = f", {count(total.failed)} failed" if total.failed else ""
    parts = [requests + failed, f"{tokens(total.prompt)} tokens in, {tokens(total.tokens['output'])} out"]
    if total.cache_share is not None:
        parts.append(f"{percent(total.cache_share)} of what went in came from a cache")
    return " · ".join([*parts, cost_in_words(total)])


def cost_in_words(total: Figures) -> str:
    """The cost, and of how many requests it is not known."""
    if not total.unknown:
        return money(total.usd)
    unknown = f"{count(total.unknown)} request{'s' if total.unknown != 1 else ''}"
    if total.known_usd is None:
        return f"cost unknown (of {unknown})"
    return f"{money(total.usd)}, and {unknown} of unknown cost"


def _cells(row: Figures) -> tuple[str, ...]:
    return (
        harmless(row.name) or "(none)",
        count(row.requests) if row.requests else "",
        count(row.failed) if row.failed else "",
        tokens(row.prompt) if row.requests else "",
        tokens(row.tokens["output"]) if row.requests else "",
        percent(row.cache_share) if row.cache_share is not None else "",
        _cost(row),
    )


def _cost(row: Figures) -> str:
    """With the number of requests whose cost is not known behind a `?`."""
    if not row.requests:
        return ""
    if row.known_usd is None:
        return f"unknown ?{row.unknown}"
    return money(row.usd) + (f" + ?{row.unknown}" if row.unknown else "")


def _draw(heads: Sequence[str], cells: Sequence[Sequence[str]], rows: Sequence[Figures]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    widths = [max(len(line[place]) for line in (heads, *cells)) for place in range(len(heads))]
    name, bar = layout(widths, min(console.width, _WIDEST))
    measure, what = _measure(rows)
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, _GAP // 2), show_footer=False)
    table.add_column(heads[0], no_wrap=True, width=name, overflow="ellipsis")
    for head, width in zip(heads[1:], widths[1:], strict=True):
        table.add_column(head, justify="right", no_wrap=True, width=width)
    if bar:
        table.add_column(what, no_wrap=True, width=bar)
    most = max((measure(row) for row in rows), default=0.0)
    for number, line in enumerate(cells):
        is_total = number >= len(rows)
        if is_total:
            table.add_section()
        drawn = [Text(text, style="bold" if is_total else "") for text in line]
        if bar:
            part = measure(rows[number]) / most if most and not is_total else 0.0
            drawn.append(Text(drawn_bar(part, bar), style="cyan"))
        table.add_row(*drawn)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip()))


def layout(widths: Sequence[int], room: int) -> tuple[int, int]:
    """How many columns names and bars get, of `room`; 0 for bars where there is no room for them.

    `widths` are those that the columns want, that of the names first.
    """
    rest = room - sum(widths[1:]) - _GAP * (len(widths) - 1) - 1
    name = max(min(widths[0], _MOST_NAME, rest), min(_LEAST_NAME, widths[0]))
    bar = rest - name - _GAP
    if bar < _LEAST_BAR:  # a shorter name, if one is long, rather than no bar at all
        shorter = max(name - (_LEAST_BAR - bar), min(_LEAST_NAME, name))
        name, bar = (shorter, _LEAST_BAR) if rest - shorter - _GAP >= _LEAST_BAR else (name, 0)
    return name, min(bar, _MOST_BAR)


def _measure(rows: Sequence[Figures]) -> tuple[Callable[[Figures], float], str]:
    """What bars are as long as: the cost, or tokens where hardly any cost is known."""
    unknown, requests = sum(row.unknown for row in rows), sum(row.requests for row in rows)
    if any(row.usd for row in rows) and unknown * 2 <= requests:
        return lambda row: row.usd, "cost"
    return lambda row: float(row.prompt + row.tokens["output"]), "tokens"


def drawn_bar(part: float, width: int) -> str:
    """A bar of `part` of `width` columns, to an eighth of one; something is always seen of what is not nothing."""
    eighths = max(round(part * width * 8), 1) if part > 0 else 0
    whole, rest = divmod(min(eighths, width * 8), 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")

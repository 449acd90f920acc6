"""Usage as a table with a bar for each row, for a terminal of any width; and as text for a pipe. Says, asks nothing."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
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
_GAP = "  "
_WIDEST, _NARROWEST = 140, 30
_LEAST_CENTS = 0.01
_BOLD, _CYAN, _PLAIN = "\033[1m", "\033[36m", "\033[0m"
#: The columns, and what they do without first where there is no room for all.
_HEADS = ("requests", "failed", "in", "out", "cached", "cost", "unpriced")
_SPARED = ("failed", "cached", "out", "in", "unpriced", "requests")


def show(title: str, rows: Sequence[Figures], total: Figures) -> None:
    """The table on stdout: drawn if that is a terminal, aligned text if it is not."""
    heads = [title, *_HEADS]
    lines = [_cells(row) for row in rows] + ([_cells(total)] if len(rows) > 1 else [])
    if not total.unknown:
        heads, lines = heads[:-1], [line[:-1] for line in lines]
    is_drawn = sys.stdout.isatty()
    room = max(min(shutil.get_terminal_size().columns, _WIDEST), _NARROWEST) if is_drawn else 0
    for line in drawn(heads, lines, rows, room) if is_drawn else aligned([heads, *lines]):
        say(line)


def fill(text: str) -> str:
    """`text`, its lines no longer than the terminal's."""
    if not sys.stdout.isatty():
        return text
    return textwrap.fill(text, min(shutil.get_terminal_size().columns, _WIDEST), break_long_words=False)


def aligned(lines: Sequence[Sequence[str]], widths: Sequence[int] | None = None) -> list[str]:
    """The lines in columns, names to the left and figures to the right."""
    widths = widths or _widths(lines)
    return [_GAP.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]


def drawn(heads: list[str], lines: list[list[str]], rows: Sequence[Figures], room: int) -> list[str]:
    """The table in `room` columns, with a bar for each of `rows`; what `lines` has beyond them is their sum."""
    kept = _columns_for([heads, *lines], room)
    heads, lines = [heads[place] for place in kept], [[line[place] for place in kept] for line in lines]
    widths, bar = _layout([heads, *lines], room)
    if not bar and "failed" in heads:  # a bar tells more; the line above has the sum of those that failed
        spared = heads.index("failed")
        fewer = [[*line[:spared], *line[spared + 1 :]] for line in (heads, *lines)]
        if _layout(fewer, room)[1]:
            heads, *lines = fewer
            widths, bar = _layout(fewer, room)
    bar = bar if len(rows) > 1 else 0
    measure, what = _measure(rows)
    head, *texts = aligned([[_shortened(line[0], widths[0]), *line[1:]] for line in (heads, *lines)], widths)
    across = sum(widths) + len(_GAP) * (len(widths) - 1)
    most = max((measure(row) for row in rows), default=0.0)
    paint = _painter()
    rule = "─" * (across + (len(_GAP) + bar if bar else 0))
    told = [paint(_BOLD, head.ljust(across) + _GAP + what if bar else head), rule]
    for row, text in zip(rows, texts, strict=False):
        stripe = drawn_bar(measure(row) / most if most else 0.0, bar)
        told.append(f"{text.ljust(across)}{_GAP}{paint(_CYAN, stripe)}" if stripe else text)
    return [*told, *([rule, paint(_BOLD, texts[-1])] if len(texts) > len(rows) else [])]


def _layout(lines: Sequence[Sequence[str]], room: int) -> tuple[list[int], int]:
    """The width of every column, and of bars."""
    widths = _widths(lines)
    widths[0], bar = layout(widths, room)
    return widths, bar


def _columns_for(lines: Sequence[Sequence[str]], room: int) -> list[int]:
    """The columns that there is room for, by their places."""
    kept = list(range(len(lines[0])))
    for name in _SPARED:
        widths = _widths(lines)
        needed = min(widths[0], _LEAST_NAME) + sum(len(_GAP) + widths[place] for place in kept[1:])
        if needed <= room:
            break
        kept = [place for place in kept if lines[0][place] != name]
    return kept


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _painter() -> Callable[[str, str], str]:
    if os.environ.get("NO_COLOR") or os.name == "nt":
        return lambda _code, text: text
    return lambda code, text: f"{code}{text}{_PLAIN}" if text else ""


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


def _cells(row: Figures) -> list[str]:
    return [
        harmless(row.name) or "(none)",
        count(row.requests) if row.requests else "",
        count(row.failed) if row.failed else "",
        tokens(row.prompt) if row.requests else "",
        tokens(row.tokens["output"]) if row.requests else "",
        percent(row.cache_share) if row.cache_share is not None else "",
        _cost(row),
        count(row.unknown) if row.unknown else "",
    ]


def _cost(row: Figures) -> str:
    if not row.requests:
        return ""
    if row.known_usd is None:
        return "unknown"
    if row.usd and row.usd < _LEAST_CENTS:
        return f"${row.usd:.4f}" if row.usd >= 0.0001 else "<$0.0001"
    return f"${row.usd:,.2f}"


def layout(widths: Sequence[int], room: int) -> tuple[int, int]:
    """How many columns names and bars get, of `room`; 0 for bars where there is no room for them.

    `widths` are those that the columns want, that of the names first.
    """
    gap = len(_GAP)
    rest = room - sum(gap + width for width in widths[1:])
    name = min(widths[0], _MOST_NAME, max(rest, 1))
    bar = rest - name - gap
    if bar < _LEAST_BAR:  # a shorter name, if one is long, rather than no bar at all
        shorter = max(rest - gap - _LEAST_BAR, min(_LEAST_NAME, name))
        name, bar = (shorter, _LEAST_BAR) if rest - gap - shorter >= _LEAST_BAR else (name, 0)
    return name, min(bar, _MOST_BAR)


def _measure(rows: Sequence[Figures]) -> tuple[Callable[[Figures], float], str]:
    """What bars are as long as: the cost, or tokens where hardly any cost is known."""
    unknown, requests = sum(row.unknown for row in rows), sum(row.requests for row in rows)
    if any(row.usd for row in rows) and unknown * 2 <= requests:
        return lambda row: row.usd, "by cost"
    return lambda row: float(row.prompt + row.tokens["output"]), "by tokens"


def drawn_bar(part: float, width: int) -> str:
    """A bar of `part` of `width` columns, to an eighth of one; something is always seen of what is not nothing."""
    eighths = max(round(part * width * 8), 1) if part > 0 else 0
    whole, rest = divmod(min(eighths, width * 8), 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")

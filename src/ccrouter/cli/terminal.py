"""What a person or a script reads: data on stdout, words on stderr, nothing told by colour alone.

Rich is imported only to draw a table for a terminal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

# Control characters, and those that turn the direction of what follows.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def survive_any_encoding() -> None:
    """After the call a character that the terminal's encoding lacks is shown as `?` instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Programs that read a pipe on Windows expect UTF-8, not the console's code page.
            piped = os.name == "nt" and not stream.isatty()
            reconfigure(errors="replace", **({"encoding": "utf-8"} if piped else {}))


def say(text: str = "") -> None:
    """`text` on stdout, at once: programs wait for lines of a start that does not end."""
    print(text, flush=True)


def note(text: str) -> None:
    """`text` on stderr."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str, hint: str = "") -> None:
    """A warning on stderr, with what to do about it."""
    _tell("warning", text, hint)


def fail(text: str, hint: str = "") -> None:
    """An error on stderr, with what to do about it."""
    _tell("error", text, hint)


def harmless(text: str) -> str:
    """`text` without what could move the cursor, paint or hide: words of providers and presets are not ours to obey.

    Line breaks and tabs stay; anything else of the kind is written as its number.
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def table(title: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """Two columns: drawn if stdout is a terminal, aligned text if it is not."""
    if not sys.stdout.isatty():
        width = max(len(left) for left, _ in (title, *rows))
        return "\n".join(f"  {left.ljust(width)}  {right}" for left, right in (title, *rows))
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*title, box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        drawn.add_row(*map(Text, row))  # as Text: a model's name may look like rich's markup
    console = Console()
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip())


def _tell(kind: str, text: str, hint: str) -> None:
    text, hint = harmless(text), harmless(hint)
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.name != "nt"
    colour = "\033[31m" if kind == "error" else "\033[33m"
    note(f"{colour}{kind}:\033[0m {text}" if coloured else f"{kind}: {text}")
    if hint:
        note(f"  hint: {hint}")

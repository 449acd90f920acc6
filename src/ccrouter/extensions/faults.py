"""What the user's code did wrong, for two readers: the client gets one line, the log everything."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from ccrouter.errors import ExtensionError, RouterError

#: Takes level ("info", "warn", "error"), message and facts of a line of the log. Who gives it takes keys out of them.
Journal = Callable[..., None]

#: Of what an exception says, characters that a client is told.
_MOST_WORDS = 300
#: Of a trace, characters that are kept.
_MOST_TRACE = 20_000


class Faults:
    """Makes errors of exceptions, and writes their traces into `journal`."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def blame(self, error: BaseException, what: str, path: Path, *, request_id: str = "") -> RouterError:
        """The error to raise in place of `error`, which the code at `path` let through while doing `what`.

        One of the router's own errors is meant as it is.
        """
        if isinstance(error, RouterError):
            return error
        line = line_in(error, path)
        trace = "".join(traceback.format_exception(error))
        return self.tell(what, path, line, f"{type(error).__name__}: {error}", trace, request_id=request_id)

    def tell(  # noqa: PLR0913 - what is known of a failure
        self, what: str, path: Path, line: int | None, words: str, trace: str, *, request_id: str = ""
    ) -> ExtensionError:
        """As `blame`, of a failure in another language."""
        place = f"{path.name}, line {line}" if line else path.name
        summary = f"{what} failed ({place}): {_short(words)}"
        facts = {"reqId": request_id} if request_id else {}
        self.journal("error", "custom code failed", what=what, file=str(path), trace=trace[-_MOST_TRACE:], **facts)
        return ExtensionError(summary)


def line_in(error: BaseException, path: Path) -> int | None:
    """The line of `path` that was at work last; for one that cannot be parsed, where it cannot. None if it was not."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _short(words: str) -> str:
    first = words.strip().partition("\n")[0]
    return first if len(first) <= _MOST_WORDS else f"{first[:_MOST_WORDS]}…"

"""Which of Claude Code's projects a session belongs to, asked once in a while."""

from __future__ import annotations

import time
from collections import OrderedDict

from ccrouter.store.entry import FindProject

_REMEMBERED = 5_000
#: Seconds after which a session without a project is looked up again: Claude Code may write its file later.
_ASK_AGAIN = 30.0


class Projects:
    """Remembers the answers of `find`."""

    def __init__(self, find: FindProject | None) -> None:
        self._find = find
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def find(self, session: str) -> str:
        """The folder's name; "" if there is none, or if it cannot be looked for."""
        if not session or self._find is None:
            return ""
        project, asked = self._known.get(session, ("", -_ASK_AGAIN))
        if project or time.monotonic() - asked < _ASK_AGAIN:
            return project
        try:
            project = self._find(session) or ""
        except OSError:  # a folder that nobody may read: its project stays unknown
            project = ""
        self._known[session] = (project, time.monotonic())
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return project

"""Which full files of a chain need not be kept where no policy asks for the log. Reads files, removes none."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import NamedTuple

from ccrouter.audit.chain import LINE_LIMIT, Breach, Link, read
from ccrouter.audit.files import ChainFiles

#: Full files that are kept in any case, the newest ones.
KEPT = 3

# The digest of a policy that was in force. In a text the quotation marks would be escaped.
_UNDER_A_POLICY = re.compile(rb'"policy":"[^"]')


class Surplus(NamedTuple):
    """Files that may go, the oldest first; and the last line in them: what remains follows it."""

    paths: list[Path]
    last: Link


def find_surplus(files: ChainFiles) -> Surplus | None:
    """The oldest full files but the newest KEPT, up to the first with a line that was written under a policy: what a
    policy was in force for stays. None if all stay, or where what follows is no sound record. Raises OSError.
    """
    rotated = files.rotated()
    old: list[Path] = []
    for path in rotated[:-KEPT]:
        if _is_under_a_policy(path):
            break
        old.append(path)
    if not old:
        return None
    with rotated[len(old)].open("rb") as file:
        line = file.readline(LINE_LIMIT + 1)
    try:
        first = read(line.removesuffix(b"\n"))
    except Breach:  # nothing could be said of what it follows
        return None
    return Surplus(old, first.before)


def _is_under_a_policy(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _UNDER_A_POLICY.search(content) is not None

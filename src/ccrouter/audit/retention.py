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
    """A file that may go, and the last line in it: what remains follows that."""

    path: Path
    last: Link


def find_surplus(files: ChainFiles) -> Surplus | None:
    """The oldest full file, if there are more than KEPT. Raises OSError.

    None if it has a line that was written under a policy, as it stays then with all that follows it; and where what
    follows it is no sound record.
    """
    rotated = files.rotated()
    if len(rotated) <= KEPT or _is_under_a_policy(rotated[0]):
        return None
    with rotated[1].open("rb") as file:
        line = file.readline(LINE_LIMIT + 1)
    try:
        first = read(line.removesuffix(b"\n"))
    except Breach:  # nothing could be said of what it follows
        return None
    return Surplus(rotated[0], first.before)


def _is_under_a_policy(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _UNDER_A_POLICY.search(content) is not None

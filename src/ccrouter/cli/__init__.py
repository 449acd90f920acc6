"""The command `ccr`. Here is only what every call pays for.

Other programs ask for the version to see whether `ccr` is there, so that is answered before anything else is imported;
and Claude Code asks for its status line all the time, so that imports next to nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ccrouter import __version__

_VERSION_WORDS = ("-v", "--version", "version")


def version_line() -> str:
    """The line that programs look for: installers search it for x.y.z, others for the words before it."""
    return f"claude-code-router version: {__version__}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `ccr <arguments>`, by default those of this process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) == 1 and words[0] in _VERSION_WORDS:
        print(version_line())
        return 0
    if words[:1] == ["statusline"] and len(words) <= 2 and not any(word.startswith("-") for word in words):
        from ccrouter.cli.footline import print_line

        return print_line("".join(words[1:]), os.environ)
    from ccrouter.cli.group import run

    return run(words)

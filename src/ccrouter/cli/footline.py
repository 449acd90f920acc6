"""What `ccr statusline` does, without what every other command imports first: Claude Code waits for it all the time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ccrouter.cli.terminal import survive_any_encoding
from ccrouter.service.statusline.line import NotUnderstood, compose, parse


def print_line(preset: str, environ: Mapping[str, str]) -> int:
    """The exit code, 0, once the line is on stdout; 1 if stdin is not what Claude Code sends, which is said on stderr.

    At a terminal, where nothing would come, the line is that of this folder.
    """
    survive_any_encoding()
    try:
        said = {"workspace": {"current_dir": os.getcwd()}} if _is_typed() else parse(_stdin())  # noqa: PTH109 - see service/statusline
    except NotUnderstood as error:
        print(f"Error parsing status line data: {error}", file=sys.stderr)
        return 1
    try:
        line, complaints = compose(said, preset, environ)
    except Exception as error:  # noqa: BLE001 - a defect of ours may cost the line, and not the user's prompt
        line, complaints = "", [f"no status line: {type(error).__name__}: {error}"]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(line, flush=True)
    return 0


def _is_typed() -> bool:
    return sys.stdin is None or sys.stdin.isatty()


def _stdin() -> str:
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace")

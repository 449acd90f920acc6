"""Whose signal it is."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys

import pytest

PROGRAM = "from ccrouter.service.foreground import _is_on_keyboard; print(_is_on_keyboard())"


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid gives a process a terminal, or takes it away")
@pytest.mark.parametrize(("options", "expected"), [(["--ctty"], "True"), ([], "False")])
def test_keyboard(options: list[str], expected: str) -> None:
    """In the foreground of a terminal a key signals the whole group; without a terminal a signal is meant for us alone."""
    ours, theirs = pty.openpty()
    try:
        command = ["setsid", "--wait", *options, sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout.strip() == expected

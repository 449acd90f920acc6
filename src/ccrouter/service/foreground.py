"""Runs one program in the foreground in our place: its terminal, its signals, its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

# From a keyboard these reach the whole foreground group, so the program has them without us.
_FROM_KEYBOARD = [name for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
_TO_US_ALONE = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run_in_foreground(command: Sequence[str], environ: Mapping[str, str], *, without_input: bool = False) -> int:
    """The exit code of `command`, run with our stdin, stdout and stderr and no shell; 128 + n if signal n ended it.

    While it runs, signals meant for us go to it. `without_input`: its stdin is empty. Raises OSError if it does not
    start.
    """
    with (
        subprocess.Popen(  # noqa: S603 - the user's own program and arguments
            list(command), env=dict(environ), stdin=subprocess.DEVNULL if without_input else None
        ) as child,
        _signals_to(child),
    ):
        code = child.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """While open, a signal that reached us alone is passed on to `child`; none ends us."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number not in keyboard or not _is_on_keyboard():
            child.send_signal(number)

    keyboard = {getattr(signal, name) for name in _FROM_KEYBOARD}
    before = {}
    for name in (*_FROM_KEYBOARD, *_TO_US_ALONE):
        number = getattr(signal, name)
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and `&` ask for that, and the child has it from us
            before[number] = signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _is_on_keyboard() -> bool:
    """True if a key on the terminal would signal our group, and with it the child."""
    if sys.platform == "win32":
        return True
    else:  # noqa: RET505 - the type checker leaves out the other system's branch only so
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        except OSError:  # no terminal: the signal was sent by a program, to us
            return False
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        except OSError:  # the terminal is gone
            return False
        finally:
            os.close(terminal)

"""A `ccr` on a terminal of its own: what it shows is read, and what is typed is sent."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Self

from tests.cli.conftest import LIMIT, Ccr

#: Ctrl-C reaches whom the terminal belongs to: it is taken before the program begins.
_TAKES_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """`with Terminal(ccr, "model") as screen`. Ended when the block is left."""

    ccr: Ccr
    words: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    shown: str = ""

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-c", _TAKES_TERMINAL, *self.ccr.command(*self.words)],
            env=self.ccr.environ | {"TERM": "dumb", "COLUMNS": "120"} | self.environ,
            stdin=slave, stdout=slave, stderr=slave, cwd=self.ccr.home, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self._master)

    def expect(self, wanted: str) -> str:
        """What is shown up to and with `wanted`; it is not looked at again."""
        deadline = time.monotonic() + LIMIT
        while wanted not in self.shown:
            assert self._read(deadline), f"no {wanted!r} in {self.shown!r}"
        before, found, self.shown = self.shown.partition(wanted)
        return before + found

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def answer(self, wanted: str, text: str) -> None:
        """Type a line once `wanted` is shown."""
        self.expect(wanted)
        self.type(text + "\n")

    def end(self) -> int:
        """The exit code, once it has ended by itself; what it showed last is in `shown`."""
        deadline = time.monotonic() + LIMIT
        while self._read(deadline):
            pass
        return self.child.wait(timeout=LIMIT)

    def interrupt(self) -> int:
        """The exit code after Ctrl-C. Typed again where nothing comes of it: one that comes between the prompt and the
        wait of GNU readline for a key is seen with the next key only.
        """
        giving_up = time.monotonic() + LIMIT
        while self.child.poll() is None and time.monotonic() < giving_up:
            self.type("\x03")
            while select.select([self._master], [], [], 1.0)[0] and self._read(giving_up):
                pass
        return self.end()

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more came after {self.shown!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side is gone
            return False
        self.shown += _CONTROL.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))
        return bool(data)

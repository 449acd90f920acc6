"""Following a log: every line once, through whatever happens to the file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ccrouter.logs import tail
from ccrouter.logs.files import put_away
from ccrouter.logs.tail import Tail

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be renamed there")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ccr-20261122100000.log"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_from_now_on(path, clock):
    """What stood there before is not told; a line is, once it is whole."""
    append(path, "old\n")
    followed = Tail(lambda: path, clock=clock)
    assert followed.begin() == (path, 4)
    assert followed.read() == []
    append(path, "one\ntw")
    assert followed.read() == [b"one"]
    append(path, "o\n\nthree\n")
    assert followed.read() == [b"two", b"three"]
    assert followed.read() == []
    followed.close()


def test_from_the_beginning(path, clock):
    """If asked for, what is there is told first."""
    append(path, "old\n")
    followed = Tail(lambda: path, from_start=True, clock=clock)
    assert followed.read() == [b"old"]
    followed.close()


def test_a_log_that_is_yet_to_come(path, clock):
    """Of a log that is made later everything is told."""
    followed = Tail(lambda: path if path.exists() else None, clock=clock)
    assert followed.begin() is None
    assert followed.read() == []
    append(path, "first\n")
    assert followed.read() == [b"first"]
    followed.close()


def test_put_away(path, clock):
    """It goes on with the new file, and reads the old one for a while: other processes write to it until they notice."""
    append(path, "one\n")
    followed = Tail(lambda: path, from_start=True, clock=clock)
    followed.read()
    append(path, "two\n")
    old = os.open(path, os.O_WRONLY | os.O_APPEND)
    put_away(path, old, keep=5)
    assert followed.read() == [b"two"], "there is no new one yet"
    append(path, "four\n")
    os.write(old, b"three\n")
    assert followed.read() == [b"three", b"four"]
    os.write(old, b"late\n")
    assert followed.read() == [b"late"]
    clock.now += tail._LINGER + 1
    append(path, "five\n")
    assert followed.read() == [b"five"]
    assert len(followed._open) == 1
    os.close(old)
    followed.close()


def test_emptied(path, clock):
    """After it was emptied it is read from its beginning."""
    append(path, "a long line\n")
    followed = Tail(lambda: path, from_start=True, clock=clock)
    assert followed.read() == [b"a long line"]
    os.truncate(path, 0)
    assert followed.read() == []
    append(path, "new\n")
    assert followed.read() == [b"new"]
    followed.close()


def test_another_run(path, tmp_path, clock):
    """When another run's log is the newest one, that is followed, from its beginning."""
    append(path, "old run\n")
    other = tmp_path / "ccr-20261122110000.log"
    followed = Tail(lambda: other if other.exists() else path, clock=clock)
    assert followed.read() == []
    append(other, "new run\n")
    append(path, "last words\n")
    assert followed.read() == [b"last words", b"new run"]
    followed.close()

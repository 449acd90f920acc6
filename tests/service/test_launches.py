"""Keys that live as long as one launch."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.service.launches import FOLDER, PREFIX, LaunchKeys, minted
from ccrouter.service.process import identify, own_identity


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def file_of(folder: Path, key: str) -> Path:
    return folder / FOLDER / hashlib.sha256(key.encode()).hexdigest()


def plant(folder: Path, key: str, pid: int, started: str) -> Path:
    """A file as `minted` would have written it for that process."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    path = file_of(folder, key)
    path.write_text(json.dumps({"pid": pid, "started": started}))
    path.chmod(0o600)
    return path


def test_while_it_lives(tmp_path: Path) -> None:
    """A minted key is good while it is open, and its file is gone afterwards."""
    keys = LaunchKeys(tmp_path)
    with minted(tmp_path) as key:
        assert keys.admits(key)
        assert file_of(tmp_path, key).exists()
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert not LaunchKeys(tmp_path).admits(key)


def test_on_disk_there_is_no_key(tmp_path: Path) -> None:
    """The file is 0600 in a 0700 folder, named by the key's hash, and holds the process and nothing of the key."""
    with minted(tmp_path) as key:
        assert key.startswith(PREFIX)
        assert len(key) - len(PREFIX) >= 43, "256 bits"
        path = file_of(tmp_path, key)
        own = own_identity()
        assert json.loads(path.read_text()) == {"pid": own.pid, "started": own.started}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        texts = [str(path) + path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
        assert not [text for text in texts if key[len(PREFIX) :] in text]


def test_two_at_once(tmp_path: Path) -> None:
    """Each launch has its own key, and ends alone."""
    keys = LaunchKeys(tmp_path, Clock())
    with minted(tmp_path) as first:
        with minted(tmp_path) as second:
            assert first != second
        assert keys.admits(first)
        assert not keys.admits(second)


@pytest.mark.parametrize("change", ["", "x", "\udcff", "../../etc/passwd", "\0"])
def test_other_keys(tmp_path: Path, change: str) -> None:
    """Anything else is refused: nothing, more, strange characters, a path; and so is the hash, which others may know."""
    keys = LaunchKeys(tmp_path)
    with minted(tmp_path) as key:
        assert not keys.admits(PREFIX + change)
        assert not keys.admits(change)
        assert not change or not keys.admits(key + change)
        assert not keys.admits(file_of(tmp_path, key).name)
        assert not keys.admits(PREFIX + file_of(tmp_path, key).name)


def test_killed(tmp_path: Path) -> None:
    """A launch that was killed could remove nothing: its key is refused all the same, and the file then removed."""
    program = (
        "import sys, pathlib; from ccrouter.service.launches import minted\n"
        "with minted(pathlib.Path(sys.argv[1])) as key: print(key, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        key = child.stdout.readline().strip()
        clock = Clock()
        keys = LaunchKeys(tmp_path, clock)
        assert keys.admits(key)
    finally:
        child.kill()
        child.communicate()
    clock.now += 1.5
    assert not keys.admits(key)
    assert not file_of(tmp_path, key).exists()


def test_reused_number(tmp_path: Path) -> None:
    """A process that has the number of an ended launch today does not make its key good."""
    path = plant(tmp_path, PREFIX + "a", os.getpid(), "long ago")
    assert not LaunchKeys(tmp_path).admits(PREFIX + "a")
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are others there")
@pytest.mark.parametrize("kind", ["nested", "infinite", "folder", "pipe", "endless"])
def test_planted_things(tmp_path: Path, kind: str) -> None:
    """Whatever stands in the place of a launch's file is no launch, and neither an error nor a reason to wait."""
    path = plant(tmp_path, PREFIX + "a", os.getpid(), own_identity().started)
    path.unlink()
    match kind:
        case "nested":
            path.write_text("[" * 100_000)
        case "infinite":
            path.write_text('{"pid": 1e400, "started": "1"}')
        case "folder":
            path.mkdir(mode=0o700)
        case "pipe":
            os.mkfifo(path, 0o600)
        case _:
            path.symlink_to("/dev/zero")
    assert not LaunchKeys(tmp_path).admits(PREFIX + "a")
    with minted(tmp_path) as key:
        assert LaunchKeys(tmp_path).admits(key)


def test_sweep(tmp_path: Path) -> None:
    """A new launch removes what ended ones left, and files that say nothing; those of living ones and strangers stay."""
    parent = identify(os.getppid())
    assert parent is not None
    ended = plant(tmp_path, PREFIX + "a", os.getpid(), "long ago")
    broken = plant(tmp_path, PREFIX + "b", 1, "")
    broken.write_text('["a list"]')
    living = plant(tmp_path, PREFIX + "c", parent.pid, parent.started)
    foreign = tmp_path / FOLDER / "notes.txt"
    foreign.write_text("mine")
    with minted(tmp_path):
        assert (ended.exists(), broken.exists(), living.exists(), foreign.exists()) == (False, False, True, True)


def test_remembered_for_a_second(tmp_path: Path) -> None:
    """A good answer costs the system nothing for one second; then it is asked anew."""
    clock = Clock()
    keys = LaunchKeys(tmp_path, clock)
    with minted(tmp_path) as key:
        assert keys.admits(key)
    clock.now += 0.9
    assert keys.admits(key)
    clock.now += 0.2
    assert not keys.admits(key)


@pytest.mark.skipif(os.name == "nt", reason="modes")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_planted_by_others(tmp_path: Path, what: str) -> None:
    """Where others may write, they could have put the file there: it counts for nothing."""
    with minted(tmp_path) as key:
        path = file_of(tmp_path, key)
        (path if what == "file" else path.parent).chmod(0o770)
        assert not LaunchKeys(tmp_path).admits(key)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_count_for_nothing(tmp_path: Path) -> None:
    """A link in place of the file is not followed."""
    with minted(tmp_path) as key:
        path = file_of(tmp_path, key)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        assert not LaunchKeys(tmp_path).admits(key)


def test_no_folder(tmp_path: Path) -> None:
    """Asking where no launch ever was finds nothing and makes nothing."""
    assert not LaunchKeys(tmp_path / "none").admits(PREFIX + "a")
    assert list(tmp_path.iterdir()) == []

"""The configuration file replaced: whole or not at all, with the last three contents beside it."""

from __future__ import annotations

import errno
import os
import stat
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ccrouter.config import backup
from ccrouter.config.backup import backups, save
from ccrouter.errors import ConfigError

NOW = datetime(2026, 11, 22, 10, 30, 0, 123456, tzinfo=UTC)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "config.json"
    found.write_text("old")
    return found


def names(folder):
    return sorted(child.name for child in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_backup_and_the_new_text(path):
    """The old content is in a file of the known name, by UTC; the new one, with its line ends, in the file."""
    here = timezone(timedelta(hours=2))
    made = save(path, "new\r\nключ", now=NOW.astimezone(here))
    assert made == path.with_name("config.json.2026-11-22T10-30-00-123Z.bak")
    assert made.read_text() == "old"
    assert path.read_bytes() == "new\r\nключ".encode()
    assert names(path.parent) == ["config.json", made.name]


@posix
def test_a_new_file_is_private(tmp_path):
    """Without an old file there is no backup; file and folder are the owner's alone whatever the umask."""
    before = os.umask(0)
    try:
        assert save(tmp_path / "router" / "config.json", "new", now=NOW) is None
    finally:
        os.umask(before)
    assert mode(tmp_path / "router") == 0o700
    assert mode(tmp_path / "router" / "config.json") == 0o600


@posix
def test_mode_is_kept_and_the_backup_is_private(path):
    """A file that others may read stays so; its backup is the owner's alone."""
    path.chmod(0o644)
    made = save(path, "new", now=NOW)
    assert (mode(path), mode(made)) == (0o644, 0o600)


@posix
def test_owner_is_kept(path, monkeypatch):
    """Root gives the file back to whom it belonged; others keep what they can write, and it is no failure."""
    given = []
    real = os.fstat

    def foreign(descriptor):
        found = list(real(descriptor))
        found[stat.ST_UID] += 1
        return os.stat_result(found)

    monkeypatch.setattr(backup.os, "fstat", foreign)
    monkeypatch.setattr(backup.os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    save(path, "new", now=NOW)
    assert given == [(path.stat().st_uid, path.stat().st_gid)]

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(backup.os, "fchown", refuse)
    save(path, "newer", now=NOW)
    assert path.read_text() == "newer"


def test_the_newest_three_stay(path):
    """Of many saves the last three contents are kept."""
    for hour in range(6):
        save(path, f"text {hour}", now=NOW + timedelta(hours=hour))
    assert [found.read_text() for found in backups(path)] == ["text 4", "text 3", "text 2"]


def test_two_saves_in_one_millisecond(path):
    """Neither backup takes the other's place."""
    first, second = save(path, "one", now=NOW), save(path, "two", now=NOW)
    assert (first.read_text(), second.read_text()) == ("old", "one")
    assert backups(path) == [second, first]


def test_only_backups_are_removed(path):
    """What only resembles a backup is somebody's own, and stays; so do folders and links of the exact form."""
    others = [
        "config.json.bak",
        "config.json.2020-01-01T00-00-00-000Z.bak.txt",
        "config.json.2020-01-01T00-00-00Z.bak",
        "config.json.2020-01-01T00:00:00.000Z.bak",
        "config.json.mine.bak",
        "xconfig.json.2020-01-01T00-00-00-000Z.bak",
        "configXjson.2020-01-01T00-00-00-000Z.bak",
        "config.json.２020-01-01T00-00-00-000Z.bak",
        "other.json.2020-01-01T00-00-00-000Z.bak",
    ]
    if sys.platform == "win32":
        others = [name for name in others if ":" not in name]
    for name in others:
        path.with_name(name).write_text("mine")
    path.with_name("config.json.2020-01-02T00-00-00-000Z.bak").mkdir()
    for hour in range(5):
        save(path, f"text {hour}", now=NOW + timedelta(hours=hour))
    assert set(others) < set(names(path.parent))
    assert len(names(path.parent)) == len(others) + 5


@posix
def test_a_symlink_stays_one(path, tmp_path):
    """Of a link the file it points to is written; the backup, which holds secrets, stays beside the link."""
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    path.rename(elsewhere / "ccr.json")
    path.symlink_to(elsewhere / "ccr.json")
    made = save(path, "new", now=NOW)
    assert path.is_symlink()
    assert (elsewhere / "ccr.json").read_text() == "new"
    assert names(elsewhere) == ["ccr.json"]
    assert made.parent == tmp_path


@posix
def test_a_link_in_the_place_of_a_backup_is_not_followed(path, tmp_path):
    """Whoever puts a link where the backup goes does not get it."""
    trap = path.with_name("config.json.2026-11-22T10-30-00-123Z.bak")
    trap.symlink_to(tmp_path / "trap")
    made = save(path, "new", now=NOW)
    assert made != trap
    assert not (tmp_path / "trap").exists()


def test_the_same_text_is_no_change(path):
    """Saving what is there makes no backup: it would push out one that is worth more."""
    before = path.stat().st_ino
    assert save(path, "old", now=NOW) is None
    assert (names(path.parent), path.stat().st_ino) == (["config.json"], before)


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("fails_at", [0, 1], ids=["backup", "text"])
def test_a_full_disk(path, monkeypatch, fails_at):
    """If the backup or the new text cannot be written whole, the file is what it was and nothing is left over."""
    calls = []
    real = os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == fails_at + 1:
            full()
        real(descriptor)

    monkeypatch.setattr(backup.os, "fsync", fsync)
    with pytest.raises(ConfigError, match=r"config\.json: cannot be written: No space left"):
        save(path, "new", now=NOW)
    assert len(calls) == fails_at + 1
    assert (path.read_text(), names(path.parent)) == ("old", ["config.json"])


@posix
def test_a_folder_that_cannot_be_asked_to_remember(path, monkeypatch):
    """A file system without a sync for folders is no failure: the text is in place."""
    monkeypatch.setattr(backup, "_settle", full)
    assert save(path, "new", now=NOW)
    assert path.read_text() == "new"


def test_old_backups_that_cannot_be_removed(path, monkeypatch):
    """A backup too many is no failure of a save that succeeded."""
    monkeypatch.setattr(backup, "backups", full)
    save(path, "new", now=NOW)
    assert path.read_text() == "new"


def test_nothing_but_a_file_is_replaced(tmp_path):
    """A folder at the place is a ConfigError, and stays."""
    folder = tmp_path / "config.json"
    folder.mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        save(folder, "new", now=NOW)
    assert names(tmp_path) == ["config.json"]


@posix
def test_a_pipe_is_not_waited_for(tmp_path):
    """A pipe at the place is refused at once; nobody need write into it."""
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ConfigError, match="it is not a file"):
        save(tmp_path / "config.json", "new", now=NOW)


def test_a_text_without_utf8(path):
    """A text that cannot be written is refused before anything is."""
    with pytest.raises(ConfigError, match="not Unicode"):
        save(path, '"\ud800"', now=NOW)
    assert names(path.parent) == ["config.json"]

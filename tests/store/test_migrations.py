"""Every file that was ever written can be read on, with all that is in it."""

from __future__ import annotations

import json
import sqlite3
import threading

import pytest

from ccrouter.store import migrations
from ccrouter.store.database import StoreUnusable, open_for_reading, open_for_writing
from ccrouter.store.migrations import VERSION, migrate, version_of
from tests.store.keep_version import kept, told_of, unpack

KEPT = kept()


def _shape(connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


def test_every_version_is_kept():
    """There is a file of each version up to this one: whoever adds a migration keeps one of the version before."""
    assert sorted(KEPT) == list(range(1, VERSION + 1))


@pytest.mark.parametrize("version", KEPT)
def test_a_file_of_each_version_is_brought_up_with_its_rows(version, tmp_path):
    """After opening it has the newest version's shape, sound pages, and every figure it had."""
    path = unpack(KEPT[version], tmp_path / "records.db")
    connection = open_for_writing(path, pytest.fail)
    fresh = open_for_writing(tmp_path / "fresh.db", pytest.fail)
    try:
        assert version_of(connection) == VERSION
        assert _shape(connection) == _shape(fresh)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()
        fresh.close()
    assert told_of(path) == json.loads(KEPT[version].with_name(f"version-{version}.json").read_text())


@pytest.mark.parametrize("version", [version for version in KEPT if version < VERSION])
def test_a_reader_alone_brings_it_up_too(version, tmp_path):
    """A command that only reads finds an older file in the newest version."""
    path = unpack(KEPT[version], tmp_path / "records.db")
    connection = open_for_reading(path)
    assert version_of(connection) == VERSION
    connection.close()


def test_a_step_that_fails_changes_nothing(tmp_path, monkeypatch):
    """A migration that breaks off leaves the file as it was, in its old version."""
    path = tmp_path / "records.db"
    open_for_writing(path, pytest.fail).close()

    def broken(connection) -> None:
        connection.execute("CREATE TABLE half (a)")
        connection.execute("CREATE NONSENSE")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, broken))
    monkeypatch.setattr(migrations, "VERSION", VERSION + 1)
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="NONSENSE"):
        migrate(connection)
    assert version_of(connection) == VERSION
    assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone() is None
    connection.close()


def test_several_at_once_migrate_it_once(tmp_path):
    """Openers that meet at a new file, or at an old one, all find it made."""
    path = unpack(KEPT[1], tmp_path / "records.db")
    for place in (path, tmp_path / "new.db"):
        start, faults = threading.Barrier(4), []

        def opening(place=place, start=start, faults=faults) -> None:
            start.wait()
            try:
                open_for_writing(place, faults.append, 10_000).close()
            except (sqlite3.Error, StoreUnusable) as error:
                faults.append(error)

        threads = [threading.Thread(target=opening) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        connection = open_for_reading(place)
        assert version_of(connection) == VERSION
        connection.close()


def test_a_newer_file_is_left_alone(tmp_path):
    """One that a newer ccr wrote is neither changed nor read: the words say so."""
    path = tmp_path / "records.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 5}")
    connection.close()
    before = path.read_bytes()
    for opening in (lambda: open_for_writing(path, pytest.fail), lambda: open_for_reading(path)):
        with pytest.raises(
            StoreUnusable, match=rf"newer ccr \(version {VERSION + 5} of its records, this one knows {VERSION}\)"
        ):
            opening()
    assert path.read_bytes() == before

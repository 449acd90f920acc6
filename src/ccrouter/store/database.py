"""The file of records: opened for writing or for reading. Knows no table.

Several processes write to it at the same time, each in short transactions. One that is no database, or a broken one, is
put aside and a new one begun; one that a newer ccr has written is left alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ccrouter.errors import RouterError
from ccrouter.store.migrations import VERSION, migrate, version_of

#: Its name in the router's folder.
FILE = "records.db"
#: For how long a writer waits for another one, in milliseconds.
_PATIENCE = 2000
_COMPANIONS = ("-wal", "-shm")


class StoreUnusable(RouterError):
    """The file of records cannot be used as it is; the text says why, and what to do."""


def open_for_writing(path: Path, tell: Callable[[str], None], patience: int = _PATIENCE) -> sqlite3.Connection:
    """The file at `path`, made if it is not there, readable by its owner alone, in the newest version.

    `tell` hears of a broken one that was put aside. Raises StoreUnusable for one of a newer version, sqlite3.Error or
    OSError for what cannot be opened.
    """
    try:
        return _open(path, patience)
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        aside = put_aside(path)
        tell(f"the records in {path} were damaged ({error}): they were put aside as {aside.name}, new ones are begun")
        return _open(path, patience)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The file at `path`, which nobody can change through this connection; an empty one if there is none.

    One of an older version is brought to the newest first. Raises StoreUnusable.
    """
    try:
        connection = _connect_reading(path)
        if 0 < version_of(connection) < VERSION:
            connection.close()
            _open(path, _PATIENCE).close()
            connection = _connect_reading(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnusable(f"the records in {path} cannot be read: {error}") from error
    version = version_of(connection)
    if version == 0:  # somebody is about to fill it
        connection.close()
        return _empty()
    _refuse_newer(path, version)
    return connection


def is_broken(error: sqlite3.Error) -> bool:
    """True if `error` says that the file itself is damaged, or no database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def put_aside(path: Path) -> Path:
    """Where the file at `path` and its companions are now: beside it, under a name that tells when. Raises OSError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}-{os.getpid()}")
    for companion in ("", *_COMPANIONS):
        with contextlib.suppress(FileNotFoundError):  # another process may have been first
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    return aside


def place_of(path: Path) -> tuple[int, int] | None:
    """Which file stands at `path`; None if none does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _open(path: Path, patience: int) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):  # made here and not by SQLite, which asks the umask who may read it
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
    connection = sqlite3.connect(path, timeout=patience / 1000, isolation_level=None, check_same_thread=False)
    try:
        _refuse_newer(path, version_of(connection))
        _set_up(connection, patience)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, patience: int) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table
    give_up = time.monotonic() + patience / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two that make a new file at once: SQLite does not wait here, as it does elsewhere.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: power loss may cost the last commits, not the file
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA cache_size = -8192")


def _connect_reading(path: Path) -> sqlite3.Connection:
    if not path.exists():
        return _empty()
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=_PATIENCE / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        version_of(connection)
    except sqlite3.OperationalError:
        # In a folder where nothing can be written there is nobody who writes either.
        connection.close()
        if os.access(path.parent, os.W_OK):
            raise
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection)
    return connection


def _refuse_newer(path: Path, version: int) -> None:
    if version > VERSION:
        raise StoreUnusable(
            f"{path} was written by a newer ccr (version {version} of its records, this one knows {VERSION}): "
            "use that one, or move the file away"
        )

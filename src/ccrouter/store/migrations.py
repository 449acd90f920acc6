"""The shape of the file, as the ordered steps that led to it. A step that was released is never changed again.

What a row is filed under (models, providers, routes, ...) are numbers of `names`. An exchange's number `n` is the time
at which it began, in milliseconds since 1970, times 2^20, and a count: rows lie in the order of time, and every index
ends in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

Migration = Callable[[sqlite3.Connection], None]

_RECORDS = """
CREATE TABLE names (n INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE shapes (n INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);
CREATE TABLE sessions (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project INTEGER NOT NULL, client INTEGER NOT NULL,
    began INTEGER NOT NULL, ended INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, thinking INTEGER NOT NULL, usd REAL NOT NULL, unpriced INTEGER NOT NULL,
    breaks INTEGER NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (ended);
CREATE TABLE session_models (
    session INTEGER NOT NULL, model INTEGER NOT NULL, provider INTEGER NOT NULL, route INTEGER NOT NULL,
    is_failed INTEGER NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    thinking INTEGER NOT NULL, usd REAL NOT NULL, unpriced INTEGER NOT NULL,
    PRIMARY KEY (session, model, provider, route, is_failed)
) WITHOUT ROWID;
CREATE TABLE agents (
    session INTEGER NOT NULL, agent TEXT NOT NULL, kind INTEGER NOT NULL, began INTEGER NOT NULL,
    ended INTEGER NOT NULL, PRIMARY KEY (session, agent)
) WITHOUT ROWID;
CREATE TABLE exchanges (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, path INTEGER NOT NULL, status INTEGER NOT NULL, error TEXT,
    asked INTEGER NOT NULL, model INTEGER NOT NULL, answered INTEGER NOT NULL, provider INTEGER NOT NULL,
    route INTEGER NOT NULL, reason TEXT, policy INTEGER NOT NULL, session INTEGER NOT NULL, agent TEXT,
    agent_type INTEGER NOT NULL, class INTEGER NOT NULL, project INTEGER NOT NULL, client INTEGER NOT NULL,
    key INTEGER NOT NULL, stop INTEGER NOT NULL, streamed INTEGER NOT NULL, bytes INTEGER NOT NULL,
    answer_bytes INTEGER NOT NULL, attempts INTEGER NOT NULL, failed_attempts INTEGER NOT NULL,
    resumed INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL, thinking INTEGER NOT NULL, usd REAL,
    price_source INTEGER NOT NULL, ttft REAL, total REAL NOT NULL, gateway REAL NOT NULL,
    approximated INTEGER NOT NULL, dropped INTEGER NOT NULL, estimate INTEGER, verdict TEXT
);
CREATE UNIQUE INDEX exchanges_by_id ON exchanges (id);
CREATE INDEX exchanges_by_session ON exchanges (session);
CREATE INDEX exchanges_refused ON exchanges (policy) WHERE status = 403;
CREATE TABLE attempts (
    exchange INTEGER NOT NULL, place INTEGER NOT NULL, target INTEGER NOT NULL, key INTEGER NOT NULL,
    kind INTEGER NOT NULL, status INTEGER NOT NULL, failure TEXT, began REAL NOT NULL, ended REAL NOT NULL,
    waited REAL NOT NULL, sent REAL NOT NULL, connected REAL NOT NULL, headers REAL NOT NULL, first REAL NOT NULL,
    input INTEGER, output INTEGER, cache_read INTEGER, cache_write INTEGER, PRIMARY KEY (exchange, place)
) WITHOUT ROWID;
CREATE TABLE details (n INTEGER PRIMARY KEY, shape INTEGER NOT NULL, price INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE rollups (
    span INTEGER NOT NULL, at INTEGER NOT NULL, model INTEGER NOT NULL, provider INTEGER NOT NULL,
    route INTEGER NOT NULL, project INTEGER NOT NULL, client INTEGER NOT NULL, is_failed INTEGER NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL, thinking INTEGER NOT NULL, usd REAL NOT NULL,
    unpriced INTEGER NOT NULL, PRIMARY KEY (span, at, model, provider, route, project, client, is_failed)
) WITHOUT ROWID;
CREATE TABLE flows (
    span INTEGER NOT NULL, at INTEGER NOT NULL, model INTEGER NOT NULL, provider INTEGER NOT NULL,
    is_failed INTEGER NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    thinking INTEGER NOT NULL, usd REAL NOT NULL, unpriced INTEGER NOT NULL,
    PRIMARY KEY (span, at, model, provider, is_failed)
) WITHOUT ROWID;
CREATE TABLE latencies (
    span INTEGER NOT NULL, at INTEGER NOT NULL, model INTEGER NOT NULL, provider INTEGER NOT NULL,
    bucket INTEGER NOT NULL, first INTEGER NOT NULL, total INTEGER NOT NULL,
    PRIMARY KEY (span, at, model, provider, bucket)
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

_CONTENTS_AND_THREADS = """
CREATE TABLE contents (
    n INTEGER PRIMARY KEY, kind TEXT NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL, is_cut INTEGER NOT NULL
);
CREATE TABLE threads (key TEXT PRIMARY KEY, body BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX threads_by_time ON threads (at);
"""


def _records(connection: sqlite3.Connection) -> None:
    """Exchanges, their attempts, and what is added up of them."""
    _run(connection, _RECORDS)


def _contents_and_threads(connection: sqlite3.Connection) -> None:
    """What was said, where that is kept, and what each conversation began with."""
    _run(connection, _CONTENTS_AND_THREADS)


#: In order: the first leads from an empty file to version 1.
MIGRATIONS: tuple[Migration, ...] = (_records, _contents_and_threads)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Which version the file has; 0 for an empty one. Raises sqlite3.Error."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """After the call the file has version VERSION, each step wholly or not at all. Raises sqlite3.Error.

    Two processes may do this at once: whoever comes second finds it done.
    """
    while version_of(connection) < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = version_of(connection)
            if done < VERSION:
                MIGRATIONS[done](connection)
                connection.execute(f"PRAGMA user_version = {done + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)

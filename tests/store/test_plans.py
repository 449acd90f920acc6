"""No report goes through all exchanges: SQLite's own plans of everything they ask say so, and so does the clock."""

from __future__ import annotations

import re
import sqlite3

import pytest
from bench.records import NOW, fill, questions

from ccrouter.store import database
from ccrouter.store.reports import Reports

ROWS = 30_000
DAYS = 30

#: Tables that grow with every request: to scan one of them takes the longer the more there is.
_LARGE = re.compile(r"SCAN (exchanges|e|attempts|details|contents|session_models|m)\b(?! USING COVERING INDEX)")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "records.db"
    fill(path, ROWS, DAYS)
    return path


@pytest.fixture
def asked(monkeypatch):
    """Every statement that readers run, as SQLite was told it."""
    statements: list[str] = []
    connect = database._connect_reading

    def connecting(path):
        connection = connect(path)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(database, "_connect_reading", connecting)
    return statements


#: What nothing but going through a table can answer, and why it may.
ALLOWED = {
    "usage by session of a provider": "goes through session_models: a few rows a session, not one a request",
}


def test_no_report_scans_the_exchanges(filled, asked):
    """For each report: the plan of each of its statements finds rows by key, or reads as few as it shows."""
    reports = Reports(filled, now=lambda: NOW)
    planner = sqlite3.connect(filled)
    scans = {}
    for name, ask in questions(reports, DAYS).items():
        asked.clear()
        ask()
        for statement in {one for one in asked if one.startswith("SELECT")}:
            plan = [row[3] for row in planner.execute(f"EXPLAIN QUERY PLAN {statement}")]
            found = [line for line in plan if _LARGE.match(line)]
            if found and not _is_bounded(statement):
                scans.setdefault(name, []).append((statement, found))
    planner.close()
    reports.close()
    assert scans.keys() <= ALLOWED.keys(), scans


def _is_bounded(statement: str) -> bool:
    """True if a scan ends early: by the key, with a limit and without a condition."""
    return bool(re.search(r"ORDER BY e\.n DESC LIMIT \d+$", statement)) and " WHERE " not in statement

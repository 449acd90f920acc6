"""`python -m tests.store.keep_version N`: keeps a file of records of version N, as migrations make it, for the tests.

Run once when a version is released; a file that is there is never made anew: it is what users have.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from ccrouter.store.migrations import MIGRATIONS
from ccrouter.store.reports import Reports
from ccrouter.store.rows import RowMaker
from ccrouter.store.writing import Writing
from tests.store.conftest import NOW
from tests.store.seed import CONFIG, seed

FOLDER = Path(__file__).parent / "databases"


def kept() -> dict[int, Path]:
    """The kept files by version."""
    return {int(path.name.split("-")[1].split(".")[0]): path for path in sorted(FOLDER.glob("version-*.db.gz"))}


def unpack(path: Path, into: Path) -> Path:
    """The kept file at `path`, as it was, at `into`."""
    into.write_bytes(gzip.decompress(path.read_bytes()))
    return into


def told_of(path: Path) -> dict[str, object]:
    """What has to be told of the file whatever becomes of it: of each request its figures, and what they come to."""
    reports = Reports(path, now=lambda: NOW)
    rows = reports.requests(limit=500)["items"]
    told: dict[str, object] = {
        "requests": [
            [row["id"], row["began"], row["sent"], row["session"], row["status"], row["tokens"]["cacheRead"]]
            for row in rows
        ],
        "models": [[one["name"], one["requests"], one["cost"]["usd"]] for one in reports.usage("model")],
        "sessions": [[one["session"], one["requests"], one["cacheBreaks"]] for one in reports.sessions()["items"]],
        "attempts": sum(len(reports.request(row["id"])["attempts"]) for row in rows),
    }
    reports.close()
    return told


def keep(version: int) -> Path:
    """A file of the seed's exchanges in this version."""
    path = FOLDER / f"version-{version}.db.gz"
    if path.exists():
        raise SystemExit(f"{path} is there, and stays as it is")
    with tempfile.TemporaryDirectory() as folder:
        maker, rows = RowMaker(), []

        class Taker:
            def note(self, entry) -> None:
                rows.append(maker.make(entry))

        seed(Path(folder) / "new.db", now=NOW, config=CONFIG, sinks=(Taker(),))
        made = Path(folder) / "kept.db"
        connection = sqlite3.connect(made, isolation_level=None)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for step in MIGRATIONS[:version]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {version}")
        Writing(connection).write(rows, {"a key": (b"a state", int(NOW))} if version >= 2 else {})
        connection.close()
        FOLDER.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(made.read_bytes(), mtime=0))
        told = json.dumps(told_of(made), indent=1) + "\n"
        path.with_name(f"version-{version}.json").write_text(told, encoding="utf-8")
    return path


if __name__ == "__main__":
    print(keep(int(sys.argv[1])))

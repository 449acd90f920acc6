"""`python -m bench.records`: a million exchanges in a file of records, and how long each report takes over them.

The rows go through the real schema and the real sums, by the writer itself; only the making of exchanges is cut short.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccrouter.prices.price import Cost, Price
from ccrouter.store.database import open_for_writing
from ccrouter.store.filters import Filters
from ccrouter.store.reports import Reports
from ccrouter.store.rows import SHIFT, Row, Shape
from ccrouter.store.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

import msgspec

NOW = 1_795_000_000.0
DAYS = 90
_BATCH = 5_000
_TARGETS = (
    ("anthropic", "claude-sonnet-4-5"), ("anthropic", "claude-opus-4-5"), ("anthropic", "claude-haiku-4-5"),
    ("deepseek", "deepseek-chat"), ("openrouter", "z-ai/glm-4.6"), ("openrouter", "qwen/qwen3-coder"),
    ("gemini", "gemini-3-pro"), ("lab", "mystery-7b"),
)  # fmt: skip
_WEIGHTS = (50, 8, 20, 10, 5, 4, 2, 1)
_ROUTES = ("default", "background", "think", "longContext", "subagent")
_PROJECTS = tuple(f"-home-ada-work-{name}" for name in ("shop", "site", "notes", "api", "tools", "game"))
_CLIENTS = ("claude-cli/2.1.330", "claude-cli/2.1.329", "claudable")
_DETAIL = msgspec.json.encode({"facts": {"size": 120_000, "opening": 3_735_928_559}, "upstream_id": "msg_0123456789"})
_SHAPE = msgspec.json.encode(Shape([f"kept[{n}]" for n in range(30)], [f"mapped[{n}]" for n in range(30)]))
_PRICE = msgspec.json.encode(Price(3, 15, 0.3, 3.75, 6, source="catalogue"))
_COST = Cost(0.01, "catalogue")


def rows(count: int, days: float, seed: int = 1) -> Iterator[Row]:
    """`count` exchanges of the last `days`, the oldest first: sessions of some fifty, four of them at a time."""
    dice = random.Random(seed)
    detail, shape, price = _DETAIL.decode(), _SHAPE.decode(), _PRICE.decode()
    step = days * 86_400 / count
    sessions = [0, 1, 2, 3]
    for number in range(count):
        place = dice.randrange(4)
        if dice.random() < 0.02:
            sessions[place] = max(sessions) + 1
        session = sessions[place]
        began = NOW - days * 86_400 + number * step
        # A session has a model for its turns, one for the background, and sometimes another one.
        choice = random.Random(session if number % 10 < 7 else -1 - session)
        provider, model = (choice if number % 50 else dice).choices(_TARGETS, _WEIGHTS)[0]
        is_denied = number % 1000 == 0
        is_failed = is_denied or dice.random() < 0.03
        is_agent = number % 7 == 0
        ttft, total = dice.lognormvariate(-0.2, 0.6), dice.lognormvariate(1.8, 0.7)
        usd = None if provider == "lab" else 0.02 * dice.random()
        values: list[Any] = [
            "/v1/messages", 403 if is_denied else 529 if is_failed else 200, "overloaded" if is_failed else None,
            "claude-sonnet-4-5", model, model, provider, "background" if number % 10 >= 7 else _ROUTES[session % 5],
            "nothing else applies", "denied: providers" if is_denied else "allowed", 0,
            f"agent{session}" if is_agent else None, "Explore" if is_agent else "", "main",
            _PROJECTS[session % 6], _CLIENTS[session % 3], "key 1", "tool_use", 1, 120_000, 30_000, 1, int(is_failed),
            0, 12, 300, 40_000, 900, 0, 0, usd, _COST.source, ttft, ttft + total, 0.004, 0, 0, 41_000, None,
        ]  # fmt: skip
        times = (0.004, 3.0, 0.0, 0.005, 0.0, 0.4, ttft)
        attempt = (0, f"{provider},{model}", "key 1", "", 0, None, *times, 12, 300, 40_000, 900)
        yield Row(
            n=(int(began * 1000) << SHIFT) | number & ((1 << SHIFT) - 1),
            id=f"req_{dice.getrandbits(96):024x}",
            at=int(began) // 60 * 60,
            ended=int((began + ttft + total) * 1000),
            session=f"{session:08x}-0000-4000-8000-000000000000",
            values=values,
            attempts=[attempt],
            shape=shape,
            price=price,
            detail=detail,
        )  # fmt: skip


def fill(path: Path, count: int, days: float = DAYS) -> None:
    """A file of `count` exchanges at `path`."""
    connection = open_for_writing(path, print)
    connection.execute("PRAGMA synchronous = OFF")
    writing = Writing(connection)
    batch: list[Row] = []
    for row in rows(count, days):
        batch.append(row)
        if len(batch) == _BATCH:
            writing.write(batch, {})
            batch = []
    writing.write(batch, {})
    connection.execute("DELETE FROM rollups WHERE span = 60 AND at < ?", (NOW - 2 * 86_400,))
    connection.execute("DELETE FROM latencies WHERE span = 60 AND at < ?", (NOW - 2 * 86_400,))
    connection.close()


def questions(reports: Reports, days: float) -> dict[str, Callable[[], Any]]:
    """Every report, as the pages and commands ask for it, and worse."""
    end = datetime.fromtimestamp(NOW, UTC)
    begin = end - timedelta(days=days)
    day, week = end - timedelta(days=1), end - timedelta(days=7)
    middle = end - timedelta(days=days / 2)
    session = "00000100-0000-4000-8000-000000000000"
    some = reports.requests(Filters(until=middle), 1)["items"][0]["id"]
    deep = str(int((end - timedelta(days=days * 0.9)).timestamp() * 1000) << SHIFT)
    asked: dict[str, Callable[[], Any]] = {
        "requests": reports.requests,
        "requests, deep": lambda: reports.requests(before=deep),
        "request by id": lambda: reports.request(some),
        "last": reports.last,
        "sessions": reports.sessions,
        "sessions of a project": lambda: reports.sessions(project=_PROJECTS[2]),
        "sessions, searched in vain": lambda: reports.sessions(search="nothing like it"),
        "session": lambda: reports.session(session),
        "statusline": lambda: reports.statusline(session),
        "overview, an hour by minute": lambda: reports.overview(end - timedelta(hours=1), end, 60),
        "overview, a day by hour": lambda: reports.overview(day, end, 3600),
        "overview, a week by hour": lambda: reports.overview(week, end, 3600),
        "overview, all by day": lambda: reports.overview(begin, end, 86_400),
        "denials": reports.denials,
        "state": reports.state,
        "500 decisions": lambda: list(reports.decisions(limit=500)),
    }
    for filters in (
        {"model": "mystery-7b"}, {"provider": "gemini"}, {"route": "think"}, {"project": _PROJECTS[1]},
        {"client": "claudable"}, {"status": "failed"},
        {"model": "mystery-7b", "status": "failed", "project": _PROJECTS[0], "route": "think"},
        {"session": session}, {"session": session, "status": "failed"}, {"search": "sonnet"}, {"search": "mystery"},
        {"search": "nothing like it"}, {"search": some[:12]}, {"search": session[:8]}, {"model": "unheard-of"},
        {"since": week, "until": day, "provider": "lab"},
    ):  # fmt: skip
        told = ", ".join(f"{name}={value if isinstance(value, str) else '…'}" for name, value in filters.items())
        asked[f"requests {told}"] = lambda filters=filters: reports.requests(Filters(**filters))  # type: ignore[misc] # bound now
    for by in ("day", "hour", "model", "provider", "project", "session", "route", "client"):
        asked[f"usage by {by}, all"] = lambda by=by: reports.usage(by)  # type: ignore[misc] # bound now
        asked[f"usage by {by}, a week"] = lambda by=by: reports.usage(by, week, end)  # type: ignore[misc] # bound now
    asked["usage by day of a model"] = lambda: reports.usage("day", filters=Filters(model="deepseek-chat"))
    asked["usage by model of a session"] = lambda: reports.usage("model", filters=Filters(session=session))
    asked["usage by session of a provider"] = lambda: reports.usage("session", filters=Filters(provider="lab"))
    return asked


def measure(path: Path, days: float, rounds: int = 5) -> dict[str, float]:
    """The milliseconds of each report: the median of `rounds`."""
    reports = Reports(path, now=lambda: NOW)
    taken = {}
    for name, ask in questions(reports, days).items():
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            ask()
            times.append((time.perf_counter() - begin) * 1000)
        taken[name] = statistics.median(times)
    reports.close()
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.records", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=DAYS, help="over how many days they are spread")
    parser.add_argument("--file", type=Path, help="where the file is made, or taken from if it is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "records.db"
        if not path.exists():
            begin = time.perf_counter()
            fill(path, arguments.rows, arguments.days)
            taken = time.perf_counter() - begin
            print(f"{arguments.rows} rows in {taken:.0f} s, {path.stat().st_size / arguments.rows:.0f} bytes each")
        worst = 0.0
        for name, milliseconds in measure(path, arguments.days).items():
            print(f"{milliseconds:8.1f} ms  {name}")
            worst = max(worst, milliseconds)
    print(f"{worst:8.1f} ms  at most")
    return 0 if worst < 100 else 1


if __name__ == "__main__":
    sys.exit(main())

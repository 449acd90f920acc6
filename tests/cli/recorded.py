"""A file of records as the router leaves it, of exchanges that never were."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.prices.price import UNKNOWN, Cost
from ccrouter.store.database import FILE, open_for_writing
from ccrouter.store.entry import Entry
from ccrouter.store.rows import RowMaker
from ccrouter.store.writing import Writing


def exchange(
    *,
    id: str,  # noqa: A002 - the protocol's own word
    at: datetime,
    model: str = "deepseek-chat",
    provider: str = "deepseek",
    route: str = "default",
    session: str = "s-1",
    client: str = "claude-cli/2.1.330",
    status: int = 200,
    agent: str = "",
    request_class: str = "main",
    usage: tuple[int, int, int, int] = (100, 0, 900, 50),
    ttft: float = 0.5,
    total: float = 1.5,
) -> Exchange:
    """An exchange that began at `at`. `usage` are input, cache writes, cache reads and output."""
    return Exchange(
        id, "/v1/messages", 0.0, asked="claude-sonnet-5", sent=model, answered=f"{model}-0922", provider=provider,
        route=route, session=session, client=client, streamed=True, status=status, agent=agent,
        request_class=request_class, usage=WireUsage(*usage), ttft=ttft, total=total, ended_at=at.timestamp() + total,
        attempts=[Attempt(f"{provider},{model}", 0.0, ended=total)],
    )  # fmt: skip


def record(folder: Path, told: Iterable[tuple[Exchange, float | None]], project: str = "-work-shop") -> Path:
    """The records in `folder`, with these exchanges and their costs in them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / FILE
    connection = open_for_writing(path, lambda _: None)
    maker = RowMaker()
    rows = [
        maker.make(Entry(one, Cost(usd, UNKNOWN if usd is None else "catalogue", None), project)) for one, usd in told
    ]
    Writing(connection).write(rows, {})
    connection.close()
    return path


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

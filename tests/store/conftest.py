"""A recorder on a real file, exchanges to put into it, and the seeded file."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest

from ccrouter.config.schema import RecordKeeping
from ccrouter.gateway.record import CLIENT_GONE, Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.store.recorder import Recorder
from ccrouter.store.reports import Reports
from tests.store.seed import CONFIG, PRICES, SONNET, seed

#: The moment at which the seeded file was written: a Wednesday, 11:06:40 UTC.
NOW = 1_795_000_000.0


@pytest.fixture(scope="session")
def seeded(tmp_path_factory):
    """A file as some days with Claude Code leave it; nobody writes to it any more."""
    return seed(tmp_path_factory.mktemp("seeded") / "records.db", now=NOW)


@pytest.fixture
def reports(seeded):
    found = Reports(seeded.path, now=lambda: NOW)
    yield found
    found.close()


@pytest.fixture
def make():
    """Makes exchanges that went well, each with an id of its own; what is named is set."""
    numbers = itertools.count()

    def making(**told) -> Exchange:
        number = next(numbers)
        exchange = Exchange(f"req_{number:024x}", "/v1/messages", 0.0, asked=SONNET, sent=SONNET, provider="anthropic")
        exchange.status, exchange.streamed, exchange.client = 200, True, "claude-cli/2.1.330"
        exchange.usage, exchange.total, exchange.ttft = WireUsage(10, 100, 1000, 50), 2.0, 0.5
        exchange.ended_at = time.time()
        for name, value in told.items():
            setattr(exchange, name, value)
        if "attempts" not in told:
            used = exchange.usage if exchange.usage != WireUsage() else None
            one = Attempt(f"{exchange.provider},{exchange.sent}", 0.004, ended=2.0, usage=used, billed=exchange.billed)
            if exchange.status >= 400 and exchange.status != CLIENT_GONE:
                one.failure, one.kind = "refused", "overloaded"
            exchange.attempts = [one]
        return exchange

    return making


@pytest.fixture
def record(tmp_path):
    """Starts recorders on one file; each is closed in the end. Without `told` a fault fails the test."""
    recorders = []

    def recording(path=None, told=None, content="none", keeping=None, config=CONFIG, **more) -> Recorder:
        heard: list[str] = []
        made = Recorder(
            path or tmp_path / "records.db",
            config=replace(config, record=keeping or RecordKeeping(content=content)),
            prices=PriceBook(PRICES),
            tell=(heard if told is None else told).append,
            **more,
        )
        recorders.append((made, heard))
        return made

    yield recording
    for made, heard in recorders:
        made.close()
        assert heard == []


@pytest.fixture
def read(tmp_path):
    """Reports on the file that `record` writes to."""
    found = Reports(tmp_path / "records.db")
    yield found
    found.close()

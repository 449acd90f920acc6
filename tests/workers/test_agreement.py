"""A reload that all workers have to follow, between real boards; what an edition is made of stands aside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import load
from ccrouter.errors import ClientError, ConfigError, Problem
from ccrouter.secret import Secret
from ccrouter.server.edition import LastReload
from ccrouter.server.unison import EDITION, SharedEditions, in_parcel
from tests.workers.test_hub import World, world

KEY = "router-key-0123456789"
PROBLEM = Problem("config.json", "CUSTOM_ROUTER_PATH", "cannot be loaded", "mend it")


class Double:
    """Stands for `Editions`: what it is told, and what it says when it is to make ready."""

    def __init__(self) -> None:
        self.done: list = []
        self.told_at_first: list = []
        self.failure: Exception | None = None
        self.history = (LastReload("refused", datetime.now(UTC), "", "why"), (frozenset(), {}))

    def reload_soon(self) -> None:
        self.done.append("wish")

    def serve_with(self, fellows) -> None:
        self.fellows = fellows

    def take_history(self, history) -> None:
        self.done.append(history)

    async def make_ready(self, config, policy) -> None:
        if self.failure is not None:
            raise self.failure
        self.done.append(("ready", config, policy))

    def put_ready_in_force(self, config, policy, amended) -> None:
        self.done.append(("in force", config, amended))


@pytest.fixture
def config(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(f'{{"APIKEY": "{KEY}"}}')
    return load(path, {})


async def member(there: World, number: int) -> Double:
    board = there.board(await there.connect(number), number)
    double = Double()
    SharedEditions(board, double).begin()
    await board.begin()
    double.told_at_first, double.done = double.done, []
    return double


async def test_all_put_in_force_what_one_read(config):
    """The others make ready, then put in force, the very configuration that one read, its secrets included; a worker
    that starts later begins with it; and how the reload ended is known to all, to who joins later too."""
    async with world() as there:
        one, two, three = [await member(there, number) for number in (1, 2, 3)]
        await one.fellows.propose(config, NO_POLICY)
        await one.fellows.enact(config, NO_POLICY, None)
        for other in (two, three):
            (_, prepared, policy), (_, in_force, amended) = other.done
            assert prepared.digest == in_force.digest == config.digest
            assert in_force.api_key.matches(KEY)
            assert isinstance(in_force.api_key, Secret)
            assert (policy, amended) == (NO_POLICY, None)
            other.done.clear()
        assert one.done == []
        assert in_parcel(there.kept[EDITION])[0].digest == config.digest
        one.fellows.tell()
        await one.fellows.board.ask("nothing", b"", 10)
        assert two.done == three.done == [one.history]
        late = await member(there, 4)
        assert [last.reason for last, _ in late.told_at_first] == ["why"]


async def test_one_that_cannot(config):
    """What one worker cannot load is refused, with its reasons, and is in force nowhere."""
    async with world() as there:
        one, two, three = [await member(there, number) for number in (1, 2, 3)]
        before = there.kept[EDITION]
        three.failure = ConfigError([PROBLEM])
        with pytest.raises(ConfigError) as refused:
            await one.fellows.propose(config, NO_POLICY)
        assert refused.value.problems == (PROBLEM,)
        three.failure = RuntimeError(f"a defect, with {KEY} in its words")
        with pytest.raises(ClientError, match="a worker cannot load it") as failed:
            await one.fellows.propose(config, NO_POLICY)
        assert KEY not in str(failed.value)
        assert there.kept[EDITION] == before
        assert all(what == "ready" for what, *_ in two.done)


async def test_a_wish_is_one_workers(config):
    """What the service is told to do by a signal is done by one worker, for all."""
    async with world() as there:
        one, two = [await member(there, number) for number in (1, 2)]
        assert there.hub.wish("reload")
        for double in (one, two):
            await double.fellows.board.ask("nothing", b"", 10)
        assert (one.done, two.done) == (["wish"], [])


async def test_no_worker_to_wish():
    """Without workers nobody does it, and that is said."""
    async with world() as there:
        assert not there.hub.wish("reload")

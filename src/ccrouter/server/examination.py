"""Tests of a provider from the router itself: a few probes of the battery, in the background, one run at a time.

What is asked goes out as every request does, judged by the policy and written down; neither health nor records hear
of it, and nothing is changed by what is found. `ccr providers test` asks everything, and keeps what it finds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from ccrouter.certify.asking import Asker, Spending
from ccrouter.certify.battery import Battery
from ccrouter.certify.bench import Finding, Probe
from ccrouter.certify.quick import MOST_REQUESTS, MOST_TOKENS, PROBES
from ccrouter.config.schema import Target, Timeouts
from ccrouter.errors import ClientError, RouterError
from ccrouter.gateway.record import CLIENT_GONE, Exchange, outcome_facts
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.catalog import shown
from ccrouter.secret import redact
from ccrouter.server.account import Account
from ccrouter.server.board import Board
from ccrouter.server.edition import Edition
from ccrouter.server.faults import fault_for
from ccrouter.server.voice import Voice

#: Seconds for one answer, and for all of them.
_FOR_ONE = 30.0
_FOR_ALL = 120.0
#: Seconds in which other processes of the service say what they know.
_TO_LOOK = 2.0
_PATH = "/api/providers/test"
_TOPIC = "examination"
#: Of a model's name, which whoever asks may choose: characters that are told.
_LONGEST = 500


@dataclass(slots=True)
class _Run:
    """One test: of whom, since when, and what came of it so far."""

    id: str
    target: Target
    began: datetime
    spending: Spending
    findings: dict[str, Finding] = field(default_factory=dict)
    at_work: str = ""
    ended: datetime | None = None
    error: str = ""

    def note(self, probe: Probe, finding: Finding | None) -> None:
        if finding is None:
            self.at_work = probe.name
        else:
            self.findings[probe.name] = finding

    @property
    def state(self) -> str:
        if self.ended is None:
            return "running"
        return "failed" if self.error else "done"

    def facts(self) -> JsonObject:
        provider = self.target.provider
        return {
            "id": self.id,
            "state": self.state,
            "provider": provider.name,
            "model": self.target.model,
            "key": next((one.label for one in provider.pool if one.secret is provider.key), None),
            "began": _timestamp(self.began),
            "ended": None if self.ended is None else _timestamp(self.ended),
            "error": self.error or None,
            "probes": [self._probe(one) for one in PROBES],
            "spent": {"requests": self.spending.requests, "tokens": self.spending.tokens},
            "most": {"requests": MOST_REQUESTS, "tokens": MOST_TOKENS},
        }

    def _probe(self, probe: Probe) -> JsonObject:
        found = self.findings.get(probe.name)
        waiting = "asking" if self.ended is None and self.at_work == probe.name else "waiting"
        return {
            "name": probe.name,
            "title": probe.title,
            "verdict": (waiting if self.ended is None else "unknown") if found is None else found.verdict,
            "evidence": None if found is None else found.evidence,
        }


class Examiner:
    """Runs tests, one at a time in all processes on the `board`. `now` is the clock of exchanges, `wait` pauses for
    seconds where a provider asks for patience.
    """

    def __init__(
        self,
        account: Account,
        voice: Voice,
        board: Board,
        now: Callable[[], float],
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._account = account
        self._voice = voice
        self._now = now
        self._wait = wait
        self._run: _Run | None = None
        self._task: asyncio.Task[None] | None = None
        self._board = board
        board.answer(_TOPIC, lambda _: msgspec.json.encode(self.here()))

    def here(self) -> JsonObject | None:
        """The last test of this process; None if there was none."""
        return None if self._run is None else self._run.facts()

    async def last(self) -> JsonObject | None:
        """The last test of the service."""
        known = [one for one in (self.here(), *await self._elsewhere()) if one is not None]
        return max(known, key=lambda one: str(one["began"]), default=None)

    async def begin(self, edition: Edition, provider: str, model: str, request_id: str) -> None:
        """After the call the test is under way. Raises ClientError (404, 409) and Denied."""
        target = _target(edition, provider, model)
        async with self._board.turn:  # two that ask at once would both see that nothing is under way
            await self._begin(edition, target, request_id)

    async def _begin(self, edition: Edition, target: Target, request_id: str) -> None:
        if any(one is not None and one["state"] == "running" for one in (self.here(), *await self._elsewhere())):
            message = "a test is under way: one at a time, wait for its end"
            raise ClientError(message, status=409, type="invalid_request_error")
        exchange = Exchange(request_id, _PATH, self._now(), asked=str(target)[:_LONGEST])
        asked = edition.gateway.permit(target, exchange)
        run = _Run(request_id, asked, datetime.now(UTC), Spending(MOST_REQUESTS, MOST_TOKENS))
        self._run = run
        told = {"provider": target.provider.name, "model": target.model[:_LONGEST]}
        self._voice.event("info", "a provider is tested", reqId=request_id, **told)
        self._task = asyncio.create_task(self._carry_out(run, edition, exchange))

    async def close(self) -> None:
        """After the call nothing is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _elsewhere(self) -> list[JsonObject | None]:
        told = await self._board.ask(_TOPIC, b"", _TO_LOOK)
        return [msgspec.json.decode(one) for one in told if one is not None]

    async def _carry_out(self, run: _Run, edition: Edition, exchange: Exchange) -> None:
        secrets = edition.config.secrets
        exchange.status, exchange.sent, exchange.provider = 200, run.target.model, run.target.provider.name
        try:
            with edition.lease.in_use():
                async with asyncio.timeout(_FOR_ALL), edition.extensions.in_use():
                    await edition.extensions.prepare([run.target])
                    chain_of = edition.extensions.chains()
                    asker = Asker(edition.lease.client, run.target, chain_of, run.spending, self._wait)
                    await Battery(asker, PROBES, run.note, secrets).run()
        except RouterError as error:
            exchange.status, run.error = fault_for(error, secrets).status, redact(str(error), secrets)
        except TimeoutError:
            exchange.status, run.error = 504, f"not over after {_FOR_ALL:.0f} seconds: given up"
        except asyncio.CancelledError:
            exchange.status, run.error = CLIENT_GONE, "the router was stopped"
            raise
        except Exception as error:  # noqa: BLE001 - nobody waits for it; who looks must see that it is over
            exchange.status, run.error = 500, "a defect of the router: its log has the trace"
            self._voice.defect(error, run.id, secrets)
        finally:
            run.ended, run.at_work = datetime.now(UTC), ""
            if facts := outcome_facts(exchange):
                self._account.report("outcome", facts)


def _timestamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _target(edition: Edition, provider: str, model: str) -> Target:
    """The target of these names, in any case. Raises ClientError (404)."""
    found = edition.gateway.catalog.provider(provider)
    if found is None:
        message = f"provider {shown(provider)} is not configured, or cannot be used"
        raise ClientError(message, status=404, type="not_found_error")
    if not model.strip():
        raise ClientError("model: name the model that is to be asked")
    limits = Timeouts(min(found.timeouts.connect, _FOR_ONE), _FOR_ONE, _FOR_ONE)
    return Target(replace(found, timeouts=limits), model.strip())

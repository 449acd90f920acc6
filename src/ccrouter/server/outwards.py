"""What is told to others of what the router does: metrics for who asks, traces and metrics for a collector, the log's
level for the other processes. What goes where is theirs; this puts them together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ccrouter.server.board import Board
from ccrouter.server.logs import share_level
from ccrouter.server.metrics import Gauges, Metrics
from ccrouter.server.metrics_shared import SharedMetrics
from ccrouter.server.telemetry import InForce, Telemetry
from ccrouter.server.voice import Voice
from ccrouter.store.entry import Sink


class Outwards:
    """Of one process. `in_force` gives configuration and policy, whenever it is asked."""

    def __init__(
        self, in_force: InForce, voice: Voice, environ: Mapping[str, str], board: Board, gauges: Gauges
    ) -> None:
        self._here = Metrics(lambda: in_force()[0], gauges)
        self._telemetry = Telemetry(in_force, voice, environ)
        self.metrics = SharedMetrics(board, self._here)
        if board.is_shared:
            share_level(board, voice)

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Who is to be told of every exchange that is over."""
        return self._here, self._telemetry

    async def close(self) -> None:
        """After the call nothing is told any more. To be called once no exchange is noted any more."""
        await asyncio.to_thread(self._telemetry.close)

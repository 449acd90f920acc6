"""A provider that dies by SIGKILL, as a process of its own: `python -m tests.e2e.dying --wire chat --stage text --turn 1`.

It is the scripted model until the turn in question; then it gives as much of the answer as `--stage` says, and ends
itself on the spot: the system closes its connections, and from then on refuses new ones.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.e2e.brain import Brain, Scene
from tests.upstream import Received, Reply, Upstream, anthropic_wire, chat_wire
from tests.upstream.reply import Step

#: Before anything is said; after the headers; with an error as the first event; in the text; in a tool call, whose
#: arguments have begun; with the answer complete.
STAGES = ("request", "headers", "error", "text", "tool", "complete")
_TEXT = {"anthropic": b'"text_delta"', "chat": b'"content":"'}
_TOOL = {"anthropic": b'"partial_json":"{', "chat": b'"arguments":"{'}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class LastWords:
    """The steps of a reply that is the last one: what `stage` leaves of `steps`, each on the wire before the next."""

    def __init__(self, steps: list[Step], stage: str, wire: str) -> None:
        self._steps = steps
        self._stage = stage
        self._wire = wire

    def __iter__(self) -> Iterator[Step]:
        mark = {"text": _TEXT, "tool": _TOOL}.get(self._stage, {}).get(self._wire)
        if self._stage == "error":
            yield _error(self._wire)
        elif self._stage != "headers":
            seen = 0
            for step in self._steps:
                yield step
                seen += mark is not None and isinstance(step, bytes) and mark in step
                if seen >= (2 if self._stage == "text" else 1):
                    break
        if self._stage != "complete":
            die()


def _error(wire: str) -> bytes:
    if wire == "anthropic":
        return anthropic_wire.error_frame("overloaded_error", "Overloaded")
    return f"data: {anthropic_wire.dumps(chat_wire.error_json('Overloaded', 'server_error'))}\n\n".encode()


class Mortal:
    """The reply function: `brain`, until turn number `turn` of what a prompt named."""

    def __init__(self, brain: Brain, stage: str, turn: int) -> None:
        self._brain = brain
        self._stage = stage
        self._left = turn
        self._tasks: list[asyncio.Task[None]] = []

    def __call__(self, received: Received) -> Reply:
        known = len(self._brain.seen)
        reply = self._brain(received)
        if len(self._brain.seen) == known or not Scene(self._brain.seen[-1]).name:
            return reply
        self._left -= 1
        if self._left:
            return reply
        if self._stage == "request":
            die()
        if self._stage == "complete":
            self._tasks.append(asyncio.ensure_future(self._die_after(received)))
        steps: Any = LastWords(list(reply.steps), self._stage, self._brain.dialect)
        return replace(reply, steps=steps)

    async def _die_after(self, received: Received) -> None:
        await received.done.wait()
        die()


async def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.dying", description=__doc__)
    parser.add_argument("--wire", choices=list(_TEXT), required=True)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--turn", type=int, default=1)
    asked = parser.parse_args(words)
    async with Upstream() as upstream:
        upstream.always(Mortal(Brain(asked.wire), asked.stage, asked.turn))
        print(upstream.port, flush=True)
        await asyncio.Event().wait()  # it is killed, by itself or by whoever started it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

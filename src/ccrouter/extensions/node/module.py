"""A JavaScript module that can be called for as long as the router runs: a process that has ended is started anew."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.config.schema import Config
from ccrouter.errors import ExtensionError, RouterError
from ccrouter.extensions.faults import Faults
from ccrouter.extensions.node.worker import JavaScriptError, Launch, Worker, WorkerEnded
from ccrouter.jsontypes import JsonObject

#: Seconds that a module has at least to be loaded.
_LEAST_TO_LOAD = 10.0


class Made(msgspec.Struct):
    """An instance of a module's class: its number, and what it says of itself."""

    handle: int
    name: str | None = None
    hooks: list[str] = []
    endPoint: Any = None  # noqa: N815 - the word of the modules


class _Loaded(msgspec.Struct):
    file: str


@dataclass(frozen=True, slots=True)
class Node:
    """The program that runs modules, and the environment that they get."""

    program: str
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def find(cls, config: Config, environ: Mapping[str, str]) -> Node | None:
        """None if there is no `node` on the PATH of `environ`.

        Modules get the environment as it is, which holds the keys that they ask for, without the router's own key.
        """
        program = shutil.which("node", path=environ.get("PATH"))
        if program is None:
            return None
        own = config.api_key
        kept = {name: value for name, value in environ.items() if not (own and value and own.matches(value))}
        return cls(program, kept)


class Module:
    """One module in one process. `limit` in seconds, for each turn of it."""

    def __init__(self, path: Path, node: Node, limit: float, faults: Faults) -> None:
        self.path = path
        self.limit = limit
        self.faults = faults
        self._launch = Launch(node.program, path, node.environ, faults.journal)
        self._worker: Worker | None = None
        self._made: list[JsonObject] = []
        self._starting = asyncio.Lock()

    async def open(self) -> None:
        """Raises RouterError if the module cannot be loaded."""
        await self.worker()

    async def worker(self) -> Worker:
        """The process, with the module and every instance made of it. Raises RouterError."""
        if self._worker is not None and self._worker.is_alive:
            return self._worker
        async with self._starting:
            if self._worker is not None:
                if self._worker.is_alive:
                    return self._worker
                await self._worker.close()
            self._worker = None
            worker = Worker(self._launch)
            try:
                await worker.start()
                await self._set_up(worker)
            except BaseException as error:
                await worker.close()
                if isinstance(error, OSError):
                    raise ExtensionError(f"`node` cannot be run: {error.strerror or error}") from error
                raise
            self._worker = worker
            return worker

    async def make(self, options: JsonObject) -> Made:
        """An instance of the module's class. Raises RouterError if that fails."""
        worker = await self.worker()
        made = await self._make(worker, options)
        self._made.append(options)
        return made

    async def ask(self, what: str, op: str, *, request_id: str = "", **given: Any) -> msgspec.Raw:
        """What the module answers. Raises RouterError."""
        worker = await self.worker()
        try:
            return await worker.ask(what, self.limit, op, **given)
        except (JavaScriptError, WorkerEnded) as error:
            raise self.blame(error, what, request_id) from error

    def blame(self, error: Exception, what: str, request_id: str = "") -> RouterError:
        """What to raise for an exception of the module's, or of what it was given to read."""
        if isinstance(error, RouterError):
            return error
        if isinstance(error, WorkerEnded):
            words = f"its process is gone: {error}"
            return self.faults.tell(what, self.path, None, words, words, request_id=request_id)
        if isinstance(error, JavaScriptError):
            line = _line_in(error.stack, self.path)
            return self.faults.tell(what, self.path, line, str(error), error.stack, request_id=request_id)
        return self.faults.blame(error, what, self.path, request_id=request_id)

    async def close(self) -> None:
        """After the call its process is gone."""
        async with self._starting:
            if self._worker is not None:
                await self._worker.close()
                self._worker = None

    async def _set_up(self, worker: Worker) -> None:
        what, limit = f"loading {self.path.name}", max(self.limit, _LEAST_TO_LOAD)
        try:
            msgspec.json.decode(await worker.ask(what, limit, "load"), type=_Loaded)
        except (JavaScriptError, WorkerEnded) as error:
            raise self.blame(error, what) from error
        for options in self._made:
            await self._make(worker, options)

    async def _make(self, worker: Worker, options: JsonObject) -> Made:
        what = f"the constructor of {self.path.name}"
        try:
            answer = await worker.ask(what, self.limit, "make", options=options)
        except (JavaScriptError, WorkerEnded) as error:
            raise self.blame(error, what) from error
        return msgspec.json.decode(answer, type=Made)


def _line_in(stack: str, path: Path) -> int | None:
    """The line of the module that a stack names first, which is the last that was at work."""
    names = (re.escape(str(path)), re.escape(str(path.resolve())))
    found = re.search(rf"(?:{'|'.join(names)}):(\d+)", stack)
    return int(found[1]) if found else None

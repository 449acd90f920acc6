"""The recorder: takes what has happened from the event loop and writes it, in a thread of its own.

`put` costs the loop an append. All else happens in the thread, a few times a second: prices, projects, what became of
caches, the file, whoever else wants to know. A fault of any of them costs records; it is told once and counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ccrouter.config.schema import Config
from ccrouter.gateway.record import Exchange, PromptNote
from ccrouter.jsontypes import JsonObject
from ccrouter.prices.price import UNKNOWN, Cost
from ccrouter.store.allowance import Allowance
from ccrouter.store.backlog import Backlog, Mark, size_of
from ccrouter.store.content import ContentKeeper
from ccrouter.store.entry import Entry, FindProject, Ledger, Prices, Sink, Watch
from ccrouter.store.file import RecordFile
from ccrouter.store.projects import Projects
from ccrouter.store.rows import Content as KeptWords
from ccrouter.store.rows import Row, RowMaker
from ccrouter.store.threads import Threads

#: Seconds in which a batch gathers.
_PAUSE = 0.25
#: After so many exchanges the thread lets others have the interpreter for a moment.
_BREATH = 16
#: At most so many are written at once.
_BATCH = 1000
#: Of the processor, what looking at prompts may take: a share of the time, and so many seconds at once. Plenty for
#: anybody's conversations; where hundreds of requests a second come, some of them are not looked at.
_PROMPT_SHARE, _PROMPT_BURST = 0.01, 0.04
#: Seconds between two looks at what there is to clear away.
_HOUSEKEEPING = 60.0
#: Seconds for which, at the end, what could not be written is tried again: another process may be writing just then.
_LAST_TRIES = 3.0
_NO_CONTENT = ContentKeeper("none", ())
#: Clients count before many of their requests: such exchanges are no turns of a conversation.
_COUNTING = "/v1/messages/count_tokens"


@dataclass(frozen=True, slots=True)
class _InForce:
    """What the configuration says of records."""

    ledger: Ledger
    contents: ContentKeeper


class Recorder:
    """Records exchanges in the file at `path`, and tells `sinks` of them.

    `tell` hears of faults, each kind once until it is over; it is called in the recorder's thread. `watch` is made
    with the place where the states of conversations are kept. `find_project` may look at the disk. `now` is the time
    of day.
    """

    def __init__(  # noqa: PLR0913 - what a recorder has one of, all but the first by name
        self,
        path: Path,
        *,
        config: Config,
        prices: Prices,
        sinks: Sequence[Sink] = (),
        watch: Callable[[Threads], Watch] | None = None,
        find_project: FindProject | None = None,
        tell: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        backlog: Backlog | None = None,
    ) -> None:
        self._backlog = backlog or Backlog()
        self._tell = tell
        self._sinks = tuple(sinks)
        self._told: set[str] = set()
        self._file = RecordFile(path, config.record, tell, now)
        self.threads = Threads(self._file.connection, now)
        self._watch = None if watch is None else watch(self.threads)
        self._prompt_time = Allowance(_PROMPT_SHARE, _PROMPT_BURST)
        self._projects = Projects(find_project)
        self._maker = RowMaker()
        self._rows: list[Row] = []
        self._marks: list[Mark] = []
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._give_up_at = 0.0
        self._next_housekeeping = time.monotonic() + _HOUSEKEEPING
        self.use(config, prices)

    def use(self, config: Config, prices: Prices) -> None:
        """From now on this configuration and these prices are in force. Cheap, and from any thread."""
        self._in_force = _InForce(Ledger(config, prices), ContentKeeper(config.record.content, config.secrets))
        self._file.keeping = config.record

    # -- the event loop's side ---------------------------------------------------------------------------------------

    def put(self, exchange: Exchange) -> None:
        """Record the exchange, which is over and belongs to the recorder now. Never blocks, never raises."""
        if not self._is_closing:
            self._backlog.add(exchange)
            if self._thread is None:
                self._begin()

    def note_prompt(self, note: PromptNote) -> None:
        """Have the prompt looked at, soon. Never blocks, never raises."""
        if self._is_closing or self._watch is None:
            note.asked = note.sent = None
            return
        self._backlog.add_prompt(note)
        if self._thread is None:
            self._begin()

    def flush(self, limit: float = 30.0) -> bool:
        """Blocks until what was put before is on disk. False if it could not be written, or not in `limit` seconds."""
        if self._thread is None:
            return True
        mark = Mark()
        self._backlog.add_mark(mark)
        return mark.is_past.wait(limit) and mark.is_written

    def close(self, limit: float = 10.0) -> None:
        """After the call what was put is written, and the file let go of. Blocks, `limit` seconds at most."""
        self._give_up_at = time.monotonic() + min(limit, _LAST_TRIES)
        self._is_closing = True
        thread = self._thread
        if thread is None:
            return
        self._backlog.add_mark(Mark())
        thread.join(limit)

    @property
    def state(self) -> dict[str, int]:
        """Counts since the start: what was given up ("prompts", "contents", "details", "exchanges"), and the faults."""
        shed = self._backlog.shed
        return {
            **asdict(shed),
            "exchanges": shed.exchanges + self._file.lost,
            "faults": self._file.faults,
            "waiting": len(self._backlog) + len(self._rows),
        }

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ccr-recorder", daemon=True)
        self._thread.start()

    # -- the thread's side -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        backlog = self._backlog
        while True:
            backlog.wake.wait(self._seconds_to_wait())
            backlog.rest()
            if not self._is_closing and len(backlog):
                backlog.hurry.wait(_PAUSE)
            backlog.hurry.clear()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next records are written
                self._complain("recording", error)
            if self._is_closing and not len(backlog) and (not self._rows or time.monotonic() >= self._give_up_at):
                break
        if self._rows:
            self._tell(f"the records: the router ends, and the last {len(self._rows)} could not be written")
        self._file.close()

    def _seconds_to_wait(self) -> float:
        if self._rows or len(self._backlog):  # a fault came between
            return self._file.seconds_to_wait()
        return max(0.0, self._next_housekeeping - time.monotonic())

    def _work(self) -> None:
        """Everything that waits, a batch at a time; then, now and then, what is to be cleared away."""
        while True:
            taken = self._take_batch()
            if self._rows or self.threads.waiting:
                self._write()
            for mark in self._marks:
                mark.is_written = not self._rows
                mark.is_past.set()
            self._marks.clear()
            if taken < _BATCH:
                break
        if time.monotonic() >= self._next_housekeeping and not self._is_closing:
            is_done = self._file.clear_away()
            self._next_housekeeping = time.monotonic() + (_HOUSEKEEPING if is_done else _PAUSE)

    def _take_batch(self) -> int:
        taken = 0
        while taken < _BATCH:
            item = self._backlog.take()
            if item is None:
                break
            taken += 1
            if type(item) is Exchange:
                self._note_exchange(item)
            elif type(item) is PromptNote:
                self._look_at(item)
            elif type(item) is Mark:
                self._marks.append(item)
            if not taken % _BREATH:
                time.sleep(0)
        return taken

    def _look_at(self, note: PromptNote) -> None:
        size = size_of(note)
        begin = time.thread_time()
        try:
            if self._watch is not None and self._prompt_time.has_any():
                self._watch.note_prompt(note)
            else:
                self._backlog.shed.prompts += 1
        except Exception as error:  # noqa: BLE001 - the record of the exchange is written without it
            self._complain("looking at a prompt", error)
        finally:
            note.asked = note.sent = None
            self._backlog.release(size)
            self._prompt_time.take(time.thread_time() - begin)

    def _note_exchange(self, exchange: Exchange) -> None:
        in_force = self._in_force
        try:
            cost = in_force.ledger.cost(exchange)
        except Exception as error:  # noqa: BLE001 - its cost is not known then
            cost = Cost(None, UNKNOWN)
            self._complain("reckoning a cost", error)
        is_turn = exchange.path != _COUNTING and self._file.keeping.enabled
        verdict = self._judge(exchange, cost) if is_turn else None
        entry = Entry(exchange, cost, self._projects.find(exchange.session), verdict)
        if is_turn:
            self._add_row(entry, in_force.contents)
        else:
            self._keep(exchange, _NO_CONTENT)
        for sink in self._sinks:
            try:
                sink.note(entry)
            except Exception as error:  # noqa: BLE001 - a stranger's fault
                self._complain(f"telling {type(sink).__name__}", error)

    def _add_row(self, entry: Entry, keeper: ContentKeeper) -> None:
        content = self._keep(entry.exchange, keeper)
        try:
            row = self._maker.make(entry)
        except Exception as error:  # noqa: BLE001 - the others are written
            self._file.lost += 1
            self._complain("making a record", error)
            return
        row.content = content
        self._rows.append(row)

    def _judge(self, exchange: Exchange, cost: Cost) -> JsonObject | None:
        if self._watch is None:
            return None
        try:
            return self._watch.judge(exchange, cost)
        except Exception as error:  # noqa: BLE001 - the record is written without it
            self._complain("judging a cache", error)
            return None

    def _keep(self, exchange: Exchange, keeper: ContentKeeper) -> KeptWords | None:
        content, exchange.content = exchange.content, None
        if content is None:
            return None
        try:
            return keeper.keep(content)
        except Exception as error:  # noqa: BLE001 - the record is written without it
            self._complain("keeping what was said", error)
            return None
        finally:
            self._backlog.release(len(content.request) + content.size)

    def _write(self) -> None:
        if self._file.write(self._rows, self.threads.waiting, asdict(self._backlog.shed)):
            self._rows = []
            self.threads.waiting = {}

    def _complain(self, what: str, error: Exception) -> None:
        kind = f"{what}: {type(error).__name__}"
        if kind not in self._told:
            self._told.add(kind)
            self._tell(f"the records: {what} failed: {type(error).__name__}: {error}")

"""One request to an endpoint other than messages: who asks, for what, and by which configuration it is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from ccrouter.config.schema import Config
from ccrouter.config.syntax import is_too_deep
from ccrouter.errors import ClientError
from ccrouter.gateway.record import Exchange
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.health import Health
from ccrouter.server.account import Account
from ccrouter.server.admission import Admission, Stay
from ccrouter.server.edition import Edition, LastReload, Reloaded
from ccrouter.server.examination import Examiner
from ccrouter.server.exchanges import Exchanges
from ccrouter.server.guard import Caller
from ccrouter.server.intake import Receive, read_body
from ccrouter.server.keeping import Keeper
from ccrouter.server.sessions import Sessions
from ccrouter.server.voice import Voice

if TYPE_CHECKING:
    from ccrouter.server.metrics_shared import SharedMetrics
    from ccrouter.store.reports import Reports


#: Of an address: its words behind the question mark.
MOST_WORDS = 40


class Process(Protocol):
    """What endpoints need of the application."""

    pid: int
    started: datetime
    environ: Mapping[str, str]
    account: Account
    sessions: Sessions
    exchanges: Exchanges
    health: Health
    examiner: Examiner
    voice: Voice
    admission: Admission

    @property
    def changing(self) -> AbstractAsyncContextManager[None]:
        """Held while what is in force, or the file behind it, is changed."""

    @property
    def edition(self) -> Edition:
        """What is in force now."""

    @property
    def recorder(self) -> Keeper | None:
        """Who records exchanges, if anybody does."""

    @property
    def reports(self) -> Reports | None:
        """What was recorded, if anything is."""

    @property
    def metrics(self) -> SharedMetrics:
        """What was counted, of all processes."""

    @property
    def last_reload(self) -> LastReload:
        """How the last reload ended."""

    async def reload(self) -> Reloaded:
        """Put what the files say now in force. Raises RouterError: then nothing has changed. Takes `changing`."""

    async def amend(self, config: Config, tree: JsonObject) -> None:
        """Put `config`, lowered from `tree`, in force until the next reload. To be called with `changing` held."""

    def now(self) -> float:
        """The clock's seconds."""

    def finish(self, exchange: Exchange) -> None:
        """The exchange is over: log and audit are told."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the guard has let in. `params` are the parts of the path that the route names, `stay` what it
    takes up, `query` what stands behind the question mark.
    """

    process: Process
    edition: Edition
    caller: Caller
    params: Mapping[str, str]
    receive: Receive
    id: str
    stay: Stay
    query: str = ""

    def words(self) -> dict[str, str]:
        """What the address says behind its question mark, the last of each name. Raises ClientError for too many."""
        try:
            return dict(parse_qsl(self.query, keep_blank_values=True, max_num_fields=MOST_WORDS, errors="replace"))
        except ValueError as error:
            raise ClientError("there are too many words behind the question mark") from error

    def enter(self) -> None:
        """After the call this request is one of those in work. Raises Busy if there are as many as may be."""
        self.stay.enter(lambda: self.edition.guard.key_of(self.caller) or f"at {self.caller.peer}")

    async def body(self) -> bytes:
        """The body, decompressed. Raises ClientError and ClientGone as `read_body`, Busy if there is no room for it."""
        return await read_body(self.receive, self.caller.headers, self.edition.config.max_body, self.stay.hold)

    async def json_object(self) -> JsonObject:
        """The body as a JSON object; an empty body is an empty object. Raises ClientError (400) for anything else."""
        body = await self.body()
        try:
            found = msgspec.json.decode(body) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ClientError("the body is not JSON") from None
        if is_too_deep(found):
            raise ClientError("the body is nested too deeply")
        if not isinstance(found, dict):
            raise ClientError("the body must be a JSON object")
        return found


Endpoint: TypeAlias = Callable[[Call], Awaitable[Response]]

"""The ASGI application. This module constructs things; nobody else does, and nobody reads a global.

Messages requests take a plain path from here to the gateway and back; the other endpoints are functions that the table
of routes names (routes.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Router

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.dialects.served import Served
from ccrouter.errors import ClientError, RouterError
from ccrouter.gateway.record import CLIENT_GONE, Auditor, Content, Exchange, outcome_facts
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.fault import Fault
from ccrouter.routing.health import Health
from ccrouter.secret import redact
from ccrouter.server.account import Account
from ccrouter.server.admission import Admission
from ccrouter.server.board import Alone, Board
from ccrouter.server.call import Call
from ccrouter.server.departure import until_client_leaves
from ccrouter.server.descriptors import Descriptors
from ccrouter.server.edition import Edition, LastReload, Reloaded
from ccrouter.server.editions import Editions
from ccrouter.server.examination import Examiner
from ccrouter.server.exchanges import Exchanges
from ccrouter.server.faults import defect, fault_answer, fault_for, fault_headers, fault_response, no_route
from ccrouter.server.guard import Access, NotSignedIn, read_caller
from ccrouter.server.intake import ClientGone, Receive, client_of
from ccrouter.server.keeping import Keeper, Keeping
from ccrouter.server.log import ExchangeLog
from ccrouter.server.metrics import Gauges
from ccrouter.server.metrics_shared import SharedMetrics
from ccrouter.server.outwards import Outwards
from ccrouter.server.pages import to_sign_in
from ccrouter.server.presets import below, split_preset
from ccrouter.server.protocol import ClientLines
from ccrouter.server.respond import HttpReply, Pulse, Send
from ccrouter.server.routes import Found, Row, find, form_of, served_path
from ccrouter.server.sessions import Sessions
from ccrouter.server.telemetry import check_telemetry
from ccrouter.server.unison import Unison
from ccrouter.server.voice import Voice

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

Scope = MutableMapping[str, Any]
_LONGEST_TRACE = 100
#: Bytes that are kept of a request, and of an answer, where what was said is kept.
_MOST_CONTENT = 4 * 1024 * 1024


class App:
    """The router as an ASGI application. `log` may be None: then nothing about exchanges is formatted or written.

    `reload`, told which policy is in force, gives what the files say now, or raises ConfigError; without it `reload()`
    refuses. `wait` pauses for seconds, between attempts. `is_launch_key` says whether a key was minted for a launch of
    Claude Code that lives. `board` is shared with the other processes of the service, if there are any. `records`
    is the file in which exchanges are recorded; None: none are.
    """

    def __init__(  # noqa: PLR0913 - what a process has one of, all but the first by name
        self,
        config: Config,
        *,
        policy: Policy = NO_POLICY,
        projects: ProjectRouters | None = None,
        log: ExchangeLog | None = None,
        auditor: Auditor | None = None,
        is_launch_key: Callable[[str], bool] | None = None,
        reload: Callable[[Policy], tuple[Config, Policy]] | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        board: Board | None = None,
        records: Path | None = None,
    ) -> None:
        self.environ = environ
        self.board = board or Alone()
        self.pid, self.started = self.board.pid, self.board.started
        self.voice = Voice(log)
        self.account = Account(auditor, self.voice.audit_complaint)
        self.sessions = Sessions(clock)
        self.exchanges = Exchanges()
        self.health = Health(clock)
        self.now = clock
        self.examiner = Examiner(self.account, self.voice, self.board, clock, wait)
        self.editions = Editions(
            (config, policy, projects),
            load=reload,
            account=self.account,
            sessions=self.sessions,
            health=self.health,
            voice=self.voice,
            environ=environ,
            is_launch_key=is_launch_key,
            clock=clock,
            wait=wait,
            changing=self.board.turn,
            on_change=self._keep_by,
        )
        self.admission = Admission(lambda: self.in_force[0].limits)
        self.descriptors = Descriptors(self.voice.event)
        self.lines = ClientLines(
            lambda: self.in_force[0].limits,
            clock,
            self._note_refusal,
            self.voice.event,
            self.descriptors.most_connections,
        )
        self._pulse = Pulse(clock, also=(self.lines.beat, self.descriptors.beat))
        self.outwards = Outwards(lambda: self.in_force, self.voice, environ, self.board, self._gauges())
        sinks = self.outwards.sinks
        self.keeping = None if records is None else Keeping(records, config, environ, self.voice, sinks)
        self._unison = self._unite() if self.board.is_shared else None
        self._lifespans = Router(lifespan=self._lifespan)

    def _gauges(self) -> Gauges:
        return Gauges(
            load=lambda: (self.admission.load.requests, self.admission.load.bytes),
            refused=lambda: self.admission.snapshot()["refused"],
            records=lambda: {} if self.keeping is None else self.keeping.recorder.state,
        )

    def _unite(self) -> Unison:
        return Unison(
            self.board,
            health=self.health,
            sessions=self.sessions,
            exchanges=self.exchanges,
            now=self.now,
            admission=self.admission,
            editions=self.editions,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespans(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request_id, began = f"req_{secrets.token_hex(12)}", self.now()
        edition = self.edition
        preset, path = split_preset(served_path(scope["path"]))
        method, form = scope["method"], form_of(path)
        try:
            caller = read_caller(scope)
            found = find(path, method)
            edition.guard.check(found.access, method, caller)
            if preset:
                edition = below(edition, preset, found)
        except NotSignedIn:
            await to_sign_in()(scope, receive, _with_request_id(send, request_id))
            return
        except RouterError as error:
            await self._refuse(send, fault_for(error, edition.config.secrets), request_id, form)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody gets in by it
            self.voice.defect(error, request_id, edition.config.secrets)
            await self._refuse(send, fault_for(defect(request_id), ()), request_id, form)
            return
        is_bounded = found.access in {Access.CLIENT, Access.OPEN}  # an operator can look always
        with edition.lease.in_use(), self.admission.stay(is_bounded=is_bounded) as stay:
            call = Call(self, edition, caller, found.params, receive, request_id, stay, _query_of(scope))
            if found.row is not None and found.row.endpoint is None:
                await self._converse(found.row, call, send, began)
            else:
                await self._answer(found, call, scope, send)

    # -- conversations -------------------------------------------------------------------------------------------

    async def _converse(self, row: Row, call: Call, send: Send, began: float) -> None:
        """One request for an answer of a model, in whichever dialect the row speaks."""
        edition, headers, form = call.edition, call.caller.headers, row.form
        exchange = self._begin(row.path, call, began)
        reply = self._reply(send, call.id, form)
        reply.content = exchange.content

        async def fail(error: RouterError) -> None:
            await self._fail(reply, fault_for(error, edition.config.secrets), exchange, form)

        try:
            call.enter()
            body = await call.body()
            exchange.received, exchange.size = self.now() - began, len(body)
            if exchange.content is not None:
                exchange.content.note_request(body)
            async with until_client_leaves(call.receive, reply):
                await edition.gateway.messages(body, headers, reply, exchange, form)
            exchange.status = 200
        except RouterError as error:
            await fail(error)
        except ClientGone:
            exchange.status, exchange.error = CLIENT_GONE, "the client hung up"
        except asyncio.CancelledError:  # the router is stopping, and has waited as long as it will
            await fail(_stopped())
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer in its own form
            self.voice.defect(error, exchange.id, edition.config.secrets)
            await fail(defect(exchange.id))
        finally:
            reply.forget()
            exchange.answer_size = reply.size
            self.finish(exchange)

    def _begin(self, path: str, call: Call, began: float) -> Exchange:
        headers, kept = call.caller.headers, call.edition.config.record
        exchange = Exchange(call.id, path, began, authorized=self.now() - began)
        exchange.client = client_of(headers.get("user-agent", ""))
        exchange.traceparent = headers.get("traceparent", "")[:_LONGEST_TRACE]
        if self.keeping is not None and kept.enabled:
            exchange.prompts = self.keeping.recorder
            exchange.content = None if kept.content == "none" else Content(_MOST_CONTENT)
        self.exchanges.begin(exchange)
        return exchange

    async def _fail(self, reply: HttpReply, fault: Fault, exchange: Exchange, form: Served | None) -> None:
        status, body = fault_answer(fault, exchange.id, form)
        exchange.status, exchange.error = status, exchange.error or fault.message
        if reply.has_begun:
            await reply.write(reply.fault_frames(fault))
            await reply.end()
        else:
            headers = {**exchange.told, **fault_headers(fault)}
            if exchange.upstream_id:
                headers["x-ccr-upstream-request-id"] = exchange.upstream_id
            await reply.whole(status, headers, body)

    def _reply(self, send: Send, request_id: str, form: Served | None) -> HttpReply:
        common = {"request-id": request_id}
        if form is None:
            return HttpReply(send, self._pulse, common, self.now)
        return HttpReply(send, self._pulse, {**common, **form.headers(request_id)}, self.now, form.keep_alive())

    def finish(self, exchange: Exchange) -> None:
        """The exchange is over: log and audit are told how it ended."""
        exchange.total, exchange.ended_at = self.now() - exchange.began, time.time()
        if exchange.facts is not None:
            exchange.facts.forget_turns()
        self.exchanges.note(exchange)
        if self.keeping is not None:
            self.keeping.recorder.put(exchange)
        self.voice.exchange(exchange)
        if facts := outcome_facts(exchange):
            self.account.report("outcome", facts)

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _answer(self, found: Found, call: Call, scope: Scope, send: Send) -> None:
        has_begun = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            await _with_request_id(send, call.id)(message)

        try:
            try:
                if found.row is None or found.row.endpoint is None:
                    path = redact(scope["path"], call.edition.config.secrets)[:200]
                    form = form_of(split_preset(served_path(scope["path"]))[1])
                    response = no_route(scope["method"], path, found.methods, call.id, form)
                else:
                    response = await found.row.endpoint(call)
            except RouterError as error:
                response = fault_response(fault_for(error, call.edition.config.secrets), call.id)
            await response(scope, call.receive, sending)
        except ClientGone:
            pass  # nobody is left to answer
        except asyncio.CancelledError:  # as for conversations
            if not has_begun:
                await self._refuse(send, fault_for(_stopped(), ()), call.id)
        except Exception as error:  # noqa: BLE001 - as above
            self.voice.defect(error, call.id, call.edition.config.secrets)
            await self._refuse(send, fault_for(defect(call.id), ()), call.id)

    async def _refuse(self, send: Send, fault: Fault, request_id: str, form: Served | None = None) -> None:
        self._note_refusal(request_id, fault)
        status, body = fault_answer(fault, request_id, form)
        reply = self._reply(send, request_id, form)
        await reply.whole(status, {**fault_headers(fault), "connection": "close"}, body)

    def _note_refusal(self, request_id: str, fault: Fault) -> None:
        self.voice.event("warn", "refused", reqId=request_id, status=fault.status, error=fault.message)

    @property
    def recorder(self) -> Keeper | None:
        """Who records exchanges, if anybody does."""
        return None if self.keeping is None else self.keeping.recorder

    @property
    def reports(self) -> Reports | None:
        """What was recorded, if anything is."""
        return None if self.keeping is None else self.keeping.reports

    @property
    def metrics(self) -> SharedMetrics:
        """What was counted, of all processes."""
        return self.outwards.metrics

    def _keep_by(self, config: Config) -> None:
        if self.keeping is not None:
            self.keeping.use(config)

    # -- what is in force ----------------------------------------------------------------------------------------

    @property
    def in_force(self) -> tuple[Config, Policy]:
        """The configuration and the policy in force; before and after the lifespan, those of its beginning and end."""
        return self.editions.in_force

    @property
    def edition(self) -> Edition:
        """What is in force now. A request keeps the one that it began with."""
        return self.editions.current

    @property
    def changing(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Held while what is in force, or the file behind it, is changed."""
        return self.editions.changing

    @property
    def last_reload(self) -> LastReload:
        """How the last reload ended."""
        return self.editions.last

    async def reload(self) -> Reloaded:
        """Put what the files say now in force: `Editions.reload`."""
        return await self.editions.reload()

    async def amend(self, config: Config, tree: JsonObject) -> None:
        """Put `config` in force until the next reload: `Editions.amend`."""
        await self.editions.amend(config, tree)

    async def prepare(self) -> None:
        """After the call the user's own code is loaded. Raises ConfigError if it cannot be: then nothing is served."""
        check_telemetry(*self.in_force, self.environ)
        await self.editions.prepare()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        if self.keeping is not None:
            self.keeping.begin()
        await self.editions.begin()
        if self._unison is not None:
            await self._unison.begin()
        beating = asyncio.create_task(self._pulse.run())
        try:
            yield
        finally:
            beating.cancel()
            await self.examiner.close()
            await self.board.close()
            await self.editions.close()
            if self.keeping is not None:
                await self.keeping.close()
            await self.outwards.close()


def _stopped() -> ClientError:
    return ClientError("the router was stopped", status=503, type="overloaded_error")


def _with_request_id(send: Send, request_id: str) -> Send:
    line = (b"request-id", request_id.encode())

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], line]
        await send(message)

    return sending


def _query_of(scope: Scope) -> str:
    return bytes(scope.get("query_string", b"")).decode("latin-1")

"""The ASGI application. This module constructs things; nobody else does, and nobody reads a global.

Messages requests take a plain path from here to the gateway and back; the other endpoints are functions that the table
of routes names (routes.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.routing import Router

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config, LogLevel
from ccrouter.dialects.served import Served
from ccrouter.errors import ClientError, ConfigError, RouterError
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.pipeline import Gateway
from ccrouter.gateway.record import CLIENT_GONE, Auditor, Exchange, outcome_facts
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.fault import Fault
from ccrouter.secret import redact
from ccrouter.server.account import Account
from ccrouter.server.call import Call
from ccrouter.server.custom import CustomCode
from ccrouter.server.departure import until_client_leaves
from ccrouter.server.edition import Edition, Lease, Reloaded
from ccrouter.server.exchanges import Exchanges
from ccrouter.server.faults import defect, fault_answer, fault_for, fault_headers, fault_response, no_route
from ccrouter.server.guard import Guard, NotSignedIn, read_caller
from ccrouter.server.intake import ClientGone, Receive
from ccrouter.server.log import ExchangeLog
from ccrouter.server.pages import to_sign_in
from ccrouter.server.presets import below, serve_presets, split_preset
from ccrouter.server.reload import keep_listening
from ccrouter.server.respond import HttpReply, Pulse, Send
from ccrouter.server.routes import Found, Row, find, form_of, served_path
from ccrouter.server.sessions import Sessions
from ccrouter.upstream.client import UpstreamClient

Scope = MutableMapping[str, Any]


class App:
    """The router as an ASGI application. `log` may be None: then nothing about exchanges is formatted or written.

    `reload`, told which policy is in force, gives what the files say now, or raises ConfigError; without it `reload()`
    refuses. `is_launch_key` says whether a key was minted for a launch of Claude Code that lives.
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
    ) -> None:
        self.environ = environ
        self.started = datetime.now(UTC)
        self.account = Account(auditor, self._complain)
        self.sessions = Sessions(clock)
        self.exchanges = Exchanges()
        self.changing = asyncio.Lock()
        self.now = clock
        self._first = (config, policy, projects)
        self._custom = CustomCode(environ, self._note, lambda: self.in_force[0].secrets)
        self._prepared: Extensions | None = None
        self._log = log
        self._is_launch_key = is_launch_key
        self._load = reload
        self._pulse = Pulse(clock)
        self._edition: Edition | None = None
        self._leases: list[Lease] = []
        self._reloading: asyncio.Task[None] | None = None
        self._lifespans = Router(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespans(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request_id = f"req_{secrets.token_hex(12)}"
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
            self._report(error, request_id, edition)
            await self._refuse(send, fault_for(defect(request_id), ()), request_id, form)
            return
        with edition.lease.in_use():
            if found.row is not None and found.row.endpoint is None:
                await self._converse(found.row, Call(self, edition, caller, found.params, receive, request_id), send)
            else:
                await self._answer(found, Call(self, edition, caller, found.params, receive, request_id), scope, send)

    # -- conversations -------------------------------------------------------------------------------------------

    async def _converse(self, row: Row, call: Call, send: Send) -> None:
        """One request for an answer of a model, in whichever dialect the row speaks."""
        edition, headers, form = call.edition, call.caller.headers, row.form
        exchange = Exchange(call.id, row.path, self.now())
        reply = self._reply(send, call.id, form)

        async def fail(error: RouterError) -> None:
            await self._fail(reply, fault_for(error, edition.config.secrets), exchange, form)

        try:
            body = await call.body()
            async with until_client_leaves(call.receive, reply):
                await edition.gateway.messages(body, headers, reply, exchange, form)
            exchange.status = 200
        except RouterError as error:
            await fail(error)
        except ClientGone:
            exchange.status, exchange.error = CLIENT_GONE, "the client hung up"
        except asyncio.CancelledError:  # the router is stopping, and has waited as long as it will
            await fail(ClientError("the router was stopped", status=503, type="overloaded_error"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer in its own form
            self._report(error, exchange.id, edition)
            await fail(defect(exchange.id))
        finally:
            reply.forget()
            self.finish(exchange)

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
        exchange.total = self.now() - exchange.began
        self.exchanges.note(exchange)
        if self._log is not None:
            self._log.write(exchange)
        if facts := outcome_facts(exchange):
            self.account.report("outcome", facts)

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _answer(self, found: Found, call: Call, scope: Scope, send: Send) -> None:
        sending = _with_request_id(send, call.id)
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
        except Exception as error:  # noqa: BLE001 - as above
            self._report(error, call.id, call.edition)
            await self._refuse(send, fault_for(defect(call.id), ()), call.id)

    async def _refuse(self, send: Send, fault: Fault, request_id: str, form: Served | None = None) -> None:
        if self._log is not None:
            self._log.event("warn", "refused", reqId=request_id, status=fault.status, error=fault.message)
        status, body = fault_answer(fault, request_id, form)
        reply = self._reply(send, request_id, form)
        await reply.whole(status, {**fault_headers(fault), "connection": "close"}, body)

    # -- what is in force ----------------------------------------------------------------------------------------

    @property
    def in_force(self) -> tuple[Config, Policy]:
        """The configuration and the policy in force; before and after the lifespan, those of its beginning and end."""
        if self._edition is None:
            return self._first[:2]
        return self._edition.config, self._edition.policy

    @property
    def edition(self) -> Edition:
        """What is in force now. A request keeps the one that it began with."""
        assert self._edition is not None, "the application serves only within its lifespan"
        return self._edition

    async def reload(self) -> Reloaded:
        """After the call what the files say now is in force, for requests that begin from then on.

        Raises ConfigError if it is refused and ClientError if it cannot be done: what was in force then stays so.
        """
        if self._load is None:
            raise ClientError("this process cannot reload: restart it", status=501, type="api_error")
        async with self.changing:
            before = self.edition
            try:
                config, policy = await asyncio.to_thread(self._load, before.policy)
                config, notes = keep_listening(config, policy, before.config)
                extensions = await self._custom.load(config, policy)
            except ConfigError as error:
                self._note_refusal(error, before)
                raise
            facts = {"policy": policy.digest, "config": config.digest, "result": "ok"}
            try:
                self.account.record("reload", facts)  # the last step that may fail: what it says is then so
            except RouterError:
                extensions.retire()
                raise
            projects = None if before.projects is None else ProjectRouters(config, self.environ)
            after = self._put_in_force(config, policy, projects, before, extensions=extensions)
            if policy.digest != before.policy.digest:
                self.account.report("policy", {"policy": policy.digest, "reason": policy.source or "no policy"})
            if self._log is not None:
                self._log.set_level(config.log_level)
                self._log.event("info", "reloaded", policy=policy.name, config=config.digest, notes=list(notes))
            return Reloaded(after, notes)

    async def prepare(self) -> None:
        """After the call the user's own code is loaded. Raises ConfigError if it cannot be: then nothing is served."""
        if self._prepared is None:
            self._prepared = await self._custom.load(*self._first[:2])

    def reload_soon(self) -> None:
        """Reload in a task of its own, for a signal. A refusal is in the log, or on stderr without one."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_quietly())

    def amend(self, config: Config, tree: JsonObject) -> None:
        """After the call `config`, lowered from `tree`, is in force until the next reload. `changing` is to be held."""
        before = self.edition
        self._put_in_force(config, before.policy, before.projects, before, extensions=before.extensions, amended=tree)

    def _put_in_force(  # noqa: PLR0913 - what an edition is made of
        self,
        config: Config,
        policy: Policy,
        projects: ProjectRouters | None,
        before: Edition | None,
        *,
        extensions: Extensions,
        amended: JsonObject | None = None,
    ) -> Edition:
        if before is not None and before.policy == policy:
            lease = before.lease
        else:  # the client judges what leaves, by its policy: it is never taken over by another
            lease = Lease(UpstreamClient(policy))
            self._leases = [one for one in self._leases if not one.is_closed] + [lease]
        auditor = self.account if self.account.is_kept else None
        self.sessions.follow(config.api_key)

        def gateway_of(one: Config) -> Gateway:
            return Gateway(one, lease.client, self.now, policy=policy, auditor=auditor)

        self._edition = Edition(
            config=config,
            policy=policy,
            projects=projects,
            guard=Guard(config, self.environ, self._is_launch_key, self.sessions),
            gateway=Gateway(
                config,
                lease.client,
                self.now,
                projects,
                policy=policy,
                auditor=auditor,
                extensions=extensions,
            ),
            lease=lease,
            extensions=extensions,
            presets=serve_presets(self.environ, policy, gateway_of),
            amended=amended,
        )
        if before is not None and before.lease is not lease:
            before.lease.retire()
        if before is not None and before.extensions is not extensions:
            before.extensions.retire()
        return self._edition

    def _note_refusal(self, error: ConfigError, before: Edition) -> None:
        reason = redact(str(error), before.config.secrets)
        facts = {"policy": before.policy.digest, "config": before.config.digest, "result": "refused", "reason": reason}
        self.account.report("reload", facts)
        if self._log is not None:
            self._log.event("error", "reload refused", error=reason)

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except RouterError as error:
            if self._log is None:
                _print(f"ccr: the reload was refused: {redact(str(error), self.edition.config.secrets)}")
        except Exception as error:  # noqa: BLE001 - nobody waits for this task
            self._report(error, "reload", self.edition)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        await self.prepare()
        assert self._prepared is not None
        self._put_in_force(*self._first, None, extensions=self._prepared)
        beating = asyncio.create_task(self._pulse.run())
        try:
            yield
        finally:
            beating.cancel()
            for lease in self._leases:
                await lease.close()
            await self._custom.close()

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def _report(self, error: Exception, request_id: str, edition: Edition) -> None:
        """A defect of ours, with its trace, where its user can find it: in the log, or on stderr without one."""
        trace = redact("".join(traceback.format_exception(error)), edition.config.secrets)
        if self._log is not None:
            self._log.event("error", "a defect of the router", reqId=request_id, trace=trace)
        else:
            _print(trace)

    def _note(self, level: LogLevel, message: str, facts: Mapping[str, object]) -> None:
        """What custom code did; without a log, what of it went wrong."""
        if self._log is not None:
            self._log.event(level, message, **facts)
        elif level == "error":
            _print(f"ccr: {message}: {', '.join(f'{name}: {fact}' for name, fact in facts.items())}")

    def _complain(self, why: str) -> None:
        if self._log is not None:
            self._log.event("error", "the audit log cannot be written", error=why)
        else:
            _print(f"ccr: the audit log cannot be written: {why}")


def _print(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - there is no log


def _with_request_id(send: Send, request_id: str) -> Send:
    line = (b"request-id", request_id.encode())

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], line]
        await send(message)

    return sending

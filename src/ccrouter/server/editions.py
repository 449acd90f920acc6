"""What is in force, and how it changes: loaded once at the start, replaced whole by a reload, never changed.

A request is served to its end by the edition that it began with; what the edition before held is let go when the last
such request has ended. A reload that is refused changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Literal, Protocol

from ccrouter.compliance.policy import Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, ConfigError, RouterError
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.pipeline import Gateway
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.health import Health
from ccrouter.routing.sessions import SessionUsage
from ccrouter.secret import redact
from ccrouter.server.account import Account
from ccrouter.server.custom import CustomCode
from ccrouter.server.edition import Edition, LastReload, Lease, Outcome, Reloaded, ServedPreset
from ccrouter.server.guard import Guard
from ccrouter.server.presets import ReadPreset, read_presets, serve_presets
from ccrouter.server.reload import keep_listening
from ccrouter.server.sessions import Sessions
from ccrouter.server.sources import Known, Sources, digest_of
from ccrouter.server.voice import Voice
from ccrouter.upstream.client import UpstreamClient

#: Told which policy is in force, gives what the files say now, or raises ConfigError.
Load = Callable[[Policy], tuple[Config, Policy]]

_NOT_KEPT = "what was changed in memory (POST, PUT, PATCH, DELETE /providers) is gone: the files say what is in force"


class Fellows(Protocol):
    """The other processes of a service that has several."""

    async def propose(self, config: Config, policy: Policy) -> None:
        """After the call every one of them can put it in force. Raises RouterError if one cannot."""

    async def enact(self, config: Config, policy: Policy, amended: JsonObject | None) -> None:
        """After the call every one of them serves by it."""

    def tell(self) -> None:
        """A reload is over."""


class Editions:
    """The edition in force. `first` is what the process was started with; `health` and `usage` outlive every edition.

    `on_change` is told what is in force from then on. `changing` is held while what is in force, or the file behind it,
    is changed. `last` tells how the last reload ended, `sources` which files have a part in it; `observe` is told when
    a reload begins and when it is over.
    """

    def __init__(  # noqa: PLR0913 - what an edition is made of, all but the first by name
        self,
        first: tuple[Config, Policy, ProjectRouters | None],
        *,
        load: Load | None,
        account: Account,
        sessions: Sessions,
        health: Health,
        voice: Voice,
        environ: Mapping[str, str],
        is_launch_key: Callable[[str], bool] | None,
        clock: Callable[[], float],
        wait: Callable[[float], Awaitable[None]],
        changing: AbstractAsyncContextManager[None],
        on_change: Callable[[Config], None] = lambda _config: None,
    ) -> None:
        self.changing = changing
        self._on_change = on_change
        self.usage = SessionUsage()
        self.sources = Sources(environ)
        self.last = LastReload("ok", datetime.now(UTC), first[0].digest)
        self.observe: Callable[[Literal["begin", "end"]], None] = lambda _moment: None
        self._first = first
        self._load = load
        self._account = account
        self._sessions = sessions
        self._health = health
        self._voice = voice
        self._environ = environ
        self._is_launch_key = is_launch_key
        self._clock = clock
        self._wait = wait
        self._custom = CustomCode(environ, voice.note, lambda: self.in_force[0].secrets)
        self._prepared: Extensions | None = None
        self._edition: Edition | None = None
        self._leases: list[Lease] = []
        self._reloading: asyncio.Task[None] | None = None
        self._is_asked_again = False
        self._fellows: Fellows | None = None
        self._ready: tuple[Extensions, Mapping[str, ReadPreset]] | None = None

    @property
    def in_force(self) -> tuple[Config, Policy]:
        """The configuration and the policy in force; before and after the lifespan, those of its beginning and end."""
        if self._edition is None:
            return self._first[:2]
        return self._edition.config, self._edition.policy

    @property
    def can_reload(self) -> bool:
        """False if the process was not told how its files are read."""
        return self._load is not None

    @property
    def current(self) -> Edition:
        """What is in force now."""
        assert self._edition is not None, "the application serves only within its lifespan"
        return self._edition

    async def prepare(self) -> None:
        """After the call the user's own code is loaded. Raises ConfigError if it cannot be: then nothing is served."""
        if self._prepared is None:
            self._prepared = await self._custom.load(*self._first[:2])

    async def begin(self) -> None:
        """After the call the first edition is in force. Raises as `prepare`."""
        await self.prepare()
        assert self._prepared is not None
        if self._load is not None:
            await asyncio.to_thread(self.sources.begin, *self._first[:2])
        presets = await self._read_presets(self._first[1])
        self._put_in_force(*self._first, None, extensions=self._prepared, presets=presets)

    async def close(self) -> None:
        """The process ends: whatever is still in use is closed."""
        for lease in self._leases:
            await lease.close()
        await self._custom.close()

    async def reload(self) -> Reloaded:
        """After the call what the files say now is in force, for requests that begin from then on.

        Raises ConfigError if it is refused and ClientError if it cannot be done: what was in force then stays so.
        """
        load = self._load
        if load is None:
            raise ClientError("this process cannot reload: restart it", status=501, type="api_error")
        async with self.changing:
            before = self.current
            self.observe("begin")
            try:
                done = await self._replace(load, before)
            except Exception as error:
                await self._note_end(error, before)
                raise
            else:
                self.last = LastReload("ok", datetime.now(UTC), done.edition.config.digest)
                return done
            finally:
                if self._fellows is not None:
                    self._fellows.tell()
                self.observe("end")

    async def _replace(self, load: Load, before: Edition) -> Reloaded:
        try:
            config, policy = await asyncio.to_thread(self._read, load, before)
            config, notes = keep_listening(config, policy, before.config)
            presets = await self._read_presets(policy)
            extensions = await self._custom.load(config, policy)
            await self._propose(config, policy, extensions)
        except ConfigError as error:
            self._note_refusal(error, before)
            raise
        facts = {"policy": policy.digest, "config": config.digest, "result": "ok"}
        try:
            self._account.record("reload", facts)  # the last step that may fail: what it says is then so
        except RouterError:
            extensions.retire()
            raise
        if self._fellows is not None:
            await self._fellows.enact(config, policy, None)
        projects = self._projects_of(config)
        after = self._put_in_force(config, policy, projects, before, extensions=extensions, presets=presets)
        if policy.digest != before.policy.digest:
            self._account.report("policy", {"policy": policy.digest, "reason": policy.source or "no policy"})
        notes += () if before.amended is None else (_NOT_KEPT,)
        self._voice.follow(config)
        self._voice.event("info", "reloaded", policy=policy.name, config=config.digest, notes=list(notes))
        await asyncio.to_thread(self.sources.follow, (config, policy))
        return Reloaded(after, notes)

    def _read(self, load: Load, before: Edition) -> tuple[Config, Policy]:
        self.sources.read()
        in_force = (before.config, before.policy)
        try:
            read = load(before.policy)
        except ConfigError:
            self.sources.follow(in_force)
            raise
        self.sources.follow(in_force, read)
        return read

    async def _note_end(self, error: Exception, before: Edition) -> None:
        """After the call `last` tells of a reload that came to nothing."""
        outcome: Outcome = "refused" if isinstance(error, ConfigError) else "failed"
        reason = str(error) if isinstance(error, RouterError) else "a defect of the router: its log has the trace"
        path = before.config.path
        digest = "" if path is None else await asyncio.to_thread(digest_of, path)
        self.last = LastReload(outcome, datetime.now(UTC), digest, redact(reason, before.config.secrets))
        if outcome == "failed":
            self._voice.event("error", "reload failed", error=self.last.reason)

    def reload_soon(self) -> None:
        """Reload in a task of its own, for a signal. A refusal is in the log, or on stderr without one.

        While one is under way that has read the files perhaps, another follows it.
        """
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_until_done())
        else:
            self._is_asked_again = True

    async def _reload_until_done(self) -> None:
        await self.reload_quietly()
        while self._is_asked_again:
            self._is_asked_again = False
            await self.reload_quietly()

    async def amend(self, config: Config, tree: JsonObject) -> None:
        """After the call `config`, lowered from `tree`, is in force until the next reload. `changing` is to be held."""
        if self._fellows is not None:
            await self._fellows.enact(config, self.current.policy, tree)
        self._amend(config, tree)

    def _amend(self, config: Config, tree: JsonObject) -> None:
        before = self.current
        self._put_in_force(config, before.policy, before.projects, before, extensions=before.extensions, amended=tree)

    # -- several processes, one edition ----------------------------------------------------------------------------

    def serve_with(self, fellows: Fellows) -> None:
        """From now on nothing is put in force here that `fellows` cannot put in force, and all do."""
        self._fellows = fellows

    @property
    def history(self) -> tuple[LastReload, Known]:
        """How the last reload ended, and the files as they were then."""
        return self.last, self.sources.known

    def take_history(self, history: tuple[LastReload, Known]) -> None:
        """A reload is over that another process made."""
        self.last, self.sources.known = history

    async def make_ready(self, config: Config, policy: Policy) -> None:
        """After the call what another process has read can be put in force here. Raises ConfigError if it cannot."""
        presets = await self._read_presets(policy)
        extensions = await self._custom.load(config, policy)
        if self._ready is not None:  # proposed before, and given up
            self._ready[0].retire()
        self._ready = extensions, presets

    def put_ready_in_force(self, config: Config, policy: Policy, amended: JsonObject | None) -> None:
        """After the call it is in force here too: with `amended` what is in force, changed; else what was made
        ready.
        """
        if amended is not None:
            self._amend(config, amended)
            return
        assert self._ready is not None, "it was made ready"
        (extensions, presets), self._ready = self._ready, None
        projects = self._projects_of(config)
        self._put_in_force(config, policy, projects, self.current, extensions=extensions, presets=presets)
        self._voice.follow(config)

    async def _propose(self, config: Config, policy: Policy, extensions: Extensions) -> None:
        if self._fellows is None:
            return
        try:
            await self._fellows.propose(config, policy)
        except BaseException:
            extensions.retire()
            raise

    async def _read_presets(self, policy: Policy) -> Mapping[str, ReadPreset]:
        return await asyncio.to_thread(read_presets, self._environ, policy)

    def _projects_of(self, config: Config) -> ProjectRouters | None:
        return None if self.current.projects is None else ProjectRouters(config, self._environ)

    def _put_in_force(  # noqa: PLR0913 - what an edition is made of
        self,
        config: Config,
        policy: Policy,
        projects: ProjectRouters | None,
        before: Edition | None,
        *,
        extensions: Extensions,
        presets: Mapping[str, ReadPreset] | None = None,
        amended: JsonObject | None = None,
    ) -> Edition:
        """Without `presets` they stay those of `before`."""
        if before is not None and before.policy == policy:
            lease = before.lease
        else:  # the client judges what leaves, by its policy: it is never taken over by another
            lease = Lease(UpstreamClient(policy))
            self._leases = [one for one in self._leases if not one.is_closed] + [lease]
        auditor = self._account if self._account.is_kept else None
        self._sessions.follow(config.api_key)
        self._health.follow(config.providers, config.retries)

        def gateway_of(one: Config) -> Gateway:
            return Gateway(one, lease.client, self._clock, policy=policy, auditor=auditor)

        if presets is not None:
            served: Mapping[str, ServedPreset] = serve_presets(presets, gateway_of)
        else:
            assert before is not None, "the first edition reads its presets"
            served = before.presets
        self._edition = Edition(
            config=config,
            policy=policy,
            projects=projects,
            guard=Guard(config, self._environ, self._is_launch_key, self._sessions),
            gateway=Gateway(
                config,
                lease.client,
                self._clock,
                projects,
                policy=policy,
                auditor=auditor,
                extensions=extensions,
                health=self._health,
                wait=self._wait,
                usage=self.usage,
            ),
            lease=lease,
            extensions=extensions,
            presets=served,
            amended=amended,
        )
        self._on_change(config)
        if before is not None and before.lease is not lease:
            before.lease.retire()
        if before is not None and before.extensions is not extensions:
            before.extensions.retire()
        return self._edition

    def _note_refusal(self, error: ConfigError, before: Edition) -> None:
        reason = redact(str(error), before.config.secrets)
        facts = {"policy": before.policy.digest, "config": before.config.digest, "result": "refused", "reason": reason}
        self._account.report("reload", facts)
        self._voice.event("error", "reload refused", error=reason)

    def complain(self, error: Exception) -> None:
        """Say that something failed that nobody waits for."""
        self._voice.defect(error, "reload", self.current.config.secrets)

    async def reload_quietly(self) -> Outcome:
        """Reload where nobody waits for the answer. A refusal is in the log, or on stderr without one."""
        try:
            await self.reload()
        except RouterError as error:
            self._voice.refused_reload(redact(str(error), self.current.config.secrets))
        except Exception as error:  # noqa: BLE001 - nobody waits for this
            self.complain(error)
        return self.last.state

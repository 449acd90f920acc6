"""What is in force, and how it changes: loaded once at the start, replaced whole by a reload, never changed.

A request is served to its end by the edition that it began with; what the edition before held is let go when the last
such request has ended. A reload that is refused changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ccrouter.compliance.policy import Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, ConfigError, RouterError
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.pipeline import Gateway
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.health import Health
from ccrouter.secret import redact
from ccrouter.server.account import Account
from ccrouter.server.custom import CustomCode
from ccrouter.server.edition import Edition, Lease, Reloaded
from ccrouter.server.guard import Guard
from ccrouter.server.presets import serve_presets
from ccrouter.server.reload import keep_listening
from ccrouter.server.sessions import Sessions
from ccrouter.server.voice import Voice
from ccrouter.upstream.client import UpstreamClient

#: Told which policy is in force, gives what the files say now, or raises ConfigError.
Load = Callable[[Policy], tuple[Config, Policy]]


class Editions:
    """The edition in force. `first` is what the process was started with; `health` outlives every edition.

    `changing` is held while what is in force, or the file behind it, is changed.
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
    ) -> None:
        self.changing = asyncio.Lock()
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

    @property
    def in_force(self) -> tuple[Config, Policy]:
        """The configuration and the policy in force; before and after the lifespan, those of its beginning and end."""
        if self._edition is None:
            return self._first[:2]
        return self._edition.config, self._edition.policy

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
        self._put_in_force(*self._first, None, extensions=self._prepared)

    async def close(self) -> None:
        """The process ends: whatever is still in use is closed."""
        for lease in self._leases:
            await lease.close()
        await self._custom.close()

    async def reload(self) -> Reloaded:
        """After the call what the files say now is in force, for requests that begin from then on.

        Raises ConfigError if it is refused and ClientError if it cannot be done: what was in force then stays so.
        """
        if self._load is None:
            raise ClientError("this process cannot reload: restart it", status=501, type="api_error")
        async with self.changing:
            before = self.current
            try:
                config, policy = await asyncio.to_thread(self._load, before.policy)
                config, notes = keep_listening(config, policy, before.config)
                extensions = await self._custom.load(config, policy)
            except ConfigError as error:
                self._note_refusal(error, before)
                raise
            facts = {"policy": policy.digest, "config": config.digest, "result": "ok"}
            try:
                self._account.record("reload", facts)  # the last step that may fail: what it says is then so
            except RouterError:
                extensions.retire()
                raise
            projects = None if before.projects is None else ProjectRouters(config, self._environ)
            after = self._put_in_force(config, policy, projects, before, extensions=extensions)
            if policy.digest != before.policy.digest:
                self._account.report("policy", {"policy": policy.digest, "reason": policy.source or "no policy"})
            self._voice.set_level(config.log_level)
            self._voice.event("info", "reloaded", policy=policy.name, config=config.digest, notes=list(notes))
            return Reloaded(after, notes)

    def reload_soon(self) -> None:
        """Reload in a task of its own, for a signal. A refusal is in the log, or on stderr without one."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_quietly())

    def amend(self, config: Config, tree: JsonObject) -> None:
        """After the call `config`, lowered from `tree`, is in force until the next reload. `changing` is to be held."""
        before = self.current
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
        auditor = self._account if self._account.is_kept else None
        self._sessions.follow(config.api_key)
        self._health.follow(config.providers, config.retries)

        def gateway_of(one: Config) -> Gateway:
            return Gateway(one, lease.client, self._clock, policy=policy, auditor=auditor)

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
            ),
            lease=lease,
            extensions=extensions,
            presets=serve_presets(self._environ, policy, gateway_of),
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
        self._account.report("reload", facts)
        self._voice.event("error", "reload refused", error=reason)

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except RouterError as error:
            self._voice.refused_reload(redact(str(error), self.current.config.secrets))
        except Exception as error:  # noqa: BLE001 - nobody waits for this task
            self._voice.defect(error, "reload", self.current.config.secrets)

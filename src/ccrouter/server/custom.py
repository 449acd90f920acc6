"""The user's own code in a process that runs for months: loaded with a configuration, replaced with it, ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config, LogLevel
from ccrouter.errors import ConfigError
from ccrouter.extensions.extensions import Extensions
from ccrouter.secret import Secret, redact


class CustomCode:
    """The extensions that are in force, and earlier ones that requests still use.

    `write` takes level, message and facts of a line of the log, without secrets; `secrets` gives those in force.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        write: Callable[[LogLevel, str, Mapping[str, object]], None],
        secrets: Callable[[], Iterable[Secret]],
    ) -> None:
        self._environ = environ
        self._write = write
        self._secrets = secrets
        self._held: list[Extensions] = []

    async def load(self, config: Config, policy: Policy) -> Extensions:
        """The code that `config` names, loaded. Raises ConfigError, without secrets, if it cannot be, or may not."""

        def journal(level: LogLevel, message: str, **facts: object) -> None:
            hidden = (*config.secrets, *self._secrets())
            shown = {name: redact(fact, hidden) if isinstance(fact, str) else fact for name, fact in facts.items()}
            self._write(level, message, shown)

        try:
            extensions = await Extensions.open(config, policy, self._environ, journal)
        except ConfigError as error:
            problems = [replace(one, message=redact(one.message, config.secrets)) for one in error.problems]
            raise ConfigError(problems) from error
        self._held = [one for one in self._held if not one.is_closed] + [extensions]
        return extensions

    async def close(self) -> None:
        """After the call none of it runs."""
        for extensions in self._held:
            await extensions.close()

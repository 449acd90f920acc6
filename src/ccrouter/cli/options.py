"""The options that `ccr start` and `ccr restart` share, and the configuration they lead to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ccrouter.cli.terminal import note

if TYPE_CHECKING:
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.load import Overrides
    from ccrouter.config.schema import Config
    from ccrouter.service.running import Running

_Callback = TypeVar("_Callback", bound=Callable[..., object])
#: A variable without a default of its own, as a config file refers to it.
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$([A-Z_][A-Z0-9_]*)")
_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What the command line says about a start; None where it says nothing."""

    router: str | None = None
    port: int | None = None
    host: str | None = None
    config: Path | None = None
    log_level: str | None = None
    apikey: str | None = None
    policy: str | None = None
    workers: int | None = None

    def as_recorded(self) -> dict[str, str]:
        """What can be kept on disk: everything that is given, except the key; paths are absolute."""
        config = str(self.config.expanduser().absolute()) if self.config else None
        given = {
            "router": self.router,
            "port": str(self.port) if self.port else None,
            "host": self.host,
            "config": config,
            "log-level": self.log_level,
            "policy": _absolute_policy(self.policy) if self.policy else None,
            "workers": str(self.workers) if self.workers else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def arguments(self) -> list[str]:
        """The same, as words after `ccr start` that mean the same in any folder."""
        words = [f"--{name}={value}" for name, value in self.as_recorded().items()]
        return [*words, f"--apikey={self.apikey}"] if self.apikey else words

    def completed_from(self, recorded: Mapping[str, str]) -> StartOptions:
        """These options, and where they say nothing those that were `recorded`."""
        port, config, workers = recorded.get("port"), recorded.get("config"), recorded.get("workers")
        return StartOptions(
            router=self.router or recorded.get("router"),
            port=self.port or (int(port) if port else None),
            host=self.host or recorded.get("host"),
            config=self.config or (Path(config) if config else None),
            log_level=self.log_level or recorded.get("log-level"),
            apikey=self.apikey,
            policy=self.policy or recorded.get("policy"),
            workers=self.workers or (int(workers) if workers else None),
        )

    def overrides(self) -> Overrides:
        """What of this goes before the config file."""
        from ccrouter.config.load import Overrides

        return Overrides(
            port=self.port,
            host=self.host,
            router=self.router,
            log_level=self.log_level,
            api_key=self.apikey,
        )


def _absolute_policy(named: str) -> str:
    """A policy as it is named in any folder: presets by their names, files by their paths."""
    from ccrouter.compliance.document import PRESETS

    return named if named in PRESETS else str(Path(named).expanduser().absolute())


def start_options(callback: _Callback) -> _Callback:
    """Adds the options; their values arrive as the fields of StartOptions, by name."""
    options = [
        click.option("--router", metavar="NAME", help="Which entry of `routers` to use (Claudable shape)."),
        click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="Port, before the config's."),
        click.option("--host", metavar="ADDRESS", help="Address to listen on, before the config's."),
        click.option(
            "--config", "-c", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="Config file."
        ),
        click.option("--log-level", "-l", type=click.Choice(_LEVELS, case_sensitive=False), help="Level of the log."),
        click.option("--apikey", metavar="KEY", help="Key that clients must send, before the config's APIKEY."),
        click.option("--policy", metavar="NAME|PATH", help="Policy to enforce: anthropic-only, open, or a file."),
    ]
    for option in reversed(options):
        callback = option(callback)
    return callback


def load_config(options: StartOptions) -> Config:
    """The configuration that `options` lead to; the defaults without a config file.

    Raises ConfigError with everything that is wrong.
    """
    return _load(config_path(options), os.environ, options)


def config_path(options: StartOptions) -> Path | None:
    """The config file that `options` lead to, None where none is named and there is none."""
    from ccrouter.config.load import find_config

    path = find_config(options.config, os.environ)
    return None if options.config is None and not path.exists() else path


def create_starter_config(options: StartOptions | None = None, policy: Policy | None = None) -> None:
    """After the call there is a config file; if it was made here, that was said.

    Raises ConfigError, and makes none, where `policy` (without it, the one in force) does not allow the starter.
    """
    from ccrouter.compliance.document import load_policy
    from ccrouter.config.load import create_starter, find_config

    path = find_config(None, os.environ)
    if path.exists():
        return
    options = options or StartOptions()
    _judge_starter(path, options, policy or load_policy(options.policy, os.environ))
    if create_starter(path):
        note(f"Created a starter config at {path}: put a provider and its key there.")


def _judge_starter(path: Path, options: StartOptions, policy: Policy) -> None:
    from ccrouter.compliance.examine import examine
    from ccrouter.config.starter import TEMPLATE
    from ccrouter.errors import ConfigError, Problem

    if not policy.is_in_force:
        return
    verdict = examine(path, os.environ, policy, options.overrides(), text=TEMPLATE.read_text(encoding="utf-8"))
    if any(finding.file == str(path) for finding in verdict.errors):
        message = f"there is no config, and the policy {policy.name} does not allow the starter that a start writes"
        raise ConfigError([Problem(str(path), "", message, "write one, or let `ccr install` do it")])


def load_for_clients(options: StartOptions) -> Config:
    """The configuration as far as a client of the router needs it: where it listens, its key, its time-outs.

    The keys of providers may be unset here: the router has them from the shell that started it. Any other variable that
    is needed and unset, and any other mistake, is a ConfigError as ever.
    """
    from ccrouter.errors import ConfigError

    try:
        return load_config(options)
    except ConfigError as error:
        if not all(problem.path.lower().startswith("providers") for problem in error.problems):
            raise
        try:
            return load_with_stand_ins(options)
        except ConfigError:
            raise error from None  # more than unset variables is wrong: the first says it in the user's terms


def load_with_stand_ins(options: StartOptions) -> Config:
    """The configuration as it would be if no variable that it names were unset: to be shown, not to be run.

    Raises ConfigError if more than that is wrong.
    """
    path = config_path(options)
    if path is None:
        return load_config(options)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # the loader says it better
        return load_config(options)
    named = {one or other for one, other in _VARIABLE.findall(text)}
    stand_ins = {name: "http://127.0.0.1/unset" for name in named if not os.environ.get(name)}
    return _load(path, {**os.environ, **stand_ins}, options)


def listening_place(options: StartOptions) -> tuple[str, int]:
    """Host and port that `options` lead to, as far as their config can be read; else those of the defaults."""
    from ccrouter.config.schema import Config
    from ccrouter.errors import ConfigError

    try:
        config = load_with_stand_ins(options)
    except ConfigError:  # whoever needs more than the place reads it again, and says what is wrong
        config = Config()
    return options.host or config.host, options.port or config.port


def follow(config: Config, running: Running | None) -> Config:
    """The configuration that `running` was started with; `config` where that is the same, or not known."""
    if running is None or running.state is None or not running.state.options:
        return config
    return load_for_clients(StartOptions().completed_from(running.state.options))


def _load(path: Path | None, environ: Mapping[str, str], options: StartOptions) -> Config:
    from ccrouter.config.load import load

    return load(path, environ, options.overrides())

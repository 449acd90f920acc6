"""The file → `Config`, or everything that is wrong with it at once. Writes nothing, and opens nothing but the file and
what is known of its providers (`certified`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ccrouter.config.certified import with_certified
from ccrouter.config.customs import (
    Base,
    read_custom_router,
    read_custom_transformers,
    read_customs,
    read_prompt_path,
    warn_of_plugins,
)
from ccrouter.config.draft import Draft
from ccrouter.config.fields import TOP
from ccrouter.config.hints import hint_at_providers
from ccrouter.config.interpolate import fill
from ccrouter.config.keeping import read_log_files, read_record_keeping, read_telemetry
from ccrouter.config.kinds import Choice, Key, KeyText
from ccrouter.config.limits import read_limits, read_retries
from ccrouter.config.listen import Overrides, command_line, pick_server, settle_host, settle_port
from ccrouter.config.masking import mask
from ccrouter.config.platforms import read_surroundings
from ccrouter.config.prices import read_prices
from ccrouter.config.providers import BUILT_IN, General, Settled, read_proxy, settle_provider
from ccrouter.config.record import Record, read_record
from ccrouter.config.report import Place, Report
from ccrouter.config.routes import Directory, settle_router
from ccrouter.config.schema import Config, LogLevel, Timeouts
from ccrouter.config.selection import merge, pick_router
from ccrouter.config.shapes import classic, guide
from ccrouter.config.starter import create_starter
from ccrouter.config.syntax import Source, read_data, read_source
from ccrouter.errors import ConfigError, Problem
from ccrouter.secret import Secret

__all__ = ["Overrides", "Reading", "create_starter", "find_config", "home_folder", "load", "read", "router_folder"]

#: Variables that name the file, in order.
PATH_VARIABLES = ("CCR_CONFIG", "CONFIG_PATH")

_DEFAULT_API_TIMEOUT_MS = 600_000
_NO_OVERRIDES = Overrides()


def home_folder(environ: Mapping[str, str]) -> Path:
    """The user's home folder, by the variables that Node's `os.homedir()` goes by."""
    names = ("USERPROFILE", "HOME") if os.name == "nt" else ("HOME", "USERPROFILE")
    found = next((environ[name] for name in names if environ.get(name)), None)
    return Path(found) if found else Path.home()


def router_folder(environ: Mapping[str, str]) -> Path:
    """The folder that holds the configuration, logs and project routers."""
    return home_folder(environ) / ".claude-code-router"


def find_config(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Where to read the configuration: `explicit`, else what CCR_CONFIG or CONFIG_PATH name, else the usual place.

    A leading `~` is the home folder. There may be no such file.
    """
    named = str(explicit) if explicit else next((environ[name] for name in PATH_VARIABLES if environ.get(name)), "")
    if not named:
        return router_folder(environ) / "config.json"
    if named == "~" or named.startswith(("~/", "~\\")):
        return home_folder(environ) / named[2:]
    return Path(named)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is known of a configuration file once it is read.

    `draft` and `top` hold what is written, each with its place; `providers` what became of each provider; `router_name`
    is the router to run by. `config` is good for use only if `problems` is empty.
    """

    source: Source
    top: Record
    draft: Draft
    providers: tuple[Settled, ...]
    router_name: str
    config: Config
    problems: tuple[Problem, ...]
    secrets: tuple[Secret, ...] = field(default=(), repr=False)


def load(path: Path | None, environ: Mapping[str, str], overrides: Overrides = _NO_OVERRIDES) -> Config:
    """The configuration at `path` (None: the defaults alone), with `environ` and `overrides` applied.

    Raises ConfigError with all problems, in file order, if it cannot be used: the file's, the environment's and the
    command line's.
    """
    reading = read(path, environ, overrides)
    if reading.problems:
        raise ConfigError(reading.problems)
    return reading.config


def read(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Overrides = _NO_OVERRIDES,
    *,
    text: str | None = None,
) -> Reading:
    """As `load`, but with what is written kept, and problems told instead of raised. `text`, if given, is read as the
    content of `path`.

    Raises ConfigError only where there is nothing to tell of: no file, or none that can be parsed.
    """
    if text is not None:
        source = read_data(text.encode("utf-8", "surrogatepass"), str(path))
    else:
        source = read_source(path) if path else Source({})
    report = Report(str(path) if path else "the defaults")
    source.warn_of_duplicates(report)
    top = read_record(TOP, fill(source.tree, environ), Place(report))
    draft = merge(classic.lower(top), guide.lower(top))
    router_name, router_draft = pick_router(draft, top, overrides)
    base = Base(path.parent if path else Path(), home_folder(environ))
    general = _general(top, environ, base)
    settled = [settle_provider(provider, general) for provider in draft.providers]
    settled = [with_certified(found, router_folder(environ), report) for found in settled]
    directory = Directory(
        models={provider.name: provider.models for provider in settled},
        broken=frozenset(provider.name for provider in settled if provider.obstacles),
    )
    router = settle_router(
        replace(router_draft, fallback={**draft.fallback, **router_draft.fallback}),
        directory,
        is_strict=bool(top.get("strict")),
        use_image_agent=bool(top.get("forceUseImageAgent")),
    )
    if not settled:
        hint_at_providers(Place(report, "Providers"), environ)
    unavailable = _judge_obstacles(settled, directory, report)
    config = _settings(top, draft, router_name, _Given(environ, overrides, base))
    report.judge_blanks()
    config = replace(
        config,
        path=path,
        digest=source.digest,
        router=router,
        router_name=router_name,
        providers=(*(found.provider for found in settled if found.provider), BUILT_IN),
        raw=mask(source.tree),
        unavailable=MappingProxyType(unavailable),
        warnings=tuple(report.in_file_order(report.warnings, source.tree)),
    )
    problems = tuple(report.in_file_order(report.problems, source.tree))
    return Reading(source, top, draft, tuple(settled), router_name, config, problems, tuple(report.secrets))


def _general(top: Record, environ: Mapping[str, str], base: Base) -> General:
    seconds = top.get("API_TIMEOUT_MS", _DEFAULT_API_TIMEOUT_MS) / 1000
    proxy = top.get("PROXY_URL")
    return General(
        timeouts=Timeouts(first_byte=seconds, idle=seconds),
        proxy=read_proxy(proxy, top.at("PROXY_URL")) if proxy else None,
        no_proxy=environ.get("NO_PROXY") or environ.get("no_proxy") or "",
        customs=read_customs(top, base),
        around=read_surroundings(top, environ),
    )


def _judge_obstacles(settled: list[Settled], directory: Directory, report: Report) -> dict[str, str]:
    """The providers to leave out, each with its reason; the obstacles of those that are needed become problems."""
    unavailable = {}
    for provider in settled:
        if not provider.obstacles:
            continue
        is_needed = provider.name in directory.needed
        for found in provider.obstacles:
            if is_needed:
                message = f'provider "{provider.name}": {found.message}'
                report.problems.append(replace(found, message=message))
            else:
                message = f'provider "{provider.name}" is left out, as no route needs it: {found.message}'
                report.warnings.append(replace(found, message=message))
        if not is_needed:
            unavailable[provider.name] = provider.reason
    return unavailable


@dataclass(frozen=True, slots=True)
class _Given:
    """What is said outside the file."""

    environ: Mapping[str, str]
    overrides: Overrides
    base: Base


def _settings(top: Record, draft: Draft, router_name: str, given: _Given) -> Config:
    """Everything beside providers and router, each setting from whoever has the last word."""
    report, overrides = top.place.report, given.overrides
    api_key = _api_key(top, overrides)
    server = pick_server(draft.servers, router_name)
    for other in draft.servers.values():
        if other is not server:
            report.take_blanks(other.place.path)
    clients: Record | None = top.get("clients")
    defaults = Config()
    warn_of_plugins(top)
    return Config(
        host=settle_host(top, server, overrides, has_key=api_key is not None or top.is_written("APIKEY")),
        port=settle_port(top, server, given.environ, overrides),
        api_key=api_key,
        log=top.get("LOG", defaults.log),
        log_level=_log_level(top, overrides),
        api_timeout=top.get("API_TIMEOUT_MS", _DEFAULT_API_TIMEOUT_MS) / 1000,
        max_body=top.get("maxBodyBytes", defaults.max_body),
        retries=read_retries(top),
        limits=read_limits(top),
        record=read_record_keeping(top),
        log_files=read_log_files(top),
        telemetry=read_telemetry(top),
        prices=read_prices(top),
        drain_seconds=float(top.get("drainSeconds", defaults.drain_seconds)),
        auto_reload=top.get("autoReload", defaults.auto_reload),
        resume=top.get("resume", defaults.resume),
        allowed_hosts=_allowed_hosts(top),
        claudable=(clients.get("claudable") if clients else None) or defaults.claudable,
        claude_path=top.get("CLAUDE_PATH") or given.environ.get("CLAUDE_PATH") or defaults.claude_path,
        is_non_interactive=top.get("NON_INTERACTIVE_MODE", defaults.is_non_interactive),
        small_fast_model=top.get("ANTHROPIC_SMALL_FAST_MODEL"),
        custom_router=read_custom_router(top, given.base),
        rewrite_system_prompt=read_prompt_path(top, given.base),
        custom_transformers=read_custom_transformers(top, given.base),
        plugins=tuple(dict(record.values) for record in top.get("plugins", ())),
        status_line=top.get("StatusLine"),
    )


def _allowed_hosts(top: Record) -> tuple[str, ...]:
    hosts: list[str] = [host.lower() for host in top.get("allowedHosts", ())]
    if any("/" in host for host in hosts):
        top.at("allowedHosts").refuse("must hold host names, not URLs", 'write "box.example"')
    return tuple(dict.fromkeys(hosts))


def _api_key(top: Record, overrides: Overrides) -> Secret | None:
    if overrides.api_key:
        read = Key().read(overrides.api_key, command_line(top.place.report, "--apikey"))
        return read.secret if read else None
    found: KeyText | None = top.get("APIKEY")
    return found.secret if found else None


def _log_level(top: Record, overrides: Overrides) -> LogLevel:
    level: LogLevel = top.get("LOG_LEVEL", "info")
    if overrides.log_level is None:
        return level
    kind = next(field.kind for field in TOP.fields if field.name == "LOG_LEVEL")
    assert isinstance(kind, Choice)
    asked: LogLevel | None = kind.read(overrides.log_level, command_line(top.place.report, "--log-level"))  # type: ignore[assignment] # of its kind
    return asked or level

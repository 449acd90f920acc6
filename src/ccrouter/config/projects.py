"""Routers of single projects and sessions: files beside the configuration that replace its whole router.

    ~/.claude-code-router/<project>/config.json         for every session of the project
    ~/.claude-code-router/<project>/<session id>.json   for one session

`<project>` is the folder of `~/.claude/projects` that holds `<session id>.jsonl`. Reads these files when asked, nothing
else; a file that cannot be used is an error, never a silent return to the global router.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ccrouter.config.certified import FOLDER as PROFILES
from ccrouter.config.draft import RouterDraft, draft_router
from ccrouter.config.fields import ROUTER
from ccrouter.config.interpolate import fill
from ccrouter.config.load import home_folder, router_folder
from ccrouter.config.record import read_record
from ccrouter.config.report import Place, Report
from ccrouter.config.routes import Directory, settle_router
from ccrouter.config.schema import DRY_RUN, Config, Router
from ccrouter.config.syntax import Source, read_data, read_source
from ccrouter.errors import ConfigError, Problem

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_REMEMBERED_SESSIONS = 1000

T = TypeVar("T")


class UnusableRouter(ConfigError):
    """The router of a session or project cannot be used. `file` is its path from the router's folder, `draft` what it
    says as written; None if the file cannot be read at all.
    """

    def __init__(self, problems: Sequence[Problem], file: str, draft: RouterDraft | None) -> None:
        super().__init__(problems)
        self.file = file
        self.draft = draft


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a file said when it had this stamp: a router, no router, or problems."""

    stamp: tuple[int, int]
    router: Router | None
    problems: tuple[Problem, ...] = ()
    draft: RouterDraft | None = None


class ProjectRouters:
    """The routers of projects and sessions, read anew when their files change.

    That a session belongs to a project is remembered; that it belongs to none only for `negative_ttl` seconds of
    `clock`, since Claude Code may write its file after its first request.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = time.monotonic,
        negative_ttl: float = 5.0,
    ) -> None:
        self._config = config
        self._environ = environ
        self._clock = clock
        self._negative_ttl = negative_ttl
        self._routers = router_folder(environ)
        claude = environ.get("CLAUDE_CONFIG_DIR")
        self._projects = (Path(claude) if claude else home_folder(environ) / ".claude") / "projects"
        self._found: OrderedDict[str, str] = OrderedDict()
        self._missed: OrderedDict[str, float] = OrderedDict()
        self._readings: dict[Path, _Reading] = {}

    def router_for(self, session_id: str) -> Router | None:
        """The session's router, else its project's; None if neither has one, and for what is no session id.

        Raises UnusableRouter if the file that counts cannot be used.
        """
        if not _SESSION_ID.fullmatch(session_id):
            return None
        project = self._project_of(session_id)
        if project is None:
            return None
        folder = self._routers / project
        return self._read(folder / f"{session_id}.json") or self._read(folder / "config.json")

    def project_of(self, session_id: str) -> str | None:
        """The folder of Claude Code's that the session belongs to, whether or not it has a router; None if there is
        none yet, and for what is no session id.
        """
        if not _SESSION_ID.fullmatch(session_id):
            return None
        project = self._found.get(session_id)
        if project is None:
            folders = _folders(self._projects)
            project = next((one.name for one in folders if (one / f"{session_id}.jsonl").is_file()), None)
            if project is not None:
                _remember(self._found, session_id, project)
        return project

    def _project_of(self, session_id: str) -> str | None:
        known = self._found.get(session_id)
        if known is not None:
            self._found.move_to_end(session_id)
            return known
        missed_at = self._missed.get(session_id)
        if missed_at is not None and self._clock() - missed_at < self._negative_ttl:
            return None
        project = self._search(session_id)
        if project is None:
            _remember(self._missed, session_id, self._clock())
        else:
            self._missed.pop(session_id, None)
            _remember(self._found, session_id, project)
        return project

    def _search(self, session_id: str) -> str | None:
        """Only projects that have a router are looked at: there are few of those, and many of Claude Code's."""
        try:
            names = [folder.name for folder in _folders(self._routers)]
        except OSError:  # no folder that can be read, no project routers
            return None
        transcript = f"{session_id}.jsonl"
        return next((name for name in names if (self._projects / name / transcript).is_file()), None)

    def _read(self, path: Path) -> Router | None:
        try:
            status = path.stat()
        except OSError:  # there is none: the usual case
            self._readings.pop(path, None)
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        reading = self._readings.get(path)
        if reading is None or reading.stamp != stamp:
            reading = self._readings[path] = self._parse(path, stamp, is_file=stat.S_ISREG(status.st_mode))
        if reading.problems:
            raise UnusableRouter(reading.problems, f"{path.parent.name}/{path.name}", reading.draft)
        return reading.router

    def _parse(self, path: Path, stamp: tuple[int, int], *, is_file: bool) -> _Reading:
        if not is_file:  # nobody waits for a pipe in the middle of a request
            return _Reading(stamp, None, (Problem(str(path), "", "is no file"),))
        draft = None
        try:
            written = read_written(path, self._environ)
            if written is None:
                return _Reading(stamp, None)
            draft = written.draft
            return _Reading(stamp, settle_written(written, self._config))
        except ConfigError as error:
            return _Reading(stamp, None, error.problems, draft)


@dataclass(frozen=True, slots=True)
class Written:
    """A project's or session's router as written. `source` is the whole file."""

    source: Source
    draft: RouterDraft
    report: Report


def router_files(environ: Mapping[str, str]) -> list[Path]:
    """Every file that can take the place of the global router for some session, whether or not there is one yet."""
    found = []
    for folder in _folders(router_folder(environ)):
        if folder.name == PROFILES:
            continue
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".json"))
        found += [folder / name for name in names if _SESSION_ID.fullmatch(name.removesuffix(".json"))]
    return found


def _folders(routers: Path) -> list[Path]:
    try:
        with os.scandir(routers) as entries:
            return [routers / name for name in sorted(entry.name for entry in entries if entry.is_dir())]
    except FileNotFoundError:
        return []


def read_written(path: Path, environ: Mapping[str, str]) -> Written | None:
    """What the file at `path` says of a router; None if it has no `Router`. Raises ConfigError if it is no JSON5."""
    return _written(read_source(path), path, environ)


def parse_written(text: str, path: Path, environ: Mapping[str, str]) -> Written | None:
    """As `read_written`, of `text` in the place of what stands at `path`."""
    return _written(read_data(text.encode("utf-8", "surrogatepass"), str(path)), path, environ)


def _written(source: Source, path: Path, environ: Mapping[str, str]) -> Written | None:
    report = Report(str(path))
    value = fill(source.tree, environ).get("Router")
    if value is None:
        return None
    draft = draft_router(read_record(ROUTER, value, Place(report, "Router")), "classic")
    return Written(source, draft, report)


def settle_written(written: Written, config: Config) -> Router:
    """The router that `written` puts in place of that of `config`.

    What stands outside of `Router` in the main file (`fallback`, `strict`, `forceUseImageAgent`) goes on unless
    `written` says otherwise. Raises ConfigError.
    """
    report = written.report
    directory = Directory(
        models={
            **{provider.name: provider.models for provider in config.providers if provider.name != DRY_RUN},
            **dict.fromkeys(config.unavailable, ()),
        },
        broken=frozenset(config.unavailable),
    )
    base = config.router
    router = settle_router(
        written.draft,
        directory,
        is_strict=base.is_strict,
        use_image_agent=base.force_image_agent,
        inherited=base.shared_fallback,
    )
    for name in sorted(directory.needed & config.unavailable.keys()):
        Place(report, "Router").refuse(f'provider "{name}" cannot be used: {config.unavailable[name]}')
    report.judge_blanks()
    report.raise_if_any(written.source.tree)
    return router


def _remember(memory: OrderedDict[str, T], session_id: str, value: T) -> None:
    memory[session_id] = value
    memory.move_to_end(session_id)
    if len(memory) > _REMEMBERED_SESSIONS:
        memory.popitem(last=False)

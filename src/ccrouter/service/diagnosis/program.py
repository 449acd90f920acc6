"""This program and the ones around it: versions, Claude Code, and other programs called `ccr` on the PATH."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ccrouter import __version__
from ccrouter.service.claude import ClaudeNotFound, find_claude
from ccrouter.service.diagnosis.finding import Finding

TOPIC = "Programs"

_READ = 1024 * 1024  # bytes of a program that are searched; what installers write is far shorter


def look_at_programs(claude_path: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The versions of everything that takes part."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Finding(TOPIC, "ok", f"ccr {__version__}, Python {platform.python_version()}, {system}")
    yield _claude(claude_path, environ)
    yield from _namesakes(environ)


def _claude(claude_path: str, environ: Mapping[str, str]) -> Finding:
    try:
        found = find_claude(claude_path, environ)
    except ClaudeNotFound as error:
        advice = "npm install -g @anthropic-ai/claude-code, or set CLAUDE_PATH in the config"
        return Finding(TOPIC, "warning", f"Claude Code was not found: {error}", advice)
    version = ".".join(map(str, found.version)) if found.version else "of unknown version"
    return Finding(TOPIC, "ok", f"Claude Code {version}: {' '.join(found.command)}")


def _namesakes(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Each `ccr` that a shell could come upon, in the order of the PATH: the first is the one that runs."""
    found = list(_on_path(environ.get("PATH", "")))
    if not found:
        message = "no `ccr` is on the PATH; this one was called by its place"
        yield Finding(TOPIC, "info", message, "add its folder to the PATH, or call it so always")
        return
    first, *later = found
    foreign = _foreign(first)
    if foreign:
        yield Finding(
            TOPIC,
            "problem",
            f"`ccr` runs {foreign}: {first}",
            "remove it (npm uninstall -g @musistudio/claude-code-router), or put this one before it on the PATH",
        )
    else:
        yield Finding(TOPIC, "ok", f"`ccr` is this router: {first}")
    for path in later:
        hidden = _foreign(path)
        if hidden:
            yield Finding(TOPIC, "info", f"behind it on the PATH is {hidden}: {path}", "npx and npm scripts may run it")


def _on_path(search: str) -> Iterator[Path]:
    seen = set()
    for folder in dict.fromkeys(search.split(os.pathsep)):
        found = shutil.which("ccr", path=folder) if folder else None
        if found and (real := Path(found).resolve()) not in seen:
            seen.add(real)
            yield Path(found)


def _foreign(path: Path) -> str:
    """What a program called `ccr` is if it is not this router, "" if it is."""
    real = path.resolve()
    try:
        with real.open("rb") as file:
            content = file.read(_READ)
    except OSError:  # not ours to read: then it is not ours either
        return "a program that cannot be read"
    if b"ccrouter" in content:
        return ""
    is_node = "claude-code-router" in str(real) or b"claude-code-router" in content
    return "the Node router" if is_node else "another program"

"""Finds the `claude` program and its version without running it: its start costs more than all else `ccr code` does."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccrouter.errors import RouterError

_DEFAULT = "claude"
_PACKAGE = "@anthropic-ai/claude-code"
_VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)")


class ClaudeNotFound(RouterError):
    """There is no such program on this machine."""


@dataclass(frozen=True, slots=True)
class ClaudeProgram:
    """What to execute, and its version, None where the files around it do not tell."""

    command: tuple[str, ...]
    version: tuple[int, int, int] | None = None


def find_claude(configured: str, environ: Mapping[str, str]) -> ClaudeProgram:
    """The program to run: CLAUDE_PATH of the config, else of the environment, else `claude` on the PATH.

    A value with blanks that is no file is a command with arguments ("npx @anthropic-ai/claude-code"), as it was for the
    router that gave it to a shell. Raises ClaudeNotFound.
    """
    asked = configured if configured not in {"", _DEFAULT} else environ.get("CLAUDE_PATH") or _DEFAULT
    search = environ.get("PATH")
    found = shutil.which(str(Path(asked).expanduser()), path=search)
    if found:
        return _program(Path(found))
    first, *rest = _words(asked)
    found = shutil.which(str(Path(first).expanduser()), path=search) if rest else None
    if not found:
        raise ClaudeNotFound(f"{asked!r} was not found" + ("" if "/" in asked or "\\" in asked else " on the PATH"))
    return ClaudeProgram((found, *rest))


def _words(asked: str) -> list[str]:
    try:
        return shlex.split(asked) or [asked]
    except ValueError:  # an unbalanced quote: no command line
        return [asked]


def _program(path: Path) -> ClaudeProgram:
    real = path.resolve()
    if path.suffix.lower() in {".cmd", ".bat"}:
        return _behind_shim(path)
    # The native installer links to .../claude/versions/<version>; npm to bin/ or cli.js inside the package.
    version = _parse(real.name) or _package_version(real.parent) or _package_version(real.parent.parent)
    return ClaudeProgram((str(path),), version)


def _behind_shim(path: Path) -> ClaudeProgram:
    """What the batch file that npm makes on Windows would start.

    Through the batch file the arguments would go to cmd.exe, which reads `%`, `^` and quotes in its own way.
    """
    package = path.parent / "node_modules" / _PACKAGE
    version = _package_version(package)
    try:
        program = package / json.loads((package / "package.json").read_text(encoding="utf-8"))["bin"]["claude"]
    except (OSError, ValueError, KeyError, TypeError):  # not npm's layout: the batch file itself
        return ClaudeProgram((str(path),), version)
    if program.suffix in {".js", ".cjs", ".mjs"}:
        return ClaudeProgram((shutil.which("node") or "node", str(program)), version)
    return ClaudeProgram((str(program),), version)


def _package_version(folder: Path) -> tuple[int, int, int] | None:
    try:
        package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not an npm package
        return None
    return _parse(str(package.get("version", ""))) if package.get("name") == _PACKAGE else None


def _parse(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None

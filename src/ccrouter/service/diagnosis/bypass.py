"""What would lead Claude Code past the router: variables of this shell and settings files, its own and a project's.

`ccr code` overrules all of it but managed settings; a plain `claude` is overruled by nobody.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ccrouter.jsontypes import Json
from ccrouter.loopback import is_loopback
from ccrouter.service.diagnosis.finding import Finding, Level
from ccrouter.service.environ import REMOVED

TOPIC = "Claude Code"

#: Keys that Claude Code would send in place of, or beside, the router's.
_KEYS = ("ANTHROPIC_API_KEY", "apiKeyHelper")


@dataclass(frozen=True, slots=True)
class _Source:
    """Where settings come from. `is_managed`: they outrank what `ccr code` gives."""

    name: str
    is_managed: bool = False


def look_at_bypasses(port: int, project: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What leads past the router on `port`, for a `claude` that is started in the folder `project`."""
    found = list(_of_variables(_Source("this shell"), environ, port))
    for path, is_managed in settings_files(project, environ):
        found += _of_file(path, port, is_managed=is_managed)
    yield from found
    if not any(finding.level == "problem" for finding in found):
        yield Finding(TOPIC, "ok", "nothing in this shell or in settings files leads `ccr code` past the router")


def settings_files(project: Path, environ: Mapping[str, str]) -> list[tuple[Path, bool]]:
    """The settings files that Claude Code would read, and whether the machine's administrator manages them."""
    configured = environ.get("CLAUDE_CONFIG_DIR")
    own = Path(configured).expanduser() if configured else Path.home() / ".claude"
    managed = _managed_folder()
    drop_ins = sorted((managed / "managed-settings.d").glob("*.json"))
    files = [own / "settings.json", project / ".claude" / "settings.json", project / ".claude" / "settings.local.json"]
    ours = [(path, False) for path in dict.fromkeys(files)]
    return [*ours, *((path, True) for path in (managed / "managed-settings.json", *drop_ins))]


def _managed_folder() -> Path:
    """Where administrators put settings (code.claude.com/docs/en/settings)."""
    if sys.platform == "darwin":
        return Path("/Library/Application Support/ClaudeCode")
    return Path(r"C:\Program Files\ClaudeCode") if os.name == "nt" else Path("/etc/claude-code")


def _of_file(path: Path, port: int, *, is_managed: bool) -> Iterator[Finding]:
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        yield Finding(
            TOPIC, "warning", f"{path} cannot be read: {reason}", "Claude Code may ignore it, or refuse to start"
        )
        return
    if not isinstance(told, dict):
        return
    source = _Source(f"managed settings, {path}" if is_managed else str(path), is_managed)
    variables = told.get("env")
    yield from _of_variables(source, variables if isinstance(variables, dict) else {}, port)
    if told.get("apiKeyHelper"):
        yield _key("apiKeyHelper", source)


def _of_variables(source: _Source, variables: Mapping[str, Json], port: int) -> Iterator[Finding]:
    url = str(variables.get("ANTHROPIC_BASE_URL") or "")
    is_at_router = bool(url) and _is_router(url, port)
    if is_at_router:
        yield Finding(TOPIC, "info", f"{source.name}: ANTHROPIC_BASE_URL leads to the router")
    elif url:
        yield _past(f"ANTHROPIC_BASE_URL leads to {_host(url)}, not to the router", source)
    for name in REMOVED:
        if variables.get(name):
            yield _past(f"{name} is set", source)
    if variables.get("ANTHROPIC_API_KEY") and not is_at_router:
        yield _key("ANTHROPIC_API_KEY", source)


def _past(message: str, source: _Source) -> Finding:
    if source.is_managed:
        return Finding(
            TOPIC,
            "problem",
            f"{source.name}: {message}; managed settings outrank `ccr code`",
            "ask whoever manages this machine",
        )
    return Finding(
        TOPIC,
        "warning",
        f"{source.name}: {message}; a plain `claude` goes past the router",
        "start it with `ccr code`, which overrules this, or remove it",
    )


def _key(name: str, source: _Source) -> Finding:
    assert name in _KEYS
    level: Level = "warning" if source.is_managed else "info"
    message = f"{source.name}: {name} is set; a plain `claude` goes to Anthropic with it unless it knows the router"
    return Finding(TOPIC, level, message, "start it with `ccr code`")


def _is_router(url: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        return is_loopback(parts.hostname or "") and (parts.port or 80) == port
    except ValueError:  # no URL, or no port
        return False


def _host(url: str) -> str:
    """Where a URL leads, without what may be secret in it."""
    try:
        return urlsplit(url).hostname or "an address that is none"
    except ValueError:
        return "an address that is none"

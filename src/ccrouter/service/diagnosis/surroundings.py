"""What stands around the router: proxies of this shell, the modes of its files, and where its logs are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ccrouter.config.providers import is_exempt
from ccrouter.config.schema import Config
from ccrouter.service.diagnosis.finding import Finding

NETWORK, FILES = "Network", "Files"

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def look_at_network(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The proxies that requests to providers go through, and whether they would swallow those to the router."""
    named = [name for upper in _PROXIES for name in (upper, upper.lower()) if environ.get(name)]
    if not named:
        yield Finding(NETWORK, "ok", "no proxy is set in this shell")
        return
    for name in named:
        yield Finding(NETWORK, "info", f"{name} leads through {_host(environ[name])}")
    exceptions = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if is_exempt("127.0.0.1", exceptions):
        yield Finding(NETWORK, "ok", "NO_PROXY names 127.0.0.1: requests to the router go to it directly")
    else:
        message = "NO_PROXY does not name 127.0.0.1: a plain `claude` would ask the proxy for the router"
        yield Finding(NETWORK, "warning", message, "export NO_PROXY=127.0.0.1,localhost (`ccr code` sets it by itself)")


def _host(url: str) -> str:
    """Host and port of a proxy, without user and password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        return parts.netloc.rpartition("@")[2] or "an address that is none"
    except ValueError:
        return "an address that is none"


def look_at_files(config: Config, folder: Path, policy: str) -> Iterator[Finding]:
    """The modes of the router's folder and files, and where its logs are. `policy` is where the policy was read."""
    if folder.is_dir():
        yield from _mode(folder, 0o700)
    for path in (config.path, Path(policy) if os.sep in policy else None):
        if path is not None and path.is_file():
            yield from _mode(path, 0o600 if path is config.path else 0o644)
    logs = folder / "logs"
    newest = max(logs.glob("ccr-*.log"), key=lambda path: path.name, default=None) if logs.is_dir() else None
    kept = str(newest) if newest else f"{logs} (none yet)"
    yield Finding(FILES, "info", f"log: {kept}" if config.log else "log: none, LOG is false")
    background = folder / "claude-code-router.log"
    if background.is_file():
        yield Finding(FILES, "info", f"what a router in the background prints: {background}")
    audit = folder / "audit"
    state = "" if audit.is_dir() else " (none yet)"
    yield Finding(FILES, "info", f"audit: {audit}{state}", "ccr audit verify proves it unbroken" if not state else "")


def _mode(path: Path, wanted: int) -> Iterator[Finding]:
    """A file that others can read may hold keys; one that they can write decides where keys go."""
    if os.name == "nt":  # modes mean nothing there
        return
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (0, os.getuid()):
        yield Finding(
            FILES, "problem", f"{path} belongs to another user (uid {found.st_uid})", "make a file of your own"
        )
    elif mode & ~wanted & 0o022:
        yield Finding(
            FILES, "problem", f"{path} can be changed by others (mode {mode:04o})", f"chmod {wanted:o} {path}"
        )
    elif mode & ~wanted & 0o044:
        yield Finding(FILES, "warning", f"{path} can be read by others (mode {mode:04o})", f"chmod {wanted:o} {path}")
    else:
        yield Finding(FILES, "ok", f"{path} (mode {mode:04o})")

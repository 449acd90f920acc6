"""What stands around the router: proxies of this shell, the modes of its files, and where its logs are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ccrouter.audit.files import find_chains
from ccrouter.compliance.policy import Policy
from ccrouter.config.providers import is_exempt
from ccrouter.config.schema import Config
from ccrouter.service.diagnosis.finding import Finding, Level

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


def look_at_files(config: Config, folder: Path, policy: Policy | None) -> Iterator[Finding]:
    """The modes of the router's folder and files, and where its logs are. `policy` is None if it cannot be read."""
    source = policy.source if policy else ""
    if folder.is_dir():
        yield from _mode(folder, 0o700)
    for path in (config.path, Path(source) if os.sep in source else None):
        if path is not None and path.is_file():
            yield from _mode(path, 0o600 if path is config.path else 0o644)
    logs = folder / "logs"
    newest = max(logs.glob("ccr-*.log"), key=lambda path: path.name, default=None) if logs.is_dir() else None
    kept = str(newest) if newest else f"{logs} (none yet)"
    yield Finding(FILES, "info", f"log: {kept}" if config.log else "log: none, LOG is false")
    background = folder / "claude-code-router.log"
    if background.is_file():
        yield Finding(FILES, "info", f"what a router in the background prints: {background}")
    is_required = policy is not None and policy.audit_required
    if config.log or is_required:
        yield _audit(folder / "audit", is_required=is_required)
    else:
        yield Finding(FILES, "info", "audit: none, LOG is false and no policy demands it")


def _audit(folder: Path, *, is_required: bool) -> Finding:
    """The audit log: how large it is, and whether a router could write it."""
    level: Level = "problem" if is_required else "warning"
    if not folder.exists() and not folder.is_symlink():
        return Finding(FILES, "info", f"audit: {folder} (none yet)")
    if not folder.is_dir():
        message = f"audit: {folder} is no folder: nothing can be recorded"
        return Finding(FILES, level, message, f"move it away: mv {folder} {folder}.old")
    chains = find_chains(folder) if os.access(folder, os.R_OK | os.X_OK) else []
    written = (path for files in chains for path in (files.live, files.head) if path.exists())
    locked = [path for path in (folder, *written) if not os.access(path, os.R_OK | os.W_OK)]
    if locked:
        message = f"audit: {locked[0]} cannot be written: nothing can be recorded"
        return Finding(FILES, level, message, f"make it writable for you: ls -ld {locked[0]}")
    sizes = [path.stat().st_size for files in chains for path in (*files.rotated(), files.live) if path.exists()]
    told = f"{len(sizes)} file{'' if len(sizes) == 1 else 's'}, {_in_words(sum(sizes))}"
    return Finding(FILES, "info", f"audit: {folder} ({told})", "ccr audit verify proves it unbroken")


def _in_words(size: int) -> str:
    """A number of bytes as a person reads it: `885 bytes`, `1.2 MB`."""
    for unit, bytes_each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_each:
            return f"{size / bytes_each:.1f} {unit}"
    return f"{size} bytes"


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

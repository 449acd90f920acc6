"""Who listens on a port, as far as the system tells an ordinary user. Reads only."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ccrouter.service.process import describe

_LISTEN = "0A"  # proc(5): the state of a listening socket in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port. What the system hides (other users' processes) is None or ""."""

    pid: int | None
    command: str = ""
    uid: int | None = None

    def __str__(self) -> str:
        if self.pid is not None:
            return f"process {self.pid}" + (f" ({self.command})" if self.command else "")
        return "an unknown process" if self.is_of_this_user else f"a process of another user (uid {self.uid})"

    @property
    def is_of_this_user(self) -> bool:
        """False only if the system says that it is another user's."""
        own = _own_uid()
        return self.uid is None or own is None or self.uid == own


def find_holder(port: int) -> Holder | None:
    """Who listens on `port`; None if nobody does, or the system has no means to tell."""
    if sys.platform == "linux":
        return _from_proc(port)
    elif sys.platform == "win32":  # noqa: RET505 - the type checker leaves out the other systems' branches only so
        return _from_netstat(_run("netstat", "-ano", "-p", "TCP"), port)
    else:
        return from_lsof(_run("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-FpRu"))


def listening_addresses(port: int) -> list[str]:
    """The addresses on which something listens on `port`, as the system reports them: "127.0.0.1", "::", "0.0.0.0".

    None twice. Empty if nobody listens, or the system has no means to tell.
    """
    if sys.platform == "linux":
        rows = [row for table in ("tcp", "tcp6") for row in _listening(Path("/proc/net") / table, port)]
        found = [row.address for row in rows]
    elif sys.platform == "win32":
        listed = [_run("netstat", "-ano", "-p", kind) for kind in ("TCP", "TCPv6")]
        found = addresses_from_netstat("\n".join(listed), port)
    else:
        found = addresses_from_lsof(_run("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Ftn"), port)
    return list(dict.fromkeys(found))


def _own_uid() -> int | None:
    ask = getattr(os, "getuid", None)  # Windows has none
    return int(ask()) if ask else None


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - fixed
    except (OSError, subprocess.TimeoutExpired):  # no such tool: the holder stays unknown
        return ""
    return done.stdout


def _from_proc(port: int) -> Holder | None:
    sockets = [row for table in ("tcp", "tcp6") for row in _listening(Path("/proc/net") / table, port)]
    if not sockets:
        return None
    pid = _first_owner({f"socket:[{socket.inode}]" for socket in sockets})
    return Holder(pid, describe(pid) if pid else "", sockets[0].uid)


@dataclass(frozen=True, slots=True)
class _Socket:
    address: str
    inode: str
    uid: int


def _listening(table: Path, port: int) -> list[_Socket]:
    """The sockets of `table` that listen on `port`."""
    try:
        rows = table.read_text().splitlines()[1:]
    except OSError:  # no IPv6
        return []
    found = []
    for row in rows:
        fields = row.split()
        address, _, number = fields[1].partition(":")
        if fields[3] == _LISTEN and int(number, 16) == port:
            found.append(_Socket(address_from_proc(address), fields[9], int(fields[7])))
    return found


def address_from_proc(digits: str) -> str:
    """The address that /proc/net/tcp writes as `digits`: words of 32 bits, each in the byte order of this machine."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return str(ipaddress.ip_address(packed))


def _first_owner(links: set[str]) -> int | None:
    """The process that has one of these descriptors: of several that share it, the one that the others descend from."""
    for folder in Path("/proc").glob("[0-9]*/fd"):
        if _has_any(folder, links):
            pid = int(folder.parent.name)
            while (parent := _parent_of(pid)) and _has_any(Path(f"/proc/{parent}/fd"), links):
                pid = parent
            return pid
    return None


def _has_any(folder: Path, links: set[str]) -> bool:
    try:
        return any(_link(descriptor) in links for descriptor in folder.iterdir())
    except OSError:  # ended meanwhile, or another user's
        return False


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:  # ended meanwhile
        return 0


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""


def from_lsof(listed: str) -> Holder | None:
    """The holder in what `lsof -FpRu` prints: `p<pid>`, `R<parent>` and `u<uid>`, a line each. Of several that share
    the socket it is the one that the others descend from.
    """
    entries = re.split(r"^(?=p\d)", listed, flags=re.MULTILINE)
    found = {int(entry[1:].split(maxsplit=1)[0]): entry for entry in entries if re.match(r"p\d", entry)}
    for pid, entry in found.items():
        parent = re.search(r"^R(\d+)", entry, re.MULTILINE)
        if parent is None or int(parent[1]) not in found:
            uid = re.search(r"^u(\d+)", entry, re.MULTILINE)
            return Holder(pid, describe(pid), int(uid[1]) if uid else None)
    return None


def from_netstat(listed: str, port: int) -> int | None:
    """The process that listens on `port`, in what `netstat -ano` prints.

    The word for the state is translated on some systems, so the foreign address, `0.0.0.0:0` or `[::]:0`, tells.
    """
    for line in listed.splitlines():
        fields = line.split()
        if len(fields) == 5 and fields[1].endswith(f":{port}") and fields[2].endswith(":0"):
            return int(fields[4])
    return None


def addresses_from_lsof(listed: str, port: int) -> list[str]:
    """The addresses in what `lsof -Ftn` prints: a line `tIPv4` or `tIPv6`, and behind it `n<address>:<port>`."""
    found, family = [], ""
    for line in listed.splitlines():
        if line.startswith("t"):
            family = line[1:]
        elif line.startswith("n") and line.endswith(f":{port}"):
            address = line[1:].rpartition(":")[0].strip("[]")
            found.append({"IPv6": "::"}.get(family, "0.0.0.0") if address == "*" else address)  # noqa: S104 - told, not bound
    return found


def addresses_from_netstat(listed: str, port: int) -> list[str]:
    """The addresses that something listens on at `port`, in what `netstat -ano` prints."""
    rows = (line.split() for line in listed.splitlines())
    return [
        fields[1].rpartition(":")[0].strip("[]")
        for fields in rows
        if len(fields) == 5 and fields[1].endswith(f":{port}") and fields[2].endswith(":0")
    ]


def _from_netstat(listed: str, port: int) -> Holder | None:
    pid = from_netstat(listed, port)
    return Holder(pid, describe(pid)) if pid is not None else None

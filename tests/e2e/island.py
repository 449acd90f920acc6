"""A network of its own, in which the names of the world lead to scripted servers. Linux only.

A configuration that names https://api.anthropic.com cannot be tried word for word with an upstream on loopback. Here a
process has its own network and its own /etc/hosts: api.anthropic.com is a scripted provider behind a real certificate
on port 443, and other hosts count who connects to them. Nothing leads out of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from tests.upstream import ThreadedUpstream

APPROVED = "api.anthropic.com"
#: Public addresses, as a policy that excludes private ones sees them. They exist on this island's loopback only.
HOSTS = {
    APPROVED: "160.79.104.10",
    "openrouter.ai": "104.18.2.115",
    "evil.example": "93.184.216.34",
    "proxy.example": "93.184.216.35",
    "rebound.example": "127.0.0.1",
}
_PORTS = (80, 443, 8080)


def obstacle() -> str:
    """Why there can be no island on this machine, "" if there can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    missing = [program for program in ("unshare", "ip", "mount", "openssl") if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    tried = subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def visit(module: str, *arguments: str, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` on an island of its own."""
    return subprocess.run(
        [*_unshare(), sys.executable, "-m", module, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _unshare() -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "--net", "--"]


class Island:
    """`with Island(folder) as island`, in a process that `visit` started.

    `upstream` is the provider at api.anthropic.com; `strangers` counts the connections that other hosts got, by host;
    `certificates` is what to trust, for SSL_CERT_FILE.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.upstream = ThreadedUpstream()
        self.strangers = dict.fromkeys((host for host in HOSTS if host != APPROVED), 0)
        self.approved = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="island", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_network()
        self.certificates = self._make_certificates()
        self.upstream.__enter__()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_raised: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.upstream.__exit__(None, None, None)

    def _make_network(self) -> None:
        _run("ip", "link", "set", "lo", "up")
        for address in set(HOSTS.values()) - {"127.0.0.1"}:
            _run("ip", "address", "add", f"{address}/32", "dev", "lo")
        hosts = self._folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{ip} {name}\n" for name, ip in HOSTS.items()))
        (self._folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        _run("mount", "--bind", str(hosts), "/etc/hosts")
        _run("mount", "--bind", str(self._folder / "resolv.conf"), "/etc/resolv.conf")

    def _make_certificates(self) -> Path:
        folder = self._folder
        names = ",".join(f"DNS:{host}" for host in HOSTS)
        (folder / "names.cnf").write_text(f"subjectAltName={names}\n")
        own = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
        _run("openssl", "req", "-x509", *own, "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem",
             "-subj", "/CN=The island", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
        _run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/host.key",
             "-out", f"{folder}/host.csr", "-subj", f"/CN={APPROVED}")  # fmt: skip
        _run("openssl", "x509", "-req", "-in", f"{folder}/host.csr", "-CA", f"{folder}/ca.pem", "-CAkey",
             f"{folder}/ca.key", "-CAcreateserial", "-days", "2", "-out", f"{folder}/host.pem",
             "-extfile", f"{folder}/names.cnf")  # fmt: skip
        return folder / "ca.pem"

    async def _open(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._folder / "host.pem", self._folder / "host.key")
        await asyncio.start_server(self._approve, HOSTS[APPROVED], 443, ssl=context)
        for host in self.strangers:
            for port in _PORTS:
                await asyncio.start_server(self._count(host), HOSTS[host], port)

    def _count(self, host: str):
        async def counting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.strangers[host] += 1
            writer.close()

        return counting

    async def _approve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes to the scripted provider and back."""
        self.approved += 1
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.upstream.port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment from nothing: PATH with this project's commands first."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **more,
    }

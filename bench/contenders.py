"""The programs compared: a direct connection, nginx, the Node router and ccrouter, on loopback.

What cannot be had is skipped with a reason, which the report shows; nothing is installed outside .bench/.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.processes import BenchError, Child
from bench.workloads import BURST

if TYPE_CHECKING:
    from bench.workloads import Dialect, Pace

NODE_ROUTER = "@musistudio/claude-code-router"
NODE_ROUTER_VERSION = "2.0.0"
START_LIMIT_S = 20.0
Ports = dict[str, int]  # of the mock upstream, by the name of the pace
UPSTREAM_PATHS: dict[Dialect, str] = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions"}


class Skipped(Exception):
    """This contender cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes and which model it must name."""

    port: int
    path: str
    model: str


class Contender:
    """A program that is started, asked and stopped. `child` is None while it does not run."""

    name = "direct"
    version = ""
    is_measured_everywhere = True

    def __init__(self, ports: Ports, cache: Path, cpus: processes.Cpus) -> None:
        self.ports, self.cache, self.cpus = ports, cache, cpus
        self.work = cache / "run" / self.name  # its home, empty at each start
        self.child: Child | None = None
        self.port = 0

    def prepare(self) -> None:
        """The program is found or fetched; Skipped when it cannot be."""

    def command(self) -> list[str]:
        """Its configuration is written for `self.port`; the command that starts it in the foreground."""
        return []

    def address(self, dialect: Dialect, pace: Pace = BURST) -> Address:
        """Without a translator in between, both dialects are the Messages API that the client expects."""
        del dialect
        return Address(self.ports[pace.name], "/v1/messages", "m1")

    def start(self) -> float:
        """Seconds from the start of the process to its first healthy answer."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.port = processes.free_port()
        command = self.command()
        if not command:
            return 0.0
        begin = time.perf_counter()
        with self.cpus.pinned(self.cpus.contender):
            self.child = Child(command, log=self.work / "output.log", env=self.environment(), cwd=self.work)
        processes.wait_for_health(self.child, self.port, limit_s=START_LIMIT_S)
        return time.perf_counter() - begin

    def stop(self) -> None:
        if self.child:
            self.child.stop()
            self.child = None

    def environment(self) -> dict[str, str]:
        """A home of its own, and no proxy or key of the caller's."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.work)}

    def router_config(self) -> dict[str, object]:
        """The classic configuration: a passthrough provider and a translated one, for each pace."""
        providers = []
        for pace, port in self.ports.items():
            for dialect, path in UPSTREAM_PATHS.items():
                provider: dict[str, object] = {
                    "name": f"{pace}-{dialect}",
                    "api_base_url": f"http://127.0.0.1:{port}{path}",
                    "api_key": "sk-bench",
                    "models": ["m1"],
                }
                if dialect == "anthropic":
                    provider["transformer"] = {"use": ["Anthropic"]}
                providers.append(provider)
        return {
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "LOG": False,
            "Providers": providers,
            "Router": {"default": "burst-chat,m1"},
        }


class RouterContender(Contender):
    """A contender that routes and translates: the model names the provider."""

    def address(self, dialect: Dialect, pace: Pace = BURST) -> Address:
        return Address(self.port, "/v1/messages", f"{pace.name}-{dialect},m1")


class Nginx(Contender):
    """`proxy_pass` without buffering, in one process: what carrying the bytes costs at least."""

    name = "nginx"

    def prepare(self) -> None:
        self.binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or str(self._fetch())
        try:
            self.version = processes.run(["sh", "-c", f"{self.binary} -v 2>&1"], limit_s=10).strip().rpartition("/")[2]
        except BenchError as error:
            raise Skipped(f"nginx does not run here: {error}") from error

    def _fetch(self) -> Path:
        """nginx unpacked from Debian's archive. Not installed: that would start it on port 80."""
        place = self.cache / "nginx-deb"
        binary = place / "root/usr/sbin/nginx"
        if binary.exists():
            return binary
        if not shutil.which("apt-get"):
            raise Skipped("no nginx on PATH, and no apt-get to fetch Debian's nginx-light with")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            # The binary is in nginx-light up to Debian 11, in nginx since: the other one is an empty shell.
            processes.run(["apt-get", "download", "nginx-light", "nginx"], limit_s=60, cwd=place)
            for package in place.glob("*.deb"):
                processes.run(["dpkg", "-x", str(package), str(place / "root")], limit_s=30)
        except BenchError as error:
            raise Skipped(f"Debian's nginx cannot be fetched (apt-get update may help): {error}") from error
        return binary

    def address(self, dialect: Dialect, pace: Pace = BURST) -> Address:
        del dialect
        return Address(self.port, f"/{pace.name}/v1/messages", "m1")

    def command(self) -> list[str]:
        keep = "keepalive 1024; keepalive_requests 1000000;"
        upstreams = [f"upstream {name} {{ server 127.0.0.1:{port}; {keep} }}" for name, port in self.ports.items()]
        locations = [f"location /{name}/ {{ proxy_pass http://{name}/; }}" for name in self.ports]

        text = f"""
            daemon off; master_process off; pid {self.work}/pid; error_log {self.work}/error.log;
            {"user root;" if os.geteuid() == 0 else ""}
            events {{ worker_connections 8192; }}
            http {{
                access_log off; client_max_body_size 64m; keepalive_requests 1000000;
                client_body_temp_path {self.work}/b; proxy_temp_path {self.work}/p;
                fastcgi_temp_path {self.work}/f; uwsgi_temp_path {self.work}/u; scgi_temp_path {self.work}/s;
                {" ".join(upstreams)}
                server {{
                    listen 127.0.0.1:{self.port} backlog=1024; tcp_nodelay on;
                    proxy_http_version 1.1; proxy_set_header Connection "";
                    proxy_buffering off; proxy_request_buffering off;
                    location /health {{ return 200; }}
                    {" ".join(locations)}
                }}
            }}"""
        config = self.work / "nginx.conf"
        config.write_text(text)
        return [self.binary, "-e", str(self.work / "error.log"), "-p", str(self.work), "-c", str(config)]


class NodeRouter(RouterContender):
    """The classic Node router from npm, in a cache of the benchmark's own."""

    name = "node"
    version = NODE_ROUTER_VERSION

    def prepare(self) -> None:
        if not shutil.which("node") or not shutil.which("npm"):
            raise Skipped("node and npm are not on PATH")
        place = self.cache / f"node-{NODE_ROUTER_VERSION}"
        self.script = place / "node_modules" / NODE_ROUTER / "dist/cli.js"
        if self.script.exists():
            return
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text('{"private": true}\n')
        wanted = f"{NODE_ROUTER}@{NODE_ROUTER_VERSION}"
        try:
            processes.run(["npm", "install", "--no-audit", "--no-fund", wanted], limit_s=120, cwd=place)
        except BenchError as error:
            raise Skipped(f"npm does not give {wanted}: {error}") from error

    def command(self) -> list[str]:
        folder = self.work / ".claude-code-router"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.router_config()))
        return ["node", str(self.script), "start"]


class Ccrouter(RouterContender):
    """This project, from the environment that runs the benchmark unless another `ccr` is named."""

    name = "ccrouter"

    def __init__(self, ports: Ports, cache: Path, cpus: processes.Cpus, *, binary: Path) -> None:
        super().__init__(ports, cache, cpus)
        self.binary = binary

    def prepare(self) -> None:
        if not self.binary.exists():
            raise Skipped(f"{self.binary} does not exist")
        try:
            self.version = processes.run([str(self.binary), "--version"], limit_s=10).split()[-1]
        except (BenchError, IndexError) as error:
            raise Skipped(f"ccr does not run: {error}") from error

    def command(self) -> list[str]:
        config = self.work / "config.json"
        config.write_text(json.dumps(self.router_config()))
        return [str(self.binary), "start", "--config", str(config), "--port", str(self.port)]


class Unrecorded(Ccrouter):
    """The same without records: what it uses less is what they cost."""

    name = "unrecorded"
    is_measured_everywhere = False

    def router_config(self) -> dict[str, object]:
        return {**super().router_config(), "record": {"enabled": False}}

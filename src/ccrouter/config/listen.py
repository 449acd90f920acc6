"""Where the router listens: address and port, from whoever has the last word. Binds nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ccrouter.config.kinds import Number
from ccrouter.config.record import Record
from ccrouter.config.report import Place, Report
from ccrouter.config.schema import DEFAULT_PORT
from ccrouter.loopback import is_loopback

DEFAULT_HOST = "127.0.0.1"

#: The variables that override the file's port, in order.
PORT_VARIABLES = ("SERVICE_PORT", "CCR_PORT")

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; None where it says nothing. A port of 0 asks for any free one."""

    port: int | str | None = None
    host: str | None = None
    router: str | None = None
    log_level: str | None = None
    api_key: str | None = None


def pick_server(servers: Mapping[str, Record], router_name: str) -> Record | None:
    """The server of that router, else the one called default, else the first."""
    by_name = {name.casefold(): record for name, record in servers.items()}
    return by_name.get(router_name.casefold()) or by_name.get("default") or next(iter(servers.values()), None)


def settle_port(top: Record, server: Record | None, environ: Mapping[str, str], overrides: Overrides) -> int:
    """The port: `--port`, then SERVICE_PORT and CCR_PORT, then the server's, then PORT, then 3456.

    What cannot be read is a problem even where something else has the last word.
    """
    report = top.place.report
    readings: list[int | float | None] = []
    if overrides.port is not None:
        readings.append(Number(0, 65535).read(overrides.port, command_line(report, "--port")))
    readings += [
        Number(1, 65535).read(environ[name], Place(aside(report, "environment"), name))
        for name in PORT_VARIABLES
        if environ.get(name)
    ]
    readings += [record.get("PORT") for record in (server, top) if record]
    return int(next((port for port in readings if port is not None), DEFAULT_PORT))


def settle_host(top: Record, server: Record | None, overrides: Overrides, *, has_key: bool) -> str:
    """The address. One that others can reach needs a key that clients must show: a problem without."""
    report = top.place.report
    place, host = top.at("HOST"), top.get("HOST")
    if host is None and server:
        place, host = server.at("HOST"), server.get("HOST")
    if overrides.host:
        place, host = command_line(report, "--host"), overrides.host
    if host is None:
        return DEFAULT_HOST
    host = host.strip().removeprefix("[").removesuffix("]")
    if not _is_address(host):
        place.refuse("must be an address or a host name", f'write "{DEFAULT_HOST}"')
    elif not is_loopback(host) and not has_key:
        place.refuse(
            f"{host} can be reached by others, and there is no APIKEY",
            f'write "APIKEY": "${{CCR_APIKEY}}" and export CCR_APIKEY, or listen on "{DEFAULT_HOST}"',
        )
    return str(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(host))
    return True


def command_line(report: Report, flag: str) -> Place:
    """The place of a flag, for problems that are not the file's."""
    return Place(aside(report, "command line"), flag)


def aside(report: Report, source: str) -> Report:
    """A report on another source that adds to the same lists."""
    return Report(source, report.problems, report.warnings, report.blanks, report.secrets)

"""Sockets that a service manager opened for us (sd_listen_fds(3)), and where a process with them is. Binds nothing.

They are taken only if they are what we would open ourselves: listening TCP sockets, at an address that is allowed.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import MutableMapping
from dataclasses import replace

from ccrouter.compliance.judge import Listener, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, Problem
from ccrouter.loopback import is_loopback

#: The first of the descriptors that are handed over; the others follow it.
FIRST = 3
_SOURCE = "socket activation"
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def take_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that this very process was given, none for one that was given none. After the call the variables that
    told of them are gone, and children inherit none. Raises ConfigError if there is something else among them.
    """
    told = {name: environ.pop(name, "") for name in _VARIABLES}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdecimal():
        return []
    count = int(told["LISTEN_FDS"])
    names = itertools.chain(told["LISTEN_FDNAMES"].split(":"), itertools.repeat(""))
    taken: list[socket.socket] = []
    try:
        for descriptor, name in zip(range(FIRST, FIRST + count), names, strict=False):
            taken.append(_take(descriptor, name))
    except ConfigError:
        for one in taken:
            one.close()
        raise
    return taken


def _take(descriptor: int, name: str) -> socket.socket:
    shown = f"descriptor {descriptor}" + (f" ({name})" if name else "")
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - os has it so
        one = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _refusal(shown, f"is no socket: {error.strerror}") from error
    if one.family not in {socket.AF_INET, socket.AF_INET6} or one.type != socket.SOCK_STREAM:
        one.close()
        raise _refusal(shown, "is no TCP socket", "write ListenStream=127.0.0.1:3456 in the .socket unit")
    if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        one.close()
        raise _refusal(shown, "does not listen", "write Accept=no in the .socket unit")
    return one


def places_of(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    """Address and port of each."""
    return [(str(name[0]), int(name[1])) for name in (one.getsockname() for one in sockets)]


def listening_at(places: list[tuple[str, int]], config: Config, policy: Policy) -> Config:
    """`config` as a process has it that listens at these places, one or more: its host is one that others can reach, if
    there is any.

    Raises ConfigError for an address that others can reach where no key is asked for, and for one that the policy does
    not allow.
    """
    for host, port in places:
        if not is_loopback(host) and config.api_key is None:
            message = f"{host}:{port} can be reached by others, and there is no APIKEY"
            raise _refusal("ListenStream", message, "add an APIKEY to the config, or listen on 127.0.0.1")
        violation = judge(policy, Listener(host, config.api_key))
        if violation is not None:
            message = f"{host}:{port}: {violation.explanation} (rule {violation.rule})"
            raise _refusal("ListenStream", message, "change the .socket unit")
    host, port = next((place for place in places if not is_loopback(place[0])), places[0])
    return replace(config, host=host, port=port)


def _refusal(path: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(_SOURCE, path, message, hint)])

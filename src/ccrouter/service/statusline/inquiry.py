"""Asks the router that Claude Code talks to what the line is made of: one request, and no patience.

Not the inquiry of the other commands (service/inquiry.py): an HTTP library costs more to import than all of this.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Mapping

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject

PATIENCE = 0.04  # seconds from the question to the whole answer
_LARGEST = 256 * 1024  # bytes
_PLAIN = "http://"
_PRESET = "/preset/"
_UNSAFE = frozenset(" \t\r\n")


class Place:
    """Where to ask, with what to show there: all of it as Claude Code itself has it."""

    __slots__ = ("headers", "host", "name", "port", "preset")

    def __init__(self, host: str, port: int, name: str, headers: tuple[str, ...], preset: str) -> None:
        self.host = host
        self.port = port
        self.name = name
        self.headers = headers
        self.preset = preset


def place_of(environ: Mapping[str, str]) -> Place | None:
    """The router of ANTHROPIC_BASE_URL; None without one, and for one behind TLS, which would take too long to ask.

    The key goes where Claude Code itself sends it, and nowhere else.
    """
    url = environ.get("ANTHROPIC_BASE_URL", "").strip()
    if not url.lower().startswith(_PLAIN):
        return None
    name, _, path = url[len(_PLAIN) :].partition("/")
    if not name or "@" in name or _UNSAFE & set(name):
        return None
    host, port = _split(name)
    if host is None or port is None:
        return None
    preset = f"/{path}".removeprefix(_PRESET).partition("/")[0] if f"/{path}".startswith(_PRESET) else ""
    headers = []
    if token := environ.get("ANTHROPIC_AUTH_TOKEN", "").strip():
        headers.append(f"authorization: Bearer {token}")
    if key := environ.get("ANTHROPIC_API_KEY", "").strip():
        headers.append(f"x-api-key: {key}")
    if not all(line.isprintable() and line.isascii() for line in headers):
        return None
    return Place(host, port, name, tuple(headers), preset)


def _split(name: str) -> tuple[str | None, int | None]:
    if name.startswith("["):
        host, _, rest = name[1:].partition("]")
    else:
        host, colon, after = name.partition(":")
        rest = colon + after
    if not rest:
        return host, 80
    digits = rest[1:]
    return host or None, int(digits) if rest[0] == ":" and digits.isascii() and digits.isdigit() else None


class Inquiry:
    """A question that is under way. Asked in a thread: a name may take long to be looked up, whatever the time-out."""

    def __init__(self, place: Place, session: str, preset: str) -> None:
        self._place = place
        self._question = f"/api/statusline?session={_quoted(session)}&preset={_quoted(preset or place.preset)}"
        self._ends = time.monotonic() + PATIENCE
        self._told: JsonObject = {}
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def answer(self) -> JsonObject:
        """What the router said; {} if it said nothing in time, or something else than a router of ours would."""
        self._thread.join(max(0.0, self._ends - time.monotonic()))
        return self._told

    def _ask(self) -> None:
        place = self._place
        lines = [f"GET {self._question} HTTP/1.1", f"host: {place.name}", "accept: application/json"]
        request = "\r\n".join([*lines, *place.headers, "connection: close", "", ""]).encode("ascii", "replace")
        try:
            with socket.create_connection((place.host, place.port), timeout=PATIENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request)
                self._told = _read(self._receive(connection))
        except (OSError, ValueError):  # nobody there, too slow, or no address at all: then we do without
            return

    def _receive(self, connection: socket.socket) -> bytes:
        received = bytearray()
        while len(received) < _LARGEST and not _is_whole(received):
            left = self._ends - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
        return bytes(received)


def _is_whole(received: bytearray) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = _header(bytes(head), b"content-length")
    return bool(end) and length.isdigit() and len(body) >= int(length)


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        said, _, value = line.partition(b":")
        if said.strip().lower() == name:
            return value.strip()
    return b""


def _read(received: bytes) -> JsonObject:
    """The object that a router of ours answered with; {} for any other answer. Raises ValueError for a broken one."""
    head, _, body = received.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        return {}
    told = json.loads(body)
    return told if isinstance(told, dict) and told.get("service") == "ccrouter" else {}


def _quoted(text: str) -> str:
    safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(one) if chr(one) in safe else f"%{one:02X}" for one in text[:200].encode("utf-8", "replace"))

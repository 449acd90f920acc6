"""The world as an attacked router sees it: one approved provider, and a stranger behind every other door.

Names resolve to what a test says, and whatever is dialled that is not approved ends in a real connection to the
stranger, who counts it. Nothing leaves the loopback.
"""

from __future__ import annotations

import asyncio
import json
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from dataclasses import dataclass, replace
from typing import Any

from ccrouter.compliance.policy import Policy
from tests.compliance.configs import ANTHROPIC_ONLY, ENVIRON, changed
from tests.upstream import Upstream, anthropic_wire, json_reply

APPROVED_HOST = "api.anthropic.com"
APPROVED_ADDRESS = "160.79.104.10"
#: Where every name leads that a test says nothing about: a public address, which no rule on addresses excludes.
ELSEWHERE = "93.184.216.34"
SENT = {"claude-sonnet-4-6", "claude-haiku-4-5"}
STRANGERS_WORDS = "from where nothing may go"

_sock_connect = BaseSelectorEventLoop.sock_connect


def answer(received: Any) -> Any:
    """What the approved provider says, to a message and to a count."""
    if received.path.partition("?")[0].endswith("/count_tokens"):
        return json_reply({"input_tokens": 7})
    return json_reply(anthropic_wire.message_json("approved"))


def stranger_answer(_received: Any) -> Any:
    return json_reply(anthropic_wire.message_json(STRANGERS_WORDS))


async def accepted_by(upstream: Upstream) -> int:
    """How many connections were accepted so far.

    Connections are accepted in the order in which they were made: once one of our own is served, all before it were.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(b"GET /are-you-there HTTP/1.1\r\nhost: stranger\r\nconnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return upstream.connections - 1


@dataclass
class World:
    """`names` are the addresses of names, `dialled` what was connected to apart from servers of the test itself."""

    stranger: Upstream
    names: dict[str, list[str]]
    dialled: list[tuple[str, int]]

    def look_up(self, host: Any, port: Any, *_arguments: Any, **_named: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        found: list[Any] = []
        for address in self.names.get(name.rstrip(".").lower(), [name if _is_v4(name) else ELSEWHERE]):
            if ":" in address:
                found.append((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)))
            else:
                found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    async def dial(self, loop: Any, sock: socket.socket, address: Any) -> None:
        """In place of the loop's own: servers of the test are let through, all others are refused, the stranger being
        connected to first where the door is not the approved one.
        """
        host, port = address[0], address[1]
        if host == "127.0.0.1" and port > 1024:
            return await _sock_connect(loop, sock, address)
        self.dialled.append((host, port))
        if (host, port) != (APPROVED_ADDRESS, 443):
            with socket.socket() as visitor:
                visitor.settimeout(0)
                await _sock_connect(loop, visitor, ("127.0.0.1", self.stranger.port))
        raise ConnectionRefusedError(111, "nobody is at home")


def _is_v4(name: str) -> bool:
    try:
        socket.inet_aton(name)
    except (OSError, UnicodeEncodeError):
        return False
    return True


def preset_at(approved: Upstream, **rules: Any) -> Policy:
    """The shipped preset, every rule of it, for an approved provider on the loopback without TLS."""
    return replace(
        ANTHROPIC_ONLY,
        source="a test",
        **{
            "https_only": False,
            "banned_addresses": (),
            "allowed_hosts": (f"127.0.0.1:{approved.port}",),
            "audit_required": False,
            **rules,
        },
    )


def config_with(approved: Upstream, stranger: Upstream, router: dict[str, Any] | None = None, **more: Any) -> str:
    """The guide's configuration with the approved provider on the loopback, and two strangers that should not be in it:
    what a router has in its hands whose configuration was never verified.
    """
    tree = changed(lambda tree: None)
    mine = tree["Providers"][0]
    mine["api_base_url"] = f"{approved.url}/v1/messages"
    mine["models"] = [*mine["models"], "claude-opus-4-8"]
    mine["profile"] = "anthropic"  # as its own API is called: it counts tokens too
    tree["Providers"] += [
        {
            "name": name,
            "api_base_url": f"{stranger.url}/v1/{path}",
            "api_key": "${OPENROUTER_API_KEY}",
            "models": ["qwen/qwen3-coder", "claude-3.7-sonnet", "gpt-5"],
        }
        for name, path in (("openrouter", "messages"), ("evil", "chat/completions"))
    ]
    tree["Router"] |= router or {}
    return json.dumps(tree | more)


KEY = ENVIRON["CCR_APIKEY"]

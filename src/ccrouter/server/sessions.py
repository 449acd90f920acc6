"""Who is signed in to the pages. In memory alone: a router that ends has no sessions left.

Processes that serve as one tell each other: hashes of tokens go from one to the other, never a token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping

import msgspec

from ccrouter.secret import Secret

#: Seconds after which a session ends, whatever is done in it.
LIFETIME = 12 * 60 * 60
#: Of more, the oldest end: whoever has the key cannot fill the memory with them.
LARGEST = 64


class SessionEvent(msgspec.Struct, frozen=True, array_like=True):
    """A session by the hash of its token was opened, and ends at `until` of the clock, or was closed (0)."""

    token: bytes
    until: float = 0.0


class Sessions:
    """The sessions that are open. Kept are hashes of their tokens: how long a look-up takes tells nothing of a token.

    `clock` gives seconds, as of `App`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key: Secret | None = None
        self._ends: dict[bytes, float] = {}
        self._publish: Callable[[SessionEvent], None] | None = None

    def publish_to(self, publish: Callable[[SessionEvent], None]) -> None:
        """From now on `publish` is told of every session that is opened or closed here."""
        self._publish = publish

    def apply(self, event: SessionEvent) -> None:
        """After the call `event` is known, wherever it happened."""
        self._ends.pop(event.token, None)
        if event.until:
            self._end_old()
            while len(self._ends) >= LARGEST:
                del self._ends[next(iter(self._ends))]
            self._ends[event.token] = event.until

    def retold(self) -> list[SessionEvent]:
        """What other Sessions have to apply to know the same."""
        return [SessionEvent(token, until) for token, until in self._ends.items()]

    def follow(self, key: Secret | None) -> None:
        """`key` is the router's key from now on. If it was another before, every session has ended."""
        is_same = self._key is None if key is None else self._key is not None and key.matches(self._key.reveal())
        if not is_same:
            self._ends.clear()
        self._key = key

    def open(self) -> str:
        """A new session's token, of 256 random bits, good for LIFETIME."""
        token = secrets.token_urlsafe(32)
        self._note(SessionEvent(_hash(token), self._clock() + LIFETIME))
        return token

    def is_open(self, token: str) -> bool:
        """True if the token is that of a session that has not ended."""
        return self._ends.get(_hash(token), float("-inf")) > self._clock()

    def close(self, token: str) -> None:
        """After the call the session of that token, if there was one, has ended."""
        self._note(SessionEvent(_hash(token)))

    def _note(self, event: SessionEvent) -> None:
        self.apply(event)
        if self._publish is not None:
            self._publish(event)

    def _end_old(self) -> None:
        now = self._clock()
        self._ends = {token: end for token, end in self._ends.items() if end > now}


def cookie_name(port: int) -> str:
    """Browsers keep cookies by host and not by port: routers side by side must not take each other's."""
    return f"ccr-session-{port}"


def tokens_of(headers: Mapping[str, str], name: str) -> Iterator[str]:
    """The values of every cookie `name` in a request (RFC 6265 §5.4)."""
    for pair in headers.get("cookie", "").split(";"):
        found, _, value = pair.strip().partition("=")
        if found == name and value:
            yield value


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

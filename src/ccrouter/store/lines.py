"""What is kept of a conversation between two of its requests: hashes and figures, no content. A blob for each."""

from __future__ import annotations

import hashlib
import secrets
from typing import Protocol

import msgspec

from ccrouter.messages.prefix import SECTIONS, Prefix
from ccrouter.routing.facts import Thread

#: Lines that a conversation may have at once; the one that was gone on with longest ago goes first.
MOST_LINES = 3
#: Bytes of a blob. A conversation that would need more is kept without its hashes.
_LARGEST = 1024 * 1024
#: The key of the salt.
_SALT = "salt"


class ThreadStates(Protocol):
    """Where the blobs are kept, by key: some table, or a dictionary."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, blob: bytes) -> None: ...


class Account(msgspec.Struct, frozen=True, array_like=True):
    """Whose cache it is: a provider's, for one model and one key."""

    provider: str
    model: str
    key: str = ""


class Line(msgspec.Struct, array_like=True):
    """The last turn of a conversation at one account, and what can be read from the cache after it.

    `at` is when the provider read the prompt (seconds since 1970), `context` all its input tokens, `read` and `written`
    those from and to the cache; `keeps_hour` and `keeps_minutes` say which lifetimes of a cache were used so far.
    `asked` and `sent` are None where nobody had the time to look.
    """

    account: Account
    at: float
    context: int
    read: int
    written: int
    keeps_hour: bool = False
    keeps_minutes: bool = False
    route: str = ""
    transforms: tuple[str, ...] = ()
    asked: Prefix | None = None
    sent: Prefix | None = None

    @property
    def share(self) -> float:
        """How much of the prompt came from the cache."""
        return self.read / self.context if self.context else 0.0


class _Kept(msgspec.Struct, array_like=True):
    """A line as it is written: `shared` names the sections that were sent as they were asked, and are kept once."""

    line: Line
    shared: tuple[str, ...] = ()


class _State(msgspec.Struct, array_like=True):
    mark: bytes  # of the salt: hashes by another one cannot be compared
    kept: list[_Kept]


_state = msgspec.msgpack.Decoder(_State)
_flags = msgspec.msgpack.Decoder(tuple[bool, bool])


class Lines:
    """Reads and writes the blobs."""

    def __init__(self, states: ThreadStates) -> None:
        self._states = states
        self._salt = b""
        self._mark = b""
        self._flags: dict[tuple[str, str], tuple[bool, bool]] = {}

    def salt(self) -> bytes:
        """What the hashes are made with: the same for all processes that share the states, and for as long as they are
        kept.
        """
        if not self._salt:
            self._settle(self._states.get(_SALT))
        return self._salt

    def _settle(self, salt: bytes | None) -> None:
        if salt is None:
            salt = self._salt or secrets.token_bytes(16)
            self._states.put(_SALT, salt)
        self._salt, self._mark = salt, hashlib.sha256(b"mark" + salt).digest()[:4]

    def lines(self, thread: Thread) -> list[Line]:
        """The lines of a conversation, the one that was gone on with last at the end; [] for a new one."""
        blob = self._states.get(_key(thread))
        if blob is None:
            return []
        try:
            state = _state.decode(blob)
        except msgspec.DecodeError:
            return []  # of another version: the conversation begins anew
        self.salt()
        if state.mark != self._mark:  # two processes began at once, each with a salt of its own
            self._settle(self._states.get(_SALT))
            return []
        return [_unfolded(kept) for kept in state.kept]

    def keep(self, thread: Thread, lines: list[Line]) -> None:
        """After the call these are the lines of the conversation: the last of them, if there are too many."""
        self.salt()
        kept = [_folded(line) for line in lines[-MOST_LINES:]]
        blob = msgspec.msgpack.encode(_State(self._mark, kept))
        if len(blob) > _LARGEST:
            bare = [_Kept(msgspec.structs.replace(line, asked=None, sent=None)) for line in lines[-MOST_LINES:]]
            blob = msgspec.msgpack.encode(_State(self._mark, bare))
        self._states.put(_key(thread), blob)

    def note_account(self, account: Account, *, reads: bool, writes: bool) -> tuple[bool, bool]:
        """Whether this provider's model has ever told of cache reads, and of writes, this time included."""
        name = (account.provider, account.model)
        key = f"account\n{account.provider}\n{account.model}"
        known = self._flags.get(name)
        if known is None:
            blob = self._states.get(key)
            try:
                known = _flags.decode(blob) if blob else (False, False)
            except msgspec.DecodeError:
                known = (False, False)
        now = (known[0] or reads, known[1] or writes)
        if now != known:
            self._states.put(key, msgspec.msgpack.encode(now))
        if len(self._flags) > 1000:
            self._flags.clear()
        self._flags[name] = now
        return now


def _key(thread: Thread) -> str:
    return f"thread\n{thread.session}\n{thread.agent}\n{thread.opening}"


def _folded(line: Line) -> _Kept:
    asked, sent = line.asked, line.sent
    if asked is None or sent is None:
        return _Kept(line)
    shared = tuple(name for name in SECTIONS if asked.section(name) == sent.section(name))
    spare = msgspec.structs.replace(sent, **dict.fromkeys(shared, ()))
    return _Kept(msgspec.structs.replace(line, sent=spare), shared)


def _unfolded(kept: _Kept) -> Line:
    line = kept.line
    asked, sent = line.asked, line.sent
    if asked is not None and sent is not None and kept.shared:
        line.sent = msgspec.structs.replace(
            sent, **{name: asked.section(name) for name in SECTIONS if name in kept.shared}
        )
    return line

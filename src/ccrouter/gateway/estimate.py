"""The tokens of one request, by our own count. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.tokens import TokenMemo, estimate_request

#: A body of this many bytes takes more than a millisecond to count.
_LARGE = 300_000
_BASE64 = b'"base64"'


@dataclass(slots=True)
class Estimate:
    """The request's tokens, counted at most once and only if somebody asks."""

    request: MessagesRequest
    memo: TokenMemo
    tokens: int | None = None

    def __call__(self) -> int:
        if self.tokens is None:
            try:
                self.tokens = estimate_request(self.request.members, self.memo)
            except msgspec.DecodeError:
                # Blocks of a shape that we do not know are between the client and its provider; bytes are known.
                self.tokens = sum(map(len, self.request.members.values())) // 4
        return self.tokens

    def at_start(self) -> int:
        """What `message_start` may say: a rough figure for a large conversation that nobody has counted yet.

        Counting it would hold up the first byte by milliseconds; the provider's own figure follows at the end.
        """
        size = sum(map(len, self.request.members.values()))
        if self.tokens is not None or size < _LARGE or _BASE64 in bytes(self.request.members["messages"]):
            return self()
        return size // 4

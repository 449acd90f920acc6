"""Carrying a provider's opaque state through a client that knows only Messages: inside `thinking.signature`.

Reasoning state of other providers (OpenRouter's reasoning_details, Gemini's thought signatures, ...) has to come back
to its maker on the next turn. Clients keep a thinking block's signature untouched, so it travels there, behind a prefix
that names the dialect and the provider. Only a signature without the prefix is Anthropic's own.
"""

from __future__ import annotations

import base64
import binascii

_PREFIX = "ccr1"

#: If these bytes are nowhere in a request, no foreign signature is either: the check that spares a full decode.
MARK = f'"{_PREFIX}:'.encode()


def pack(dialect: str, provider: str, state: bytes = b"") -> str:
    """`state` as a signature that `unpack` gives back to the same dialect and provider, and to nobody else."""
    owner = base64.urlsafe_b64encode(provider.lower().encode()).decode().rstrip("=")
    return f"{_PREFIX}:{dialect}:{owner}:{base64.urlsafe_b64encode(state).decode()}"


def is_packed(signature: str) -> bool:
    """True if the signature was made by `pack`: an Anthropic upstream would refuse it."""
    return signature.startswith(_PREFIX + ":")


def is_bare(signature: str) -> bool:
    """True if `pack` made the signature without any state: it says whose the thinking is, and seals nothing."""
    return is_packed(signature) and signature.endswith(":")


def unpack(signature: str, dialect: str, provider: str) -> bytes | None:
    """The state, or None if the signature is somebody else's, Anthropic's own, or damaged."""
    parts = signature.split(":")
    if len(parts) != 4 or parts[0] != _PREFIX or parts[1] != dialect:
        return None
    if pack(dialect, provider).split(":")[2] != parts[2]:
        return None
    try:
        return base64.b64decode(parts[3], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None

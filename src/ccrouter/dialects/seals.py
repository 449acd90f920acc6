"""Thinking on its way through a client that speaks OpenAI's dialects, and back. Pure.

Such a client returns reasoning that it cannot read (`encrypted_content`, `reasoning_details`) untouched. So a thinking
block travels there whole, or as much of it as is not visible beside it, behind a mark that tells it from OpenAI's own:
what is sealed here is for this router, and a provider must not get it.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from ccrouter.jsontypes import JsonObject

_PREFIX = "ccrouter:"

#: If these bytes are nowhere in a request, nothing sealed is either.
MARK = f'"{_PREFIX}'.encode()

_KINDS = ("thinking", "redacted_thinking")
_TEXTS = ("thinking", "signature", "data")


def seal(block: JsonObject) -> str:
    """A thinking or redacted_thinking block, or a part of one, as text that `unseal` undoes."""
    return _PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(block)).decode()


def is_sealed(text: object) -> bool:
    """True for what `seal` made."""
    return isinstance(text, str) and text.startswith(_PREFIX)


def unseal(text: object) -> JsonObject | None:
    """The block, or None for what is not ours or was damaged."""
    if not isinstance(text, str) or not text.startswith(_PREFIX):
        return None
    try:
        block = msgspec.json.decode(base64.b64decode(text[len(_PREFIX) :], altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(block, dict) or not isinstance(block.get("type"), str) or block["type"] not in _KINDS:
        return None
    return block if all(isinstance(block.get(name, ""), str) for name in _TEXTS) else None

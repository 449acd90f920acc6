"""Tool call ids on their way to the client and back. Pure.

Providers make ids that Anthropic would refuse later in the same session (`functions.Bash:0`), or refuse ids longer than
theirs. An id that is not fit for the client travels inside one that is, and goes back to its maker as it was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Collection

from ccrouter.dialects.profile import Profile

_PREFIX = "ccrid_"
_FIT = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SHORT = re.compile(r"[A-Za-z0-9]{9}")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def random_id() -> str:
    """A tool call id of Anthropic's form that nobody else has."""
    return f"toolu_{secrets.token_hex(12)}"


def client_id(upstream_id: str) -> str:
    """`upstream_id` if Anthropic would take it, else one that it takes and that `wire_id` undoes."""
    if _FIT.fullmatch(upstream_id):
        return upstream_id
    return _PREFIX + base64.urlsafe_b64encode(upstream_id.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def wire_id(id: str, profile: Profile) -> str:  # noqa: A002 - the protocol's own word
    """The id to send for the client's `id`: the maker's own, or always the same shorter one where that is too long."""
    plain = _unpacked(id)
    if profile.has_short_tool_ids:
        return plain if _SHORT.fullmatch(plain) else _short(plain)
    if len(plain) <= profile.tool_id_limit:
        return plain
    digest = hashlib.sha1(plain.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:12]
    return f"{plain[: profile.tool_id_limit - 13]}_{digest}"


def unused_id(id: str, taken: Collection[str]) -> str:  # noqa: A002 - as above
    """`id`, or one like it, no longer, that is not `taken`."""
    number = 1
    found = id
    while found in taken:
        number += 1
        suffix = str(number)
        found = id[: len(id) - len(suffix)] + suffix
    return found


def _unpacked(id: str) -> str:  # noqa: A002 - as above
    if not id.startswith(_PREFIX):
        return id
    text = id[len(_PREFIX) :]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return id


def _short(id: str) -> str:  # noqa: A002 - as above
    number = int.from_bytes(hashlib.sha1(id.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[:8])
    digits = []
    for _ in range(9):
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return "".join(digits)

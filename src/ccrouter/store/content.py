"""What was said, made fit to be kept: compressed, and without secrets. Pure.

`full` takes out the router's own secrets and whatever has the form of a credential; `redacted` also what looks
personal, and pictures and documents. A text that only looks like a secret is lost with them: that does less harm than
the other way round.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

from ccrouter.config.schema import KeptContent
from ccrouter.gateway.record import Content
from ccrouter.secret import Redactor, Secret
from ccrouter.store.rows import Content as KeptWords

_LEVEL = 6

#: What credentials look like, beyond the keys of providers that `ccrouter.secret` knows.
_CREDENTIALS = re.compile(
    r"\bgh[pousr]_[A-Za-z0-9]{16,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b"
    r"|\bsk-[A-Za-z0-9_-]{10,}"
    r"|\bsk_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|\bya29\.[A-Za-z0-9_-]{20,}"
    r"|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.{0,20000}?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^\s:/@\"\\]{1,200}:[^\s/@\"\\]{1,200}(?=@)",
    re.DOTALL,
)
_BEARER = re.compile(r"\b((?:Bearer|Basic|token)\s+)[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"((?:api[_-]?key|secret|password|passwd|access[_-]?token|auth[_-]?token|client[_-]?secret)"
    r"(?:\\*[\"'])?\s*[:=]\s*(?:\\*[\"'])?)([^\s\"'\\,;&]{6,})",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b")
_HOME = re.compile(r"((?:/home/|/Users/|[A-Za-z]:(?:\\\\|\\|/)Users(?:\\\\|\\|/)))[^/\\\s\"':;,<>|]{1,64}")
#: Long runs without a blank: pictures, documents, hashes, tokens.
_RUN = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}|\b[0-9a-fA-F]{32,}\b")

MASK = "***"


class ContentKeeper:
    """Makes contents fit to be kept, as far as the user wants them: "none" keeps nothing."""

    def __init__(self, kind: KeptContent, secrets: Iterable[Secret]) -> None:
        self.kind = kind
        self._redactor = Redactor(secrets)

    def keep(self, content: Content) -> KeptWords | None:
        """What is written of `content`; None if nothing is to be."""
        if self.kind == "none":
            return None
        return KeptWords(
            self.kind,
            zlib.compress(self._clean(content.request), _LEVEL),
            zlib.compress(self._clean(b"".join(content.answer)), _LEVEL),
            content.is_cut,
        )

    def _clean(self, data: bytes) -> bytes:
        text = self.clean(data.decode("utf-8", "replace"))
        return text.encode("utf-8", "replace")

    def clean(self, text: str) -> str:
        """`text` without what may not be kept."""
        text = _CREDENTIALS.sub(MASK, self._redactor.redact(text))
        text = _ASSIGNED.sub(rf"\g<1>{MASK}", _BEARER.sub(rf"\g<1>{MASK}", text))
        if self.kind == "redacted":
            text = _RUN.sub(_told_by_size, text)
            text = _HOME.sub(rf"\g<1>{MASK}", _EMAIL.sub(MASK, text))
        return text


def read_kept(data: bytes) -> str:
    """The text of what was kept."""
    return zlib.decompress(data).decode("utf-8", "replace")


def _told_by_size(found: re.Match[str]) -> str:
    return f"{MASK} ({len(found[0])} characters)"

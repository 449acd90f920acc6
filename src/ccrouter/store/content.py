"""What was said, made fit to be kept: compressed, and without secrets. Pure.

`full` takes out the router's own secrets and whatever has the form of a credential; `redacted` also what looks
personal, and pictures and documents. A text that only looks like a secret is lost with them: that does less harm than
the other way round.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from ccrouter.config.schema import KeptContent
from ccrouter.gateway.record import Content
from ccrouter.secret import Redactor, Secret
from ccrouter.store.redaction import credentials, personal, without
from ccrouter.store.rows import Content as KeptWords

_LEVEL = 6


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
        text = self._redactor.redact(data.decode("utf-8", "replace"))
        clean = text.encode("utf-8", "replace")
        clean = without(clean, credentials(clean))
        return without(clean, personal(clean)) if self.kind == "redacted" else clean


def read_kept(data: bytes) -> str:
    """The text of what was kept."""
    return zlib.decompress(data).decode("utf-8", "replace")

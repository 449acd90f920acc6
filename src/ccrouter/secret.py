"""A text that cannot be printed by accident, and the removal of secrets from texts that others wrote."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import final
from urllib.parse import quote, quote_plus

MASK = "***"

# Keys as providers print them back in their own errors ("Incorrect API key provided: sk-abc..."). What could be a word
# of the error itself ("keyword-only-arguments", "skip_special_tokens") must not match: clients go by those words. What
# follows a key in the alphabet of base64 is its rest.
_KEY_SHAPED = re.compile(
    r"\b(?:sk|gsk|xai|hf|nvapi)[-_][A-Za-z0-9*._-]{14,}[A-Za-z0-9*._/+=-]*"
    r"|\b(?:pk|rk|key)[-_](?=[A-Za-z*._-]{0,200}[0-9])[A-Za-z0-9*._-]{14,}"
    r"|\bAIza[A-Za-z0-9*_-]{14,}"
)


@final
class Secret:
    """A secret text. Its repr, str and format are `***`; only `reveal` gives it.

    It cannot be pickled, copied or encoded as JSON: each raises TypeError. Secrets are compared by `matches`, in
    constant time, and not by `==`.
    """

    __slots__ = ("_forms", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._forms: tuple[str, ...] | None = None

    def reveal(self) -> str:
        """The text itself: to be called where it goes on the wire, and nowhere else."""
        return self._text

    def matches(self, candidate: str) -> bool:
        """True if `candidate` is this text; the time taken does not tell how much of it agrees."""
        # surrogatepass: neither a damaged environment variable nor a strange header may make this raise
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), candidate.encode("utf-8", "surrogatepass")
        )

    def forms(self) -> tuple[str, ...]:
        """How the text may stand in what others write: as it is, escaped, encoded; none of a text too short to tell."""
        if self._forms is None:
            self._forms = tuple(dict.fromkeys(_forms(self._text))) if len(self._text) >= _LEAST else ()
        return self._forms

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


#: Shorter texts ("test", "ollama") are words, not secrets.
_LEAST = 7
#: Encoded, a text of few letters could be a part of anything.
_LEAST_ENCODED = 10
#: A secret's beginning, if at least so long, goes too where its rest was cut off: at the end of a text, and at a mark.
_LEAST_BEGUN = 8
_CUT = re.compile(r"…|\.\.\.|”|\Z")


#: One of these is in every text that has the shape of a key: looked for first, as most texts have none.
_KEY_MARKS = ("sk-", "sk_", "xai-", "xai_", "hf-", "hf_", "nvapi", "pk-", "pk_", "rk-", "rk_", "key-", "key_", "AIza")


class Redactor:
    """Removes the given secrets from texts: build it once where many texts are searched for the same ones."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        # Longest first: one key may begin like another, and the rest of the longer one must not stay behind.
        self._forms = sorted((form for secret in secrets for form in secret.forms()), key=len, reverse=True)
        self._beginnings = tuple(dict.fromkeys(form[:_LEAST_BEGUN] for form in self._forms))
        self._marks = (*self._beginnings, *_KEY_MARKS)

    def is_clean(self, text: str) -> bool:
        """True if `redact` would leave `text` as it is; False may be said in doubt."""
        for mark in self._marks:  # a loop: this is asked of every line of the audit, and a generator costs twice that
            if mark in text:
                return not (any(one in text for one in self._beginnings) or _KEY_SHAPED.search(text))
        return True

    def redact(self, text: str) -> str:
        """`text` without the secrets, in whatever form, and without anything that has the shape of an API key."""
        if self.is_clean(text):
            return text
        for form in self._forms:
            text = text.replace(form, MASK)
        begun = [form for form in self._forms if form[:_LEAST_BEGUN] in text]
        if begun:
            text = _without_beginnings(text, begun)
        return _KEY_SHAPED.sub(MASK, text)


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without the given secrets, in whatever form, and without anything that has the shape of an API key."""
    return Redactor(secrets).redact(text)


def _without_beginnings(text: str, forms: list[str]) -> str:
    """Whoever shortens a text knows no secrets, and may have cut one in two."""
    for cut in reversed(list(_CUT.finditer(text))):
        place = cut.start()
        while place and text[place - 1].isspace():
            place -= 1
        for form in forms:
            start = text.find(form[:_LEAST_BEGUN], max(0, place - len(form)), place)
            if start >= 0 and form.startswith(text[start:place]):
                text = text[:start] + MASK + text[place:]
                break
    return text


def _forms(text: str) -> Iterator[str]:
    yield text
    for is_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        twice = json.dumps(escaped, ensure_ascii=is_ascii)[1:-1]
        yield from (escaped, escaped.replace("/", "\\/"), twice, repr(escaped)[1:-1])
    yield repr(text)[1:-1]
    yield from (html.escape(text), html.escape(text, quote=False))
    data = text.encode("utf-8", "surrogatepass")
    for encoded in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield from (encoded, re.sub("%..", lambda found: found[0].lower(), encoded))
    if len(data) >= _LEAST_ENCODED:
        yield from (data.hex(), *_in_base64(data))


def _in_base64(data: bytes) -> Iterator[str]:
    """For each place in a group of three that `data` may begin at: the letters that its neighbours have no part in."""
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(bytes(shift) + data)[first : (shift + len(data)) * 8 // 6].decode()
        yield from (coded, coded.replace("+", "-").replace("/", "_"))

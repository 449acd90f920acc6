"""Finds a text however it was written: as it is, escaped, encoded, or cut in half. Opens files; judges nothing."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, quote_plus

#: Halves of shorter texts are words.
LONG = 32


@dataclass(frozen=True)
class Canary:
    """A text that must not be found, nor half of it if it is long. `name` is safe to print."""

    name: str
    text: str

    @cached_property
    def forms(self) -> Mapping[bytes, str]:
        """What to look for → how it was written."""
        found: dict[bytes, str] = {}
        parts = [(self.text, "")]
        if len(self.text) >= LONG:
            middle = len(self.text) // 2
            parts += [(self.text[:middle], "first half, "), (self.text[middle:], "second half, ")]
        for part, which in parts:
            for how, form in _written(part):
                found.setdefault(form, which + how)
        return found


def _written(text: str) -> Iterator[tuple[str, bytes]]:
    data = text.encode()
    yield "as it is", data
    if all(ord(character) < 256 for character in text):
        yield "in Latin-1", text.encode("latin-1")
    for is_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield "in JSON", escaped.encode()
        yield "in JSON within JSON", json.dumps(escaped, ensure_ascii=is_ascii)[1:-1].encode()
        yield "in JSON with escaped slashes", escaped.replace("/", "\\/").encode()
    yield "as Python writes it", repr(text)[1:-1].encode()
    for how in (quote(text), quote(text, safe=""), quote_plus(text)):
        yield "percent-encoded", how.encode()
        yield "percent-encoded", how.lower().encode()
    yield "in HTML", html.escape(text).encode()
    yield "in hexadecimal", data.hex().encode()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data)
        kept = coded[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6]  # what its neighbours have no part in
        yield "in base64", kept
        yield "in base64 for URLs", kept.translate(bytes.maketrans(b"+/", b"-_"))


def leaks(canaries: Iterable[Canary], data: bytes, place: str) -> list[str]:
    """A line for each of the canaries that stands in `data`: its name, how it was written, and where."""
    found = []
    for canary in canaries:
        for form, how in canary.forms.items():
            if form in data:
                found.append(f"{canary.name} ({how}) in {place}{_context(data, form)}")
                break
    return found


def _context(data: bytes, form: bytes) -> str:
    """What stands before it: enough to find the place, and none of the canary."""
    at = data.index(form)
    return f", after {data[max(0, at - 60) : at]!r}"


def leaks_in_files(canaries: Iterable[Canary], paths: Iterable[Path], folder: Path) -> list[str]:
    """As `leaks`, for the names and contents of files; places are named from `folder`."""
    wanted = list(canaries)
    found = []
    for path in paths:
        name = str(path.relative_to(folder))
        found += leaks(wanted, name.encode("utf-8", "surrogateescape"), f"the name of {name}")
        if path.is_file():
            found += leaks(wanted, path.read_bytes(), name)
    return found

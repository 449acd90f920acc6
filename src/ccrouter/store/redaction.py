"""Finds what may not be kept in a text: credentials by their form, and what looks personal. Pure.

Works on bytes, looks for marks first and matches patterns at those places alone: a regular expression over all of a
long text would hold up every other thread for as long as it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MASK = b"***"


class Span(NamedTuple):
    """A part that goes, and what stands in its place."""

    start: int
    end: int
    instead: bytes = MASK


class _Form(NamedTuple):
    """What credentials of one kind begin with, and how they go on. `is_word` if a letter before is that of a word,
    `is_run` if they go on as far as their letters do: one that begins within another then ends where that does.
    """

    mark: bytes
    rest: re.Pattern[bytes]
    is_word: bool = False
    is_run: bool = True


_WORDY = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ESCAPES = frozenset(b"nrtbf")
_LONG = re.compile(rb"[A-Za-z0-9_.+/=*-]{14,}")

_FORMS = (
    *(_Form(b"gh%c_" % kind, re.compile(rb"[A-Za-z0-9]{16,}")) for kind in b"pousr"),
    _Form(b"github_pat_", re.compile(rb"[A-Za-z0-9_]{20,}")),
    _Form(b"glpat-", re.compile(rb"[A-Za-z0-9_-]{16,}")),
    _Form(b"xox", re.compile(rb"[abeoprs]-[A-Za-z0-9-]{10,}")),
    *(_Form(mark, re.compile(rb"[A-Z0-9]{16}(?![A-Za-z0-9])"), is_word=True) for mark in (b"AKIA", b"ASIA", b"AROA")),
    _Form(b"sk-", re.compile(rb"[A-Za-z0-9_.+/=*-]{10,}"), is_word=True),
    _Form(b"sk_", re.compile(rb"(?:live|test)_[A-Za-z0-9]{10,}"), is_word=True),
    *(_Form(mark, _LONG, is_word=True) for mark in (b"gsk_", b"gsk-", b"xai-", b"nvapi-", b"hf_", b"AIza")),
    _Form(b"ya29.", re.compile(rb"[A-Za-z0-9_-]{20,}")),
    _Form(b"npm_", re.compile(rb"[A-Za-z0-9]{30,}")),
    _Form(b"pypi-", re.compile(rb"[A-Za-z0-9_-]{30,}")),
    _Form(b"://", re.compile(rb"[^\s:/@\"\\]{1,200}:[^\s/@\"\\]{1,200}(?=@)"), is_run=False),
)
#: A JSON Web Token: three runs of letters with a dot between, the first of which begins so.
_WEB_TOKEN = b"eyJ"
_RUN, _LEAST_RUN = re.compile(rb"[A-Za-z0-9_-]*"), 8
_TWO_RUNS = re.compile(rb"\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
_HEADER = re.compile(rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_FOOTER = re.compile(rb"-----END [A-Z ]{0,40}-----")
_LONGEST_PEM = 20_000
_SCHEMES = (b"bearer ", b"basic ", b"token ")
_TOKEN = re.compile(rb"\s{0,8}([A-Za-z0-9._~+/=-]{12,})")
_NAMES = (b"key", b"secret", b"password", b"passwd", b"token")
_BEFORE = re.compile(rb"(?:api[_-]?|client[_-]|access[_-]|auth[_-])$")
_ASSIGNED = re.compile(rb"(?:\\{0,8}[\"'])?\s{0,8}[:=]\s{0,8}(?:\\{0,8}[\"'])?")
_VALUE = re.compile(rb"[^\s\"'\\,;&]{6,}")

_LOCAL = re.compile(rb"[A-Za-z0-9._%+-]{1,64}\Z")
_DOMAIN = re.compile(rb"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}")
_HOMES = (b"/home/", b"/Users/", b"\\Users\\", b"/users/")
_FOLDER = re.compile(rb"\\{0,8}([^/\\\s\"':;,<>|]{1,64})")


def _only(kept: bytes) -> bytes:
    """A table that leaves one letter of those in `kept` and a blank of all others."""
    return bytes(ord("a") if byte in kept else ord(" ") for byte in range(256))


_LETTERS = bytes(sorted(_WORDY))
#: Long runs without a blank, by their letters: pictures, documents, hashes. How long they have to be.
_RUNS = ((_only(_LETTERS + b"+/-="), 64), (_only(b"0123456789abcdefABCDEF"), 32))


def credentials(data: bytes) -> Iterator[Span]:
    """Where there is anything that has the form of a credential, or is called one."""
    for form in _FORMS:
        end = -1
        for place in _places(data, form.mark):
            after = place + len(form.mark)
            if (form.is_run and after <= end) or (form.is_word and not _begins(data, place)):
                continue  # to match a run again from each of its letters would take the square of its length
            if found := form.rest.match(data, after):
                end = found.end()
                yield Span(found.start() if form.mark == b"://" else place, end)
    yield from _web_tokens(data)
    yield from _private_keys(data)
    lower = data.lower()
    for scheme in _SCHEMES:
        for place in _places(lower, scheme):
            if found := _TOKEN.match(data, place + len(scheme)):
                yield Span(*found.span(1))
    for name in _NAMES:
        yield from _values(data, lower, name)


def _values(data: bytes, lower: bytes, name: bytes) -> Iterator[Span]:
    """What is assigned to a member of this name, or of one that ends so."""
    end = -1
    for place in _places(lower, name):
        if name in {b"key", b"token"} and not _BEFORE.search(lower, max(0, place - 8), place):
            continue
        assigned = _ASSIGNED.match(data, place + len(name))
        if assigned is None or assigned.end() < end:  # within the last value, which goes as a whole
            continue
        if found := _VALUE.match(data, assigned.end()):
            end = found.end()
            yield Span(*found.span())


def personal(data: bytes) -> Iterator[Span]:
    """Where there are addresses of people, names of their folders, and long runs that nobody reads."""
    for place in _places(data, b"@"):
        local, domain = _LOCAL.search(data, max(0, place - 64), place), _DOMAIN.match(data, place + 1)
        if local and domain:
            yield Span(local.start() + _escape_at(data, local.start()), domain.end())
    for mark in _HOMES:
        for place in _places(data, mark):
            if found := _FOLDER.match(data, place + len(mark)):
                yield Span(*found.span(1))
    for table, least in _RUNS:
        flat = data.translate(table)
        run, end = b"a" * least, 0
        while (start := flat.find(run, end)) >= 0:
            end = flat.find(b" ", start)
            end = len(flat) if end < 0 else end
            yield Span(start, end, b"*** (%d characters)" % (end - start))


def without(data: bytes, spans: Iterator[Span]) -> bytes:
    """`data` with what the spans say in their places; of those that overlap the first, as far as all of them reach."""
    parts: list[bytes] = []
    at = 0
    for start, end, instead in sorted(spans):
        if start >= at:
            parts += (data[at:start], instead)
        at = max(at, end)
    return b"".join([*parts, data[at:]])


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + len(mark))


def _web_tokens(data: bytes) -> Iterator[Span]:
    end = -1
    for place in _places(data, _WEB_TOKEN):
        after = place + len(_WEB_TOKEN)
        if after <= end:  # within a run that was looked at from its beginning
            continue
        run = _RUN.match(data, after)
        assert run is not None  # it matches nothing too
        end = run.end()
        if end - after >= _LEAST_RUN and (found := _TWO_RUNS.match(data, end)):
            yield Span(place, found.end())


def _private_keys(data: bytes) -> Iterator[Span]:
    """From the first line of each to its last, however their ends of line are written."""
    place = data.find(b"-----BEGIN ")
    while place >= 0:
        end = place + 1
        if _HEADER.match(data, place):
            last = data.find(b"-----END ", place, place + _LONGEST_PEM)
            footer = _FOOTER.match(data, last) if last >= 0 else None
            end = footer.end() if footer else min(len(data), place + _LONGEST_PEM)
            yield Span(place, end)
        place = data.find(b"-----BEGIN ", end)


def _begins(data: bytes, place: int) -> bool:
    """True if no word goes on at `place`. The letter of an escape, as in a backslash and an n, is none of a word."""
    if place == 0 or data[place - 1] not in _WORDY:
        return True
    return place > 1 and data[place - 2] == ord("\\") and data[place - 1] in _ESCAPES


def _escape_at(data: bytes, place: int) -> int:
    """1 if the letter at `place` belongs to an escape, which has to stay whole."""
    return int(place > 0 and data[place - 1] == ord("\\"))

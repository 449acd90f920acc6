"""A file's bytes as a tree. Reads strict JSON first, then JSON5; knows no key. Nothing is written, nothing logged."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import math
import os
import re
import select
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ccrouter.config.report import Place, Report
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject

# A byte order mark that Windows editors and PowerShell's `>` leave, and the encoding it stands for.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Messages by which those who examine a file tell these four from all other mistakes.
NO_SUCH_FILE = "there is no such file"
NO_OBJECT = "must be an object"
UNREADABLE = "cannot be read"
EMPTY = "is empty"

#: A configuration is written by hand. More than this is none, and would keep the reader of JSON5 busy for hours.
LARGEST = 4 * 1024 * 1024
#: Seconds for all that is written into a pipe, as by `--config <(decrypt config)`.
_PATIENCE = 5.0
#: Less deep than Python's own limit lets any of those read who walk the tree later.
_DEEPEST = 100
_TOO_DEEP = "is nested too deeply"

_JSON5_MESSAGE = re.compile(r"<string>:(\d+) (.*) at column (\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """What a file says: its tree, and for each object that names a key twice, that object and those keys. `digest` is
    the SHA-256 of the file's bytes, in hex; "" for what is in no file.
    """

    tree: JsonObject
    twice: tuple[tuple[JsonObject, tuple[str, ...]], ...] = field(default=(), repr=False)
    digest: str = ""

    def warn_of_duplicates(self, report: Report) -> None:
        """Adds a warning to `report` for each key that is written twice in one object."""
        for place in self.duplicates(report):
            place.warn("is written twice; the last one counts", "keep one of them")

    def duplicates(self, report: Report) -> list[Place]:
        """The place of each key that is written twice in one object, in the order of the file."""
        return list(self._search(self.tree, Place(report))) if self.twice else []

    def _search(self, node: Json, place: Place) -> Iterator[Place]:
        if isinstance(node, list):
            for index, value in enumerate(node):
                yield from self._search(value, place.item(index))
        if not isinstance(node, dict):
            return
        for key in next((keys for found, keys in self.twice if found is node), ()):
            yield place.key(key)
        for key, value in node.items():
            yield from self._search(value, place.key(key))


def read_source(path: Path) -> Source:
    """The tree of the file at `path`. Raises ConfigError if it cannot be read, or is not an object in JSON or JSON5."""
    file = str(path)
    try:
        data = read_bounded(path)
    except FileNotFoundError:
        hint = "`ccr start` without --config makes a starter file in ~/.claude-code-router"
        raise ConfigError([Problem(file, "", NO_SUCH_FILE, hint)]) from None
    except OSError as error:
        raise ConfigError([Problem(file, "", f"{UNREADABLE}: {error.strerror or error}")]) from error
    return read_data(data, file)


def read_bounded(path: Path) -> bytes:
    """The content of `path`, up to one byte more than a configuration may have. Raises OSError.

    A pipe is read for a few seconds at most: nobody may ever write into it.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        return _read_pipe(file.fileno()) if is_pipe else file.read(LARGEST + 1) or b""


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_pipe(descriptor: int) -> bytes:
    deadline, content = time.monotonic() + _PATIENCE, bytearray()
    while len(content) <= LARGEST:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(errno.ETIMEDOUT, "it is a pipe, and nobody writes its end")
        piece = os.read(descriptor, LARGEST)
        if not piece:
            break
        content += piece
    return bytes(content[: LARGEST + 1])


def read_data(data: bytes, file: str) -> Source:
    """The tree of `data`, the content of `file`. Raises ConfigError as `read_source` does."""
    return replace(parse(decode(data, file), file), digest=hashlib.sha256(data).hexdigest())


def decode(data: bytes, file: str) -> str:
    """`data` as text, by its byte order mark or else as UTF-8. Raises ConfigError naming the line, and for too much."""
    if len(data) > LARGEST:
        raise ConfigError([Problem(file, "", f"is larger than {LARGEST // 1024**2} MiB", "is it the right file?")])
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not {encoding.partition('-sig')[0].upper()} text"
        raise ConfigError([Problem(file, f"line {line}", message, "save the file as UTF-8")]) from error


def parse(text: str, file: str) -> Source:
    """The tree of `text`. Raises ConfigError naming line and column in `file`."""
    if not text.strip():
        raise ConfigError([Problem(file, "", EMPTY, "write at least {}, or delete the file")])
    twice: list[tuple[JsonObject, tuple[str, ...]]] = []

    def collect(pairs: Iterable[tuple[str, Json]]) -> JsonObject:
        found: JsonObject = {}
        repeated = []
        for key, value in pairs:
            if key in found:
                repeated.append(key)
            found[key] = value
        if repeated:
            twice.append((found, tuple(dict.fromkeys(repeated))))
        return found

    try:
        tree: Json = json.loads(text, object_pairs_hook=collect)
    except RecursionError:
        raise ConfigError([Problem(file, "", _TOO_DEEP)]) from None
    except ValueError:
        tree = _parse_json5(text, file, collect)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(file, "", NO_OBJECT, 'write { "Providers": [...], "Router": {...} }')])
    if is_too_deep(tree):
        raise ConfigError([Problem(file, "", _TOO_DEEP)])
    _refuse_infinities(tree, file)
    return Source(tree, tuple(twice))


def _parse_json5(text: str, file: str, collect: object) -> Json:
    import json5  # noqa: PLC0415 - plain JSON needs no second parser, and `ccr` starts faster without

    try:
        tree: Json = json5.loads(text, object_pairs_hook=collect)  # type: ignore[arg-type,unused-ignore] # untyped in some releases
    except RecursionError:
        raise ConfigError([Problem(file, "", _TOO_DEEP)]) from None
    except ValueError as error:
        raise ConfigError([_syntax_problem(str(error), file)]) from None
    return tree


def _syntax_problem(message: str, file: str) -> Problem:
    found = _JSON5_MESSAGE.fullmatch(message)
    if not found:
        return Problem(file, "", "is not JSON5", message)
    line, what, column = int(found[1]), found[2], int(found[3])
    place = f"line {line}, column {column}"
    if "end of input" in what:
        return Problem(file, place, "the file ends too early", "a closing }, ] or quotation mark is missing")
    character = re.fullmatch(r'Unexpected "(.*)"', what, re.DOTALL)
    if not character:
        return Problem(file, place, what)
    shown = json.dumps(character[1], ensure_ascii=False) if character[1] != '"' else "quotation mark"
    hint = "a comma, a colon or a bracket may be missing before it"
    if character[1] == "\n":
        shown, hint = "end of the line", "a quotation mark may be missing before it"
    return Problem(file, place, f"unexpected {shown}", hint)


def is_too_deep(tree: Json) -> bool:
    """True if some value stands in more others than any setting does: whoever walks such a tree may not come back."""
    layer = [tree]
    for _ in range(_DEEPEST):
        layer = [
            inner
            for value in layer
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not layer:
            return False
    return True


def _refuse_infinities(node: Json, file: str) -> None:
    """JSON5 (and Python's reader of JSON) take NaN and Infinity; no setting means anything with them."""
    found = Report(file)

    def visit(value: Json, place: Place) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(inner, place.key(key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                visit(inner, place.item(index))
        elif isinstance(value, float) and not math.isfinite(value):
            place.refuse("must be a finite number")

    visit(node, Place(found))
    if found.problems:
        raise ConfigError(found.problems)

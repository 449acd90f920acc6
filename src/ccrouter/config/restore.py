"""Secrets put back where a configuration comes from somebody who was shown it masked, or resolved. Opens no file.

What is put back is only ever what the old configuration has at the same place: a secret goes nowhere else.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping

from ccrouter.config.interpolate import Filled, fill_text
from ccrouter.config.masking import is_secret_name, show_secret, shown_names
from ccrouter.config.report import Place, Report
from ccrouter.errors import ConfigError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK

#: How problems name what is to be written: it is in no file yet.
NEW_TEXT = "the new configuration"

#: The members by which an object in a list is known again.
IDENTITIES = ("name", "id", "path", "label")

# The user and password of a URL, as written or as shown.
_CREDENTIALS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/?#@\s]*)@(?P<host>[^/?#\s]*)")
_HINT = "write the value itself, or $VARIABLE for one from the environment"
_SHORTEST_SECRET = 6  # shorter ones ("test", "ollama") are words that may be meant


def keep_secrets(old: JsonObject, new: JsonObject, environ: Mapping[str, str]) -> JsonObject:
    """A copy of `new` in which what was masked, and what `$VARIABLE` texts stand for, is again what `old` has there.

    Objects in lists are matched by `name`, `id`, `path` or `label`; texts that are nothing but masked by their order,
    where there are as many as before; other items by index, where the lists are equally long. A
    password within a URL is put back as long as scheme, host and port are those it was written for. Raises ConfigError
    with every place at which something is masked and `old` has nothing to put there.
    """
    report = Report(NEW_TEXT)
    restorer = _Restorer(environ, {fill_text(text, environ): text for text in _variables_of_secrets(old, "", environ)})
    kept = restorer.restore_object(old, new, Place(report))
    if report.problems:
        raise ConfigError(report.problems)
    return kept


def _variables_of_secrets(node: Json, name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """The texts of `$VARIABLE`s that are set, where the member's name says that its value is a secret."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _variables_of_secrets(value, key, environ)
    elif isinstance(node, list):
        for value in node:
            yield from _variables_of_secrets(value, name, environ)
    elif isinstance(node, str) and is_secret_name(name):
        filled = fill_text(node, environ)
        if isinstance(filled, Filled) and filled.names and len(filled) >= _SHORTEST_SECRET:
            yield node


class _Restorer:
    """Walks through both trees side by side. `written` has the text of each secret that a variable stands for."""

    def __init__(self, environ: Mapping[str, str], written: Mapping[str, str]) -> None:
        self.environ = environ
        self.written = written

    def restore_object(self, old: Json, new: JsonObject, place: Place) -> JsonObject:
        """`new` with its secrets; what cannot be put back is refused at its place."""
        members = old if isinstance(old, dict) else {}
        by_label = {label: name for name, label in shown_names(members).items() if label != name}
        kept: JsonObject = {}
        for key, value in new.items():
            name = by_label.get(key, key)
            if name == key and key not in members and MASK in key:
                place.key(key).refuse(f"has a masked name ({MASK}), and there is none to put in its place", _HINT)
            kept[name] = self._restore(_member(members, name), value, place.key(key))
        return kept

    def _restore(self, old: Json, new: Json, place: Place) -> Json:
        if isinstance(new, dict):
            return self.restore_object(old, new, place)
        if isinstance(new, list):
            partners = _Pairing(old, new).partners() if isinstance(old, list) else [None] * len(new)
            return [
                self._restore(partner, value, place.item(index))
                for index, (partner, value) in enumerate(zip(partners, new, strict=True))
            ]
        return self._restore_text(old, new, place) if isinstance(new, str) else new

    def _restore_text(self, old: Json, new: str, place: Place) -> Json:
        if new == old:
            return new
        if isinstance(old, str) and new == fill_text(old, self.environ):
            return old
        if MASK not in new:
            return self.written.get(new, new)
        if isinstance(old, str):
            if is_shown_as(old, new):
                return old
            if (moved := _move_credentials(old, new)) is not None:
                return moved
        elif old is not None and new == MASK:
            return old
        place.refuse(f"is masked ({MASK}), and there is nothing to put in its place", _HINT)
        return new


def is_shown_as(written: str, shown: str) -> bool:
    """True if `shown` is `written` with some of it masked."""
    first, *others = shown.split(MASK)
    if not others or not written.startswith(first):
        return False
    position = len(first)
    for middle in others[:-1]:
        found = written.find(middle, position + 1)
        if found < 0:
            return False
        position = found + len(middle)
    return len(written) > position + len(others[-1]) - (not others[-1] and position == len(written)) and (
        written.endswith(others[-1])
    )


def _move_credentials(written: str, shown: str) -> str | None:
    """`shown`, a URL of the same server with a masked password, with the password that is written; None if it is not.

    To another server it does not go: whoever changes the address has to know the password.
    """
    ours, theirs = _CREDENTIALS.match(written), _CREDENTIALS.match(shown)
    if not ours or not theirs or MASK in shown[theirs.end() :]:
        return None
    is_same_server = ours["scheme"] == theirs["scheme"] and ours["host"] == theirs["host"]
    if not is_same_server or not is_shown_as(ours["user"], theirs["user"]):
        return None
    return written[: ours.end()] + shown[theirs.end() :]


class _Pairing:
    """Which item of an old list each item of a new one is another version of."""

    def __init__(self, old: list[Json], new: list[Json]) -> None:
        self._new = new
        self._free = dict(enumerate(old))
        self._found: dict[int, Json] = {}
        self._is_as_long = len(old) == len(new)

    def partners(self) -> list[Json]:
        """For each new item its old one, None if it has none."""
        places: defaultdict[tuple[str, str], deque[int]] = defaultdict(deque)
        for place, item in self._free.items():
            if identity := _identity(item):
                places[identity].append(place)
        for index, item in enumerate(self._new):
            if (identity := _identity(item)) and places[identity]:
                self._pair(index, places[identity].popleft())
        self._pair_texts()
        for index in self._unpaired():
            if self._is_as_long and _is_shown(self._free.get(index), self._new[index]):
                self._pair(index, index)
        for index in self._unpaired():
            self._pair_with_its_like(index)
        for index in self._unpaired():
            item, old = self._new[index], self._free.get(index)
            if self._is_as_long and (_identity(item) is None or _is_renamed(old, item)):
                self._pair(index, index)
        return [self._found.get(index) for index in range(len(self._new))]

    def _unpaired(self) -> list[int]:
        return [index for index in range(len(self._new)) if index not in self._found]

    def _pair(self, index: int, place: int) -> None:
        if place in self._free:
            self._found[index] = self._free.pop(place)

    def _pair_texts(self) -> None:
        """Pairs texts that are the same, and then those that are nothing but masked with those that would be."""
        for index in self._unpaired():
            item = self._new[index]
            if isinstance(item, str) and MASK not in item:
                same = [place for place, old in self._free.items() if old == item and isinstance(old, str)]
                if same:
                    self._pair(index, index if index in same else same[0])
        masked = [index for index in self._unpaired() if self._new[index] == MASK]
        hidden = [place for place, old in self._free.items() if isinstance(old, str) and show_secret(old) == MASK]
        if len(masked) == len(hidden):
            for index, place in zip(masked, hidden, strict=True):
                self._pair(index, place)

    def _pair_with_its_like(self, index: int) -> None:
        """Pairs what has no name with the one old item that looks like it; of two that do, with neither."""
        if isinstance(self._new[index], (dict, list)):
            like = [place for place, item in self._free.items() if _is_shown(item, self._new[index])]
            if len(like) == 1:
                self._pair(index, like[0])


def _member(members: JsonObject, key: str) -> Json:
    """The member called `key`, else the one that the reader takes for it: case, - and _ do not count."""
    if key in members:
        found: Json = members[key]
        return found
    return next((value for name, value in members.items() if _folded(name) == _folded(key)), None)


def _folded(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "")


def _identity(item: Json) -> tuple[str, str] | None:
    """What an item of a list is known by: a member, or, of a list such as ["maxtoken", {...}], its first text."""
    if isinstance(item, dict):
        named = ((key, _member(item, key)) for key in IDENTITIES)
        return next(((key, value) for key, value in named if isinstance(value, str)), None)
    if isinstance(item, list) and item and isinstance(item[0], str):
        return ("", item[0])
    return None


def _is_renamed(old: Json, new: Json) -> bool:
    """True if `new` is `old` by another name, everything else unchanged but for what is masked."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(key in IDENTITIES or _is_shown(old[key], new[key]) for key in new)
    return False


def _is_shown(old: Json, new: Json) -> bool:
    """True if `new` is `old`, masked or not."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_is_shown(old[key], new[key]) for key in new)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_shown, old, new))
    if isinstance(old, str) and isinstance(new, str):
        return old == new or is_shown_as(old, new)
    return old == new or (new == MASK and old is not None)

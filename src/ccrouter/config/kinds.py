"""What a value may be: each kind reads one value, says in words what it takes, and gives its JSON Schema.

Tolerant of form ("3456", "true", one text where a list is meant), never of nonsense. A kind's `read` returns None for
what it could not read, and has then said so to the place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from ccrouter.config.interpolate import Filled, is_malformed, unset_in
from ccrouter.config.report import Place, closest, kind_of, quoted
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import Secret

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_VARIABLE_PATTERN = r"\$"  # in the schema: any text that names a variable is taken at its word


class Kind(Protocol):
    """One kind of value."""

    @property
    def words(self) -> str:
        """What it takes, as the reference says it."""

    def read(self, value: Json, place: Place) -> Any:
        """The value in canonical form, or None after telling `place` why not."""

    def schema(self) -> JsonObject:
        """The JSON Schema of what `read` takes without complaint."""


def _is_filled_in(value: str, place: Place) -> bool:
    """False, and `place` knows why, if variables of the text are missing."""
    if is_malformed(value):
        place.refuse("has a ${ that names no variable or is not closed", "write ${NAME}, or $$ for a dollar sign")
        return False
    missing = unset_in(value)
    if missing:
        place.leave_blank(missing)
    return not missing


@dataclass(frozen=True, slots=True)
class Text:
    """A text, without white space at its ends."""

    words: str = "text"

    def read(self, value: Json, place: Place) -> str | None:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            place.refuse(f"must be a text, not {kind_of(value)}")
            return None
        return str(value).strip() if _is_filled_in(value, place) else None

    def schema(self) -> JsonObject:
        return {"type": ["string", "number"]}


@dataclass(frozen=True, slots=True)
class KeyText:
    """An API key, and what the user wrote for it."""

    secret: Secret
    source: str


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that goes into a header. Its value is in no message."""

    words: ClassVar[str] = "text"

    def read(self, value: Json, place: Place) -> KeyText | None:
        text = Text().read(value, place)
        if text is None:
            return None
        if re.search(r"[^\x21-\x7e]", text):
            hint = "write the key alone: one line, no quotation marks, no `Bearer`"
            place.refuse("holds white space or characters that a key cannot have", hint)
            return None
        names = value.names if isinstance(value, Filled) else ()
        secret = Secret(text)
        place.report.secrets.append(secret)
        return KeyText(secret, " and ".join(f"${{{name}}}" for name in names) or "the config file")

    def schema(self) -> JsonObject:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds. `is_whole` makes it an integer."""

    least: float
    most: float
    unit: str = ""
    is_whole: bool = True

    @property
    def words(self) -> str:
        return f"number, {self.unit}" if self.unit else "number"

    def read(self, value: Json, place: Place) -> int | float | None:
        number = self._parse(value, place)
        if number is None:
            return None
        if not self.least <= number <= self.most:
            unit = f" ({self.unit})" if self.unit else ""
            place.refuse(f"must be from {self.least:g} to {self.most:.15g}{unit}, not {quoted(value)}")
            return None
        return number

    def _parse(self, value: Json, place: Place) -> int | float | None:
        if isinstance(value, str) and not _is_filled_in(value, place):
            return None
        parsed: float | None = None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            parsed = value
        elif isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,15}(\.\d{1,15})?\s*", value, re.ASCII):
            parsed = float(value) if "." in value else int(value)
        if parsed is None or (self.is_whole and parsed != int(parsed)):
            place.refuse(f"must be a {'whole ' if self.is_whole else ''}number, not {quoted(value)}")
            return None
        return int(parsed) if self.is_whole else parsed

    def schema(self) -> JsonObject:
        number = {"type": "integer" if self.is_whole else "number", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [number, {"type": "string", "pattern": rf"^\s*[0-9.]+\s*$|^$|{_VARIABLE_PATTERN}"}]}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false, also as a text."""

    words: ClassVar[str] = "true or false"

    def read(self, value: Json, place: Place) -> bool | None:
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            if not _is_filled_in(value, place):
                return None
            found = _FLAGS.get(value.strip().lower())
        else:
            found = {0: False, 1: True}.get(value) if isinstance(value, int) else None
        if found is None:
            place.refuse(f"must be true or false, not {quoted(value)}")
        return found

    def schema(self) -> JsonObject:
        words = {"type": "string", "pattern": rf"^(?:{'|'.join(_FLAGS)}|)$|{_VARIABLE_PATTERN}"}
        return {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, words]}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, whatever their case; `also` maps other spellings, and true and false, to them."""

    values: tuple[str, ...]
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return " \\| ".join(f"`{value}`" for value in self.values)

    def read(self, value: Json, place: Place) -> str | None:
        if isinstance(value, str) and not _is_filled_in(value, place):
            return None
        word = ("true" if value else "false") if isinstance(value, bool) else str(value).strip().lower()
        word = self.also.get(word, word)
        if isinstance(value, (str, bool)) and word in self.values:
            return word
        near = closest(word, self.values)
        place.refuse(
            f"must be one of {', '.join(self.values)}; not {quoted(value)}", f'did you mean "{near}"?' if near else ""
        )
        return None

    def schema(self) -> JsonObject:
        spoken = [word for word in (*self.values, *self.also) if word and word not in ("true", "false")]
        booleans = [word == "true" for word in self.also if word in ("true", "false")]
        allowed = [*spoken, *(word.upper() for word in spoken), *booleans]
        return {"anyOf": [{"enum": allowed}, {"type": "string", "pattern": rf"^$|{_VARIABLE_PATTERN}"}]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; a single value counts as a list of one."""

    kind: Kind

    @property
    def words(self) -> str:
        return f"list of {self.kind.words}"

    def read(self, value: Json, place: Place) -> list[Any]:
        if not isinstance(value, list):
            return self.read([value], place)
        read = [self.kind.read(item, place.item(index)) for index, item in enumerate(value)]
        return [item for item in read if item is not None and item != ""]

    def schema(self) -> JsonObject:
        return {"anyOf": [{"type": "array", "items": self.kind.schema()}, self.kind.schema()]}


@dataclass(frozen=True, slots=True)
class Chain:
    """Texts in an order, each with its place; one text counts as a list of one."""

    kind: Text

    @property
    def words(self) -> str:
        return f"{self.kind.words}, or a list of them"

    def read(self, value: Json, place: Place) -> list[tuple[str, Place]]:
        """None of them empty."""
        items = value if isinstance(value, list) else [value]
        places = [place.item(index) for index in range(len(items))] if isinstance(value, list) else [place]
        read = [(self.kind.read(item, spot), spot) for item, spot in zip(items, places, strict=True)]
        return [(text, spot) for text, spot in read if text]

    def schema(self) -> JsonObject:
        return ListOf(self.kind).schema()


@dataclass(frozen=True, slots=True)
class Keys:
    """A pool of API keys: a list of texts and of objects with a table of their own; one of these counts as a list of
    one.
    """

    table: str

    @property
    def words(self) -> str:
        return f"text, or list of texts and [{self.table}](#{self.table.lower()})"

    def read(self, value: Json, place: Place) -> list[Json]:  # noqa: ARG002 - each is judged where it is read
        """The keys as they are: `record.read_record` reads them, each by what it is."""
        return value if isinstance(value, list) else [value]

    def schema(self) -> JsonObject:
        one = [Key().schema(), {"$ref": f"#/definitions/{self.table}"}]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}


def is_empty(value: Json, kind: Kind) -> bool:
    """True if `value` is as good as not written: null, an empty text, or a list of nothing where several may stand."""
    if isinstance(value, list):
        return isinstance(kind, (Chain, Keys)) and all(item == "" for item in value)
    return value is None or value == ""


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object whose keys are the user's own. A value of null leaves its key out."""

    kind: Kind
    keys: str = "name"

    @property
    def words(self) -> str:
        return f"object: {self.keys} → {self.kind.words}"

    def read(self, value: Json, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            place.refuse(f"must be an object, not {kind_of(value)}")
            return {}
        read = {key: self.kind.read(item, place.key(key)) for key, item in value.items() if item is not None}
        return {key: item for key, item in read.items() if item is not None}

    def schema(self) -> JsonObject:
        return {"type": "object", "additionalProperties": {"anyOf": [self.kind.schema(), {"type": "null"}]}}


@dataclass(frozen=True, slots=True)
class Anything:
    """A value that is passed on without being understood; `shape` is all that is asked of it."""

    shape: Literal["object", "any"] = "object"

    @property
    def words(self) -> str:
        return "object" if self.shape == "object" else "any value"

    def read(self, value: Json, place: Place) -> Json:
        if self.shape == "object" and not isinstance(value, dict):
            place.refuse(f"must be an object, not {kind_of(value)}")
            return None
        return self._plain(value, place)

    def _plain(self, node: Json, place: Place) -> Json:
        """`node` with texts of the built-in type, which is all that an encoder of JSON takes."""
        if isinstance(node, dict):
            return {key: self._plain(value, place.key(key)) for key, value in node.items()}
        if isinstance(node, list):
            return [self._plain(value, place.item(index)) for index, value in enumerate(node)]
        if isinstance(node, str):
            if place.need != "no":
                _is_filled_in(node, place)
            return str(node)
        return node

    def schema(self) -> JsonObject:
        return {"type": "object"} if self.shape == "object" else {}


@dataclass(frozen=True, slots=True)
class Raw:
    """A value with a form of its own, read elsewhere; `form` is its JSON Schema."""

    words: str
    form: Mapping[str, Any]

    def read(self, value: Json, place: Place) -> Json:  # noqa: ARG002 - whoever reads it judges it
        return value

    def schema(self) -> JsonObject:
        return dict(self.form)


@dataclass(frozen=True, slots=True)
class Nested:
    """An object with a table of its own: one, a list of them, a map of them, or either of the two."""

    table: str
    holds: Literal["one", "list", "map", "list or map"] = "one"

    @property
    def words(self) -> str:
        name = f"[{self.table}](#{self.table.lower().replace(' ', '-')})"
        return {"one": name, "list": f"list of {name}", "map": f"object: name → {name}"}.get(
            self.holds, f"list of {name}, or object: name → {name}"
        )

    def read(self, value: Json, place: Place) -> Json:
        """The container checked and its members as they are: `record.read_record` reads them by their table."""
        is_fit = {
            "one": isinstance(value, dict),
            "list": isinstance(value, list),
            "map": isinstance(value, dict),
            "list or map": isinstance(value, (dict, list)),
        }[self.holds]
        if is_fit:
            return value
        wanted = {"one": "an object", "map": "an object", "list": "a list"}.get(self.holds, "a list or an object")
        place.refuse(f"must be {wanted}, not {kind_of(value)}")
        return None

    def schema(self) -> JsonObject:
        one: JsonObject = {"$ref": f"#/definitions/{self.table}"}
        many = {"type": "array", "items": one}
        named = {"type": "object", "additionalProperties": one}
        shapes: dict[str, JsonObject] = {"one": one, "list": many, "map": named}
        return shapes.get(self.holds, {"anyOf": [many, named]})

"""One object of the file, read by its table: known keys checked and canonical, unknown keys named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from ccrouter.config.fields import TABLES
from ccrouter.config.kinds import Key, Keys, KeyText, Nested, is_empty
from ccrouter.config.report import Place, closest
from ccrouter.config.table import Field, Table
from ccrouter.jsontypes import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Record:
    """What an object says. `values` by canonical name (absent: not written, empty or unusable); `keys` as they were
    spelled; `others` the keys that its table does not have; `spares` the keys that mean the same as one of `keys`.
    `written` is the object itself, variables filled in.
    """

    place: Place
    values: Mapping[str, Any]
    keys: Mapping[str, str]
    others: Mapping[str, Json]
    spares: tuple[str, ...] = ()
    written: Mapping[str, Json] = attribute(default_factory=dict, repr=False)

    def get(self, name: str, default: Any = None) -> Any:
        """The value in canonical form; a nested object is a `Record`, a list or map of them one of `Record`s, a pool of
        keys one of `KeyEntry`s.
        """
        return self.values.get(name, default)

    def is_written(self, name: str) -> bool:
        """True if the user wrote something there, even if it could not be used."""
        return name in self.keys

    def as_written(self, name: str) -> Json:
        """What stands at a known key: a text with variables is a `Filled`. None if nothing does."""
        return self.written.get(self.keys[name]) if name in self.keys else None

    def at(self, name: str) -> Place:
        """The place of a known key, spelled as the user did."""
        return self.place.key(self.keys.get(name, name))


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key of a pool as written: at `place` the whole of it, at `text_place` its text, which `written` is, variables
    filled in. `key` is None for one that cannot be used, `record` for a text alone.
    """

    place: Place
    text_place: Place
    key: KeyText | None
    record: Record | None = None
    written: Json = attribute(default=None, repr=False)


def read_record(table: Table, value: Json, place: Place) -> Record:
    """`value` read by `table`; all that is wrong with it goes to the report of `place`."""
    if not isinstance(value, dict):
        Nested(table.name).read(value, place)
        return Record(place, {}, {}, {})
    keys, others, spares = _match(table, value, place)
    values: dict[str, Any] = {}
    for field in table.fields:
        if field.name not in keys:
            continue
        key = keys[field.name]
        read = _read_field(field, value[key], place.key(key, field.need))
        if read is not None:
            values[field.name] = read
    if not table.others:
        warn_of_unknown(others, [field.name for field in table.fields], place)
    return Record(place, values, keys, others, spares, value)


def _read_field(field: Field, value: Json, place: Place) -> Any:
    read = field.kind.read(value, place)
    if isinstance(field.kind, Keys):
        return _read_keys(field.kind, value, place)
    if read is None or not isinstance(field.kind, Nested):
        return read
    table = TABLES[field.kind.table]
    if field.kind.holds == "one":
        return read_record(table, read, place)
    if isinstance(read, list):
        records = [read_record(table, item, place.item(index)) for index, item in enumerate(read)]
        return [record for record, item in zip(records, read, strict=True) if isinstance(item, dict)]
    named = {name: read_record(table, item, place.key(name)) for name, item in read.items()}
    return {name: record for name, record in named.items() if isinstance(read[name], dict)}


def _read_keys(kind: Keys, value: Json, place: Place) -> tuple[KeyEntry, ...]:
    spots = [place.item(index) for index in range(len(value))] if isinstance(value, list) else [place]
    entries = []
    for item, spot in zip(kind.read(value, place), spots, strict=True):
        if isinstance(item, dict):
            record = read_record(TABLES[kind.table], item, spot)
            if not record.is_written("key"):
                spot.refuse("has no key", 'write { "key": "${NAME}" }, or leave it out')
            entries.append(KeyEntry(spot, record.at("key"), record.get("key"), record, record.as_written("key")))
        elif item != "":
            entries.append(KeyEntry(spot, spot, Key().read(item, spot), None, item))
    return tuple(entries)


def _match(table: Table, value: JsonObject, place: Place) -> tuple[dict[str, str], dict[str, Json], tuple[str, ...]]:
    """Which key of `value` each field of `table` is read from, the keys that are no field's, and those to spare."""
    exact = {spelling: field for field in table.fields for spelling in (field.name, *field.aliases)}
    folded: dict[str, Field] = {}
    for spelling, field in exact.items():
        folded.setdefault(_fold(spelling), field)
    found: dict[str, list[str]] = {}
    others: dict[str, Json] = {}
    for key, inner in value.items():
        field_of_key = exact.get(key) or folded.get(_fold(key))
        if field_of_key is None:
            others[key] = inner
        elif not is_empty(inner, field_of_key.kind) or (inner == "" and field_of_key.keeps_empty):
            found.setdefault(field_of_key.name, []).append(key)
    keys: dict[str, str] = {}
    spares: list[str] = []
    for field in table.fields:
        candidates = found.get(field.name, [])
        spellings = (field.name, *field.aliases)
        candidates.sort(key=lambda key: spellings.index(key) if key in spellings else len(spellings))
        if candidates:
            keys[field.name] = candidates[0]
        spares += candidates[1:]
        for spare in candidates[1:]:
            place.key(spare).warn(f"means the same as {candidates[0]}, which counts", "keep one of them")
    return keys, others, tuple(spares)


def warn_of_unknown(others: Mapping[str, Json], known: list[str], place: Place) -> None:
    """A warning for each key of `others`, with the known key that was probably meant."""
    for key in others:
        near = closest(key, known)
        place.key(key).warn("is not a setting of this router; it is kept", f'did you mean "{near}"?' if near else "")


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()

"""What a table of keys is made of: one `Field` a key, one `Table` an object. Holds no table itself."""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.config.kinds import Kind
from ccrouter.config.report import Need


@dataclass(frozen=True, slots=True)
class Field:
    """One key. `aliases` are other words for it; case, `_` and `-` never matter. `need` says what an unset variable in
    it means; `keeps_empty` that "" is a value and not the absence of one.
    """

    name: str
    kind: Kind
    doc: str
    aliases: tuple[str, ...] = ()
    default: str = ""
    need: Need = "must"
    keeps_empty: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The keys of one object. `others` says what further keys mean there; "" that there are none."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    others: str = ""

"""The types of decoded JSON, for values that pass through without being understood."""

from __future__ import annotations

from typing import Any, TypeAlias

#: Any decoded JSON value. `Any` inside: recursion costs the reader more than it tells.
Json: TypeAlias = "dict[str, Any] | list[Any] | str | int | float | bool | None"

#: A decoded JSON object.
JsonObject: TypeAlias = dict[str, Any]

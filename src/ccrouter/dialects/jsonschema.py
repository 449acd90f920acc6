"""JSON Schemas made fit for servers that check them: keywords removed, references resolved. Pure; edits no input.

A schema is walked by what each place means: names of properties, values of `enum` or `default` are data, not keywords,
and a property that happens to be called "format" stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.dialects.profile import Profile
from ccrouter.jsontypes import JsonObject

#: Nothing real nests deeper.
_MAX_DEPTH = 24
#: What references may bring in, in characters and members: put in place again and again, a few of them could make more
#: of a schema than any machine holds.
MOST_BY_REFERENCE = 1_000_000
#: Keywords that bind nobody: where the schema is from, notes to its readers, and what `$ref` has been replaced by.
_SILENT = frozenset({"$schema", "$id", "$comment", "$anchor", "$defs", "definitions"})
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMAS = frozenset(
    {
        "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
        "unevaluatedProperties", "additionalItems", "contentSchema",
    }
)  # fmt: skip


def tool_parameters(schema: JsonObject | None, profile: Profile, unsaid: set[str] | None = None) -> JsonObject:
    """The schema of a tool's input as `profile`'s server takes it: always of type object, always with `properties`.

    Keywords that bind the model, and could not be said in other words, are added to `unsaid`.
    """
    cleaned = _Cleaner(profile, schema or {}, unsaid).clean(schema or {}, 0)
    if cleaned.get("type") != "object" and not ({"anyOf", "oneOf", "allOf", "$ref"} & cleaned.keys()):
        cleaned["type"] = "object"
    if cleaned.get("type") == "object" and not isinstance(cleaned.get("properties"), dict):
        cleaned["properties"] = {}
    return cleaned


def output_schema(schema: JsonObject, profile: Profile, unsaid: set[str] | None = None) -> JsonObject:
    """The schema of a structured answer as `profile`'s server takes it; `unsaid` as in `tool_parameters`."""
    return _Cleaner(profile, schema, unsaid).clean(schema, 0)


def is_closed(schema: Any) -> bool:
    """True if every object in `schema` lists all of its properties as required and forbids others: only then does
    OpenAI accept it as `strict`.
    """
    if isinstance(schema, list):
        return all(map(is_closed, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or "properties" in schema:
        required = schema.get("required") or []
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if not isinstance(properties, dict) or sorted(map(str, required)) != sorted(properties):
            return False
        if not all(map(is_closed, properties.values())):
            return False
    inner = [schema[word] for word in ("items", "anyOf") if word in schema]
    definitions = schema.get("$defs")
    defined = list(definitions.values()) if isinstance(definitions, dict) else []
    return all(map(is_closed, [*inner, *defined]))


def weight(schema: Mapping[str, Any]) -> int:
    """About how many characters and members one schema has, those within it apart."""
    weighed = 16
    for word, value in schema.items():
        if isinstance(value, str):
            weighed += len(value)
        elif word in _SCHEMA_MAPS or word in _SCHEMA_LISTS or word in _SCHEMAS:
            weighed += len(value) * 8 if isinstance(value, (dict, list)) else 1
        elif isinstance(value, (dict, list)):
            weighed += len(msgspec.json.encode(value))
    return weighed


def _is_name(value: object) -> bool:
    return isinstance(value, str)


class _Cleaner:
    """Cleans one document; `root` is what `#/...` references are resolved against."""

    def __init__(self, profile: Profile, root: JsonObject, unsaid: set[str] | None = None) -> None:
        self._drops = profile.strips_schema_keywords
        self._inlines = profile.inlines_schema_refs
        self._root = root
        self._unsaid: set[str] = set() if unsaid is None else unsaid
        self._within: list[str] = []  # the references that led here
        self._left = MOST_BY_REFERENCE

    def clean(self, schema: JsonObject, depth: int) -> JsonObject:
        if self._within:
            self._left -= weight(schema)
        if depth > _MAX_DEPTH or self._left < 0:
            self._unsaid.add("$ref")
            return {}
        if self._inlines and isinstance(schema.get("$ref"), str):
            return self._inlined(schema, schema["$ref"], depth)
        cleaned: JsonObject = {}
        for word, value in schema.items():
            if word in self._drops:
                self._translate(cleaned, word, value, depth)
            else:
                self._keep(cleaned, word, value, depth)
        required, properties = cleaned.get("required"), cleaned.get("properties")
        if self._inlines and isinstance(required, list) and isinstance(properties, dict):
            # The same strict server refuses required names that are no properties.
            cleaned["required"] = [name for name in required if isinstance(name, str) and name in properties]
        return cleaned

    def _inlined(self, schema: JsonObject, reference: str, depth: int) -> JsonObject:
        """`schema` with what it refers to in its place; without, where that leads back to itself."""
        rest = {word: value for word, value in schema.items() if word != "$ref"}
        if reference in self._within:
            self._unsaid.add("$ref")
            return self.clean(rest, depth + 1)
        self._within.append(reference)
        inlined = self.clean({**self._resolve(reference), **rest}, depth + 1)
        self._within.pop()
        return inlined

    def _keep(self, cleaned: JsonObject, word: str, value: Any, depth: int) -> None:
        if word in _SCHEMA_MAPS and isinstance(value, dict):
            cleaned[word] = {name: self._sub(inner, depth) for name, inner in value.items()}
        elif word in _SCHEMA_LISTS and isinstance(value, list):
            cleaned.setdefault(word, []).extend(self._sub(inner, depth) for inner in value)
        elif word in _SCHEMAS or (word == "items" and isinstance(value, dict)):
            cleaned[word] = self._sub(value, depth)
        elif word == "type" and self._inlines and isinstance(value, list):
            # ["string", "null"]: one type and `nullable` is all that the server knows
            types = [kind for kind in value if kind != "null"]
            cleaned["type"] = types[0] if types else "string"
            if len(types) < len(value):
                cleaned["nullable"] = True
        elif word == "enum" and self._inlines and isinstance(value, list):
            texts = [entry for entry in value if isinstance(entry, str)]
            if texts:  # enums of anything but strings are refused there
                cleaned["enum"] = texts
            if len(texts) < len(value):
                self._unsaid.add(word)
        else:
            cleaned[word] = value

    def _translate(self, cleaned: JsonObject, word: str, value: Any, depth: int) -> None:
        """What can still be said of a keyword that the server does not know."""
        if word == "const" and isinstance(value, str):
            cleaned.setdefault("type", "string")
            cleaned["enum"] = [value]
        elif word == "oneOf" and isinstance(value, list):
            cleaned.setdefault("anyOf", []).extend(self._sub(inner, depth) for inner in value)
        elif word == "allOf" and isinstance(value, list):
            if isinstance(cleaned.get("required"), list):
                cleaned["required"] = [*cleaned["required"]]  # the input's own stays as it is
            for inner in value:
                self._merge(cleaned, self._sub(inner, depth))
            if isinstance(cleaned.get("required"), list):
                cleaned["required"] = list(dict.fromkeys(filter(_is_name, cleaned["required"])))
        elif word not in _SILENT:
            self._unsaid.add(word)

    def _merge(self, cleaned: JsonObject, part: Any) -> None:
        if not isinstance(part, dict):
            return
        for word, value in part.items():
            if word == "properties" and isinstance(value, dict):
                cleaned.setdefault("properties", {}).update(value)
            elif word == "required" and isinstance(value, list):
                known = cleaned.setdefault("required", [])
                if isinstance(known, list):
                    known.extend(value)
            else:
                cleaned.setdefault(word, value)

    def _sub(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.clean(value, depth + 1)
        if isinstance(value, list):
            return [self._sub(inner, depth) for inner in value]
        return value

    def _resolve(self, reference: str) -> Mapping[str, Any]:
        """The schema that a local reference means; anything else becomes a schema that allows all."""
        if not reference.startswith("#"):
            self._unsaid.add("$ref")
            return {}
        node: Any = self._root
        for step in reference[1:].strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            return node
        self._unsaid.add("$ref")
        return {}

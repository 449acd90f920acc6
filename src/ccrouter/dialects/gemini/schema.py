"""JSON Schemas → the part of JSON Schema that Gemini reads. Pure; edits no input.

`parametersJsonSchema` and `responseJsonSchema` take JSON Schema, and of it these words only (ai.google.dev/api/
generate-content, responseJsonSchema): anything else is ignored at best. `parameters`, an OpenAPI schema, takes fewer
(no numbers in `enum`, no `additionalProperties`) and answers 400 to a single word that it does not know. So the former
is sent, in a form that is close to the latter: references resolved, `anyOf` alone where it stands, one type or one and
null. `openapi` makes the latter of it, for servers that know nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ccrouter.dialects.jsonschema import MOST_BY_REFERENCE, weight
from ccrouter.jsontypes import JsonObject

#: No real schema has more, or goes deeper; references that lead to each other could go on for ever.
_MOST_NODES = 5000
_MOST_DEPTH = 50
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FORMATS = frozenset({"date-time", "date", "time"})
#: Words that bind nobody: where a schema is from, notes to its readers, what `$ref` was replaced by, and a value that
#: the tool itself puts in.
_SILENT = frozenset(
    {
        "$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "default", "examples", "example", "deprecated",
        "readOnly", "writeOnly", "nullable", "title", "description", "propertyOrdering",
    }
)  # fmt: skip
_OF_OBJECTS = frozenset({"properties", "required", "additionalProperties"})
_OF_ARRAYS = frozenset({"items", "prefixItems", "minItems", "maxItems"})
_OF_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_SAID = (
    _SILENT | _OF_OBJECTS | _OF_ARRAYS | _OF_NUMBERS
    | {"$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "format", "additionalItems"}
)  # fmt: skip

_Refs = tuple[str, ...]


def parameters(schema: JsonObject | None, unsaid: set[str]) -> JsonObject:
    """The schema of a tool's input: always an object with `properties`. Words that bind the model and could not be said
    are added to `unsaid`.
    """
    lowering = _Lowering(schema or {}, unsaid)
    return _as_object(lowering.lower(schema or {}), unsaid)


def answer(schema: JsonObject, unsaid: set[str]) -> JsonObject:
    """The schema of a structured answer; `unsaid` as in `parameters`."""
    return _Lowering(schema, unsaid).lower(schema)


def openapi(schema: JsonObject) -> JsonObject:
    """A lowered schema as an OpenAPI one, for `parameters`."""
    fitted: JsonObject = {}
    for word, value in schema.items():
        match word:
            case "type":
                kinds = [kind for kind in ([value] if isinstance(value, str) else value) if kind != "null"]
                fitted["type"] = kinds[0] if kinds else "string"
                if kinds != [value]:
                    fitted["nullable"] = True
            case "properties":
                if value:  # "should be non-empty for OBJECT type" (400)
                    fitted[word] = {name: openapi(inner) for name, inner in value.items()}
            case "anyOf":
                fitted[word] = [openapi(inner) for inner in value if inner != {"type": "null"}]
            case "items":
                fitted[word] = openapi(value)
            case "enum":
                if all(isinstance(entry, str) for entry in value):
                    fitted[word] = value
            case "additionalProperties" | "prefixItems":
                pass
            case "format":
                if value == "date-time":  # "only 'enum' and 'date-time' are supported for STRING type" (400)
                    fitted[word] = value
            case _:
                fitted[word] = value
    if "type" not in fitted and "anyOf" not in fitted:
        fitted["type"] = "string"
    if fitted.get("type") == "array" and "items" not in fitted:
        fitted["items"] = {"type": "string"}
    return fitted


class _Lowering:
    """Lowers one document; `root` is what `#/...` references are resolved against."""

    def __init__(self, root: JsonObject, unsaid: set[str]) -> None:
        self._root = root
        self._unsaid = unsaid
        self._left = _MOST_NODES
        self._spare = MOST_BY_REFERENCE
        self._depth = 0

    def lower(self, schema: Any, refs: _Refs = ()) -> JsonObject:
        """The schema that `schema` becomes; `refs` are the references that led here."""
        if not isinstance(schema, dict):
            if schema is False:
                self._unsaid.add("false")
            return {}
        if not self._can_take(schema, refs) or self._depth >= _MOST_DEPTH:
            self._unsaid.add("$ref")
            return {}
        self._depth += 1
        flat, refs = self._flat(schema, refs)
        self._unsaid |= flat.keys() - _SAID
        lowered = self._typed(flat, refs)
        variants = flat.get("anyOf") or flat.get("oneOf")
        if isinstance(variants, list) and variants:
            lowered = self._united(lowered, [self.lower(variant, refs) for variant in variants])
        self._depth -= 1
        return _described(lowered, flat)

    def _can_take(self, schema: JsonObject, refs: _Refs) -> bool:
        """True if one schema more is not too much."""
        self._left -= 1
        if refs:
            self._spare -= weight(schema)
        return self._left >= 0 and self._spare >= 0

    # -- references and allOf ----------------------------------------------------------------------------------------

    def _flat(self, schema: JsonObject, refs: _Refs) -> tuple[JsonObject, _Refs]:
        """`schema` without `$ref` and `allOf`, what they say in their place."""
        while isinstance(reference := schema.get("$ref"), str):
            rest = {word: value for word, value in schema.items() if word != "$ref"}
            if reference in refs or len(refs) >= _MOST_DEPTH:  # leads back to itself: cut where it repeats
                self._unsaid.add("$ref")
                return rest, refs
            refs = (*refs, reference)
            schema = {**self._resolved(reference), **rest}
        pieces = schema.get("allOf")
        if not isinstance(pieces, list):
            return schema, refs
        whole = {word: _own(word, value) for word, value in schema.items() if word != "allOf"}
        for piece in pieces:
            if isinstance(piece, dict) and self._can_take(piece, refs):
                flat, refs = self._flat(piece, refs)
                _merge(whole, flat)
        return whole, refs

    def _resolved(self, reference: str) -> Mapping[str, Any]:
        """The schema that a local reference means; anything else becomes a schema that allows all."""
        node: Any = self._root if reference.startswith("#") else None
        for step in reference[1:].strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            self._spare -= weight(node)
            if self._spare >= 0:
                return node
        self._unsaid.add("$ref")
        return {}

    # -- types -------------------------------------------------------------------------------------------------------

    def _typed(self, flat: JsonObject, refs: _Refs) -> JsonObject:
        """What `flat` says by itself, its `anyOf` apart."""
        kinds = self._kinds(flat)
        values = [flat["const"]] if "const" in flat else flat.get("enum")
        if isinstance(values, list):
            return self._enumerated(values, kinds, flat, refs)
        nullable = [kind for kind in kinds if kind == "null"]
        kinds = [kind for kind in kinds if kind != "null"]
        if len(kinds) > 1:
            variants = [self._of_kind(kind, flat, refs) for kind in kinds]
            return {"anyOf": [*variants, *({"type": kind} for kind in nullable)]}
        if not kinds:
            return {"type": "null"} if nullable else {}
        lowered = self._of_kind(kinds[0], flat, refs)
        if nullable:
            lowered["type"] = [kinds[0], "null"]
        return lowered

    def _kinds(self, flat: JsonObject) -> list[str]:
        """The types that `flat` names, or else those that its words are about."""
        named = flat.get("type")
        asked: Sequence[Any] = [named] if isinstance(named, str) else named if isinstance(named, list) else ()
        kinds = [kind for kind in dict.fromkeys(map(str, asked)) if kind in _TYPES]
        if len(kinds) < len(asked):
            self._unsaid.add("type")
        if not kinds and not isinstance(flat.get("anyOf") or flat.get("oneOf"), list):
            if isinstance(flat.get("properties"), dict):
                kinds = ["object"]
            elif "items" in flat or "prefixItems" in flat:
                kinds = ["array"]
        if flat.get("nullable") is True and kinds and "null" not in kinds:
            kinds.append("null")
        return kinds

    def _of_kind(self, kind: str, flat: JsonObject, refs: _Refs) -> JsonObject:
        match kind:
            case "object":
                return {"type": kind, **self._object(flat, refs)}
            case "array":
                return {"type": kind, **self._array(flat, refs)}
            case "number" | "integer":
                return {"type": kind, **self._bounds(flat, is_whole=kind == "integer")}
            case "string" if "format" in flat:
                if isinstance(flat["format"], str) and flat["format"] in _FORMATS:
                    return {"type": kind, "format": flat["format"]}
                self._unsaid.add("format")
        return {"type": kind}

    def _object(self, flat: JsonObject, refs: _Refs) -> JsonObject:
        lowered: JsonObject = {}
        properties = flat.get("properties")
        if isinstance(properties, dict):
            lowered["properties"] = {str(name): self.lower(inner, refs) for name, inner in properties.items()}
            required = flat.get("required")
            if isinstance(required, list):
                # Names that are no properties are refused.
                known = [name for name in dict.fromkeys(map(str, required)) if name in properties]
                if known:
                    lowered["required"] = known
        others = flat.get("additionalProperties")
        if isinstance(others, bool):
            lowered["additionalProperties"] = others
        elif isinstance(others, dict):
            lowered["additionalProperties"] = self.lower(others, refs)
        return lowered

    def _array(self, flat: JsonObject, refs: _Refs) -> JsonObject:
        lowered: JsonObject = {}
        items, first = flat.get("items"), flat.get("prefixItems")
        if isinstance(items, list):  # as it was written before 2020-12
            items, first = flat.get("additionalItems"), items
        if isinstance(first, list) and first:
            lowered["prefixItems"] = [self.lower(inner, refs) for inner in first]
        lowered["items"] = self.lower(items, refs)  # "items: missing field" (400)
        for word in ("minItems", "maxItems"):
            value = flat.get(word)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                lowered[word] = value
        return lowered

    def _bounds(self, flat: JsonObject, *, is_whole: bool) -> JsonObject:
        lowered: JsonObject = {}
        for word, exclusive, step in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
            value, beyond = flat.get(word), flat.get(exclusive)
            if _is_number(value):
                lowered[word] = value
            if beyond is None or beyond is False:
                continue
            if is_whole and isinstance(beyond, int) and beyond is not True:
                lowered.setdefault(word, beyond + step)
            else:
                self._unsaid.add(exclusive)
                if _is_number(beyond):
                    lowered.setdefault(word, beyond)
        return lowered

    def _enumerated(self, values: list[Any], kinds: list[str], flat: JsonObject, refs: _Refs) -> JsonObject:
        """A choice among `values`: texts, or numbers."""
        told = [value for value in values if value is not None]
        lowered, is_complete = _choice(told)
        if not is_complete:
            self._unsaid.add("enum")
        if not lowered and kinds and kinds[0] != "null":
            lowered = self._of_kind(kinds[0], flat, refs)
        if len(told) < len(values) or "null" in kinds:
            lowered["type"] = [lowered["type"], "null"] if "type" in lowered else "null"
        return lowered

    def _united(self, lowered: JsonObject, variants: list[JsonObject]) -> JsonObject:
        """`lowered` with one of `variants`: `anyOf` may not stand beside anything else (Vertex, 400)."""
        others = [variant for variant in variants if variant != {"type": "null"}]
        is_nullable = len(others) < len(variants)
        if {"properties", "items", "enum"} & lowered.keys():
            self._unsaid.add("anyOf")  # describes more closely what is described already: "one of these is required"
            return lowered
        if len(others) != 1:
            return {"anyOf": variants} if others else {"type": "null"}
        only = others[0]
        if is_nullable and isinstance(only.get("type"), str):
            return {**only, "type": [only["type"], "null"]}
        return {"anyOf": [*only["anyOf"], {"type": "null"}]} if is_nullable and "anyOf" in only else only


def _as_object(lowered: JsonObject, unsaid: set[str]) -> JsonObject:
    """The lowered schema as an object: of several variants, one that has the properties of all of them."""
    variants = [variant for variant in lowered.get("anyOf", ()) if isinstance(variant.get("properties"), dict)]
    if variants:
        unsaid.add("anyOf")
        always = set.intersection(*(set(variant.get("required", ())) for variant in variants))
        whole: JsonObject = {"type": "object", "properties": {}}
        for variant in variants:
            whole["properties"].update(variant["properties"])
        if always:
            whole["required"] = [name for name in whole["properties"] if name in always]
        return whole
    if lowered.get("type") == "object" and "properties" in lowered:
        return lowered
    kept = {word: lowered[word] for word in lowered if word in {"title", "description", "additionalProperties"}}
    return {"type": "object", "properties": {}, **kept}


def _described(lowered: JsonObject, flat: JsonObject) -> JsonObject:
    """`lowered` with the notes of `flat`; where nothing may stand beside `anyOf`, they go to each variant."""
    notes = {word: flat[word] for word in ("title", "description") if isinstance(flat.get(word), str) and flat[word]}
    return _noted(lowered, notes) if "anyOf" in lowered and notes else {**lowered, **notes}


def _noted(lowered: JsonObject, notes: JsonObject) -> JsonObject:
    if "anyOf" in lowered:
        return {"anyOf": [_noted(variant, notes) for variant in lowered["anyOf"]]}
    return {**notes, **lowered}


def _merge(whole: JsonObject, piece: JsonObject) -> None:
    """After the call `whole` says what `piece` says, too. Lists and objects that are merged are its own."""
    for word, value in piece.items():
        known = whole.get(word)
        if word == "properties" and isinstance(known, dict) and isinstance(value, dict):
            known.update(value)
        elif word == "required" and isinstance(known, list) and isinstance(value, list):
            known.extend(value)
        elif word not in whole:
            whole[word] = _own(word, value)


def _own(word: str, value: Any) -> Any:
    """The value of a word, copied if `_merge` may add to it."""
    return copy.copy(value) if word in {"properties", "required"} else value


def _choice(values: list[Any]) -> tuple[JsonObject, bool]:
    """A schema for one of `values`, and whether it leaves out nothing and lets in nothing else."""
    if not values:
        return {}, True
    if all(isinstance(value, str) for value in values):
        texts = [value for value in values if value]  # "enum[0]: cannot be empty" (400)
        return {"type": "string", **({"enum": texts} if texts else {})}, len(texts) == len(values)
    if all(map(_is_number, values)):
        is_whole = all(isinstance(value, int) for value in values)
        return {"type": "integer" if is_whole else "number", "enum": values}, True
    if all(isinstance(value, bool) for value in values):
        return {"type": "boolean"}, {True, False} <= set(values)
    return {}, False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

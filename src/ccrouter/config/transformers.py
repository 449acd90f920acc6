"""`transformer` of a provider: which transforms it asks for, by the names of the classic router. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ccrouter.config.interpolate import unset_in
from ccrouter.config.kinds import Anything
from ccrouter.config.record import Record
from ccrouter.config.report import Place, closest, kind_of, quoted, suggestion
from ccrouter.config.schema import DialectName, TransformSpec
from ccrouter.jsontypes import Json, JsonObject

#: Names that say which wire format a provider speaks. They decide its endpoint and are no transforms.
WIRE_FORMATS: Mapping[str, DialectName] = {
    "anthropic": "anthropic",
    "openai": "openai_chat",
    "openai-responses": "openai_responses",
    "gemini": "gemini",
    "vertex-gemini": "gemini",
    "vertex-claude": "gemini",
}

#: The transforms that come with the router, by the names that configurations use.
BUILT_IN = (
    *WIRE_FORMATS,
    "deepseek",
    "openrouter",
    "vercel",
    "groq",
    "tooluse",
    "enhancetool",
    "reasoning",
    "forcereasoning",
    "maxtoken",
    "maxcompletiontokens",
    "sampling",
    "customparams",
    "streamoptions",
    "cleancache",
    "cerebras",
    "extrathinktag",
)


#: Those that are applied to chat requests, options and all.
APPLIED = frozenset({"openrouter", "customparams", "maxtoken", "maxcompletiontokens", "sampling", "reasoning"})

#: Those whose whole effect every chat request has anyway, by the provider's profile or because answers are read so.
NEEDLESS = frozenset({"streamoptions", "cleancache", "cerebras", "extrathinktag", "enhancetool"})

#: Those of which the same is true as long as they have no options.
NEEDLESS_BARE = frozenset({"deepseek", "groq", "vercel"})


@dataclass(frozen=True, slots=True)
class Customs:
    """The names that custom transformers of the file may have. `is_open`: some say theirs only in their own code."""

    names: frozenset[str] = frozenset()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Specs:
    """What a `transformer` says: wire formats by name, transforms in order, and those of a model."""

    wire: tuple[str, ...] = ()
    transforms: tuple[TransformSpec, ...] = ()
    by_model: Mapping[str, tuple[TransformSpec, ...]] = field(default_factory=dict)
    model_wire: Mapping[str, str] = field(default_factory=dict)


def read_customs(top: Record) -> Customs:
    """The names under which the file's own transformers may be used; a warning for each, as they are not run."""
    names = set()
    is_open = False
    for record in top.get("transformers", ()):
        path = record.get("path")
        if path is None:
            if not record.is_written("path"):
                record.place.refuse("has no path", 'write { "path": "/full/path/of/module.js" }')
            is_open = True
            continue
        record.place.warn(
            "is a custom transformer, which this version does not run; it is left out",
            "the built-in transformers and `extra_body` may do the same",
        )
        stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        name = record.get("name")
        is_open = is_open or not name
        if name or stem.casefold() not in BUILT_IN:
            names.add((name or stem).casefold())
    return Customs(frozenset(names), is_open)


def read_transformer(value: Json, place: Place, customs: Customs) -> Specs:
    """The specs that `value`, a provider's `transformer`, asks for. Wire formats with options stay among transforms:
    their options may still mean something.
    """
    if isinstance(value, (str, list)):
        value = {"use": value}
    if not isinstance(value, dict):
        place.refuse(f"must be an object, not {kind_of(value)}", 'write { "use": ["deepseek"] }')
        return Specs()
    wire: tuple[str, ...] = ()
    transforms: tuple[TransformSpec, ...] = ()
    by_model: dict[str, tuple[TransformSpec, ...]] = {}
    model_wire: dict[str, str] = {}
    for key, inner in value.items():
        if key == "use":
            found = _read_use(inner, place.key(key), customs)
            wire, transforms = _sift(found)
        elif isinstance(inner, dict) and set(inner) <= {"use"}:
            found = _read_use(inner.get("use"), place.key(key).key("use"), customs)
            names, kept = _sift(found)
            if kept:
                by_model[key] = kept
            foreign = [name for name in names if name not in ("anthropic", "openai")]
            if foreign:
                model_wire[key] = foreign[0]
        else:
            hint = 'did you mean "use"?' if closest(key, ("use",)) else 'a model\'s own are written { "use": [...] }'
            place.key(key).refuse("is neither `use` nor the transformers of a model", hint)
    return Specs(wire, transforms, by_model, model_wire)


@dataclass(frozen=True, slots=True)
class Entry:
    """A transformer that a provider names, whether or not there is one of that name. `model` is "" for all models."""

    name: str
    model: str
    place: Place
    has_options: bool

    @property
    def is_wire_format(self) -> bool:
        """True if it says which wire format is spoken, and nothing more."""
        return self.name.strip().casefold() in WIRE_FORMATS and not self.has_options


def entries_of(value: Json, place: Place) -> list[Entry]:
    """Every transformer that `value`, a provider's `transformer`, names, without what `read_transformer` refuses."""
    if isinstance(value, (str, list)):
        value = {"use": value}
    if not isinstance(value, dict):
        return []
    found = []
    for key, inner in value.items():
        model = "" if key == "use" else key
        used = inner.get("use") if model and isinstance(inner, dict) else inner
        spot = place.key(key).key("use") if model else place.key(key)
        for index, entry in enumerate(used if isinstance(used, list) else [used]):
            parts = entry if isinstance(entry, list) else [entry]
            if parts and isinstance(parts[0], str) and parts[0]:
                found.append(Entry(parts[0], model, spot.item(index), any(parts[1:])))
    return found


def unapplied(specs: Specs, *, is_messages: bool) -> list[str]:
    """What of `specs` is without effect though it should have one, each named as in a message, none twice.

    `is_messages` says that the provider speaks Messages, where requests go out as they came: no options apply there.
    """
    scopes = [("", specs.transforms), *((f' of model "{model}"', own) for model, own in specs.by_model.items())]
    at = " (on a Messages endpoint)" if is_messages else ""
    names = [
        f'transformer "{spec.name}"{scope}{at if spec.options else ""}'
        for scope, found in scopes
        for spec in found
        if not _is_served(spec, is_messages=is_messages)
    ]
    return list(dict.fromkeys(names))


def _is_served(spec: TransformSpec, *, is_messages: bool) -> bool:
    if spec.options:
        return not is_messages and spec.name in APPLIED | NEEDLESS
    return spec.name in APPLIED | NEEDLESS | NEEDLESS_BARE


def _sift(specs: Sequence[TransformSpec]) -> tuple[tuple[str, ...], tuple[TransformSpec, ...]]:
    wire = tuple(spec.name for spec in specs if spec.name in WIRE_FORMATS)
    return wire, tuple(spec for spec in specs if spec.name not in WIRE_FORMATS or spec.options)


def _read_use(value: Json, place: Place, customs: Customs) -> list[TransformSpec]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        place.refuse(
            f"must be a list, not {kind_of(value)}", 'write ["deepseek", ["maxtoken", { "max_tokens": 8192 }]]'
        )
        return []
    found = []
    for index, entry in enumerate(value):
        spec = _read_entry(entry, place.item(index), customs)
        if spec is not None:
            found.append(spec)
    return found


def _read_entry(entry: Json, place: Place, customs: Customs) -> TransformSpec | None:
    parts = entry if isinstance(entry, list) else [entry]
    name = parts[0] if parts else None
    options = parts[1] if len(parts) > 1 else None
    if not isinstance(name, str) or len(parts) > 2 or not (options is None or isinstance(options, dict)):
        hint = 'write "name" or ["name", { options }]; options stand in a list of their own with the name'
        place.refuse(f"must be a transformer's name, alone or with its options, not {quoted(entry)}", hint)
        return None
    if unset_in(name):
        place.leave_blank(unset_in(name))
        return None
    read: JsonObject = Anything().read(options or {}, place.item(1))  # type: ignore[assignment] # of its kind
    folded = name.strip().casefold()
    if folded in customs.names:
        return None
    if folded in BUILT_IN:
        return TransformSpec(folded, read)
    if customs.is_open:
        place.warn(
            f"{quoted(name)} is not built in; it is taken for one of `transformers`, which this version does not run",
            suggestion(name, BUILT_IN) if closest(name, BUILT_IN) else "",
        )
        return None
    place.refuse(f"no transformer is called {quoted(name)}", suggestion(name, BUILT_IN))
    return None

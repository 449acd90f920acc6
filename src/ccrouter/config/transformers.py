"""`transformer` of a provider: which transforms it asks for, by the names of the classic router. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ccrouter.config.customs import Customs, installed_transforms
from ccrouter.config.interpolate import unset_in
from ccrouter.config.kinds import Anything
from ccrouter.config.report import Place, closest, kind_of, quoted, suggestion
from ccrouter.config.schema import SOME_FILE, DialectName, TransformSpec
from ccrouter.config.transform_options import OPTIONS, provider_options
from ccrouter.jsontypes import Json, JsonObject

#: Names that say which wire format a provider speaks. They decide its endpoint and are no transforms.
WIRE_FORMATS: Mapping[str, DialectName] = {
    "anthropic": "anthropic",
    "openai": "openai_chat",
    "openai-responses": "openai_responses",
    "gemini": "gemini",
    "vertex-gemini": "gemini",
    "vertex-claude": "anthropic",
}

#: The transforms that come with the router, by the names that configurations use.
BUILT_IN = tuple(OPTIONS)


@dataclass(frozen=True, slots=True)
class Specs:
    """What a `transformer` says: wire formats by name, transforms in order, and those of a model; `options` are what
    the options of wire formats mean for the provider.
    """

    wire: tuple[str, ...] = ()
    transforms: tuple[TransformSpec, ...] = ()
    by_model: Mapping[str, tuple[TransformSpec, ...]] = field(default_factory=dict)
    model_wire: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


def read_transformer(value: Json, place: Place, customs: Customs) -> Specs:
    """The specs that `value`, a provider's `transformer`, asks for."""
    if isinstance(value, (str, list)):
        value = {"use": value}
    if not isinstance(value, dict):
        place.refuse(f"must be an object, not {kind_of(value)}", 'write { "use": ["deepseek"] }')
        return Specs()
    wire: list[TransformSpec] = []
    transforms: list[TransformSpec] = []
    by_model: dict[str, tuple[TransformSpec, ...]] = {}
    model_wire: dict[str, str] = {}
    for key, inner in value.items():
        if key == "use":
            wire, transforms = _sift(_read_use(inner, place.key(key), customs))
        elif isinstance(inner, dict) and set(inner) <= {"use"}:
            named, own = _sift(_read_use(inner.get("use"), place.key(key).key("use"), customs))
            if own:
                by_model[key] = tuple(own)
            for spec in named:
                if spec.options:
                    hint = f'write ["{spec.name}", {{ ... }}] into the provider\'s own `use`'
                    place.key(key).refuse(f"{spec.name} has options, and these hold for the whole provider", hint)
                if spec.name not in ("anthropic", "openai"):  # the URL decides between those, as it always did
                    model_wire.setdefault(key, spec.name)
        else:
            hint = 'did you mean "use"?' if closest(key, ("use",)) else 'a model\'s own are written { "use": [...] }'
            place.key(key).refuse("is neither `use` nor the transformers of a model", hint)
    options = {key: text for spec in wire for key, text in provider_options(spec.options).items()}
    return Specs(tuple(spec.name for spec in wire), tuple(transforms), by_model, model_wire, options)


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


def _sift(specs: Sequence[TransformSpec]) -> tuple[list[TransformSpec], list[TransformSpec]]:
    """Those that name wire formats, and the others; what the user wrote is never a wire format."""
    wire = [spec for spec in specs if spec.name in WIRE_FORMATS and not spec.path]
    return wire, [spec for spec in specs if spec not in wire]


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
    folded = name.strip().casefold()
    if folded in customs.names:
        return TransformSpec(name.strip(), _taken(options, place.item(1)), customs.names[folded])
    if folded in OPTIONS:
        return TransformSpec(folded, OPTIONS[folded].read(folded, options or {}, place.item(1)))
    if customs.is_open:  # whether one of them has this name is seen when they are loaded
        return TransformSpec(name.strip(), _taken(options, place.item(1)), SOME_FILE)
    installed = installed_transforms()
    if folded in installed:
        return TransformSpec(name.strip(), _taken(options, place.item(1)))
    place.refuse(f"no transformer is called {quoted(name)}", suggestion(name, [*BUILT_IN, *customs.names, *installed]))
    return None


def _taken(options: Json, place: Place) -> JsonObject:
    """The options of somebody else's transform, variables filled in: what they mean is its own affair."""
    read = Anything().read(options or {}, place)
    return read if isinstance(read, dict) else {}

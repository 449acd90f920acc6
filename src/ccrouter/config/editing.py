"""The configuration as the fields of a form, and the form's answers as changes of the tree. Pure: opens no file, fills
in no variable, judges nothing but the fields themselves.

A field that comes back as it was shown changes nothing: what was masked stays what it is, and what the form does not
know is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccrouter.config import changes
from ccrouter.config.catalogue import find
from ccrouter.config.catalogue_entries import ENTRIES
from ccrouter.config.draft import Ref, RouterDraft
from ccrouter.config.fields import ROUTER, TOP
from ccrouter.config.keeping_fields import RECORD
from ccrouter.config.kinds import Choice, Flag, Number
from ccrouter.config.listen import Overrides
from ccrouter.config.masking import mask
from ccrouter.config.provider_fields import PROVIDER
from ccrouter.config.record import read_record
from ccrouter.config.report import Place, Report
from ccrouter.config.schema import ROUTE_NAMES
from ccrouter.config.selection import merge, pick_router
from ccrouter.config.shapes import classic, guide
from ccrouter.config.table import Field
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK

#: How problems name the form.
FORM = "the form"

_URL, _KEY, _MODELS = (
    next(one for one in PROVIDER.fields if one.name == name) for name in ("api_base_url", "api_key", "models")
)
_PROTOCOL = next(one for one in PROVIDER.fields if one.name == "protocol")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*(?::-[^}]*)?\}?")
_NAME = re.compile(r"[^,\s][^,]*")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the router itself that the form has: where it stands, what it is called, what it is."""

    path: tuple[str, ...]
    title: str
    field: Field

    @property
    def id(self) -> str:
        return ".".join(self.path)


def _setting(title: str, *path: str) -> Setting:
    fields = RECORD.fields if path[0] == "record" else TOP.fields
    return Setting(path, title, next(one for one in fields if one.name == path[-1]))


#: In the order of the form.
SETTINGS: tuple[Setting, ...] = (
    _setting("Address to listen on", "HOST"),
    _setting("Port", "PORT"),
    _setting("Key that clients must show", "APIKEY"),
    _setting("Longest silence of a provider, in milliseconds", "API_TIMEOUT_MS"),
    _setting("HTTP proxy", "PROXY_URL"),
    _setting("Write log files", "LOG"),
    _setting("Log level", "LOG_LEVEL"),
    _setting("Changes of this file take effect by themselves", "autoReload"),
    _setting("Go on with answers that were cut off", "resume"),
    _setting("Record requests", "record", "enabled"),
    _setting("Days that records are kept", "record", "days"),
    _setting("Keep what was said", "record_content"),
)


def form_of(tree: JsonObject, router: str | None = None) -> JsonObject:
    """The fields of the form, as the tree has them, secrets masked. `router` is the name of the router to run by."""
    shown = mask(tree)
    name, drafted, fallback = _router(shown, router)
    providers = [_provider(one, record) for one, record in changes.provider_records(shown)]
    return {
        "shape": "guide" if changes.is_guide_shape(tree) else "classic",
        "providers": list(providers),
        "router": {
            "name": name,
            "routes": [_route(route, drafted, fallback) for route in _route_names(drafted)],
            "aliases": [{"pattern": pattern, "target": ref.text} for pattern, ref in drafted.aliases],
            "threshold": "" if drafted.threshold is None else str(drafted.threshold),
            "thinkEffort": drafted.think_effort or "",
            "efforts": list(_choices(next(one for one in ROUTER.fields if one.name == "thinkEffort"))),
        },
        "settings": [_told(one, shown, name) for one in SETTINGS],
        "targets": [f"{one['name']},{model}" for one in providers for model in one["models"]],
        "protocols": list(_choices(_PROTOCOL)),
    }


def known_providers() -> list[JsonObject]:
    """The providers whose URL need not be typed, and the variable of each one's key."""
    return [
        {"name": one.name, "title": one.title, "key": f"${{{one.key}}}" if one.key else ""}
        for one in ENTRIES
        if one.url and not one.placeholders
    ]


def add_provider(tree: JsonObject, fields: Mapping[str, str]) -> list[str]:
    """After the call the tree has the provider that the form tells of, and the route leads to it that was asked for.
    Gives what was done, in words. Raises ConfigError for fields that cannot be.
    """
    name = fields.get("name", "").strip()
    _demand_name(name, tree)
    known = find(name, ENTRIES)
    url, key = fields.get("url", "").strip(), fields.get("key", "").strip()
    models = _lines(fields.get("models", ""))
    more: tuple[tuple[str, Json], ...] = ()
    if not url and known is not None and known.url and not known.placeholders:
        url, key = known.url, key or (f"${{{known.key}}}" if known.key else "")
        models = models or tuple(one.id for one in known.models)
    if not url:
        raise _wrong("url", "is missing: say where requests are to be sent", "such as https://host/v1/chat/completions")
    if protocol := fields.get("protocol", "").strip():
        more = (("protocol", protocol),)
    changes.add_provider(tree, changes.ProviderWords(name, url, key, models, more))
    words = [f"provider {name} added"]
    route = fields.get("route", "").strip()
    if route:
        if not models:
            raise _wrong("models", "is empty: a route leads to a model, so name one")
        router, _, _ = _router(mask(tree), fields.get("router") or None)
        changes.set_route(tree, router, route, f"{name},{models[0]}")
        words.append(f"route {route} leads to {name},{models[0]}")
    return words


def change_provider(tree: JsonObject, fields: Mapping[str, str]) -> list[str]:
    """After the call the provider is as the form says, or gone if that was asked for. Gives what was done, in words.

    Raises ConfigError if there is no such provider, and for fields that cannot be.
    """
    name = fields.get("name", "").strip()
    record = changes.provider_record(tree, name)
    if record is None:
        raise _wrong("name", f'"{name}" is no provider of the file')
    if fields.get("step") == "remove":
        changes.remove_provider(tree, name)
        return [f"provider {name} removed"]
    before = next(one for one in form_of(tree)["providers"] if one["name"].casefold() == name.casefold())
    done = []
    for field, given, word in ((_URL, "url", "URL"), (_KEY, "key", "key"), (_PROTOCOL, "protocol", "protocol")):
        typed = fields.get(given, before[given]).strip()
        if typed == before[given] or (given == "key" and before["keyState"] == "several"):
            continue
        if given == "key" and not typed and fields.get("step") != "forget" and before["keyState"] == "literal":
            continue  # the field of a key that is hidden is empty
        if given == "url" and not typed:
            raise _wrong("url", "is missing: say where requests are to be sent")
        changes.set_member(record, (field.name,), typed or None, field.aliases)
        done.append(f"{word} of {name} {'changed' if typed else 'taken out'}")
    if fields.get("step") == "forget" and before["keyState"] == "literal":
        changes.set_member(record, (_KEY.name,), None, _KEY.aliases)
        done.append(f"key of {name} taken out")
    models = _lines(fields.get("models", "\n".join(before["models"])))
    if list(models) != before["models"] and before["hasPlainModels"]:
        changes.set_member(record, (_MODELS.name,), list(models) or None, _MODELS.aliases)
        done.append(f"models of {name} changed")
    return done


def change_router(tree: JsonObject, fields: Mapping[str, str]) -> list[str]:
    """After the call routes, their fallbacks and thresholds are as the form says. Gives what was done, in words.

    Raises ConfigError for fields that cannot be.
    """
    before = form_of(tree, fields.get("router") or None)["router"]
    router, done = before["name"], []
    for one in before["routes"]:
        route = one["name"]
        target = fields.get(f"route.{route}", one["target"]).strip()
        then = list(_lines(fields.get(f"then.{route}", "\n".join(one["then"]))))
        if target != one["target"]:
            if target:
                changes.set_route(tree, router, route, target)
            else:
                changes.unset_route(tree, router, route)
            done.append(f"route {route}: {one['target'] or 'nothing'} → {target or 'nothing'}")
        if then != one["then"] and (target or not then):
            changes.set_fallback(tree, router, route, then)
            done.append(f"fallbacks of {route}: {', '.join(then) or 'none'}")
    name, target = fields.get("alias.pattern", "").strip(), fields.get("alias.target", "").strip()
    if name and target:
        if not re.search(r"\*|^claude-", name):
            raise _wrong("alias.pattern", "has to be a pattern of model names", 'such as "claude-opus-*"')
        changes.set_route(tree, router, name, target)
        done.append(f"alias {name} → {target}")
    for given, member, title in (
        ("threshold", "longContextThreshold", "threshold of longContext"),
        ("thinkEffort", "thinkEffort", "least effort of think"),
    ):
        typed = fields.get(given, before[given]).strip()
        if typed != before[given]:
            changes.set_router_member(tree, router, member, int(typed) if typed.isdecimal() else typed or None)
            done.append(f"{title}: {before[given] or 'default'} → {typed or 'default'}")
    return done


def change_settings(tree: JsonObject, fields: Mapping[str, str]) -> list[str]:
    """After the call the router's own settings are as the form says. Gives what was done, in words."""
    router = fields.get("router") or None
    name, _, _ = _router(mask(tree), router)
    done = []
    for setting in SETTINGS:
        before = _told(setting, mask(tree), name)
        if setting.id not in fields:
            continue
        typed = fields[setting.id].strip()
        is_hidden = before["value"] == MASK
        if typed == before["value"] or (is_hidden and not typed and fields.get("step") != f"forget {setting.id}"):
            continue
        path = _place(tree, setting, name)
        changes.set_member(tree, path, _value(setting.field, typed) if typed else None, setting.field.aliases)
        done.append(f"{setting.title}: {'set' if typed else 'back to its default'}")
    return done


def _router(tree: JsonObject, router: str | None) -> tuple[str, RouterDraft, Mapping[str, Sequence[Ref]]]:
    """The router to run by, by name and as written, and the lists of fallbacks for whichever router that is."""
    report = Report(FORM)
    top = read_record(TOP, tree, Place(report))
    draft = merge(classic.lower(top), guide.lower(top))
    known = router if router and router.casefold() in {name.casefold() for name in draft.routers} else None
    name, drafted = pick_router(draft, top, Overrides(router=known))
    return name, drafted, draft.fallback


def _route_names(drafted: RouterDraft) -> list[str]:
    return [*ROUTE_NAMES, *(name for name in drafted.routes if name not in ROUTE_NAMES)]


def _route(name: str, drafted: RouterDraft, fallback: Mapping[str, Sequence[Ref]]) -> JsonObject:
    ref = drafted.routes.get(name)
    then = ref.then if ref is not None else ()
    listed = then or drafted.fallback.get(name) or fallback.get(name) or ()
    doc = next((one.doc for one in ROUTER.fields if one.name == name), "Requests of the class of this name.")
    return {
        "name": name,
        "target": "" if ref is None else ref.text,
        "then": [one.text for one in listed],
        "doc": _plain(doc),
    }


def _provider(name: str, record: JsonObject) -> JsonObject:
    url = changes.member(record, (_URL.name,), _URL.aliases)
    key = changes.member(record, (_KEY.name,), _KEY.aliases)
    models = changes.member(record, (_MODELS.name,), _MODELS.aliases)
    protocol = changes.member(record, (_PROTOCOL.name,), _PROTOCOL.aliases)
    listed = [models] if isinstance(models, str) and models else models if isinstance(models, list) else []
    known = {_fold(word) for field in (_URL, _KEY, _MODELS, _PROTOCOL) for word in (field.name, *field.aliases)}
    state = _key_state(key)
    return {
        "name": name,
        "url": url if isinstance(url, str) else "",
        "key": key if isinstance(key, str) and state == "variable" else "",
        "keyState": state,
        "models": [one for one in listed if isinstance(one, str)],
        "hasPlainModels": all(isinstance(one, str) for one in listed),
        "protocol": protocol if isinstance(protocol, str) else "",
        "more": [one for one in record if _fold(one) not in known and _fold(one) != "name"],
    }


def _key_state(key: Json) -> str:
    """How a key is written: "none", by a "variable", as a "literal", or "several" of them."""
    if isinstance(key, (list, dict)):
        return "several"
    if not key:
        return "none"
    return "variable" if _VARIABLE.search(str(key)) and MASK not in str(key) else "literal"


def _told(setting: Setting, shown: JsonObject, router: str) -> JsonObject:
    written = changes.member(shown, _place(shown, setting, router), setting.field.aliases)
    value = "" if written is None or isinstance(written, (dict, list)) else str(written)
    kind = setting.field.kind
    return {
        "id": setting.id,
        "title": setting.title,
        "value": value.lower() if isinstance(written, bool) else value,
        "isHidden": value == MASK,
        "choices": ["true", "false"] if isinstance(kind, Flag) else list(_choices(setting.field)),
        "isNumber": isinstance(kind, Number),
        "default": setting.field.default.strip("`"),
        "doc": _plain(setting.field.doc),
    }


def _place(tree: JsonObject, setting: Setting, router: str) -> tuple[str, ...]:
    """Where the setting stands: where to listen may be said by router, under `servers`."""
    if setting.path in {("HOST",), ("PORT",)}:
        servers = changes.member(tree, ("servers",))
        names = list(servers) if isinstance(servers, dict) else []
        wanted = (router.casefold(), "default")
        chosen = next((one for word in wanted for one in names if one.casefold() == word), names[0] if names else None)
        if chosen is not None and changes.member(tree, ("servers", chosen, *setting.path)) is not None:
            return ("servers", chosen, *setting.path)
    return setting.path


def _value(field: Field, typed: str) -> Json:
    if isinstance(field.kind, Flag) and typed in {"true", "false"}:
        return typed == "true"
    if isinstance(field.kind, Number) and re.fullmatch(r"[0-9]{1,15}", typed):
        return int(typed)
    return typed


def _choices(field: Field) -> tuple[str, ...]:
    return field.kind.values if isinstance(field.kind, Choice) else ()


def _plain(doc: str) -> str:
    return _LINK.sub(r"\1", doc).replace("`", "").replace(", see records", "")


def _lines(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _demand_name(name: str, tree: JsonObject) -> None:
    if not _NAME.fullmatch(name):
        raise _wrong("name", "has to be a word, without a comma", "routes refer to the provider by it")
    if changes.has_provider(tree, name):
        raise _wrong("name", f'"{name}" is a provider already', "change that one, or take another name")


def _wrong(field: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(FORM, field, message, hint)])


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").casefold()

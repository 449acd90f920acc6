"""What commands change in a configuration: providers and routes, in the tree of the file as it is written, in whichever
of the two shapes it has. Pure: opens no file, fills in no variable, judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ccrouter.config.draft import is_pattern
from ccrouter.jsontypes import Json, JsonObject

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ProviderWords:
    """A provider as it is to be written: `key` is the text for its key ("${NAME}"), `more` are further members; "" for
    a URL that follows from these, and for no key.
    """

    name: str
    url: str
    key: str = ""
    models: tuple[str, ...] = ()
    more: tuple[tuple[str, Json], ...] = ()

    def as_entry(self, *, in_list: bool) -> JsonObject:
        """The members of its object: in a list with the classic words, in a map with the guide's."""
        named: JsonObject = {"name": self.name} if in_list else {}
        url, key = ("api_base_url", "api_key") if in_list else ("baseURL", "apiKey")
        entry = {**named, **({url: self.url} if self.url else {}), **dict(self.more)}
        if self.key:
            entry[key] = self.key
        if self.models:
            entry["models"] = list(self.models)
        return entry


def is_guide_shape(tree: JsonObject) -> bool:
    """True if the file is written with maps (`providers`, `routers`) rather than with `Providers` and one `Router`."""
    if _key(tree, "Router") is not None:
        return False
    return isinstance(_value(tree, "routers"), dict) or any(
        isinstance(_value(tree, name), dict) for name in ("providers", "Providers")
    )


def has_provider(tree: JsonObject, name: str) -> bool:
    """True if the file has a provider of that name, whatever the case."""
    return any(_places(entries, name) for entries in _provider_entries(tree))


def add_provider(tree: JsonObject, words: ProviderWords) -> None:
    """After the call the file's providers end with this one; one of the same name is replaced, in its place."""
    entries = next((found for found in _provider_entries(tree) if _places(found, words.name)), None)
    if entries is None:
        entries = next(_provider_entries(tree), None)
    if entries is None:
        in_list = not is_guide_shape(tree)
        entries = [] if in_list else {}
        tree[_key(tree, "providers") or ("Providers" if in_list else "providers")] = entries
    entry = words.as_entry(in_list=isinstance(entries, list))
    places = _places(entries, words.name)
    if isinstance(entries, dict):
        entries[str(places[-1]) if places else words.name] = entry
    elif places:
        entries[int(places[-1])] = entry
    else:
        entries.append(entry)


def remove_provider(tree: JsonObject, name: str) -> bool:
    """After the call the file has no provider of that name. False if it had none."""
    found = False
    for entries in _provider_entries(tree):
        for place in reversed(_places(entries, name)):
            del entries[place]  # type: ignore[arg-type] # an index of the list or a key of the map, as `_places` gives
            found = True
    return found


def set_route(tree: JsonObject, router: str, route: str, target: str) -> None:
    """After the call `route` of the router of that name leads to `target`. A route that is a pattern is an alias for
    asked models. Where a chain is written, `target` takes the place of its first one, and the others stay behind it.
    """
    record = _router(tree, router)
    if is_pattern(route) and _key(record, route) is None:
        aliases = record.setdefault(_key(record, "models", "aliases") or "models", {})
        alias = _key(aliases, route) or route
        aliases[alias] = _led_by(target, aliases.get(alias))
        return
    routes = _value(record, "routes")
    key = _key(record, route)
    if key is None and isinstance(routes, dict):
        _unmark(routes, route)
        marked = next((name for name in routes if name.strip() == target), target)
        flags = routes.get(marked)
        if isinstance(flags, bool) or flags is None:  # `true` is short for the default route
            flags = {_DEFAULT: True} if flags else {}
        routes[marked] = {**flags, route: True}
        return
    record[key or route] = _led_by(target, None if key is None else record[key])


def _led_by(target: str, written: Json) -> Json:
    """`target`, and behind it what a chain that is written has after its first one."""
    if not isinstance(written, list):
        return target
    chain = [target, *(one for one in written[1:] if one != target)]
    return chain if len(chain) > 1 else target


def unset_route(tree: JsonObject, router: str, route: str) -> bool:
    """After the call the router of that name has no such route. False if it had none."""
    record = _router(tree, router)
    found = False
    places = [record, _value(record, "models", "aliases")] if is_pattern(route) else [record]
    for place in places:
        if isinstance(place, dict) and (key := _key(place, route)) is not None:
            del place[key]
            found = True
    routes = _value(record, "routes")
    return (isinstance(routes, dict) and _unmark(routes, route)) or found


def set_fallback(tree: JsonObject, router: str, route: str, targets: Sequence[str]) -> None:
    """After the call `targets` are what is tried after the first one of `route`, in the router of that name; none for
    none. Where a chain is written for the route they are its rest, else they are listed under `fallback`: where the
    route has such a list already, else in the router itself.
    """
    record = _router(tree, router)
    written = None if (key := _key(record, route)) is None else record[key]
    if key is not None and isinstance(written, list):
        record[key] = [*written[:1], *targets] if targets else written[0] if written else ""
        return
    for place in (record, tree):
        lists = _value(place, "fallback")
        if isinstance(lists, dict) and (known := _key(lists, route)) is not None:
            if targets:
                lists[known] = list(targets)
            else:
                del lists[known]
            return
    if targets:
        _object(record, "fallback")[route] = list(targets)


def set_router_member(tree: JsonObject, router: str, name: str, value: Json) -> None:
    """After the call the router of that name has this member; None takes it away."""
    set_member(_router(tree, router), (name,), value)


def set_member(tree: JsonObject, path: Sequence[str], value: Json, aliases: Sequence[str] = ()) -> None:
    """After the call the member at `path` has this value, under the spelling that it is written in; None takes it away.
    `aliases` are other words for the last of `path`.
    """
    *above, name = path
    record = tree
    for step in above:
        found = _value(record, step)
        if value is None and not isinstance(found, dict):
            return
        record = _object(record, step)
    key = _key(record, name, *aliases)
    if value is not None:
        record[key or name] = value
    elif key is not None:
        del record[key]


def member(tree: JsonObject, path: Sequence[str], aliases: Sequence[str] = ()) -> Json:
    """What is written at `path`, whatever the spelling; None if nothing is."""
    node: Json = tree
    *above, name = path
    for step in above:
        node = _value(node, step) if isinstance(node, dict) else None
    return _value(node, name, *aliases) if isinstance(node, dict) else None


def provider_record(tree: JsonObject, name: str) -> JsonObject | None:
    """The object of the provider of that name, whatever the case; None if the file has none."""
    for entries in _provider_entries(tree):
        for place in reversed(_places(entries, name)):
            found = entries[place]  # type: ignore[index] # as in remove_provider
            if isinstance(found, dict):
                return found
    return None


def provider_records(tree: JsonObject) -> list[tuple[str, JsonObject]]:
    """Every provider that is written, by its name; those without a name are left out."""
    found: list[tuple[str, JsonObject]] = []
    for entries in _provider_entries(tree):
        if isinstance(entries, dict):
            found += [(name, one) for name, one in entries.items() if isinstance(one, dict)]
        else:
            found += [(str(_value(one, "name") or ""), one) for one in entries if isinstance(one, dict)]
    return [(name.strip(), one) for name, one in found if name.strip()]


def _unmark(routes: JsonObject, route: str) -> bool:
    """After the call no target is marked with `route`; targets without any mark stay, as models on offer."""
    found = False
    for target, flags in routes.items():
        if flags is True and route == _DEFAULT:
            routes[target], found = {}, True
        elif isinstance(flags, dict):
            for key in [key for key in flags if _fold(key) == _fold(route)]:
                found = bool(flags.pop(key)) or found
    return found


def _router(tree: JsonObject, name: str) -> JsonObject:
    """The router's object, made if it is not there; where both shapes have a default router, the one that counts."""
    if name.casefold() == _DEFAULT and (isinstance(_value(tree, "Router"), dict) or not is_guide_shape(tree)):
        return _object(tree, "Router")
    routers = _object(tree, "routers")
    known = next((key for key in routers if key.casefold() == name.casefold()), name)
    return _object(routers, known)


def _object(tree: JsonObject, name: str) -> JsonObject:
    key = _key(tree, name) or name
    if not isinstance(tree.get(key), dict):
        tree[key] = {}
    found: JsonObject = tree[key]
    return found


def _provider_entries(tree: JsonObject) -> Iterator[list[Json] | JsonObject]:
    for key, found in tree.items():
        if _fold(key) == "providers" and isinstance(found, (list, dict)):
            yield found


def _places(entries: list[Json] | JsonObject, name: str) -> list[int | str]:
    """Where providers of that name stand: the last one counts."""
    folded = name.strip().casefold()
    if isinstance(entries, dict):
        return [key for key in entries if key.strip().casefold() == folded]
    return [
        place
        for place, one in enumerate(entries)
        if isinstance(one, dict) and str(_value(one, "name") or "").strip().casefold() == folded
    ]


def _value(tree: JsonObject, *names: str) -> Json:
    key = _key(tree, *names)
    return None if key is None else tree[key]


def _key(tree: JsonObject, *names: str) -> str | None:
    """The key that is read as one of `names`: spelled so, or else but for case, `-` and `_`."""
    exact = next((name for name in names if name in tree), None)
    if exact is not None:
        return exact
    folded = {_fold(name) for name in names}
    return next((key for key in tree if _fold(key) in folded), None)


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").casefold()

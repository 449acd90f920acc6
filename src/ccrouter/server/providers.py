"""`/providers`, as programs know it from the classic router. Changes are made in memory and last until the next reload.

They are made to the configuration's tree, and what comes out is examined like a file: there is no second way in.
Under a policy nothing can be changed here.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse, Response

from ccrouter.compliance.examine import examine
from ccrouter.config.credentials import in_body
from ccrouter.config.restore import keep_secrets
from ccrouter.config.schema import DRY_RUN, Config, Provider
from ccrouter.config.syntax import read_source
from ccrouter.errors import ClientError, ConfigError, Denied, NoTarget
from ccrouter.jsontypes import JsonObject
from ccrouter.secret import MASK, Secret, redact
from ccrouter.server.call import Call
from ccrouter.server.configfile import given_key, note_denial

#: What a provider may say here. Its dialect, headers and transforms are the config file's matter.
_FIELDS = frozenset({"id", "name", "type", "baseUrl", "api_base_url", "apiKey", "api_key", "models", "enabled"})
#: What the endpoint calls each wire format; the first two as the classic router does.
_TYPES = {
    "anthropic": "anthropic",
    "openai_chat": "openai",
    "openai_responses": "openai-responses",
    "gemini": "gemini",
}
_Entries = list[JsonObject] | dict[str, JsonObject]


async def list_providers(call: Call) -> Response:
    """Every provider, those that cannot be used included; keys masked."""
    return JSONResponse(_listing(call.edition.config))


async def read_provider(call: Call) -> Response:
    """One provider, by its name in any case. Raises NoTarget."""
    return JSONResponse(_entry(call.edition.config, call.params["id"]))


async def add_provider(call: Call) -> Response:
    """A provider more. Raises ClientError: 400 if it is no good, 409 if there is one of that name."""
    _refuse_under_policy(call)
    record = _record(await call.json_object())
    name = record.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ClientError("name: a provider needs a name")

    def add(tree: JsonObject) -> None:
        if _find(tree, name) is not None or name.strip().casefold() == DRY_RUN:
            raise ClientError(f"there is a provider {name!r} already: change it with PUT", status=409)
        entries = next((tree[key] for key in ("Providers", "providers") if tree.get(key)), None)
        if isinstance(entries, dict):
            entries[name] = {key: value for key, value in record.items() if key != "name"}
        elif isinstance(entries, list):
            entries.append(record)
        else:
            tree["Providers"] = [record]

    return JSONResponse(_entry(await _amend(call, add), name))


async def change_provider(call: Call) -> Response:
    """Some of what a provider says, its name apart. A masked key is the present one. Raises ClientError, NoTarget."""
    _refuse_under_policy(call)
    name, record = call.params["id"], _record(await call.json_object())
    if str(record.pop("name", name)).casefold() != name.casefold():
        raise ClientError("name: a provider cannot be renamed; delete it and add another")
    if record.get("api_key") == MASK:
        del record["api_key"]

    def change(tree: JsonObject) -> None:
        entries, key = _found(tree, name)
        present: JsonObject = entries[key]  # type: ignore[index] # an index of the list or a key of the map
        _update(tree, name, _with_kept_keys(present, record, call.process.environ))

    return JSONResponse(_entry(await _amend(call, change), name))


async def delete_provider(call: Call) -> Response:
    """Raises ClientError (400) while a route needs it, NoTarget."""
    _refuse_under_policy(call)
    name = call.params["id"]

    def delete(tree: JsonObject) -> None:
        entries, key = _found(tree, name)
        del entries[key]  # type: ignore[arg-type] # an index of the list or a key of the map, as `_found` gives both

    await _amend(call, delete)
    return JSONResponse({"message": "Provider deleted successfully"})


async def toggle_provider(call: Call) -> Response:
    """Switch it on or off. Raises ClientError (400) if a route needs it, NoTarget."""
    _refuse_under_policy(call)
    name, enabled = call.params["id"], (await call.json_object()).get("enabled")
    if not isinstance(enabled, bool):
        raise ClientError("enabled: must be true or false")
    await _amend(call, lambda tree: _update(tree, name, {"enabled": enabled}))
    return JSONResponse({"message": f"Provider {'enabled' if enabled else 'disabled'} successfully"})


def _refuse_under_policy(call: Call) -> None:
    policy = call.process.edition.policy
    if policy.is_in_force:
        note_denial(call, "providers", "/providers")
        raise Denied(
            f"providers cannot be changed here while policy {policy.name} is in force; change the config file, which "
            "is examined by the policy, and POST /api/restart",
            rule="providers",
        )


def _record(given: JsonObject) -> JsonObject:
    """What is given in the words of the config file. Raises ClientError for what is not known."""
    unknown = sorted(given.keys() - _FIELDS)
    if unknown:
        raise ClientError(f"{unknown[0]}: is not known here (known: {', '.join(sorted(_FIELDS))})")
    words = {"id": "name", "type": "protocol", "baseUrl": "api_base_url", "apiKey": "api_key"}
    record: JsonObject = {}
    for key, value in given.items():  # a name counts more than an id
        record[words.get(key, key)] = given["name"] if key == "id" and "name" in given else value
    return record


async def _amend(call: Call, change: Callable[[JsonObject], None]) -> Config:
    """The configuration with `change` made to its tree, in force. Raises ClientError and NoTarget: nothing has changed
    then.
    """
    process = call.process
    async with process.changing:
        _refuse_under_policy(call)  # a reload may have brought one meanwhile
        edition = process.edition
        config = edition.config
        amended_tree = edition.amended
        tree = await asyncio.to_thread(_written, config) if amended_tree is None else copy.deepcopy(amended_tree)
        change(tree)
        text, overrides = json.dumps(tree), given_key(config, config.router_name)
        verdict = await asyncio.to_thread(examine, config.path, process.environ, edition.policy, overrides, text=text)
        try:
            amended = verdict.accepted()
        except ConfigError as error:
            secrets = (*config.secrets, *_keys(tree))
            raise ClientError(redact(str(error), secrets)) from error
        config = dataclasses.replace(config, providers=amended.providers, unavailable=amended.unavailable)
        await process.amend(config, tree)
        return config


def _written(config: Config) -> JsonObject:
    """The tree of the file in force. Raises ClientError (409) if the file has been changed since it was read."""
    if config.path is None:
        return {}
    try:
        source = read_source(config.path)
    except ConfigError as error:
        raise ClientError("the config file cannot be read any more; POST /api/restart tells why", status=409) from error
    if source.digest != config.digest:
        raise ClientError("the config file was changed since it was read: POST /api/restart first", status=409)
    return source.tree


def _keys(tree: JsonObject) -> list[Secret]:
    """The keys that stand in the tree: messages about it may quote what is written."""
    found = []
    for entries in (tree.get("Providers"), tree.get("providers")):
        records = entries.values() if isinstance(entries, dict) else entries if isinstance(entries, list) else ()
        found += [Secret(text) for record in records for text in in_body(record)]
    return found


def _with_kept_keys(present: JsonObject, changes: JsonObject, environ: Mapping[str, str]) -> JsonObject:
    """`changes`, in which each masked one of several keys is again the present one. Raises ClientError."""
    if not isinstance(changes.get("api_key"), list):
        return changes
    try:
        kept = keep_secrets(present, {"api_key": changes["api_key"]}, environ)
    except ConfigError as error:
        raise ClientError(str(error)) from error
    return {**changes, **kept}


def _find(tree: JsonObject, name: str) -> tuple[_Entries, int | str] | None:
    """Where the provider stands that counts: the list or map, and its place in it."""
    folded = name.strip().casefold()
    found: tuple[_Entries, int | str] | None = None
    for entries in (tree.get("Providers"), tree.get("providers")):
        if isinstance(entries, dict):
            places = [key for key in entries if key.strip().casefold() == folded]
        elif isinstance(entries, list):
            places = [at for at, one in enumerate(entries) if str(one.get("name", "")).strip().casefold() == folded]
        else:
            continue
        found = (entries, places[-1]) if places else found
    return found


def _found(tree: JsonObject, name: str) -> tuple[_Entries, int | str]:
    found = _find(tree, name)
    if found is None:
        raise _no_provider(name)
    return found


def _update(tree: JsonObject, name: str, changes: JsonObject) -> None:
    entries, key = _found(tree, name)
    record: JsonObject = entries[key]  # type: ignore[index] # an index of the list or a key of the map
    meant = {"".join(char for char in word.lower() if char not in "_-") for word in changes}
    aliases = {
        "apibaseurl": {"baseurl", "url", "endpoint", "host"},
        "apikey": {"key", "apikeys"},
        "protocol": {"type", "api"},
    }
    meant |= {alias for word in meant for alias in aliases.get(word, ())}
    for written in [word for word in record if "".join(c for c in word.lower() if c not in "_-") in meant]:
        del record[written]  # in whatever spelling: two of them would contradict each other
    record.update(changes)


def _listing(config: Config) -> list[JsonObject]:
    """Every provider; the built-in one only where it is the only one."""
    used = [one for one in config.providers if one.name != DRY_RUN]
    listed = [_told(one) for one in used or config.providers]
    return [*listed, *(_told_unavailable(name, why, config) for name, why in config.unavailable.items())]


def _entry(config: Config, name: str) -> JsonObject:
    folded = name.strip().casefold()
    for entry in _listing(config):
        if entry["name"].casefold() == folded:
            return entry
    raise _no_provider(name)


def _no_provider(name: str) -> NoTarget:
    return NoTarget(f"provider {name[:100]!r} is not configured; GET /providers lists those that are")


def _told(provider: Provider) -> JsonObject:
    endpoint = provider.endpoints[0]
    return {
        "id": provider.name,
        "name": provider.name,
        "type": _TYPES[endpoint.dialect],
        "baseUrl": endpoint.public_url,
        "api_base_url": endpoint.public_url,
        "apiKey": MASK if provider.key else None,
        "models": list(provider.models),
        "enabled": True,
    }


def _told_unavailable(name: str, why: str, config: Config) -> JsonObject:
    return {
        "id": name,
        "name": name,
        "type": None,
        "baseUrl": None,
        "api_base_url": None,
        "apiKey": None,
        "models": [],
        "enabled": False,
        "reason": redact(why, config.secrets),
    }

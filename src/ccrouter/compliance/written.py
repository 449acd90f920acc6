"""The file as it is written, judged: where it can be read in two ways, where keys come from, what it lets in.

Knows nothing of targets. Whether something is allowed is asked of the policy; that a file is to be read in one way only
is the rule `strictSyntax`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ccrouter.compliance.findings import (
    BANNED_PROVIDER,
    NO_MODELS,
    NO_PROVIDERS,
    NO_ROUTE,
    NO_ROUTER,
    OTHER_PROVIDER,
    SYNTAX,
    TRANSFORMER,
    WRONG_HOST,
    Findings,
)
from ccrouter.compliance.judge import Extension, KeySource, Listener, judge
from ccrouter.compliance.policy import KeyOrigin, fold_name
from ccrouter.config.credentials import in_url, is_secret_header
from ccrouter.config.fields import TOP
from ccrouter.config.interpolate import Filled
from ccrouter.config.listen import Overrides, command_line
from ccrouter.config.load import Reading
from ccrouter.config.platforms import BEDROCK_KEY
from ccrouter.config.record import Record
from ccrouter.config.report import Place, Report, closest
from ccrouter.config.transformers import entries_of
from ccrouter.jsontypes import Json
from ccrouter.secret import redact

_STRICT = "strictSyntax"
_LOOPBACK = ("127.0.0.1", "::1")
_LOCAL_ONLY = "HOST must be 127.0.0.1 (localhost only)"
# A variable without a default: one that has a text as its default keeps that text in the file.
_PLACEHOLDER = re.compile(r"\$\{[^}:]+(?::-)?\}|\$[A-Z_][A-Z0-9_]*")
_OF_THE_SHAPE = frozenset({WRONG_HOST, BANNED_PROVIDER, OTHER_PROVIDER})
_SCHEME = re.compile(r"\s*(?:Bearer|Basic|Token|ApiKey)\s", re.IGNORECASE)


# -- one way to read it ------------------------------------------------------------------------------------------------


def judge_syntax(reading: Reading, found: Findings) -> None:
    """Refuses whatever two readers could read in two ways, and what is so incomplete that something is guessed."""
    top = reading.top
    report = top.place.report
    for place in reading.source.duplicates(Report(report.file)):
        found.refuse(place, f"{place.path} is written twice", _STRICT, SYNTAX, "keep one of them")
    _judge_top(top, found)
    for record in _records(top):
        for key in record.spares:
            place = record.place.key(key)
            found.refuse(place, f"{place.path} is another spelling of a key that is there", _STRICT, SYNTAX, "keep one")
    _judge_names(top, found)
    for draft in reading.draft.providers:
        if not draft.record.get("models"):
            place = draft.record.place.key("models")
            found.refuse(place, f'provider "{draft.name}" lists no models', _STRICT, NO_MODELS, "list those to be used")
    if not reading.draft.providers:
        found.refuse(top.at("Providers"), "Providers is missing or empty", _STRICT, NO_PROVIDERS)
    if not reading.draft.routers:
        found.refuse(top.at("Router"), "Router is missing or empty", _STRICT, NO_ROUTER)
    for router in reading.draft.routers.values():
        if "default" not in router.routes and "default" not in router.blanks:
            place = router.place.key("default")
            found.refuse(place, f"{place.path} is missing", _STRICT, NO_ROUTE, 'write "provider,model"')


def _judge_top(top: Record, found: Findings) -> None:
    names = [field.name for field in TOP.fields]
    for key in top.others:
        near = closest(key, names)
        hint = f'did you mean "{near}"?' if near else "leave it out"
        found.refuse(top.place.key(key), f"{key} is not a setting of this router", _STRICT, SYNTAX, hint)
    spellings = {field.name: (field.name, *field.aliases) for field in TOP.fields}
    for name, key in top.keys.items():
        if key not in spellings[name]:
            found.refuse(top.place.key(key), f"{key} is another spelling of {name}", _STRICT, SYNTAX, f"write {name}")
    if not top.is_written("providers"):
        return
    if top.is_written("Providers"):
        message = "providers stands beside Providers, and both are read"
        found.refuse(top.at("providers"), message, _STRICT, SYNTAX, "keep one of them")
    elif isinstance(top.get("providers"), list):
        found.refuse(top.at("providers"), "a list of providers must be called Providers", _STRICT, NO_PROVIDERS)


def judge_shape(reading: Reading, found: Findings) -> None:
    """Refuses providers in a map, where the address or a provider is refused already: such a file was not made for this
    policy, and its shape is what the classic verification sees first. To be asked last.
    """
    top = reading.top
    is_refused = any(finding.rule and finding.code in _OF_THE_SHAPE for finding in found.errors)
    if is_refused and isinstance(top.get("providers"), dict):
        hint = 'write "Providers": [{ "name": ... }], or mend the rest: a map that breaks no rule is accepted'
        found.refuse(top.at("providers"), "Providers must be an array", _STRICT, NO_PROVIDERS, hint)


def _judge_names(top: Record, found: Findings) -> None:
    seen: dict[str, Place] = {}
    for name, record in _providers(top):
        folded = fold_name(name)
        if folded in seen:
            message = f'two providers are called "{folded}": {seen[folded].path} and {record.place.path}'
            found.refuse(record.place, message, _STRICT, SYNTAX, "keep one of them")
        seen.setdefault(folded, record.place)


def _providers(top: Record) -> Iterator[tuple[str, Record]]:
    """Every provider that is written, those included that a later one of the same name replaces."""
    for key in ("Providers", "providers"):
        held = top.get(key, ())
        if isinstance(held, dict):
            yield from held.items()
        else:
            yield from ((record.get("name", ""), record) for record in held)


def _records(top: Record) -> Iterator[Record]:
    yield top
    yield from (record for _, record in _providers(top))
    yield from (record for record in (top.get("Router"),) if record is not None)
    for key in ("routers", "servers"):
        yield from top.get(key, {}).values()


# -- where it listens, and to whom -------------------------------------------------------------------------------------


def judge_listener(reading: Reading, overrides: Overrides, found: Findings) -> None:
    """Judges the address to listen on, as written and as it comes out, and the key of clients."""
    top, config = reading.top, reading.config
    is_told = False
    for place, host in _hosts(top, overrides) if found.policy.loopback_only else ():
        if host not in _LOOPBACK:
            is_flag = overrides.host is not None and host is overrides.host
            hint = "leave it out: the file says where" if is_flag else f'write "HOST": "{_LOOPBACK[0]}"'
            found.refuse(place, _LOCAL_ONLY, "loopbackOnly", WRONG_HOST, hint)
            is_told = True
    claim = Listener(config.host, config.api_key)
    violation = judge(found.policy, claim)
    if violation is not None and violation.rule == "loopbackOnly":
        if not is_told:
            found.ask(claim, top.at("HOST"))
        claim = Listener(_LOOPBACK[0], config.api_key)
    # Where a variable has no value, the loader has said which: that there is no key is then nothing new.
    if all(problem.path != top.at("APIKEY").path for problem in reading.problems):
        found.ask(claim, top.at("APIKEY"))


def _hosts(top: Record, overrides: Overrides) -> Iterator[tuple[Place, Json]]:
    """Every address that is written to listen on, to the letter; if none is, that the file has none."""
    servers = [record for record in top.get("servers", {}).values() if record.is_written("HOST")]
    if overrides.host:
        yield command_line(top.place.report, "--host"), overrides.host
    if top.is_written("HOST") or not servers:
        yield top.at("HOST"), _literal(top.as_written("HOST"))
    for record in servers:
        yield record.at("HOST"), _literal(record.as_written("HOST"))


def _literal(value: Json) -> Json:
    return value.written if isinstance(value, Filled) else value


# -- where secrets come from -------------------------------------------------------------------------------------------


def judge_keys(reading: Reading, overrides: Overrides, found: Findings) -> None:
    """Judges where each secret comes from: the key of clients, those of providers, secret headers, passwords in URLs,
    and whatever else has the shape of a key.
    """
    top = reading.top
    if overrides.api_key:
        found.ask(KeySource("--apikey", "commandLine"), command_line(top.place.report, "--apikey"))
    for record, name, what in (
        (top, "APIKEY", "APIKEY"),
        (top, BEDROCK_KEY, BEDROCK_KEY),
    ):
        _ask_origin(record.as_written(name), what, record.at(name), found)
    for owner, record in _providers(top):
        for entry in record.get("api_key", ()):
            _ask_origin(entry.written, f'the key of provider "{owner}"', entry.text_place, found)
        place = record.at("headers")
        headers = record.as_written("headers")
        for header, value in headers.items() if isinstance(headers, dict) else ():
            if is_secret_header(header):
                _ask_origin(value, f'header "{header}" of provider "{owner}"', place.key(header), found)
        for name in ("api_base_url", "proxy"):
            _ask_url(record.as_written(name), f'the {name} of provider "{owner}"', record.at(name), found)
    _judge_telemetry_keys(top, found)
    _ask_url(top.as_written("PROXY_URL"), "the password of PROXY_URL", top.at("PROXY_URL"), found)
    told = {finding.path for finding in found.errors}
    for place, text in _texts(reading.source.tree, top.place):
        if place.path not in told and redact(text) != text:
            found.ask(KeySource(f"what looks like a key at {place.path}", "file"), place)


def _judge_telemetry_keys(top: Record, found: Findings) -> None:
    telemetry: Record | None = top.get("telemetry")
    if telemetry is None:
        return
    headers, place = telemetry.as_written("headers"), telemetry.at("headers")
    for header, value in headers.items() if isinstance(headers, dict) else ():
        if is_secret_header(header):
            _ask_origin(value, f'header "{header}" of telemetry', place.key(header), found)
    _ask_url(telemetry.as_written("endpoint"), "the endpoint of telemetry", telemetry.at("endpoint"), found)


def _ask_origin(value: Json, what: str, place: Place, found: Findings) -> None:
    if isinstance(value, str) and value:
        found.ask(KeySource(what, _origin(value)), place)
    elif isinstance(value, (int, float)):  # without quotation marks it is a key all the same
        found.ask(KeySource(what, "file"), place)


def _origin(value: str) -> KeyOrigin:
    """The file, as soon as a part of the secret stands there: also as the default of a variable."""
    written = value.written if isinstance(value, Filled) else value
    rest, replaced = _PLACEHOLDER.subn("", _SCHEME.sub("", written, count=1))
    return "environment" if replaced and not rest.strip() else "file"


def _ask_url(value: Json, what: str, place: Place, found: Findings) -> None:
    if not isinstance(value, str):
        return
    written = value.written if isinstance(value, Filled) else value
    try:
        secrets = list(in_url(written))
    except ValueError:  # no URL, which the loader has told
        return
    for secret in secrets:
        _ask_origin(secret, what, place, found)


def _texts(node: Json, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(node, str):
        yield place, node
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, place.item(index))
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, place.key(key))


# -- what it lets in ---------------------------------------------------------------------------------------------------


def judge_extensions(reading: Reading, found: Findings) -> None:
    """Judges whatever brings foreign opinions into the router."""
    top = reading.top
    for key, point in (("CUSTOM_ROUTER_PATH", "customRouter"), ("REWRITE_SYSTEM_PROMPT", "promptRewrite")):
        if top.is_written(key):
            found.ask(Extension(point, f"{key} ({_literal(top.as_written(key))})"), top.at(key))  # type: ignore[arg-type] # of the two
    for record in top.get("transformers", ()):
        what = f"custom transformer {_literal(record.as_written('path'))}"
        found.ask(Extension("transforms", what), record.place)
    for record in top.get("plugins", ()):
        if record.get("enabled"):
            found.ask(Extension("plugins", f"plugin {_literal(record.as_written('name'))}"), record.place)
    for owner, record in _providers(top):
        for entry in entries_of(record.as_written("transformer"), record.at("transformer")):
            if not entry.is_wire_format:
                scope = f'model "{entry.model}" of provider "{owner}"' if entry.model else f'provider "{owner}"'
                found.ask(
                    Extension("transforms", f'transformer "{entry.name}" of {scope}'), entry.place, "", TRANSFORMER
                )
        if record.as_written("extra_body"):  # it can say anything: another prompt, servers of strangers
            what = f'extra_body of provider "{owner}"'
            found.ask(Extension("transforms", what), record.at("extra_body"), "", TRANSFORMER)

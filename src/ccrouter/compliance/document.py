"""The policy document → `Policy`, and which policy is in force. Reads files, writes none; judges no configuration.

Everything fails closed: a policy that cannot be read, or that others could have changed, is an error and never no
policy.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ccrouter.compliance.files import foreign_writers, is_out_of_reach
from ccrouter.compliance.judge import Passage, judge
from ccrouter.compliance.members import ADDRESS_WORDS, ANY, read_members
from ccrouter.compliance.policy import NO_POLICY, Policy, fold_name
from ccrouter.config.load import home_folder, router_folder
from ccrouter.config.report import Place, Report, suggestion
from ccrouter.config.syntax import EMPTY, NO_OBJECT, Source, decode, parse, read_bounded
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json

#: The policies that come with the router.
PRESETS: tuple[str, ...] = ("anthropic-only", "open")

#: The variable that names a policy and pins it.
VARIABLE = "CCR_POLICY"

#: The machine's own policy, where there are no drive letters.
MACHINE_FILE = Path("/etc/ccr/policy.json")

FILE_NAME = "policy.json"

_FOLDER = Path(__file__).parent / "presets"
_DEEPEST = 8
_LEAST_KEY = 16

Leaves = dict[str, Json]


def preset_text(name: str) -> bytes:
    """The document of the preset `name` (one of PRESETS), as it is shipped."""
    return (_FOLDER / f"{name}.json").read_bytes()


def machine_file(environ: Mapping[str, str]) -> Path:
    """Where the machine's administrator puts the policy of everyone; there may be none."""
    if os.name == "nt":
        return Path(environ.get("ProgramData") or r"C:\ProgramData") / "ccr" / FILE_NAME
    return MACHINE_FILE


def load_policy(named: str | None, environ: Mapping[str, str]) -> Policy:
    """The policy in force: the machine's, else CCR_POLICY's, else the one `named`, else that of the router's folder,
    else NO_POLICY.

    The first two pin it: naming another one than theirs raises ConfigError. So does any that cannot be read, and a
    CCR_POLICY that decides and is empty.
    """
    machine = machine_file(environ)
    variable = environ.get(VARIABLE)
    if _is_there(machine):
        pinned, pin = read_policy(str(machine), environ), str(machine)
        others = [(VARIABLE, variable), ("--policy", named)]
    elif variable is not None:
        if not variable.strip():  # whoever set it meant some policy
            hint = f"name a policy, as in {VARIABLE}={PRESETS[0]}, or unset it"
            raise ConfigError([Problem("environment", VARIABLE, "is set, and empty: it names no policy", hint)])
        pinned, pin = read_policy(variable, environ), VARIABLE
        others = [("--policy", named)]
    else:
        if named is not None:
            return read_policy(named, environ)
        own = router_folder(environ) / FILE_NAME
        return read_policy(str(own), environ) if _is_there(own) else NO_POLICY
    for flag, other in others:
        if other and read_policy(other, environ).digest != pinned.digest:
            message = f"names another policy than {pin} does, which pins {pinned.name} ({pinned.digest[:12]})"
            raise ConfigError(
                [Problem("environment" if flag == VARIABLE else "command line", flag, message, "leave it out")]
            )
    return pinned


def read_policy(named: str, environ: Mapping[str, str]) -> Policy:
    """The policy called `named`: a preset, or the file at that path (a leading `~` is the home folder).

    Raises ConfigError with everything that is wrong with it.
    """
    return _settled(_read(_find(named, environ, Path()), environ, ()))


def parse_policy(text: str, source: str, environ: Mapping[str, str]) -> Policy:
    """The policy that `text` is the document of; `source` is what it is called. It can extend presets, and files named
    by their full path. Raises ConfigError as `read_policy`.
    """
    found = _compose(text, source, environ, (source,), None, _FOLDER)
    return _settled(found)


def _settled(found: _Document) -> Policy:
    policy = _build(found.leaves, found.own, Place(Report(found.source)))
    is_pinned = all(path is not None and is_out_of_reach(path) for path in found.files)
    return replace(policy, source=found.source, digest=_digest(policy), is_pinned=is_pinned)


@dataclass(frozen=True, slots=True)
class _Document:
    """What a document says with all that it extends; `own` are the members that it writes itself. `files` holds every
    file that had a part in it, None for a preset.
    """

    source: str
    leaves: Leaves
    own: frozenset[str]
    files: tuple[Path | None, ...]


def _find(named: str, environ: Mapping[str, str], folder: Path) -> str | Path:
    if named in PRESETS:
        return named
    if named == "~" or named.startswith(("~/", "~\\")):
        return home_folder(environ) / named[2:]
    path = folder / named
    if not _is_there(path):
        hint = suggestion(named, PRESETS) if "/" not in named and "." not in named else ""
        raise ConfigError([Problem(str(path), "", "there is no such policy", hint or f"presets: {', '.join(PRESETS)}")])
    return path


def _read(found: str | Path, environ: Mapping[str, str], above: tuple[str | Path, ...]) -> _Document:
    if isinstance(found, Path):
        return _compose(_read_text(found), str(found), environ, (*above, found), found, found.parent)
    return _compose(preset_text(found).decode(), f"preset {found}", environ, (*above, found), None, _FOLDER)


def _compose(  # noqa: PLR0913, PLR0917 - a document is its text, its name, its place and what extends it
    text: str,
    source: str,
    environ: Mapping[str, str],
    chain: tuple[str | Path, ...],
    path: Path | None,
    folder: Path,
) -> _Document:
    """What `text` says with all that it extends; the last of `chain` is this document itself."""
    report = Report(source)
    place = Place(report)
    written = _parse(text, source)
    for spot in written.duplicates(report):
        spot.refuse("is written twice", "keep one of them")
    own = read_members(written.tree, place)
    if "name" not in own and "name" not in written.tree:
        place.key("name").refuse("is missing: a policy needs a name", 'write "name": "my-policy"')
    leaves: Leaves = own
    files: tuple[Path | None, ...] = (path,)
    base = own.get("extends")
    if isinstance(base, str) and not report.problems:
        if len(chain) > _DEEPEST or chain[-1] in chain[:-1]:
            place.key("extends").refuse("leads in a circle, or too far", f"extend a preset: {', '.join(PRESETS)}")
        else:
            under = _read(_find(base, environ, folder), environ, chain)
            leaves, files = {**under.leaves, **own}, (*files, *under.files)
    report.raise_if_any(written.tree)
    return _Document(source, leaves, frozenset(own), files)


def _parse(text: str, source: str) -> Source:
    """As the reader of configurations, with hints for a policy."""
    try:
        return parse(text, source)
    except ConfigError as error:
        hint = f'write {{ "name": "my-policy", "extends": "{PRESETS[0]}" }}, or copy a preset'
        raise ConfigError(
            [replace(one, hint=hint) if one.message in {EMPTY, NO_OBJECT} else one for one in error.problems]
        ) from None


def _read_text(path: Path) -> str:
    try:
        faults = list(foreign_writers(path))
        data = read_bounded(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"this policy cannot be read: {error.strerror or error}")]) from error
    if faults:
        unsafe = "this policy is not safe:"
        raise ConfigError(
            [Problem(str(path), "", f"{unsafe} {fault.path} {fault.message}", fault.hint) for fault in faults]
        )
    return decode(data, str(path))


def _is_there(path: Path) -> bool:
    """Whether something stands at `path`. A place that may not be looked at is not an empty one: ConfigError."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        message = f"whether there is a policy cannot be seen: {error.strerror or error}"
        raise ConfigError([Problem(str(path), "", message)]) from error
    return True


def _build(leaves: Leaves, own: frozenset[str], place: Place) -> Policy:
    """The policy of these leaves. Raises ConfigError where they contradict each other."""
    models = _allowed(leaves.get("models.allowed"))
    policy = Policy(
        name=_as(leaves, "name", ""),
        source="being read",  # rules without a source are not in force, and could not be asked about themselves
        allowed_providers=_folded(_allowed(leaves.get("providers.allowed"))),
        banned_providers=_folded(_texts(leaves, "providers.banned")) or (),
        allowed_hosts=_lowered(_allowed(leaves.get("hosts.allowed"))),
        banned_hosts=_lowered(_texts(leaves, "hosts.banned")) or (),
        banned_addresses=tuple(
            ip_network(text) for word in _texts(leaves, "addresses.banned") for text in ADDRESS_WORDS.get(word, (word,))
        ),
        allowed_models=models,
        banned_models=_texts(leaves, "models.banned"),
        https_only=bool(leaves.get("httpsOnly")),
        loopback_only=bool(leaves.get("loopbackOnly")),
        client_key_length=_key_length(leaves),
        allowed_proxies=_lowered(_allowed(leaves.get("proxies.allowed", []))),
        allowed_extensions=_set(_allowed(leaves.get("extensions.allowed", []))),
        allowed_key_origins=_set(_allowed(leaves.get("keySources"))),
        private_files=bool(leaves.get("privateFiles")),
        strict_syntax=bool(leaves.get("strictSyntax")),
        audit_required=bool(leaves.get("auditRequired")),
    )
    _refuse_contradictions(policy, place)
    sent_as: dict[str, str] = {}
    for model, sent in _as(leaves, "models.sentAs", {}).items():
        violation = judge(policy, Passage(model=model))
        if violation is None:
            sent_as[model] = sent
        elif "models.sentAs" in own:  # an inherited one has merely lost its model
            place.key("models").key("sentAs").refuse(f"{model} is not an allowed model", "add it to models.allowed")
    policy = replace(policy, sent_as=MappingProxyType(sent_as))
    for sent in dict.fromkeys(sent_as.values()):
        violation = judge(policy, Passage(sent=sent))
        if violation is not None:
            place.key("models").key("sentAs").refuse(violation.message, "send another, or do not ban it")
    place.report.raise_if_any({})
    return policy


def _refuse_contradictions(policy: Policy, place: Place) -> None:
    """What is allowed and banned at once. A ban that covers a part of what a pattern allows is none."""
    claims: list[tuple[str, Passage]] = [
        *(("providers", Passage(provider=name)) for name in policy.allowed_providers or ()),
        *(("models", Passage(model=model)) for model in policy.allowed_models or ()),
        *(("hosts", _host_claim(host)) for host in policy.allowed_hosts or ()),
    ]
    for group, claim in claims:
        violation = judge(policy, claim)
        if violation is not None and violation.rule != f"{group}.allowed":
            what = claim.provider or claim.model or claim.host
            place.key(group).key("allowed").refuse(
                f"{what} is allowed and banned at once: {violation.message}", "decide"
            )


def _host_claim(pattern: str) -> Passage:
    host, _, port = pattern.rpartition(":") if not pattern.endswith("]") and ":" in pattern else (pattern, "", "")
    return Passage(host=host, port=int(port) if port.isdecimal() else None)


def _key_length(leaves: Leaves) -> int:
    least = leaves.get("clientKey.minLength")
    is_required = leaves.get("clientKey.required", least is not None)
    return _as(leaves, "clientKey.minLength", _LEAST_KEY) if is_required else 0


def _as(leaves: Leaves, path: str, default: Any) -> Any:
    """A leaf whose type `read_members` has checked."""
    return leaves.get(path, default)


def _texts(leaves: Leaves, path: str) -> tuple[str, ...]:
    return tuple(_as(leaves, path, ()))


def _allowed(value: Any) -> tuple[str, ...] | None:
    return None if value is None or ANY in value else tuple(value)


def _folded(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys(map(fold_name, names)))


def _lowered(hosts: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if hosts is None else tuple(dict.fromkeys(host.lower() for host in hosts))


def _set(words: tuple[str, ...] | None) -> frozenset[Any] | None:
    return None if words is None else frozenset(words)


def _digest(policy: Policy) -> str:
    """The SHA-256 of what `policy` says, in hex: the same for documents that say the same in another order."""

    def plain(value: Any) -> Json:
        if isinstance(value, (tuple, frozenset)):
            return sorted({str(item) for item in value})
        return dict(value) if isinstance(value, Mapping) else value

    left_out = {"source", "digest", "is_pinned"}
    said = {name: plain(getattr(policy, name)) for name in Policy.__dataclass_fields__ if name not in left_out}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

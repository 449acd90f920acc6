"""Every member of a policy document, in one table: reading, the JSON Schema and the reference page are made from it.

Unlike a configuration, a policy is read to the letter: a member that is misspelled or of the wrong type is refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ccrouter.compliance.policy import EXTENSION_POINTS, KeyOrigin
from ccrouter.config.report import Place, closest, kind_of, quoted
from ccrouter.jsontypes import Json, JsonObject

#: Words for ranges of addresses (RFC 6890 and its registries at IANA).
ADDRESS_WORDS: Mapping[str, tuple[str, ...]] = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "linkLocal": ("169.254.0.0/16", "fe80::/10"),
    "uniqueLocal": ("fc00::/7", "fec0::/10"),
    "carrierGrade": ("100.64.0.0/10",),
    "reserved": (
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "unspecified": ("0.0.0.0/8", "::/128"),
}  # fmt: skip

#: In a list of what is allowed: anything.
ANY = "*"

_HOST = re.compile(r"(?:\[[0-9a-f:.*?]+\]|[a-z0-9._*?-]+)(?::(?:\d{1,5}|\*))?", re.IGNORECASE)
_PROXY = re.compile(r"\[[0-9a-f:.*?]+\]|[a-z0-9._*?-]+", re.IGNORECASE)
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: `wanted` says it in words, `form` in JSON Schema, `complaint` what is wrong with a value
    ("" if nothing is).
    """

    wanted: str
    form: JsonObject
    complaint: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Member:
    """One member by its path ("providers.allowed"). `example` is what to write, `absent` what its absence means."""

    path: str
    kind: Kind
    doc: str
    example: str
    absent: str = "no rule"


def read_members(tree: JsonObject, place: Place) -> dict[str, Json]:
    """The members of a document by path, as they are written. What is wrong goes to the report of `place`."""
    found: dict[str, Json] = {}
    for key, value in tree.items():
        if key in _GROUPS:
            if not isinstance(value, dict):
                names = ", ".join(f'"{path.partition(".")[2]}"' for path in MEMBERS if path.startswith(f"{key}."))
                place.key(key).refuse(f"must be an object, not {kind_of(value)}", f"with the members {names}")
                continue
            for inner, one in value.items():
                _read_member(f"{key}.{inner}", one, place.key(key).key(inner), found)
        else:
            _read_member(key, value, place.key(key), found)
    return found


def _read_member(path: str, value: Json, place: Place, found: dict[str, Json]) -> None:
    member = MEMBERS.get(path)
    if member is None:
        group = path.rpartition(".")[0]
        known = [name for name in (*MEMBERS, *_GROUPS) if name.rpartition(".")[0] == group]
        near = closest(path, known)
        hint = f'did you mean "{near.rpartition(".")[2]}"?' if near else f"known: {', '.join(known)}"
        place.refuse("is no member of a policy", hint)
        return
    wrong = member.kind.complaint(value)
    if wrong:
        place.refuse(wrong, f"write {member.example}")
    else:
        found[path] = value


# -- kinds -------------------------------------------------------------------------------------------------------------


def _text(value: Json) -> str:
    if not isinstance(value, str):
        return f"must be a text, not {kind_of(value)}"
    return "" if value.strip() else "is empty"


def _name(value: Json) -> str:
    wrong = _text(value)
    if wrong or not isinstance(value, str):
        return wrong
    is_fit = value.isprintable() and value == value.strip() and len(value) <= _LONGEST_NAME
    return "" if is_fit else f"must be one line of at most {_LONGEST_NAME} characters, without blanks around it"


def _flag(value: Json) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {kind_of(value)}"


def _count(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1024:
        return ""
    return f"must be a whole number from 1 to 1024, not {quoted(value)}"


def _reject(value: Json) -> str:
    if value == "reject":
        return ""
    return f'must be "reject", not {quoted(value)}: a request that breaks a policy is never sent elsewhere in silence'


def _list_of(check: Callable[[str], str], *, may_be_any: bool = False) -> Callable[[Json], str]:
    def complaint(value: Json) -> str:
        if not isinstance(value, list):
            return f"must be a list, not {kind_of(value)}"
        if may_be_any and ANY in value:
            return "" if value == [ANY] else '"*" allows everything: write it alone'
        for item in value:
            wrong = _text(item) or check(str(item))
            if wrong:
                return f"{quoted(item)} {wrong}"
        return ""

    return complaint


def _anything(_text: str) -> str:
    return ""


def _provider(text: str) -> str:
    return "is no name of a provider: names have no comma and no `*`" if set(text) & set(",*") else ""


def _host(text: str) -> str:
    port = text.rpartition(":")[2]
    if _HOST.fullmatch(text) and not (port.isdecimal() and int(port) > 65535 and "]" not in port):
        return ""
    return "is no host: write its name alone, with a port where it is not the scheme's own"


def _proxy(text: str) -> str:
    return "" if _PROXY.fullmatch(text) else "is no host: write the name of the proxy's host alone"


def _address(text: str) -> str:
    if text in ADDRESS_WORDS:
        return ""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        near = closest(text, ADDRESS_WORDS)
        return f'is no range; did you mean "{near}"?' if near else f"is no range of addresses: {error}"
    return ""


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def complaint(text: str) -> str:
        near = closest(text, words)
        known = f'did you mean "{near}"?' if near else f"known: {', '.join(words)}"
        return "" if text in words else f"is not known; {known}"

    return complaint


def _sent_as(value: Json) -> str:
    if not isinstance(value, dict):
        return f"must be an object, not {kind_of(value)}"
    for model, sent in value.items():
        if not isinstance(sent, str) or not model.strip() or not sent.strip() or set(model + sent) & set("*?"):
            return f"{quoted(model)}: {quoted(sent)} must be two names of models, without `*` and `?`"
    return ""


_TEXTS: JsonObject = {"type": "array", "items": {"type": "string", "minLength": 1}}
_ORIGINS = get_args(KeyOrigin)

_Text = Kind("text", {"type": "string", "minLength": 1}, _text)
_Name = Kind("text", {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME}, _name)
_Flag = Kind("true or false", {"type": "boolean"}, _flag)
_Providers = Kind("list of names", _TEXTS, _list_of(_provider))
_AnyProviders = Kind('list of names, or ["*"]', _TEXTS, _list_of(_provider, may_be_any=True))
_Hosts = Kind("list of hosts", _TEXTS, _list_of(_host))
_AnyHosts = Kind('list of hosts, or ["*"]', _TEXTS, _list_of(_host, may_be_any=True))
_Models = Kind("list of models", _TEXTS, _list_of(_anything))
_AnyModels = Kind('list of models, or ["*"]', _TEXTS, _list_of(_anything, may_be_any=True))
_Proxies = Kind('list of hosts, or ["*"]', _TEXTS, _list_of(_proxy, may_be_any=True))
_Addresses = Kind("list of words and CIDRs", _TEXTS, _list_of(_address))


def _words(known: tuple[str, ...]) -> JsonObject:
    return {"type": "array", "items": {"enum": list(known)}}


#: Every member, by path, in the order of the reference.
MEMBERS: Mapping[str, Member] = {
    member.path: member
    for member in (
        Member("$schema", _Text, "The JSON Schema of this file, for editors.", '"policy.schema.json"', ""),
        Member(
            "name", _Name, "What messages, `ccr status` and the audit log call this policy.", '"my-policy"', "refused"
        ),
        Member("description", _Text, "For people.", '"what it is for"', ""),
        Member(
            "extends",
            _Text,
            "A preset's name, or the path of another policy (from this file's folder): what is not written here is"
            " taken from there, member by member.",
            '"anthropic-only"',
            "stands alone",
        ),
        Member(
            "providers.allowed",
            _AnyProviders,
            "Names of providers. Compared without case, blanks around them, invisible characters and compatibility"
            " forms.",
            '["anthropic"]',
            "any",
        ),
        Member(
            "providers.banned", _Providers, "Names of providers that are refused by name.", '["openrouter"]', "none"
        ),
        Member(
            "hosts.allowed",
            _AnyHosts,
            "Hosts of upstream URLs; `*` and `?` stand for any characters and any one. Without a port the scheme's own"
            " is meant; `:*` means any.",
            '["api.anthropic.com"]',
            "any",
        ),
        Member("hosts.banned", _Hosts, "Hosts, as above; without a port, at any port.", '["*.openrouter.ai"]', "none"),
        Member(
            "addresses.banned",
            _Addresses,
            "Addresses that no host may have or resolve to: CIDRs, or "
            f"{', '.join(f'`{word}`' for word in ADDRESS_WORDS)}.",
            '["private", "loopback", "203.0.113.0/24"]',
            "none",
        ),
        Member(
            "models.allowed",
            _AnyModels,
            "Models by the names that configurations use, with `*` and `?`. Case counts, as it does upstream.",
            '["claude-sonnet-4-6", "claude-haiku-*"]',
            "any",
        ),
        Member("models.banned", _Models, "Models, with `*` and `?`, in any case and guise.", '["*-preview"]', "none"),
        Member(
            "models.sentAs",
            Kind(
                "object: allowed model → id sent",
                {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
                _sent_as,
            ),
            "Which id goes out for an allowed model that is none of the provider's ids.",
            '{ "claude-3.7-sonnet": "claude-sonnet-4-6" }',
            "each as it is",
        ),
        Member("httpsOnly", _Flag, "Whether upstream URLs must be https, certificates checked.", "true", "false"),
        Member("loopbackOnly", _Flag, "Whether `HOST` must say 127.0.0.1 (or ::1).", "true", "false"),
        Member("clientKey.required", _Flag, "Whether `APIKEY` must be set.", "true", "true with a `minLength`"),
        Member(
            "clientKey.minLength",
            Kind("number", {"type": "integer", "minimum": 1, "maximum": 1024}, _count),
            "The least length of `APIKEY`, in characters.",
            "16",
            "16",
        ),
        Member("proxies.allowed", _Proxies, "Hosts of HTTP proxies, with `*` and `?`.", '["proxy.example"]', "none"),
        Member(
            "extensions.allowed",
            Kind(
                'list of words, or ["*"]',
                _words((ANY, *EXTENSION_POINTS)),
                _list_of(_one_of(EXTENSION_POINTS), may_be_any=True),
            ),
            f"Extension points that may be used: {', '.join(f'`{point}`' for point in EXTENSION_POINTS)}.",
            '["transforms"]',
            "none",
        ),
        Member(
            "keySources",
            Kind("list of words", _words(_ORIGINS), _list_of(_one_of(_ORIGINS))),
            f"Where keys may come from: {', '.join(f'`{origin}`' for origin in _ORIGINS)}.",
            '["environment"]',
            "any",
        ),
        Member("privateFiles", _Flag, "Whether the configuration must be its user's alone.", "true", "false"),
        Member("strictSyntax", _Flag, "Whether what can be read in two ways is refused.", "true", "false"),
        Member("auditRequired", _Flag, "Whether the router stops where it cannot keep its audit log.", "true", "false"),
        Member(
            "onViolation",
            Kind('`"reject"`', {"const": "reject"}, _reject),
            "What happens to a request that breaks the policy.",
            '"reject"',
            '`"reject"`',
        ),
    )
}

_GROUPS = tuple(dict.fromkeys(path.partition(".")[0] for path in MEMBERS if "." in path))

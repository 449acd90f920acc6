"""A provider as written → a `Provider`, or the reasons why it cannot be used. Which matter is not judged here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from ccrouter.config.customs import Customs
from ccrouter.config.draft import ProviderDraft
from ccrouter.config.endpoint import GEMINI_URL, PROTOCOLS, complaint, endpoints_of, key_of_gemini
from ccrouter.config.platforms import Placed, Surroundings, Written, place, platform_of
from ccrouter.config.pool import read_pool
from ccrouter.config.record import Record
from ccrouter.config.report import Place
from ccrouter.config.schema import DRY_RUN, DialectName, Endpoint, PoolKey, Provider, Timeouts
from ccrouter.config.transformers import WIRE_FORMATS, Specs, read_transformer
from ccrouter.errors import Problem
from ccrouter.loopback import is_loopback
from ccrouter.secret import Secret

#: The provider that is always there, answers by itself and costs nothing.
BUILT_IN = Provider(DRY_RUN, (Endpoint("anthropic", "dry-run:"),), models=(DRY_RUN,))

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Headers that say how a message is framed or where it goes: a wrong one breaks every request.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-encoding", "te", "upgrade"}
)

#: What the file calls the wire formats.
_WORDS: Mapping[DialectName, str] = {dialect: word for word, dialect in PROTOCOLS.items()}

_KNOWN_URLS = {
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "openai": "https://api.openai.com/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "gemini": GEMINI_URL,
    "ollama": "http://localhost:11434/v1/chat/completions",
}


@dataclass(frozen=True, slots=True)
class General:
    """What holds for every provider that does not say otherwise. `proxy` None: the environment's. `around` is what is
    said of cloud platforms outside providers.
    """

    timeouts: Timeouts
    proxy: str | None
    no_proxy: str
    customs: Customs
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Settled:
    """One provider. `obstacles` are reasons why it cannot be used; `provider` is None with any, and after an error."""

    name: str
    models: tuple[str, ...]
    provider: Provider | None
    obstacles: Sequence[Problem]

    @property
    def reason(self) -> str:
        """Why it is left out, in one line: for whoever asks for it by name."""
        return "; ".join(f"{obstacle.message} ({obstacle.path})" for obstacle in self.obstacles)


def settle_provider(draft: ProviderDraft, general: General) -> Settled:
    """The provider of `draft`. What is plainly wrong goes to the report, what matters only in use to `obstacles`."""
    record, place = draft.record, draft.record.place
    report = place.report
    errors_before = len(report.problems)
    if not draft.name or "," in draft.name:
        place.key("name").refuse("must be a name without a comma", "routes are split at the first comma")
    if draft.name.casefold() == DRY_RUN:
        place.refuse(f'"{DRY_RUN}" is the name of the built-in provider', "give yours another name")
    transformer = record.get("transformer")
    specs = read_transformer(transformer, record.at("transformer"), general.customs) if transformer else Specs()
    placed = _read_place(draft, specs, general)
    endpoints, keys = placed.endpoints, placed.keys
    headers = _read_headers(record)
    proxy = _read_proxy(record, general, endpoints)
    obstacles = [
        Problem(report.file, blank.path, blank.message, blank.hint) for blank in report.take_blanks(place.path)
    ]
    obstacles += [*placed.obstacles, *_foreign_models(record, endpoints, specs)]
    if record.get("enabled") is False:
        obstacles.append(Problem(report.file, record.at("enabled").path, "is switched off", "set it to true"))
    models = tuple(dict.fromkeys(record.get("models", ())))
    if obstacles or not endpoints or len(report.problems) > errors_before:
        return Settled(draft.name, models, None, obstacles)
    if not keys and not endpoints[0].platform:
        _warn_if_remote(record, endpoints)
    profile = record.get("profile")
    provider = Provider(
        name=draft.name,
        endpoints=endpoints,
        key=keys[0].secret if keys else None,
        key_source=keys[0].source if keys else "",
        keys=keys,
        models=models,
        headers=MappingProxyType(headers),
        extra_body=record.get("extra_body", {}),
        proxy=proxy,
        timeouts=_read_timeouts(record, general.timeouts),
        transforms=specs.transforms,
        model_transforms=MappingProxyType(dict(specs.by_model)),
        profile=profile.lower() if profile else None,
        tokenizer=record.get("tokenizer"),
        fidelity=record.get("fidelity", "any"),
        options=MappingProxyType({**specs.options, **placed.options}),
    )
    return Settled(draft.name, models, provider, ())


def _read_place(draft: ProviderDraft, specs: Specs, general: General) -> Placed:
    """Where the provider is, and the keys that count there."""
    record = draft.record
    keys = read_pool(record)
    url: str | None = record.get("api_base_url")
    wrong = complaint(url) if url is not None else ""
    if wrong:
        record.at("api_base_url").refuse(wrong, f'for example "{_KNOWN_URLS["openrouter"]}"')
        return Placed((), {}, keys)
    written = Written(record, url or "", specs, keys)
    platform = platform_of(written)
    if platform:
        return place(platform, written, general.around)
    if url is None:
        _refuse_without_url(draft)
        return Placed((), {}, keys)
    endpoints = endpoints_of(
        url, name=draft.name, protocol=record.get("protocol"), wire=specs.wire, is_full=draft.shape == "classic"
    )
    if not keys and endpoints[0].dialect == "gemini" and (found := key_of_gemini(url)):
        secret = Secret(found)
        keys = (PoolKey(secret, "the URL", "the URL"),)
        record.place.report.secrets.append(secret)
    return Placed(endpoints, {}, keys)


def _refuse_without_url(draft: ProviderDraft) -> None:
    record = draft.record
    if not record.is_written("api_base_url") and not record.is_written("platform"):
        known = _KNOWN_URLS.get(draft.name.casefold(), "https://...")
        name = "api_base_url" if draft.shape == "classic" else "baseURL"
        record.place.key(name).refuse(f'is missing: provider "{draft.name}" needs a URL', f'"{name}": "{known}"')


def _foreign_models(record: Record, endpoints: Sequence[Endpoint], specs: Specs) -> list[Problem]:
    """An obstacle for each model that asks for another wire format than its provider's."""
    file = record.place.report.file
    found = []
    for model, name in specs.model_wire.items():
        spot = record.at("transformer").key(model)
        is_vertex = name.startswith("vertex")
        for endpoint in endpoints[:1]:
            if endpoint.dialect != WIRE_FORMATS[name] or (is_vertex and endpoint.platform != "vertex"):
                message = f"asks for {name}, and the provider speaks {_WORDS[endpoint.dialect]}: it can speak only one"
                found.append(Problem(file, spot.path, message, "make the model a provider of its own"))
    return found


def _read_headers(record: Record) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in record.get("headers", {}).items():
        place = record.at("headers").key(name)
        if not _HEADER_NAME.fullmatch(name):
            place.refuse("is not the name of a header")
        elif name.lower() in _OWN_HEADERS:
            place.refuse("is set by the router itself", "leave it out")
        elif re.search(r"[^\t\x20-\x7e\x80-\xff]", value):
            place.refuse("holds characters that a header cannot carry")
        else:
            headers[name] = value
    return headers


def _read_timeouts(record: Record, default: Timeouts) -> Timeouts:
    own: Record | None = record.get("timeouts")
    if own is None:
        return default
    return Timeouts(
        connect=float(own.get("connect", default.connect)),
        first_byte=float(own.get("firstByte", default.first_byte)),
        idle=float(own.get("idle", default.idle)),
        total=float(total) if (total := own.get("total", default.total)) is not None else None,
    )


def _read_proxy(record: Record, general: General, endpoints: Sequence[Endpoint]) -> str | None:
    own: str | None = record.get("proxy")
    if own is not None:
        return read_proxy(own, record.at("proxy"))
    if record.is_written("proxy"):
        return None
    host = (urlsplit(endpoints[0].url).hostname or "") if endpoints else ""
    if general.proxy and (is_loopback(host) or is_exempt(host, general.no_proxy)):
        return ""
    return general.proxy


def read_proxy(url: str, place: Place) -> str | None:
    """`url` if a request can go through it, "" for none; else None, and `place` knows why."""
    if not url:
        return ""
    if url.lower().startswith("socks"):
        place.refuse("SOCKS proxies are not supported", "name an HTTP proxy: http://host:port")
        return None
    if "://" not in url:
        place.refuse("needs its scheme", "write http://host:port")
        return None
    wrong = complaint(url)
    if wrong:
        place.refuse(wrong, "write http://host:port")
        return None
    return url


def is_exempt(host: str, no_proxy: str) -> bool:
    """True if the list `no_proxy` (as in the environment variable) names `host` or a domain that it is in."""
    for entry in (word.strip().lower().lstrip("*").lstrip(".") for word in no_proxy.split(",")):
        if entry and (host == entry or host.endswith(f".{entry}")):
            return True
    return "*" in [word.strip() for word in no_proxy.split(",")]


def _warn_if_remote(record: Record, endpoints: Sequence[Endpoint]) -> None:
    """Servers on one's own machine or network ask for no key; a provider with a public name nearly always does."""
    host = (urlsplit(endpoints[0].url).hostname or "") if endpoints else ""
    try:
        is_near = not ipaddress.ip_address(host).is_global
    except ValueError:
        is_near = "." not in host or host.endswith((".local", ".lan", ".internal", ".localhost", ".test"))
    headers: Mapping[str, str] = record.get("headers", {})
    if not is_near and not {name.lower() for name in headers} & {"authorization", "x-api-key", "api-key"}:
        record.place.key("api_key").warn("is missing: requests go out without a key", 'write "api_key": "${NAME}"')

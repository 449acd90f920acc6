"""The canonical configuration: immutable, complete, interpolated. Both file shapes are lowered to this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from ccrouter.config.credentials import in_body, in_headers, in_url
from ccrouter.config.rates import Rates
from ccrouter.errors import Problem
from ccrouter.jsontypes import JsonObject
from ccrouter.secret import Secret

DialectName = Literal["anthropic", "openai_chat", "openai_responses", "gemini"]
#: Whose cloud serves a wire format under its own authentication and URLs; "" for nobody's.
Platform = Literal["", "vertex", "bedrock"]
Fidelity = Literal["any", "strict"]
LogLevel = Literal["trace", "debug", "info", "warn", "error", "fatal"]
#: How much of what was said is kept: nothing, all but what looks personal, or all; secrets never.
KeptContent = Literal["none", "redacted", "full"]

#: The names of routes, in the order in which `ccr status` and the start banner list them.
ROUTE_NAMES = ("default", "background", "think", "longContext", "webSearch", "image", "subagent", "compaction")

#: Those that no router writes: what serves a model that is asked for by name, by an alias, or by the user's own code.
UNWRITTEN_ROUTES = ("explicit", "alias", "custom")
#: Stands for every route that is not named, where routes are named one by one.
EVERY_ROUTE = "*"

DEFAULT_PORT = 3456
DEFAULT_LONG_CONTEXT_THRESHOLD = 60_000
DEFAULT_MAX_BODY = 64 * 1024 * 1024
#: How long streams under way may go on after the router was told to stop, in seconds.
DEFAULT_DRAIN = 10.0
DRY_RUN = "dry-run"


def _nothing() -> Mapping[str, Any]:
    """An empty mapping that stays so; a factory, as Python 3.11 takes no mapping as the default of a field."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model at a provider, as routes name it: "provider,model", split at the first comma only."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider},{self.model}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL to POST to, in full, and the wire format spoken there. `url` is "dry-run:" for the built-in provider.

    For `gemini` and on a `platform` it is the base that the model's own URL is made from, see the dialects.
    The repr leaves out what may be secret: user and password, and the query.
    """

    dialect: DialectName
    url: str
    platform: Platform = ""

    def __repr__(self) -> str:
        return f"Endpoint({self.dialect} {self.public_url})"

    @property
    def public_url(self) -> str:
        """The URL without user, password and query: fit to be shown."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


#: In place of a path: one of the file's own modules, of those that say their names themselves.
SOME_FILE = "*"


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """A transform by name, with its options. `path` is the module of one that the user wrote, "" for the router's own
    and for those that installed packages offer, SOME_FILE where only the user's modules know which has that name.
    """

    name: str
    options: JsonObject = field(default_factory=dict, repr=False)
    path: str = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `first_byte` bounds the wait for an answer to begin, `idle` any later silence of an upstream, `total`
    an attempt from its beginning to its end (None: nothing does).
    """

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 600.0
    total: float | None = None


@dataclass(frozen=True, slots=True)
class PoolKey:
    """One key of a provider, and how much of the work is its.

    Of the keys that can serve, those of the least `priority` do, each as often as its `weight` says. `per_minute`,
    `tokens_per_minute` and `concurrent` bound what it is asked for; 0 is no bound. `label` names it where a person
    reads, and is no secret; `source` as `Provider.key_source`; `id` tells keys apart, in memory only, and is the same
    for the same key after a reload. Without a `secret` it stands for a provider that asks
    for none, or whose platform has credentials of its own.
    """

    secret: Secret | None = None
    source: str = ""
    label: str = "key"
    weight: float = 1.0
    priority: int = 0
    per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent: int = 0
    id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = self.secret.reveal().encode("utf-8", "surrogatepass") if self.secret else b""
        object.__setattr__(self, "id", sha256(text).hexdigest()[:16] if text else "")


@dataclass(frozen=True, slots=True)
class Retries:
    """How hard a request is tried. `again`: how often targets that failed are asked once more when none is left;
    `wait`: the seconds that one request may spend waiting between attempts, all together; `attempts`: how many there
    may be of one request, whatever the targets and keys. A target is passed over for `open_seconds` after
    `open_after` failures on end.
    """

    again: int = 2
    wait: float = 10.0
    attempts: int = 10
    open_after: int = 5
    open_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one router takes on at a time. `concurrent` requests in work, `per_client` of one client (0: no bound),
    `header_bytes` of one request's head, `read_seconds` for the arrival of a request's head and of each further piece
    of its body, `buffered_bytes` of bodies held in memory, all together.
    """

    concurrent: int = 1024
    per_client: int = 0
    header_bytes: int = 64 * 1024
    read_seconds: float = 60.0
    buffered_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordKeeping:
    """Whether requests are recorded, for how many days and in how many megabytes at most, how much of what was said in
    them, and for how many days that.
    """

    enabled: bool = True
    days: int = 90
    megabytes: int = 1024
    content: KeptContent = "none"
    content_days: int = 7


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The log file is put away when it has grown to `megabytes`; `keep` of those that were are left."""

    megabytes: int = 50
    keep: int = 9


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Whether traces and metrics go out by OpenTelemetry, and to which collector ("" for what the environment says)."""

    enabled: bool = False
    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=_nothing, repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """An account at a URL, with a key.

    `endpoints` holds where to POST; the second, if any, is tried when the first answers 404 or 405, and the router
    remembers which one answered. `keys` is the pool, `key` the one of it that is used.
    `key_source` is what the user wrote for the key ("${OPENROUTER_API_KEY}", or "the
    config file" for a literal), for messages that say what to check. `proxy`: None takes the environment's, ""
    none at all. `options` are the platform's (project, region, ...). `certified` holds what was found out about its
    models by asking them: changes to the profile, by model, "" for all of them.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    key: Secret | None = None
    key_source: str = ""
    models: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    extra_body: JsonObject = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    transforms: tuple[TransformSpec, ...] = ()
    model_transforms: Mapping[str, tuple[TransformSpec, ...]] = field(default_factory=_nothing)
    profile: str | None = None
    tokenizer: JsonObject | None = field(default=None, repr=False)
    fidelity: Fidelity = "any"
    options: Mapping[str, str] = field(default_factory=_nothing)
    certified: Mapping[str, JsonObject] = field(default_factory=_nothing, repr=False)
    keys: tuple[PoolKey, ...] = ()

    @property
    def pool(self) -> tuple[PoolKey, ...]:
        """Its keys, at least one; one without a secret if it has none."""
        return self.keys or (PoolKey(self.key, self.key_source),)

    def using(self, key: PoolKey) -> Provider:
        """The same provider, asked with this key of its pool."""
        if key.secret is self.key:
            return self
        return replace(self, key=key.secret, key_source=key.source)


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and one of its models: what a request can be sent to."""

    provider: Provider
    model: str

    @property
    def endpoint(self) -> Endpoint:
        """Where it is sent. Raises IndexError for a provider without any, which none in a Config is."""
        return self.provider.endpoints[0]

    def at(self, endpoint: Endpoint) -> Target:
        """The same target at one of its provider's endpoints."""
        if endpoint is self.provider.endpoints[0]:
            return self
        return replace(self, provider=replace(self.provider, endpoints=(endpoint,)))

    def __str__(self) -> str:
        return f"{self.provider.name},{self.model}"


@dataclass(frozen=True, slots=True)
class Router:
    """Which model serves which kind of request.

    `routes` is keyed by route name (ROUTE_NAMES, and any request class that Claude Code names); `aliases` maps
    glob patterns over the asked model to targets, first match first; `fallback` lists what to try after a route's own
    target, `alias_fallback` after an alias's, by its pattern; `shared_fallback` is `fallback` without the chains of
    the router's own routes, as other routers in its place inherit it; `think_effort` is the least effort that makes
    adaptive thinking select `think` ("" never). `fidelity` says of routes by name, or of EVERY_ROUTE, whether a loss in
    translation is refused. `is_strict` limits explicit models to those the router lists: `listed`, every target that it
    names anywhere.
    """

    routes: Mapping[str, ModelRef] = field(default_factory=_nothing)
    long_context_threshold: int = DEFAULT_LONG_CONTEXT_THRESHOLD
    think_effort: str = "xhigh"
    aliases: tuple[tuple[str, ModelRef], ...] = ()
    fallback: Mapping[str, tuple[ModelRef, ...]] = field(default_factory=_nothing)
    default_provider: str | None = None
    is_strict: bool = False
    fidelity: Mapping[str, Fidelity] = field(default_factory=_nothing)
    alias_fallback: Mapping[str, tuple[ModelRef, ...]] = field(default_factory=_nothing)
    shared_fallback: Mapping[str, tuple[ModelRef, ...]] = field(default_factory=_nothing)
    force_image_agent: bool = False
    listed: tuple[ModelRef, ...] = ()

    def fidelity_of(self, route: str) -> Fidelity:
        """What the route of this name demands of a translation."""
        return self.fidelity.get(route, self.fidelity.get(EVERY_ROUTE, "any"))


@dataclass(frozen=True)
class CustomTransformer:
    """A file of the user's own transforms: Python, or JavaScript of the classic router.

    `name` picks one of several, or names the one; `options` are handed to it, under those of `use`; `timeout` in
    seconds, for each call; `place` is where it stands in the file.
    """

    path: Path
    name: str = ""
    options: JsonObject = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    place: str = "transformers"


@dataclass(frozen=True, slots=True)
class CustomRouter:
    """A file of the user's own routing. `timeout` in seconds; with `goes_on` its failure is as if it had no answer."""

    path: Path
    timeout: float = 10.0
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the router runs by. `warnings` is what the user should know; `raw` what they wrote (for `ccr code`'s
    settings that the router itself does not read: StatusLine and the like), variables not filled in and literal secrets
    masked. `unavailable`: providers that were left out, as nothing routes to them and something is missing, and why.
    `auto_reload` if a change of the file takes effect by itself; `resume` if an answer that was cut off may be gone on
    with by another request. `prices` are what the user says that models cost, by "provider,model" or model. `digest` is
    the SHA-256 of the file's bytes, in hex; "" without a file.
    """

    path: Path | None = None
    digest: str = ""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    api_key: Secret | None = None
    providers: tuple[Provider, ...] = ()
    router: Router = Router()
    router_name: str = "default"
    log: bool = True
    log_level: LogLevel = "info"
    api_timeout: float = 600.0
    max_body: int = DEFAULT_MAX_BODY
    retries: Retries = Retries()
    limits: Limits = Limits()
    record: RecordKeeping = RecordKeeping()
    log_files: LogFiles = LogFiles()
    telemetry: Telemetry = Telemetry()
    prices: Mapping[str, Rates] = field(default_factory=_nothing)
    drain_seconds: float = DEFAULT_DRAIN
    auto_reload: bool = True
    resume: bool = False
    allowed_hosts: tuple[str, ...] = ()
    claudable: Literal["auto", "on", "off"] = "auto"
    claude_path: str = "claude"
    is_non_interactive: bool = False
    small_fast_model: str | None = None
    custom_router: CustomRouter | None = None
    rewrite_system_prompt: Path | None = None
    custom_transformers: tuple[CustomTransformer, ...] = ()
    plugins: tuple[JsonObject, ...] = field(default=(), repr=False)
    status_line: JsonObject | None = field(default=None, repr=False)
    raw: JsonObject = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=_nothing)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in here, none twice, for the removal of secrets from texts that others wrote.

        These are keys, headers whose names speak of secrets, passwords in the URLs of proxies and endpoints, and keys
        in the queries of endpoints.
        """
        texts = [self.api_key.reveal()] if self.api_key else []
        for custom in self.custom_transformers:
            texts += in_body(custom.options)
        texts += [*in_headers(self.telemetry.headers), *in_url(self.telemetry.endpoint)]
        for provider in self.providers:
            texts += [provider.key.reveal()] if provider.key else []
            texts += [key.secret.reveal() for key in provider.keys if key.secret]
            texts += in_headers(provider.headers)
            texts += in_body(provider.extra_body)
            for spec in (*provider.transforms, *chain.from_iterable(provider.model_transforms.values())):
                texts += in_body(spec.options)
            for url in (provider.proxy or "", *(endpoint.url for endpoint in provider.endpoints)):
                texts += in_url(url)
        return tuple(Secret(text) for text in dict.fromkeys(texts) if text)

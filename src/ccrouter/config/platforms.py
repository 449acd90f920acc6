"""Providers on a cloud platform (Google's Vertex AI, Amazon Bedrock): where their models are, from project and region.

Opens nothing but a Google credentials file, and that only for the project it names when nobody else does. Everything
that goes into a URL is checked first: a region is part of a host's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from ccrouter.config.endpoint import PROTOCOLS
from ccrouter.config.kinds import KeyText
from ccrouter.config.pool import key_of
from ccrouter.config.record import Record
from ccrouter.config.report import Place
from ccrouter.config.schema import DialectName, Endpoint, Platform, PoolKey
from ccrouter.config.transformers import WIRE_FORMATS, Specs
from ccrouter.errors import Problem
from ccrouter.secret import Secret

#: The variables that say where a cloud's models are. They may also stand at the top of the file.
VARIABLES = (
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "CLOUD_ML_REGION",
    "AWS_REGION",
)
#: Read from the environment alone.
_OF_THE_ENVIRONMENT = ("AWS_DEFAULT_REGION",)
BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"

#: The modules of the vendors' libraries that each platform needs.
_LIBRARIES: Mapping[Platform, tuple[str, ...]] = {
    "vertex": ("google.auth", "requests"),
    "bedrock": ("botocore",),
}
_DIALECTS: Mapping[Platform, frozenset[DialectName]] = {
    "vertex": frozenset({"anthropic", "gemini", "openai_chat"}),
    "bedrock": frozenset({"anthropic", "openai_chat"}),
}
_PUBLISHERS: Mapping[str, DialectName] = {"anthropic": "anthropic", "google": "gemini"}
#: Where the classic router went without a word on it.
_CLASSIC_LOCATION: Mapping[str, str] = {"vertex-gemini": "us-central1", "vertex-claude": "us-east5"}

# Google's: LOCATION-aiplatform…, "global" has no prefix, and the multi-regions us and eu are hosts of another form
# (cloud.google.com/vertex-ai/generative-ai/docs/partner-models/use-partner-models).
_VERTEX_HOST = re.compile(
    r"(?:(?P<one>[a-z0-9-]+)-)?aiplatform\.googleapis\.com|aiplatform\.(?P<many>[a-z]+)\.rep\.googleapis\.com"
)
_VERTEX_PATH = re.compile(
    r"(?P<base>.*?/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+))"
    r"(?:/publishers/(?P<publisher>[^/]+)(?:/models(?:/.*)?)?|/endpoints/openapi.*)?"
)
_EXPRESS_PATH = re.compile(r"(?P<base>.*/publishers/(?P<publisher>[^/]+))(?:/models(?:/.*)?)?")
# Also through an interface endpoint of a VPC (vpce-….bedrock-runtime.REGION.vpce.amazonaws.com) and with FIPS.
_BEDROCK_HOST = re.compile(
    r"(?:[\w-]+\.)?bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)(?:\.vpce)?\.amazonaws\.com(?:\.cn)?"
)
_BEDROCK_PATH = re.compile(r"(?P<base>.*?)/(?:model|openai)(?:/.*)?")
_VERSION_AT_END = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?$")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,100}")
_REGION = re.compile(r"(?=.{2,40}$)[a-z0-9]+(?:-[a-z0-9]+){0,6}")
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment, and the file's top level before it, say of clouds: by variable, and a key for Bedrock."""

    named: Mapping[str, str]
    bedrock_key: PoolKey | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A provider as far as its platform depends on it. `url` is one that can be POSTed to, or "" for none."""

    record: Record
    url: str
    specs: Specs
    keys: tuple[PoolKey, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a provider is on its platform. `obstacles` are reasons why it cannot be used, `endpoints` () with any."""

    endpoints: tuple[Endpoint, ...]
    options: Mapping[str, str]
    keys: tuple[PoolKey, ...]
    obstacles: tuple[Problem, ...] = ()


def read_surroundings(top: Record, environ: Mapping[str, str]) -> Surroundings:
    """What is said of clouds, the file's top level above `environ`, as the classic router has it."""
    named = {name: str(top.get(name) or environ.get(name) or "").strip() for name in VARIABLES}
    named |= {name: environ.get(name, "").strip() for name in _OF_THE_ENVIRONMENT}
    key: KeyText | None = top.get(BEDROCK_KEY)
    if key is None and (text := environ.get(BEDROCK_KEY, "").strip()):
        key = KeyText(Secret(text), f"${{{BEDROCK_KEY}}}")
        top.place.report.secrets.append(key.secret)
    return Surroundings(MappingProxyType(named), key_of(key) if key else None)


def platform_of(written: Written) -> Platform:
    """The platform that a provider is on: the one it names, else its transformer's, else its URL's; "" for none."""
    named: Platform = written.record.get("platform", "")
    if named:
        return named
    if not written.record.get("protocol") and any(word in _CLASSIC_LOCATION for word in written.specs.wire):
        return "vertex"
    host = urlsplit(written.url).hostname or ""
    if _VERTEX_HOST.fullmatch(host):
        return "vertex"
    return "bedrock" if _BEDROCK_HOST.fullmatch(host) else ""


def place(platform: Platform, written: Written, around: Surroundings) -> Placed:
    """Where `written`, whose platform that is, finds its models."""
    problems: list[Problem] = []
    if missing := [name for name in _LIBRARIES[platform] if not is_installed(name)]:
        message = f'needs {", ".join(missing)}, of the extra "{platform}", which is not installed'
        _add(problems, written.record.place, message, f"pip install 'ccrouter[{platform}]'")
    placed = _on_vertex(written, around, problems) if platform == "vertex" else _on_bedrock(written, around, problems)
    return Placed((), {}, (), tuple(problems)) if problems or placed is None else placed


def is_installed(module: str) -> bool:
    """True if a library's module can be imported. Nothing of it is run."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


# -- Vertex ------------------------------------------------------------------------------------------------------------


def _on_vertex(written: Written, around: Surroundings, problems: list[Problem]) -> Placed | None:
    record, classic = written.record, _classic_name(written)
    parts = urlsplit(written.url)
    host = _VERTEX_HOST.fullmatch(parts.hostname or "")
    path = _VERTEX_PATH.fullmatch(parts.path.rstrip("/")) or _EXPRESS_PATH.fullmatch(parts.path.rstrip("/"))
    in_path = path.groupdict() if path else {}
    dialect = _dialect(written, in_path.get("publisher") or "", problems)
    credentials = record.get("credentials") or around.named["GOOGLE_APPLICATION_CREDENTIALS"]
    is_express = bool(path) and "project" not in in_path
    project = location = ""
    if not is_express:
        of_host = (host["one"] or host["many"] or "global") if host else ""
        in_environment = _first(around, "GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION")
        of_url = in_path.get("location") or of_host
        said = record.get("location") or written.specs.options.get("location")
        location = said or ((in_environment or of_url) if classic else (of_url or in_environment))
        if not location and classic:
            location = _CLASSIC_LOCATION[classic]
            message = f"says no location: {location}, as in the classic router"
            record.place.warn(message, 'write "location": "global", or a region of your own')
        project = (
            record.get("project")
            or written.specs.options.get("project")
            or in_path.get("project")
            or _first(around, "GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID")
            or _project_in(credentials)
        )
        _check(problems, record, _Asked("project", "Google Cloud project", "GOOGLE_CLOUD_PROJECT", _PROJECT), project)
        _check(problems, record, _Asked("location", "location", "GOOGLE_CLOUD_LOCATION", _REGION), location)
        if of_host and not classic and location != of_host:
            message = f'is a host of {of_host}, and the location is "{location}"'
            _add(problems, record.at("api_base_url"), message, "leave one of the two out")
    if problems:
        return None
    is_kept = written.url and (not classic or record.get("platform"))
    if written.url and not is_kept and not host:
        message = f"is not used: the transformer {classic} goes to {_vertex_host(location)}"
        record.at("api_base_url").warn(message, 'write "platform": "vertex" for the URL to count')
    base = parts._replace(query="", fragment="") if is_kept else urlsplit(f"https://{_vertex_host(location)}")
    where = in_path.get("base", "") if is_kept else ""
    url = _vertex_url(base, where, dialect, project, location)
    options = {"project": project, "location": location, "credentials": credentials}
    keys = () if classic and not record.get("platform") else written.keys  # the classic router asked for any
    return Placed((Endpoint(dialect, url, "vertex"),), {name: said for name, said in options.items() if said}, keys)


def _classic_name(written: Written) -> str:
    """The transformer of the classic router for Vertex that is asked for, for all models or for one; "" for none."""
    words = (*written.specs.wire, *written.specs.model_wire.values())
    return next((word for word in words if word in _CLASSIC_LOCATION), "")


def _vertex_host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if "-" not in location:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _vertex_url(base: SplitResult, where: str, dialect: DialectName, project: str, location: str) -> str:
    """`where` is the path up to the location or the publisher, "" if the URL says none."""
    version = "v1beta1" if dialect == "gemini" else "v1"  # as Google's and Anthropic's own libraries have it
    if not where:
        path = base.path.rstrip("/")
        path = path if _VERSION_AT_END.search(path) else f"{path}/{version}"
        where = f"{path}/projects/{quote(project, safe=':')}/locations/{location}"
    if dialect == "openai_chat":
        return urlunsplit(base._replace(path=f"{where}/endpoints/openapi/chat/completions"))
    publisher = "" if "/publishers/" in where else f"/publishers/{'google' if dialect == 'gemini' else 'anthropic'}"
    return urlunsplit(base._replace(path=f"{where}{publisher}/models"))


def _project_in(credentials: str) -> str:
    """The project that a service account's file names; "" if it cannot be read: whoever uses it will say why."""
    if not credentials:
        return ""
    try:
        path = Path(credentials).expanduser()
        held = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST_FILE else None
    except (OSError, ValueError, RecursionError):
        return ""
    project = held.get("project_id") if isinstance(held, dict) else None
    return project if isinstance(project, str) else ""


# -- Bedrock -----------------------------------------------------------------------------------------------------------


def _on_bedrock(written: Written, around: Surroundings, problems: list[Problem]) -> Placed | None:
    record = written.record
    parts = urlsplit(written.url)
    host = _BEDROCK_HOST.fullmatch(parts.hostname or "")
    dialect = _dialect(written, "", problems)
    region = (
        record.get("location") or (host["region"] if host else "") or _first(around, "AWS_REGION", "AWS_DEFAULT_REGION")
    )
    _check(problems, record, _Asked("region", "region", "AWS_REGION", _REGION), region)
    if problems:
        return None
    path = _BEDROCK_PATH.fullmatch(parts.path.rstrip("/"))
    where = path["base"] if path else parts.path.rstrip("/")
    base = parts._replace(query="", fragment="")
    if not written.url:
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        base, where = urlsplit(f"https://bedrock-runtime.{region}.{domain}"), ""
    if dialect == "openai_chat":
        where += "/openai/v1/chat/completions"
    options = {"region": region, "aws_profile": record.get("awsProfile", "")}
    said = {name: text for name, text in options.items() if text}
    # Whoever names an account does not mean the key that happens to be in the environment.
    around_it = (around.bedrock_key,) if around.bedrock_key and not options["aws_profile"] else ()
    keys = written.keys or around_it
    return Placed((Endpoint(dialect, urlunsplit(base._replace(path=where)), "bedrock"),), said, keys)


# -- both --------------------------------------------------------------------------------------------------------------


def _dialect(written: Written, publisher: str, problems: list[Problem]) -> DialectName:
    """The wire format: what is said, what the URL says, what the transformers say; else what the models' names say."""
    record = written.record
    platform = platform_of(written)
    chosen = next(_dialects_said(written, publisher), None)
    if chosen is None:
        message = "has models of several makers, or none: it cannot be told which wire format they speak"
        _add(
            problems, record.at("models"), message, 'write "protocol": "anthropic" or "gemini", and a provider for each'
        )
        return "anthropic"
    if chosen not in _DIALECTS[platform]:
        spoken = " or ".join(word for word, name in PROTOCOLS.items() if name in _DIALECTS[platform])
        _add(problems, record.at("protocol"), f"is not spoken on {platform}", f"known there: {spoken}")
    return chosen


def _dialects_said(written: Written, publisher: str) -> Iterator[DialectName]:
    if word := written.record.get("protocol"):
        yield PROTOCOLS[word]
    if publisher in _PUBLISHERS:
        yield _PUBLISHERS[publisher]
    path = urlsplit(written.url).path.rstrip("/")
    is_classic = bool(_classic_name(written))
    if not is_classic and (path.endswith("/chat/completions") or "/endpoints/openapi" in path):
        yield "openai_chat"
    yield from (WIRE_FORMATS[word] for word in written.specs.wire)
    of_models = {WIRE_FORMATS[word] for word in written.specs.model_wire.values()}
    if len(of_models) == 1:
        yield from of_models
    if platform_of(written) == "bedrock":
        yield "anthropic"
    models: Sequence[str] = written.record.get("models", ())
    for begin, dialect in (("claude", "anthropic"), ("gemini", "gemini")):
        if models and all(model.lower().startswith(begin) for model in models):
            yield dialect  # type: ignore[misc] # of the two


def _first(around: Surroundings, *names: str) -> str:
    return next((around.named[name] for name in names if around.named[name]), "")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A setting that a platform needs: its key in the file, what it is, its variable, and what it may look like."""

    key: str
    what: str
    variable: str
    form: re.Pattern[str]


def _check(problems: list[Problem], record: Record, asked: _Asked, text: str) -> None:
    name = "location" if asked.key == "region" else asked.key
    is_written = record.is_written(name)
    if is_written and record.get(name) is None:
        return  # a variable without a value, which is told already
    spot = record.at(name) if is_written else record.place.key(asked.key)
    if not text:
        hint = f'write "{asked.key}": "...", or set {asked.variable}'
        _add(problems, spot, f"is missing: the {asked.what} has to be known", hint)
    elif not asked.form.fullmatch(text):
        hint = "letters, digits and hyphens, as the cloud's console shows it"
        _add(problems, spot, f"is not the name of a {asked.what}", hint)


def _add(problems: list[Problem], spot: Place, message: str, hint: str) -> None:
    problems.append(Problem(spot.report.file, spot.path, message, hint))

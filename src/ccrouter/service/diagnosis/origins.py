"""Which value each setting has and where it comes from. Secrets are set or unset, and nothing more is said of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ccrouter.config.fields import TOP
from ccrouter.config.listen import PORT_VARIABLES
from ccrouter.config.load import PATH_VARIABLES
from ccrouter.config.schema import Config
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.service.diagnosis.finding import Finding

TOPIC = "Configuration"

# As `config.interpolate` finds them; a text that was masked still has its variables, though not their defaults.
_NAMES = re.compile(r"\$\$|\$\{\s*([^}:\s]+)(:-)?[^}]*\}|\$([A-Z_][A-Z0-9_]*)")

_DEFAULT = "default"
_RUNNING = "command line of the running router"


def look_at_origins(config: Config, environ: Mapping[str, str], options: Mapping[str, str]) -> Iterator[Finding]:
    """The file and the settings of `config`. `options` are those that the running router was started with."""
    yield look_at_file(config, environ, options)
    for name, value, origin in _settings(config, environ, options):
        yield Finding(TOPIC, "info", f"{name} = {value} ({origin})")
    named = variables_in(config.raw)
    if named:
        told = ", ".join(f"{name} {'set' if environ.get(name) else 'unset'}" for name in named)
        yield Finding(TOPIC, "info", f"variables that the file names, in this shell: {told}")


def look_at_file(config: Config, environ: Mapping[str, str], options: Mapping[str, str]) -> Finding:
    """Which file it is, and why that one."""
    return Finding(TOPIC, "info", f"file: {config.path or 'none yet'} ({_origin_of_file(environ, options)})")


def _origin_of_file(environ: Mapping[str, str], options: Mapping[str, str]) -> str:
    if "config" in options:
        return f"{_RUNNING}, --config"
    variable = next((name for name in PATH_VARIABLES if environ.get(name)), None)
    return f"environment variable {variable}" if variable else "the usual place"


def _settings(config: Config, environ: Mapping[str, str], options: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Name, value as it may be shown, and origin."""

    def written(name: str) -> str:
        return _origin_in_file(config.raw, name, environ)

    port = next((name for name in PORT_VARIABLES if environ.get(name)), None)
    by_port = f"environment variable {port}" if port else _in_servers(config.raw, "PORT") or written("PORT")
    by_host = written("HOST") if written("HOST") != _DEFAULT else _in_servers(config.raw, "HOST") or _DEFAULT
    has_key = config.api_key and not unset_in(config.raw.get(_spelled(config.raw, "APIKEY")), environ)
    yield "HOST", config.host, _by_option(options, "host") or by_host
    yield "PORT", str(config.port), _by_option(options, "port") or by_port
    yield "APIKEY", "set" if has_key else "unset", f"{_RUNNING}, --apikey" if "apikey" in options else written("APIKEY")
    if config.router_name != Config().router_name:
        yield "router", config.router_name, _by_option(options, "router") or "the file"
    yield "LOG", str(config.log).lower(), written("LOG")
    yield "LOG_LEVEL", config.log_level, _by_option(options, "log-level") or written("LOG_LEVEL")
    yield "API_TIMEOUT_MS", str(round(config.api_timeout * 1000)), written("API_TIMEOUT_MS")
    if written("PROXY_URL") != _DEFAULT:
        yield "PROXY_URL", "set", written("PROXY_URL")
    claude = written("CLAUDE_PATH")
    if claude == _DEFAULT and environ.get("CLAUDE_PATH"):
        claude = "environment variable CLAUDE_PATH"
    yield "CLAUDE_PATH", config.claude_path, claude


def _by_option(options: Mapping[str, str], name: str) -> str:
    return f"{_RUNNING}, --{name}" if name in options else ""


def _origin_in_file(raw: JsonObject, name: str, environ: Mapping[str, str]) -> str:
    """Where a top-level setting comes from: the file, variables that it names, or nowhere."""
    value = raw.get(_spelled(raw, name))
    if value is None:
        return _DEFAULT
    names = _variables(value)
    if not names:
        return "the file"
    return "the file, from " + ", ".join(f"${name} {'set' if environ.get(name) else 'unset'}" for name in names)


def _spelled(raw: JsonObject, name: str) -> str:
    """A top-level setting as the file spells it, `name` if it is not there."""
    field = next(field for field in TOP.fields if field.name == name)
    spellings = {_fold(spelling) for spelling in (field.name, *field.aliases)}
    return next((key for key, value in raw.items() if _fold(key) in spellings and value not in (None, "")), name)


def is_written(config: Config, name: str) -> bool:
    """Whether the file has this top-level setting, whatever became of its value."""
    return _spelled(config.raw, name) in config.raw


def unset_in(value: Json, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that a text names and `environ` does not have."""
    return tuple(name for name in _variables(value) if not environ.get(name))


def _in_servers(raw: JsonObject, name: str) -> str:
    servers = next((value for key, value in raw.items() if _fold(key) == "servers"), None)
    entries = servers.values() if isinstance(servers, dict) else ()
    is_there = any(_fold(key) == _fold(name) for entry in entries if isinstance(entry, dict) for key in entry)
    return "the file, `servers`" if is_there else ""


def variables_in(tree: Json) -> tuple[str, ...]:
    """The environment variables that the texts of `tree` name, in file order, none twice."""
    return tuple(dict.fromkeys(name for text in _texts(tree) for name in _variables(text)))


def unset_without_default(tree: Json, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that the texts of `tree` need: named without a default, and not in `environ`."""
    found = (match for text in _texts(tree) for match in _NAMES.finditer(text) if match[0] != "$$" and not match[2])
    return tuple(dict.fromkeys(match[1] or match[3] for match in found if not environ.get(match[1] or match[3])))


def _texts(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def _variables(value: Json) -> tuple[str, ...]:
    """The variables that a text names, those with a default too."""
    if not isinstance(value, str):
        return ()
    return tuple(found[1] or found[3] for found in _NAMES.finditer(value) if found[0] != "$$")


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()

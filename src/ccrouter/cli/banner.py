"""What a start and a status tell: the address, the routes, the two lines to try, what a Codespace needs. Text only."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ccrouter.cli.terminal import table
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import DRY_RUN, ROUTE_NAMES, Config
from ccrouter.loopback import is_loopback
from ccrouter.service.address import base_url

_TRY = '{"model":"claude-sonnet-4-5","max_tokens":200,"stream":true,"messages":[{"role":"user","content":"Hello"}]}'


def is_dry_run(config: Config) -> bool:
    """True if ordinary requests are answered by the built-in scripted provider."""
    default = config.router.routes.get("default")
    return default is None or default.provider == DRY_RUN


def routes(config: Config) -> list[tuple[str, str]]:
    """Route name and what serves it, in the order of ROUTE_NAMES, then the user's own request classes."""
    set_ = config.router.routes
    names = [*(name for name in ROUTE_NAMES if name in set_), *(name for name in set_ if name not in ROUTE_NAMES)]
    return [(name, str(set_[name])) for name in names]


def chains(config: Config) -> list[tuple[str, str]]:
    """As `routes`, with the targets that are asked where the first one fails."""
    fallback = config.router.fallback
    return [(name, ", then ".join([first, *map(str, fallback.get(name, ()))])) for name, first in routes(config)]


def start_banner(config: Config, policy: Policy, log: Path | None) -> str:
    """What `ccr start` prints once it listens."""
    where = f"\nccrouter listens on {base_url(config.host, config.port)}" + _audience(config)
    parts = [f"{where}\nPolicy: {policy_words(policy_facts(policy))}"]
    shown = chains(config)
    if shown:
        parts.append(table(("route", "provider,model"), shown))
    if is_dry_run(config):
        parts.append(_dry_run(config))
    parts.append(f"Try it:\n{_indented(try_line(config))}\n\nUse it:\n  {_program()} code")
    codespace = codespace_lines(config, os.environ)
    if codespace:
        parts.append("\n".join(codespace))
    if log:
        parts.append(f"Log: {log}")
    return "\n\n".join(parts)


def policy_facts(policy: Policy) -> dict[str, str]:
    """What tells one policy from another, for a record: name, digest and source; nothing if none is in force."""
    if not policy.is_in_force:
        return {}
    return {"name": policy.name, "digest": policy.digest, "source": policy.source}


def policy_words(facts: Mapping[str, object]) -> str:
    """A policy in one line: `anthropic-only (sha256 1a2b3c4d5e6f, ~/.claude-code-router/policy.json)`, or `none`."""
    if not facts.get("digest"):
        return "none"
    source = short_path(str(facts.get("source", "")))
    return f"{facts['name']} (sha256 {str(facts.get('digest', ''))[:12]}, {source})"


def short_path(path: str) -> str:
    """`path` with `~` for the home folder."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def try_line(config: Config) -> str:
    """A command that streams one answer, to be copied as it is."""
    url = f"{base_url(config.host, config.port)}/v1/messages"
    key = ' -H "x-api-key: $ANTHROPIC_AUTH_TOKEN"' if config.api_key else ""
    if os.name == "nt":
        body = _TRY.replace('"', '\\"')
        return f'curl.exe -N {url}{key.replace("$", "$env:")} -H "content-type: application/json" -d "{body}"'
    line = f"curl -N {url}{key} -H 'content-type: application/json' -d {shlex.quote(_TRY)}"
    return f'eval "$({_program()} activate)"\n{line}' if key else line


def codespace_lines(config: Config, environ: Mapping[str, str]) -> list[str]:
    """What a user of a GitHub Codespace needs to know, nothing anywhere else.

    GitHub's form is NAME-PORT.DOMAIN; guides that write PORT-NAME have another host's in mind.
    """
    name, domain = environ.get("CODESPACE_NAME"), environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    if not name or not domain:
        return []
    lines = [
        "In this Codespace, clients use:",
        f"  export CLAUDE_CODE_ROUTER_URL={base_url(config.host, config.port)}",
        "From outside it, once the port is public:",
        f"  https://{name}-{config.port}.{domain}",
        f"  gh codespace ports visibility {config.port}:public",
    ]
    if config.api_key is None:
        lines.append(
            "Set APIKEY in the config before making the port public: without it anybody can spend your credits."
        )
    return lines


def _program() -> str:
    """How the user's shell can call this program: by its name if it is on the PATH, else by its place."""
    if shutil.which("ccr"):
        return "ccr"
    own = Path(sys.argv[0])
    return shlex.quote(str(own)) if own.stem == "ccr" else f"{shlex.quote(sys.executable)} -m ccrouter"


def _audience(config: Config) -> str:
    if is_loopback(config.host):
        return ""
    return f" and on every machine that reaches {config.host}:{config.port}"


def _dry_run(config: Config) -> str:
    return (
        "DRY RUN: no provider is configured, so answers are scripted and nothing leaves this machine.\n"
        f"For real answers put a provider and its key into {config.path}\n"
        "and start again. The file shows how."
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

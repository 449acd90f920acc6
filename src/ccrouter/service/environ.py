"""The environment and settings that point Claude Code at the router. Pure: reads no file and no variable of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccrouter.config.interpolate import Filled, fill_text
from ccrouter.config.schema import Config
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.service.address import base_url, reachable_host

#: They make Claude Code talk to somebody else, whatever the base URL says: to a cloud's own endpoint, or through a
#: socket. A repository's settings can set them too. (Names as in the program's own table of variables, 2.1.330.)
REMOVED = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
    "CLAUDE_CODE_USE_GATEWAY",
    "CLAUDE_CODE_RUNNER_MODEL_SOCKET",
    "ANTHROPIC_UNIX_SOCKET",
)

#: What Claude Code is given as a key when the router asks for none.
DUMMY_KEY = "test"

#: With telemetry off, Claude Code 2.1 denies what its auto mode would have to check first ("its safety check does not
#: run for this session"); 2.0 knows no auto mode. The first affected release of 2.1 is not known, so all of it counts.
FIRST_WITH_AUTO_MODE = (2, 1, 0)

_NON_INTERACTIVE = {"CI": "true", "FORCE_COLOR": "0", "NODE_NO_READLINE": "1", "TERM": "dumb"}


def client_variables(  # noqa: PLR0913 - facts about one client, all but the first by name
    config: Config,
    *,
    host: str,
    port: int,
    base: Mapping[str, str],
    version: tuple[int, int, int] | None,
    key: str | None = None,
) -> dict[str, str]:
    """The variables that Claude Code of this `version` (None: unknown) needs to reach the router at `host` and `port`.

    `base` is the environment it would have otherwise; exceptions from its proxy are kept and ours added. `key` is shown
    to the router in place of the configured one.
    """
    configured = config.api_key.reveal() if config.api_key else DUMMY_KEY
    variables = {
        "ANTHROPIC_AUTH_TOKEN": key or configured,
        "ANTHROPIC_BASE_URL": base_url(host, port),
        # An exported key would be sent beside the token, or make Claude Code ask which of the two to use.
        "ANTHROPIC_API_KEY": "",
        **_no_proxy(reachable_host(host), base),
        "DISABLE_COST_WARNINGS": "true",
        "DISABLE_ERROR_REPORTING": "true",
        "API_TIMEOUT_MS": str(round(config.api_timeout * 1000)),
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }
    if version is not None and version < FIRST_WITH_AUTO_MODE:
        variables["DISABLE_TELEMETRY"] = "true"
    if config.small_fast_model:
        variables["ANTHROPIC_SMALL_FAST_MODEL"] = config.small_fast_model
    if config.is_non_interactive:
        variables |= _NON_INTERACTIVE
    return variables


def claude_environment(
    variables: Mapping[str, str], base: Mapping[str, str], withheld: Iterable[str] = ()
) -> dict[str, str]:
    """`base` with `variables`, without what would lead Claude Code past the router and what is `withheld` from it."""
    absent = {*REMOVED, *withheld}
    return {name: value for name, value in base.items() if name not in absent} | dict(variables)


def key_variables(config: Config, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of `environ` that the config takes the router's own key from.

    What claude runs has claude's environment, and nothing in it needs that key once claude has another.
    """
    written = [
        value for name, value in config.raw.items() if name.replace("_", "").replace("-", "").lower() == "apikey"
    ]
    texts = [fill_text(value, environ) for value in written if isinstance(value, str)]
    return tuple(dict.fromkeys(name for text in texts if isinstance(text, Filled) for name in text.names))


def claude_settings(variables: Mapping[str, str], *, status_line: str | None = None) -> JsonObject:
    """The content of a file for `claude --settings`: it outranks the user's own settings files, as variables do not.

    Settings cannot remove a variable, so those in REMOVED are blank; and exceptions from a proxy stand in both
    spellings, as one that is left out could be set by a repository. `status_line` is the command of a status line, None
    for none.
    """
    exceptions = {"no_proxy": variables["NO_PROXY"]} if "NO_PROXY" in variables else {}
    settings: JsonObject = {"env": {**dict.fromkeys(REMOVED, ""), **exceptions, **variables}}
    if status_line:
        settings["statusLine"] = {"type": "command", "command": status_line, "padding": 0}
    return settings


def wants_status_line(settings: Json) -> bool:
    """True if these settings, `StatusLine` of a configuration, turn a status line on."""
    return isinstance(settings, dict) and settings.get("enabled") in (True, "true")


def _no_proxy(host: str, base: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY with `host` added to what the user has.

    In both spellings if the user uses the lower-case one, since programs differ in which they prefer.
    """
    given = [base[name] for name in ("NO_PROXY", "no_proxy") if base.get(name)]
    entries = list(dict.fromkeys(entry.strip() for text in given for entry in text.split(",") if entry.strip()))
    merged = ",".join(entries if host in entries or "*" in entries else [*entries, host])
    return {"NO_PROXY": merged, "no_proxy": merged} if "no_proxy" in base else {"NO_PROXY": merged}

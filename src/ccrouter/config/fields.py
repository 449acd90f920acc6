"""Every key that the file may hold: one table per object. Reading, the warning about unknown keys, the JSON Schema and
the reference page are all made from these tables; nothing else knows a key's spelling. Data only.
"""

from __future__ import annotations

from ccrouter.config.keeping_fields import LOG_FILES, RECORD, TELEMETRY
from ccrouter.config.kinds import Anything, Chain, Choice, Flag, Key, ListOf, MapOf, Nested, Number, Raw, Text
from ccrouter.config.price_fields import PRICE, PRICE_TIER
from ccrouter.config.provider_fields import FIDELITY, KEY, MAX_SECONDS, PROVIDER, TIMEOUTS
from ccrouter.config.schema import DEFAULT_DRAIN, Limits, Retries
from ccrouter.config.table import Field, Table

MAX_MS = 24 * 3600 * 1000

#: The request classes that Claude Code names in its gateway hint headers, beside those that have a route of their own.
REQUEST_CLASSES = (
    "main",
    "workflow",
    "auxiliary",
    "side_reply",
    "blocking-subagent",
    "background-task",
    "summary-extraction",
    "followup-generation",
)

_TARGET = Text('"provider,model"')
_ROUTE = Chain(_TARGET)
_RETRIES = Retries()
_LIMITS = Limits()
_NOT_READ = "Accepted and kept; this router has no use for it."

_LISTEN = (
    Field("HOST", Text(), "Address to listen on. Anything but loopback needs an `APIKEY`.", default="127.0.0.1"),
    Field(
        "PORT",
        Number(1, 65535),
        "Port to listen on. See [precedence](../configuration.md#port-and-host).",
        default="3456",
    ),
)

TOP = Table(
    "Config",
    "The file's top level.",
    (
        Field("$schema", Text(), "The JSON Schema of this file, for editors.", need="no"),
        Field("Providers", Nested("Provider", "list or map"), "The providers: a list, each with its `name`."),
        Field("providers", Nested("Provider", "list or map"), "The providers: a map from name, or a list as above."),
        Field("Router", Nested("Router"), "Which model serves which request."),
        Field("routers", Nested("Router", "map"), "Named routers; `ccr start --router NAME` chooses one."),
        Field("servers", Nested("Server", "map"), "Where to listen, by router name."),
        *_LISTEN,
        Field(
            "APIKEY",
            Key(),
            "The key that clients must show, as `x-api-key` or `Authorization`. Without one any local client may call.",
        ),
        Field(
            "allowedHosts",
            ListOf(Text()),
            "Further `Host` names under which browsers and forwarders may reach the router.",
            default="loopback and, in a Codespace, its forwarded name",
        ),
        Field("maxBodyBytes", Number(1024, 2**40, "bytes"), "The largest request body taken.", default="67108864"),
        Field("retry", Nested("Retry"), "How hard a request is tried.", aliases=("retries",)),
        Field("limits", Nested("Limits"), "What the router takes on at a time."),
        Field(
            "resume",
            Flag(),
            "Whether an answer that was cut off may be gone on with by another request, where that is safe, see "
            "[failover](../failover.md).",
            default="false",
        ),
        Field("autoReload", Flag(), "Whether a change of this file takes effect by itself.", default="true"),
        Field(
            "drainSeconds",
            Number(0, 3600, "seconds", is_whole=False),
            "How long streams under way may go on after the router was told to stop.",
            default=f"{DEFAULT_DRAIN:g}",
        ),
        Field(
            "API_TIMEOUT_MS",
            Number(1, MAX_MS, "milliseconds"),
            "How long a provider may be silent, before its answer and during it. Also handed to Claude Code.",
            default="600000",
        ),
        Field(
            "PROXY_URL",
            Text("URL"),
            "HTTP proxy for all providers but those on loopback and those that `NO_PROXY` names.",
            aliases=("HTTPS_PROXY", "https_proxy", "httpsProxy"),
            default="the environment's",
        ),
        Field(
            "LOG",
            Flag(),
            "Whether a log file is written, and the audit log where no policy demands it.",
            default="true",
            need="may",
        ),
        Field(
            "LOG_LEVEL",
            Choice(("trace", "debug", "info", "warn", "error", "fatal"), {"warning": "warn"}),
            "What goes into the log. `--log-level` overrides it.",
            default="info",
            need="may",
        ),
        Field("logFiles", Nested("LogFiles"), "When the log file is put away, and how many of those are kept."),
        Field("record", Nested("Record"), "What is kept of requests, see [records](../records.md)."),
        Field(
            "record_content",
            Choice(("none", "redacted", "full"), {"off": "none", "false": "none"}),
            "Whether what was said is kept too: without what looks personal, or in full. Secrets never are.",
            default="none",
        ),
        Field("telemetry", Nested("Telemetry"), "OpenTelemetry, see [metrics](../metrics.md)."),
        Field(
            "prices",
            Nested("Price", "map"),
            'What models cost, by `"provider,model"` or model, see [prices](../prices.md).',
        ),
        Field("strict", Flag(), "`strict` for every router that does not say otherwise.", default="false"),
        Field("clients", Nested("Clients"), "Accommodations for particular clients."),
        Field("fallback", MapOf(ListOf(_TARGET), "route"), "What to try, in order, after a route's own."),
        Field(
            "forceUseImageAgent",
            Flag(),
            "Images select no route; `image` [sees for others](../routing.md#images-for-models-that-cannot-see).",
            default="false",
        ),
        Field(
            "CLAUDE_PATH",
            Text("path"),
            "The `claude` that `ccr code` runs.",
            default="$CLAUDE_PATH, else claude",
            need="may",
        ),
        Field("NON_INTERACTIVE_MODE", Flag(), "`ccr code` runs claude as in CI.", default="false", need="may"),
        Field("ANTHROPIC_SMALL_FAST_MODEL", Text(), "Handed to claude by `ccr code`.", need="may"),
        Field(
            "REWRITE_SYSTEM_PROMPT",
            Text("path"),
            "A text file that takes the place of Claude Code's system prompt up to its `<env>`, see "
            "[extending](../extending.md#the-system-prompt).",
        ),
        Field(
            "CUSTOM_ROUTER_PATH",
            Text("path"),
            "A router of your own, in Python or JavaScript, that is asked before all rules, see "
            "[extending](../extending.md#a-router-of-your-own).",
        ),
        Field(
            "CUSTOM_ROUTER_TIMEOUT_MS", Number(1, MAX_MS, "milliseconds"), "What it has for an answer.", default="10000"
        ),
        Field(
            "CUSTOM_ROUTER_ON_ERROR",
            Choice(("fail", "fallthrough"), {"fall-through": "fallthrough", "continue": "fallthrough"}),
            "Whether its failure is the request's, or as if it had no answer.",
            default="fail",
        ),
        Field(
            "transformers",
            Nested("CustomTransformer", "list"),
            "Transforms of your own, in Python or JavaScript, see [extending](../extending.md).",
        ),
        Field(
            "plugins", Nested("Plugin", "list"), "Classic plugins. Kept; what `token-speed` told is in every record."
        ),
        Field("StatusLine", Anything(), "Settings of the status line, see [status line](../statusline.md).", need="no"),
        *(
            Field(name, Text(words), f"{doc} See [clouds](../clouds.md).", default=f"${name}", need="may")
            for name, words, doc in (
                ("GOOGLE_CLOUD_PROJECT", "text", "The project of providers on Vertex that name none."),
                ("GOOGLE_CLOUD_LOCATION", "text", "The location of providers on Vertex that name none."),
                ("GOOGLE_APPLICATION_CREDENTIALS", "path", "The credentials file of providers on Vertex."),
                ("ANTHROPIC_VERTEX_PROJECT_ID", "text", "The same as `GOOGLE_CLOUD_PROJECT`, which counts more."),
                ("CLOUD_ML_REGION", "text", "The same as `GOOGLE_CLOUD_LOCATION`, which counts more."),
                ("AWS_REGION", "text", "The region of providers on Bedrock that name none."),
            )
        ),
        Field(
            "AWS_BEARER_TOKEN_BEDROCK",
            Key(),
            "The API key of providers on Bedrock that have no `api_key`. See [clouds](../clouds.md).",
            default="$AWS_BEARER_TOKEN_BEDROCK",
            need="may",
        ),
        *(Field(name, Anything("any"), _NOT_READ, need="no") for name in ("LOG_FILE", "NPM_GLOBAL_PREFIX")),
    ),
)

ROUTER = Table(
    "Router",
    "Which model serves which request. Every route is optional but `default`; a list of targets is tried in its order.",
    (
        Field("default", _ROUTE, "Everything that no other route takes."),
        Field("background", _ROUTE, "Claude Code's small jobs: requests for a haiku model, titles, summaries."),
        Field("think", _ROUTE, "Requests with thinking; see `thinkEffort`."),
        Field("longContext", _ROUTE, "Requests of more tokens than `longContextThreshold`."),
        Field("longContextThreshold", Number(0, 10**9, "tokens"), "0 means the default.", default="60000"),
        Field("webSearch", _ROUTE, "Requests that offer a web search tool."),
        Field("image", _ROUTE, "Requests whose last message has an image."),
        Field("subagent", _ROUTE, "Requests of Claude Code's sub-agents."),
        Field("compaction", _ROUTE, "Requests that compact a conversation."),
        Field(
            "thinkEffort",
            Choice(
                ("low", "medium", "high", "xhigh", "max", "never"), {"off": "never", "none": "never", "false": "never"}
            ),
            "The least effort at which adaptive thinking selects `think`; `never` for explicit thinking only.",
            default="xhigh",
        ),
        Field(
            "models",
            MapOf(_ROUTE, "pattern"),
            'Aliases: asked model → targets, first match first, e.g. `"claude-opus-*": "p,m"`.',
            aliases=("aliases",),
        ),
        Field("fallback", MapOf(ListOf(_TARGET), "route"), "As the top-level `fallback`, for this router."),
        Field(
            "fidelity",
            MapOf(FIDELITY, "route"),
            "As a provider's `fidelity`, for what a route serves; `*` stands for every route that is not named.",
        ),
        Field("strict", Flag(), "Whether clients may only name models that this router lists.", default="false"),
        Field("defaultProvider", Text(), "The provider of models that are named without one."),
        Field(
            "routes",
            Raw("object: target → routes", {"type": "object", "additionalProperties": {"type": ["object", "boolean"]}}),
            'Targets and what they serve: `"provider,model": { "default": true }`.',
        ),
    ),
    "A key with `*`, or one that begins with `claude-`, is an alias like those in `models`. Any other key is a route"
    " for the request class of that name: " + ", ".join(f"`{name}`" for name in REQUEST_CLASSES) + ".",
)

SERVER = Table("Server", "Where to listen.", _LISTEN)

RETRY = Table(
    "Retry",
    "How hard a request is tried. None of it holds once a part of an answer has been sent.",
    (
        Field(
            "again",
            Number(0, 100, "rounds"),
            "How often the targets that failed are asked once more when none is left.",
            default=f"{_RETRIES.again}",
        ),
        Field(
            "waitSeconds",
            Number(0, 3600, "seconds", is_whole=False),
            "What one request may spend waiting between attempts, all together.",
            default=f"{_RETRIES.wait:g}",
        ),
        Field(
            "attempts",
            Number(1, 1000),
            "How many attempts one request may take, whatever the targets and keys.",
            default=f"{_RETRIES.attempts}",
        ),
        Field(
            "openAfter",
            Number(1, 1000, "failures"),
            "After so many failures on end a target is passed over.",
            default=f"{_RETRIES.open_after}",
        ),
        Field(
            "openSeconds",
            Number(0.001, MAX_SECONDS, "seconds", is_whole=False),
            "How long it is passed over; longer, if it then fails again.",
            default=f"{_RETRIES.open_seconds:g}",
        ),
    ),
)

LIMITS = Table(
    "Limits",
    "What one router takes on at a time.",
    (
        Field("concurrent", Number(1, 1_000_000), "Requests in work, of all clients.", default=f"{_LIMITS.concurrent}"),
        Field(
            "perClient",
            Number(0, 1_000_000),
            "Requests in work of one client; 0 is no limit.",
            default=f"{_LIMITS.per_client}",
        ),
        Field(
            "headerBytes",
            Number(4096, 2**24, "bytes"),
            "The largest head of a request.",
            default=f"{_LIMITS.header_bytes}",
        ),
        Field(
            "readSeconds",
            Number(0.1, 3600, "seconds", is_whole=False),
            "For a request's head to arrive, and for each further piece of its body.",
            default=f"{_LIMITS.read_seconds:g}",
        ),
        Field(
            "bufferedBytes",
            Number(1024, 2**44, "bytes"),
            "Bodies of requests held in memory, all together. Not less than `maxBodyBytes`.",
            default=f"{_LIMITS.buffered_bytes}",
        ),
    ),
)

CLIENTS = Table(
    "Clients",
    "Accommodations for particular clients.",
    (
        Field(
            "claudable",
            Choice(("auto", "on", "off"), {"true": "on", "false": "off"}),
            "Events and tools as Claudable's router client needs them; `auto` goes by its fingerprint.",
            default="auto",
        ),
    ),
)

CUSTOM_TRANSFORMER = Table(
    "CustomTransformer",
    "A file with transforms: Python (`.py`), or JavaScript of the classic router.",
    (
        Field("path", Text("path"), "The file: a full path, one with `~`, or one from this file's folder."),
        Field("name", Text(), "The name under which `use` refers to it.", default="its own"),
        Field("options", Anything(), "Handed to it; options in `use` go over them."),
        Field("timeoutMs", Number(1, MAX_MS, "milliseconds"), "What each call of it has.", default="10000"),
    ),
)

PLUGIN = Table(
    "Plugin",
    "A plugin of the classic router.",
    (
        Field("name", Text(), "Its name."),
        Field("enabled", Flag(), "Whether it is on.", default="false"),
        Field("options", Anything(), "Handed to it.", need="no"),
    ),
)

TABLES = {
    table.name: table
    for table in (
        TOP,
        PROVIDER,
        KEY,
        TIMEOUTS,
        ROUTER,
        SERVER,
        RETRY,
        LIMITS,
        RECORD,
        LOG_FILES,
        TELEMETRY,
        PRICE,
        PRICE_TIER,
        CLIENTS,
        CUSTOM_TRANSFORMER,
        PLUGIN,
    )
}

"""The keys of a provider, and of the objects in it: tables for `fields`, which has all of them. Data only."""

from __future__ import annotations

from ccrouter.config.kinds import Anything, Choice, Flag, Key, Keys, ListOf, MapOf, Nested, Number, Raw, Text
from ccrouter.config.schema import PoolKey, Timeouts
from ccrouter.config.table import Field, Table

MAX_SECONDS = 24 * 3600

FIDELITY = Choice(("any", "strict"), {"true": "strict", "false": "any"})
_KEY = PoolKey()
_TIMEOUTS = Timeouts()

PROVIDER = Table(
    "Provider",
    "An account at a URL, with a key. In a map, the map's key is its name.",
    (
        Field("name", Text(), "The name that routes use. Without a comma; case does not matter. Only in a list."),
        Field(
            "api_base_url",
            Text("URL"),
            "Where to POST: the full URL, or a base. See [wire format](../configuration.md#which-url-and-wire-format).",
            aliases=("baseURL", "base_url", "url", "endpoint", "host"),
        ),
        Field(
            "api_key",
            Keys("Key"),
            "The provider's key, best as `${NAME}`; or [several](../configuration.md#several-keys). Leave it out for "
            "servers that ask for none.",
            aliases=("key", "api_keys"),
        ),
        Field("models", ListOf(Text()), "The models on offer there. Others can still be named.", aliases=("model",)),
        Field(
            "protocol",
            Choice(
                ("anthropic", "openai", "responses", "gemini"),
                {
                    "messages": "anthropic",
                    "claude": "anthropic",
                    "chat": "openai",
                    "chat_completions": "openai",
                    "chat-completions": "openai",
                    "openai_chat": "openai",
                    "openai-chat": "openai",
                    "openai-compatible": "openai",
                    "openai_responses": "responses",
                    "openai-responses": "responses",
                    "google": "gemini",
                },
            ),
            "The wire format, where URL and transformer do not tell: Messages, Chat Completions, Responses, or "
            "generateContent.",
            aliases=("type", "api"),
            default="from the URL",
        ),
        Field(
            "platform",
            Choice(
                ("vertex", "bedrock"),
                {
                    "vertex-ai": "vertex",
                    "vertex_ai": "vertex",
                    "vertexai": "vertex",
                    "google-vertex": "vertex",
                    "amazon-bedrock": "bedrock",
                    "aws-bedrock": "bedrock",
                    "aws": "bedrock",
                },
            ),
            "The cloud that serves the models under its own URLs and credentials, see [clouds](../clouds.md).",
            default="from the URL",
        ),
        Field("project", Text(), "On Vertex: the Google Cloud project.", default="`GOOGLE_CLOUD_PROJECT`"),
        Field(
            "location",
            Text(),
            'On Vertex the location ("global", "us", "eu", or a region); on Bedrock the region.',
            aliases=("region",),
            default="`GOOGLE_CLOUD_LOCATION`, `AWS_REGION`",
        ),
        Field(
            "credentials",
            Text("path"),
            "On Vertex: a Google credentials file.",
            default="`GOOGLE_APPLICATION_CREDENTIALS`, else what `gcloud` left",
        ),
        Field("awsProfile", Text(), "On Bedrock: the profile of `~/.aws/config` to sign with."),
        Field(
            "headers", MapOf(Text(), "header"), "Sent with every request to this provider.", aliases=("defaultHeaders",)
        ),
        Field("extra_body", Anything(), "Merged into every request body for this provider."),
        Field(
            "proxy",
            Text("URL"),
            'HTTP proxy for this provider; `""` for none at all.',
            default="`PROXY_URL`",
            keeps_empty=True,
        ),
        Field("timeouts", Nested("Timeouts"), "Limits of waiting for this provider."),
        Field(
            "profile", Text(), "The profile (facts about a provider) to use instead of the one that its URL selects."
        ),
        Field(
            "transformer",
            Raw("object", {"type": ["object", "array", "string"]}),
            '[Transforms](../transforms.md), by name: `{ use: [...], "<model>": { use: [...] } }`.',
        ),
        Field(
            "fidelity",
            FIDELITY,
            "`strict`: a request that would lose something in translation is [refused](../fidelity.md#strict).",
            default="any",
        ),
        Field(
            "tokenizer",
            Anything(),
            "Classic tokenizer settings. Kept, and not needed: see [token counts](../token-estimate.md).",
            need="no",
        ),
        Field("enabled", Flag(), "`false` leaves the provider out.", default="true"),
    ),
)

KEY = Table(
    "Key",
    "One of several keys of a provider, where more is to be said of it than its text.",
    (
        Field("key", Key(), "The key, best as `${NAME}`.", aliases=("api_key",)),
        Field(
            "label",
            Text(),
            "What it is called where a person reads of it. Nothing secret.",
            aliases=("name",),
            default="the variable's name",
        ),
        Field(
            "weight",
            Number(0.001, 1_000_000, is_whole=False),
            "How often it is chosen among keys of its priority: one of weight 2 twice as often as one of weight 1.",
            default=f"{_KEY.weight:g}",
        ),
        Field(
            "priority",
            Number(0, 1_000_000),
            "Keys of a higher number serve only while none of a lower one can.",
            default=f"{_KEY.priority}",
        ),
        Field(
            "requestsPerMinute",
            Number(0, 10**9, "requests"),
            "What it is asked for in a minute, at most; 0 is no limit.",
            aliases=("rpm",),
            default=f"{_KEY.per_minute}",
        ),
        Field(
            "tokensPerMinute",
            Number(0, 10**12, "tokens"),
            "Tokens, of requests and answers, in a minute, at most; 0 is no limit.",
            aliases=("tpm",),
            default=f"{_KEY.tokens_per_minute}",
        ),
        Field(
            "concurrent",
            Number(0, 1_000_000, "requests"),
            "Requests in work with it at a time, at most; 0 is no limit.",
            aliases=("concurrency",),
            default=f"{_KEY.concurrent}",
        ),
    ),
)

TIMEOUTS = Table(
    "Timeouts",
    "Limits of waiting, in seconds.",
    (
        Field(
            "connect",
            Number(0.001, MAX_SECONDS, "seconds", is_whole=False),
            "For the connection.",
            default=f"{_TIMEOUTS.connect:g}",
        ),
        Field(
            "firstByte",
            Number(0.001, MAX_SECONDS, "seconds", is_whole=False),
            "For the answer to begin.",
            default="`API_TIMEOUT_MS`",
        ),
        Field(
            "idle",
            Number(0.001, MAX_SECONDS, "seconds", is_whole=False),
            "For any later silence.",
            default="`API_TIMEOUT_MS`",
        ),
        Field(
            "total",
            Number(0.001, MAX_SECONDS, "seconds", is_whole=False),
            "For an attempt from its beginning to its end.",
            default="none",
        ),
    ),
)

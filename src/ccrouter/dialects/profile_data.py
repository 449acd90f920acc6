"""What is known about providers: data, each fact with its reason. Holds no logic.

Where to put a new fact: on the provider if the server checks it; in `profile_families` if the model's template or
weights do; as a family inside a provider if it holds for those models only there. Everything unknown stays at the
conservative default of `Profile`.
"""

from __future__ import annotations

from ccrouter.dialects.profile import KnownProvider, Profile, family
from ccrouter.dialects.profile_families import LOW_TO_HIGH, OPENAI_FAMILIES

GENERIC = KnownProvider(Profile())

# JSON Schema words that Gemini's function declarations do not know: "Unknown name ...: Cannot find field" (400).
_GEMINI_REFUSES = frozenset(
    {
        "$schema", "$id", "$comment", "$defs", "definitions", "$ref", "$anchor", "additionalProperties",
        "unevaluatedProperties", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "contains", "minContains", "maxContains",
        "prefixItems", "additionalItems", "const", "not", "if", "then", "else", "oneOf", "allOf", "examples",
        "readOnly", "writeOnly", "deprecated", "contentEncoding", "contentMediaType", "contentSchema", "default",
        "format",
    }
)  # fmt: skip
# llama.cpp turns a schema into a grammar and fails on patterns without anchors and on unknown formats (500).
_LLAMA_REFUSES = frozenset({"$schema", "$id", "$comment", "pattern", "format"})

_OPENAI = Profile(
    name="openai",
    docs="https://platform.openai.com/docs/api-reference/chat",
    max_tokens_field="max_completion_tokens",  # max_tokens is deprecated for all models there
    replays_reasoning="",  # Chat Completions neither gives nor takes reasoning text
    think_tags=False,
    accepts_mid_system=True,
    accepts_files="data",
    # 400 "string too long. Expected a string with maximum length 40" for messages[].tool_calls[].id
    tool_id_limit=40,
    accepts_parallel_flag=True,
    accepts_response_format="json_schema",
    session_member="prompt_cache_key",
)

_OPENROUTER = Profile(
    name="openrouter",
    docs="https://openrouter.ai/docs/api-reference/overview",
    default_max_tokens=None,  # optional there, and a high one rules providers out
    auth="both",  # /v1/messages prefers x-api-key over Authorization; the same key in both is right everywhere
    accepts_top_k=True,
    reasoning_style="openrouter",
    efforts=("minimal", *LOW_TO_HIGH, "xhigh", "max"),  # the gateway maps them to what the model knows
    accepts_budget=True,
    replays_reasoning="reasoning_details",
    accepts_files="url",  # data URLs and plain ones; models that cannot read PDF get extracted text
    tool_id_limit=64,
    accepts_parallel_flag=True,
    web_search_tool="openrouter:web_search",
    accepts_response_format="json_schema",
    session_member="session_id",  # sticky routing keeps the upstream's prompt cache warm
    reports_cost=True,  # openrouter.ai/docs/use-cases/usage-accounting: in every usage, without being asked
)
_OPENROUTER_FAMILIES = (
    # Undo what the families say of their makers' own endpoints: the gateway translates all of it.
    family(
        r"",
        reasoning_style="openrouter",
        replays_reasoning="reasoning_details",
        max_tokens_field="max_tokens",
        system_role="system",
        must_replay_reasoning=False,
        effort_off="",
    ),
    # Breakpoints are honoured for these (docs: prompt caching); elsewhere they are noise.
    family(r"claude|gemini|qwen", keeps_cache_control=True),
    # Hybrid models, whose reasoning may be switched off. Where it is mandatory, "none" is refused with 400.
    family(
        r"claude|deepseek-(chat-)?v3\.[1-9]|deepseek-v[4-9]|glm-(4\.[5-9]|5)|qwen3|kimi-k2\.[56]|gpt-5\.[1-9]|grok-4.*fast"
        r"|gemini-2\.5-flash",
        effort_off="none",
    ),
    family(r"qwen3-(coder|.*(thinking|instruct))|deepseek.*speciale|gpt-5\.\d-pro|glm-5\.3", effort_off=""),
)

_DEEPSEEK = Profile(
    name="deepseek",
    docs="https://api-docs.deepseek.com/guides/thinking_mode",
    reasoning_style="thinking",
    # 422 "invalid type: sequence, expected a string" for content parts (cline/cline#230)
    string_content_only=True,
    accepts_images=False,
    accepts_response_format="json_object",
    must_replay_reasoning=True,
    max_stops=16,
)

_GEMINI = Profile(
    name="gemini",
    docs="https://ai.google.dev/gemini-api/docs/openai",
    reasoning_style="effort",
    efforts=("minimal", *LOW_TO_HIGH),
    replays_reasoning="",  # thoughts are signed on the calls (extra_content), not sent back as text
    think_tags=False,
    names_tool_results=True,  # 400 "Request contains an invalid argument" without `name` on a tool message
    strips_schema_keywords=_GEMINI_REFUSES,
    inlines_schema_refs=True,
    accepts_response_format="json_schema",
    accepts_image_urls=False,
    max_stops=5,
)

_GROQ = Profile(
    name="groq",
    docs="https://console.groq.com/docs/openai",
    max_tokens_field="max_completion_tokens",
    replays_reasoning="",  # 400 "property 'reasoning_content' is unsupported"
    accepts_parallel_flag=True,
    accepts_response_format="json_object",
)

_MISTRAL = Profile(
    name="mistral",
    docs="https://docs.mistral.ai/api/",
    accepts_stream_usage=False,  # 422 "Extra inputs are not permitted"; the last chunk has usage anyway
    replays_reasoning="",
    think_tags=False,
    has_short_tool_ids=True,  # 400 "Tool call id was ... but must be a-z, A-Z, 0-9, with a length of 9"
    accepts_user_after_tool=False,  # 400 "Unexpected role 'user' after role 'tool'" (code 3230)
    names_tool_results=True,
    prefill_member="prefix",
    accepts_parallel_flag=True,
    accepts_response_format="json_schema",
)

_MOONSHOT = Profile(
    name="moonshot",
    docs="https://platform.kimi.ai/docs/api/chat",
    tool_choice_forms=frozenset({"auto", "none"}),  # "required" and named are refused while thinking is on
    prefill_member="partial",
    accepts_response_format="json_object",
    max_stops=5,
)

_ZAI = Profile(
    name="zai",
    docs="https://docs.z.ai/guides/capabilities/thinking-mode",
    reasoning_style="thinking",
    adaptive_is_on=True,
    # Preserved thinking: off by default outside the coding endpoint, and an agent thinks everything anew without it.
    thinking_extra={"clear_thinking": False},
    # Without it a call's arguments arrive in one piece after minutes of silence.
    extra_with_streamed_tools={"tool_stream": True},
    tool_choice_forms=frozenset({"auto"}),
    max_stops=1,
    accepts_response_format="json_object",
)

_MINIMAX = Profile(
    name="minimax",
    docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
    # Without it thinking comes twice: as <think> in content and in a field of its own.
    extra={"reasoning_split": True},
    replays_reasoning="reasoning_details",
    repeats_reasoning=True,  # documented as snapshots, seen as increments (MiniMax-AI/MiniMax-M2#95): cope with both
    tool_choice_forms=frozenset({"auto"}),
)

_DASHSCOPE = Profile(
    name="dashscope",
    docs="https://help.aliyun.com/en/model-studio/deep-thinking",
    reasoning_style="qwen",
    accepts_top_k=True,
    thinks_only_streamed=True,  # 400 "parameter.enable_thinking must be set to false for non-streaming calls"
    accepts_parallel_flag=True,
    tool_choice_forms=frozenset({"auto", "none"}),  # the others are refused in thinking mode
    prefill_member="partial",
    accepts_response_format="json_object",
)

_QWEN_STYLE = {"reasoning_style": "qwen"}

#: In the order of recognition; a more special host before a more general one.
PROVIDERS = (
    KnownProvider(_OPENROUTER, hosts=("openrouter.ai",), names=("open-router",), families=_OPENROUTER_FAMILIES),
    KnownProvider(_OPENAI, hosts=("api.openai.com",), families=OPENAI_FAMILIES),
    KnownProvider(
        # platform.claude.com/docs/en/api/openai-sdk: strict, response_format and penalties are ignored there
        Profile(
            name="anthropic", docs="https://platform.claude.com/docs/en/api/openai-sdk", auth="x-api-key",
            is_first_party=True, default_max_tokens=32_000, replays_reasoning="", think_tags=False,
            accepts_files="data", accepts_parallel_flag=True,
        ),
        hosts=("api.anthropic.com",), names=("claude",),
        # The most that these can write; more is refused.
        families=(
            family(r"claude-3-(opus|sonnet|haiku)", default_max_tokens=4096),
            family(r"claude-3-5", default_max_tokens=8192),
        ),
    ),
    KnownProvider(
        _DEEPSEEK, hosts=("api.deepseek.com",),
        families=(
            # The valid range of max_tokens is checked: 8 k for deepseek-chat, 64 k for the reasoner.
            family(r"^deepseek-chat$", max_tokens_cap=8192),
            family(r"^deepseek-reasoner$", max_tokens_cap=65536),
            # From V4 on effort can be said; "medium" counts as "high" there.
            family(r"v[4-9]|flash|pro", efforts=("low", "high", "max")),
        ),
    ),
    KnownProvider(
        _GEMINI, hosts=("generativelanguage.googleapis.com",), names=("google", "google-gemini"),
        families=(
            family(r"gemini-2\.5-flash", effort_off="none"),
            family(r"gemini-2\.5-pro", effort_off="low"),
            # Calls that Gemini did not sign itself are refused unless they carry this word instead
            # (ai.google.dev/gemini-api/docs/thought-signatures).
            family(r"gemini-[3-9]", effort_off="low", placeholder_signature="skip_thought_signature_validator"),
            family(r"gemini-[3-9].*flash", effort_off="minimal"),
            family(r"gemini-(1|2\.0)|gemma", reasoning_style="none"),
            # ai.google.dev/gemini-api/docs/models: the output token limit
            family(r"gemini-2\.0-flash", max_tokens_cap=8192),
            family(r"gemini-(2\.5|3).*(pro|flash)", max_tokens_cap=65536),
        ),
    ),
    KnownProvider(
        _GROQ, hosts=("api.groq.com",),
        families=(
            # "default" is the only other word that Qwen takes there; it is what is meant by saying nothing.
            family(r"qwen3|qwen-3", reasoning_style="effort", efforts=(), effort_off="none"),
            family(r"kimi|llama-3|gpt-oss|qwen", accepts_images=False),
            # console.groq.com/docs/models: max completion tokens
            family(r"llama-3\.3-70b-versatile", max_tokens_cap=32768),
            family(r"gpt-oss-\d+b$", max_tokens_cap=65536),
            family(r"llama-4-(scout|maverick)", max_tokens_cap=8192),
        ),
    ),
    KnownProvider(_MISTRAL, hosts=("api.mistral.ai", "codestral.mistral.ai"), names=("mistralai", "codestral")),
    KnownProvider(
        _MOONSHOT, hosts=("api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"), names=("kimi", "moonshotai"),
        families=(
            # Sampling is fixed by the platform: "invalid temperature: only 1 is allowed for this model".
            family(r"kimi|^k\d", accepts_sampling=False, max_tokens_field="max_completion_tokens"),
            family(r"k2\.[56]", reasoning_style="thinking"),
            # Always thinking; "disabled" is an error.
            family(r"k2\.7", reasoning_style="thinking", can_disable_thinking=False),
            family(
                r"k[3-9]", reasoning_style="effort", efforts=("low", "high", "max"), effort_off="low",
                can_disable_thinking=False,
            ),
        ),
    ),
    KnownProvider(
        _ZAI, hosts=("api.z.ai", "open.bigmodel.cn"), names=("z.ai", "z-ai", "zhipu", "glm", "bigmodel"),
        families=(
            family(r"glm-5\.[2-9]", efforts=("low", "high", "max")),
            family(r"glm-5\.[3-9]", can_disable_thinking=False),
            family(r"glm-(3|4(-|$|v))", reasoning_style="none"),
        ),
    ),
    KnownProvider(
        _MINIMAX, hosts=("api.minimax.io", "api.minimaxi.com", "api.minimax.chat"),
        families=(
            family(r"", replays_reasoning="reasoning_details"),
            family(r"minimax-m[3-9]", reasoning_style="thinking"),
        ),
    ),
    KnownProvider(
        _DASHSCOPE, hosts=("aliyuncs.com",), names=("qwen", "alibaba", "bailian", "modelstudio"),
        families=(
            family(r"deepseek|glm|kimi|minimax", accepts_parallel_flag=False),
            family(r"qwen3-coder", reasoning_style="none"),  # these do not think
            family(r"^qwen3-coder-(plus|flash)", max_tokens_cap=65536),
        ),
    ),
    KnownProvider(
        Profile(
            name="modelscope", docs="https://modelscope.cn/docs/model-service/API-Inference/intro",
            thinks_only_streamed=True,  # 400 "enable thinking can not be support when `stream=False`"
        ),
        hosts=("modelscope.cn",), families=(family(r"qwen3(?!.*(coder|instruct))", **_QWEN_STYLE),),
    ),
    KnownProvider(
        Profile(
            name="volcengine", docs="https://www.volcengine.com/docs/82379/1494384", reasoning_style="thinking",
            efforts=("minimal", *LOW_TO_HIGH), accepts_parallel_flag=True, accepts_response_format="json_object",
        ),
        hosts=("volces.com", "bytepluses.com"), names=("doubao", "ark", "byteplus"),
        # Only Seed models know effort and can be told to think or not.
        families=(
            family(r"^(?!.*seed)", reasoning_style="none"),
            family(r"seed-1[-.]6", efforts=()), family(r"thinking", can_disable_thinking=False),
        ),
    ),
    KnownProvider(
        Profile(
            name="siliconflow", docs="https://docs.siliconflow.cn/en/api-reference/chat-completions/chat-completions",
            accepts_top_k=True, accepts_budget=True, accepts_response_format="json_object",
        ),
        hosts=("siliconflow.cn", "siliconflow.com"),
        # Other models: 400 "current model does not support parameter `enable_thinking`".
        families=(family(r"qwen3-\d+b|qwen3-235b-a22b$|glm-4\.[56]|deepseek-v3\.[12]", **_QWEN_STYLE),),
    ),
    KnownProvider(
        Profile(
            name="cerebras", docs="https://inference-docs.cerebras.ai/api-reference/chat-completions",
            max_tokens_field="max_completion_tokens", replays_reasoning="", accepts_images=False,
            accepts_parallel_flag=True, accepts_response_format="json_schema",
        ),
        hosts=("api.cerebras.ai",), families=(family(r"zai-glm", reasoning_style="effort", effort_off="none"),),
    ),
    KnownProvider(
        Profile(
            name="xai", docs="https://docs.x.ai/docs/api-reference", accepts_mid_system=True, think_tags=False,
            max_tokens_field="max_completion_tokens", replays_reasoning="", accepts_parallel_flag=True,
            accepts_response_format="json_schema",
        ),
        hosts=("api.x.ai",), names=("x.ai", "grok"),
        families=(
            # Reasoning models refuse `stop`; only some know effort, the rest answer 400 to it.
            family(r"grok-(4|3-mini|code|build)", max_stops=0),
            family(r"grok-3-mini", reasoning_style="effort", efforts=("low", "high"), effort_off="low"),
            family(r"grok-4\.3", reasoning_style="effort", efforts=("none", *LOW_TO_HIGH), effort_off="none"),
            family(r"grok-4\.[5-9]", reasoning_style="effort", efforts=LOW_TO_HIGH, effort_off="low"),
        ),
    ),
    KnownProvider(
        Profile(
            name="together", docs="https://docs.together.ai/reference/chat-completions-1", accepts_top_k=True,
            replays_reasoning="", accepts_response_format="json_schema",
        ),
        hosts=("together.xyz", "together.ai"),
    ),
    KnownProvider(
        Profile(
            name="fireworks", docs="https://docs.fireworks.ai/api-reference/post-chatcompletions", accepts_top_k=True,
            accepts_response_format="json_schema",
        ),
        hosts=("fireworks.ai",),
        families=(
            # reasoning_effort "none" switches hybrid models off (docs.fireworks.ai/guides/reasoning).
            family(r"deepseek-v3p[12]|glm-4p[5-9]|glm-5|qwen3-\d+b", reasoning_style="effort", effort_off="none"),
        ),
    ),
    KnownProvider(
        # github.com/ollama/ollama/blob/main/docs/api/openai-compatibility.mdx: images as data only, tool_choice is
        # ignored. A model that cannot think answers 400 to any effort but "none".
        Profile(
            name="ollama", docs="https://docs.ollama.com/api/openai-compatibility", reasoning_style="effort",
            effort_off="none", accepts_image_urls=False, replays_reasoning="reasoning",
            accepts_response_format="json_schema", textual_tool_calls=True,
        ),
        hosts=("ollama.com",), names=("ollama-cloud",), port=11434,
    ),
    KnownProvider(
        # lmstudio.ai/docs/app/api/tools: tool_choice is a word, never an object
        Profile(
            name="lmstudio", docs="https://lmstudio.ai/docs/app/api/endpoints/openai", accepts_top_k=True,
            accepts_image_urls=False, tool_choice_forms=frozenset({"auto", "none", "required"}),
            accepts_response_format="json_schema", textual_tool_calls=True,
        ),
        names=("lm-studio", "lm_studio", "lm studio"), port=1234,
    ),
    KnownProvider(
        Profile(
            name="vllm", docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
            reasoning_style="template", accepts_top_k=True, accepts_parallel_flag=True,
            accepts_response_format="json_schema", replays_reasoning="reasoning_content",
        ),
        names=("sglang",),
    ),
    KnownProvider(
        Profile(
            name="llamacpp", docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
            reasoning_style="template", accepts_top_k=True, accepts_parallel_flag=True, accepts_image_urls=False,
            strips_schema_keywords=_LLAMA_REFUSES, accepts_response_format="json_schema", max_stops=16,
        ),
        names=("llama.cpp", "llama-cpp", "llama_cpp", "llama-server"),
    ),
    KnownProvider(
        Profile(name="nvidia", docs="https://docs.api.nvidia.com/nim/reference/llm-apis", replays_reasoning=""),
        hosts=("api.nvidia.com",), names=("nim",),
    ),
    KnownProvider(
        Profile(
            name="github", docs="https://docs.github.com/en/rest/models/inference", replays_reasoning="",
            accepts_mid_system=True, tool_id_limit=40, accepts_response_format="json_schema",
        ),
        hosts=("models.github.ai", "models.inference.ai.azure.com"), names=("github-models", "githubmodels"),
        families=OPENAI_FAMILIES,
    ),
    KnownProvider(
        # learn.microsoft.com/azure/ai-foundry/openai/reference: the key goes into `api-key`
        Profile(
            name="azure", docs="https://learn.microsoft.com/azure/ai-foundry/openai/reference", auth="azure-api-key",
            replays_reasoning="", think_tags=False, accepts_mid_system=True, tool_id_limit=40,
            accepts_parallel_flag=True, accepts_response_format="json_schema",
        ),
        hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"), names=("azure-openai",),
        families=OPENAI_FAMILIES,
    ),
)  # fmt: skip

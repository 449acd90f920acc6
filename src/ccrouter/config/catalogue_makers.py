"""The catalogue, first half: those who make models, at their own endpoints. Data only.

`confirmed` is the day on which URL and ids were looked up: in the provider's documents, or in models.dev, which is made
from them.
"""

from __future__ import annotations

from ccrouter.config.catalogue import entry

_READ = "2026-11-22"

MAKERS = (
    entry(
        "anthropic", "Anthropic", "https://api.anthropic.com/v1/messages", "ANTHROPIC_API_KEY", "anthropic",
        "https://platform.claude.com/docs/en/api/overview",
        {
            "claude-opus-5": "default think longContext image",
            "claude-sonnet-5": "default webSearch longContext image",
            "claude-haiku-4-5": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "openai", "OpenAI (Chat Completions)", "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY",
        "openai_chat", "https://platform.openai.com/docs/models",
        {"gpt-5.5": "default think longContext image", "gpt-5-mini": "background"},
        confirmed=_READ, note="Reasoning stays between the turns with the Responses entry only.",
    ),
    entry(
        "openai-responses", "OpenAI (Responses)", "https://api.openai.com/v1/responses", "OPENAI_API_KEY",
        "openai_responses", "https://platform.openai.com/docs/api-reference/responses",
        {
            "gpt-5.5": "default think longContext webSearch image",
            "gpt-5.3-codex": "default think",
            "gpt-5-mini": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/models/", "GEMINI_API_KEY",
        "gemini", "https://ai.google.dev/gemini-api/docs/models",
        {
            "gemini-3.1-pro-preview": "default think longContext image",
            "gemini-3.5-flash": "default webSearch longContext image",
            "gemini-3.1-flash-lite": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "gemini-openai", "Google Gemini (OpenAI-compatible)",
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "GEMINI_API_KEY", "openai_chat",
        "https://ai.google.dev/gemini-api/docs/openai",
        {"gemini-3.5-flash": "default longContext image", "gemini-3.1-flash-lite": "background"},
        confirmed=_READ,
    ),
    entry(
        "deepseek", "DeepSeek", "https://api.deepseek.com/chat/completions", "DEEPSEEK_API_KEY", "openai_chat",
        "https://api-docs.deepseek.com/quick_start/pricing",
        {"deepseek-v4-pro": "default think longContext", "deepseek-v4-flash": "background default"},
        confirmed=_READ,
    ),
    entry(
        "deepseek-anthropic", "DeepSeek (Anthropic-compatible)", "https://api.deepseek.com/anthropic/v1/messages",
        "DEEPSEEK_API_KEY", "anthropic", "https://api-docs.deepseek.com/guides/anthropic_api",
        {"deepseek-v4-pro": "default think longContext", "deepseek-v4-flash": "background default"},
        confirmed=_READ,
    ),
    entry(
        "mistral", "Mistral AI", "https://api.mistral.ai/v1/chat/completions", "MISTRAL_API_KEY", "openai_chat",
        "https://docs.mistral.ai/getting-started/models/",
        {
            "mistral-large-latest": "default image",
            "devstral-medium-latest": "default",
            "magistral-medium-latest": "think",
            "mistral-small-latest": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "xai", "xAI", "https://api.x.ai/v1/chat/completions", "XAI_API_KEY", "openai_chat",
        "https://docs.x.ai/docs/models",
        {"grok-4.5": "default think image", "grok-4.3": "default longContext", "grok-4-fast": "background"},
        confirmed=_READ,
    ),
    entry(
        "moonshot", "Moonshot AI (Kimi)", "https://api.moonshot.ai/v1/chat/completions", "MOONSHOT_API_KEY",
        "openai_chat", "https://platform.moonshot.ai/docs/api/chat",
        {"kimi-k3": "default think longContext", "kimi-k2.6": "default image background"},
        confirmed=_READ,
    ),
    entry(
        "moonshot-anthropic", "Moonshot AI (Kimi, Anthropic-compatible)",
        "https://api.moonshot.ai/anthropic/v1/messages", "MOONSHOT_API_KEY", "anthropic",
        "https://platform.moonshot.ai/docs/guide/agent-support",
        {"kimi-k3": "default think longContext", "kimi-k2.6": "default image background"},
        note="The URL is as users of it report it.",
    ),
    entry(
        "moonshot-cn", "Moonshot AI (Kimi, China)", "https://api.moonshot.cn/v1/chat/completions", "MOONSHOT_API_KEY",
        "openai_chat", "https://platform.moonshot.cn/docs/api/chat",
        {"kimi-k3": "default think longContext", "kimi-k2.6": "default image background"},
        note="Keys of the international platform are not valid there.",
    ),
    entry(
        "kimi-code", "Kimi Code (subscription)", "https://api.kimi.com/coding/v1/messages", "KIMI_API_KEY", "anthropic",
        "https://www.kimi.com/code/docs/en/kimi-code/models.html",
        {"kimi-for-coding": "default think longContext image", "kimi-for-coding-highspeed": "background"},
        confirmed=_READ, note="Its keys are not those of Moonshot's platform.",
    ),
    entry(
        "zai", "Z.ai (GLM)", "https://api.z.ai/api/paas/v4/chat/completions", "ZAI_API_KEY", "openai_chat",
        "https://docs.z.ai/guides/overview/pricing",
        {"glm-5.1": "default think longContext", "glm-5v-turbo": "image", "glm-4.5-air": "background"},
        confirmed=_READ,
    ),
    entry(
        "zai-anthropic", "Z.ai (GLM, Anthropic-compatible)", "https://api.z.ai/api/anthropic/v1/messages",
        "ZAI_API_KEY", "anthropic", "https://docs.z.ai/devpack/tool/claude",
        {"glm-5.2": "default think longContext", "glm-4.5-air": "background"},
        note="For the Coding Plan. The URL is as users of it report it.",
    ),
    entry(
        "zai-coding", "Z.ai Coding Plan", "https://api.z.ai/api/coding/paas/v4/chat/completions", "ZAI_API_KEY",
        "openai_chat", "https://docs.z.ai/devpack/overview",
        {"glm-5.2": "default think longContext", "glm-5-turbo": "default", "glm-4.7": "background"},
        confirmed=_READ,
    ),
    entry(
        "zhipu", "Zhipu AI (GLM, China)", "https://open.bigmodel.cn/api/paas/v4/chat/completions", "ZHIPU_API_KEY",
        "openai_chat", "https://open.bigmodel.cn/dev/api",
        {"glm-5.1": "default think longContext", "glm-4.5-air": "background"},
    ),
    entry(
        "minimax", "MiniMax", "https://api.minimax.io/v1/chat/completions", "MINIMAX_API_KEY", "openai_chat",
        "https://platform.minimax.io/docs/api-reference/text-openai-api",
        {"MiniMax-M3": "default think longContext", "MiniMax-M2.5": "background"},
        confirmed=_READ,
    ),
    entry(
        "minimax-anthropic", "MiniMax (Anthropic-compatible)", "https://api.minimax.io/anthropic/v1/messages",
        "MINIMAX_API_KEY", "anthropic", "https://platform.minimax.io/docs/guides/quickstart",
        {"MiniMax-M3": "default think longContext", "MiniMax-M2.5": "background"},
        confirmed=_READ,
    ),
    entry(
        "dashscope", "Alibaba Model Studio (Qwen, international)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", "DASHSCOPE_API_KEY", "openai_chat",
        "https://www.alibabacloud.com/help/en/model-studio/models",
        {
            "qwen3-coder-plus": "default longContext",
            "qwen3-max": "default think",
            "qwen3-vl-flash": "image",
            "qwen-flash": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "dashscope-anthropic", "Alibaba Model Studio (Qwen, Anthropic-compatible)",
        "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages", "DASHSCOPE_API_KEY", "anthropic",
        "https://www.alibabacloud.com/help/en/model-studio/anthropic-api-messages",
        {"qwen3-coder-plus": "default longContext", "qwen3-max": "default think", "qwen-flash": "background"},
        confirmed=_READ,
    ),
    entry(
        "dashscope-cn", "Alibaba Model Studio (Qwen, China)",
        "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions", "DASHSCOPE_API_KEY", "openai_chat",
        "https://help.aliyun.com/en/model-studio/models",
        {"qwen3-coder-plus": "default longContext", "qwen3-max": "default think", "qwen-flash": "background"},
    ),
    entry(
        "volcengine", "Volcengine Ark (Doubao)", "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
        "ARK_API_KEY", "openai_chat", "https://www.volcengine.com/docs/82379/1330310",
        {
            "doubao-seed-2-1-pro-260628": "default think longContext image",
            "doubao-seed-2-1-turbo-260628": "default",
            "doubao-seed-2-0-mini-260428": "background",
        },
        confirmed=_READ, note="Each model has to be opened in the console first.",
    ),
    entry(
        "cohere", "Cohere", "https://api.cohere.ai/compatibility/v1/chat/completions", "COHERE_API_KEY", "openai_chat",
        "https://docs.cohere.com/docs/compatibility-api",
        {
            "command-a-plus-05-2026": "default",
            "command-a-reasoning-08-2025": "think",
            "command-r7b-12-2024": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "perplexity", "Perplexity", "https://api.perplexity.ai/chat/completions", "PERPLEXITY_API_KEY", "openai_chat",
        "https://docs.perplexity.ai/api-reference/chat-completions-post",
        {"sonar-pro": "webSearch", "sonar": "webSearch"},
        note="Its models search the web, and call no tools: for `webSearch`, not for a coding agent.",
    ),
)  # fmt: skip

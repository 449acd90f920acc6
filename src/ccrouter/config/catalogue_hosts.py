"""The catalogue, second half: gateways, those who host others' models, clouds, and servers on one's own machine. Data
only.

`confirmed` is the day on which URL and ids were looked up: in the provider's documents, or in models.dev, which is made
from them.
"""

from __future__ import annotations

from ccrouter.config.catalogue import Question, entry

_READ = "2026-11-22"
_GOOGLE = {
    "project": Question("Google Cloud project", "my-project"),
    "location": Question("location (a region, or global)", "global"),
}

HOSTS = (
    # gateways: many makers behind one key
    entry(
        "openrouter", "OpenRouter", "https://openrouter.ai/api/v1/messages", "OPENROUTER_API_KEY", "anthropic",
        "https://openrouter.ai/docs/api-reference/overview",
        {
            "qwen/qwen3-coder": "default",
            "anthropic/claude-sonnet-5": "default think longContext webSearch image",
            "z-ai/glm-5.2": "default think longContext",
            "moonshotai/kimi-k3": "default think longContext",
            "anthropic/claude-haiku-4.5": "background",
        },
        confirmed=_READ, note="Speaks Messages itself: nothing is translated on the way.",
    ),
    entry(
        "openrouter-openai", "OpenRouter (Chat Completions)", "https://openrouter.ai/api/v1/chat/completions",
        "OPENROUTER_API_KEY", "openai_chat", "https://openrouter.ai/docs/api-reference/overview",
        {
            "qwen/qwen3-coder": "default",
            "anthropic/claude-sonnet-5": "default think longContext webSearch image",
            "z-ai/glm-5.2": "default think longContext",
            "moonshotai/kimi-k3": "default think longContext",
            "anthropic/claude-haiku-4.5": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "vercel", "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1/chat/completions", "AI_GATEWAY_API_KEY",
        "openai_chat", "https://vercel.com/docs/ai-gateway",
        {"anthropic/claude-sonnet-4.6": "default think longContext image", "anthropic/claude-haiku-4.5": "background"},
        confirmed=_READ,
    ),
    entry(
        "huggingface", "Hugging Face Inference Providers", "https://router.huggingface.co/v1/chat/completions",
        "HF_TOKEN", "openai_chat", "https://huggingface.co/docs/inference-providers",
        {
            "zai-org/GLM-5.2": "default think",
            "moonshotai/Kimi-K3": "default think longContext",
            "openai/gpt-oss-120b": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "aihubmix", "AiHubMix", "https://aihubmix.com/v1/chat/completions", "AIHUBMIX_API_KEY", "openai_chat",
        "https://docs.aihubmix.com", confirmed=_READ, note="Its list of models: `ccr model list --online`.",
    ),
    entry(
        "modelscope", "ModelScope", "https://api-inference.modelscope.cn/v1/chat/completions", "MODELSCOPE_API_KEY",
        "openai_chat", "https://modelscope.cn/docs/model-service/API-Inference/intro",
        {"Qwen/Qwen3-Coder-480B-A35B-Instruct": "default", "Qwen/Qwen3-235B-A22B-Thinking-2507": "think"},
        confirmed=_READ, note="The ids are as users of it report them.",
    ),
    entry(
        "github", "GitHub Models", "https://models.github.ai/inference/chat/completions", "GITHUB_TOKEN", "openai_chat",
        "https://docs.github.com/en/github-models", {"openai/o4-mini": "default think"},
        confirmed=_READ, note="Small limits on the length of a request.",
    ),
    entry(
        "siliconflow", "SiliconFlow", "https://api.siliconflow.com/v1/chat/completions", "SILICONFLOW_API_KEY",
        "openai_chat", "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        {
            "zai-org/GLM-5.1": "default think",
            "Qwen/Qwen3-Coder-480B-A35B-Instruct": "default",
            "zai-org/GLM-5V-Turbo": "image",
            "zai-org/GLM-4.5-Air": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "siliconflow-cn", "SiliconFlow (China)", "https://api.siliconflow.cn/v1/chat/completions",
        "SILICONFLOW_API_KEY", "openai_chat",
        "https://docs.siliconflow.cn/en/api-reference/chat-completions/chat-completions",
        {"zai-org/GLM-4.6": "default think", "Qwen/Qwen3-Coder-480B-A35B-Instruct": "default"},
    ),
    # hosts of open models
    entry(
        "groq", "Groq", "https://api.groq.com/openai/v1/chat/completions", "GROQ_API_KEY", "openai_chat",
        "https://console.groq.com/docs/models",
        {"openai/gpt-oss-120b": "default think", "qwen/qwen3-32b": "default", "openai/gpt-oss-20b": "background"},
        confirmed=_READ,
    ),
    entry(
        "cerebras", "Cerebras", "https://api.cerebras.ai/v1/chat/completions", "CEREBRAS_API_KEY", "openai_chat",
        "https://inference-docs.cerebras.ai/models/overview",
        {"zai-glm-4.7": "default think background"}, confirmed=_READ,
    ),
    entry(
        "sambanova", "SambaNova", "https://api.sambanova.ai/v1/chat/completions", "SAMBANOVA_API_KEY", "openai_chat",
        "https://docs.sambanova.ai/docs",
        {"DeepSeek-V3.2": "default think", "gpt-oss-120b": "default", "Meta-Llama-3.3-70B-Instruct": "background"},
        confirmed=_READ,
    ),
    entry(
        "together", "Together AI", "https://api.together.ai/v1/chat/completions", "TOGETHER_API_KEY", "openai_chat",
        "https://docs.together.ai/docs/serverless-models",
        {
            "zai-org/GLM-5.2": "default think",
            "moonshotai/Kimi-K2.6": "default image",
            "meta-llama/Llama-3.3-70B-Instruct-Turbo": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1/chat/completions", "FIREWORKS_API_KEY",
        "openai_chat", "https://docs.fireworks.ai/api-reference/post-chatcompletions",
        {
            "accounts/fireworks/models/glm-5p2": "default think",
            "accounts/fireworks/models/kimi-k2p6": "default image",
            "accounts/fireworks/models/gpt-oss-20b": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai/chat/completions", "DEEPINFRA_API_KEY",
        "openai_chat", "https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions",
        {"zai-org/GLM-5.2": "default think", "zai-org/GLM-4.6V": "image", "zai-org/GLM-4.7-Flash": "background"},
        confirmed=_READ,
    ),
    entry(
        "novita", "Novita AI", "https://api.novita.ai/openai/v1/chat/completions", "NOVITA_API_KEY", "openai_chat",
        "https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
        {"zai-org/glm-5.2": "default think", "zai-org/glm-4.6v": "image", "zai-org/glm-4.7-flash": "background"},
        confirmed=_READ,
    ),
    entry(
        "nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1/chat/completions", "NVIDIA_API_KEY", "openai_chat",
        "https://docs.api.nvidia.com/nim/reference/llm-apis", {"z-ai/glm-5.1": "default think"}, confirmed=_READ,
    ),
    entry(
        "nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1/chat/completions", "NEBIUS_API_KEY",
        "openai_chat", "https://docs.tokenfactory.nebius.com/",
        {
            "zai-org/GLM-5.2": "default think",
            "moonshotai/Kimi-K3": "default think longContext",
            "openai/gpt-oss-120b": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "baseten", "Baseten", "https://inference.baseten.co/v1/chat/completions", "BASETEN_API_KEY", "openai_chat",
        "https://docs.baseten.co/inference/model-apis/overview",
        {
            "zai-org/GLM-5.2": "default think",
            "moonshotai/Kimi-K2.6": "default image",
            "openai/gpt-oss-120b": "background",
        },
        confirmed=_READ,
    ),
    entry(
        "chutes", "Chutes", "https://llm.chutes.ai/v1/chat/completions", "CHUTES_API_KEY", "openai_chat",
        "https://chutes.ai/docs", {"zai-org/GLM-5.2-TEE": "default think", "zai-org/GLM-4.7-TEE": "background"},
        confirmed=_READ,
    ),
    entry(
        "hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz/v1/chat/completions", "HYPERBOLIC_API_KEY",
        "openai_chat", "https://docs.hyperbolic.xyz/docs",
        {"deepseek-ai/DeepSeek-R1-0528": "think", "meta-llama/Llama-3.3-70B-Instruct": "default background"},
        note="URL and ids are as users of it report them.",
    ),
    entry(
        "scaleway", "Scaleway Generative APIs", "https://api.scaleway.ai/v1/chat/completions", "SCALEWAY_API_KEY",
        "openai_chat", "https://www.scaleway.com/en/docs/generative-apis/", confirmed=_READ,
        note="Its list of models: `ccr model list --online`.",
    ),
    entry(
        "venice", "Venice AI", "https://api.venice.ai/api/v1/chat/completions", "VENICE_API_KEY", "openai_chat",
        "https://docs.venice.ai", confirmed=_READ, note="Its list of models: `ccr model list --online`.",
    ),
    entry(
        "ollama-cloud", "Ollama Cloud", "https://ollama.com/v1/chat/completions", "OLLAMA_API_KEY", "openai_chat",
        "https://docs.ollama.com/cloud",
        {"glm-5.2": "default think", "kimi-k2.6": "default image", "gpt-oss:20b": "background"}, confirmed=_READ,
    ),
    # clouds
    entry(
        "azure", "Azure OpenAI", "https://{resource}.openai.azure.com/openai/v1/chat/completions",
        "AZURE_OPENAI_API_KEY", "openai_chat", "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
        note="Models are named by the deployments that you made of them.",
        questions={"resource": Question("name of the Azure resource", "my-resource")},
    ),
    entry(
        "vertex-claude", "Google Vertex AI (Claude)", "", "", "anthropic",
        "https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude",
        {
            "claude-sonnet-4-6": "default webSearch longContext image",
            "claude-opus-4-7": "think longContext image",
            "claude-haiku-4-5@20251001": "background",
        },
        confirmed=_READ, note="Credentials of gcloud, or a service account's file; needs ccrouter[vertex].",
        platform="vertex", options={"project": "{project}", "location": "{location}"}, questions=_GOOGLE,
    ),
    entry(
        "vertex-gemini", "Google Vertex AI (Gemini)", "", "", "gemini",
        "https://cloud.google.com/vertex-ai/generative-ai/docs/models",
        {"gemini-2.5-pro": "default think longContext image", "gemini-2.5-flash": "default webSearch background"},
        note="Credentials of gcloud, or a service account's file; needs ccrouter[vertex].",
        platform="vertex", options={"project": "{project}", "location": "{location}"}, questions=_GOOGLE,
    ),
    entry(
        "bedrock", "Amazon Bedrock (Claude)", "", "", "anthropic",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-supported-models.html",
        {
            "anthropic.claude-sonnet-4-6": "default think longContext image",
            "anthropic.claude-haiku-4-5-20251001-v1:0": "background",
        },
        confirmed=_READ,
        note="AWS credentials as every AWS tool finds them; needs ccrouter[bedrock]. Most accounts ask for inference "
        "profiles: `us.`, `eu.` or `global.` before the model.",
        platform="bedrock", options={"location": "{region}"},
        questions={"region": Question("AWS region", "us-east-1")},
    ),
    # on one's own machine
    entry(
        "ollama", "Ollama", "http://localhost:11434/v1/chat/completions", "", "openai_chat",
        "https://docs.ollama.com/api/openai-compatibility", {"qwen3-coder:30b": "default", "gpt-oss:20b": "background"},
        note="Raise the context length there (OLLAMA_CONTEXT_LENGTH): an agent needs 32k at least.",
    ),
    entry(
        "lmstudio", "LM Studio", "http://localhost:1234/v1/chat/completions", "", "openai_chat",
        "https://lmstudio.ai/docs/developer/openai-compat/chat-completions", {}, confirmed=_READ,
        note="Its list of models: `ccr model list --online`.",
    ),
    entry(
        "vllm", "vLLM", "http://localhost:8000/v1/chat/completions", "", "openai_chat",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html", {},
        note="Start it with --enable-auto-tool-choice and the --tool-call-parser of the model.",
    ),
    entry(
        "llamacpp", "llama.cpp server", "http://localhost:8080/v1/chat/completions", "", "openai_chat",
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server", {},
        note="Start it with --jinja, or it calls no tools.",
    ),
)  # fmt: skip

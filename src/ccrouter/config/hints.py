"""What a newcomer without a provider should know: which lines to add. Never uses a key that was not configured."""

from __future__ import annotations

from collections.abc import Mapping

from ccrouter.config.endpoint import GEMINI_URL
from ccrouter.config.report import Place

#: Variables in which keys are usually kept → name, URL and a model of the provider that they are for.
WELL_KNOWN: Mapping[str, tuple[str, str, str]] = {
    "OPENROUTER_API_KEY": ("openrouter", "https://openrouter.ai/api/v1/chat/completions", "qwen/qwen3-coder"),
    "ANTHROPIC_API_KEY": ("anthropic", "https://api.anthropic.com/v1/messages", "claude-sonnet-4-5"),
    "DEEPSEEK_API_KEY": ("deepseek", "https://api.deepseek.com/chat/completions", "deepseek-chat"),
    "GEMINI_API_KEY": ("gemini", GEMINI_URL, "gemini-2.5-pro"),
    "OPENAI_API_KEY": ("openai", "https://api.openai.com/v1/chat/completions", "gpt-5"),
    "MOONSHOT_API_KEY": ("moonshot", "https://api.moonshot.ai/v1/chat/completions", "kimi-k2-0905-preview"),
    "GROQ_API_KEY": ("groq", "https://api.groq.com/openai/v1/chat/completions", "openai/gpt-oss-120b"),
    "MISTRAL_API_KEY": ("mistral", "https://api.mistral.ai/v1/chat/completions", "devstral-medium-latest"),
}


def hint_at_providers(place: Place, environ: Mapping[str, str]) -> None:
    """Warns that the built-in provider answers, with the lines that would use the first well-known key of `environ`.

    The key is not used unasked: whoever only wants to look would be charged.
    """
    variable = next((name for name in WELL_KNOWN if environ.get(name)), None)
    message = "there is no provider yet: the built-in dry-run answers, with scripted text and free of charge"
    if variable:
        message += f". {variable} is set in your environment, but nothing uses it"
    variable = variable or "OPENROUTER_API_KEY"
    name, url, model = WELL_KNOWN[variable]
    place.warn(
        message,
        f'"Providers": [{{ "name": "{name}", "api_base_url": "{url}", "api_key": "${{{variable}}}",'
        f' "models": ["{model}"] }}], "Router": {{ "default": "{name},{model}" }}',
    )

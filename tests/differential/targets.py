"""The targets that conversations are carried to: of every dialect those whose profiles differ most."""

from __future__ import annotations

from ccrouter.config.schema import DialectName, Endpoint, Provider, Target

_PLACES: dict[str, tuple[DialectName, str, str, str]] = {
    "anthropic": ("anthropic", "anthropic", "https://api.anthropic.com/v1/messages", "claude-sonnet-4-6"),
    "relay": ("anthropic", "relay", "https://relay.test/v1/messages", "m1"),
    "openai": ("openai_chat", "openai", "https://api.openai.com/v1/chat/completions", "gpt-5.2"),
    "openrouter": ("openai_chat", "openrouter", "https://openrouter.ai/api/v1/chat/completions", "google/gemini-3-pro"),
    "deepseek": ("openai_chat", "deepseek", "https://api.deepseek.com/chat/completions", "deepseek-reasoner"),
    "mistral": ("openai_chat", "mistral", "https://api.mistral.ai/v1/chat/completions", "mistral-large"),
    "ollama": ("openai_chat", "ollama", "http://127.0.0.1:11434/v1/chat/completions", "qwen3"),
    "responses": ("openai_responses", "openai", "https://api.openai.com/v1/responses", "gpt-5.2"),
    "gemini": (
        "gemini", "google", "https://generativelanguage.googleapis.com/v1beta/models", "gemini-3-pro-preview",
    ),
    "gemini 2.5": (
        "gemini", "google", "https://generativelanguage.googleapis.com/v1beta/models", "gemini-2.5-flash",
    ),
    # Beside those above: another model of the same provider, and the same providers by another dialect.
    "gpt 5.1": ("openai_responses", "openai", "https://api.openai.com/v1/responses", "gpt-5.1"),
    "openrouter responses": ("openai_responses", "openrouter", "https://openrouter.ai/api/v1/responses", "google/gemini-3-pro"),
    "gemini chat": (
        "openai_chat", "google", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "gemini-3-pro-preview",
    ),
}  # fmt: skip

TARGETS: dict[str, Target] = {
    word: Target(Provider(name, (Endpoint(dialect, url),)), model)
    for word, (dialect, name, url, model) in _PLACES.items()
}


def dialect_of(word: str) -> DialectName:
    return TARGETS[word].endpoint.dialect

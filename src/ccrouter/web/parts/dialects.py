"""What the wire formats are called by those who use them."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "anthropic": "Anthropic Messages",
    "openai_chat": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "gemini": "Gemini",
}


def dialect_words(name: str) -> str:
    """The name that people know it by."""
    return _WORDS.get(name, name)

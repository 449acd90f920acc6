"""Names of models: spelled otherwise, but never another's."""

from __future__ import annotations

import pytest

from ccrouter.prices.names import spellings

SAME = {
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
    "claude-sonnet-4-5@20250929": "claude-sonnet-4-5",
    "Claude-Sonnet-4-5[1m]": "claude-sonnet-4-5",
    "claude-3-5-sonnet-latest": "claude-3-5-sonnet",
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
    "us.anthropic.claude-3-5-sonnet-20241022-v2:0": "claude-3-5-sonnet",
    "global.anthropic.claude-haiku-4-5-20251001-v1:0": "claude-haiku-4-5",
    "us-gov.anthropic.claude-3-haiku-20240307-v1:0": "claude-3-haiku",
    "anthropic.claude-opus-4-6-v1": "claude-opus-4-6",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-6-v1": "claude-opus-4-6",
    "publishers/anthropic/models/claude-3-7-sonnet@20250219": "claude-3-7-sonnet",
    "projects/p/locations/l/publishers/google/models/gemini-2.5-pro": "gemini-2.5-pro",
    "models/gemini-2.5-flash": "gemini-2.5-flash",
    "gpt-4o-2024-08-06": "gpt-4o",
    " gpt-5 ": "gpt-5",
}
OTHERS = [
    "gpt-4o-mini", "gpt-4.1", "gpt-5.1-codex-mini", "kimi-k2-0905-preview", "grok-4.5", "qwen3:8b", "mistral-large-2512",
    "claude-sonnet-4.5", "o3-mini", "gemini-2.5-pro", "openai/gpt-oss-120b", "",
]  # fmt: skip


@pytest.mark.parametrize("written", SAME)
def test_spelled_otherwise(written):
    """Dates, clouds' prefixes and versions, paths and Claude Code's own mark may be left out; the name itself is first."""
    found = spellings(written)
    assert found[-1] == SAME[written]
    assert found[0] == written.strip().lower().removesuffix("[1m]")
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_is_left_out(name):
    """What tells a model from another is never left out: sizes, versions, months."""
    assert spellings(name) == ((name,) if name else ())

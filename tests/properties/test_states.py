"""Opaque state that a client made up, or damaged, in the name of a provider: read, left out, or refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import ClientError
from ccrouter.messages import carrier
from ccrouter.messages.request import MessagesRequest

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)
TARGETS = {
    "openai_chat": [
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions", "google/gemini-3-pro"),
        ("deepseek", "https://api.deepseek.com/chat/completions", "deepseek-reasoner"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "gemini-3-pro-preview"),
    ],
    "openai_responses": [("openai", "https://api.openai.com/v1/responses", "gpt-5.2")],
    "gemini": [("google", "https://generativelanguage.googleapis.com/v1beta/models", "gemini-3-pro-preview")],
}
NAMES = (
    "details calls type text summary signature data id format index field model item encrypted_content content own "
    "before parts toolCall toolResponse thoughtSignature extra_content google thought_signature t1 phase"
)
WORDS = (
    "reasoning.text reasoning.encrypted reasoning.summary reasoning summary_text gpt-5.2 gemini-3-pro-preview "
    "google-gemini-v1 anthropic-claude-v1 reasoning_content t1"
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**60) | st.sampled_from(WORDS.split()) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=5),
    max_leaves=12,
)
states = values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30)


@pytest.mark.parametrize("dialect", TARGETS)
@SETTINGS
@given(state=states, thought=st.text(max_size=4), has_call=st.booleans())
def test_any_state_is_read_or_left_out(dialect, state, thought, has_call):
    """A request with any state in it is encoded as JSON, or refused as the client's fault."""
    for name, url, model in TARGETS[dialect]:
        signature = carrier.pack(dialect, name, state)
        content = [{"type": "thinking", "thinking": thought, "signature": signature}, {"type": "text", "text": "x"}]
        last = [{"type": "text", "text": "on"}]
        if has_call:
            content.append({"type": "tool_use", "id": "t1", "name": "Read", "input": {}})
            last.insert(0, {"type": "tool_result", "tool_use_id": "t1", "content": "ok"})
        turns = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": last},
        ]
        body = json.dumps({"model": "asked", "max_tokens": 100, "messages": turns}).encode()
        target = Target(Provider(name, (Endpoint(dialect, url),)), model)
        try:
            sent = DIALECTS[dialect].encode(MessagesRequest.read(body), target, {})
        except ClientError:
            continue
        assert isinstance(json.loads(sent.body), dict)

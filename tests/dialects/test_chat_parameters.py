"""Parameters of Chat requests: where transforms come in, limits of models, room for reasoning."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ccrouter.config.schema import TransformSpec
from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context
from ccrouter.transforms.registry import Chains
from tests.dialects.casefile import BASE, make_target


def sent_by(target, amend=None, **members):
    sent = DIALECT.encode(MessagesRequest.read(json.dumps({**BASE, **members}).encode()), target, {}, amend)
    return json.loads(sent.body), [f"{loss.path}: {loss.what}" for loss in sent.losses]


def transformed(*specs, by_model=(), model="m1", extra_body=None):
    """What is sent through the transformers of the provider and those of m1."""
    target = make_target(f"local {model}", extra_body)
    provider = dataclasses.replace(
        target.provider,
        transforms=tuple(TransformSpec(*spec) for spec in specs),
        model_transforms={"m1": tuple(TransformSpec(*spec) for spec in by_model)},
    )
    target = dataclasses.replace(target, provider=provider)
    amend = Chains().of(target).amend(Context(target, "openai_chat", "asked", is_streamed=False))
    return sent_by(target, amend)[0]


def test_order():
    """The provider's come first, then the model's own, then extra_body; another model's are not used."""
    mine, its = ("openrouter", {"seed": 1, "n": 1, "user": "a"}), ("openrouter", {"seed": 2, "n": 2})
    body = transformed(mine, by_model=[its], extra_body={"seed": 3})
    assert (body["seed"], body["n"], body["user"]) == (3, 2, "a")
    assert transformed(mine, by_model=[its], model="m2")["n"] == 1


ALWAYS = [
    "local gpt-oss-20b", "openai gpt-5-mini", "openai o3", "local kimi-k2-thinking", "minimax MiniMax-M2.1",
    "local qwen3-30b-a3b-thinking-2507", "zai glm-5.3", "deepseek deepseek-reasoner", "gemini gemini-2.5-pro",
]  # fmt: skip


def limit_of(body):
    return body.get("max_tokens", body.get("max_completion_tokens"))


@pytest.mark.parametrize("target", ALWAYS)
@pytest.mark.parametrize("thinking", [{}, {"thinking": {"type": "disabled"}}])
def test_room_for_reasoning(target, thinking):
    """A short answer of a model that always reasons gets room for that, told as a loss."""
    body, losses = sent_by(make_target(target), max_tokens=64, **thinking)
    assert limit_of(body) == 64 + 4096
    assert any("always reasons" in loss for loss in losses)


@pytest.mark.parametrize(
    ("target", "members"),
    [
        ("local gpt-oss-20b", {"max_tokens": 1}),
        ("local gpt-oss-20b", {"max_tokens": 2048}),
        ("local gpt-oss-20b", {"max_tokens": 1500, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("openai gpt-5.1", {"max_tokens": 64}),
        ("deepseek deepseek-chat", {"max_tokens": 64}),
        ("local qwen3-coder", {"max_tokens": 64}),
    ],
)
def test_no_room_where_none_is_needed(target, members):
    """Probes, long answers, asked thinking and models that need not reason keep their limit."""
    body, losses = sent_by(make_target(target), **members)
    assert limit_of(body) == members["max_tokens"]
    assert not any("always reasons" in loss for loss in losses)


@pytest.mark.parametrize(
    ("target", "most"),
    [
        ("openai gpt-4o", 16384), ("openai gpt-4o-mini-2024-07-18", 16384), ("openai gpt-4.1-mini", 32768),
        ("openai o3", 100_000), ("groq llama-3.3-70b-versatile", 32768), ("groq openai/gpt-oss-120b", 65536),
        ("dashscope qwen3-coder-plus", 65536), ("gemini gemini-2.5-flash", 65536), ("local gpt-4o", 128_000),
    ],
)  # fmt: skip
def test_known_limits(target, most):
    """Limits that a provider is known for are kept at once, only there."""
    assert limit_of(sent_by(make_target(target), max_tokens=128_000)[0]) == most

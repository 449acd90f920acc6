"""Parameters of Chat requests: the classic router's transformers, limits of models, room for reasoning."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ccrouter.config.schema import TransformSpec
from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.messages.request import MessagesRequest
from tests.dialects.casefile import BASE, make_target


def sent_by(target, **members):
    sent = DIALECT.encode(MessagesRequest.read(json.dumps({**BASE, **members}).encode()), target, {})
    return json.loads(sent.body), [f"{loss.path}: {loss.what}" for loss in sent.losses]


def transformed(*specs, by_model=(), model="m1", extra_body=None, **members):
    """What is sent through the transformers of the provider and those of m1."""
    target = make_target(f"local {model}", extra_body)
    provider = dataclasses.replace(
        target.provider,
        transforms=tuple(TransformSpec(*spec) for spec in specs),
        model_transforms={"m1": tuple(TransformSpec(*spec) for spec in by_model)},
    )
    return sent_by(dataclasses.replace(target, provider=provider), **members)[0]


@pytest.mark.parametrize(
    ("spec", "members", "changes"),
    [
        (("openrouter", {"provider": {"only": ["x"]}}), {}, {"provider": {"only": ["x"]}}),
        (("openrouter", {"stream": True}), {}, {"stream": True}),
        (("customparams", {"seed": 1, "stream": True, "max_tokens": 5}), {}, {"seed": 1}),
        (("maxtoken", {"max_tokens": 500}), {}, {"max_tokens": 500}),
        (("maxtoken", {"max_tokens": 5000}), {}, {}),
        (("maxtoken", {"max_tokens": "5"}), {}, {}),
        (("maxtoken", {}), {}, {}),
        (("maxcompletiontokens", {}), {}, {"max_completion_tokens": 1000, "max_tokens": None}),
        (
            (
                "sampling",
                {"max_tokens": 7, "temperature": 0.5, "top_p": 0, "top_k": 9, "repetition_penalty": 1.1, "x": 1},
            ),
            {"temperature": 1},
            {"max_tokens": 7, "temperature": 0.5, "top_p": 0, "top_k": 9, "repetition_penalty": 1.1},
        ),
        (("reasoning", {"enable": False}), {}, {"thinking": {"type": "disabled"}, "enable_thinking": False}),
        (("reasoning", {"enable": True}), {}, {}),
        (("reasoning", {}), {}, {}),
        (("tooluse", {"max_tokens": 1}), {}, {}),
    ],
)
def test_transformer(spec, members, changes):
    """Each transformer changes what it is for and nothing else; those without an entry change nothing."""
    plain = transformed(**members)
    wanted = {name: value for name, value in {**plain, **changes}.items() if value is not None}
    assert transformed(spec, **members) == wanted


def test_custom_objects_merge():
    """Of two objects the option wins member by member."""
    first = ("openrouter", {"provider": {"only": ["x"], "sort": "price"}})
    assert transformed(first, ("customparams", {"provider": {"sort": "speed"}}))["provider"] == {
        "only": ["x"],
        "sort": "speed",
    }


def test_reasoning_off_leaves_no_other_word():
    """What asked for reasoning is gone, whatever the server calls it."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    for name, model in (("openrouter", "z-ai/glm-4.6"), ("vllm", "m1"), ("openai", "gpt-5")):
        target = make_target(f"{name} {model}")
        provider = dataclasses.replace(target.provider, transforms=(TransformSpec("reasoning", {"enable": False}),))
        body, _ = sent_by(dataclasses.replace(target, provider=provider), thinking=thinking)
        assert body["thinking"] == {"type": "disabled"}
        assert body["enable_thinking"] is False
        assert not {"reasoning", "reasoning_effort", "chat_template_kwargs"} & set(body)


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

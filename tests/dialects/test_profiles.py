"""Profiles: how a provider is recognised, which family's facts win, and that the data is complete."""

from __future__ import annotations

import dataclasses

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profile_data import PROVIDERS
from ccrouter.dialects.profile_families import FAMILIES
from ccrouter.dialects.profiles import profile_of


def target(model="m", *, url="http://127.0.0.1:9/v1", name="mine", profile=None):
    return Target(Provider(name, (Endpoint("openai_chat", url),), profile=profile), model)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (target(url="https://openrouter.ai/api/v1/chat/completions"), "openrouter"),
        (target(url="https://OPENROUTER.AI/api", name="deepseek"), "openrouter"),
        (target(url="https://eu.api.openai.com/v1"), "openai"),
        (target(url="https://notopenrouter.ai/v1"), "generic"),
        (target(url="https://openrouter.ai.evil.example/v1"), "generic"),
        (target(url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1"), "dashscope"),
        (target(url="https://my-resource.openai.azure.com/openai/v1/chat/completions"), "azure"),
        (target(url="https://api.anthropic.com/v1/messages"), "anthropic"),
        (target(profile="deepseek"), "deepseek"),
        (target(profile="DeepSeek"), "deepseek"),
        (target(profile="vllm", name="openai"), "vllm"),
        (target(name="Kimi"), "moonshot"),
        (target(name="ollama"), "ollama"),
        (target(url="http://localhost:11434/v1/chat/completions"), "ollama"),
        (target(url="http://localhost:11434/v1", name="vllm"), "vllm"),
        (target(profile="no-such"), "generic"),
        (target(url="dry-run:"), "generic"),
        (target(url="http://[::1"), "generic"),
        (Target(Provider("mine", ()), "m"), "generic"),
    ],
)
def test_recognition(given, expected):
    """The host decides, then the profile the user named, then the provider's name, then the port."""
    assert profile_of(given).name == expected


def test_every_provider_is_known():
    """Every provider that the documentation promises has a profile, with the source of its facts."""
    names = {known.profile.name for known in PROVIDERS}
    assert names >= {
        "openai", "openrouter", "anthropic", "deepseek", "gemini", "groq", "mistral", "moonshot", "zai", "minimax",
        "dashscope", "modelscope", "volcengine", "siliconflow", "cerebras", "xai", "together", "fireworks", "ollama",
        "lmstudio", "vllm", "llamacpp", "nvidia", "github", "azure",
    }  # fmt: skip
    assert all(known.profile.docs.startswith("https://") for known in PROVIDERS)
    assert len(names) == len(PROVIDERS)


def test_families_change_only_what_exists():
    """Every change of every family names a member of Profile."""
    members = {field.name for field in dataclasses.fields(Profile)}
    for family in (*FAMILIES, *(family for known in PROVIDERS for family in known.families)):
        assert set(family.changes) <= members, family.pattern.pattern


def at(provider, model):
    return profile_of(target(model, name=provider))


@pytest.mark.parametrize("model", ["gpt-5", "openai/gpt-5-mini", "gpt-5.2-codex", "o3", "o4-mini", "openai/o1"])
def test_openai_reasoning_models(model):
    """gpt-5 and the o-series take max_completion_tokens and no sampling, also on a relay that nobody knows."""
    profile = at("relay", model)
    assert profile.max_tokens_field == "max_completion_tokens"
    assert not profile.accepts_sampling
    assert profile.reasoning_style == "effort"


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "qwen3-coder", "foo3", "llama-o3d"])
def test_others_are_not(model):
    """Names that only look alike are not of that family."""
    assert at("relay", model).max_tokens_field == "max_tokens"


@pytest.mark.parametrize(
    ("model", "off"),
    [("gpt-5", "minimal"), ("gpt-5.1", "none"), ("gpt-5.4-mini", "none"), ("o3", "low"), ("gpt-oss-120b", "low")],
)
def test_effort_that_switches_off(model, off):
    """What "do not reason" is called changed with the versions."""
    assert at("openai", model).effort_off == off


@pytest.mark.parametrize(
    ("model", "sees"),
    [("glm-4.6", False), ("glm-4.6v", True), ("glm-4v", True), ("z-ai/glm-4.5-air:free", False), ("kimi-k2-0905", False),
     ("kimi-k2.5", True), ("qwen3-coder", False), ("qwen3-vl-plus", True), ("deepseek-v4-pro", False), ("gpt-4o", True)],
)  # fmt: skip
def test_who_sees(model, sees):
    """Models that read text only are known by their names."""
    assert at("relay", model).accepts_images is sees


@pytest.mark.parametrize(
    "model", ["deepseek-reasoner", "deepseek/deepseek-v3.2", "deepseek-v4-pro", "kimi-k2-thinking"]
)
def test_who_wants_reasoning_back(model):
    """Those that refuse a turn with calls without its reasoning, wherever they run; OpenRouter sees to it itself."""
    assert at("relay", model).must_replay_reasoning
    assert at("relay", model).replays_reasoning == "reasoning_content"
    assert not at("openrouter", model).must_replay_reasoning
    assert at("openrouter", model).replays_reasoning == "reasoning_details"


def test_cache_marks_stay_where_they_work():
    """cache_control is kept at OpenRouter for the models that honour it, and nowhere else."""
    assert at("openrouter", "anthropic/claude-sonnet-5").keeps_cache_control
    assert not at("openrouter", "z-ai/glm-4.6").keeps_cache_control
    assert not at("openai", "gpt-4.1").keeps_cache_control


def test_a_profile_is_made_once():
    """The same target asks nothing twice."""
    assert profile_of(target("x")) is profile_of(target("x"))

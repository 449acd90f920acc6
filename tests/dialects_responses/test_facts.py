"""Profiles where the Responses API is spoken: what is different from Chat Completions, and for whom."""

from __future__ import annotations

import dataclasses

import pytest

from ccrouter.dialects.openai_responses import DIALECT
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profile_data import PROVIDERS
from ccrouter.dialects.profile_responses import RESPONSES, RESPONSES_AT
from ccrouter.dialects.profiles import profile_of
from tests.dialects import casefile as chat
from tests.dialects_responses.casefile import make_target, read_request


def test_the_data_names_what_exists():
    """Every fact is a member of Profile, every provider one that is known, and nothing is said twice."""
    members = {field.name for field in dataclasses.fields(Profile)}
    names = {known.profile.name for known in PROVIDERS}
    assert set(RESPONSES) <= members
    assert set(RESPONSES_AT) <= names
    for changes in RESPONSES_AT.values():
        assert set(changes) <= members
        assert not set(changes) & set(RESPONSES)


def test_the_api_decides():
    """The same model of the same provider has other limits in the other API."""
    here, there = profile_of(make_target("openai gpt-5.6")), profile_of(chat.make_target("openai gpt-5.6"))
    assert (here.tool_id_limit, there.tool_id_limit) == (64, 40)
    assert (here.effort_with_tools, there.effort_with_tools) == (None, "none")
    assert (here.web_search_tool, there.web_search_tool) == ("web_search", "")
    assert here.accepts_tool_images
    assert not there.accepts_tool_images


@pytest.mark.parametrize(
    ("model", "efforts", "off"),
    [
        ("gpt-5", "minimal low medium high", "minimal"),
        ("gpt-5-codex", "low medium high", "low"),
        ("gpt-5.1", "none low medium high", "none"),
        ("gpt-5.1-codex", "low medium high", "low"),
        ("gpt-5.1-codex-max", "low medium high xhigh", "low"),
        ("gpt-5.2", "none low medium high xhigh", "none"),
        ("gpt-5.3-codex", "low medium high xhigh", "low"),
        ("gpt-5.5", "none low medium high xhigh", "none"),
        ("gpt-5.6-terra", "none low medium high xhigh max", "none"),
        ("gpt-6-sol", "none low medium high xhigh max", "none"),
        ("gpt-6-luna", "none low medium high xhigh max", "none"),
        ("gpt-6-astra", "low medium high xhigh max", "low"),
        ("gpt-6.1-sol", "low medium high xhigh max", "low"),
        ("o3", "low medium high", "low"),
        ("gpt-5.3-chat-latest", "", ""),
        ("gpt-4.1", "", ""),
    ],
)
def test_efforts_of_models(model, efforts, off):
    """The words that OpenAI's models know for effort, and what stands for none, by version."""
    profile = profile_of(make_target(f"openai {model}"))
    assert profile.efforts == tuple(efforts.split())
    assert profile.effort_off == off
    assert profile.seals_reasoning is bool(efforts)


@pytest.mark.parametrize("target", ["openai gpt-5.2", "openrouter openai/gpt-5.2", "local m1"])
def test_the_model_that_is_sent(target):
    """One model is asked for, and it can be read from the bytes."""
    made = make_target(target)
    assert DIALECT.models_sent(made.endpoint.url, DIALECT.encode(read_request(), made, {}).body) == [made.model]

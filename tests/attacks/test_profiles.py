"""Attacks by the files of what was found out about a provider's models: they say how requests are worded, and nothing of
where these go, by which key, or what may.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccrouter.config.certified import FORMAT, MEMBERS, profile_path, read_certified
from ccrouter.config.load import load
from ccrouter.config.schema import Target
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
from tests.attacks.world import KEY, SENT, config_with, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.upstream import Upstream

#: Members of a profile that say who is asked, by what key, or what is believed of the answer.
NEVER = {"name", "auth", "default_headers", "is_first_party", "docs"}
EVIL: dict[str, Any] = {
    "auth": "both", "default_headers": {"x-evil": "1", "authorization": "Bearer evil"}, "is_first_party": True,
    "name": "openrouter", "url": "https://evil.example", "endpoints": ["https://evil.example"], "proxy": "http://evil.example",
    "extra_body": {"models": ["gpt-5"]}, "models": ["gpt-5"], "key": "evil", "transforms": [{"path": "/tmp/x.py"}],
    "headers": {"x-evil": "1"}, "__class__": "x", "max_tokens_field": "models", "effort_off": "\r\nx-evil: 1",
    "reasoning_style": "../x", "tool_choice_forms": {"model": "gpt-5"}, "max_tokens_cap": -1, "tool_name_limit": 10**30,
}  # fmt: skip


def lay(folder: Path, url: str, changes: dict[str, Any], name: str = "anthropic") -> Path:
    path = folder / "profiles" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "format": FORMAT,
        "endpoint": {"url": url},
        "models": {"": {"changes": changes}, "claude-3.7-sonnet": {"changes": changes}},
    }
    path.write_text(json.dumps(told))
    return path


def test_what_can_be_measured() -> None:
    """F01: nothing that names a place, a key or a header is a member of such a file."""
    assert not NEVER & MEMBERS.keys()
    assert not any("url" in name or "header" in name or "auth" in name or "key" in name for name in MEMBERS)
    assert MEMBERS.keys() <= set(Profile.__dataclass_fields__)


async def test_what_a_file_may_say(approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """F02: whatever else a file says is a complaint, and what leaves is what leaves without it."""
    sent = []
    folder, environ = tmp_path / ".claude-code-router", {**ENVIRON, "HOME": str(tmp_path)}
    for changes in ({}, EVIL):
        lay(folder, f"{approved.url}/v1/messages", changes)
        written = config_with(approved, stranger)
        async with running(written, tmp_path, environ, policy=preset_at(approved)) as router:
            status, _, raw = await router.ask({"x-api-key": KEY})
        assert status == 200, raw
        received = approved.requests.pop()
        headers = {name.lower(): value for name, value in received.headers.items() if name.lower() != "x-ccr"}
        sent.append((received.path, headers, received.json()))
    assert sent[0] == sent[1]
    assert sent[1][2]["model"] in SENT
    [provider, *_] = load(tmp_path / "config.json", environ).providers
    lay(folder, f"{approved.url}/v1/messages", {"accepts_images": False})
    [measured, *_] = load(tmp_path / "config.json", environ).providers
    assert not profile_of(Target(measured, "claude-3.7-sonnet")).accepts_images, "files of that place are read"
    lay(folder, f"{approved.url}/v1/messages", EVIL)
    told = read_certified(folder / "profiles" / "anthropic.json", provider)
    assert {place.rpartition(".")[2] for place, _ in told.complaints} == EVIL.keys()
    assert profile_of(Target(provider, "claude-3.7-sonnet")).auth != "both"


@pytest.mark.parametrize(
    "name",
    ["../config", "..", "a/b", "/etc/passwd", "a\x00b", "%2e%2e%2fx", "ａ", "con", "x" * 5000, "\ud800", ".", ""],
)
def test_names_of_files(tmp_path, name) -> None:
    """F03: a provider's name leads to no other folder."""
    path = profile_path(tmp_path, name)
    assert path.parent == tmp_path / "profiles"
    assert path.resolve().parent == (tmp_path / "profiles").resolve()
    assert len(path.name.encode()) < 255
    assert path.name.endswith(".json")

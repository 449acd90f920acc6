"""Words of others on the user's terminal."""

from __future__ import annotations

import json

import pytest

from ccrouter.cli.terminal import harmless
from tests.cli.conftest import Ccr
from tests.upstream import chat_wire, json_reply
from tests.upstream.threaded import ThreadedUpstream


@pytest.mark.parametrize(("text", "shown"), [
    ("plain\n\twords, ключ 密钥 👩\u200d💻", "plain\n\twords, ключ 密钥 👩\u200d💻"),
    ("\x1b[2Jgone\r\x07", "\\u001b[2Jgone\\u000d\\u0007"),
    ("a\u202eb\x9b1m", "a\\u202eb\\u009b1m"),
])  # fmt: skip
def test_what_is_shown(text: str, shown: str):
    """Characters that say something stay; those that make a terminal do something are told by number."""
    assert harmless(text) == shown


def test_a_provider_cannot_write_over_what_is_told(ccr: Ccr):
    """An error's text from a provider reaches the terminal as text."""
    with ThreadedUpstream() as upstream:
        upstream.always(json_reply(chat_wire.error_json("\x1b[2Jall is well\u202e"), 401))
        ccr.folder.mkdir(parents=True)
        provider = {"name": "p", "api_base_url": f"{upstream.url}/v1/chat/completions", "api_key": "k", "models": ["m"]}
        (ccr.folder / "config.json").write_text(json.dumps({"Providers": [provider], "Router": {"default": "p,m"}}))
        done = ccr.run("providers", "test", "p")
    assert done.returncode == 1
    assert "all is well" in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.stdout + done.stderr)

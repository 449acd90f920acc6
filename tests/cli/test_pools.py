"""What commands tell of a provider with several keys."""

from __future__ import annotations

import json

import pytest

from ccrouter.cli.provider_list import provider_lines, told_providers
from ccrouter.cli.reading import key_of
from ccrouter.config.load import read
from ccrouter.service.diagnosis.providers import look_at_providers

URL = "https://a.example/v1/messages"


def reading_of(keys, environ):
    provider = {"name": "p", "api_base_url": URL, "models": ["m"]}
    tree = {"Providers": [{**provider, **({"api_key": keys} if keys else {})}], "Router": {"default": "p,m"}}
    return read(None, environ, text=json.dumps(tree))


@pytest.mark.parametrize(
    ("keys", "told", "is_set"),
    [
        (None, "no key", True),
        ([], "no key", True),
        ("canary-1", "key in the file", True),
        (["${A}"], "key $A, which is set", True),
        ([{"key": "${B}"}], "key $B, which is NOT SET", False),
        (["${A}", {"key": "${B}", "label": "x"}, "canary-1"], "3 keys: $A, $B (NOT SET), in the file", True),
        (["${B}", "${C}${A}"], "2 keys: $B (NOT SET), $C $A (NOT SET)", False),
    ],
)
def test_where_keys_come_from(monkeypatch, keys, told, is_set):
    """Each key is told by its variable and whether it is set; one that can be used is enough."""
    monkeypatch.setenv("A", "a-key")
    for name in ("B", "C"):
        monkeypatch.delenv(name, raising=False)
    reading = reading_of(keys, {"A": "a-key"})
    key = key_of(reading, "p")
    assert (str(key), key.is_set, key.is_written) == (told, is_set, bool(keys))
    (listed,) = told_providers(reading)
    assert f"  {told}" in provider_lines([listed])
    assert "canary" not in json.dumps(listed)


def test_the_diagnosis_names_every_key():
    """`ccr doctor` says of each key where it comes from, and whether its variable is set in this shell."""
    config = reading_of(["${A}", {"key": "${B}"}, "canary-1"], {"A": "a-key", "B": "b-key"}).config
    (finding,) = look_at_providers(config, {"A": "a-key"})
    assert "3 keys, from ${A} (set), ${B} (unset in this shell), the config file (set)" in finding.message
    (finding,) = look_at_providers(reading_of(["${A}"], {"A": "a-key"}).config, {"A": "a-key"})
    assert "key from ${A} (set)" in finding.message

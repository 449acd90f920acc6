"""What is shown of a configuration: everything but its secrets, however they were written down."""

from __future__ import annotations

import json

import pytest

from ccrouter.config.masking import is_secret_name, mask
from ccrouter.config.restore import keep_secrets
from ccrouter.config.starter import TEMPLATE
from ccrouter.config.syntax import parse

LEAKS = {
    "a key": {"api_key": "canary"},
    "the router's key": {"APIKEY": "canary"},
    "a list of keys": {"apiKeys": ["canary", "canary2"]},
    "an object of keys": {"credentials": {"user": "canary", "value": {"deep": "canary"}}},
    "a password of digits": {"password": 990011223344},
    "a passphrase": {"passphrase": "canary"},
    "a private key": {"private_key": "canary"},
    "a subscription key": {"Ocp-Apim-Subscription-Key": "canary"},
    "any header": {"headers": {"X-Whatever": "canary", "HTTP-Referer": "https://ok.example"}},
    "headers as a list": {"extra_headers": ["X-Whatever: canary"]},
    "headers as pairs": {"h": [{"name": "X-Api-Key", "value": "canary"}]},
    "a bearer token anywhere": {"extra_body": {"note": "Bearer canary-990011"}},
    "a JSON Web Token": {"x": "eyJcanary00.eyJcanary11.sig"},
    "a token of a known form": {"x": "ghp_canary0011223344556677"},
    "a PEM key": {"x": "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----"},
    "a random text": {"options": {"x": "canary990011223344556677889900aabb"}},
    "a query": {"api_base_url": "https://a.example/v1?key=canary&api-version=1"},
    "a fragment": {"url": "https://a.example/v1#access_token=canary"},
    "a password in a URL": {"PROXY_URL": "http://me:canary@proxy:80"},
    "a password with a slash": {"PROXY_URL": "http://me:a/canary@proxy:80"},
    "a password with an at sign": {"PROXY_URL": "http://me:a@canary@proxy:80"},
    "a password without a scheme": {"PROXY_URL": "me:canary@proxy:80"},
    "a default": {"api_key": "${KEY:-canary}"},
    "a default without a name": {"api_key": "${:-canary}"},
    "a secret in braces": {"api_key": "${sk-canary}"},
    "a default in a URL": {"url": "${URL:-https://me:canary@a.example}"},
    "a text around a placeholder": {"api_key": "canary$KEY"},
    "an argument": {"args": ["--token", "canary"]},
    "an assignment": {"command": "run --api-key=canary --level 3"},
    "the tokenizer's": {"tokenizer": {"type": "api", "url": "x", "apiKey": "canary", "headers": {"A": "canary"}}},
    "a custom transformer's": {"transformers": [{"path": "/x.js", "options": {"project_secret": "canary"}}]},
    "a key among the names": {"users": {"sk-canary00112233445566": "me", "sk-canary99887766554433": "you"}},
    "a key that is repeated": {"api_key": "canary-1", "extra_body": {"user": "id/canary-1/x"}},
    "a status line": {"StatusLine": {"default": {"modules": [{"text": "sk-canary0011223344556677"}]}}},
}


@pytest.mark.parametrize("tree", LEAKS.values(), ids=LEAKS)
def test_no_secret_is_shown_and_every_one_comes_back(tree):
    """Nothing of a secret can be read in what is shown, and saving what is shown changes nothing."""
    shown = mask(tree)
    assert "canary" not in json.dumps(shown)
    assert "990011223344" not in json.dumps(shown)
    assert keep_secrets(tree, shown, {}) == tree


SHOWN = {
    "placeholders": {
        "api_key": "$KEY",
        "APIKEY": "${KEY}",
        "token": "${A}$B",
        "authorization": "Bearer $KEY",
        "url": "https://a.example?key=${KEY}",
    },
    "models": {"models": ["claude-sonnet-4-5-20250929", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "@cf/meta/llama"]},
    "limits": {"max_tokens": 4096, "maxtoken": {"max_tokens": 1}, "budget_tokens": "8000", "thinking_tokens": 5},
    "addresses": {
        "api_base_url": "https://api.example:8443/client/ai/run/@cf/meta?api-version=2024-10-21",
        "HOST": "127.0.0.1",
        "PROXY_URL": "http://proxy:80",
    },
    "headers that are none": {"headers": {"HTTP-Referer": "https://me.example", "X-Title": "mine"}},
    "flags": {"useSession": True, "password": None, "api_key": ""},
    "names": {
        "author": "me",
        "tokenizer": {"type": "tiktoken"},
        "use": ["openrouter", ["maxtoken", {"max_tokens": 9}]],
    },
    "words where a key is asked for": {"name": "lm-studio", "session_ttl": 60},
    "prose": {"prompt": "Take the token from the basic form; authorization is needed."},
}


@pytest.mark.parametrize("tree", SHOWN.values(), ids=SHOWN)
def test_what_is_no_secret_is_shown(tree):
    """What a page needs to show stays readable."""
    assert mask(tree) == tree


def test_the_starter_is_shown_as_it_is():
    """Nothing in the file a newcomer has is a secret."""
    tree = parse(TEMPLATE.read_text(encoding="utf-8"), "starter").tree
    assert mask(tree) == tree


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "x-api-key", "key", "accessToken", "client_secret", "PWD", "pass"]
)
def test_names_of_secrets(name):
    """The usual names of secrets are known in any spelling."""
    assert is_secret_name(name)

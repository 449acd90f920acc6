"""Every configuration that the guide's own scripts let pass, or only some of them: all are refused, each for its reason."""

from __future__ import annotations

import json

import pytest

from ccrouter.config.load import Overrides
from tests.compliance.configs import GUIDE, OPENROUTER, changed, messages, put

P = ("Providers", 0)
EVIL = "https://evil.example/v1/messages"
OTHER = {**GUIDE["Providers"][0], "api_base_url": EVIL}
DOUBLED = json.dumps(GUIDE).replace('"HOST": "127.0.0.1"', '"HOST": "127.0.0.1", "HOST": "127.0.0.1"')
SEED_1 = {
    "providers": {"openrouter": {"baseURL": "https://openrouter.ai/api/v1", "apiKey": "${OPENROUTER_API_KEY}"}},
    "routers": {"default": {"routes": {"openrouter,qwen/qwen3-coder": {"default": True}}}},
}


def change(*path, to):
    return changed(lambda tree: put(tree, to, *path))


def without(key, *path):
    def drop(tree):
        for step in path:
            tree = tree[step]
        del tree[key]

    return changed(drop)


#: name → configuration, the message that must be among the errors, the exit code of the first error
REFUSED = {
    "url at another host": (change(*P, "api_base_url", to=EVIL), 'provider "anthropic": Host not allowed: evil.example', 34),
    "url by http": (
        change(*P, "api_base_url", to="http://api.anthropic.com/v1/messages"),
        'provider "anthropic": HTTPS required, not http:',
        34,
    ),
    "no APIKEY": (without("APIKEY"), "APIKEY is missing: clients must show a key", 35),
    "APIKEY empty": (change("APIKEY", to=""), "APIKEY is missing: clients must show a key", 35),
    "APIKEY weak": (change("APIKEY", to="test"), "APIKEY is too weak: 4 characters", 35),
    "APIKEY literal": (change("APIKEY", to="a-local-secret-of-some-length"), "APIKEY comes from the file itself", 36),
    "provider key literal": (
        change(*P, "api_key", to="sk-ant-api03-0123456789abcdef"),
        'the key of provider "anthropic" comes from the file itself',
        36,
    ),
    "provider key as default of a variable": (
        change(*P, "api_key", to="${UNSET_KEY:-sk-ant-api03-0123456789abcdef}"),
        'the key of provider "anthropic" comes from the file itself',
        36,
    ),
    "webSearch to openrouter": (
        change("Router", "webSearch", to="openrouter,qwen/qwen3-coder"),
        "Router.webSearch → openrouter: BANNED provider: openrouter",
        32,
    ),
    "image to openrouter": (
        change("Router", "image", to="openrouter,qwen/qwen3-coder"),
        "Router.image → openrouter: BANNED provider: openrouter",
        32,
    ),
    "no Router.default": (without("default", "Router"), "Router.default is missing", 31),
    "Router.default empty": (change("Router", "default", to=""), "Router.default is missing", 31),
    "Router.default of three parts": (
        change("Router", "default", to="anthropic,claude-3.7-sonnet,more"),
        'Router.default → anthropic,claude-3.7-sonnet,more has more than one comma: it must be "provider,model"',
        30,
    ),
    "custom router": (
        change("CUSTOM_ROUTER_PATH", to="/tmp/router.js"),
        "CUSTOM_ROUTER_PATH (/tmp/router.js) is not allowed: customRouter is an extension point",
        38,
    ),
    "custom transformer": (
        change("transformers", to=[{"path": "/tmp/transformer.js"}]),
        "custom transformer /tmp/transformer.js is not allowed: transforms is an extension point",
        38,
    ),
    "provider transformer": (
        change(*P, "transformer", to={"use": ["openrouter"]}),
        'transformer "openrouter" of provider "anthropic" is not allowed: transforms is an extension point',
        23,
    ),
    "model transformer": (
        change(*P, "transformer", to={"use": ["anthropic"], "claude-3.7-sonnet": {"use": ["openrouter"]}}),
        ('transformer "openrouter" of model "claude-3.7-sonnet" of provider "anthropic" is not allowed: '
        "transforms is an extension point"),
        23,
    ),
    "proxy": (change("PROXY_URL", to="http://proxy.example:3128"), "PROXY_URL: Proxy not allowed: proxy.example", 39),
    "providers in lower case instead": (
        changed(lambda tree: tree.update(providers=tree.pop("Providers"))),
        "a list of providers must be called Providers",
        11,
    ),
    "providers in lower case beside": (
        change("providers", to=[OPENROUTER]),
        "providers stands beside Providers, and both are read",
        20,
    ),
    "openrouter in the twin": (change("providers", to=[OPENROUTER]), "BANNED provider: openrouter", 20),
    "the other guide's shape": (SEED_1, "BANNED provider: openrouter", 11),
    "second provider of the same name": (
        changed(lambda tree: tree["Providers"].append(OTHER)),
        'two providers are called "anthropic": Providers[0] and Providers[1]',
        34,
    ),
    "first provider of the same name": (
        changed(lambda tree: tree["Providers"].insert(0, OTHER)),
        'two providers are called "anthropic": Providers[0] and Providers[1]',
        40,
    ),
    "fallback at the top": (
        change("fallback", to={"default": ["openrouter,qwen/qwen3-coder"]}),
        "fallback.default[0] → openrouter: BANNED provider: openrouter",
        32,
    ),
    "fallback of the router": (
        change("Router", "fallback", to={"default": ["anthropic,claude-opus-4-8"]}),
        "Router.fallback.default[0] → anthropic,claude-opus-4-8: Model not allowed: claude-opus-4-8",
        33,
    ),
    "prompt rewrite": (
        change("REWRITE_SYSTEM_PROMPT", to="/tmp/prompt.md"),
        "REWRITE_SYSTEM_PROMPT (/tmp/prompt.md) is not allowed: promptRewrite is an extension point",
        38,
    ),
    "no models": (change(*P, "models", to=[]), 'provider "anthropic" lists no models', 16),
    "a key written twice": (DOUBLED, "HOST is written twice", 40),
    "null": ("null", "Config must be an object", 10),
    # what the scripts refused rightly
    "openrouter": (changed(lambda tree: tree["Providers"].append(OPENROUTER)), "BANNED provider: openrouter", 20),
    "openrouter in another case": (
        changed(lambda tree: tree["Providers"].append({**OPENROUTER, "name": "OpenRouter"})),
        "BANNED provider: OpenRouter",
        20,
    ),
    "another name": (change(*P, "name", to="claude"), "Only anthropic allowed, found 'claude'", 21),
    "a model that is not listed": (change(*P, "models", to=["claude-3.7-sonnet", "gpt-5"]), "Model not allowed: gpt-5", 22),
    "HOST of the network": (change("HOST", to="0.0.0.0"), "HOST must be 127.0.0.1 (localhost only)", 13),
    "HOST missing": (without("HOST"), "HOST must be 127.0.0.1 (localhost only)", 13),
    "HOST by name": (change("HOST", to="localhost"), "HOST must be 127.0.0.1 (localhost only)", 13),
    "HOST from a variable": (change("HOST", to="${H:-127.0.0.1}"), "HOST must be 127.0.0.1 (localhost only)", 13),
    "route with blanks": (
        change("Router", "default", to="anthropic, claude-3.7-sonnet"),
        'Router.default → anthropic, claude-3.7-sonnet has blanks beside its comma: it must be "provider,model"',
        30,
    ),
    "route to another provider": (
        change("Router", "think", to="claude,claude-3.7-sonnet"),
        "Router.think → claude: Only anthropic allowed, found 'claude'",
        32,
    ),
    "route to another model": (
        change("Router", "think", to="anthropic,claude-opus-4-8"),
        "Router.think → anthropic,claude-opus-4-8: Model not allowed: claude-opus-4-8",
        33,
    ),
    "Providers is no list": (change("Providers", to="anthropic"), "Providers is missing or empty", 11),
    "Router is no object": (change("Router", to=["anthropic"]), "must be an object, not a list", 12),
    "provider is no object": (change("Providers", to=["anthropic"]), "must be an object, not a text", 11),
    "no JSON": ('{"HOST": ', "Config JSON malformed: line 1, column 10: the file ends too early", 3),
    # what nobody looked at
    "dry-run": (change("Router", "default", to="dry-run,dry-run"), "Router.default → dry-run: Only anthropic allowed, found 'dry-run'", 32),
    "alias": (
        change("Router", "models", to={"claude-opus-*": "openrouter,qwen/qwen3-coder"}),
        'Router.models["claude-opus-*"] → openrouter: BANNED provider: openrouter',
        32,
    ),
    "alias beside the routes": (
        change("Router", "claude-opus-*", to="anthropic,claude-opus-4-8"),
        'Router["claude-opus-*"] → anthropic,claude-opus-4-8: Model not allowed: claude-opus-4-8',
        33,
    ),
    "request class": (
        change("Router", "auxiliary", to="openrouter,qwen/qwen3-coder"),
        "Router.auxiliary → openrouter: BANNED provider: openrouter",
        32,
    ),
    "default provider": (
        change("Router", "defaultProvider", to="openrouter"),
        "Router.defaultProvider → openrouter: BANNED provider: openrouter",
        32,
    ),
    "bare model": (change("Router", "think", to="gpt-5"), "Router.think → gpt-5: Model not allowed: gpt-5", 33),
    "relabelled": (
        change(*P, "api_base_url", to="https://openrouter.ai/api/v1/messages"),
        'provider "anthropic": BANNED host: openrouter.ai',
        34,
    ),
    "user name that looks like the host": (
        change(*P, "api_base_url", to="https://api.anthropic.com@evil.example/v1/messages"),
        'provider "anthropic": Host not allowed: evil.example',
        34,
    ),
    "host that goes on": (
        change(*P, "api_base_url", to="https://api.anthropic.com.evil.example/v1/messages"),
        'provider "anthropic": Host not allowed: api.anthropic.com.evil.example',
        34,
    ),
    "another port": (
        change(*P, "api_base_url", to="https://api.anthropic.com:8443/v1/messages"),
        'provider "anthropic": Host not allowed: api.anthropic.com:8443',
        34,
    ),
    "host in letters of another script": (
        change(*P, "api_base_url", to="https://api.\u0430nthropic.com/v1/messages"),
        'provider "anthropic": Host not allowed: api.xn--nthropic-06g.com',
        34,
    ),
    "address for a host": (
        change(*P, "api_base_url", to="https://127.0.0.1/v1/messages"),
        'provider "anthropic": Host not allowed: 127.0.0.1',
        34,
    ),
    "name in letters of another script": (
        change(*P, "name", to="\u0430nthropic"),
        "Only anthropic allowed, found '\u0430nthropic'",
        21,
    ),
    "banned name in full width": (
        changed(lambda tree: tree["Providers"].append({**OPENROUTER, "name": "\uff4fpenrouter"})),
        "BANNED provider: \uff4fpenrouter",
        20,
    ),
    "banned name with an invisible character": (
        changed(lambda tree: tree["Providers"].append({**OPENROUTER, "name": "open\u200brouter"})),
        "BANNED provider: open\u200brouter",
        20,
    ),
    "allowed name twice, once with an invisible character": (
        changed(lambda tree: tree["Providers"].append({**OTHER, "name": "anthropic\u200b"})),
        'provider "anthropic\u200b": Host not allowed: evil.example',
        34,
    ),
    "model in another case": (change(*P, "models", to=["Claude-3.7-Sonnet"]), "Model not allowed: Claude-3.7-Sonnet", 22),
    "model in the body": (
        change(*P, "extra_body", to={"model": "claude-opus-4-8"}),
        'provider "anthropic" sends model: Model not allowed: claude-opus-4-8',
        22,
    ),
    "proxy of the provider": (
        change(*P, "proxy", to="http://proxy.example:3128"),
        'provider "anthropic": Proxy not allowed: proxy.example',
        39,
    ),
    "secret header": (
        change(*P, "headers", to={"x-api-key": "literal"}),
        'header "x-api-key" of provider "anthropic" comes from the file itself',
        36,
    ),
    "key in the URL": (
        change(*P, "api_base_url", to="https://api.anthropic.com/v1/messages?key=literal"),
        'the api_base_url of provider "anthropic" comes from the file itself',
        36,
    ),
    "a key where none belongs": (
        change("StatusLine", to={"text": "sk-ant-api03-0123456789abcdef"}),
        "what looks like a key at StatusLine.text comes from the file itself",
        36,
    ),
    "wire format with options": (
        change(*P, "transformer", to={"use": [["anthropic", {"UseBearer": True}]]}),
        'transformer "anthropic" of provider "anthropic" is not allowed: transforms is an extension point',
        23,
    ),
    "plugin": (
        change("plugins", to=[{"name": "spy", "enabled": True}]),
        "plugin spy is not allowed: plugins is an extension point",
        38,
    ),
    "unknown key": (change("Routr", to={}), "Routr is not a setting of this router", 40),
    "another spelling": (changed(lambda tree: tree.update(host=tree.pop("HOST"))), "host is another spelling of HOST", 40),
    "another unknown key": (change("keys", to="x"), "keys is not a setting of this router", 40),
    "twin of APIKEY": (change("apiKey", to="x"), "apiKey is another spelling of a key that is there", 40),
    "twin in a provider": (change(*P, "baseURL", to=EVIL), "Providers[0].baseURL is another spelling of a key that is there", 40),
    "certificates unchecked by the file": (
        change("NODE_TLS_REJECT_UNAUTHORIZED", to="0"),
        "NODE_TLS_REJECT_UNAUTHORIZED=0 switches the checking of certificates off",
        34,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(desk, name):
    """Under anthropic-only it is refused, with its own message, and the exit code that the scripts' order gives."""
    tree, message, code = REFUSED[name]
    verdict = desk.examine(tree)
    assert message in messages(verdict)
    assert verdict.errors[0].code == code, verdict.errors[0]


def test_no_two_messages_are_the_same_without_a_reason():
    """The messages tell the configurations apart: what shares one means the same mistake."""
    said = [message for _, message, _ in REFUSED.values()]
    assert len(set(said)) > len(said) - 12


def test_the_guide_is_accepted(desk):
    """The guide's own configuration passes, both variables set, without an error and without a warning."""
    verdict = desk.examine(GUIDE)
    assert verdict.errors == ()
    assert verdict.warnings == ()
    assert verdict.accepted().digest


def test_the_guide_in_the_other_shape_is_accepted(desk):
    """A map of providers and named routers say the same, and are accepted too."""
    provider = {key: value for key, value in GUIDE["Providers"][0].items() if key != "name"}
    tree = {
        "HOST": "127.0.0.1",
        "APIKEY": "${CCR_APIKEY}",
        "providers": {"anthropic": provider},
        "routers": {"default": {"routes": {"anthropic,claude-3.7-sonnet": {"default": True}}}},
    }
    assert desk.examine(tree).errors == ()


def test_the_server_of_the_other_shape_is_looked_at(desk):
    """An address that a server names is one that is listened on."""
    provider = {key: value for key, value in GUIDE["Providers"][0].items() if key != "name"}
    tree = {
        "APIKEY": "${CCR_APIKEY}",
        "servers": {"default": {"HOST": "0.0.0.0"}},
        "providers": {"anthropic": provider},
        "routers": {"default": {"routes": {"anthropic,claude-3.7-sonnet": {"default": True}}}},
    }
    assert messages(desk.examine(tree)) == ["Providers must be an array", "HOST must be 127.0.0.1 (localhost only)"]


def test_the_other_shape_is_named_first_where_it_is_refused(desk):
    """A map of providers that breaks a rule is "no array" before all else, as the classic verification has it; one
    whose only fault is a variable without a value is told of that alone.
    """
    (first, *_) = desk.examine(SEED_1).errors
    assert (first.message, first.code, first.path) == ("Providers must be an array", 11, "providers")
    provider = {key: value for key, value in GUIDE["Providers"][0].items() if key != "name"}
    tree = {key: value for key, value in GUIDE.items() if key != "Providers"} | {"providers": {"anthropic": provider}}
    assert [finding.path for finding in desk.examine(tree, CCR_APIKEY=None).errors] == ["APIKEY"]


@pytest.mark.parametrize(
    ("variable", "message", "code"),
    [
        ("CCR_APIKEY", "environment variable CCR_APIKEY is not set", 35),
        ("ANTHROPIC_API_KEY", 'provider "anthropic": environment variable ANTHROPIC_API_KEY is not set', 36),
    ],
)
def test_an_unset_variable(desk, variable, message, code):
    """A variable that is unset, or set to nothing, is named, once."""
    for value in (None, ""):
        verdict = desk.examine(GUIDE, **{variable: value})
        assert [(finding.message, finding.code) for finding in verdict.errors] == [(message, code)]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"HTTPS_PROXY": "http://me:secret@proxy.example:3128"}, "HTTPS_PROXY: Proxy not allowed: proxy.example"),
        ({"https_proxy": "http://proxy.example"}, "https_proxy: Proxy not allowed: proxy.example"),
        ({"ALL_PROXY": "http://proxy.example"}, "ALL_PROXY: Proxy not allowed: proxy.example"),
        ({"all_proxy": "proxy.example:3128"}, "all_proxy: Proxy not allowed: of no readable name"),
        (
            {"NODE_TLS_REJECT_UNAUTHORIZED": "0"},
            "NODE_TLS_REJECT_UNAUTHORIZED=0 switches the checking of certificates off",
        ),
        ({"PYTHONHTTPSVERIFY": "0"}, "PYTHONHTTPSVERIFY=0 switches the checking of certificates off"),
        ({"CCR_APIKEY": "short"}, "APIKEY is too weak: 5 characters"),
        ({"CCR_APIKEY": "abababababababababab"}, "APIKEY is too weak: it repeats few characters"),
        (
            {"CCR_APIKEY": "<a_local_secret>"},
            "APIKEY is too weak: it is what an instruction writes in place of a key",
        ),
    ],
)
def test_the_environment_is_looked_at(desk, variables, message):
    """What the environment adds to the file is judged like the file."""
    assert messages(desk.examine(GUIDE, **variables)) == [message]


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": "http://proxy.example"},
        {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "api.anthropic.com"},
        {"HTTPS_PROXY": "http://proxy.example", "no_proxy": "*"},
        {"HTTPS_PROXY": "http://proxy.example", "https_proxy": ""},
        {"NODE_TLS_REJECT_UNAUTHORIZED": "1"},
    ],
)
def test_an_environment_without_effect(desk, variables):
    """A proxy that no request goes through is none."""
    assert messages(desk.examine(GUIDE, **variables)) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (Overrides(host="0.0.0.0"), "HOST must be 127.0.0.1 (localhost only)"),
        (Overrides(host="localhost"), "HOST must be 127.0.0.1 (localhost only)"),
        (Overrides(api_key="a-local-secret-of-some-length"), "--apikey comes from the command line"),
    ],
)
def test_the_command_line_is_looked_at(desk, overrides, message):
    """What the command line puts in place of the file is judged like the file."""
    assert message in messages(desk.examine(GUIDE, overrides=overrides))


def test_the_advice_is_for_where_the_fault_is(desk):
    """A flag is to be left out, not to be written into the file; a file that is empty is not to become `{}`."""
    (finding,) = desk.examine(GUIDE, overrides=Overrides(host="0.0.0.0")).errors
    assert (finding.path, finding.hint) == ("--host", "leave it out: the file says where")
    (finding,) = desk.examine(changed(lambda tree: tree.update(HOST="0.0.0.0"))).errors
    assert finding.hint == 'write "HOST": "127.0.0.1"'
    (finding,) = desk.examine(" ").errors
    assert finding.hint == "delete the file, and `ccr install` writes one that the policy knows"

"""Attacks by configuration: each is refused by `ccr verify` and by `ccr start`, by its own exit code and words.

And were it not: what the configuration configures is then sent to, past all checks but the last one, and no stranger is
connected to.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ccrouter.cli import main
from ccrouter.compliance.document import preset_text
from ccrouter.compliance.examine import examine
from ccrouter.errors import RouterError
from ccrouter.upstream.client import UpstreamClient
from tests.attacks.world import APPROVED_ADDRESS, World
from tests.compliance.configs import ANTHROPIC_ONLY, ENVIRON, GUIDE, OPENROUTER, Desk, changed, put

P = ("Providers", 0)
TEXT = json.dumps(GUIDE)
EVIL = "https://evil.example/v1/messages"
SESSION = "3f0d5c3e-1111-4222-8333-444455556666"


@dataclass(frozen=True)
class Attack:
    """What is changed in the guide's configuration (or the whole text), and what must be seen: exit code and words."""

    name: str
    config: Callable[[Any], object] | str
    code: int
    seen: str
    prepare: Callable[[Desk], object] = lambda desk: None
    environ: Mapping[str, str] = field(default_factory=dict)


def to(value: object, *path: object) -> Callable[[Any], None]:
    return lambda tree: put(tree, copy.deepcopy(value), *path)


def url(text: str) -> Callable[[Any], None]:
    return to(text, *P, "api_base_url")


def router(**routes: object) -> Callable[[Any], None]:
    return lambda tree: tree["Router"].update(routes)


def nothing(_tree: object) -> None:
    pass


def more(**members: object) -> Callable[[Any], None]:
    return lambda tree: tree.update(copy.deepcopy(members))


def another(**members: object) -> Callable[[Any], None]:
    return lambda tree: tree["Providers"].append({**copy.deepcopy(GUIDE["Providers"][0]), **members})


def beside(name: str, tree: Any) -> Callable[[Desk], object]:
    return lambda desk: desk.beside(name, tree)


def appended(text: str) -> str:
    return f"{TEXT[:-1]}, {text}}}"


def _linked(desk: Desk) -> None:
    real = desk.home / "elsewhere.json"
    real.write_text(TEXT)
    real.chmod(0o600)
    desk.path.unlink()
    desk.path.symlink_to(real)


def _linked_project(desk: Desk) -> None:
    real = desk.home / "elsewhere"
    real.mkdir()
    (real / "config.json").write_text('{"Router": {"default": "openrouter,qwen/qwen3-coder"}}')
    (desk.folder / "-repo").symlink_to(real)


def _open_to_others(desk: Desk) -> None:
    desk.path.chmod(0o666)


def _open_folder(desk: Desk) -> None:
    desk.folder.chmod(0o777)


def _bulky(end: str) -> Callable[[Desk], object]:
    return lambda desk: desk.path.write_text(f'{TEXT[:-1]}, "x": "{"x" * 50_000_000}"}} {end}')


QWEN = "openrouter,qwen/qwen3-coder"
TO_QWEN = {"Router": {"default": QWEN}}
NOT_ALLOWED = "Host not allowed"

ATTACKS = [
    # -- where it goes, by the URL
    Attack("another host", url(EVIL), 34, "Host not allowed: evil.example"),
    Attack("no TLS", url("http://api.anthropic.com/v1/messages"), 34, "HTTPS required"),
    Attack("host as user name", url("https://api.anthropic.com@evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("host as user name and password", url("https://api.anthropic.com:443@evil.example/"), 34, NOT_ALLOWED),
    Attack("escaped at sign", url("https://api.anthropic.com%40evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("escaped dot", url("https://api.anthropic.com%2eevil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("escaped slash", url("https://api.anthropic.com%2f.evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("backslash before the at sign", url("https://evil.example\\@api.anthropic.com/v1/messages"), 34, "HTTPS"),
    Attack("backslash for a slash", url("https:\\\\evil.example\\v1"), 34, "api_base_url"),
    Attack("fragment before the host", url("https://evil.example#@api.anthropic.com/"), 34, NOT_ALLOWED),
    Attack("query before the host", url("https://evil.example?@api.anthropic.com/v1/messages"), 34, NOT_ALLOWED),
    Attack("path before the host", url("https://evil.example/\\@api.anthropic.com"), 34, NOT_ALLOWED),
    Attack("host that goes on", url("https://api.anthropic.com.evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("host that begins earlier", url("https://evilapi.anthropic.com/v1/messages"), 34, NOT_ALLOWED),
    Attack("sibling host", url("https://bedrock.anthropic.com/v1/messages"), 34, NOT_ALLOWED),
    Attack("wild host", url("https://*.anthropic.com/v1/messages"), 34, NOT_ALLOWED),
    Attack("two hosts", url("https://api.anthropic.com,evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("host and NUL", url("https://api.anthropic.com\x00.evil.example/v1"), 34, NOT_ALLOWED),
    Attack("host and line feed", url("https://api.anthropic.com\n.evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("host in Cyrillic", url("https://api.\u0430nthropic.com/v1/messages"), 34, "xn--nthropic-06g.com"),
    Attack("dotless i", url("https://ap\u0131.anthropic.com/v1/messages"), 34, "xn--ap-ipa.anthropic.com"),
    Attack("one dot leader", url("https://api.anthropic.com\u2024evil.example/v1/messages"), 34, NOT_ALLOWED),
    Attack("soft hyphen", url("https://api.anthropic.com\u00ad.evil.example/v1"), 34, "HTTPS required"),
    Attack("full-width slash", url("https://api.anthropic.com\uff0fevil.example/v1"), 34, "HTTPS required"),
    Attack("character that holds a slash", url("https://api.anthropic.com\u2100.evil.example/"), 34, "HTTPS required"),
    Attack("punycode", url("https://xn--pi-7ba.anthropic.com/v1/messages"), 34, NOT_ALLOWED),
    Attack("another port", url("https://api.anthropic.com:8443/v1/messages"), 34, ":8443"),
    Attack("no such port", url("https://api.anthropic.com:99999/v1/messages"), 34, "HTTPS required"),
    Attack("IPv4 literal", url("https://93.184.216.34/v1/messages"), 34, NOT_ALLOWED),
    Attack("the approved address", url(f"https://{APPROVED_ADDRESS}/v1/messages"), 34, NOT_ALLOWED),
    Attack("decimal address", url("https://1572395042/v1/messages"), 34, NOT_ALLOWED),
    Attack("octal address", url("https://0135.0270.0330.042/v1/messages"), 34, NOT_ALLOWED),
    Attack("hexadecimal address", url("https://0x5db8d822/v1/messages"), 34, NOT_ALLOWED),
    Attack("IPv6 literal", url("https://[2606:2800:21f::1]/v1/messages"), 34, NOT_ALLOWED),
    Attack("mapped address", url("https://[::ffff:93.184.216.34]/v1/messages"), 34, NOT_ALLOWED),
    Attack("address with a zone", url("https://[fe80::1%25eth0]/v1/messages"), 34, NOT_ALLOWED),
    Attack("loopback literal", url("https://127.0.0.1/v1/messages"), 34, NOT_ALLOWED),
    Attack("no host", url("https:///v1/messages"), 34, NOT_ALLOWED),
    Attack("no scheme", url("//api.anthropic.com/v1/messages"), 34, "HTTPS required"),
    Attack("web socket", url("wss://api.anthropic.com/v1/messages"), 34, "HTTPS required, not wss"),
    Attack("socket file", url("http+unix://%2Ftmp%2Fs/v1/messages"), 34, "HTTPS required"),
    Attack("file", url("file:///etc/passwd"), 34, "HTTPS required"),
    Attack("from within", url("dry-run://evil.example/"), 34, "must begin with https://"),
    Attack("host from a variable", url("https://${WHERE}/v1/messages"), 34, NOT_ALLOWED, environ={"WHERE": "evil.example"}),
    Attack("rest of the host from a variable", url("https://api.anthropic.com${WHERE}/"), 34, NOT_ALLOWED,
           environ={"WHERE": "@evil.example"}),
    Attack("URL as a default", url("${WHERE:-" + EVIL + "}"), 34, NOT_ALLOWED),
    Attack("URL under another name", to(EVIL, *P, "baseURL"), 40, "another spelling"),
    # -- who it says it is
    Attack("banned provider", lambda tree: tree["Providers"].append(OPENROUTER), 20, "BANNED provider: openrouter"),
    Attack("banned provider, switched off", lambda tree: tree["Providers"].append({**OPENROUTER, "enabled": False}), 20,
           "BANNED provider"),
    Attack("banned in full width", another(name="\uff4fpenrouter", api_base_url=EVIL), 20, "BANNED provider"),
    Attack("banned with zero width", another(name="open\u200brouter", api_base_url=EVIL), 20, "BANNED provider"),
    Attack("banned in capitals", another(name="OPENROUTER", api_base_url=EVIL), 20, "BANNED provider"),
    Attack("banned by a variable", to("${N}", *P, "name"), 20, "BANNED provider", environ={"N": "openrouter"}),
    Attack("relabelled", url("https://openrouter.ai/api/v1/messages"), 34, "BANNED host: openrouter.ai"),
    Attack("name in Cyrillic", to("\u0430nthropic", *P, "name"), 21, "Only anthropic allowed"),
    Attack("name with a dot", to("anthropic.", *P, "name"), 21, "Only anthropic allowed"),
    Attack("name with a comma", to("anthropic,claude", *P, "name"), 21, "Only anthropic allowed"),
    Attack("second of the name", another(api_base_url=EVIL), 34, "Host not allowed: evil.example"),
    Attack("second of the name, zero width", another(name="anthropic\u200b", api_base_url=EVIL), 34, NOT_ALLOWED),
    Attack("second of the name, same host", another(name="ANTHROPIC"), 40, "two providers are called"),
    # -- which model
    Attack("another model", to(["claude-3.7-sonnet", "gpt-5"], *P, "models"), 22, "Model not allowed: gpt-5"),
    Attack("the sent model", to(["claude-sonnet-4-6"], *P, "models"), 22, "Model not allowed: claude-sonnet-4-6"),
    Attack("model in full width", to(["\uff43laude-3.7-haiku"], *P, "models"), 22, "Model not allowed"),
    Attack("model in Cyrillic", to(["\u0441laude-3.7-sonnet"], *P, "models"), 22, "Model not allowed"),
    Attack("model by a variable", to(["${M}"], *P, "models"), 22, "Model not allowed", environ={"M": "claude-opus-4-8"}),
    Attack("no models", to([], *P, "models"), 16, "lists no models"),
    Attack("model in the body", to({"model": "claude-opus-4-8"}, *P, "extra_body"), 22, "sends model"),
    Attack("model in the body, capital", to({"Model": "gpt-5"}, *P, "extra_body"), 23, "transforms"),
    Attack("fallbacks in the body", to({"fallbacks": ["gpt-5"]}, *P, "extra_body"), 23, "transforms"),
    Attack("prompt in the body", to({"system": "Obey."}, *P, "extra_body"), 23, "transforms"),
    Attack("servers in the body", to({"mcp_servers": [{"type": "url", "url": EVIL}]}, *P, "extra_body"), 23, "transforms"),
    # -- ways to it
    *(
        Attack(f"route {name}", router(**{name: QWEN}), 32, f"Router.{name} → openrouter: BANNED provider")
        for name in ("default", "background", "think", "longContext", "webSearch", "image", "subagent", "compaction",
                     "auxiliary", "WEBSEARCH")
    ),
    Attack("route with zero width", router(**{"webSearch\u200b": QWEN}), 32, "BANNED provider"),
    Attack("route by a variable", router(webSearch="${R}"), 32, "BANNED provider", environ={"R": QWEN}),
    Attack("route in full-width comma", router(think="anthropic\uff0cclaude-3.7-sonnet"), 33, "Model not allowed"),
    Attack("route with two commas", router(think="anthropic,claude-3.7-sonnet,gpt-5"), 30, "more than one comma"),
    Attack("route as a list", router(webSearch=[QWEN]), 32, "BANNED provider"),
    Attack("at the end of a chain", router(think=["anthropic,claude-sonnet-4-5", QWEN]), 32, "BANNED provider"),
    Attack("at the end of an alias", router(models={"claude-*": ["anthropic,claude-sonnet-4-5", QWEN]}), 32, "BANNED provider"),
    Attack("route as an object", router(webSearch={"provider": "openrouter"}), 30, "must be a text"),
    Attack("route to another model", router(think="anthropic,claude-opus-4-8"), 33, "Model not allowed"),
    Attack("no default", lambda tree: tree["Router"].pop("default"), 31, "Router.default is missing"),
    Attack("alias", router(models={"opus": QWEN}), 32, "Router.models.opus → openrouter"),
    Attack("alias chain", router(models={"opus": "best", "best": QWEN}), 32, "Router.models.best → openrouter"),
    Attack("default provider", router(defaultProvider="openrouter"), 32, "Router.defaultProvider → openrouter"),
    Attack("fallback", more(fallback={"default": [QWEN]}), 32, "fallback.default[0] → openrouter"),
    Attack("fallback of no route", more(fallback={"nowhere": [QWEN]}), 32, "fallback.nowhere[0] → openrouter"),
    Attack("fallback of the router", router(fallback={"think": [QWEN]}), 32, "Router.fallback.think[0] → openrouter"),
    Attack("fallback to a bare model", more(fallback={"default": ["gpt-5"]}), 33, "Model not allowed: gpt-5"),
    Attack("project router", nothing, 32, "BANNED provider", beside("-repo/config.json", TO_QWEN)),
    Attack("session router", nothing, 32, "BANNED provider",
           beside(f"-repo/{SESSION}.json", {"Router": {"default": "anthropic,claude-3.7-sonnet", "image": QWEN}})),
    Attack("linked project router", nothing, 32, "BANNED provider", _linked_project),
    Attack("project router twice", nothing, 1, "written twice",
           beside("-repo/config.json", '{"Router":{"default":"x,y","default":"anthropic,claude-3.7-sonnet"}}')),
    Attack("project router, broken", nothing, 1, "config.json", beside("-repo/config.json", '{"Router":')),
    Attack("project router, deep", nothing, 1, "nested too deeply",
           beside("-repo/config.json", '{"Router":' + '{"a":' * 700 + "1" + "}" * 701)),
    Attack("preset", nothing, 38, "preset x is not allowed", beside("presets/x/manifest.json", TO_QWEN)),
    # -- what comes in
    Attack("custom router", more(CUSTOM_ROUTER_PATH="/tmp/router.js"), 38, "CUSTOM_ROUTER_PATH"),
    Attack("custom transformer", more(transformers=[{"path": "/tmp/t.js"}]), 38, "custom transformer"),
    Attack("transformer", to({"use": ["openrouter"]}, *P, "transformer"), 23, 'transformer "openrouter"'),
    Attack("transformer of a model", to({"use": [], "claude-3.7-haiku": {"use": ["maxtoken"]}}, *P, "transformer"), 23,
           'transformer "maxtoken"'),
    Attack("plugin", more(plugins=[{"name": "spy", "enabled": True}]), 38, "plugin spy"),
    Attack("prompt rewrite", more(REWRITE_SYSTEM_PROMPT="/tmp/p.md"), 38, "REWRITE_SYSTEM_PROMPT"),
    # -- the way out
    Attack("proxy", more(PROXY_URL="http://proxy.example:3128"), 39, "Proxy not allowed: proxy.example"),
    Attack("proxy in the file's HTTPS_PROXY", more(HTTPS_PROXY="http://proxy.example"), 39, "Proxy not allowed"),
    Attack("proxy of the provider", to("http://proxy.example", *P, "proxy"), 39, "Proxy not allowed"),
    Attack("approved host as a proxy", to("https://api.anthropic.com", *P, "proxy"), 39, "Proxy not allowed"),
    *(
        Attack(f"proxy by {name}={value}", nothing, 39, "Proxy not allowed", environ={name: value})
        for name, value in (
            ("HTTPS_PROXY", "http://proxy.example:3128"),
            ("https_proxy", "proxy.example:3128"),
            ("Https_Proxy", "http://proxy.example"),
            ("ALL_PROXY", "socks5h://proxy.example:1080"),
            ("all_proxy", "http://me:pw@proxy.example"),
            ("HTTPS_PROXY", "pac+http://proxy.example/p.pac"),
            ("HTTPS_PROXY", "https://api.anthropic.com"),
            ("HTTPS_PROXY", " "),
        )
    ),
    Attack("proxy and a NO_PROXY that misses", nothing, 39, "Proxy not allowed",
           environ={"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "evil.example,.anthropic.org"}),
    Attack("certificates unchecked", nothing, 34, "switches the checking", environ={"NODE_TLS_REJECT_UNAUTHORIZED": "0"}),
    Attack("certificates unchecked by the file", more(NODE_TLS_REJECT_UNAUTHORIZED=0), 34, "switches the checking"),
    # -- keys, and who may come in
    Attack("no key", lambda tree: tree.pop("APIKEY"), 35, "APIKEY is missing"),
    Attack("weak key", nothing, 35, "APIKEY is too weak", environ={"CCR_APIKEY": "test"}),
    Attack("key of one letter", nothing, 35, "APIKEY is too weak", environ={"CCR_APIKEY": "a" * 40}),
    Attack("key in the file", to("a-local-secret-of-some-length", "APIKEY"), 36, "comes from the file"),
    Attack("key as a default", to("${CCR_APIKEY:-a-local-secret-of-length}", "APIKEY"), 36, "comes from the file"),
    Attack("key as a number", to(93057182640391754826, "APIKEY"), 36, "comes from the file"),
    Attack("provider's key in the file", to("sk-ant-api03-0123456789", *P, "api_key"), 36, "comes from the file"),
    Attack("provider's key as a number", to(73190458216374905128, *P, "api_key"), 36, "comes from the file"),
    Attack("provider's key as a default", to("${K:-sk-ant-api03-0123456789}", *P, "api_key"), 36, "comes from the file"),
    Attack("key in a header", to({"X-Api-Key": "literal-key"}, *P, "headers"), 36, "comes from the file"),
    Attack("key in the URL", url("https://api.anthropic.com/v1/messages?key=abcdef123"), 36, "comes from the file"),
    Attack("open to the network", to("0.0.0.0", "HOST"), 13, "HOST must be 127.0.0.1"),
    Attack("loopback in another dress", to("::ffff:127.0.0.1", "HOST"), 13, "HOST must be 127.0.0.1"),
    Attack("loopback in short", to("127.1", "HOST"), 13, "HOST must be 127.0.0.1"),
    Attack("two addresses", to(["127.0.0.1", "0.0.0.0"], "HOST"), 13, "HOST must be 127.0.0.1"),
    Attack("address of a server", more(servers={"default": {"HOST": "0.0.0.0"}}), 13, "HOST must be 127.0.0.1"),
    # -- how it is written
    Attack("a key twice", appended('"HOST": "127.0.0.1"'), 40, "HOST is written twice"),
    Attack("a key twice, escaped", appended(r'"H\u004fST": "0.0.0.0"'), 13, "HOST must be 127.0.0.1"),
    Attack("a key twice, JSON5", appended("HOST: '127.0.0.1', // the same\n"), 40, "HOST is written twice"),
    Attack("a key twice, JSON5 escape", appended(r"H\u004fST: '127.0.0.1'"), 40, "HOST is written twice"),
    Attack("providers twice", appended(f'"Providers": {json.dumps([OPENROUTER])}'), 20, "BANNED provider"),
    Attack("a provider's name twice", TEXT.replace('"name": ', '"name": "openrouter", "name": '), 40, "name is written twice"),
    Attack("a route twice", TEXT.replace('"think": ', '"think": "openrouter,x", "think": '), 40, "think is written twice"),
    Attack("a transformer twice", TEXT.replace('"use": ', '"use": ["openrouter"], "use": '), 40, "use is written twice"),
    Attack("twin of Providers", more(providers=[OPENROUTER]), 20, "BANNED provider: openrouter"),
    Attack("twin of Router", more(router={"default": QWEN}), 40, "another spelling"),
    Attack("twin of HOST", more(host="0.0.0.0"), 40, "another spelling"),
    Attack("twin of APIKEY", more(apiKey="abc"), 40, "another spelling"),
    Attack("prototype", more(__proto__={"Providers": [OPENROUTER]}), 40, "is not a setting"),
    Attack("constructor", more(constructor={"prototype": {}}), 40, "is not a setting"),
    Attack("a policy within", more(policy={"extends": "open"}), 40, "policy is not a setting"),
    Attack("the policy's variable within", more(CCR_POLICY="open"), 40, "CCR_POLICY is not a setting"),
    Attack("two documents", TEXT + TEXT, 3, "Config JSON malformed"),
    Attack("no number", TEXT.replace("600000", "NaN"), 3, "finite number"),
    Attack("endless number", TEXT.replace("600000", "1e999"), 3, "finite number"),
    Attack("number of 5000 digits", TEXT.replace("600000", "9" * 5000), 3, "Config JSON malformed"),
    *(
        Attack(f"{depth} deep, {what}", f'{TEXT[:-1]}, "x": {start * depth}1{end * depth}}}', 3, "nested too deeply")
        for what, start, end in (("lists", "[", "]"), ("objects", '{"a":', "}"))
        for depth in (150, 700, 990, 100_000)
    ),
    Attack("deep JSON5", f"{TEXT[:-1]}, x: {'[' * 400}1{']' * 400}}} // not JSON", 3, "nested too deeply"),
    Attack("50 MB", nothing, 3, "is larger than", _bulky("")),
    Attack("50 MB of JSON5", nothing, 3, "is larger than", _bulky("// not JSON")),
    Attack("null", "null", 10, "must be an object"),
    Attack("nothing", "", 3, "is empty"),
    Attack("a symbolic link", nothing, 37, "is a symbolic link", _linked),
    Attack("open to others", nothing, 37, "is open to others", _open_to_others),
    Attack("folder open to others", nothing, 41, "can be changed by others", _open_folder),
]  # fmt: skip


def test_names_are_unique() -> None:
    """Each attack is another one."""
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def _lay_out(attack: Attack, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The home folder as the attack has it, under the policy that `ccr install` puts there; the environment."""
    desk.write(attack.config if isinstance(attack.config, str) else changed(attack.config))
    own = desk.beside("policy.json", preset_text("anthropic-only").decode())
    own.chmod(0o600)
    attack.prepare(desk)
    environ = desk.environ(attack.environ)
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ


@pytest.mark.parametrize(
    "attack", [pytest.param(attack, id=f"C{number:03d} {attack.name[:60]}") for number, attack in enumerate(ATTACKS, 1)]
)
async def test_attack(attack: Attack, desk: Desk, world: World, monkeypatch, capsys) -> None:
    """Refused by `ccr verify` and `ccr start`; sent on all the same, it reaches nobody."""
    environ = _lay_out(attack, desk, monkeypatch)
    served = []
    monkeypatch.setattr("ccrouter.cli.start._serve", lambda *given: served.append(given) or 0)
    monkeypatch.setattr("ccrouter.cli.start.is_already_running", lambda *_: False)

    verified = main(["verify"])
    told = capsys.readouterr()
    assert (verified, told.out) == (attack.code, ""), told.err
    assert attack.seen in told.err, told.err
    assert told.err.startswith("Error: ")
    assert "Traceback" not in told.err
    assert main(["start"]) == 1
    assert served == []
    assert "Traceback" not in capsys.readouterr().err

    config = None
    if desk.path.stat().st_size < 1_000_000:
        config = examine(desk.path, environ, ANTHROPIC_ONLY).config
    if config is None:
        return
    client = UpstreamClient(ANTHROPIC_ONLY)
    try:
        for provider in config.providers:
            for endpoint in provider.endpoints:
                for model in (*provider.models[:2], "claude-sonnet-4-6"):
                    body = json.dumps({"model": model, **provider.extra_body, "messages": []}, separators=(",", ":"))
                    with pytest.raises(RouterError):
                        await client.send(provider, endpoint, {}, body.encode())
    finally:
        await client.close()
    assert set(world.dialled) <= {(APPROVED_ADDRESS, 443)}

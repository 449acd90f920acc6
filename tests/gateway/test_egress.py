"""The last step before the socket: it lets nothing out that the policy does not allow, whatever came before it.

In most of these tests the pipeline's own judgement is replaced by nothing: a mistake there must not be able to send.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
from types import MappingProxyType

import msgspec
import pytest
from aiohttp.connector import _SSL_CONTEXT_VERIFIED

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Endpoint, Provider
from ccrouter.dialects.named_models import models_named
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import Denied, LocalProtocolError, UpstreamUnreachable
from ccrouter.gateway.approval import Approval
from ccrouter.messages.request import MessagesRequest
from ccrouter.secret import Secret
from ccrouter.upstream.client import UpstreamClient
from tests.gateway.conftest import provider, running
from tests.upstream import Reply, Upstream, anthropic_wire, chat_wire, json_reply

BODY = b'{"model":"m1","max_tokens":9,"messages":[{"role":"user","content":"x"}]}'


def _answer(received):
    return json_reply(chat_wire.chat_json("ok") if "chat" in received.path else anthropic_wire.message_json("ok"))


@pytest.fixture
async def evil():
    """The host that nobody approved."""
    async with Upstream() as up:
        up.always(_answer)
        yield up


@pytest.fixture
def good(upstream: Upstream) -> Upstream:
    upstream.always(_answer)
    return upstream


@pytest.fixture
def _blind(monkeypatch):
    """A pipeline that judges nothing."""
    monkeypatch.setattr(Approval, "approve", lambda *_, **_more: None)
    monkeypatch.setattr(Approval, "judge", lambda *_: None)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def names(monkeypatch):
    """What names resolve to, by name: a list of addresses. Names that are not in it do not exist."""
    table: dict[str, list[str]] = {}

    def look_up(host, port, *_arguments, **_named):
        host = host.decode() if isinstance(host, bytes) else host
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = []
        for address in table[host]:
            if ":" in address:
                found.append((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)))
            else:
                found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


def policy(**rules) -> Policy:
    return Policy(name="test", source="a test", digest="d" * 64, **rules)


def banned(*networks: str) -> dict:
    return {"banned_addresses": tuple(ipaddress.ip_network(network) for network in networks)}


def at(upstream: Upstream, host: str = "127.0.0.1", name: str = "good", **more) -> Provider:
    more.setdefault("endpoints", (Endpoint("anthropic", f"http://{host}:{upstream.port}/v1/messages"),))
    return Provider(name=name, key=Secret("sk-something-0123456789"), models=("m1",), **more)


async def send(rules: Policy, to: Provider, body: bytes = BODY, times: int = 1) -> int:
    """The status of the last answer."""
    client = UpstreamClient(rules)
    try:
        status = 0
        for _ in range(times):
            response = await client.send(to, to.endpoints[0], {}, body)
            while await response.read():
                pass
            response.close()
            status = response.status
        return status
    finally:
        await client.close()


# -- a mistake in an earlier step ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_blind")
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("rule", ["provider", "host", "model", "proxy", "address", "banned provider", "https"])
async def test_egress_judges_by_itself(rule, path, good, evil, tmp_path, names):
    """With a pipeline that judges nothing, each rule holds at the last step: 403, no fallback, nobody connected to."""
    rules = {
        "provider": {"allowed_providers": ("good",)},
        "banned provider": {"banned_providers": ("bad",)},
        "host": {"allowed_hosts": (f"127.0.0.1:{good.port}",)},
        "model": {"allowed_models": ("m1",)},
        "proxy": {"allowed_proxies": ()},
        "address": banned("127.0.0.0/8"),
        "https": {"https_only": True},
    }[rule]
    bad = provider(evil, "anthropic", name="bad", models=["b1"], profile="anthropic")
    if rule == "proxy":
        bad |= {"api_base_url": "http://far.test/v1/messages", "proxy": evil.url}
    if rule == "address":
        names["far.test"] = ["127.0.0.1"]
        bad["api_base_url"] = f"http://far.test:{evil.port}/v1/messages"
    config = {
        "Providers": [bad, provider(good, "anthropic", name="good")],
        "Router": {"default": "bad,b1"},
        "fallback": {"default": ["good,m1"]},
    }
    denials = []

    class Ledger:
        def record(self, kind, facts):
            if kind == "denial":
                denials.append(facts)

    async with running(config, tmp_path, policy=policy(**rules), auditor=Ledger()) as router:
        body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        async with router.client.post(router.url + path, json=body) as response:
            assert response.status == 403
            assert response.headers["x-should-retry"] == "false"
            assert (await response.json())["error"]["type"] == "permission_error"
    assert (good.connections, evil.connections) == (0, 0)
    assert [facts["target"] for facts in denials] in (["bad,b1"], [""])


@pytest.mark.usefixtures("_blind")
async def test_a_policy_that_allows_it_lets_it_through(good, tmp_path, names):
    """The same last step sends what every rule allows: what the other tests refuse is refused for its rule."""
    names["far.test"] = ["127.0.0.1"]
    rules = policy(
        allowed_providers=("good",), allowed_hosts=("far.test:*",), allowed_models=("m1",), allowed_proxies=(),
        **banned("10.0.0.0/8"),
    )  # fmt: skip
    assert await send(rules, at(good, "far.test")) == 200
    assert good.connections == 1


async def test_the_built_in_provider_is_judged_too(tmp_path):
    """The provider that never leaves is a provider: under its name, and with its model."""
    to = Provider("dry-run", (Endpoint("anthropic", "dry-run:"),), models=("dry-run",))
    with pytest.raises(Denied, match="Only good allowed"):
        await send(policy(allowed_providers=("good",)), to)
    with pytest.raises(Denied, match="Model not allowed"):
        await send(policy(allowed_models=("m2",)), to)
    assert await send(policy(allowed_providers=("dry-run",), allowed_models=("m1",), https_only=True), to) == 200


# -- models in the bytes ----------------------------------------------------------------------------------------------

MEMBERS = {
    "models": {"models": ["m1", "evil"]},
    "models, one alone": {"models": "evil"},
    "models as objects": {"models": [{"model": "evil"}]},
    "fallbacks": {"fallbacks": ["evil"]},
    "fallbacks as objects": {"fallbacks": [{"model": "evil", "max_tokens": 5}]},
    "fallback_models": {"fallback_models": ["evil"]},
    "route": {"route": "fallback"},
    "preset": {"preset": "evil"},
    "other letters": {"Model": "evil"},
    "letters that fold": {"MODEL\u017f": ["evil"]},
    "plugins": {"plugins": [{"id": "fusion", "analysis_models": ["evil"]}]},
    "plugin's model": {"plugins": [{"id": "x", "model": "evil"}]},
    "provider": {"provider": {"order": ["x"], "model": "evil"}},
    "server tool": {"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "evil"}]},
    "server tool's parameters": {"tools": [{"type": "openrouter:advisor", "parameters": {"model": "evil"}}]},
    "tools that are no list": {"tools": {"a": {"model": "evil"}}},
}


@pytest.mark.parametrize("judged", ["pipeline and egress", "egress alone"])
@pytest.mark.parametrize("kind", MEMBERS)
async def test_models_that_a_client_sends_along(kind, judged, good, tmp_path, monkeypatch):
    """Every member by which a client could have another model answer is found in the bytes and refused."""
    if judged == "egress alone":
        monkeypatch.setattr(Approval, "approve", lambda *_, **_more: None)
    config = {"Providers": [provider(good, "anthropic", name="good")], "Router": {"default": "good,m1"}}
    async with running(config, tmp_path, policy=policy(allowed_models=("m1",))) as router:
        status, _, raw = await router.ask(**MEMBERS[kind])
    assert status == 403
    assert b"models.allowed" in raw
    assert good.connections == 0


INNOCENT = {
    "the allowed one": {"models": ["m1"]},
    "a schema of the client": {
        "tools": [{"name": "Agent", "input_schema": {"type": "object", "properties": {"model": {"type": "string"}}}}]
    },
    "a function": {"tools": [{"type": "function", "parameters": {"properties": {"model": "evil"}}, "name": "x"}]},
    "words": {"system": 'the "model":"evil" and {"models":["evil"]}'},
    "a schema of the answer": {"output_config": {"format": {"type": "json_schema", "schema": {"model": "evil"}}}},
    "who asks": {"metadata": {"user_id": "model", "model": "evil"}},
    "a web search": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
    "nothing": {"models": None},
}


@pytest.mark.parametrize("kind", INNOCENT)
async def test_words_are_no_models(kind, good, tmp_path):
    """What only speaks of models, or describes a tool that the client runs itself, is sent."""
    config = {"Providers": [provider(good, "anthropic", name="good")], "Router": {"default": "good,m1"}}
    async with running(config, tmp_path, policy=policy(allowed_models=("m1",))) as router:
        status, _, raw = await router.ask(**INNOCENT[kind])
    assert status == 200, raw


SETTINGS = {
    "extra_body model": {"extra_body": {"model": "evil"}},
    "extra_body models": {"extra_body": {"models": ["m1", "evil"]}},
    "extra_body without a model": {"extra_body": {"model": None}},
    "transformer that sets it": {"transformer": {"use": [["openrouter", {"model": "evil"}]]}},
    "transformer that adds more": {"transformer": {"use": [["customparams", {"models": ["evil"]}]]}},
    "transformer of one model": {"transformer": {"use": [], "m1": {"use": [["openrouter", {"models": ["evil"]}]]}}},
}


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [(kind, dialect) for kind in SETTINGS for dialect in ("anthropic", "openai") if dialect == "openai" or "_" in kind],
)
async def test_models_that_a_configuration_slips_in(kind, dialect, good, tmp_path):
    """What the configuration merges into the body after all routing is judged as it stands in the bytes."""
    config = {
        "Providers": [provider(good, dialect, name="good", **SETTINGS[kind])],
        "Router": {"default": "good,m1"},
    }
    async with running(config, tmp_path, policy=policy(allowed_models=("m1",))) as router:
        status, _, raw = await router.ask()
    assert status == 403, raw
    assert good.connections == 0


AMBIGUOUS = {
    "twice": b'{"model":"m1","messages":[],"model":"evil"}',
    "twice, the good one last": b'{"model":"evil","messages":[],"model":"m1"}',
    "twice, once escaped": b'{"model":"m1","messages":[],"mod\\u0065l":"evil"}',
    "loose": b'{"model":"m1", "messages":[]}',
    "more than one": b'{"model":"m1"}{"model":"evil"}',
    "an array": b'["m1"]',
    "nothing": b"",
    "no JSON": b"model=m1",
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
async def test_bytes_that_can_be_read_in_two_ways(kind, good):
    """Bytes that the provider could read differently than we do are not sent."""
    with pytest.raises(LocalProtocolError):
        await send(policy(allowed_models=("m1",)), at(good), AMBIGUOUS[kind])
    assert good.connections == 0


@pytest.mark.parametrize("rules", [{"allowed_models": ("*",)}, {"banned_models": ("evil",)}])
async def test_a_body_without_a_model(rules, good):
    """Where models are restricted, a request that names none is refused in plain words."""
    with pytest.raises(Denied, match="names no model"):
        await send(policy(**rules), at(good), b'{"messages":[]}')
    assert good.connections == 0


def test_a_tool_whose_members_are_named_twice():
    """Within a tool every one of two equal names counts."""
    for tool in (
        b'{"type":"custom","name":"a","type":"advisor","model":"evil"}',
        b'{"type":"x","model":"m1","model":"evil"}',
        b'{"type":"function","parameters":{"model":"evil"},"type":"openrouter:x"}',
        b'{"name" : "a", "mod\\u0065l" : "evil"}',
    ):
        assert "evil" in models_named("http://h/", b'{"model":"m1","tools":[' + tool + b"]}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/api/v1/presets/cheap/messages", ["@preset/cheap"]),
        ("https://h/openai/deployments/gpt%2D4/chat/completions?api-version=1", ["gpt-4"]),
        ("https://h/v1/messages?model=evil&x=1", ["evil"]),
        ("https://h/v1/messages?MODEL=evil", ["evil"]),
        ("https://h/v1/messages", []),
    ],
)
def test_models_in_a_url(url, expected):
    """A URL can name a model too."""
    for name in ("anthropic", "openai_chat"):
        assert DIALECTS[name].models_sent(url, BODY) == [*expected, "m1"]


def test_what_we_encode_accounts_for_its_bytes():
    """A client's white space around members is not in what we send, so no honest request is taken for an ambiguous one."""
    pretty = json.dumps(json.loads(BODY), indent=4).replace(":", " : ").encode()
    sent = MessagesRequest.read(pretty).encode()
    assert models_named("http://h/", sent) == ["m1"]
    named = msgspec.json.encode({"model": "m1", 'ключ "и"\n': "ü", "": {}, "a/b": 1.5})
    assert models_named("http://h/", MessagesRequest.read(named).encode()) == ["m1"]


async def test_without_a_rule_on_models_the_bytes_are_not_read(good, monkeypatch):
    """No rule on models, no reading: nothing is spent on a policy that does not ask."""

    def read(*_):
        raise AssertionError

    monkeypatch.setattr("ccrouter.dialects.anthropic.models_named", read)
    assert await send(policy(allowed_providers=("good",)), at(good)) == 200
    assert await send(Policy(), at(good)) == 200


# -- hosts and redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(status, good, evil, tmp_path):
    """An allowed host that redirects elsewhere is not followed: an error, and nobody is connected to there."""
    good.always(Reply(status, {"location": evil.url + "/v1/messages"}))
    config = {"Providers": [provider(good, "anthropic", name="good")], "Router": {"default": "good,m1"}}
    async with running(config, tmp_path, policy=policy(allowed_hosts=(f"127.0.0.1:{good.port}",))) as router:
        got, _, _ = await router.ask()
    assert got == 502
    assert len(good.requests) == 1
    assert evil.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{good}@127.0.0.1:{evil}/v1/messages",
        "http://127.0.0.1:{good}%40127.0.0.1:{evil}/v1/messages",
        "http://127.0.0.1:{evil}#@127.0.0.1:{good}/v1/messages",
        "http://127.0.0.1:{evil}?@127.0.0.1:{good}/v1/messages",
        "http://127.0.0.1:{evil}\\@127.0.0.1:{good}/v1/messages",
        "http://2130706433:{evil}/v1/messages",
        "http://0x7f000001:{evil}/v1/messages",
        "http://127.1:{evil}/v1/messages",
        "http://127.0.0.1.:{evil}/v1/messages",
        "http://localhost:{evil}/v1/messages",
        "http://[::ffff:127.0.0.1]:{evil}/v1/messages",
        "http://１２７.0.0.1:{evil}/v1/messages",
        "HTTP://127.0.0.1:{evil}/v1/messages",
        "http:///127.0.0.1:{evil}/v1/messages",
        "//127.0.0.1:{evil}/v1/messages",
        "ws://127.0.0.1:{evil}/v1/messages",
        "http://127.0.0.1:{good}x:{evil}/v1/messages",
        "dry-run://127.0.0.1:{evil}/",
    ],
)
async def test_urls_that_say_one_thing_and_mean_another(url, good, evil):
    """The URL that is judged is the one that is sent to: no spelling gets past the list of hosts."""
    url = url.format(good=good.port, evil=evil.port)
    to = at(evil, endpoints=(Endpoint("anthropic", url),))
    rules = policy(allowed_hosts=(f"127.0.0.1:{good.port}",), allowed_models=("m1",))
    if url.startswith("dry-run"):
        assert await send(rules, to) == 200
    else:
        with pytest.raises((Denied, UpstreamUnreachable)):
            await send(rules, to)
    assert (good.connections, evil.connections) == (0, 0)


async def test_a_host_among_the_headers(good, evil):
    """A Host header of the configuration, in whatever letters, does not reach the wire."""
    headers = MappingProxyType({"Host": f"127.0.0.1:{evil.port}", "HOST": "evil.test", "x-kept": "1"})
    assert await send(policy(allowed_hosts=("127.0.0.1:*",)), at(good, headers=headers)) == 200
    received = good.requests[0]
    assert received.headers.get_all("host") == [f"127.0.0.1:{good.port}"]
    assert received.headers["x-kept"] == "1"
    assert evil.connections == 0


# -- addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.1", "127.0.0.1"],
        ["127.0.0.1", "::1"],
        ["::ffff:127.0.0.1", "127.0.0.1", "::1"],
    ],
)
async def test_a_name_that_resolves_to_an_excluded_address(addresses, good, names):
    """However many addresses a name has: no socket is opened to an excluded one, and the reason is told as a denial."""
    names["far.test"] = addresses
    assert await send(policy(allowed_hosts=("far.test:*",)), at(good, "far.test")) == 200
    before = good.connections
    rules = policy(allowed_hosts=("far.test:*",), **banned("127.0.0.0/8", "::1/128"))
    with pytest.raises(Denied, match=r"addresses\.banned"):
        await send(rules, at(good, "far.test"))
    assert good.connections == before


async def test_the_allowed_one_of_several_addresses(good, names):
    """Of a name with an excluded and an allowed address only the allowed one is connected to."""
    names["far.test"] = ["::1", "127.0.0.1"]
    rules = policy(**banned("::1/128"))
    assert await send(rules, at(good, "far.test")) == 200
    assert good.connections == 1


async def test_a_name_that_changes_its_address(good, names):
    """The address that is judged is the one connected to: an answer that changes later gains nothing, cached or not."""
    names["far.test"] = ["::1"]
    rules = policy(allowed_hosts=("far.test:*",), **banned("127.0.0.0/8"))
    client, to = UpstreamClient(rules), at(good, "far.test")
    try:
        for _ in range(3):
            with pytest.raises((UpstreamUnreachable, Denied)):
                await client.send(to, to.endpoints[0], {}, BODY)
            names["far.test"] = ["127.0.0.1"]
            client._direct.connector.clear_dns_cache()
        with pytest.raises(Denied):
            await client.send(to, to.endpoints[0], {}, BODY)
    finally:
        await client.close()
    assert good.connections == 0


async def test_a_pooled_connection_goes_where_it_went(good, names):
    """A connection that was judged serves again; a name that moves to an excluded address meanwhile is not followed."""
    names["far.test"] = ["127.0.0.1"]
    rules = policy(**banned("10.0.0.0/8"))
    client, to = UpstreamClient(rules), at(good, "far.test")
    try:
        for _ in range(2):
            response = await client.send(to, to.endpoints[0], {}, BODY)
            while await response.read():
                pass
            response.close()
            names["far.test"] = ["10.0.0.1"]
            client._direct.connector.clear_dns_cache()
    finally:
        await client.close()
    assert good.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1."])
async def test_addresses_as_hosts(host, good):
    """A host that is an address is judged as one, in any of its forms."""
    with pytest.raises((Denied, UpstreamUnreachable)):
        await send(policy(**banned("127.0.0.0/8", "::1/128")), at(good, host))
    assert good.connections == 0


# -- proxies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment(variable, good, evil, names, monkeypatch):
    """A proxy that the environment brings is judged: 403, never quietly without it."""
    names["far.test"] = ["127.0.0.1"]
    monkeypatch.setenv(variable, evil.url)
    if variable == "HTTP_PROXY":
        monkeypatch.delenv("REQUEST_METHOD", raising=False)
    with pytest.raises(Denied, match=r"proxies\.allowed"):
        await send(policy(allowed_proxies=()), at(good, "far.test"))
    assert (good.connections, evil.connections) == (0, 0)


@pytest.mark.parametrize(
    "around", ["", "other.test", "ar.test", "test.", "far.test.other", "127.0.0.1", "http://far.test", "*.far.test"]
)
async def test_no_proxy_does_not_move_the_rules(around, good, evil, names, monkeypatch):
    """Whatever NO_PROXY says, what is judged is the way that is taken: the proxy, or the host without it."""
    names["far.test"] = ["127.0.0.1"]
    monkeypatch.setenv("http_proxy", evil.url)
    monkeypatch.setenv("no_proxy", around)
    with pytest.raises(Denied, match=r"proxies\.allowed"):
        await send(policy(allowed_proxies=()), at(good, "far.test"))
    assert (good.connections, evil.connections) == (0, 0)


@pytest.mark.parametrize("around", ["far.test", "*", ".test"])
async def test_around_a_proxy_the_host_is_judged(around, good, evil, names, monkeypatch):
    """Past the proxy the address is judged again: NO_PROXY is no way to an excluded one."""
    names["far.test"] = ["127.0.0.1"]
    monkeypatch.setenv("http_proxy", evil.url)
    monkeypatch.setenv("no_proxy", around)
    assert await send(policy(allowed_proxies=()), at(good, "far.test")) == 200
    before = good.connections
    with pytest.raises(Denied, match=r"addresses\.banned"):
        await send(policy(allowed_proxies=(), **banned("127.0.0.0/8")), at(good, "far.test"))
    assert (good.connections, evil.connections) == (before, 0)


async def test_an_allowed_proxy(good, evil):
    """Through an allowed proxy the names are the proxy's to resolve: no address is judged, neither its own; hosts are."""
    far = Endpoint("anthropic", "http://far.test/v1/messages")
    to = Provider("good", (far,), proxy=good.url, models=("m1",))
    rules = {"allowed_proxies": ("127.0.0.1",), **banned("127.0.0.0/8")}
    assert await send(policy(allowed_hosts=("far.test",), **rules), to) == 200
    assert good.requests[0].target == far.url
    with pytest.raises(Denied, match=r"hosts\.allowed"):
        await send(policy(allowed_hosts=("other.test",), **rules), to)
    assert good.connections == 1


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://x@127.0.0.1:{port}", "http:"])
async def test_proxies_of_a_provider(proxy, good, evil):
    """A proxy of the provider's own is judged by its host, however it is written; one that nobody can read too."""
    to = at(good, "far.test", proxy=proxy.format(port=evil.port))
    with pytest.raises((Denied, UpstreamUnreachable)):
        await send(policy(allowed_proxies=("proxy.example",)), to)
    assert evil.connections == 0


# -- certificates ---------------------------------------------------------------------------------------------------------


async def test_certificates_are_always_verified(monkeypatch):
    """Connections verify certificates and names, and no variable that other programs know turns that off."""
    for name in ("NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY", "CURL_INSECURE", "SSL_VERIFY"):
        monkeypatch.setenv(name, "0")
    client = UpstreamClient(policy(**banned("10.0.0.0/8")))
    try:
        for session in (client._direct, client._by_proxy):
            assert session.connector._ssl is True
            assert session.trust_env is False
    finally:
        await client.close()
    assert _SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
    assert _SSL_CONTEXT_VERIFIED.check_hostname

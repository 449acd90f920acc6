"""Attacks by the network: what an approved host answers, what names resolve to, and who offers to carry the request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from ccrouter.config.load import load
from ccrouter.errors import RouterError
from ccrouter.upstream.client import UpstreamClient
from tests.attacks.world import APPROVED_ADDRESS, APPROVED_HOST, KEY, SENT, World, config_with, preset_at
from tests.compliance.configs import ANTHROPIC_ONLY, ENVIRON, GUIDE, changed, put
from tests.gateway.conftest import running
from tests.upstream import Reply, Upstream, raw_reply

LIMIT = 10  # seconds
BODY = b'{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[{"role":"user","content":"x"}]}'
EVIL = "http://127.0.0.1:{port}/v1/messages"

#: What an approved host answers: status, and headers in which {evil} is the stranger.
REDIRECTS = {
    **{f"{status}": (status, {"location": "{evil}"}) for status in (300, 301, 302, 303, 304, 305, 306, 307, 308, 399)},
    "without a scheme": (302, {"location": "//127.0.0.1:{port}/v1/messages"}),
    "to itself as user name": (302, {"location": "http://api.anthropic.com@127.0.0.1:{port}/"}),
    "by a backslash": (302, {"location": "\\\\127.0.0.1:{port}\\v1"}),
    "to TLS": (307, {"location": "https://127.0.0.1:{port}/v1/messages"}),
    "to a file": (302, {"location": "file:///etc/passwd"}),
    "to no URL": (302, {"location": "http://[::1"}),
    "twice": (302, {"location": "{evil}", "Location ": "{evil}"}),
    "refresh": (200, {"refresh": "0; url={evil}"}),
    "content-location": (200, {"content-location": "{evil}"}),
    "created elsewhere": (201, {"location": "{evil}"}),
    "accepted elsewhere": (202, {"location": "{evil}", "operation-location": "{evil}"}),
    "alternative service": (200, {"alt-svc": 'h2="127.0.0.1:{port}"; ma=86400'}),
    "misdirected": (421, {"alt-svc": 'h2="127.0.0.1:{port}"', "location": "{evil}"}),
    "use a proxy": (407, {"proxy-authenticate": "Basic", "location": "{evil}"}),
    "who are you": (401, {"www-authenticate": 'Bearer realm="{evil}"', "location": "{evil}"}),
    "later, elsewhere": (503, {"retry-after": "0", "location": "{evil}"}),
    "link": (200, {"link": "<{evil}>; rel=preconnect"}),
    "report": (200, {"report-to": '{{"endpoints":[{{"url":"{evil}"}}]}}', "nel": "{{}}"}),
    "cookies": (302, {"set-cookie": "a=b; domain=127.0.0.1", "location": "{evil}"}),
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("name", [pytest.param(name, id=f"N{n:03d} {name}") for n, name in enumerate(REDIRECTS, 1)])
async def test_redirects(name, path, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """An approved host that says "go elsewhere", in whatever words: nobody goes."""
    status, headers = REDIRECTS[name]
    evil = EVIL.format(port=stranger.port)
    shown = {key: value.format(evil=evil, port=stranger.port) for key, value in headers.items()}
    approved.always(Reply(status, shown, (b'{"type":"error"}',), framing="length"))
    config = config_with(approved, stranger)
    async with (
        running(config, tmp_path, ENVIRON, policy=preset_at(approved)) as router,
        router.client.post(
            router.url + path,
            json={"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
            headers={"x-api-key": KEY},
        ) as response,
    ):
        got = await response.read()
        told = response.status
    assert 1 <= len(approved.requests) <= 2
    assert "location" not in response.headers
    assert told == 200 or json.loads(got)["type"] == "error"
    if path == "/v1/messages" and 300 <= status < 400:
        assert told in {500, 502}


async def test_early_hints_and_upgrades(approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """N050: answers before the answer, and another protocol instead of one, lead nowhere either."""
    config = config_with(approved, stranger)
    hint = f"HTTP/1.1 103 Early Hints\r\nlink: <{stranger.url}/>; rel=preload\r\n\r\n".encode()
    async with running(config, tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        approved.reply(
            raw_reply(hint + b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"),
            raw_reply(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"),
        )
        statuses = [(await router.ask({"x-api-key": KEY}))[0] for _ in range(2)]
    assert all(status >= 400 for status in statuses), statuses


# -- names ------------------------------------------------------------------------------------------------------------


async def _send(world: World, tmp_path: Path, url: str | None = None, **rules) -> list[str]:
    """Send to the guide's provider (or to `url`) under the shipped preset; what went wrong, if anything."""
    tree = changed(lambda tree: put(tree, url, "Providers", 0, "api_base_url") if url else None)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    policy = replace(ANTHROPIC_ONLY, **rules)
    client = UpstreamClient(policy)
    try:
        [provider] = [one for one in load(path, ENVIRON).providers if one.name == "anthropic"]
        wrong = []
        for _ in range(2):
            with pytest.raises(RouterError) as raised:  # where somebody is reached who does not answer: a TimeoutError
                async with asyncio.timeout(LIMIT):
                    await client.send(provider, provider.endpoints[0], {}, BODY)
            wrong.append(f"{type(raised.value).__name__} {getattr(raised.value, 'rule', '')}")
        return wrong
    finally:
        await client.close()


ADDRESSES = [
    ["127.0.0.1"], ["10.0.0.1"], ["172.31.255.255"], ["192.168.1.1"], ["169.254.169.254"], ["100.64.0.1"], ["0.0.0.0"],
    ["224.0.0.1"], ["255.255.255.255"], ["198.18.0.1"], ["::1"], ["::"], ["fe80::1"], ["fd00::1"], ["fec0::1"],
    ["ff02::1"], ["::ffff:127.0.0.1"], ["::ffff:169.254.169.254"], ["64:ff9b::7f00:1"], ["64:ff9b::a9fe:a9fe"],
    ["64:ff9b:1::1"], ["2002:7f00:1::1"], ["2001::1"], ["fe80::1%eth0"], ["::127.0.0.1"], ["::ffff:0:127.0.0.1"],
    ["10.0.0.1", "::1", "127.0.0.1"],
]  # fmt: skip


@pytest.mark.parametrize(
    "addresses", [pytest.param(one, id=f"N{n:03d} {'+'.join(one)}") for n, one in enumerate(ADDRESSES, 60)]
)
async def test_the_approved_name_leads_inside(addresses, world: World, tmp_path) -> None:
    """The approved name, resolved to an address of this machine or its network: no socket is made for it."""
    world.names[APPROVED_HOST] = addresses
    assert await _send(world, tmp_path) == ["Denied addresses.banned"] * 2
    assert world.dialled == []


async def test_a_name_with_mixed_addresses(world: World, tmp_path) -> None:
    """N100: of several addresses the excluded ones are skipped, whatever their order."""
    for order in (
        ["127.0.0.1", APPROVED_ADDRESS, "10.0.0.1"],
        [APPROVED_ADDRESS, "::1"],
        ["fd00::1", APPROVED_ADDRESS],
    ):
        world.names[APPROVED_HOST] = order
        world.dialled.clear()
        await _send(world, tmp_path)
        assert set(world.dialled) == {(APPROVED_ADDRESS, 443)}


async def test_a_name_that_changes_after_the_check(world: World, tmp_path, monkeypatch) -> None:
    """N101: whatever the name says when it is asked again, the address that is connected to is one that was judged."""
    answers = [[APPROVED_ADDRESS], ["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]]
    look_up = world.look_up

    def changing(host, port, *more, **named):
        world.names[APPROVED_HOST] = answers.pop(0) if answers else ["127.0.0.1"]
        return look_up(host, port, *more, **named)

    monkeypatch.setattr("socket.getaddrinfo", changing)
    for _ in range(4):
        await _send(world, tmp_path)
    assert set(world.dialled) == {(APPROVED_ADDRESS, 443)}


async def test_numbers_that_the_resolver_takes_for_addresses(world: World, tmp_path) -> None:
    """N102: decimal, octal and short addresses are names to a URL and addresses to a resolver: judged as what they are
    resolved to, even where every host is allowed."""
    world.names |= {"2130706433": ["127.0.0.1"], "0177.0.0.1": ["127.0.0.1"], "127.1": ["127.0.0.1"]}
    for host in ("2130706433", "0177.0.0.1", "127.1", "[::ffff:7f00:1]", "localhost", "0.0.0.0", "[::1]"):
        wrong = await _send(world, tmp_path, f"https://{host}/v1/messages", allowed_hosts=None)
        assert set(wrong) <= {"Denied addresses.banned", "UpstreamUnreachable "}, (host, wrong)
    assert world.dialled == []


async def test_everything_else_resolves_to_the_stranger(world: World, tmp_path) -> None:
    """N103: a host that is not listed is not even looked up."""
    asked = []
    world.look_up = lambda host, *_: asked.append(host)  # type: ignore[method-assign] # a look-up that only notes
    assert await _send(world, tmp_path, "https://evil.example/v1/messages") == ["Denied hosts.allowed"] * 2
    assert asked == []


# -- proxies ------------------------------------------------------------------------------------------------------------

PROXIES = {
    "https": {"HTTPS_PROXY": "http://{stranger}"},
    "lower case": {"https_proxy": "http://{stranger}"},
    "mixed case": {"Https_Proxy": "http://{stranger}"},
    "all": {"ALL_PROXY": "http://{stranger}"},
    "all, lower": {"all_proxy": "http://{stranger}"},
    "socks": {"ALL_PROXY": "socks5://{stranger}"},
    "socks with names": {"all_proxy": "socks5h://{stranger}"},
    "over TLS": {"HTTPS_PROXY": "https://{stranger}"},
    "no scheme": {"HTTPS_PROXY": "{stranger}"},
    "with a password": {"HTTPS_PROXY": "http://me:pw@{stranger}"},
    "PAC": {"HTTPS_PROXY": "pac+http://{stranger}/proxy.pac"},
    "PAC result": {"HTTPS_PROXY": "PROXY {stranger}; DIRECT"},
    "approved host": {"HTTPS_PROXY": "http://api.anthropic.com:8080"},
    "approved host over TLS": {"HTTPS_PROXY": "https://api.anthropic.com"},
    "blank": {"HTTPS_PROXY": " "},
    "NO_PROXY misses": {"HTTPS_PROXY": "http://{stranger}", "NO_PROXY": "evil.example,anthropic.com.evil"},
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"N{n:03d} {name}") for n, name in enumerate(PROXIES, 110)])
async def test_proxies_of_the_environment(name, world: World, stranger: Upstream, tmp_path, monkeypatch) -> None:
    """A proxy that appears after the start, in any spelling, carries nothing."""
    for variable, value in PROXIES[name].items():
        monkeypatch.setenv(variable, value.format(stranger=f"127.0.0.1:{stranger.port}"))
    wrong = await _send(world, tmp_path)
    assert set(wrong) <= {"Denied proxies.allowed", "UpstreamUnreachable "}, wrong
    assert world.dialled == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "FTP_PROXY", "WSS_PROXY", "REQUEST_METHOD"])
async def test_proxies_of_others(variable, world: World, stranger: Upstream, tmp_path, monkeypatch) -> None:
    """N140: a proxy for another scheme is none for this one: the provider is asked directly."""
    monkeypatch.setenv(variable, stranger.url)
    assert await _send(world, tmp_path) == ["UpstreamUnreachable "] * 2
    assert set(world.dialled) == {(APPROVED_ADDRESS, 443)}


async def test_netrc(world: World, tmp_path, monkeypatch) -> None:
    """N141: what ~/.netrc says of the approved host is not sent."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text(
        f"machine {APPROVED_HOST} login me password secret\nmachine 127.0.0.1 login me password s\n"
    )
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    async with Upstream() as up:
        up.always(Reply(200, {}, (b"{}",)))
        tree = changed(lambda tree: put(tree, f"{up.url}/v1/messages", "Providers", 0, "api_base_url"))
        path = tmp_path / "config.json"
        path.write_text(json.dumps(tree))
        client = UpstreamClient(preset_at(up))
        provider = next(one for one in load(path, ENVIRON).providers if one.name == "anthropic")
        (await client.send(provider, provider.endpoints[0], {}, BODY)).close()
        await client.close()
    assert "authorization" not in up.requests[0].headers or "Basic" not in up.requests[0].headers["authorization"]
    assert up.requests[0].json()["model"] in SENT


def test_no_other_client_is_there() -> None:
    """N142, by construction: the one session of a client follows no redirect, trusts no environment, keeps no cookies and
    checks certificates."""
    source = Path(__import__("ccrouter.upstream.client").upstream.client.__file__).read_text()
    assert source.count("aiohttp.ClientSession(") == 1
    assert "trust_env" not in source
    assert source.count("session.request(") == 1
    assert "allow_redirects=False" in source
    assert "ssl=True" in source
    assert "DummyCookieJar" in source
    package = Path(__import__("ccrouter").__file__).parent
    texts = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    users = {name for name, text in texts.items() if "import aiohttp" in text}
    assert users == {"upstream/client.py", "upstream/connecting.py", "upstream/mapping.py"}
    # One times the connector of that session, the other names its exceptions: neither asks anybody anything.
    assert {name for name in users if "ClientSession(" in texts[name]} == {"upstream/client.py"}


def test_the_guide_is_what_is_attacked() -> None:
    """N143: the provider of these tests is the guide's own."""
    assert GUIDE["Providers"][0]["api_base_url"] == f"https://{APPROVED_HOST}/v1/messages"
    assert ip_network("127.0.0.0/8") in ANTHROPIC_ONLY.banned_addresses

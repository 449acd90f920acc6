"""The way to a provider: proxies, certificates, limits of waiting."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, json_reply
from tests.upstream.reply import Gate, sse_reply

#: A name that no resolver knows: who reaches it went through the proxy.
ELSEWHERE = "http://provider.invalid/v1/messages"

# Made for this test, self-signed, good for nothing else.
_CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUZ2ryBThiekpyPNrWO8OEsyvoXT0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA1MzQ0M1oYDzIxMjYxMDI5
MDUzNDQzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARunONXvxwC7LoxhGLtIbGg4+Po8xUySXowRc7NSv5gOZxPWLzsoNlf
Zm6rnNJlcIXkn8i+BgdDA4e4GJ6VrgKNo28wbTAdBgNVHQ4EFgQUKOGhn2ZlJWE7
SMY4BaDYbMQYG+AwHwYDVR0jBBgwFoAUKOGhn2ZlJWE7SMY4BaDYbMQYG+AwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgCYuQG8tlf60i1cTm9x5NPFKAY1HSNzCN9IQMlSpHfBUCIQDq
v1xjmo+lrHtpzC1vr4U+537Un9/xRXsk1OatKSNeeQ==
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5f9MEklhWrgp49bE
CoWn1tw7BCclyaGOIcxbG6hzXMyhRANCAARunONXvxwC7LoxhGLtIbGg4+Po8xUy
SXowRc7NSv5gOZxPWLzsoNlfZm6rnNJlcIXkn8i+BgdDA4e4GJ6VrgKN
-----END PRIVATE KEY-----
"""


def _far(name: str, **more) -> dict:
    return {"name": name, "api_base_url": ELSEWHERE, "api_key": "k-1234567", "models": ["m"], **more}


@pytest.fixture
def _no_proxy_of_ours(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxy_of_ours")
@pytest.mark.parametrize("where", ["PROXY_URL", "HTTPS_PROXY", "provider", "environment"])
async def test_through_a_proxy(where, upstream: Upstream, tmp_path, monkeypatch):
    """A proxy named at the top of the file, at the provider, or in the environment carries the request to the provider."""
    config = {"Providers": [_far("far")], "Router": {"default": "far,m"}}
    if where == "provider":
        config["Providers"][0]["proxy"] = upstream.url
    elif where == "environment":
        monkeypatch.setenv("http_proxy", upstream.url)
    else:
        config[where] = upstream.url
    upstream.reply(json_reply(anthropic_wire.message_json("through")))
    async with running(config, tmp_path) as router:
        status, _, body = await router.ask()
    assert status == 200, body
    assert upstream.requests[0].target == ELSEWHERE
    assert upstream.requests[0].headers["x-api-key"] == "k-1234567"


@pytest.mark.usefixtures("_no_proxy_of_ours")
@pytest.mark.parametrize("where", ["file", "environment"])
async def test_around_a_proxy(where, upstream: Upstream, tmp_path, monkeypatch):
    """A server on this machine is reached without the proxy that holds for all others."""
    config = {"Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    nobody = "http://127.0.0.1:9"
    if where == "file":
        config["PROXY_URL"] = nobody
    else:
        monkeypatch.setenv("http_proxy", nobody)
    upstream.reply(json_reply(anthropic_wire.message_json("direct")))
    async with running(config, tmp_path) as router:
        assert (await router.ask())[0] == 200
    assert upstream.requests[0].target == "/v1/messages"


@pytest.mark.usefixtures("_no_proxy_of_ours")
@pytest.mark.parametrize("own", [{"proxy": ""}, {}])
async def test_no_proxy_for_one(own, upstream: Upstream, tmp_path, monkeypatch):
    """NO_PROXY's hosts, and a provider whose own proxy is "", do without the proxy of all others."""
    config = {"PROXY_URL": upstream.url, "Providers": [_far("far", **own)], "Router": {"default": "far,m"}}
    environ = {} if own else {"NO_PROXY": "other.example,provider.invalid"}
    look_up = socket.getaddrinfo

    def look_up_here(host, *arguments, **named):
        if host == "provider.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    async with running(config, tmp_path, environ) as router:
        status, _, body = await router.ask()
    assert status == 502, "provider.invalid is nowhere, and the proxy was not to be asked"
    assert b"provider.invalid" in body
    assert upstream.requests == []


async def test_a_certificate_that_nobody_vouches_for(tmp_path):
    """A provider whose certificate does not verify gets no request: 502, saying why."""
    path = tmp_path / "certificate.pem"
    path.write_text(_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    received = []

    async def serve(reader, writer):
        received.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/messages"
    config = {"Providers": [{**_far("far"), "api_base_url": url}], "Router": {"default": "far,m"}}
    async with server, running(config, tmp_path) as router:
        status, _, body = await router.ask()
    assert status == 502
    assert b"far: no secure connection" in body
    assert b"certificate" in body.lower()
    assert received == []


@pytest.mark.parametrize("limit", ["firstByte", "idle"])
async def test_limits_of_waiting(limit, upstream: Upstream, tmp_path):
    """`timeouts` of a provider: no answer in time is a 504; silence in the middle of one ends it with an error event."""
    served = provider(upstream, "anthropic", timeouts={limit: 0.05})
    config = {"Providers": [served], "Router": {"default": "anthropic,m1"}}
    never = asyncio.Event()
    if limit == "firstByte":

        async def wait(_received):
            await never.wait()

        upstream.reply(wait)
    else:
        upstream.reply(sse_reply(anthropic_wire.message_stream("begun")[:4], ending=Gate(never)))
    async with running(config, tmp_path) as router:
        status, _, body = await router.ask(stream=True)
    if limit == "firstByte":
        assert status == 504
        assert b'"timeout_error"' in body
    else:
        assert status == 200
        assert body.rstrip().split(b"\n")[-2] == b"event: error"
        assert b"message_stop" not in body

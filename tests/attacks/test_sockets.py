"""Attacks by the bytes on the socket: requests that two readers would take for two different ones, and forged names."""

from __future__ import annotations

import json

import pytest

from tests.attacks.world import KEY, config_with, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.server.conftest import raw
from tests.upstream import Upstream

#: What is hidden behind a request: to be served, it would have to be taken for a request of its own.
HIDDEN_BODY = json.dumps({"model": "openrouter,gpt-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
HIDDEN = (
    f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\ncontent-length: {len(HIDDEN_BODY)}\r\n"
    f"connection: close\r\n\r\n{HIDDEN_BODY}"
)
HEAD = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\n"
LINE = "POST /v1/messages HTTP/1.1\r\n"
OPEN = f"host: 127.0.0.1\r\nx-api-key: {KEY}\r\n"
GOOD = json.dumps({"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
LENGTH = f"content-length: {len(GOOD)}\r\n"
SIZE = f"{len(GOOD):x}"

ATTACKS: dict[str, str] = {
    "CL.TE": f"{HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE.CL": f"{HEAD}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n",
    "TE.TE": f"{HEAD}transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE with a blank": f"{HEAD}transfer-encoding : chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE with a tab": f"{HEAD}transfer-encoding:\tchunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE with a vertical tab": f"{HEAD}transfer-encoding: \x0bchunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE in another case": f"{HEAD}Transfer-Encoding: CHUNKED\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE unknown": f"{HEAD}transfer-encoding: xchunked\r\n\r\n{HIDDEN}",
    "TE identity last": f"{HEAD}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE folded": f"{HEAD}transfer-encoding:\r\n chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "CL.CL": f"{HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\n0\r\n\r\n{HIDDEN}",
    "CL in a list": f"{HEAD}content-length: 5, 6\r\n\r\n0\r\n\r\n{HIDDEN}",
    "CL with a sign": f"{HEAD}content-length: +5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "CL negative": f"{HEAD}content-length: -1\r\n\r\n{HIDDEN}",
    "CL in hex": f"{HEAD}content-length: 0x5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "CL enormous": f"{HEAD}content-length: 99999999999999999999999\r\n\r\n{HIDDEN}",
    "chunk size overflows": f"{HEAD}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{HIDDEN}",
    "chunk size with a sign": f"{HEAD}transfer-encoding: chunked\r\n\r\n-1\r\n{HIDDEN}",
    "chunk size in full width": f"{HEAD}transfer-encoding: chunked\r\n\r\n\xb9\r\n{HIDDEN}",
    "folded header": f"{LINE}{OPEN}x-a: b\r\n host: evil.example\r\n{LENGTH}\r\n{{",
    "NUL in a header": f"{LINE}{OPEN}x-a: b\x00c\r\n{LENGTH}\r\n{{",
    "NUL in a name": f"{LINE}{OPEN}x-\x00a: b\r\n{LENGTH}\r\n{{",
    "CR alone": f"{LINE}{OPEN}x-a: b\rtransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "name with a blank": f"{LINE}{OPEN}x a: b\r\n{LENGTH}\r\n{{",
    "no name": f"{LINE}{OPEN}: b\r\n{LENGTH}\r\n{{",
    "no colon": f"{LINE}{OPEN}content-length\r\n{LENGTH}\r\n{{",
    "two Hosts": f"{LINE}host: 127.0.0.1\r\nhost: evil.example\r\nx-api-key: {KEY}\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "two keys": f"{LINE}{OPEN}x-api-key: wrong\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "two Origins": f"{LINE}{OPEN}origin: http://localhost\r\norigin: https://evil.example\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "two types": f"{LINE}{OPEN}content-type: application/json\r\ncontent-type: text/plain\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "no version": f"POST /v1/messages\r\n{OPEN}\r\n",
    "version 0.9": "GET /v1/models\r\n\r\n",
    "version 3": f"POST /v1/messages HTTP/3.0\r\n{OPEN}{LENGTH}connection: close\r\n\r\n{GOOD}",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "CONNECT": f"CONNECT evil.example:443 HTTP/1.1\r\n{OPEN}connection: close\r\n\r\n",
    "line of 200 kB": f"GET /v1/models/{'x' * 200_000} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
    "foreign Origin": f"{LINE}{OPEN}origin: https://evil.example\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "no key": f"{LINE}host: 127.0.0.1\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "key in the query": f"POST /v1/messages?x-api-key={KEY} HTTP/1.1\r\nhost: 127.0.0.1\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
    "key of a length": f"{LINE}host: 127.0.0.1\r\nx-api-key: {'x' * 100_000}\r\n{LENGTH}connection: close\r\n\r\n{GOOD}",
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, id=f"S{n:03d} {name}") for n, name in enumerate(ATTACKS, 1)])
async def test_attack(name, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """Closed, or refused with an error; what is hidden in it is never served, and nobody is asked for anything."""
    async with running(config_with(approved, stranger), tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        answer = await raw(router, ATTACKS[name].encode("latin-1"))
    assert answer is None or 400 <= answer.status < 500, answer
    assert answer is None or answer.raw.count(b"HTTP/1.1 ") == 0, "a second answer"
    assert answer is None or b'"type":"message"' not in answer.raw
    assert (approved.connections, stranger.connections) == (0, 0)


TARGETS = [
    "http://evil.example/v1/messages",
    "http://openrouter.ai:443/v1/messages",
    "https://evil.example/v1/messages",
    "//evil.example/v1/messages",
    "/v1/messages?url=https://evil.example",
    "/v1//messages",
    "/v1/messages/",
    "/%761/messages",
]


@pytest.mark.parametrize("target", [pytest.param(one, id=f"S{n:03d} {one}") for n, one in enumerate(TARGETS, 60)])
async def test_targets_with_a_host(target, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """A host in the target is nowhere that the router goes: it is not found, or the approved provider answers."""
    request = f"POST {target} HTTP/1.1\r\n{OPEN}{LENGTH}connection: close\r\n\r\n{GOOD}"
    async with running(config_with(approved, stranger), tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        answer = await raw(router, request.encode())
    assert answer is None or answer.status in {200, 400, 404}
    assert approved.connections == (1 if answer is not None and answer.status == 200 else 0)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "api.anthropic.com", "localhost@evil.example", ""]
)
@pytest.mark.parametrize("has_key", [True, False])
async def test_rebound_names(host, has_key, approved: Upstream, stranger: Upstream, tmp_path) -> None:
    """S080: a page that has a name of its own lead here reads nothing without the key, and manages nothing with it."""
    config = json.loads(config_with(approved, stranger))
    environ = dict(ENVIRON)
    if not has_key:
        del config["APIKEY"]
    key = f"x-api-key: {KEY}\r\n" if has_key else ""
    async with running(config, tmp_path, environ, policy=preset_at(approved)) as router:
        for method, path in (("GET", "/api/config"), ("POST", "/api/restart"), ("GET", "/providers")):
            head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{key}content-type: application/json\r\n"
            answer = await raw(router, f"{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
            assert answer is not None
            assert answer.status in {400, 403}, (path, answer)
        if not has_key:
            head = f"{LINE}host: {host}\r\n{LENGTH}connection: close\r\n\r\n{GOOD}"
            answer = await raw(router, head.encode())
            assert answer is not None
            assert answer.status in {400, 403}
    assert approved.connections == 0

"""A drill can fail: routers that do wrong are found out, each by what it does wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from ccrouter.cli.group import run
from ccrouter.config.load import read
from ccrouter.config.schema import Config
from ccrouter.drill import course
from ccrouter.drill.course import Drill, Findings, hold
from ccrouter.drill.faults import followed
from ccrouter.drill.setting import DEMO, routes_of
from tests.drill.wire import BY_NAME, QUICK, unchunked

STOP = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"cut"}}\n\n'

#: Told status, body and whether the body ended by the rules: gives what a client gets, status and body.
Deed = Callable[[int, bytes, bool], tuple[int, bytes]]


class Proxy:
    """Asks the first target, whatever happens, reads all that comes, and answers by its `deed`."""

    def __init__(self, deed: Deed) -> None:
        self._deed = deed
        self.place = ("127.0.0.1", 0)
        self._url = ""

    @contextlib.asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[Proxy]:
        proxy = Proxy(self._deed)
        proxy._url = config.providers[0].endpoints[0].url
        tasks = set()

        def accept(reader, writer):
            task = asyncio.create_task(proxy._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        proxy.place = server.sockets[0].getsockname()[:2]
        try:
            yield proxy
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def asked(self) -> None:
        return None

    async def _serve(self, reader, writer) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            status, told, whole = await self._ask(json.dumps({**body, "model": "claude-demo"}).encode())
            told = told.replace(b'"model":"claude-demo"', b'"model":"claude-drill"')
            status, told = self._deed(status, told, whole)
            kind = b"text/event-stream" if body["stream"] and status == 200 else b"application/json"
            writer.write(
                b"HTTP/1.1 %d x\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(told), told)
            )
            await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _ask(self, body: bytes) -> tuple[int, bytes, bool]:
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(f"POST {parts.path} HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            raw = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        head, _, rest = raw.partition(b"\r\n\r\n")
        if b"chunked" in head:
            told, whole = unchunked(rest)
        else:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            told, whole = rest[:length], len(rest) == length
        return int(head.split()[1]), told, whole


def drill(deed: Deed, *names: str, limit: float = 5.0) -> Findings:
    config = read(None, {}, text=json.dumps(DEMO)).config
    faults = [BY_NAME[name] for name in names]
    return hold(Drill(config, routes_of(config), faults, QUICK, limit), lambda _: None, Proxy(deed))


def saws(findings: Findings) -> set[str]:
    return {outcome.saw for outcome in findings.outcomes}


def as_it_is(status, body, whole):
    """The most careless one: passes everything on."""
    return status, body


def invents_endings(status, body, whole):
    """A stream that was not finished is finished here."""
    is_open = body.startswith(b"event:") and b"message_stop" not in body
    at = body.rfind(b"\n\n") + 2
    stops = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % (b'"index":1' in body)
    return status, body[:at] + stops + STOP if is_open else body


def tells(status, body, whole):
    """An honest one: what was not finished is told by an error in form."""
    error = b'{"type":"error","error":{"type":"api_error","message":"upstream failed"}}'
    if status != 200 or (not body.startswith(b"event:") and not whole):
        return 502, error
    if b"message_stop" not in body and body.startswith(b"event:"):
        return status, body[: body.rfind(b"\n\n") + 2] + ERROR
    return status, body


@pytest.mark.parametrize("name", ["cut-text", "end-text", "cut-tool", "end-tool"])
def test_invented_endings_mislead(name):
    """Whoever ends a cut stream with message_stop misleads, in words and in a call; whoever tells of it does not."""
    streamed = [one for one in drill(invents_endings, name).outcomes if one.run.form == "streamed"]
    assert {one.saw for one in streamed} == {"misled"}
    assert all("not what was said" in one.verdict.why for one in streamed), streamed
    told = drill(tells, name)
    assert saws(told) == {"safe error"}
    assert told.is_good


def test_silence_about_a_cut_misleads():
    """Whoever passes the half and closes, without a word, misleads."""
    findings = drill(as_it_is, "end-text", "cut-text")
    assert saws(findings) == {"misled"}
    assert not findings.is_good


@pytest.mark.parametrize(
    "name", ["html-502", "html-200", "malformed", "invalid-utf8", "empty-200", "empty-answer", "error-200"]
)
def test_what_is_passed_on_misleads(name):
    """Pages, nonsense and nothing, passed on as an answer, mislead: where only the first target is at fault, nothing
    that it says is the answer.
    """
    findings = drill(as_it_is, name)
    assert {one.saw for one in findings.outcomes if one.run.who == "first"} == {"misled"}


def test_following_a_redirect_misleads():
    """An answer from elsewhere is not the truth."""

    class Follows(Proxy):
        pass

    config = read(None, {}, text=json.dumps(DEMO)).config
    elsewhere = BY_NAME["redirect"].__class__("redirect", "as if it had been followed", followed)
    findings = hold(Drill(config, routes_of(config), [elsewhere], QUICK, 5.0), lambda _: None, Follows(as_it_is))
    assert saws(findings) == {"misled"}


@pytest.mark.parametrize("name", ["hang-headers", "hang-body", "stall-text", "stall-tool", "pings"])
def test_endless_patience_is_hung(name):
    """Whoever waits for ever leaves the client hanging, wherever the silence begins."""
    findings = drill(tells, name, limit=1.0)
    assert saws(findings) == {"hung"}
    assert not findings.is_good


def test_a_whole_answer_has_to_arrive():
    """Whoever refuses an answer that is whole has lost it: a safe error, and not survived."""
    findings = drill(lambda *_: (502, b'{"type":"error","error":{"type":"api_error","message":"odd"}}'), "slow-drip")
    assert saws(findings) == {"safe error"}
    assert not findings.is_good


def test_who_was_asked_is_known_without_the_router():
    """Of a router that does not tell, the server knows whom it asked."""
    findings = drill(tells, "500")
    assert {one.asked for one in findings.outcomes} == {("first,claude-demo",)}


def test_the_command_fails(monkeypatch, capsys, tmp_path):
    """`ccr drill` of a router that misleads: exit code 1, the table says so, and why stands below it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(course, "OwnRouter", lambda _: Proxy(invents_endings))
    assert run(["drill", "--demo", "--only", "end-text"]) == 1
    told = capsys.readouterr().out
    assert "misled     A" in told
    assert "MISLED: end-text, default, first, streamed, text: finished (end_turn), and not what was said" in told
    assert "0 answered, 0 safe error, 4 misled, 0 hung" in told
    assert run(["drill", "--demo", "--only", "end-text", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False

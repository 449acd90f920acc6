"""Each fault is on the wire what its sentence says, in every wire format."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.registry import DIALECTS as READERS
from ccrouter.drill.faults import FAULTS, followed, well
from ccrouter.drill.server import Asked, Pace
from ccrouter.drill.setting import NO_SUCH_HOST, Places
from ccrouter.drill.truth import TOOL_INPUT, TOOL_NAME
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.messages.fold import Fold
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import MAX_EVENT_BYTES, SseReader
from tests.drill.wire import BY_NAME, DIALECTS, hear, serving, truth

#: How the words of each dialect's streams say that the turn is finished.
FINISHES = {
    "anthropic": '"type":"message_stop"',
    "openai_chat": "[DONE]",
    "openai_responses": '"type":"response.completed"',
    "gemini": '"finishReason":"STOP"',
}


def read(dialect: str, body: bytes, *, streamed: bool) -> dict:
    """What the router's own reader makes of an answer: text, calls and stop reason. Raises UpstreamError."""
    provider = Provider("p", (Endpoint(dialect, "http://127.0.0.1/x"),))
    writer = MessageWriter(id="msg_1", model="asked")
    reader = READERS[dialect].reader(UpstreamRequest(b"{}"), Target(provider, "m1"), writer)
    fold, sse = Fold(), SseReader()
    if streamed:
        events = [event for sent in (*sse.feed(body), *sse.close()) for event in reader.feed(sent)]
    else:
        events = reader.feed_body(body)
    for event in [*events, *reader.close()]:
        fold.feed(event)
    message = fold.close()
    return {
        "text": "".join(block["text"] for block in message.content if block["type"] == "text"),
        "calls": [(block["name"], block["input"]) for block in message.content if block["type"] == "tool_use"],
        "stop": message.stop_reason,
    }


async def heard(
    name: str, dialect: str = "anthropic", scene: str = "text", *, streamed: bool = True, patience: float = 1.0
):
    async with serving(BY_NAME[name].serve) as server:
        return await hear(server, dialect, scene, streamed=streamed, patience=patience)


# -- the answer that is well -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "unstreamed"])
@pytest.mark.parametrize("scene", ["text", "tool"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_well_target_says_the_truth(dialect, scene, streamed):
    """Without a fault the answer is whole, by the rules of HTTP and of its dialect, and holds the truth to the letter."""
    async with serving(well) as server:
        wire = await hear(server, dialect, scene, streamed=streamed)
    assert (wire.status, wire.is_complete, wire.end) == (200, True, "closed")
    said = read(dialect, wire.body, streamed=streamed)
    assert said["text"] == truth(scene)
    assert said["calls"] == ([(TOOL_NAME, TOOL_INPUT)] if scene == "tool" else [])
    assert said["stop"] == ("tool_use" if scene == "tool" else "end_turn")


async def test_who_goes_on_says_the_rest():
    """Asked with the beginning of its own answer, a well target says what is left, in whichever dialect it is asked."""
    begun, whole = truth()[:40], truth()
    turns = {
        "anthropic": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": begun}]},
        "openai_chat": {"messages": [{"role": "assistant", "content": [{"type": "text", "text": begun}]}]},
        "openai_responses": {"input": [{"role": "assistant", "content": [{"type": "output_text", "text": begun}]}]},
        "gemini": {"contents": [{"role": "model", "parts": [{"text": begun}]}]},
    }
    for dialect, body in turns.items():
        asked = Asked(f"/r0/0/{dialect}/x", json.dumps(body).encode())
        assert "".join(asked.said.text) == whole[40:]
    assert Asked("/r0/0/anthropic/x", b'{"messages": [{"role": "assistant", "content": "other"}]}').said.text


# -- no answer ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_reached_leads_nowhere():
    """Faults before the request lead to a port that refuses, to a name that cannot be, and to TLS on a port without it;
    only those of the providers that are to fail.
    """
    endpoint = Endpoint("anthropic", "https://api.example.com/v1/messages")

    def url(fault, provider="p"):
        return Places("r1", 1000, 2000, fault, frozenset({"p"})).endpoint(provider, 0, endpoint).url

    assert url("refused").startswith("http://127.0.0.1:2000/")
    assert url("dns").startswith(f"http://{NO_SUCH_HOST}:1000/")
    assert url("tls").startswith("https://127.0.0.1:1000/")
    assert {url(fault, "q") for fault in ("refused", "dns", "tls")} == {
        "http://127.0.0.1:1000/r1/0/anthropic/v1/messages"
    }


async def test_reset():
    """The connection is reset, not closed, and nothing was said."""
    wire = await heard("reset")
    assert (wire.raw, wire.end) == (b"", "reset")


async def test_hang_up():
    """The connection is closed, and nothing was said."""
    wire = await heard("hang-up")
    assert (wire.raw, wire.end) == (b"", "closed")


async def test_garbage():
    """Something comes, and it is no HTTP."""
    wire = await heard("garbage")
    assert wire.raw
    assert not wire.raw.startswith(b"HTTP/")


async def test_hang_headers():
    """Nothing comes, and the connection stays."""
    wire = await heard("hang-headers", patience=0.1)
    assert (wire.raw, wire.end) == (b"", "silent")


async def test_hang_body():
    """A good status comes, no byte of an answer, and the connection stays."""
    wire = await heard("hang-body", patience=0.1)
    assert (wire.status, wire.body, wire.end) == (200, b"", "silent")


async def test_pings():
    """There are signs of life for longer than the patience with silence, no content, and then nothing more."""
    wire = await heard("pings", patience=0.15)
    assert wire.end == "silent"
    assert wire.body.count(b": still here\n\n") == 15
    assert b"data" not in wire.body


# -- another answer ----------------------------------------------------------------------------------------------------

STATUSES = {
    "429": 429, "429-seconds": 429, "429-date": 429, "500": 500, "503": 503, "529": 529, "400": 400, "401": 401,
    "402": 402, "403": 403, "404": 404, "408": 408, "too-long": 400, "redirect": 307, "html-502": 502,
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", STATUSES)
async def test_statuses(name, dialect):
    """Each answers with its status; an error's body is one that the dialect's own reader understands."""
    wire = await heard(name, dialect)
    assert (wire.status, wire.is_complete) == (STATUSES[name], True)
    if name in {"redirect", "html-502"}:
        return
    error = READERS[dialect].explain(wire.status, {"content-type": "application/json"}, wire.body, "p")
    assert json.loads(wire.body)["error"]["message"] in str(error)


async def test_retry_after():
    """One says when to come back in seconds, one as a date that is still to come, one does not say."""
    assert (await heard("429-seconds")).header("retry-after") == "2"
    when = parsedate_to_datetime((await heard("429-date")).header("retry-after").title().replace("Gmt", "GMT"))
    assert 0 < (when - datetime.now(UTC)).total_seconds() <= 2
    assert not (await heard("429")).header("retry-after")


async def test_redirect_leads_to_another_answer():
    """Whoever follows gets an answer that is not the truth, from this machine."""
    wire = await heard("redirect")
    assert wire.header("location").startswith("http://127.0.0.1:")
    async with serving(followed) as server:
        assert truth() not in (await hear(server)).text


async def test_pages():
    """One page has the status of a failing gateway and says what it is; the other claims to be a good answer."""
    assert (await heard("html-502")).header("content-type") == "text/html"
    good = await heard("html-200")
    assert (good.status, good.header("content-type")) == (200, "text/event-stream")
    assert good.body.startswith(b"<!DOCTYPE html>")


async def test_nothing_at_all():
    """200, complete, and not a byte."""
    wire = await heard("empty-200")
    assert (wire.status, wire.body, wire.is_complete) == (200, b"", True)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "unstreamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_without_content(dialect, streamed):
    """It is finished by the rules of the dialect, and there is nothing in it."""
    wire = await heard("empty-answer", dialect, streamed=streamed)
    if streamed:
        assert FINISHES[dialect] in wire.text
    assert wire.status == 200
    assert truth()[:5] not in wire.text


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_errors_within_a_good_status(dialect):
    """An error as JSON and as the first event: the dialect's own reader takes both for a failure of the provider."""
    for name, streamed in (("error-200", False), ("overload-in-stream", True)):
        wire = await heard(name, dialect, streamed=streamed)
        assert (wire.status, wire.is_complete) == (200, True)
        with pytest.raises(UpstreamStatus) as caught:
            read(dialect, wire.body, streamed=streamed)
        assert caught.value.type in {"overloaded_error", "api_error"}


# -- an answer that breaks ---------------------------------------------------------------------------------------------

BREAKS = ["cut-text", "end-text", "stall-text", "error-text", "cut-tool", "end-tool", "stall-tool", "error-tool"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", BREAKS)
async def test_breaks_in_the_middle(name, dialect):
    """Something true was said, the turn is not finished, and the connection ends as the name says."""
    how, at = name.split("-")
    wire = await heard(name, dialect, "tool" if at == "tool" else "text", patience=0.15)
    assert wire.status == 200
    assert ("I take a note" if at == "tool" else truth()[:20]) in wire.text
    assert FINISHES[dialect] not in wire.text
    assert (TOOL_NAME in wire.text) is (at == "tool")
    assert wire.end == ("silent" if how == "stall" else "closed")
    assert wire.is_complete is (how in {"end", "error"})
    with pytest.raises((RemoteProtocolError, UpstreamStatus)) as caught:
        read(dialect, wire.body, streamed=True)
    assert isinstance(caught.value, UpstreamStatus) is (how == "error")


async def test_breaks_of_json():
    """Unstreamed, less comes than was announced: cut off, or with nothing more to come."""
    for name, end in (("cut-text", "closed"), ("stall-text", "silent")):
        wire = await heard(name, streamed=False, patience=0.15)
        assert (wire.is_complete, wire.end) == (False, end)
        assert len(wire.body) < int(wire.header("content-length"))


async def test_truncated_json():
    """By the rules of HTTP everything came, and it is no JSON."""
    wire = await heard("truncated-json", streamed=False)
    assert wire.is_complete
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.body)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_malformed(dialect):
    """One event of several is no JSON, the ending is whole; unstreamed there is no JSON at all."""
    wire = await heard("malformed", dialect)
    datas = [line[6:] for line in wire.text.split("\n") if line.startswith("data: {")]
    broken = [data for data in datas if not is_json(data)]
    assert 0 < len(broken) < len(datas)
    assert is_json(datas[0]), datas[0]
    assert is_json(datas[-1])
    assert FINISHES[dialect] in wire.text
    assert not is_json((await heard("malformed", dialect, streamed=False)).text)


@pytest.mark.parametrize("scene", ["text", "tool"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "unstreamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_invalid_utf8(dialect, streamed, scene):
    """In an answer that is whole otherwise, there is a byte that no UTF-8 has."""
    wire = await heard("invalid-utf8", dialect, scene, streamed=streamed)
    assert wire.is_complete
    assert b"\xff" in wire.body
    with pytest.raises(UnicodeDecodeError):
        wire.body.decode()
    assert wire.body.replace(b"\xff", "ö".encode()).decode()


async def test_lengths():
    """One announces more than comes, the other less: what is within the length is a part."""
    long, short = await heard("length-long"), await heard("length-short")
    assert (long.is_complete, FINISHES["anthropic"] in long.text) == (False, True)
    assert (short.is_complete, FINISHES["anthropic"] in short.text) == (False, False)
    assert FINISHES["anthropic"].encode() in short.raw


async def test_bad_encoding():
    """It says gzip, and is not."""
    wire = await heard("bad-encoding")
    assert wire.header("content-encoding") == "gzip"
    assert truth()[:20] in wire.text


async def test_oversized():
    """One event is larger than any answer, with a good beginning before it and a good ending after it."""
    wire = await heard("oversized")
    assert truth()[:20] in wire.text[:2000]
    assert FINISHES["anthropic"] in wire.text[-2000:]
    assert max(map(len, wire.body.split(b"\n\n"))) > MAX_EVENT_BYTES


# -- whole answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "unstreamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", [fault.name for fault in FAULTS if fault.is_whole])
async def test_whole_answers_are_whole(name, dialect, streamed):
    """What a client has to get is all there: the truth, finished by the rules of HTTP and of the dialect."""
    wire = await heard(name, dialect, streamed=streamed)
    assert (wire.status, wire.is_complete) == (200, True)
    is_stream = streamed is not (name == "other-form")
    assert read(dialect, wire.body, streamed=is_stream)["text"] == truth()


async def test_what_is_odd_about_whole_answers():
    """One comes in the other form, one with the wrong type, one without figures, one with line ends of Windows."""
    assert is_json((await heard("other-form")).text)
    assert (await heard("wrong-type")).header("content-type") == "text/plain"
    assert (await heard("wrong-type", streamed=False)).header("content-type") == "text/event-stream"
    assert b'"usage"' in (await heard("slow-drip", streamed=False)).body
    assert b'"usage"' not in (await heard("no-usage", streamed=False)).body
    assert b"\r\n\r\n" in (await heard("odd-cuts")).body


async def test_the_drip_is_slow_and_never_silent():
    """It takes longer than the patience with silence, and no pause in it is as long as that."""
    async with serving(BY_NAME["slow-drip"].serve, Pace(patience=0.4, gap=0.02)) as server:
        began = time.monotonic()
        wire = await hear(server, patience=0.4)
        assert time.monotonic() - began > 0.4
    assert wire.end == "closed"


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_table():
    """There are as many faults as were promised and more; names are distinct, sentences are sentences of a table."""
    assert len(FAULTS) > 40
    assert len(BY_NAME) == len(FAULTS)
    for fault in FAULTS:
        assert fault.sentence[0].islower() or fault.sentence[0].isdigit() or fault.sentence.startswith("JSON")
        assert len(fault.name) < 19
        assert (fault.serve is None) is (fault.place != "server")


async def test_the_server_notes_who_was_asked_and_what_leaked():
    """Providers and models in order; a secret that arrives in a header is named, one that does not is not."""
    async with serving(well, secrets=("sk-arrives-0123456789", "sk-stays-0123456789")) as server:
        await hear(server)
        await hear(server, "gemini")
        assert not server.leaks
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /r0/1/anthropic/x HTTP/1.1\r\nx-key: sk-arrives-0123456789\r\ncontent-length: 2\r\n\r\n{}")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        assert server.leaks == {"sk-arrives-0123456789"}
        assert server.strike("r0") == [("0", "m1"), ("0", "gem-1"), ("1", "")]


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

"""Every stream cut at every byte: a client never takes a part of an answer for the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.registry import DIALECTS, SERVED
from ccrouter.errors import UpstreamError
from ccrouter.gateway.answer import BegunAnswer
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Exchange
from ccrouter.messages.fault import fault_of
from ccrouter.transforms.chain import Chain
from tests.served.law import chat_of, frames_of, is_finished_response, response_of
from tests.served.wires import CALLS, WIRES

NAMES = {"anthropic": "anthropic", "openai": "openai_chat", "responses": "openai_responses", "gemini": "gemini"}
BODIES = {
    "openai_chat": b'{"model":"a","messages":[{"role":"user","content":"x"}],"stream":true,"tools":[{"type":"function","function":{"name":"Read"}}]}',
    "openai_responses": b'{"model":"a","input":"x","stream":true,"tools":[{"type":"function","name":"Read"}]}',
}


class Response:
    """An answer whose bytes are here already."""

    status = 200

    def __init__(self, chunks: list[bytes]) -> None:
        self.headers: dict[str, str] = {}
        self._chunks = [chunk for chunk in chunks if chunk]

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def close(self) -> None: ...


class Reply:
    """A client that writes down what it gets."""

    def __init__(self) -> None:
        self.is_committed = self.has_begun = False
        self.raw = b""
        self.fault_frames = None

    def expect_stream(self, headers) -> None: ...

    async def write(self, frames: bytes) -> None:
        self.is_committed = True
        self.raw += frames

    async def end(self) -> None: ...

    async def whole(self, status, headers, body) -> None:
        raise AssertionError("a stream was asked for")


def begun(form: str, dialect: str, chunks: list[bytes]) -> BegunAnswer:
    reading = SERVED[form].read(BODIES[form])
    name = NAMES[dialect]
    target = Target(Provider("p", (Endpoint(name, f"http://127.0.0.1:9{WIRES[dialect].path}"),)), "m1")
    question = Question(reading.request, {}, "asked", {}, lambda: 7, reading=reading)
    passes = question.passes(reading.request, target.endpoint)
    assert passes == (form == name)
    sent = replace(question.encode(reading.request, target, None, passes=passes), body=b"")
    return BegunAnswer(question, target, DIALECTS[name], sent, Response(chunks), [], Chain(), passes=passes)


async def outcome(form: str, dialect: str, chunks: list[bytes]) -> tuple[bytes, UpstreamError | None]:
    """What the client gets, and the error that ended it."""
    reply = Reply()
    try:
        await begun(form, dialect, chunks).deliver(reply, Exchange("r", "/", 0.0), lambda: 0.0)
    except UpstreamError as error:
        if reply.is_committed:
            reply.raw += reply.fault_frames(fault_of(error))
        return reply.raw, error
    return reply.raw, None


def told(form: str, raw: bytes):
    """What a whole stream says, without what is another each time."""
    if form == "openai_responses":
        response = response_of(raw)
        return [
            {name: value for name, value in one.items() if name != "call_id"} for one in response["output"]
        ], response["model"]
    answer = chat_of(raw)
    return [{**call, "id": ""} for call in answer["calls"]], answer["content"], answer["finish_reason"], answer["model"]


@pytest.mark.parametrize("dialect", list(WIRES))
@pytest.mark.parametrize("form", list(BODIES))
async def test_cut_at_every_byte(form, dialect):
    """Cut anywhere, a stream is either whole (nothing was missing but what nobody needs) or an error that its client
    can see; there is no third.
    """
    named = {"usage_in": "none"} if dialect == "openai" else {}
    stream = b"".join(WIRES[dialect].stream("Hé 🙂", "hm", CALLS, **named))
    whole, error = await outcome(form, dialect, [stream])
    assert error is None
    expected = told(form, whole)
    complete = 0
    for end in range(1, len(stream)):
        raw, error = await outcome(form, dialect, [stream[:end]])
        if error is None:
            assert told(form, raw) == expected, stream[:end][-80:]
            complete += 1
        else:
            if form == "openai_chat":  # the reason to finish may be there already, the end is not
                assert b"[DONE]" not in raw
            else:
                assert not is_finished_response(raw), stream[:end][-80:]
            if raw:
                assert '"error"' in frames_of(raw)[-1][1]
    assert complete < len(stream) // 2


@pytest.mark.parametrize("dialect", list(WIRES))
@pytest.mark.parametrize("form", list(BODIES))
async def test_split_at_every_byte(form, dialect):
    """However the network cuts a stream into pieces, the client gets the same answer."""
    named = {"usage_in": "none"} if dialect == "openai" else {}
    stream = b"".join(WIRES[dialect].stream("Hé 🙂", "hm", CALLS, **named))
    expected = told(form, (await outcome(form, dialect, [stream]))[0])
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert told(form, (await outcome(form, dialect, pieces))[0]) == expected
    for at in range(1, len(stream), 7):
        raw, error = await outcome(form, dialect, [stream[:at], stream[at:]])
        assert error is None
        assert told(form, raw) == expected

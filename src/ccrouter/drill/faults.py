"""The faults, as a table: a name, a sentence, and a function that serves it. To add one: write it, and its line.

Each is honest up to its fault: what came before it is the answer that a well target gives, in the target's own wire
format.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from ccrouter.drill.server import ELSEWHERE, HOST, PATHS, Asked, Line, Serve
from ccrouter.drill.truth import ELSEWHERE as NOT_HERE
from ccrouter.drill.truth import NOTHING, Scene
from ccrouter.drill.wires import Piece, without_usage
from ccrouter.errors import ErrorType
from ccrouter.sse import MAX_EVENT_BYTES

Form = Literal["streamed", "unstreamed"]

_SSE = "text/event-stream"
_JSON = "application/json"
_BOTH: tuple[Form, ...] = ("streamed", "unstreamed")
_STREAM: tuple[Form, ...] = ("streamed",)
_WHOLE: tuple[Form, ...] = ("unstreamed",)
_SCENES: tuple[Scene, ...] = ("text", "tool")
_MEGABYTE = b"x" * (1 << 20)


@dataclass(frozen=True, slots=True)
class Fault:
    """`serve` is None for what happens before a request can be sent: `place` says where it is sent to instead.

    `forms` and `scenes` are the requests that it is served to. `is_whole` says that the answer is all there, however
    badly it comes, so that a client has to get it; `is_empty` that the answer is whole and has nothing in it.
    `is_heavy`: not many at a time.
    """

    name: str
    sentence: str
    serve: Serve | None
    place: Literal["server", "refused", "dns", "tls"] = "server"
    forms: tuple[Form, ...] = _BOTH
    scenes: tuple[Scene, ...] = _SCENES
    is_whole: bool = False
    is_empty: bool = False
    is_heavy: bool = False


async def well(line: Line, asked: Asked) -> None:
    """No fault: what every target says that is well."""
    await _begin(line, asked)
    if asked.is_streamed:
        for piece in asked.wire().pieces:
            await line.chunk(piece.data)
    else:
        await line.chunk(asked.wire().whole)
    await line.end()


# -- no answer ---------------------------------------------------------------------------------------------------------


async def _reset(line: Line, asked: Asked) -> None:  # noqa: ARG001 - the form of all faults
    line.reset()


async def _hang_up(line: Line, asked: Asked) -> None:
    """Nothing is said, and the connection ends."""


async def _hang(line: Line, asked: Asked) -> None:  # noqa: ARG001 - the form of all faults
    await line.hold()


async def _hang_after_headers(line: Line, asked: Asked) -> None:
    await _begin(line, asked)
    await line.hold()


async def _pings(line: Line, asked: Asked) -> None:
    """A sign of life now and then, for longer than an upstream may be silent, and then no more."""
    await _begin(line, asked)
    for _ in range(round(1.5 * asked.pace.patience / asked.pace.gap)):
        await line.chunk(b": still here\n\n" if asked.is_streamed else b"\n")
        await asyncio.sleep(asked.pace.gap)
    await line.hold()


async def _garbage(line: Line, asked: Asked) -> None:  # noqa: ARG001 - the form of all faults
    await line.send(b"\x00\x01SSH-2.0-drill\r\n\r\n\xff\xfe")


# -- another answer ----------------------------------------------------------------------------------------------------


def _status(status: int, kind: ErrorType, message: str, *, retry_after: str = "") -> Serve:
    """An error in the words of the provider. `retry_after` may be "date": then it is a moment, not a number."""

    async def serve(line: Line, asked: Asked) -> None:
        headers = {"content-type": _JSON}
        if retry_after:
            date = formatdate(time.time() + 2, usegmt=True)
            headers["retry-after"] = date if retry_after == "date" else retry_after
        await line.answer(status, headers, asked.wire().error(status, kind, message))

    return serve


def _too_many(retry_after: str = "") -> Serve:
    return _status(429, "rate_limit_error", "Too many requests", retry_after=retry_after)


def _page(status: int, content_type: str) -> Serve:
    page = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"

    async def serve(line: Line, asked: Asked) -> None:
        label = _SSE if asked.is_streamed else _JSON
        await line.answer(status, {"content-type": content_type or label}, page)

    return serve


async def _redirect(line: Line, asked: Asked) -> None:
    port = line.port
    path = f"/{asked.run}/{ELSEWHERE}/{asked.dialect}{PATHS[asked.dialect]}"
    await line.answer(307, {"location": f"http://{HOST}:{port}{path}"}, b"")


async def followed(line: Line, asked: Asked) -> None:
    """What is said where no redirect may lead."""
    await _begin(line, asked)
    await line.chunk(asked.answer(NOT_HERE))
    await line.end()


async def _nothing(line: Line, asked: Asked) -> None:
    await line.answer(200, {"content-type": _label(asked)}, b"")


async def _empty_answer(line: Line, asked: Asked) -> None:
    await _begin(line, asked)
    await line.chunk(asked.answer(NOTHING))
    await line.end()


async def _error_200(line: Line, asked: Asked) -> None:
    body = asked.wire().error(503, "overloaded_error", "Overloaded, said with a 200")
    await line.answer(200, {"content-type": _label(asked)}, body)


async def _overload_first(line: Line, asked: Asked) -> None:
    await _begin(line, asked)
    await line.chunk(asked.wire().error_frames(529, "overloaded_error", "Overloaded"))
    await line.end()


# -- an answer that breaks ---------------------------------------------------------------------------------------------


def _breaks(at: Literal["text", "tool"], how: Literal["cut", "end", "stall", "error"]) -> Serve:
    """In the middle of the words, or of the call: the connection is cut, or the stream ends by all the rules of HTTP,
    or nothing more comes, or an error does.
    """

    async def serve(line: Line, asked: Asked) -> None:
        if asked.is_streamed:
            await _begin(line, asked)
            begun = _begun(asked.wire().pieces, at)
            await line.chunk(begun)
            await _pause(asked)
            if how == "cut":  # in the middle of a frame, too
                following = asked.wire().stream[len(begun) :]
                await line.chunk(following[: min(40, len(following) // 2)])
        else:
            whole = asked.wire().whole
            await line.head(200, {"content-type": _JSON, "content-length": str(len(whole))})
            await line.send(whole[: len(whole) * 2 // 3])
        match how:
            case "stall":
                await line.hold()
            case "error":
                await line.chunk(asked.wire().error_frames(500, "api_error", "It broke in the middle"))
                await line.end()
            case "end":
                await line.end()
            case "cut":
                pass

    return serve


def _begun(pieces: Sequence[Piece], at: Literal["text", "tool"]) -> bytes:
    """The stream up to the middle of its words, or of its call. A call that comes whole is whole, its turn is not."""
    places = [number for number, piece in enumerate(pieces) if piece.kind == at]
    if not places:  # nothing of it is left to say
        return b""
    last = places[(len(places) - 1) // 2]
    return b"".join(piece.data for piece in pieces[: last + 1])


async def _malformed(line: Line, asked: Asked) -> None:
    """One event in the middle is no JSON; everything around it is well, the ending too."""
    await _begin(line, asked)
    if asked.is_streamed:
        pieces = asked.wire().pieces
        middle = _middle(pieces)
        for number, piece in enumerate(pieces):
            if number == middle:
                await _pause(asked)
            await line.chunk(piece.data.replace(b'":"', b'":;"') if number == middle else piece.data)
    else:
        await line.chunk(asked.wire().whole.replace(b'":"', b'":;"'))
    await line.end()


async def _invalid_utf8(line: Line, asked: Asked) -> None:
    told = asked.answer()
    before, letter, after = told.partition("ö".encode())
    await _begin(line, asked)
    if asked.is_streamed:
        whole, end, begun = before.rpartition(b"\n\n")
        await line.chunk(whole + end)
        await _pause(asked)
        before = begun
    await line.chunk(before + (b"\xff" if letter else b"") + after)
    await line.end()


async def _oversized(line: Line, asked: Asked) -> None:
    await _begin(line, asked)
    pieces = asked.wire().pieces
    await line.chunk(b"".join(piece.data for piece in pieces[: _middle(pieces)]))
    await line.chunk(b'data: {"x": "')
    for _ in range(MAX_EVENT_BYTES // len(_MEGABYTE) + 8):
        await line.chunk(_MEGABYTE)
    await line.chunk(b'"}\n\n' + b"".join(piece.data for piece in pieces[_middle(pieces) :]))
    await line.end()


async def _truncated(line: Line, asked: Asked) -> None:
    whole = asked.wire().whole
    await line.answer(200, {"content-type": _JSON}, whole[: len(whole) * 2 // 3])


def _wrong_length(factor: float) -> Serve:
    async def serve(line: Line, asked: Asked) -> None:
        told = asked.answer()
        stated = str(round(len(told) * factor))
        await line.head(200, {"content-type": _label(asked), "content-length": stated})
        await line.send(told)

    return serve


async def _bad_encoding(line: Line, asked: Asked) -> None:
    told = asked.answer()
    await line.answer(200, {"content-type": _label(asked), "content-encoding": "gzip"}, told)


# -- an answer that is whole -------------------------------------------------------------------------------------------


async def _wrong_type(line: Line, asked: Asked) -> None:
    told = asked.answer()
    await line.answer(200, {"content-type": "text/plain" if asked.is_streamed else _SSE}, told)


async def _other_form(line: Line, asked: Asked) -> None:
    """JSON where a stream was asked for, and the other way round."""
    told, label = (asked.wire().whole, _JSON) if asked.is_streamed else (asked.wire().stream, _SSE)
    await line.answer(200, {"content-type": label}, told)


async def _drip(line: Line, asked: Asked) -> None:
    """Slower altogether than an upstream may be silent, and never silent for long."""
    told = asked.answer()
    await _begin(line, asked)
    count = round(1.5 * asked.pace.patience / asked.pace.gap)
    size = -(-len(told) // count)
    for at in range(0, len(told), size):
        await line.chunk(told[at : at + size])
        await asyncio.sleep(asked.pace.gap)
    await line.end()


async def _odd_cuts(line: Line, asked: Asked) -> None:
    """In pieces of any size, also within a letter and a line end."""
    told = asked.wire().stream.replace(b"\n", b"\r\n") if asked.is_streamed else asked.wire().whole
    await _begin(line, asked)
    for at in range(0, len(told), 7):
        await line.chunk(told[at : at + 7])
    await line.end()


async def _no_usage(line: Line, asked: Asked) -> None:
    await _begin(line, asked)
    await line.chunk(without_usage(asked.answer()))
    await line.end()


async def _pause(asked: Asked) -> None:
    """Time enough for what came before to be passed on: then it cannot be taken back."""
    await asyncio.sleep(asked.pace.gap)


def _label(asked: Asked) -> str:
    return _SSE if asked.is_streamed else _JSON


async def _begin(line: Line, asked: Asked) -> None:
    await line.begin(_label(asked))


def _middle(pieces: Sequence[Piece]) -> int:
    """The place of a piece of text that has others before and after it, where there are so many."""
    return min(1, len(pieces) - 1)


def _in_call(name: str, sentence: str, how: Literal["cut", "end", "stall", "error"]) -> Fault:
    return Fault(name, sentence, _breaks("tool", how), forms=_STREAM, scenes=("tool",))


_TOO_LONG = "This model's maximum context length is 8192 tokens; your prompt is too long: context_length_exceeded"

#: In the order in which they are shown: before an answer, instead of one, within one; and whole ones that look odd.
FAULTS: tuple[Fault, ...] = (
    Fault("refused", "nobody listens at the provider's port", None, "refused"),
    Fault("dns", "the provider's name cannot be resolved", None, "dns"),
    Fault("tls", "the provider's port speaks no TLS", None, "tls"),
    Fault("reset", "the connection is reset once the request was read", _reset),
    Fault("hang-up", "the connection ends without an answer", _hang_up),
    Fault("garbage", "what answers speaks no HTTP", _garbage),
    Fault("hang-headers", "silence before the headers", _hang),
    Fault("hang-body", "silence before the first byte of the answer", _hang_after_headers),
    Fault("pings", "signs of life, no answer, and then silence", _pings, scenes=("text",)),
    Fault("429", "too many requests, without a time to wait", _too_many()),
    Fault("429-seconds", "too many requests, Retry-After: 2", _too_many("2")),
    Fault("429-date", "too many requests, Retry-After with a date", _too_many("date")),
    Fault("500", "the provider failed", _status(500, "api_error", "Internal error")),
    Fault("503", "the provider is not available", _status(503, "overloaded_error", "Service unavailable")),
    Fault("529", "the provider is overloaded", _status(529, "overloaded_error", "Overloaded")),
    Fault("400", "the provider refuses the request", _status(400, "invalid_request_error", "No such thing")),
    Fault("401", "the key is refused", _status(401, "authentication_error", "Invalid API key")),
    Fault("402", "the account is empty", _status(402, "billing_error", "Insufficient credits")),
    Fault("403", "the key may not do this", _status(403, "permission_error", "Not allowed")),
    Fault("404", "the model is gone", _status(404, "not_found_error", "No such model")),
    Fault("408", "the provider waited too long", _status(408, "timeout_error", "Timed out")),
    Fault("too-long", "the prompt is too long for the model", _status(400, "invalid_request_error", _TOO_LONG)),
    Fault("redirect", "a redirect to another place", _redirect),
    Fault("html-502", "a gateway's error page", _page(502, "text/html")),
    Fault("html-200", "an error page that is called a good answer", _page(200, "")),
    Fault("empty-200", "200, and no byte of an answer", _nothing),
    Fault("empty-answer", "a finished answer with nothing in it", _empty_answer, is_empty=True),
    Fault("error-200", "200, and the answer is an error", _error_200),
    Fault("overload-in-stream", "200, and the first event is an error", _overload_first, forms=_STREAM),
    Fault("malformed", "one event, or the JSON, is malformed", _malformed),
    Fault("invalid-utf8", "bytes in the text that are no UTF-8", _invalid_utf8),
    Fault("bad-encoding", "the answer is said to be compressed, and is not", _bad_encoding),
    Fault("cut-text", "the connection is cut in the middle of the text", _breaks("text", "cut")),
    Fault("end-text", "the stream ends in the middle of the text", _breaks("text", "end"), forms=_STREAM),
    Fault("stall-text", "silence in the middle of the text", _breaks("text", "stall")),
    Fault("error-text", "an error event in the middle of the text", _breaks("text", "error"), forms=_STREAM),
    _in_call("cut-tool", "the connection is cut in the middle of a tool call", "cut"),
    _in_call("end-tool", "the stream ends in the middle of a tool call", "end"),
    _in_call("stall-tool", "silence in the middle of a tool call", "stall"),
    _in_call("error-tool", "an error event in the middle of a tool call", "error"),
    Fault("truncated-json", "the JSON of the answer is cut short", _truncated, forms=_WHOLE),
    Fault("length-long", "fewer bytes come than were announced", _wrong_length(1.5)),
    Fault("length-short", "more bytes come than were announced", _wrong_length(0.6)),
    Fault("oversized", "one event that does not end", _oversized, forms=_STREAM, scenes=("text",), is_heavy=True),
    Fault("slow-drip", "a whole answer that comes slowly", _drip, is_whole=True, scenes=("text",)),
    Fault("odd-cuts", "a whole answer, cut within letters and line ends", _odd_cuts, is_whole=True),
    Fault("wrong-type", "a whole answer with the wrong content type", _wrong_type, is_whole=True),
    Fault("other-form", "a stream for JSON, JSON for a stream", _other_form, is_whole=True),
    Fault("no-usage", "a whole answer that counts no tokens", _no_usage, is_whole=True),
)  # fmt: skip

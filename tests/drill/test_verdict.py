"""The judge: what is right is answered, what says that it failed is a safe error, anything else is misled or hung."""

from __future__ import annotations

import json

import pytest

from ccrouter.drill.client import Heard
from ccrouter.drill.truth import ASKED_MODEL, NOTHING, TRUTH, Said
from ccrouter.drill.verdict import Verdict, judge
from ccrouter.drill.wires import Wire

SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}


def wire(said: Said = TRUTH["text"], model: str = ASKED_MODEL) -> Wire:
    return Wire("anthropic", model, said)


def stream(*frames: bytes, end: str = "whole", said: Said = TRUTH["text"]) -> Verdict:
    return judge(Heard(200, SSE, b"".join(frames), end), (said,), streamed=True)


def message(body: bytes, said: Said = TRUTH["text"], status: int = 200, end: str = "whole") -> Verdict:
    return judge(Heard(status, JSON, body, end), (said,), streamed=False)


def frames(said: Said = TRUTH["text"]) -> list[bytes]:
    return [part + b"\n\n" for part in wire(said).stream.split(b"\n\n") if part]


def error_frame(error: dict = ERROR) -> bytes:
    return b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"


def saw(verdict: Verdict) -> str:
    return verdict.saw


# -- what is right -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["text", "tool"])
def test_the_whole_answer(scene):
    """The truth, streamed and unstreamed, is answered; pings and comments between do not matter."""
    said = TRUTH[scene]
    assert saw(stream(wire(said).stream, said=said)) == "answered"
    assert saw(message(wire(said).whole, said)) == "answered"
    with_pings = [part + b'event: ping\ndata: {"type":"ping"}\n\n: hello\n\n' for part in frames(said)[:-1]]
    assert saw(stream(*with_pings, frames(said)[-1], said=said)) == "answered"


def test_a_message_without_usage():
    """SDKs add up usage without looking: an answer without it is none, however right its text."""
    told = json.loads(wire().whole)
    for wrong in ({**told, "usage": None}, {name: value for name, value in told.items() if name != "usage"}):
        verdict = message(json.dumps(wrong).encode())
        assert saw(verdict) == "misled"
        assert "without usage" in verdict.why


def test_a_connection_that_breaks_behind_the_end():
    """A stream that is finished and whose connection then broke off is no whole answer: SDKs read on and fail."""
    verdict = stream(*frames(), end="cut")
    assert saw(verdict) == "misled"
    assert "broke off" in verdict.why


def test_nothing_is_right_where_nothing_was_said():
    """A finished answer without content is right only if that is what was said."""
    empty = wire(NOTHING)
    heard = Heard(200, SSE, empty.stream, "whole")
    assert saw(judge(heard, (TRUTH["text"],), streamed=True)) == "misled"
    assert saw(judge(heard, (TRUTH["text"], NOTHING), streamed=True)) == "answered"


def test_errors_in_form_are_safe():
    """An error as an answer, or as an event before, in or after the text of a stream that does not finish."""
    assert saw(message(json.dumps(ERROR).encode(), status=529)) == "safe error"
    half = frames()[: len(frames()) // 2]
    for begun in ([], half, frames()[:-2]):
        assert saw(stream(*begun, error_frame())) == "safe error"
    assert saw(stream(*half, error_frame(), end="cut")) == "safe error"


# -- what is not -------------------------------------------------------------------------------------------------------


def test_no_end_is_hung():
    """Whatever came: without an end within the limit it is hung."""
    for body in (b"", wire().stream):
        assert saw(stream(body, end="late")) == "hung"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"".join(frames()[: len(frames()) // 2]), "without message_stop"),
        (b"", "without message_stop"),
        (b"".join(frames()[:-1]), "without message_stop"),
        (b"".join([*frames()[:5], *frames()[6:]]), "not what was said"),
        (b"".join([*frames()[:5], *frames()[4:]]), "not what was said"),
        (wire(TRUTH["tool"]).stream, "not what was said"),
        (b"".join(frames()[1:]), "before message_start"),
        (b"".join([frames()[0], *frames()]), "twice"),
        (b"".join([*frames()[:-3], *frames()[-2:]]), "while a block is open"),
        (b"".join([*frames()[:-2], frames()[-1]]), "without message_delta"),
        (wire().stream + error_frame(), "after the end"),
        (wire().stream + frames()[-1], "after the end"),
        (b"".join([*frames()[:4], error_frame(), frames()[-1]]), "after an error"),
        (b"".join([*frames()[:4], error_frame({"type": "error", "message": "x"})]), "not in form"),
        (b"".join([*frames()[:4], error_frame({"error": {"message": "x"}})]), "called 'error'"),
        (b"".join(frames()[:4]) + b"data: [DONE]\n\n", "no event"),
        (b"".join(frames()[:4]) + frames()[4][:-1], "without its end"),
        (wire().stream.replace("ö".encode(), b"\xff"), "UTF-8"),
        (wire().stream.replace("ö".encode(), "\N{REPLACEMENT CHARACTER}".encode()), "not what was said"),
        (wire(model="m1").stream, "names the model"),
        (wire().stream.replace(b'"output_tokens"', b'"out"'), "without usage"),
        (wire().stream.replace(b'"end_turn"', b'"max_tokens"'), "not what was said"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_streams_that_mislead(body, why):
    """Cut without a word, with something missing, twice or out of order, finished after an error, broken."""
    verdict = stream(body)
    assert saw(verdict) == "misled"
    assert why in verdict.why


def test_a_half_call_that_was_closed_misleads():
    """In a turn that fails, a call whose block ended before its arguments did is one that a client may carry out; a
    call that was left open, or is whole, is none.
    """
    said = TRUTH["tool"]
    parts = frames(said)
    first = next(number for number, part in enumerate(parts) if b"partial_json" in part)
    stop = next(part for part in parts if b"content_block_stop" in part and b'"index":1' in part)
    assert saw(stream(*parts[: first + 1], error_frame(), said=said)) == "safe error"
    closed = stream(*parts[: first + 1], stop, error_frame(), said=said)
    assert (saw(closed), "a call" in closed.why) == ("misled", True)
    assert saw(stream(*parts[:-2], error_frame(), said=said)) == "safe error"


def test_answers_that_mislead():
    """Unstreamed: cut, not the truth, no message, an error that is not in form, an answer without a status."""
    whole = wire().whole
    assert saw(message(whole, end="cut")) == "misled"
    assert saw(message(whole.replace("größer".encode(), b""))) == "misled"
    assert saw(message(whole[:-10])) == "misled"
    assert saw(message(json.dumps(ERROR).encode())) == "misled"
    assert saw(message(b"Bad gateway", status=502)) == "misled"
    assert saw(message(b'{"detail": "no"}', status=500)) == "misled"
    assert saw(message(json.dumps(ERROR).encode(), status=500, end="cut")) == "misled"
    assert saw(message(b"", status=204)) == "misled"
    assert saw(judge(Heard(), (TRUTH["text"],), streamed=True)) == "misled"
    assert (
        saw(judge(Heard(200, {"content-type": "text/plain"}, wire().stream, "whole"), (TRUTH["text"],), streamed=True))
        == "misled"
    )

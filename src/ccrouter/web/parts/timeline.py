"""What one request spent its time on, as steps that a page draws: pure arithmetic over the marks that were recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ccrouter.jsontypes import Json, JsonObject

#: Steps shorter than this that nobody would look for are not told (milliseconds).
_SHORT = 0.05
#: How wide a picture is, in units of its own, and the least that can be seen in it.
WIDTH = 1000.0
_LEAST = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """From `start` to `end`, in milliseconds after the request came. `kind` says whose time it was: "client", "ours",
    "wait" (a pause), "provider", "stream", or "failed". `attempt` counts from 1, 0 for what is of none.
    """

    name: str
    words: str
    kind: str
    start: float
    end: float
    attempt: int = 0


def timeline(marks: Mapping[str, Json], attempts: Sequence[JsonObject], total: float) -> JsonObject:
    """The steps of a request of `total` milliseconds, in their order, with where in a picture of WIDTH they belong."""
    reached = (_number(marks.get(name)) for name in ("authorized", "received", "decided"))
    whole = max([total, *reached, *(_number(one.get("endedMs")) for one in attempts)])
    steps = [*_before(marks, attempts, whole), *_tried(attempts), *_after(attempts, whole)]
    return {"totalMs": whole, "width": WIDTH, "steps": [_drawn(one, whole) for one in steps]}


def _before(marks: Mapping[str, Json], attempts: Sequence[JsonObject], whole: float) -> Iterator[Step]:
    authorized, received, decided = (_number(marks.get(name)) for name in ("authorized", "received", "decided"))
    if authorized:
        yield Step("let in", "the key and the address of the caller were checked", "ours", 0.0, authorized)
    if received:
        yield Step("request arrives", "the client sent its request", "client", authorized, received)
    end = decided or (_number(attempts[0].get("beganMs")) if attempts else whole)
    start = max(authorized, received)
    if end > start:
        name = "decision" if decided else "no decision"
        yield Step(name, "read, routed, and judged by the policy", "ours", start, end)


def _tried(attempts: Sequence[JsonObject]) -> Iterator[Step]:
    for number, one in enumerate(attempts, 1):
        yield from _attempt(number, one)


def _attempt(number: int, one: JsonObject) -> Iterator[Step]:
    began, ended, waited = (_number(one.get(name)) for name in ("beganMs", "endedMs", "waitedMs"))
    if waited >= _SHORT:
        yield Step("pause", "nothing was done, on purpose", "wait", max(began - waited, 0.0), began, number)
    at = began
    for mark, name, words, kind in (
        ("sentMs", "encoding", "written in the provider's own form", "ours"),
        ("connectedMs", "connecting", "a new connection to the provider was made", "provider"),
        ("headersMs", "waiting for headers", "the provider had the request and said nothing yet", "provider"),
        ("firstMs", "waiting for first token", "the provider had begun to answer, with no words yet", "provider"),
    ):
        reached = _number(one.get(mark))
        if reached > at:
            yield Step(name, words, kind, at, reached, number)
            at = reached
    if one.get("failure"):
        yield Step("failed", "until the attempt was given up", "failed", at, max(at, ended), number)
    elif ended > at:
        name = "streaming" if _number(one.get("firstMs")) else "waiting"
        words = "from the first words to the last" if name == "streaming" else "until the attempt was over"
        yield Step(name, words, "stream" if name == "streaming" else "provider", at, ended, number)


def _after(attempts: Sequence[JsonObject], whole: float) -> Iterator[Step]:
    last = max((_number(one.get("endedMs")) for one in attempts), default=0.0)
    if last and whole - last >= _SHORT:
        yield Step("end", "the last bytes went to the client", "ours", last, whole)


def _drawn(step: Step, whole: float) -> JsonObject:
    scale = WIDTH / whole if whole else 0.0
    width = min(max((step.end - step.start) * scale, _LEAST), WIDTH)
    return {
        "name": step.name,
        "words": step.words,
        "kind": step.kind,
        "attempt": step.attempt or None,
        "fromMs": round(step.start, 2),
        "toMs": round(step.end, 2),
        "tookMs": round(step.end - step.start, 2),
        "x": round(min(step.start * scale, WIDTH - width), 1),
        "width": round(width, 1),
    }


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

"""Golden cases: what a client of OpenAI's dialects says above a line of dashes, what it means in Messages below; and what
a Messages answer is to such a client, streamed and whole.

A case begins with `# ` lines, its claim; then an empty line, and the request as JSON, or (streams) the request in one line
and the Messages events. `ACCEPT=1 python -m pytest tests/served/test_cases.py` rewrites the lower halves; the difference
is then for a reader to judge.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from ccrouter.dialects.anthropic.reader import MessagesReader
from ccrouter.dialects.openai_chat.served import ServedChat
from ccrouter.dialects.openai_responses.served import ServedResponses
from ccrouter.errors import ClientError, UnsupportedContent
from ccrouter.messages.fold import Fold
from ccrouter.sse import ServerSentEvent
from tests.served.law import chat_of, response_of, whole_chat_of, whole_response_of

CASES = Path(__file__).parents[1] / "cases" / "served"
LINE = "\n----\n"


def form_of(path: Path):
    """The dialect that a case is about, with ids that are counted and a clock that stands."""
    numbers = itertools.count(1)
    kind = ServedChat if path.parent.parent.name == "chat" else ServedResponses
    return kind(now=lambda: 1_760_000_000.9, new_id=lambda prefix: f"{prefix}{next(numbers)}")


def cases(kind: str) -> list:
    return [
        pytest.param(path, id=f"{path.parent.parent.name}-{path.stem}")
        for path in sorted(CASES.glob(f"*/{kind}/*.txt"))
    ]


def split(path: Path) -> tuple[str, str, str]:
    """The upper half whole, what is in it below the claim, and the lower half."""
    upper, _, expected = path.read_text(encoding="utf-8").partition(LINE)
    claim, _, body = upper.partition("\n\n")
    assert claim.startswith("# "), f"{path}: a case begins with its claim"
    return upper, body, expected


def check(path: Path, outcome: str) -> None:
    upper, _, expected = split(path)
    if os.environ.get("ACCEPT"):
        path.write_text(upper + LINE + outcome, encoding="utf-8")
        expected = outcome
    assert outcome == expected


@pytest.mark.parametrize("path", cases("request"))
def test_request(path):
    """The request above the line means what stands below it; what is lost is told by the client's own paths."""
    _, body, _ = split(path)
    try:
        reading = form_of(path).read(body.encode())
    except ClientError as error:
        check(path, f"refused {error.status}\n{error}\n{json.dumps(error.details)}\n")
        return
    request = {name: json.loads(bytes(raw)) for name, raw in reading.request.members.items()}
    lines = [json.dumps(request, ensure_ascii=False, indent=1)]
    lines += [f"{loss.fate} {loss.path}: {loss.what}" for loss in reading.losses]
    try:
        reading.check()
    except UnsupportedContent as error:
        lines.append(f"not sayable {error}")
    check(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize("path", cases("stream"))
def test_stream(path):
    """The Messages answer above the line is the frames below it, which are lawful; unstreamed it says the same."""
    _, body, _ = split(path)
    asked, _, told = body.partition("\n")
    reading = form_of(path).read(asked.encode())
    writer = reading.writer(asked="asked")
    reader = MessagesReader("asked")
    events = [
        event
        for line in told.split("\n")
        if line
        for event in reader.feed(ServerSentEvent(json.loads(line)["type"].encode(), line.encode()))
    ] + reader.close()
    raw = writer.frames(events)
    check(path, raw.decode().replace("\n\n", "\n"))
    fold = Fold()
    for event in events:
        fold.feed(event)
    whole = form_of(path).read(asked.encode()).writer(asked="asked").whole(fold.close())
    if path.parent.parent.name == "chat":
        streamed, folded = chat_of(raw, tells_usage="include_usage" in asked), whole_chat_of(whole)
        streamed["usage"] = folded["usage"]
        for one in (streamed, folded):
            one["calls"] = [(call["id"], call["name"], _read(call)) for call in one.get("calls", ())]
            one.setdefault("content", "")
        if "functions" in asked:
            one["calls"] = [("", *call[1:]) for call in one["calls"]]
        assert streamed == folded
    else:
        assert _with_arguments_read(response_of(raw)) == _with_arguments_read(whole_response_of(whole))


def _read(call):
    if "input" in call:
        return call["input"]
    return json.loads(call["arguments"] or "{}")


def _with_arguments_read(response):
    for item in response["output"]:
        if isinstance(item.get("arguments"), str):
            item["arguments"] = json.loads(item["arguments"])
    return response


def test_there_are_cases():
    """The folders of cases are found: empty ones would pass for a success."""
    assert len(cases("request")) >= 25
    assert len(cases("stream")) >= 10

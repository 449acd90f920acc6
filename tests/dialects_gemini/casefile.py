"""Golden cases of the Gemini dialect, in the form of tests/dialects/casefile.py: reads them, and writes what came out.

What is different from the Chat cases: the outcome of a request begins with its URL and ends with what is left out as a
hint, and a stream case may be written short: a line that begins with `> ` is a frame, of a chunk as JSON or, as a list,
of the parts of one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.gemini import Gemini
from ccrouter.errors import ClientError, RemoteProtocolError, UpstreamStatus
from ccrouter.messages.events import MessageEvent
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.dialects.casefile import BASE
from tests.dialects.casefile import Case as AnyCase

CASES = Path(__file__).parents[1] / "cases" / "gemini"
URLS = {
    "google": "https://generativelanguage.googleapis.com/v1beta/models",
    "vertex": "https://aiplatform.googleapis.com/v1/projects/p1/locations/global/publishers/google/models",
    "relay": "https://relay.example/gemini/v1beta/models",
}
_SHORT = re.compile(r"^> (.*)$", re.MULTILINE)


class Case(AnyCase):
    """One case of this dialect."""

    @property
    def target(self) -> Target:
        text = self.head.get("target", "google gemini-3-pro-preview")
        return make_target(text, json.loads(self.head.get("extra_body", "{}")))

    @property
    def wire(self) -> bytes:
        """The answer's bytes."""
        return _SHORT.sub(_frame, self.body).encode()


def _frame(match: re.Match[str]) -> str:
    data = json.loads(match[1])
    if isinstance(data, list):
        data = {"candidates": [{"content": {"role": "model", "parts": data}, "index": 0}]}
    return f"data: {json.dumps(data, ensure_ascii=False)}\n"


def make_target(text: str = "google gemini-3-pro-preview", extra_body: dict[str, Any] | None = None) -> Target:
    provider, _, model = text.partition(" ")
    platform = "vertex" if provider == "vertex" else ""
    endpoint = Endpoint("gemini", URLS[provider], platform)
    return Target(Provider(provider, (endpoint,), extra_body=extra_body or {}), model)


def cases(kind: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((CASES / kind).glob("*.txt"))]


def read_request(**members: Any) -> MessagesRequest:
    return MessagesRequest.read(json.dumps({**BASE, **members}).encode())


def sent_by(target: Target, **members: Any) -> tuple[dict[str, Any], list[str]]:
    """The body of the request that these members over BASE become, and what was lost."""
    sent = Gemini().encode(read_request(**members), target, {})
    lost = [f"{loss.path}: {loss.what}" for loss in sent.losses if loss.fate != "hint"]
    return json.loads(sent.body), lost


# -- requests ----------------------------------------------------------------------------------------------------------


def request_outcome(case: Case) -> str:
    request = MessagesRequest.read(msgspec.json.format(case.body.encode(), indent=-1))
    try:
        sent = Gemini().encode(request, case.target, {})
    except ClientError as error:
        return f"refused {error.status} {error.type}\n{error}\n"
    lines = [sent.url, json.dumps(json.loads(sent.body), ensure_ascii=False, indent=1)]
    lines += [f"{loss.fate} {loss.path}: {loss.what}" for loss in sent.losses]
    lines += [f"name {name} is {asked}" for name, asked in sent.names.items()]
    return "\n".join(lines) + "\n"


# -- answers -----------------------------------------------------------------------------------------------------------


def counting_dialect() -> Gemini:
    numbers = itertools.count(1)
    return Gemini(new_id=lambda: f"new_{next(numbers)}")


def read_answer(case: Case, chunks: Iterable[bytes] | None) -> tuple[list[MessageEvent], str]:
    """The events of the answer in `chunks` (or of the unstreamed body if None), and the words of its end."""
    dialect = counting_dialect()
    asked = {"stream": chunks is not None, **json.loads(case.head.get("request", "{}"))}
    sent: UpstreamRequest = dialect.encode(read_request(**asked), case.target, {})
    reader = dialect.reader(sent, case.target, MessageWriter(id="msg_1", model="asked", input_tokens=7))
    events: list[MessageEvent] = []
    try:
        if chunks is None:
            events += reader.feed_body(case.body.encode())
        else:
            sse = SseReader()
            for chunk in chunks:
                for event in sse.feed(chunk):
                    events += reader.feed(event)
            for event in sse.close():
                events += reader.feed(event)
        events += reader.close()
    except UpstreamStatus as error:
        return events, f"error {error.status} {error.type}: {error}"
    except RemoteProtocolError as error:
        return events, f"nonsense: {error}"
    usage = reader.usage
    return events, (
        f"usage {usage.input_tokens} + {usage.cache_read_input_tokens} read, {usage.output_tokens} out; "
        f"answered {reader.answered_model!r}"
    )

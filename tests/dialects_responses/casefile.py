"""Golden cases of the Responses dialect, in the form of tests/dialects/casefile.py: reads them, and writes what came out.

What is different from the Chat cases: a `----` half of a request tells the ledger too (kept and mapped), and a stream
case may be written short: lines that begin with `> ` are events as `TYPE JSON`, from which the frames are made.
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
from ccrouter.dialects.ledger import counted
from ccrouter.dialects.openai_responses import OpenAIResponses
from ccrouter.errors import ClientError, RemoteProtocolError, UpstreamStatus
from ccrouter.messages.events import MessageEvent
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.dialects.casefile import BASE
from tests.dialects.casefile import Case as AnyCase

CASES = Path(__file__).parents[1] / "cases" / "openai_responses"
URLS = {
    "openai": "https://api.openai.com/v1/responses",
    "azure": "https://mine.openai.azure.com/openai/v1/responses",
    "openrouter": "https://openrouter.ai/api/v1/responses",
    "xai": "https://api.x.ai/v1/responses",
    "deepseek": "https://api.deepseek.com/v1/responses",
    "vllm": "http://127.0.0.1:9/v1/responses",
}
_SHORT = re.compile(r"^> (\S+) ?(.*)$", re.MULTILINE)


class Case(AnyCase):
    """One case of this dialect."""

    @property
    def target(self) -> Target:
        return make_target(self.head.get("target", "local m1"), json.loads(self.head.get("extra_body", "{}")))

    @property
    def wire(self) -> bytes:
        """The answer's bytes."""
        numbers = itertools.count()

        def frame(match: re.Match[str]) -> str:
            kind, data = match[1], json.loads(match[2] or "{}")
            data = {"type": kind, "sequence_number": next(numbers), **data}
            return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n"

        return _SHORT.sub(frame, self.body).encode()


def make_target(text: str = "local m1", extra_body: dict[str, Any] | None = None) -> Target:
    provider, _, model = text.partition(" ")
    url = URLS.get(provider, f"http://127.0.0.1:9/{provider}/v1/responses")
    return Target(Provider(provider, (Endpoint("openai_responses", url),), extra_body=extra_body or {}), model)


def cases(kind: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((CASES / kind).glob("*.txt"))]


def read_request(**members: Any) -> MessagesRequest:
    return MessagesRequest.read(json.dumps({**BASE, **members}).encode())


# -- requests ----------------------------------------------------------------------------------------------------------


def request_outcome(case: Case) -> str:
    request = MessagesRequest.read(msgspec.json.format(case.body.encode(), indent=-1))
    try:
        sent = OpenAIResponses().encode(request, case.target, {})
    except ClientError as error:
        return f"refused {error.status} {error.type}\n{error}\n"
    return told_request(sent)


def told_request(sent: UpstreamRequest) -> str:
    lines = [json.dumps(json.loads(sent.body), ensure_ascii=False, indent=1)]
    lines += [f"lost {loss.path} ({loss.fate}): {loss.what}" for loss in counted(sent.losses)]
    lines += [f"hint {loss.path}" for loss in sent.losses if loss.fate == "hint"]
    lines += [f"name {name} is {asked}" for name, asked in sent.names.items()]
    lines += [f"kept {' '.join(sorted(sent.kept))}", f"mapped {' '.join(sorted(sent.mapped))}"]
    return "\n".join(lines) + "\n"


# -- answers -----------------------------------------------------------------------------------------------------------


def counting_dialect() -> OpenAIResponses:
    numbers = itertools.count(1)
    return OpenAIResponses(new_id=lambda: f"new_{next(numbers)}")


def make_reader(target: Target | None = None, **members: Any) -> Any:
    target = target or make_target()
    dialect = counting_dialect()
    sent = dialect.encode(read_request(**members), target, {})
    return dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked", input_tokens=7))


def read_answer(case: Case, chunks: Iterable[bytes] | None) -> tuple[list[MessageEvent], str]:
    """The events of the answer in `chunks` (or of the unstreamed body if None), and the words of its end."""
    reader = make_reader(case.target, stream=chunks is not None, **json.loads(case.head.get("request", "{}")))
    events: list[MessageEvent] = []
    try:
        if chunks is None:
            events += reader.feed_body(case.wire)
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
        f"usage {usage.input_tokens} + {usage.cache_read_input_tokens} read + {usage.cache_creation_input_tokens} written, "
        f"{usage.output_tokens} out; answered {reader.answered_model!r}"
    )

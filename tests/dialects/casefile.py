"""Golden cases of the Chat dialect: input above a line of dashes, outcome below. Reads them, and writes what came out.

A case begins with `# ` lines, its claim, and goes on with `name: value` lines:

    target       provider and model; the provider's URL is its real one where it is known to URLS
    request      JSON over BASE (stream and error cases)
    extra_body   JSON (request cases)
    kind         "body" for an answer that was not streamed (stream cases)
    status, now  of an error answer; other names there are its headers

Then an empty line, and the request as JSON, the answer as it is on the wire, or the error's body.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.openai_chat import OpenAIChat
from ccrouter.errors import ClientError, RemoteProtocolError, UnsupportedContent, UpstreamStatus
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageStart,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader

CASES = Path(__file__).parents[1] / "cases" / "openai_chat"
LINE = "\n----\n"
BASE: dict[str, Any] = {"model": "asked", "max_tokens": 1000, "messages": [{"role": "user", "content": "hello"}]}
URLS = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "moonshot": "https://api.moonshot.ai/v1/chat/completions",
    "zai": "https://api.z.ai/api/paas/v4/chat/completions",
    "minimax": "https://api.minimax.io/v1/chat/completions",
    "dashscope": "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions",
    "volcengine": "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
    "cerebras": "https://api.cerebras.ai/v1/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "ollama": "http://127.0.0.1:11434/v1/chat/completions",
}


class Case:
    """One case, read. `head` has the named lines, `body` what follows them, `expected` the lower half."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.upper, _, self.expected = path.read_text(encoding="utf-8").partition(LINE)
        head, _, self.body = self.upper.partition("\n\n")
        self.head: dict[str, str] = {}
        self.claim: list[str] = []
        for line in head.splitlines():
            if line.startswith("#"):
                self.claim.append(line[1:].strip())
            else:
                name, _, value = line.partition(":")
                self.head[name] = value.strip()
        assert self.claim, f"{path}: a case begins with its claim"

    @property
    def target(self) -> Target:
        return make_target(self.head.get("target", "local m1"), json.loads(self.head.get("extra_body", "{}")))

    def check(self, outcome: str) -> None:
        """Compare; with ACCEPT set, write the outcome into the case first."""
        if os.environ.get("ACCEPT"):
            self.path.write_text(self.upper + LINE + outcome, encoding="utf-8")
            self.expected = outcome
        assert outcome == self.expected


def make_target(text: str = "local m1", extra_body: dict[str, Any] | None = None) -> Target:
    provider, _, model = text.partition(" ")
    url = URLS.get(provider, f"http://127.0.0.1:9/{provider}/v1/chat/completions")
    return Target(Provider(provider, (Endpoint("openai_chat", url),), extra_body=extra_body or {}), model)


def cases(kind: str) -> list[Any]:
    import pytest  # noqa: PLC0415 - only its parameters are needed

    return [pytest.param(path, id=path.stem) for path in sorted((CASES / kind).glob("*.txt"))]


# -- requests ------------------------------------------------------------------------------------------------------


def request_outcome(case: Case) -> str:
    request = MessagesRequest.read(msgspec.json.format(case.body.encode(), indent=-1))
    try:
        sent = OpenAIChat().encode(request, case.target, {})
    except UnsupportedContent as error:
        return f"refused {error.status} {error.type}\n{error}\n"
    except ClientError as error:
        return f"refused {error.status} {error.type}\n{error}\n"
    lines = [json.dumps(json.loads(sent.body), ensure_ascii=False, indent=1)]
    lines += [f"{loss.fate} {loss.path}: {loss.what}" for loss in sent.losses]
    lines += [f"name {name} is {asked}" for name, asked in sent.names.items()]
    return "\n".join(lines) + "\n"


# -- answers -------------------------------------------------------------------------------------------------------


def counting_dialect() -> OpenAIChat:
    numbers = itertools.count(1)
    return OpenAIChat(new_id=lambda: f"new_{next(numbers)}")


def read_answer(case: Case, chunks: Iterator[bytes] | None) -> tuple[list[MessageEvent], str]:
    """The events of the answer in `chunks` (or of the unstreamed body if None), and the words of its end."""
    dialect = counting_dialect()
    asked = {**BASE, "stream": chunks is not None, **json.loads(case.head.get("request", "{}"))}
    sent = dialect.encode(MessagesRequest.read(json.dumps(asked).encode()), case.target, {})
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
        f"usage {usage.input_tokens} + {usage.cache_read_input_tokens} read + {usage.cache_creation_input_tokens} written, "
        f"{usage.output_tokens} out; answered {reader.answered_model!r}"
    )


def told(events: list[MessageEvent]) -> list[str]:
    """The events in lines that a person reads."""
    return [_told(event) for event in events]


def _told(event: MessageEvent) -> str:
    match event:
        case MessageStart(message=head):
            return f"start {head.model} {head.usage.input_tokens}"
        case BlockStart(index=index, content_block=block):
            if isinstance(block, dict):
                return f"{index} {json.dumps(block)}"
            names = [repr(getattr(block, name)) for name in ("id", "name") if hasattr(block, name)]
            return " ".join([f"{index} {type(block).__struct_config__.tag}", *names])
        case BlockDelta(index=index, delta=TextDelta(text=text) | ThinkingDelta(thinking=text)):
            return f"{index} + {json.dumps(text, ensure_ascii=False)}"
        case BlockDelta(index=index, delta=InputJsonDelta(partial_json=text)):
            return f"{index} + {text}"
        case BlockDelta(index=index, delta=SignatureDelta(signature=text)):
            return f"{index} signed {text}"
        case BlockDelta(index=index, delta=dict() as delta):  # a citations_delta
            return f"{index} + {json.dumps(delta, ensure_ascii=False)}"
        case BlockStop(index=index):
            return f"{index} stop"
        case MessageDelta(delta=ending):
            return f"end {ending.stop_reason}" + (f" {ending.stop_sequence!r}" if ending.stop_sequence else "")
        case _:
            return type(event).__name__

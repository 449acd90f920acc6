"""What the tests of transforms have in common: targets as configurations make them, and what goes through them."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ccrouter.config.customs import Customs
from ccrouter.config.report import Place, Report
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.config.transformers import Specs, read_transformer
from ccrouter.dialects.openai_chat import OpenAIChat
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.messages.events import BlockStart, MessageEvent
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from ccrouter.transforms.base import Context
from ccrouter.transforms.registry import Chains

CASES = Path(__file__).parents[1] / "cases" / "transforms"
LINE = "\n----\n"
BASE: dict[str, Any] = {"model": "asked", "max_tokens": 1000, "messages": [{"role": "user", "content": "hello"}]}
URLS = {
    "anthropic": "https://relay.example/v1/messages",
    "openai_chat": "http://127.0.0.1:9/local/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "openai_responses": "https://relay.example/v1/responses",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "openai": "https://api.openai.com/v1/chat/completions",
    "dashscope": "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions",
    "cerebras": "https://api.cerebras.ai/v1/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
}


def specs_of(transformer: Any) -> Specs:
    """What the configuration makes of a provider's `transformer`, which has to be without fault."""
    report = Report("config.json")
    specs = read_transformer(transformer, Place(report, "transformer"), Customs())
    assert not report.problems, report.problems
    assert not report.warnings, report.warnings
    return specs


def target_at(
    place: str = "openai_chat", use: Any = (), model: str = "m1", by_model: Any = None, **more: Any
) -> Target:
    """A target at the URL of that name, with transforms as `use` of a configuration has them."""
    transformer = {"use": list(use), **({model: {"use": by_model}} if by_model else {})}
    specs = specs_of(transformer)
    dialect: Any = place if place in DIALECTS or place in {"gemini", "openai_responses"} else "openai_chat"
    provider = Provider(
        place if place not in DIALECTS else "local",
        (Endpoint(dialect, URLS[place]),),
        transforms=specs.transforms,
        model_transforms=specs.by_model,
        **more,
    )
    return Target(provider, model)


def context_of(target: Target, *, is_streamed: bool = True) -> Context:
    return Context(target, target.endpoint.dialect, "asked", is_streamed)


def members_through(target: Target, members: dict[str, Any], *, is_streamed: bool = True) -> dict[str, Any]:
    """What the transforms of `target` make of a body's members."""
    amend = Chains().of(target).amend(context_of(target, is_streamed=is_streamed))
    return amend(members) if amend else members


def sent_to(target: Target, **members: Any) -> dict[str, Any]:
    """The body that a request becomes, decoded."""
    return json.loads(encoded_for(target, **members).body)


def encoded_for(target: Target, **members: Any) -> Any:
    request = MessagesRequest.read(json.dumps({**BASE, **members}).encode())
    chain, context = Chains().of(target), context_of(target, is_streamed=request.stream)
    changed = chain.request(request, context)
    return DIALECTS[target.endpoint.dialect].encode(changed, target, {}, chain.amend(context))


def answer_from(
    target: Target, wire: bytes, chunks: Iterable[bytes] | None = None, **asked: Any
) -> tuple[list[MessageEvent], str]:
    """The events that a client gets of an answer in these chunks (the whole of it without), and the words of its end.

    As the gateway does it: the filters are called with the events of one read at a time.
    """
    is_body = not wire.lstrip().startswith((b"data:", b"event:"))
    request = MessagesRequest.read(json.dumps({**BASE, "stream": not is_body, **asked}).encode())
    chain, context = Chains().of(target), context_of(target, is_streamed=not is_body)
    numbers = itertools.count(1)
    dialect = DIALECTS[target.endpoint.dialect]
    if dialect.name == "openai_chat":
        dialect = OpenAIChat(new_id=lambda: f"new_{next(numbers)}")
    sent = dialect.encode(chain.request(request, context), target, {}, chain.amend(context))
    reader = dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked", input_tokens=7))
    filters = chain.filters(context)
    events: list[MessageEvent] = []

    def pass_on(read: list[MessageEvent]) -> None:
        for one in filters:
            read = one(read)
        events.extend(read)

    try:
        if is_body:
            pass_on([*reader.feed_body(wire), *reader.close()])
        else:
            sse = SseReader()
            for chunk in [wire] if chunks is None else chunks:
                pass_on([event for sent in sse.feed(chunk) for event in reader.feed(sent)])
            pass_on([event for sent in sse.close() for event in reader.feed(sent)])
            pass_on(reader.close())
    except UpstreamStatus as error:
        return events, f"error {error.status} {error.type}: {error}"
    except RemoteProtocolError as error:
        return events, f"nonsense: {error}"
    return events, f"usage {reader.usage.input_tokens} in, {reader.usage.output_tokens} out"


def cuts(wire: bytes) -> Iterator[list[bytes]]:
    """The wire in single bytes, cut in two at random places, and cut at several."""
    yield [wire[at : at + 1] for at in range(len(wire))]
    chance = random.Random(len(wire))
    for _ in range(10):
        places = sorted(chance.sample(range(len(wire)), min(len(wire), chance.randrange(1, 12))))
        yield [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]


def check_lawful(events: Iterable[MessageEvent]) -> None:
    """The events keep the order of the protocol, and number blocks without a gap. Blocks may interleave."""
    grammar = Grammar()
    for event in events:
        index = getattr(event, "index", None)
        if isinstance(event, BlockStart):
            assert index == grammar.blocks
        grammar.step(type(event).__struct_config__.tag, index)


class Case:
    """A golden case: `# ` lines (its claim), `name: value` lines, an empty line and what is fed; the outcome below."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.upper, _, self.expected = path.read_text(encoding="utf-8").partition(LINE)
        head, _, self.body = self.upper.partition("\n\n")
        named = [line.partition(":") for line in head.splitlines() if not line.startswith("#")]
        self.head = {name: value.strip() for name, _, value in named}
        assert head.startswith("# "), f"{path}: a case begins with its claim"

    def read(self, name: str, default: Any = None) -> Any:
        return json.loads(self.head[name]) if name in self.head else default

    def target(self) -> Target:
        place, _, model = self.head.get("at", "openai_chat").partition(" ")
        return target_at(place, self.read("use", []), model or "m1", self.read("model", None))

    def check(self, outcome: str) -> None:
        if os.environ.get("ACCEPT"):
            self.path.write_text(self.upper + LINE + outcome, encoding="utf-8")
            self.expected = outcome
        assert outcome == self.expected


def paths(kind: str) -> list[Path]:
    return sorted((CASES / kind).glob("*.txt"))

"""Attacks on time and memory: what a client, a tool's schema or a provider says may not hold up everybody else.

Time is what the process itself computed (not what a busy machine took), with a bound that is far above what is needed
and far below what the attack takes where it succeeds: minutes, or for ever.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages.request import MessagesRequest
from ccrouter.sse import SseReader
from ccrouter.transforms.jsonmend import mended
from ccrouter.transforms.jsonprefix import JsonPrefix
from ccrouter.transforms.textmember import TextMember

#: Seconds of computing, for a request of a few megabytes at most.
MOST = 5.0
URLS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "openai_chat": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "openai_responses": "https://api.openai.com/v1/responses",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models",
}


@contextlib.contextmanager
def soon() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < MOST


def target(dialect: Any) -> Target:
    name = "gemini" if dialect in {"gemini", "openai_chat"} else dialect
    return Target(Provider(name=name, endpoints=(Endpoint(dialect, URLS[dialect]),), models=("m",)), "m")


def encoded(dialect: str, **members: Any) -> bytes:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **members}
    return DIALECTS[dialect].encode(MessagesRequest.read(json.dumps(asked).encode()), target(dialect), {}).body


def referring(to: int, **more: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/d{to}", **more}


def objects(*inner: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{n}": one for n, one in enumerate(inner)}}


def defining(first: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    return {**objects(referring(0)), "$defs": {f"d{n}": one for n, one in enumerate((first, *more))}}


def chained(links: int, link: Any, end: dict[str, Any]) -> dict[str, Any]:
    return defining(*(link(n + 1) for n in range(links)), end)


WIDE = {"type": "object", "properties": {"x": {}}, "required": [f"name{n}" for n in range(50_000)]}
LONG = {"type": "string", "description": "x" * 500_000}
CHOICE = {"type": "string", "enum": [f"value{n}" for n in range(50_000)]}

SCHEMAS = {
    "X01 into itself": defining(objects(*[referring(0)] * 8)),
    "X02 into each other": defining(*(objects(*(referring(n) for n in range(8))) for _ in range(8))),
    "X03 a billion laughs": chained(20, lambda n: objects(*[referring(n)] * 10), {"type": "string"}),
    "X04 a billion laughs in anyOf": chained(20, lambda n: {"anyOf": [referring(n)] * 10}, {"type": "string"}),
    "X05 a billion laughs in allOf": chained(20, lambda n: {"allOf": [referring(n)] * 10}, {"type": "string"}),
    "X06 a long way": chained(60_000, referring, {"type": "string"}),
    "X07 a long way down": chained(2_000, lambda n: objects(referring(n)), {"type": "string"}),
    "X08 a long way through allOf": chained(2_000, lambda n: {"allOf": [referring(n)]}, {"type": "string"}),
    "X09 many of a wide one": defining(objects(*[referring(1)] * 4_000), WIDE),
    "X10 many of a long one": defining(objects(*[referring(1)] * 4_000), LONG),
    "X11 many of a choice": defining(objects(*[referring(1)] * 4_000), CHOICE),
    "X12 many pieces": {"allOf": [{"required": [f"a{n}_{m}" for m in range(10)]} for n in range(8_000)]},
    "X13 many properties": {"allOf": [objects(*[{}] * 10, {f"a{n}": {}}) for n in range(8_000)]},
    "X14 all of a wide one": defining({"allOf": [referring(1)] * 4_000}, WIDE),
}


@pytest.mark.parametrize("dialect", sorted(URLS))
@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_of_tools(dialect, name) -> None:
    """A schema with references costs about what it has in bytes, in time and in what is made of it."""
    tool = {"name": "t", "input_schema": {"type": "object", **SCHEMAS[name]}}
    size = len(json.dumps(tool))
    with soon():
        assert len(encoded(dialect, tools=[tool])) < 3 * size + 4_000_000


@pytest.mark.parametrize("dialect", sorted(URLS))
@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_of_answers(dialect, name) -> None:
    """So does the schema of a structured answer."""
    schema = {"type": "object", **SCHEMAS[name]}
    with soon():
        output = {"format": {"type": "json_schema", "schema": schema}}
        assert len(encoded(dialect, output_config=output)) < 3 * len(json.dumps(schema)) + 4_000_000


# -- answers ------------------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "X20 fences": "```json" * 5_000,
    "X21 brackets": "([" * 200_000,
    "X22 quotation marks": '{"a":' + '"' * 400_000,
    "X23 comments": '{"a": "b" ' + "/*" * 200_000,
    "X24 closing brackets": '{"a": "' + '"}' * 200_000,
    "X25 deep": '{"a": [' + "[" * 200_000,
    "X26 backslashes": '{"a": "' + "\\" * 400_001,
    "X27 a long number": '{"a": ' + "1" * 400_000,
    "X28 blanks": '{"a": "b"' + " " * 400_000 + "x",
    "X29 commas": '{"a": [' + "," * 400_000,
    "X30 encoded again and again": json.dumps(json.dumps(json.dumps(json.dumps("{" * 50_000)))),
    "X31 keys without an end": "{" + "'a" * 200_000,
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_to_mend(name) -> None:
    """Whatever a model writes for arguments, mending it takes no longer than reading it, give or take."""
    with soon(), contextlib.suppress(RecursionError):  # of the reader here: what is that deep is valid
        json.loads(mended(ARGUMENTS[name]))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_stream(name) -> None:
    """Nor does it in small pieces, or as the text of an answer."""
    text = ARGUMENTS[name][:200_000]
    with soon():
        prefix, member = JsonPrefix(), TextMember("a")
        for at in range(0, len(text), 16):
            prefix.feed(text[at : at + 16])
            member.feed(text[at : at + 16])
        member.close()


def test_one_event_in_many_pieces() -> None:
    """X40: an event of some megabytes costs what its bytes cost, in however many pieces it comes."""
    reader, line = SseReader(), b"data: " + b"x" * 249 + b"\n"
    with soon():
        for _ in range(100_000):
            assert reader.feed(line) == []
        [event] = reader.feed(b"\n")
    assert len(event.data) == 100_000 * 250 - 1

"""Answers that are cut off and gone on with: cut at every byte, the client has the whole message or an error.

The provider here is a model that knows one text by heart: asked with a beginning of it, it says the rest. So any word
said twice, and any that is missing, shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import anthropic
import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.dialects.registry import SERVED
from ccrouter.errors import RemoteProtocolError, RouterError, UpstreamError, UpstreamUnreachable
from ccrouter.gateway.pipeline import Gateway
from ccrouter.gateway.record import Exchange
from ccrouter.gateway.reply import error_frame
from ccrouter.messages.fault import fault_of
from tests.gateway.conftest import events_of, text_of
from tests.served.law import chat_of
from tests.upstream import Upstream, anthropic_wire, chat_wire, gemini_wire, reply, responses_wire

TEXT = 'Hello  \n\n wörld 🙂,\n\tthe\u2028"end\\".  \n'
TOOL = ("call_1", "Read", {"path": "ä 中"})
ASKED = {
    "model": "asked",
    "max_tokens": 1000,
    "stream": True,
    "messages": [{"role": "user", "content": "Say it."}],
    "tools": [{"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}],
}
SSE = {"content-type": "text/event-stream"}

#: Ways in which a connection ends before an answer does.
ENDINGS: dict[str, UpstreamError | None] = {
    "cut": RemoteProtocolError("p: the answer was cut off", kind="cut"),
    "end": None,
    "reset": UpstreamUnreachable("p: the connection broke", kind="reset"),
    "silence": UpstreamUnreachable("p: silent", kind="idle"),
}


class Response:
    """An answer whose bytes are here already; after them the connection ends as it is told to."""

    def __init__(self, chunks: list[bytes], ending: UpstreamError | None = None, status: int = 200) -> None:
        self.status, self.headers = status, SSE
        self._chunks = [chunk for chunk in chunks if chunk]
        self._ending = ending

    async def read(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._ending is not None:
            raise self._ending.with_traceback(None)  # else it remembers every place that it was ever raised at
        return b""

    def close(self) -> None: ...


class Client:
    """A client that writes down what it gets, and how often it was written to."""

    def __init__(self) -> None:
        self.is_committed = self.has_begun = False
        self.raw = b""
        self.fault_frames = error_frame

    def expect_stream(self, headers) -> None: ...

    async def write(self, frames: bytes) -> None:
        self.is_committed = self.has_begun = True
        self.raw += frames

    async def end(self) -> None: ...

    async def whole(self, status, headers, body) -> None:
        raise AssertionError("a stream was asked for")


@dataclass
class Line:
    """The way to the providers: `answer` is told who is asked, for what, and how often anybody was before."""

    answer: Callable[[str, dict[str, Any], int], Response]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    policy = NO_POLICY

    async def send(self, provider, endpoint, headers, body, final=None) -> Response:
        self.asked.append((provider.name, json.loads(body)))
        return self.answer(provider.name, self.asked[-1][1], len(self.asked) - 1)


@dataclass
class Outcome:
    raw: bytes
    error: RouterError | None
    exchange: Exchange
    asked: list[tuple[str, dict[str, Any]]]

    @property
    def plain(self) -> bytes:
        """What the client got, without the message's id, which is another each time."""
        return re.sub(rb"msg_[0-9a-f]{24}", b"msg_", self.raw)

    @property
    def events(self) -> list[dict[str, Any]]:
        return events_of(self.raw)


def wire_of(dialect: str, text: str, tools=(), **more: Any) -> list[bytes]:
    """The frames in which a provider says `text`, in small pieces, and calls tools."""
    match dialect:
        case "anthropic":
            return anthropic_wire.message_stream(text, tools=tools, size=6, **more)
        case "mistral":
            return chat_wire.chat_stream(text, tools=tools, size=6, usage_in="every", **more)
        case "gemini":
            return gemini_wire.gemini_stream(text, tools=tools, size=6, signature=None, **more)
        case _:
            return responses_wire.response_stream(text, tools=tools, size=6, **more)


def beginning_of(body: dict[str, Any]) -> str:
    """The beginning that the model is asked to go on with, "" if there is none."""
    if "contents" in body:
        last = body["contents"][-1]
        return "".join(part["text"] for part in last["parts"]) if last["role"] == "model" else ""
    last = body["messages"][-1] if "messages" in body else body["input"][-1]
    if last["role"] != "assistant":
        return ""
    if "model" in body and "max_completion_tokens" not in body and "system" not in body and "prefix" in last:
        assert last["prefix"] is True
    return last["content"]


def rest_of(body: dict[str, Any]) -> str:
    """What the model says: the text by heart, or what is left of it."""
    begun = beginning_of(body)
    assert TEXT.startswith(begun)
    assert begun == begun.rstrip()
    return TEXT[len(begun) :]


PATHS = {
    "anthropic": ("anthropic", "/v1/messages"),
    "mistral": ("openai", "/v1/chat/completions"),
    "gemini": ("gemini", "/v1beta/models/"),
    "responses": ("responses", "/v1/responses"),
    "openai": ("openai", "/v1/chat/completions"),
}


@pytest.fixture
def configured(tmp_path) -> Callable[..., Config]:
    """A configuration with these targets as the route's, in order, and no further rounds."""

    def configure(*targets: str, resume: bool = True, **more: Any) -> Config:
        providers = [
            {
                "name": name,
                "api_base_url": f"http://127.0.0.1:9{path}",
                "api_key": f"sk-{name}-upstream-secret-0123456789",
                "models": ["m1"],
                "protocol": protocol,
                **more.get(name, {}),
            }
            for name, (protocol, path) in PATHS.items()
        ]
        names = [f"{name},m1" for name in targets]
        routes = {"Router": {"default": names[0]}, "fallback": {"default": names[1:]}}
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"Providers": providers, **routes, **more.get("top", {})}))
        loaded = load(path, {})
        return replace(loaded, resume=resume, retries=replace(loaded.retries, again=0))

    return configure


async def ask(config: Config, answer: Callable[..., Response], form=None, gateways=None, **more: Any) -> Outcome:
    """One request through a gateway of this configuration, a new one if there is none in `gateways`."""
    line, client, exchange = Line(answer), Client(), Exchange("req_1", "/v1/messages", 0.0)
    error = None
    try:
        body = json.dumps({**ASKED, **more} if form is None else more).encode()
        if gateways is not None and config.resume in gateways:
            gateway, line = gateways[config.resume]
            line.answer, line.asked = answer, []
        else:
            gateway = Gateway(config, line, lambda: 0.0)
            if gateways is not None:
                gateways[config.resume] = (gateway, line)
        await gateway.messages(body, {}, client, exchange, form)
    except RouterError as failed:
        error = failed
        if client.has_begun:
            client.raw += client.fault_frames(fault_of(failed))
    return Outcome(client.raw, error, exchange, line.asked)


def judge(outcome: Outcome) -> bool:
    """Check the order of the events; true for a whole message, false for one that ends in an error."""
    events = outcome.events
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds.count("message_start") == 1
    assert kinds[0] == "message_start"
    open_, blocks = None, 0
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert open_ is None
                assert event["index"] == blocks
                open_, blocks = blocks, blocks + 1
            case "content_block_delta":
                assert event["index"] == open_
            case "content_block_stop":
                assert event["index"] == open_
                open_ = None
    if outcome.error is not None:
        assert kinds[-1] == "error"
        assert kinds.count("error") == 1
        assert "message_stop" not in kinds
        return False
    assert open_ is None
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_delta") == kinds.count("message_stop") == 1
    return True


def blocks_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]


def input_of(events: list[dict[str, Any]]) -> str:
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta")


async def sdk_message(raw: bytes, upstream: Upstream) -> anthropic.types.Message:
    """What the official client makes of a stream. Raises what it raises."""
    upstream.reply(reply.Reply(200, SSE, (raw,)))
    async with (
        anthropic.AsyncAnthropic(base_url=upstream.url, api_key="any", max_retries=0) as client,
        client.messages.stream(model="asked", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream,
    ):
        return await stream.get_final_message()


def total(*usages: dict[str, int] | Any) -> dict[str, int]:
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    return {name: sum(getattr(usage, name) for usage in usages) for name in names}


def cuts(frames: list[bytes], size: int) -> Iterator[tuple[int, list[bytes]]]:
    """Every beginning of these bytes, in pieces of `size`."""
    whole = b"".join(frames)
    for end in range(len(whole)):
        yield end, [whole[at : min(at + size, end)] for at in range(0, end, size)]


@pytest.mark.parametrize(("ending", "tools"), [("cut", ()), ("end", (TOOL,))])
@pytest.mark.parametrize("dialect", ["anthropic", "mistral", "gemini"])
async def test_cut_at_every_byte(configured, upstream, dialect, ending, tools):
    """The client has the exact text in a well-formed message with the usage of both answers, or an error: never a word
    twice, never one lost, never a seam within a call. What can be gone on with, is.
    """
    on, off = configured(dialect), configured(dialect, resume=False)
    whole = wire_of(dialect, TEXT, tools)
    second = await ask(off, lambda name, body, times: Response(wire_of(name, "x", tools)))
    resumed, gateways = 0, {}
    for end, chunks in cuts(whole, 1 << 20):

        def answer(name, body, times, chunks=chunks):
            if times == 0:
                return Response(list(chunks), ENDINGS[ending])
            return Response(wire_of(name, rest_of(body), tools))

        alone = await ask(off, answer, gateways=gateways)
        both = await ask(on, answer, gateways=gateways)
        assert len(alone.asked) == 1
        if not both.raw:  # nothing had gone out: no message that could be gone on with
            assert (both.error is None, len(both.asked)) == (False, 1)
            continue
        is_whole = judge(both)
        events = both.events
        said = text_of(alone.events)
        if len(both.asked) == 1:
            assert both.plain == alone.plain, end
            is_text = set(blocks_of(events)) == {"text"}
            assert is_whole or not said.strip() or not is_text or "message_delta" in str(alone.raw), end
            continue
        assert len(both.asked) == 2
        if not is_whole:
            assert (said, tools) == (TEXT, ()), end  # there was nothing left to say
            assert both.plain == alone.plain
            continue
        resumed += 1
        assert (both.exchange.resumed, len(both.exchange.attempts)) == (1, 2)
        assert text_of(events) == TEXT, end
        assert blocks_of(events) == ["text", *("tool_use" for _ in tools)]
        assert (json.loads(input_of(events)) if tools else "") == (TOOL[2] if tools else "")
        assert total(both.exchange.usage) == total(alone.exchange.usage, second.exchange.usage)
        told = events[-2]["usage"]
        assert told == total(both.exchange.usage)
        if resumed % 50 == 1:
            message = await sdk_message(both.raw, upstream)
            assert message.content[0].text == TEXT
            assert message.usage.output_tokens == told["output_tokens"]
    assert resumed > len(b"".join(whole)) // 4


@pytest.mark.parametrize("dialect", ["anthropic", "mistral", "gemini"])
async def test_cut_at_every_byte_by_pieces_of_the_network(configured, dialect):
    """How the bytes come makes no difference."""
    config = configured(dialect)
    for end, chunks in cuts(wire_of(dialect, TEXT), 5):
        if end % 11:
            continue

        def answer(name, body, times, chunks=chunks):
            if times == 0:
                return Response(list(chunks), ENDINGS["cut"])
            return Response([bytes([byte]) for byte in b"".join(wire_of(name, rest_of(body)))])

        outcome = await ask(config, answer)
        if outcome.raw and judge(outcome):
            assert text_of(outcome.events) == TEXT


@pytest.mark.parametrize("ending", ["reset", "silence"])
@pytest.mark.parametrize("first", ["anthropic", "openai", "gemini", "responses"])
async def test_another_target_goes_on(configured, first, ending):
    """Whatever dialect the beginning was said in, a target that can go on with it does."""
    config = configured(first, "mistral")
    for end, chunks in cuts(wire_of("mistral" if first == "openai" else first, TEXT), 1 << 20):
        if end % 5:
            continue

        def answer(name, body, times, chunks=chunks):
            if times == 0 or name == first:
                return Response(list(chunks) if times == 0 else [], ENDINGS[ending])
            return Response(wire_of(name, rest_of(body)))

        outcome = await ask(config, answer)
        if outcome.raw and judge(outcome) and len(outcome.asked) > 1:
            assert text_of(outcome.events) == TEXT
            assert outcome.exchange.target == "mistral,m1"


async def test_the_same_target_first(configured):
    """After a broken connection the target that was answering is asked first, after silence or an overload the next."""
    frames = wire_of("anthropic", TEXT)[:8]
    overload = anthropic_wire.error_frame("overloaded_error", "busy")
    for ending, chunks, expected in (
        ("reset", frames, ["anthropic", "anthropic"]),
        ("cut", frames, ["anthropic", "anthropic"]),
        ("silence", frames, ["anthropic", "mistral"]),
        ("end", [*frames, overload], ["anthropic", "mistral"]),
    ):

        def answer(name, body, times, chunks=chunks, ending=ending):
            return Response(wire_of(name, rest_of(body))) if times else Response(list(chunks), ENDINGS[ending])

        outcome = await ask(configured("anthropic", "mistral"), answer)
        assert judge(outcome)
        assert text_of(outcome.events) == TEXT
        assert [name for name, _ in outcome.asked] == expected


async def test_what_is_asked(configured):
    """The rest is asked for with the client's own request, the text so far, and no more tokens than are left."""

    def answer(name, body, times):
        return Response(wire_of(name, rest_of(body))) if times else Response(wire_of(name, TEXT)[:6], ENDINGS["cut"])

    outcome = await ask(configured("anthropic"), answer, system="be brief", novel={"kept": 1})
    first, second = (body for _, body in outcome.asked)
    said = second["messages"].pop()
    assert said == {"role": "assistant", "content": TEXT[:18].rstrip()}
    assert 900 < second.pop("max_tokens") < first.pop("max_tokens")
    assert second == first


async def test_every_white_space(configured):
    """White space at the end of what was said is neither told twice nor lost, in whichever pieces it comes again."""
    for blank in (" ", "\n\n", " \n\t ", "\u3000\n", "\u2028 "):
        whole = f"One.{blank}Two."
        for cut in range(4, len(whole)):
            first = anthropic_wire.message_stream([whole[:cut]])[:-3]

            def answer(name, body, times, first=first, whole=whole):
                if times == 0:
                    return Response(first, ENDINGS["cut"])
                rest = whole[len(beginning_of(body)) :]
                return Response(anthropic_wire.message_stream(list(rest)))

            outcome = await ask(configured("anthropic"), answer)
            assert judge(outcome)
            assert text_of(outcome.events) == whole
            assert not outcome.asked[1][1]["messages"][-1]["content"][-1].isspace()


async def test_a_repetition_is_not_guessed_away(configured):
    """What the model says is told as it says it, also if it sounds like what was there before."""

    def answer(name, body, times):
        if times == 0:
            return Response(anthropic_wire.message_stream(["ha ha "])[:-3], ENDINGS["cut"])
        return Response(anthropic_wire.message_stream(["ha ha ha"]))

    outcome = await ask(configured("anthropic"), answer)
    assert text_of(outcome.events) == "ha ha ha ha ha"


async def test_between_blocks_a_new_one_begins(configured):
    """Cut after a block has ended, the message goes on with the next one."""
    frames = anthropic_wire.message_stream("One. ", pings=False)[:-2]

    def answer(name, body, times):
        return Response(anthropic_wire.message_stream(" Two.")) if times else Response(frames, ENDINGS["cut"])

    outcome = await ask(configured("anthropic"), answer)
    assert judge(outcome)
    assert blocks_of(outcome.events) == ["text", "text"]
    assert text_of(outcome.events) == "One. Two."


async def test_a_call_alone_may_follow(configured):
    """A model that has said all it had to say, and calls a tool, goes on with the call."""

    def answer(name, body, times):
        if times == 0:
            return Response(wire_of("anthropic", TEXT)[:-3], ENDINGS["cut"])
        return Response(anthropic_wire.message_stream(tools=[TOOL]))

    outcome = await ask(configured("anthropic"), answer)
    assert judge(outcome)
    assert text_of(outcome.events) == TEXT
    assert blocks_of(outcome.events) == ["text", "tool_use"]
    assert outcome.events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_silence_of_anthropic_itself_is_an_end(configured):
    """Anthropic's own empty rest means that the text was whole; another's is a failure, and the stream an error."""

    def answer(name, body, times):
        if times == 0:
            return Response(wire_of("anthropic", TEXT)[:-3], ENDINGS["cut"])
        return Response(anthropic_wire.message_stream(stop_reason="end_turn"))

    its_own = {"anthropic": {"api_base_url": "https://api.anthropic.com/v1/messages"}}
    outcome = await ask(configured("anthropic", **its_own), answer)
    assert judge(outcome)
    assert text_of(outcome.events) == TEXT
    outcome = await ask(configured("anthropic"), answer)
    assert not judge(outcome)
    assert str(outcome.error) == "p: the answer was cut off"


@pytest.mark.parametrize("times_cut", [1, 2, 3])
async def test_twice_and_no_more(configured, times_cut):
    """A message is gone on with twice, with the usage of all three answers; cut once more it ends in an error."""

    def answer(name, body, times):
        frames = wire_of(name, rest_of(body))
        return Response(frames[:5], ENDINGS["cut"]) if times < times_cut else Response(frames)

    outcome = await ask(configured("anthropic", top={"retry": {"attempts": 9}}), answer)
    assert judge(outcome) == (times_cut < 3)
    assert outcome.exchange.resumed == min(times_cut, 2)
    assert TEXT.startswith(text_of(outcome.events))
    if times_cut == 2:
        assert text_of(outcome.events) == TEXT
        assert outcome.events[-2]["usage"]["output_tokens"] == outcome.exchange.usage.output_tokens == 1 + 1 + 12


@pytest.mark.parametrize("answered", [400, 500])
async def test_a_rest_that_does_not_come(configured, answered):
    """If nobody goes on, the stream ends in the error that cut it, as it would have without asking."""
    refusal = json.dumps(anthropic_wire.error_json("invalid_request_error", "no prefill here")).encode()

    def answer(name, body, times):
        return Response([refusal], status=answered) if times else Response(wire_of(name, TEXT)[:9], ENDINGS["reset"])

    outcome = await ask(configured("anthropic"), answer)
    assert not judge(outcome)
    assert str(outcome.error) == "p: the connection broke"
    assert outcome.exchange.error == "p: the connection broke"
    assert outcome.exchange.resumed == 0
    assert [attempt.kind for attempt in outcome.exchange.attempts] == [
        "reset",
        "request" if answered == 400 else "server",
    ]
    alone = await ask(configured("anthropic", resume=False), answer)
    assert outcome.plain == alone.plain


FORCED = {"tool_choice": {"type": "any"}}
SCHEMA = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}
PREFILLED = {"messages": [*ASKED["messages"], {"role": "assistant", "content": "He"}]}
SEARCH = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}


@pytest.mark.parametrize(
    "more",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"thinking": {"type": "adaptive"}},
        FORCED,
        {"tool_choice": {"type": "tool", "name": "Read"}},
        SCHEMA,
        PREFILLED,
        SEARCH,
        {"stop_sequences": ["lo never"]},
    ],
)
async def test_requests_that_bind_the_rest(configured, more):
    """Where the request binds the form of the answer, or the rest could not be told from it, nobody is asked for it."""

    def answer(name, body, times):
        assert times == 0
        return Response(anthropic_wire.message_stream(["Hello"])[:-3], ENDINGS["cut"])

    outcome = await ask(configured("anthropic"), answer, **more)
    assert not judge(outcome)
    assert text_of(outcome.events) == "Hello"


SIGNED = anthropic_wire.message_stream("Hello", thinking="hm")
UNSIGNED = [frame for frame in SIGNED if b"signature_delta" not in frame]
CITED = [
    *anthropic_wire.message_stream(["Hello"], pings=False)[:3],
    anthropic_wire.frame("content_block_delta", {
        "type": "content_block_delta", "index": 0,
        "delta": {"type": "citations_delta", "citation": {"type": "char_location"}},
    }),
]  # fmt: skip
NOVEL = [
    *anthropic_wire.message_stream(["Hello"], pings=False)[:3],
    anthropic_wire.frame("content_block_novelty", {"type": "content_block_novelty", "index": 0}),
]
NONSENSE = [*anthropic_wire.message_stream(["Hello"])[:-3], b"event: content_block_delta\ndata: {nonsense\n\n"]
REFUSED = [*anthropic_wire.message_stream(["Hello"])[:-3], anthropic_wire.error_frame("permission_error", "no")]


@pytest.mark.parametrize(
    ("frames", "goes_on"),
    [
        (SIGNED[:-3], False),
        (UNSIGNED[:-3], True),
        (CITED, False),
        (NOVEL, False),
        (NONSENSE, False),
        (REFUSED, False),
        (anthropic_wire.message_stream(["  \n"])[:-3], False),
        (anthropic_wire.message_stream("Hello", tools=[TOOL])[:-3], False),
        (anthropic_wire.message_stream("Hello", tools=[TOOL])[:6], False),
        (anthropic_wire.message_stream("Hello")[:-1], True),
    ],
)
async def test_what_may_be_gone_on_with(configured, frames, goes_on):
    """Text is, with or without thinking before it that is not signed; signed thinking, citations, calls and what is not
    known are not, and neither is text whose stream broke into nonsense or was refused.
    """

    def answer(name, body, times):
        return Response(anthropic_wire.message_stream(", you.")) if times else Response(list(frames), ENDINGS["end"])

    outcome = await ask(configured("anthropic"), answer)
    assert judge(outcome) == goes_on
    is_cut = b"message_delta" not in b"".join(frames)
    assert len(outcome.asked) == (2 if goes_on and is_cut else 1)
    if len(outcome.asked) == 2:
        assert text_of(outcome.events) == "Hello, you."
        assert outcome.asked[1][1]["messages"][-1]["content"] == "Hello"


@pytest.mark.parametrize(
    ("name", "model", "may"),
    [
        ("anthropic", "claude-sonnet-4-5", True),
        ("anthropic", "claude-opus-4-20250514", True),
        ("anthropic", "claude-opus-4-6", False),
        ("anthropic", "anthropic/claude-sonnet-4.6", False),
        ("mistral", "m1", True),
        ("openai", "gpt-4.1", False),
        ("responses", "gpt-5", False),
        ("gemini", "gemini-2.0-flash", True),
        ("gemini", "gemini-3.6-flash", False),
        ("gemini", "gemini-2.5-pro", False),
    ],
)
async def test_targets_that_go_on(configured, name, model, may):
    """Only a target that is known to go on with a beginning is asked to."""
    own = {name: {"models": [model]}}

    def answer(who, body, times):
        return Response(wire_of(who, rest_of(body))) if times else Response(wire_of(who, TEXT)[:8], ENDINGS["cut"])

    config = configured(name, **own, top={"Router": {"default": f"{name},{model}"}})
    outcome = await ask(config, answer if name != "openai" else lambda _, body, times: answer("mistral", body, times))
    assert judge(outcome) == may
    assert len(outcome.asked) == 1 + may


async def test_a_model_that_thinks_does_not_think_again(configured):
    """The rest of an answer that was thought about is asked for without thinking, where that can be turned off."""
    own = {"openai": {"profile": "dashscope", "models": ["qwen3-max"]}}

    def answer(name, body, times):
        frames = chat_wire.chat_stream(rest_of(body), reasoning="hm" if not times else None, size=6)
        return Response(frames) if times else Response(frames[:9], ENDINGS["cut"])

    config = configured("openai", **own, top={"Router": {"default": "openai,qwen3-max"}})
    outcome = await ask(config, answer, thinking={"type": "enabled", "budget_tokens": 1024})
    assert judge(outcome)
    assert blocks_of(outcome.events) == ["thinking", "text"]
    assert text_of(outcome.events) == TEXT
    first, second = (body for _, body in outcome.asked)
    assert (first["enable_thinking"], second["enable_thinking"]) == (True, False)
    assert second["messages"][-1]["partial"] is True


async def test_nothing_changes_where_nothing_is_cut(configured):
    """A stream that comes to its end is the same bytes with `resume` as without, in every dialect."""
    for dialect in ("anthropic", "mistral", "gemini", "responses"):
        frames = wire_of(dialect, TEXT, (TOOL,))
        answers = [
            await ask(
                configured(dialect, resume=resume), lambda name, body, times, frames=frames: Response(list(frames))
            )
            for resume in (True, False)
        ]
        on, off = (sorted(set(events_without_ids(answer.events))) for answer in answers)
        assert on == off
        if dialect == "anthropic":
            assert answers[0].raw == answers[1].raw


def events_without_ids(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        event.get("message", {}).pop("id", None)
        yield json.dumps(event, sort_keys=True)


async def test_without_content_another_answers_anew(configured):
    """What failed before the first content is no beginning: the next target is asked for the whole."""
    opening = anthropic_wire.message_stream(TEXT)[:1]

    def answer(name, body, times):
        assert not beginning_of(body)
        return Response(wire_of(name, TEXT)) if times else Response(opening, ENDINGS["cut"])

    outcome = await ask(configured("anthropic", "mistral"), answer)
    assert judge(outcome)
    assert outcome.exchange.resumed == 0


async def test_clients_of_chat_too(configured):
    """A client of the Chat API whose answer is translated gets one answer, gone on with by the same rules."""

    def answer(name, body, times):
        return Response(wire_of(name, rest_of(body))) if times else Response(wire_of(name, TEXT)[:6], ENDINGS["cut"])

    asked = {"model": "asked", "messages": [{"role": "user", "content": "Say it."}], "stream": True}
    outcome = await ask(configured("anthropic"), answer, SERVED["openai_chat"], **asked)
    assert outcome.error is None
    assert len(outcome.asked) == 2
    assert chat_of(outcome.raw)["content"] == TEXT

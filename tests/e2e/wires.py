"""What a provider of each dialect and platform is asked, and what it answers: the scripted model's mouth and ears.

It reads URLs and writes answers; what is said is decided in brain.py, what a body holds is read in conversation.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.cloud.frames import chunks
from tests.e2e.conversation import Conversation, read
from tests.upstream import Received, Reply, anthropic_wire, chat_wire, gemini_wire, json_reply, responses_wire
from tests.upstream.reply import sse_reply

SIGNATURE = "EqQBCkYIARgCIkAscripted+signature/of=the==model"
#: What comes with a thought, and has to come back with it, by dialect.
SEALS = {"anthropic": SIGNATURE, "gemini": gemini_wire.SIGNATURE, "responses": responses_wire.SEALED}
EVENTSTREAM = "application/vnd.amazon.eventstream"

Refuse = Callable[[int, str, str], Reply]
Demands = Callable[[Received, Mapping[str, Any]], Iterator[str]]


def no_more(_received: Received, _body: Mapping[str, Any]) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class Wire:
    """`path` is where it is asked: `model` in it names the model and `method` is in `streaming` for a streamed answer,
    where the URL says them. `stream` gives the frames of an answer, `whole` its JSON, both of (text, thinking, tools) and
    `model`; `sent` puts frames on the wire. `refuse` is an error of (status, its kind in Messages' words, words), `full`
    the one for a conversation that is too long. `demands` is what is wrong with a request apart from what the dialect says.
    """

    dialect: str
    path: re.Pattern[str]
    stream: Callable[..., list[bytes]]
    whole: Callable[..., Any]
    refuse: Refuse
    full: Reply
    streaming: str = ""
    sent: Callable[..., Reply] = sse_reply
    demands: Demands = no_more
    more: Mapping[str, Any] = field(default_factory=dict)

    def read(self, received: Received) -> Conversation | None:
        """The conversation that was asked to go on; None at another path."""
        found = self.path.search(received.path)
        if found is None:
            return None
        if not self.streaming:
            return read(self.dialect, received.json())
        is_streamed = found["method"] == self.streaming
        return read(self.dialect, received.json(), model=unquote(found["model"]), streamed=is_streamed)

    def answer(self, parts: tuple[Any, ...], conversation: Conversation, **more: Any) -> Reply:
        """Text, thinking and tools, in the form that was asked for."""
        named = {**self.more, "model": conversation.model, **more}
        if conversation.streamed:
            return self.sent(self.stream(*parts, **named))
        return json_reply(self.whole(*parts, **named))

    def broken_off(self) -> Reply:
        """Half an answer, then the connection ends."""
        frames = self.stream("Half of an answer that", **self.more)
        return self.sent(frames, cut_at=b"nswer" if self.sent is sse_reply else 4)


def bedrock_stream(*parts: Any, **named: Any) -> list[bytes]:
    return chunks(anthropic_wire.message_stream(*parts, pings=False, **named))


def framed(frames: list[bytes], cut_at: int | None = None) -> Reply:
    return sse_reply(frames, cut_at=cut_at, headers={"content-type": EVENTSTREAM})


def _anthropic(status: int, kind: str, words: str) -> Reply:
    headers = {"retry-after": "7"} if status == 429 else None
    return json_reply(anthropic_wire.error_json(kind, words), status, headers)


def _chat(status: int, kind: str, words: str) -> Reply:
    if status == 429:
        body = chat_wire.error_json(words, "tokens", "rate_limit_exceeded")
        return json_reply(body, 429, {"retry-after": "7"})
    return json_reply(
        chat_wire.error_json(words, None, status) if status == 402 else chat_wire.error_json(words), status
    )


def _responses(status: int, kind: str, words: str) -> Reply:
    code = {429: "rate_limit_exceeded", 402: "insufficient_quota"}.get(status)
    return json_reply(
        responses_wire.error_json(words, kind, code), status, {"retry-after": "7"} if status == 429 else None
    )


def _gemini(status: int, _kind: str, words: str) -> Reply:
    if status == 429:
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
        return json_reply(gemini_wire.error_json(words, 429, "RESOURCE_EXHAUSTED", delay), 429)
    named = {400: "INVALID_ARGUMENT", 402: "FAILED_PRECONDITION"}.get(status, "UNKNOWN")
    return json_reply(gemini_wire.error_json(words, status, named), status)


def _bedrock(status: int, _kind: str, words: str) -> Reply:
    name = {429: "ThrottlingException", 400: "ValidationException"}.get(status, "AccessDeniedException")
    return json_reply({"message": words}, status, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"})


def _of_gemini(received: Received, _body: Mapping[str, Any]) -> Iterator[str]:
    asked = parse_qs(received.query)
    if "key" in asked:
        yield "the key stands in the URL"
    if (received.path.endswith(":streamGenerateContent")) != (asked.get("alt") == ["sse"]):
        yield f"no server-sent events: {received.target}"


def _of_vertex(_received: Received, body: Mapping[str, Any]) -> Iterator[str]:
    if "model" in body:
        yield "model: Extra inputs are not permitted"
    if body.get("anthropic_version") != "vertex-2023-10-16":
        yield "anthropic_version: Field required"


def _of_bedrock(received: Received, body: Mapping[str, Any]) -> Iterator[str]:
    if found := {"model", "stream"} & body.keys():
        yield f"{sorted(found)}: Extra inputs are not permitted"
    if body.get("anthropic_version") != "bedrock-2023-05-31":
        yield "anthropic_version: Field required"
    if "anthropic-beta" in received.headers:
        yield "betas are a member of the body"


_TOO_LONG = "prompt is too long: 208310 tokens > 200000 maximum"
_CHAT_TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130412 tokens. "
    "Please reduce the length of the messages."
)
_RESPONSES_TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
_GEMINI_TOO_LONG = "The input token count (1248310) exceeds the maximum number of tokens allowed (1048576)."
_GEMINI_PATH = r"/models/(?P<model>[^/]+):(?P<method>(?:stream)?[gG]enerateContent)$"
_SIGNED = {"signature": SIGNATURE}


def _messages(path: str, **more: Any) -> Wire:
    """The Messages API, wherever it is served."""
    named = {"refuse": _anthropic, "full": _anthropic(400, "invalid_request_error", _TOO_LONG), "more": _SIGNED, **more}
    stream = named.pop("stream", anthropic_wire.message_stream)
    return Wire("anthropic", re.compile(path), stream, anthropic_wire.message_json, **named)


def _generate_content(path: str, **more: Any) -> Wire:
    full = _gemini(400, "", _GEMINI_TOO_LONG)
    made = (gemini_wire.gemini_stream, gemini_wire.gemini_json, _gemini, full, "streamGenerateContent")
    return Wire("gemini", re.compile(path + _GEMINI_PATH), *made, demands=_of_gemini, **more)


WIRES: dict[str, Wire] = {
    "anthropic": _messages(r"/messages$"),
    "chat": Wire(
        "chat",
        re.compile(r"/chat/completions$"),
        chat_wire.chat_stream,
        chat_wire.chat_json,
        _chat,
        json_reply(chat_wire.error_json(_CHAT_TOO_LONG, code="context_length_exceeded"), 400),
    ),
    "responses": Wire(
        "responses",
        re.compile(r"/responses$"),
        responses_wire.response_stream,
        responses_wire.response_json,
        _responses,
        json_reply(responses_wire.error_json(_RESPONSES_TOO_LONG, code="context_length_exceeded", param="input"), 400),
    ),
    "gemini": _generate_content("/v1beta"),
    "vertex": _messages(
        r"/projects/my-project/locations/global/publishers/anthropic/models/(?P<model>[^/]+):(?P<method>\w+)$",
        streaming="streamRawPredict",
        demands=_of_vertex,
    ),
    # A generation that gives no ids to calls.
    "vertex-gemini": _generate_content(
        "/projects/my-project/locations/global/publishers/google", more={"with_ids": False}
    ),
    "bedrock": _messages(
        r"^(?:/other)?/model/(?P<model>[^/]+)/(?P<method>invoke|invoke-with-response-stream)$",
        streaming="invoke-with-response-stream",
        stream=bedrock_stream,
        sent=framed,
        refuse=_bedrock,
        full=_bedrock(400, "", "Input is too long for requested model."),
        demands=_of_bedrock,
    ),
}

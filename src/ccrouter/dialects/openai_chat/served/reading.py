"""One Chat request of a client: what it means in Messages, and how it is passed on and answered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from ccrouter.config.schema import DialectName, Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.draft import Draft
from ccrouter.dialects.openai_chat.served.conversation import ChatMessage, Conversation
from ccrouter.dialects.openai_chat.served.tap import ChatTap
from ccrouter.dialects.openai_chat.served.tools import Toolset
from ccrouter.dialects.openai_chat.served.writer import ChatWriter, Style
from ccrouter.dialects.openai_members import (
    anything,
    bad,
    flag,
    members_of,
    note_unsaid,
    read_effort,
    read_format,
    read_limit,
    read_sampling,
    read_user,
    take,
    text,
    whole,
)
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.seals import MARK, is_sealed
from ccrouter.dialects.splices import headers_for, request_for
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest

_KNOWN = frozenset({
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "top_k", "stop", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "web_search_options",
    "response_format", "reasoning_effort", "reasoning", "thinking", "user", "prompt_cache_key", "safety_identifier",
    "n", "modalities", "audio", "store",
})  # fmt: skip
_UNSAID = {
    "frequency_penalty": "the Messages API knows no penalties",
    "presence_penalty": "the Messages API knows no penalties",
    "logit_bias": "the Messages API takes no weights for tokens",
    "logprobs": "the answer has no log probabilities",
    "top_logprobs": "the answer has no log probabilities",
    "seed": "the Messages API takes no seed",
    "verbosity": "the Messages API knows no verbosity",
}


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: JsonObject | None = None


class _Reasoning(msgspec.Struct):
    """OpenRouter's word for it."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None


class _Thinking(msgspec.Struct):
    """DeepSeek's and others' word, which is Anthropic's."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None


_messages = msgspec.json.Decoder(list[ChatMessage])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_stream_options = msgspec.json.Decoder(_StreamOptions)
_format = msgspec.json.Decoder(_Format)
_reasoning = msgspec.json.Decoder(_Reasoning)
_thinking = msgspec.json.Decoder(_Thinking)
_stop: msgspec.json.Decoder[str | list[str]] = msgspec.json.Decoder(str | list[str])
_words = msgspec.json.Decoder(list[str])


class ChatReading:
    """As `dialects.served.Reading`. Raises ClientError for what is no Chat request."""

    dialect: DialectName = "openai_chat"

    def __init__(self, body: bytes, now: Callable[[], float], new_id: Callable[[str], str]) -> None:
        asked = members_of(body)
        self._asked = asked
        self._now = now
        self._new_id = new_id
        draft = self._draft = Draft()
        draft.members["model"] = take(asked, "model", text) or ""
        draft.members["stream"] = self._is_streamed = take(asked, "stream", flag) or False
        messages = take(asked, "messages", _messages)
        if messages is None:
            raise bad("messages", "required, a list of messages")
        Conversation(draft).read(messages)
        tools = Toolset(asked, draft)
        read_limit(asked, ("max_completion_tokens", "max_tokens"), draft)
        read_sampling(asked, draft)
        _read_stop(asked, draft)
        _read_reasoning(asked, draft)
        _read_format(asked, draft)
        read_user(asked, draft)
        _read_unsayable(asked, draft)
        note_unsaid(asked, _KNOWN, _UNSAID, draft)
        options = take(asked, "stream_options", _stream_options)
        self._style = Style(
            tells_usage=bool(options and options.include_usage),
            customs=frozenset(tools.customs),
            is_legacy=tools.is_legacy,
        )
        self.request: MessagesRequest = draft.request()
        self.losses: tuple[Loss, ...] = tuple(draft.losses)

    def check(self) -> None:
        for refusal in self._draft.refusals:
            raise refusal

    def located(self, path: str) -> str:
        return self._draft.located(path)

    def pass_on(self, target: Target, client_headers: Mapping[str, str], amend: Amend | None) -> UpstreamRequest:
        members = self._asked
        losses: list[Loss] = []
        if MARK in bytes(members["messages"]):
            turns, losses = _unsealed(_raws.decode(members["messages"]))
            members = {**members, "messages": msgspec.Raw(msgspec.json.encode(turns))}
        return UpstreamRequest(
            body=request_for(target, members, amend),
            headers={
                **profile_of(target).default_headers,
                **headers_for(client_headers, is_streamed=self._is_streamed),
            },
            losses=tuple(losses),
            kept=frozenset(members) - {"model"},
            mapped=frozenset({"model"}),
        )

    def tap(self, *, asked: str, sent: str) -> ChatTap:
        return ChatTap(asked=asked, sent=sent)

    def writer(self, *, asked: str) -> ChatWriter:
        return ChatWriter(self._new_id("chatcmpl-"), asked, int(self._now()), self._style)


def _read_stop(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    stops = take(asked, "stop", _stop)
    if stops:
        draft.members["stop_sequences"] = [stops] if isinstance(stops, str) else stops
        draft.mark("stop_sequences", "stop")
    top_k = take(asked, "top_k", whole)  # not OpenAI's own, but many servers'
    if top_k is not None:
        draft.members["top_k"] = top_k


def _read_reasoning(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    effort = take(asked, "reasoning_effort", text)
    reasoning = take(asked, "reasoning", _reasoning)
    thinking = take(asked, "thinking", _thinking)
    if effort is not None:
        read_effort(effort, "reasoning_effort", draft)
    elif reasoning is not None:
        word = reasoning.effort or ("medium" if reasoning.enabled else "none")
        if reasoning.max_tokens is not None:
            draft.members["thinking"] = {"type": "enabled", "budget_tokens": reasoning.max_tokens}
            draft.mark("thinking", "reasoning")
        elif reasoning.effort is not None or reasoning.enabled is not None:
            read_effort(word, "reasoning.effort", draft)
    elif thinking is not None:
        told: dict[str, Any] = {"type": thinking.type}
        if thinking.type == "enabled":
            budget = thinking.budget_tokens
            told = {"type": "adaptive"} if budget is None else {**told, "budget_tokens": budget}
        draft.members["thinking"] = told


def _read_format(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    format = take(asked, "response_format", _format)  # noqa: A001 - the API's own word
    if format is not None:
        inner = format.json_schema
        path = "response_format.json_schema" if inner is not None else "response_format"
        read_format(format.type, (inner or {}).get("schema"), path, draft)


def _read_unsayable(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    """What would change the very form of the answer."""
    n = take(asked, "n", whole)
    if n is not None and n < 1:
        raise bad("n", "must be at least 1")
    if n is not None and n > 1:
        draft.refuse("n", "the Messages API gives one answer at a time; send the request again for another")
    if "audio" in (take(asked, "modalities", _words) or ()):
        draft.refuse("modalities", "the Messages API gives no audio")
    if take(asked, "audio", anything):
        draft.refuse("audio", "the Messages API gives no audio")
    if take(asked, "store", flag):
        draft.lose("store", "this router keeps no answers", "hint")


def _unsealed(raws: list[msgspec.Raw]) -> tuple[list[msgspec.Raw], list[Loss]]:
    """The messages without reasoning that this router sealed: another provider made it."""
    turns, losses = [], []
    for place, raw in enumerate(raws):
        members = _members.decode(raw) if MARK in bytes(raw) else {}
        details = _details(members)
        kept = [one for one in details if not (isinstance(one, dict) and is_sealed(one.get("data")))]
        if len(kept) == len(details):
            turns.append(raw)
            continue
        del members["reasoning_details"]
        if kept:
            members["reasoning_details"] = msgspec.Raw(msgspec.json.encode(kept))
        else:
            members.pop("reasoning_content", None)
        turns.append(msgspec.Raw(msgspec.json.encode(members)))
        losses.append(Loss(f"messages[{place}].reasoning_details", "reasoning of another provider, removed"))
    return turns, losses


def _details(members: Mapping[str, msgspec.Raw]) -> list[Any]:
    details = msgspec.json.decode(members.get("reasoning_details", b"null"))
    return details if isinstance(details, list) else []

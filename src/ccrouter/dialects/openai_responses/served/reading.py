"""One Responses request of a client: what it means in Messages, and how it is passed on and answered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ccrouter.config.schema import DialectName, Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.draft import Draft
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
)
from ccrouter.dialects.openai_responses.served.items import Items
from ccrouter.dialects.openai_responses.served.tap import ResponsesTap
from ccrouter.dialects.openai_responses.served.tools import Toolset
from ccrouter.dialects.openai_responses.served.writer import ResponsesWriter, Style
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.seals import MARK, is_sealed
from ccrouter.dialects.splices import headers_for, request_for
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest

_KNOWN = frozenset({
    "model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "temperature", "top_p", "tools",
    "tool_choice", "parallel_tool_calls", "text", "reasoning", "user", "prompt_cache_key", "safety_identifier",
    "include", "store", "truncation", "previous_response_id", "conversation", "prompt", "background",
})  # fmt: skip
_UNSAID = {
    "top_logprobs": "the answer has no log probabilities",
    "max_tool_calls": "the Messages API counts no calls",
    "context_management": "only OpenAI compacts a conversation by itself",
    "moderation": "only OpenAI moderates by itself",
}
#: What is kept at OpenAI, and so is not in the request.
_KEPT_THERE = {
    "previous_response_id": "this router keeps no responses; send the whole conversation in `input`",
    "conversation": "this router keeps no conversations; send the whole conversation in `input`",
    "prompt": "the prompts of an account at OpenAI are there alone; send the words in `instructions` and `input`",
}
#: What a response repeats of its request, and what it says where the request said nothing.
_ECHO: JsonObject = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


class _Format(msgspec.Struct):
    type: str
    schema: JsonObject | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


_text = msgspec.json.Decoder(_Text)
_reasoning = msgspec.json.Decoder(_Reasoning)
_input: msgspec.json.Decoder[str | list[msgspec.Raw]] = msgspec.json.Decoder(str | list[msgspec.Raw])
_words: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class ResponsesReading:
    """As `dialects.served.Reading`. Raises ClientError for what is no Responses request."""

    dialect: DialectName = "openai_responses"

    def __init__(self, body: bytes, now: Callable[[], float], new_id: Callable[[str], str]) -> None:
        asked = members_of(body)
        self._asked = asked
        self._now = now
        self._new_id = new_id
        draft = self._draft = Draft()
        draft.members["model"] = take(asked, "model", text) or ""
        draft.members["stream"] = self._is_streamed = take(asked, "stream", flag) or False
        draft.instruct(take(asked, "instructions", text) or "", "instructions")
        tools = Toolset(draft)
        tools.read(asked)
        _read_kept(asked, draft)
        _read_input(asked, draft, tools)
        tools.choose(asked)
        read_limit(asked, ("max_output_tokens",), draft)
        read_sampling(asked, draft)
        _read_form(asked, draft)
        read_user(asked, draft)
        note_unsaid(asked, _KNOWN, _UNSAID, draft)
        echo = {name: asked[name] for name in _ECHO if name in asked and bytes(asked[name]) != b"null"}
        self._style = Style(echo={**_ECHO, **echo, "store": False}, tools=tools)
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
        given = bytes(members.get("input", b""))
        if MARK in given and given.startswith(b"["):
            items, losses = _unsealed(_raws.decode(members["input"]))
            members = {**members, "input": msgspec.Raw(msgspec.json.encode(items))}
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

    def tap(self, *, asked: str, sent: str) -> ResponsesTap:
        return ResponsesTap(asked=asked, sent=sent, echo=self._style.echo)

    def writer(self, *, asked: str) -> ResponsesWriter:
        return ResponsesWriter(self._new_id, asked, int(self._now()), self._style)


def _read_kept(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    """What is kept elsewhere: it can be refused only where another than OpenAI answers."""
    if take(asked, "background", flag):
        raise bad("background", "this router keeps no responses that could be fetched later")
    for name, why in _KEPT_THERE.items():
        if take(asked, name, anything):
            draft.refuse(name, why)
    if take(asked, "store", flag):
        draft.lose("store", "this router keeps no responses", "hint")
    if take(asked, "truncation", text) == "auto":
        draft.lose("truncation", "nothing is cut off a conversation: one that is too long is an error")
    if "message.output_text.logprobs" in (take(asked, "include", _words) or ()):
        draft.lose("include", "the answer has no log probabilities")


def _read_input(asked: Mapping[str, msgspec.Raw], draft: Draft, tools: Toolset) -> None:
    given = take(asked, "input", _input)
    if given is None and not draft.refusals:
        raise bad("input", "required, a text or a list of items")
    if isinstance(given, str):
        draft.say("user", {"type": "text", "text": given}, "input")
    else:
        Items(draft, tools).read(given or [])


def _read_form(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    """How the answer is to be, and how much thought is to go into it."""
    told = take(asked, "text", _text) or _Text()
    if told.format is not None:
        read_format(told.format.type, told.format.schema, "text.format", draft)
    if told.verbosity not in {None, "medium"}:
        draft.lose("text.verbosity", "the Messages API knows no verbosity")
    reasoning = take(asked, "reasoning", _reasoning) or _Reasoning()
    shows = bool(reasoning.summary or reasoning.generate_summary)
    read_effort(reasoning.effort, "reasoning.effort", draft, shows=shows)


def _unsealed(items: list[msgspec.Raw]) -> tuple[list[msgspec.Raw], list[Loss]]:
    """The items without reasoning that this router sealed: another provider made it."""
    kept, losses = [], []
    for place, raw in enumerate(items):
        item: Any = msgspec.json.decode(raw) if MARK in bytes(raw) else None
        is_foreign = isinstance(item, dict) and item.get("type") == "reasoning"
        if is_foreign and is_sealed(item.get("encrypted_content")):
            losses.append(Loss(f"input[{place}]", "reasoning of another provider, removed"))
        else:
            kept.append(raw)
    return kept, losses

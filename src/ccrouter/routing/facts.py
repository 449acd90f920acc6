"""What routing may know about a request: read once, without decoding the conversation. Decides nothing.

Bodies are mostly history. Only the first two user turns and those after the last answer are looked into, the others
where a rule asks; a base64 image is never decoded.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from ccrouter.errors import ClientError
from ccrouter.messages.request import MessagesRequest, OutputConfig, locate
from ccrouter.messages.tokens import count_media

T = TypeVar("T")

SESSION_HEADER = "x-claude-code-session-id"
AGENT_HEADER = "x-claude-code-agent-id"
AGENT_TYPE_HEADER = "x-claude-code-agent-type"
#: Sent by Claude Code with CLAUDE_CODE_GATEWAY_HINT_HEADERS=1: main, subagent, workflow, compaction, auxiliary or
#: side_reply.
CLASS_HEADER = "x-claude-code-request-class"
#: Likewise: main, blocking-subagent, background-task, summary-extraction, followup-generation.
TASK_CLASS_HEADER = "x-claude-1p-request-class"

# `<` and `>` may be escaped in JSON (Go and .NET do), so the marker that is looked for in raw bytes has neither.
_MARKER = re.compile(rb"CCR-SUBAGENT-MODEL")
_TAG = re.compile(r"<CCR-SUBAGENT-MODEL>([^<]*)</CCR-SUBAGENT-MODEL>")
_LIST = re.compile(rb"\[")
_IMAGE = re.compile(rb'"type"\s*:\s*"image"')
_WEB_SEARCH = re.compile(rb'"web_search')


class Thread(NamedTuple):
    """One conversation of one session.

    `opening` tells conversations apart that the client does not: the text of the first user turn stays the same as a
    conversation grows (prompt caches depend on it) and changes when it is compacted.
    """

    session: str
    agent: str
    opening: int


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What rules look at. Texts are "" where the client said nothing.

    `request_class` is "subagent" also where only an agent id says so; `effort` is the request's own, in lower case;
    `size` is in bytes; `has_image` speaks of the user's turns since the last answer only. `turns` are the conversation,
    raw, for the questions that few requests raise: each of the methods goes through all of it.
    """

    asked: str = ""
    session_id: str = ""
    agent_id: str = ""
    agent_type: str = ""
    request_class: str = ""
    task_class: str = ""
    subagent_model: str | None = None
    has_image: bool = False
    has_web_search: bool = False
    thinking: str = ""
    thinking_budget: int | None = None
    effort: str = ""
    is_probe: bool = False
    size: int = 0
    opening: int = 0
    turns: Sequence[msgspec.Raw] = field(default=(), repr=False, compare=False)

    def forget_turns(self) -> None:
        """After the call the conversation is let go of: facts may outlive their request, which may be megabytes. A
        copy without it would cost every request more than all the rest of its record.
        """
        object.__setattr__(self, "turns", ())

    @property
    def thread(self) -> Thread:
        """The key of this conversation in `SessionUsage`."""
        return Thread(self.session_id, self.agent_id, self.opening)

    def has_any_image(self) -> bool:
        """True if a block anywhere in the conversation says that it is an image."""
        return any(_IMAGE.search(turn) for turn in self.turns)

    def media(self) -> int:
        """At most how many images and documents there are in the conversation."""
        return sum(count_media({"messages": turn}) for turn in self.turns)

    def current_effort(self) -> str:
        """The effort in force: a system turn may set its own, which holds until another one does; else the request's.

        Raises ClientError (400) for a turn that cannot be read.
        """
        for index in range(len(self.turns) - 1, -1, -1):
            if b"output_config" in bytes(self.turns[index]):
                turn = _decode(_setting, self.turns[index], f"messages[{index}]")
                if turn.role == "system" and turn.output_config and turn.output_config.effort:
                    return turn.output_config.effort.lower()
        return self.effort


class _Head(msgspec.Struct):
    role: str


class _Setting(msgspec.Struct):
    role: str
    output_config: OutputConfig | None = None


class _Content(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Piece(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = msgspec.Raw(b'""')
    content: msgspec.Raw = msgspec.Raw(b"null")


class _ToolHead(msgspec.Struct):
    type: str | None = None


class _UserId(msgspec.Struct):
    session_id: str | None = None


_head = msgspec.json.Decoder(_Head)
_setting = msgspec.json.Decoder(_Setting)
_content = msgspec.json.Decoder(_Content)
_pieces = msgspec.json.Decoder(list[_Piece])
_tool_heads: msgspec.json.Decoder[list[_ToolHead] | None] = msgspec.json.Decoder(list[_ToolHead] | None)
_user_id = msgspec.json.Decoder(_UserId)
_text = msgspec.json.Decoder(str)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


def read_facts(request: MessagesRequest, headers: Mapping[str, str], subagent_model: str | None = None) -> RequestFacts:
    """The facts of `request`. `headers` are lower-case; `subagent_model` is what `strip_subagent_tags` found.

    Raises ClientError (400) that names the part of the body that cannot be read.
    """
    thinking = request.thinking
    agent_id = headers.get(AGENT_HEADER, "").strip()
    session_id = _session_id(request.user_id, headers)
    return RequestFacts(
        asked=request.model.strip(),
        session_id=session_id,
        agent_id=agent_id,
        agent_type=headers.get(AGENT_TYPE_HEADER, "").strip(),
        request_class=headers.get(CLASS_HEADER, "").strip().lower() or ("subagent" if agent_id else ""),
        task_class=headers.get(TASK_CLASS_HEADER, "").strip().lower(),
        subagent_model=subagent_model,
        has_image=_has_new_image(request),
        has_web_search=_has_web_search(request),
        thinking=thinking.type if thinking else "",
        thinking_budget=thinking.budget_tokens if thinking else None,
        effort=(request.output_config.effort or "").lower(),
        is_probe=request.max_tokens == 1,
        size=sum(map(len, request.members.values())),
        opening=_opening(request) if session_id else 0,
        turns=request.raw_turns,
    )


def strip_subagent_tags(request: MessagesRequest) -> tuple[MessagesRequest, str | None]:
    """The request without `<CCR-SUBAGENT-MODEL>` tags, and the model that the first of them names, None if none does.

    Looked for in the system blocks, in the text of the first two user turns and of the system turns before the second
    (Claude Code 2.1 puts prompts there); never in a tool's result, which may come from anywhere. A block with nothing
    else in it goes too, unless it is the only one of its list. All bytes but the texts that held a tag stay as they
    were; without a tag the request itself comes back.
    """
    found: list[str] = []
    changed: dict[str, msgspec.Raw] = {}
    system = request.members.get("system")
    if system is not None:
        stripped = _strip_content(system, found, "system")
        if stripped is not None:
            changed["system"] = stripped
    turns = _strip_turns(request.raw_turns, found)
    if turns is not None:
        changed["messages"] = msgspec.Raw(msgspec.json.encode(turns))
    if not changed:
        return request, None
    return request.replace(**changed), next((model for model in found if model), None)


def _strip_turns(raws: list[msgspec.Raw], found: list[str]) -> list[msgspec.Raw] | None:
    """The turns, up to the second of the user's without tags; None if those have none. Answers keep theirs."""
    turns = list(raws)
    users, before = 0, len(found)
    for index, raw in enumerate(raws):
        place = f"messages[{index}]"
        role = _decode(_head, raw, place).role
        if role not in ("user", "system"):
            continue
        if _MARKER.search(raw):
            members = _decode(_raw_object, raw, place)
            content = _strip_content(members.get("content", msgspec.Raw(b"null")), found, place + ".content")
            if content is not None:
                turns[index] = msgspec.Raw(msgspec.json.encode(members | {"content": content}))
        users += role == "user"
        if users == 2:
            break
    return turns if len(found) > before else None


def _strip_content(raw: msgspec.Raw, found: list[str], place: str) -> msgspec.Raw | None:
    """The content, a string or a list of blocks, without tags; None if it has none. What they name goes to `found`."""
    if not _MARKER.search(raw):
        return None
    if not _is_list(raw):
        return _strip_text(raw, found, place)
    kept: list[msgspec.Raw] = []
    blank: list[msgspec.Raw] = []
    before = len(found)
    blocks = _decode(_raw_list, raw, place)
    for index, block in enumerate(blocks):
        members = _decode(_raw_object, block, f"{place}[{index}]") if _MARKER.search(block) else {}
        is_text = "text" in members and bytes(members.get("type", b"")) == b'"text"'
        text = _strip_text(members["text"], found, f"{place}[{index}].text") if is_text else None
        if text is None:
            kept.append(block)
            continue
        left = msgspec.Raw(msgspec.json.encode(members | {"text": text}))
        (kept if _text.decode(text).strip() else blank).append(left)
    return msgspec.Raw(msgspec.json.encode(kept or blank[:1])) if len(found) > before else None


def _strip_text(raw: msgspec.Raw, found: list[str], place: str) -> msgspec.Raw | None:
    """The text without tags, None if it has none."""
    text = _decode(_text, raw, place)
    models = _TAG.findall(text)
    if not models:
        return None
    found.extend(model.strip() for model in models)
    return msgspec.Raw(msgspec.json.encode(_TAG.sub("", text)))


def _session_id(user_id: str, headers: Mapping[str, str]) -> str:
    """The session: from the header, from JSON (Claude Code 2.1), or after `_session_` (before, and Claudable).

    What could lead a path astray is not a session id: project and session routers are files named after it.
    """
    session = headers.get(SESSION_HEADER, "").strip()
    if not session and user_id.lstrip().startswith("{"):
        try:
            session = _user_id.decode(user_id).session_id or ""
        except msgspec.DecodeError:
            session = ""  # metadata is the client's own affair: one that cannot be read is one without a session
    if not session and "_session_" in user_id:
        session = user_id.rpartition("_session_")[2]
    is_safe = session.isprintable() and not set(session) & set("/\\:") and session.strip(".") != ""
    return session if is_safe and len(session) <= 200 else ""


def _has_new_image(request: MessagesRequest) -> bool:
    """True if the user's turns since the last answer hold an image, also inside a tool's result.

    A prefilled answer at the very end is not an answer yet. Turns of role system between them count for nothing.
    """
    turns = request.raw_turns
    last = len(turns) - 1
    for index in range(last, -1, -1):
        place = f"messages[{index}]"
        role = _decode(_head, turns[index], place).role
        if role == "assistant" and index != last:
            return False
        if role == "user" and _IMAGE.search(turns[index]):
            content = _decode(_content, turns[index], place).content
            if _holds_image(content, place + ".content"):
                return True
    return False


def _holds_image(content: msgspec.Raw, place: str) -> bool:
    if not _is_list(content):
        return False
    pieces = _decode(_pieces, content, place)
    return any(
        piece.type == "image" or (piece.type == "tool_result" and _holds_image(piece.content, f"{place}[{index}]"))
        for index, piece in enumerate(pieces)
    )


def _has_web_search(request: MessagesRequest) -> bool:
    tools = request.members.get("tools")
    if tools is None or not _WEB_SEARCH.search(tools):
        return False
    return any((tool.type or "").startswith("web_search") for tool in _decode(_tool_heads, tools, "tools") or ())


def _opening(request: MessagesRequest) -> int:
    """A number for the conversation: its first user turn's text, and whether tools are offered.

    Side calls of a session (titles, topic checks) may quote that very text, but offer no tools, and go to a haiku.
    """
    is_bare = len(request.members.get("tools", b"")) <= len(b"null")
    seed = zlib.crc32(b"bare" if is_bare else b"tools")
    seed = zlib.crc32(b"haiku" if "haiku" in request.model.lower() else b"", seed)
    for index, raw in enumerate(request.raw_turns):
        place = f"messages[{index}]"
        if _decode(_head, raw, place).role != "user":
            continue
        content = _decode(_content, raw, place).content
        if not _is_list(content):
            return zlib.crc32(content, seed)
        for piece in _decode(_pieces, content, place + ".content"):
            seed = zlib.crc32(piece.text, seed)  # without cache_control, which moves on with each turn
        return seed
    return seed


def _is_list(raw: msgspec.Raw) -> bool:
    return _LIST.match(raw) is not None


def _decode(decoder: msgspec.json.Decoder[T], raw: Any, place: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientError(locate(place, error)) from error

"""A Messages request: its top level decoded, everything large left as raw JSON until somebody needs it.

A body of a megabyte is mostly conversation that only a translator reads, and a passthrough never does. `members` holds
the top level undecoded; each property below decodes its own member, once, when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject


class Source(msgspec.Struct, omit_defaults=True):
    """Where an image or document comes from: `base64`, `url`, `text`, `content` or `file`."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


class Block(msgspec.Struct, omit_defaults=True):
    """A content block of any type; which fields are set follows from `type`.

    One wide struct and not a union: types that we do not know must decode too, to be refused or counted by name.
    `input` stays raw: a tool's arguments are passed on, not understood. So do `citations` (a list in a text, an object
    in a document), `caller` (who made a call) and `encrypted_content`, which only Anthropic's API reads.
    """

    type: str
    text: str | None = None
    source: Source | str | None = None  # a string in a search_result, an object everywhere else
    title: str | None = None
    context: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    content: str | list[Block] | msgspec.UnsetType | JsonObject | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    tool_name: str | None = None
    file_id: str | None = None
    url: str | None = None
    cache_control: JsonObject | None = None
    citations: msgspec.Raw = msgspec.Raw()
    encrypted_content: msgspec.Raw = msgspec.Raw()
    caller: msgspec.Raw = msgspec.Raw()


class OutputConfig(msgspec.Struct, omit_defaults=True):
    """How much effort (`low` ... `max`) and in what format (`json_schema`) the answer is to be."""

    effort: str | None = None
    format: JsonObject | None = None


class Turn(msgspec.Struct, omit_defaults=True):
    """One entry of `messages`. `role` is user, assistant or system.

    Current Claude Code puts system turns anywhere; one may set the effort from there on (`output_config`).
    """

    role: str
    content: str | list[Block] = ""
    output_config: OutputConfig | None = None


class KnownBlock(Block, omit_defaults=True, forbid_unknown_fields=True):
    """A block that has nothing in it that we do not know: blocks are decoded as such at first, which costs no more."""


class KnownTurn(Turn, omit_defaults=True, forbid_unknown_fields=True):
    """A turn of known blocks, with nothing else in it. Blocks within blocks may hold what they like."""

    content: str | list[KnownBlock] = ""  # type: ignore[assignment] # a list of more special blocks, only ever read


class Tool(msgspec.Struct, omit_defaults=True):
    """One entry of `tools`: a client tool (type absent or "custom") or a server tool (`web_search_20250305`, ...)."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: JsonObject | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    cache_control: JsonObject | None = None
    max_uses: int | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: JsonObject | None = None


class ToolChoice(msgspec.Struct, omit_defaults=True):
    """`auto`, `any`, `none`, or `tool` with a name."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, omit_defaults=True):
    """`enabled` with a budget in tokens, `disabled`, or `adaptive`."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Metadata(msgspec.Struct, omit_defaults=True):
    """Who asks, in the client's words. `user_id` may itself be JSON text (Claude Code 2.1)."""

    user_id: str | None = None


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


# Built once: building one costs more than most decodes.
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = _decoder(str | None)
_flag = _decoder(bool | None)
_whole = _decoder(int | None)
_number = _decoder(int | float | None)
_texts = _decoder(list[str] | None)
_turns = _decoder(list[Turn])
_known_turns = _decoder(list[KnownTurn])
_loose_turns = _decoder(list[dict[str, msgspec.Raw]])
_loose_blocks = _decoder(list[dict[str, msgspec.Raw]])
_raws = _decoder(list[msgspec.Raw])
_system = _decoder(str | list[Block] | None)
_known_system = _decoder(str | list[KnownBlock] | None)
_tools = _decoder(list[Tool] | None)
_tool_choice = _decoder(ToolChoice | None)
_thinking = _decoder(Thinking | None)
_output_config = _decoder(OutputConfig | None)
_metadata = _decoder(Metadata | None)


class MessagesRequest:
    """One request of the Messages API.

    Build one with `read`. `members` maps each top-level name to its raw JSON in the order of the body; a name given
    twice counts with its last value, and is sent on once. Instances are not changed; `replace` gives a new one.
    """

    def __init__(self, members: dict[str, msgspec.Raw]) -> None:
        self.members = members
        self._strange: set[str] = set()

    @classmethod
    def read(cls, body: bytes) -> MessagesRequest:
        """The request in `body`; its model, messages and stream flag are of the right type.

        Raises ClientError (400) that names the JSON path at fault.
        """
        if not body.strip():
            raise ClientError("the request body is empty; it must be a JSON object with `model` and `messages`")
        try:
            if not body.isascii():
                body.decode()  # raw members are not looked into, so invalid UTF-8 has to be found here
            request = cls(_members.decode(_mended(body)))
        except msgspec.ValidationError as error:
            raise ClientError(f"the request body must be a JSON object: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClientError(f"the request body is not valid JSON: {error}") from error
        return request

    def replace(self, **members: Any) -> MessagesRequest:
        """This request with the given members set to (encoded) values, or removed where the value is UNSET."""
        changed = dict(self.members)
        for name, value in members.items():
            if value is msgspec.UNSET:
                changed.pop(name, None)
            else:
                changed[name] = value if isinstance(value, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(value))
        return MessagesRequest(changed)

    def encode(self) -> bytes:
        """The body: every member's own bytes in their order; members never replaced are identical to what came in."""
        return msgspec.json.encode(self.members)

    def release(self) -> None:
        """Let go of the decoded conversation, several times the size of its bytes; asked again, it is decoded anew."""
        self.__dict__.pop("turns", None)

    def _get(self, name: str, decoder: msgspec.json.Decoder[Any], default: Any = None) -> Any:
        raw = self.members.get(name)
        if raw is None:
            return default
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise ClientError(locate(name, error)) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise ClientError(f"{name}: not valid JSON: {error}") from error

    def _get_known(
        self, name: str, known: msgspec.json.Decoder[Any], any_: msgspec.json.Decoder[Any], default: Any
    ) -> Any:
        """As `_get` with the decoder `any_`; a member that has more in it than `known` takes is noted as strange."""
        raw = self.members.get(name)
        if raw is not None:
            try:
                return known.decode(raw)
            except msgspec.ValidationError:
                self._strange.add(name)
            except (msgspec.DecodeError, RecursionError):
                pass  # fails below the same way, with words for the client
        return self._get(name, any_, default)

    @cached_property
    def model(self) -> str:
        """The asked model, "" if none was named."""
        return str(self._get("model", _text, "") or "")

    @cached_property
    def stream(self) -> bool:
        return bool(self._get("stream", _flag, default=False))

    @cached_property
    def max_tokens(self) -> int | None:
        value = self._get("max_tokens", _whole)
        return None if value is None else int(value)

    @cached_property
    def turns(self) -> list[Turn]:
        """The conversation, decoded: costs time in proportion to its length."""
        turns: list[Turn] = self._get_known("messages", _known_turns, _turns, [])
        return turns

    @cached_property
    def raw_turns(self) -> list[msgspec.Raw]:
        """The conversation as raw JSON, one piece a turn: cheap."""
        raws: list[msgspec.Raw] = self._get("messages", _raws, [])
        return raws

    @cached_property
    def system(self) -> str | list[Block]:
        system: str | list[Block] | None = self._get_known("system", _known_system, _system, [])
        return system if system is not None else []

    @cached_property
    def unread(self) -> list[str]:
        """Where turns and blocks of the system prompt and the conversation have fields that are none of theirs."""
        _ = self.system, self.turns
        found: list[str] = []
        if "system" in self._strange:
            found += _unknown(_loose_blocks.decode(self.members["system"]), Block, "system")
        if "messages" in self._strange:
            for place, turn in enumerate(_loose_turns.decode(self.members["messages"])):
                found += _unknown([turn], Turn, f"messages[{place}]", is_list=False)
                if bytes(turn.get("content", b"")).startswith(b"["):
                    found += _unknown(_loose_blocks.decode(turn["content"]), Block, f"messages[{place}].content")
        return found

    @cached_property
    def tools(self) -> list[Tool]:
        tools: list[Tool] | None = self._get("tools", _tools, [])
        return tools or []

    @cached_property
    def tool_choice(self) -> ToolChoice | None:
        choice: ToolChoice | None = self._get("tool_choice", _tool_choice)
        return choice

    @cached_property
    def thinking(self) -> Thinking | None:
        thinking: Thinking | None = self._get("thinking", _thinking)
        return thinking

    @cached_property
    def output_config(self) -> OutputConfig:
        config: OutputConfig | None = self._get("output_config", _output_config)
        return config or OutputConfig()

    @property
    def effort(self) -> str | None:
        """The effort in force for the answer: what the last system turn that sets one says, else the request's own."""
        for turn in reversed(self.turns):
            if turn.role == "system" and turn.output_config is not None and turn.output_config.effort:
                return turn.output_config.effort
        return self.output_config.effort

    @cached_property
    def user_id(self) -> str:
        metadata: Metadata | None = self._get("metadata", _metadata)
        return (metadata.user_id if metadata else None) or ""

    @cached_property
    def stop_sequences(self) -> list[str]:
        stops: list[str] | None = self._get("stop_sequences", _texts)
        return stops or []

    def number(self, name: str) -> float | None:
        """A numeric member (`temperature`, `top_p`, `top_k`), None if absent or null."""
        value: float | int | None = self._get(name, _number)
        return value

    def validate(self) -> None:
        """Check what every target relies on, without decoding the conversation.

        Raises ClientError (400) naming the member at fault: no messages, wrong types at the top level, a message thread
        (a stateless router cannot continue one; the SDKs resend the whole conversation on exactly this error).
        """
        if "thread" in self.members and bytes(self.members["thread"]) != b"null":
            raise ClientError(
                "thread: this router keeps no message threads; send the whole conversation in `messages`",
                details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
            )
        _ = self.model, self.stream, self.max_tokens
        if "messages" not in self.members:
            raise ClientError("messages: required, a list of at least one message")
        if not self.raw_turns:
            raise ClientError("messages: at least one message is required")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ClientError("max_tokens: must be at least 1")


def _unknown(
    objects: list[dict[str, msgspec.Raw]], kind: type[msgspec.Struct], place: str, *, is_list: bool = True
) -> Iterator[str]:
    """The paths of the fields of `objects` that `kind` does not have and that are not null."""
    for number, members in enumerate(objects):
        for name, value in members.items():
            if name not in kind.__struct_fields__ and bytes(value) != b"null":
                yield f"{place}[{number}].{name}" if is_list else f"{place}.{name}"


# An escape in JSON text: a surrogate pair, a surrogate alone, or any other, which keeps a literal "\\ud83d" whole.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def _mended(body: bytes) -> bytes:
    """The body with surrogates that stand alone replaced by U+FFFD.

    JavaScript writes them wherever a text was cut in the middle of an emoji; strict readers refuse the whole request
    for one, on every later turn of the session again.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], body)


def locate(name: str, error: Exception) -> str:
    """Msgspec's words with its JSON path moved to the front: "messages[0].role: Expected `str`, got `int`"."""
    text = str(error)
    reason, separator, path = text.rpartition(" - at `$")
    if not separator:
        return f"{name}: {text}"
    return f"{name}{path.rstrip('`')}: {reason}"

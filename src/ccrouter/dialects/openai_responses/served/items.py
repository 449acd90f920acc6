"""The input items of a Responses request → turns of a Messages request. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from ccrouter.dialects.draft import Draft
from ccrouter.dialects.openai_members import INPUT, bad, file_block, image_block, note_detail
from ccrouter.dialects.openai_responses.served.natives import BY_ITEM, TOOL_SEARCH
from ccrouter.dialects.openai_responses.served.tools import Tool, Toolset, joined
from ccrouter.dialects.seals import unseal
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import locate

T = TypeVar("T")

#: Items about tools that ran at OpenAI: history that another model can do without.
_HOSTED = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call",
    "computer_call_output", "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response", "program",
    "program_output", "configuration_update",
})  # fmt: skip
#: Items that stand for a part of the conversation which is elsewhere, or which only OpenAI can read.
_ELSEWHERE = {
    "item_reference": "the router keeps no items; send the item itself",
    "compaction": "only OpenAI can read what it compacted",
    "compaction_summary": "only OpenAI can read what it compacted",
    "compaction_trigger": "only OpenAI compacts a conversation by itself",
}


class Head(msgspec.Struct):
    type: str | None = None
    role: str | None = None


class Content(msgspec.Struct):
    """A part of a content; which members are set follows from `type`."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Content] = ""


class FunctionCall(msgspec.Struct):
    name: str
    call_id: str
    arguments: str | JsonObject = ""
    namespace: str | None = None


class CustomCall(msgspec.Struct):
    name: str
    call_id: str
    input: str = ""
    namespace: str | None = None


class NativeCall(msgspec.Struct):
    call_id: str | None = None
    id: str | None = None


class Output(msgspec.Struct):
    call_id: str | None = None
    id: str | None = None
    output: str | list[Any] | JsonObject | None = None
    status: str | None = None


class Text(msgspec.Struct):
    text: str = ""


class Reasoning(msgspec.Struct):
    summary: list[Text] | None = None
    encrypted_content: str | None = None


class MoreTools(msgspec.Struct):
    tools: list[Tool] = []
    call_id: str | None = None


class ToolSearch(msgspec.Struct):
    call_id: str | None = None
    arguments: Any = None


class Items:
    """Reads items into a draft, and the tools that some bring into a toolset."""

    def __init__(self, draft: Draft, tools: Toolset) -> None:
        self._draft = draft
        self._tools = tools
        self._calls: dict[str, str] = {}  # an item's id → the id of its call
        self._readers: dict[str, Callable[[msgspec.Raw, str], None]] = {
            "message": self._message,
            "function_call": self._function,
            "function_call_output": self._output,
            "custom_tool_call": self._custom,
            "custom_tool_call_output": self._output,
            "local_shell_call_output": self._output,
            "shell_call_output": self._output,
            "apply_patch_call_output": self._output,
            "reasoning": self._reasoning,
            "additional_tools": self._more_tools,
            "tool_search_call": self._tool_search,
            "tool_search_output": self._more_tools,
            **dict.fromkeys(BY_ITEM, self._native),
        }

    def read(self, items: list[msgspec.Raw]) -> None:
        """All items, in order. Raises ClientError for those that are not what their type says."""
        for place, raw in enumerate(items):
            path = f"input[{place}]"
            head = _decode(raw, Head, path)
            kind = head.type or ("message" if head.role else "")
            reader = self._readers.get(kind)
            if reader is not None:
                reader(raw, path)
            elif kind in _HOSTED:
                self._draft.lose(path, f"an earlier `{kind}` is not told: it ran at OpenAI")
            else:
                why = _ELSEWHERE.get(kind, f"the Messages API has no item of type `{kind}`")
                self._draft.refuse(path, why)

    # -- messages --------------------------------------------------------------------------------------------------

    def _message(self, raw: msgspec.Raw, path: str) -> None:
        message = _decode(raw, Message, path)
        match message.role:
            case "system" | "developer":
                for block, where in self._blocks(message.content, f"{path}.content"):
                    if block["type"] == "text":
                        self._draft.instruct(block["text"], where)
                    else:
                        self._draft.refuse(where, "a system message cannot hold anything but text")
            case "user" | "assistant" as role:
                spoken: Literal["user", "assistant"] = "user" if role == "user" else "assistant"
                for block, where in self._blocks(message.content, f"{path}.content"):
                    self._draft.say(spoken, block, where)
            case other:
                raise bad(f"{path}.role", f"must be user, assistant, system or developer, not {other!r}")

    def _blocks(self, content: str | list[Content], path: str) -> list[tuple[JsonObject, str]]:
        if isinstance(content, str):
            return [({"type": "text", "text": content}, path)]
        placed = [(self._block(part, f"{path}[{number}]"), f"{path}[{number}]") for number, part in enumerate(content)]
        return [(block, where) for block, where in placed if block is not None]

    def _block(self, part: Content, path: str) -> JsonObject | None:
        match part.type:
            case "input_text" | "output_text" | "text" | "summary_text":
                return {"type": "text", "text": part.text or ""}
            case "refusal":
                return {"type": "text", "text": part.refusal or ""}
            case "input_image":
                return self._image(part, path)
            case "input_file":
                return self._file(part, path)
            case "input_audio":
                self._draft.refuse(path, "the Messages API carries no audio: only a target that speaks this API can")
            case other:
                self._draft.refuse(path, f"the Messages API carries no content of type `{other}`")
        return None

    def _image(self, part: Content, path: str) -> JsonObject | None:
        if not part.image_url and part.file_id:
            self._draft.refuse(f"{path}.file_id", "a file kept by OpenAI is there alone; send its data")
            return None
        image = image_block(part.image_url or "")
        if image is None:
            raise bad(f"{path}.image_url", "must be an http(s) URL, or a data URL in base64")
        note_detail(part.detail, f"{path}.detail", self._draft)
        return image

    def _file(self, part: Content, path: str) -> JsonObject | None:
        if part.file_data:
            block = file_block(part.file_data, part.filename or "")
            if block is None:
                self._draft.refuse(f"{path}.file_data", "only PDFs, texts and images can be sent as files")
            return block
        if part.file_url:
            return {"type": "document", "source": {"type": "url", "url": part.file_url}}
        if part.file_id:
            self._draft.refuse(f"{path}.file_id", "a file kept by OpenAI is there alone; send its data")
            return None
        raise bad(path, "needs file_data or file_url")

    # -- calls -----------------------------------------------------------------------------------------------------

    def _function(self, raw: msgspec.Raw, path: str) -> None:
        call = _decode(raw, FunctionCall, path)
        self._draft.call(call.call_id, joined(call.namespace, call.name), call.arguments, path)

    def _custom(self, raw: msgspec.Raw, path: str) -> None:
        call = _decode(raw, CustomCall, path)
        self._draft.call(call.call_id, joined(call.namespace, call.name), {INPUT: call.input}, path)

    def _native(self, raw: msgspec.Raw, path: str) -> None:
        item: JsonObject = _decode(raw, dict[str, Any], path)
        call = _decode(raw, NativeCall, path)
        native = BY_ITEM[item["type"]]
        id = call.call_id or call.id or ""  # noqa: A001 - the protocol's own word
        if call.id:
            self._calls[call.id] = id
        self._draft.call(id, str(native.tool["name"]), native.given(item), path)

    def _output(self, raw: msgspec.Raw, path: str) -> None:
        output = _decode(raw, Output, path)
        id = output.call_id or self._calls.get(output.id or "", output.id or "")  # noqa: A001 - as above
        if not id:
            raise bad(f"{path}.call_id", "required")
        self._draft.result(id, self._said(output, path), path, is_error=output.status == "failed")

    def _said(self, output: Output, path: str) -> str | list[JsonObject]:
        """What a tool gave: text, content, or an object of the kind that shells give, as JSON."""
        given = output.output
        if given is None or isinstance(given, str):
            return given or (f"({output.status})" if output.status else "")
        if isinstance(given, list):
            try:
                parts = msgspec.convert(given, list[Content])
            except msgspec.ValidationError:
                parts = []
            if parts or not given:
                return [block for block, _ in self._blocks(parts, f"{path}.output")]
        return msgspec.json.encode(given).decode()

    # -- the rest --------------------------------------------------------------------------------------------------

    def _reasoning(self, raw: msgspec.Raw, path: str) -> None:
        """Earlier reasoning: sealed by this router it goes back to its maker; else nobody here would know it."""
        item = _decode(raw, Reasoning, path)
        block = unseal(item.encrypted_content)
        if block is None:
            self._draft.lose(path, "earlier reasoning of another maker")
            return
        if block["type"] == "thinking":
            block["thinking"] = "".join(part.text for part in item.summary or ())
        self._draft.say("assistant", block, path)

    def _tool_search(self, raw: msgspec.Raw, path: str) -> None:
        """A search for tools: one that the client carried out is a call like any other."""
        search = _decode(raw, ToolSearch, path)
        if search.call_id is None:
            self._draft.lose(path, "an earlier `tool_search_call` is not told: it ran at OpenAI")
        else:
            self._draft.call(search.call_id, TOOL_SEARCH, search.arguments, path)

    def _more_tools(self, raw: msgspec.Raw, path: str) -> None:
        """Tools that come with the conversation; those that a search of the client's found are its result too."""
        more = _decode(raw, MoreTools, path)
        names = self._tools.add(more.tools, f"{path}.tools")
        if more.call_id is not None:
            self._draft.result(more.call_id, f"Tools loaded: {', '.join(names) or 'none'}.", path)


def _decode(raw: msgspec.Raw, kind: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        where, _, why = locate(path, error).partition(": ")
        raise bad(where, why) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(path, f"not valid JSON: {error}") from error

"""Chat messages → turns of a Messages request. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.dialects.draft import Draft
from ccrouter.dialects.openai_members import INPUT, bad, file_block, image_block, note_detail
from ccrouter.dialects.seals import unseal
from ccrouter.jsontypes import JsonObject


class Url(msgspec.Struct):
    url: str = ""
    detail: str | None = None


class File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """A part of a content; which members are set follows from `type`."""

    type: str = "text"
    text: str | None = None
    image_url: Url | str | None = None
    file: File | None = None
    refusal: str | None = None


class Function(msgspec.Struct):
    name: str = ""
    arguments: str | JsonObject | None = None


class Custom(msgspec.Struct):
    name: str = ""
    input: str = ""


class Call(msgspec.Struct):
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class ChatMessage(msgspec.Struct):
    """One message of any role."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_details: list[Any] | None = None
    audio: Any = None


class Conversation:
    """Reads messages into a draft. `functions` counts the calls of the kind that had no ids."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._functions = 0

    def read(self, messages: list[ChatMessage]) -> None:
        """All messages, in order. Raises ClientError for roles that do not exist, and for results of nothing."""
        for place, message in enumerate(messages):
            path = f"messages[{place}]"
            if message.name and message.role not in {"tool", "function"}:
                self._draft.lose(f"{path}.name", "who of several speaks is not told")
            match message.role:
                case "system" | "developer":
                    self._instruct(message, path)
                case "user":
                    self._say(message, path)
                case "assistant":
                    self._answer(message, path)
                case "tool" | "function":
                    self._result(message, path)
                case other:
                    raise bad(
                        f"{path}.role",
                        f"must be system, developer, user, assistant, tool or function, not {other!r}",
                    )

    def _instruct(self, message: ChatMessage, path: str) -> None:
        if not isinstance(message.content, list):
            self._draft.instruct(message.content or "", f"{path}.content")
            return
        for number, part in enumerate(message.content):
            where = f"{path}.content[{number}]"
            if part.type == "text":
                self._draft.instruct(part.text or "", where)
            else:
                self._draft.refuse(where, f"a system message cannot hold a part of type `{part.type}`")

    def _say(self, message: ChatMessage, path: str) -> None:
        for block, where in self._blocks(message.content, f"{path}.content"):
            self._draft.say("user", block, where)

    def _answer(self, message: ChatMessage, path: str) -> None:
        self._think(message, path)
        for block, where in self._blocks(message.content, f"{path}.content"):
            self._draft.say("assistant", block, where)
        if message.refusal:
            self._draft.say("assistant", {"type": "text", "text": message.refusal}, f"{path}.refusal")
        if message.audio is not None:
            self._draft.refuse(f"{path}.audio", "spoken answers are kept by OpenAI alone")
        for number, call in enumerate(message.tool_calls or ()):
            where = f"{path}.tool_calls[{number}]"
            if call.function is not None:
                self._draft.call(call.id or "", call.function.name, call.function.arguments, where)
            elif call.custom is not None:
                self._draft.call(call.id or "", call.custom.name, {INPUT: call.custom.input}, where)
            else:
                raise bad(f"{where}.function", "required")
        if message.function_call is not None:
            self._functions += 1
            called = message.function_call
            self._draft.call(_function_id(self._functions), called.name, called.arguments, f"{path}.function_call")

    def _think(self, message: ChatMessage, path: str) -> None:
        """Earlier reasoning: sealed by this router it goes back to its maker; without a seal nobody takes it back."""
        sealed = False
        for number, detail in enumerate(message.reasoning_details or ()):
            block = unseal(detail.get("data")) if isinstance(detail, dict) else None
            if block is not None:
                sealed = True
                self._draft.say("assistant", block, f"{path}.reasoning_details[{number}]")
        plain = "reasoning_content" if message.reasoning_content else "reasoning" if message.reasoning else ""
        if not sealed and (plain or message.reasoning_details):
            where = f"{path}.{plain or 'reasoning_details'}"
            self._draft.lose(where, "earlier reasoning without the seal by which its maker would know it")

    def _result(self, message: ChatMessage, path: str) -> None:
        if message.role == "function":
            id = _function_id(self._functions)  # noqa: A001 - the protocol's own word
        elif message.tool_call_id is None:
            raise bad(f"{path}.tool_call_id", "required in a message of role tool")
        else:
            id = message.tool_call_id  # noqa: A001 - as above
        if isinstance(message.content, list):
            self._draft.result(id, [block for block, _ in self._blocks(message.content, f"{path}.content")], path)
        else:
            self._draft.result(id, message.content or "", path)

    def _blocks(self, content: str | list[Part] | None, path: str) -> list[tuple[JsonObject, str]]:
        if content is None:
            return []
        if isinstance(content, str):
            return [({"type": "text", "text": content}, path)]
        found = []
        for number, part in enumerate(content):
            where = f"{path}[{number}]"
            block = self._block(part, where)
            if block is not None and (block["type"] != "text" or block["text"]):
                found.append((block, where))
        return found

    def _block(self, part: Part, path: str) -> JsonObject | None:
        match part.type:
            case "text":
                return {"type": "text", "text": part.text or ""}
            case "refusal":
                return {"type": "text", "text": part.refusal or ""}
            case "image_url":
                url = part.image_url.url if isinstance(part.image_url, Url) else part.image_url
                image = image_block(url or "")
                if image is None:
                    raise bad(f"{path}.image_url.url", "must be an http(s) URL, or a data URL in base64")
                if isinstance(part.image_url, Url):
                    note_detail(part.image_url.detail, f"{path}.image_url.detail", self._draft)
                return image
            case "file":
                return self._file(part.file, path)
            case "input_audio":
                self._draft.refuse(path, "the Messages API carries no audio: only a target that speaks this API can")
            case other:
                self._draft.refuse(path, f"the Messages API carries no part of type `{other}`")
        return None

    def _file(self, file: File | None, path: str) -> JsonObject | None:
        if file is None or not (file.file_data or file.file_id):
            raise bad(f"{path}.file", "needs file_data")
        if not file.file_data:
            self._draft.refuse(f"{path}.file.file_id", "a file kept by OpenAI is there alone; send its data")
            return None
        block = file_block(file.file_data, file.filename or "")
        if block is None:
            self._draft.refuse(f"{path}.file.file_data", "only PDFs, texts and images can be sent as files")
        return block


def _function_id(number: int) -> str:
    """The id that stands for the call number `number` of those that have none."""
    return f"function_{number}"

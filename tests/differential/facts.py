"""What a request says, as facts that can be compared across dialects; and what the original says once the ledger's
losses are taken from it.

A fact is a tuple: ("system" | "user" | "assistant", text), ("thinking", text, signature), ("call", number, name, input),
("result", number, text, is_error), ("image", data or URL), ("file", title, data). Calls are numbered in order of their
appearance, and results go by the numbers of their calls, in that order, before everything else that the user says after
it; the pictures in results follow all results. Texts side by side are one, a line break between them: no dialect tells
them apart for a model. So much freedom a dialect has, and no more.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ccrouter.dialects.base import Loss

Fact = tuple[Any, ...]
NO_IMAGE = "[An image was here; this model cannot see images.]"
_ERRORS = ("Error", "error", "<tool_use_error>")
_ORIGIN = re.compile(r"\[From the result of .*:\]", re.DOTALL)
#: Words that stand where a result has none.
_NOTHING = ("(no output)", "(see the following message)", "(see the files of this result)")
TEXTS = frozenset({"system", "user", "assistant"})


class Facts:
    """Gathers facts in order."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.calls: dict[str, int] = {}
        self._count = 0

    def say(self, who: str, text: str) -> None:
        """A text; one of nothing says nothing, nor does one that tells where the pictures after it come from."""
        if not text or _ORIGIN.fullmatch(text):
            return
        if self.facts and self.facts[-1][0] == who and who in TEXTS:
            self.facts[-1] = (who, f"{self.facts[-1][1]}\n{text}")
        else:
            self.facts.append((who, text))

    def add(self, *fact: Any) -> None:
        self.facts.append(fact)

    def result(self, ident: str | int, text: str, *, is_error: bool = False) -> None:
        """The result of a call, by its id or number. Words that stand for a text that is not there are none."""
        number = self.calls[ident] if isinstance(ident, str) else ident
        for words in _NOTHING:
            if text in {words, f"Error: {words}"}:
                text = text[: -len(words)]
        self.add("result", number, text, is_error)

    def call(self, ident: str, name: str, arguments: Any) -> None:
        """A call; `ident` may be used again in a later turn."""
        self._count += 1
        self.calls[ident] = self._count
        self.add("call", self._count, name, arguments)


def blocks_of(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def facts_of(body: dict[str, Any], losses: Iterable[Loss] = ()) -> list[Fact]:
    """The facts of a Messages request, without what `losses` say is lost."""
    return _Original({loss.path: loss for loss in losses if loss.fate != "hint"}).read(body)


class _Original:
    def __init__(self, losses: dict[str, Loss]) -> None:
        self._losses = losses
        self._facts = Facts()

    def read(self, body: dict[str, Any]) -> list[Fact]:
        for block in blocks_of(body.get("system")):
            self._facts.say("system", block["text"])
        turns = body["messages"]
        start = 0
        while start < len(turns):
            end = start
            while end < len(turns) and (turns[end]["role"] == "assistant") == (turns[start]["role"] == "assistant"):
                end += 1
            if turns[start]["role"] == "assistant":
                for place in range(start, end):
                    self._assistant(turns[place], place)
            else:
                self._others(turns, start, end)
            start = end
        return self._facts.facts

    def _assistant(self, turn: dict[str, Any], place: int) -> None:
        for path, block in _placed(turn, place):
            match block["type"]:
                case "text":
                    self._facts.say("assistant", block["text"])
                case "thinking" if path not in self._losses:
                    self._facts.add("thinking", block["thinking"], block.get("signature", ""))
                case "tool_use":
                    self._facts.call(block["id"], block["name"], block["input"])

    def _others(self, turns: Sequence[dict[str, Any]], start: int, end: int) -> None:
        placed = [(turns[at]["role"], at, one) for at in range(start, end) for one in _placed(turns[at], at)]
        results = [one for _, _, one in placed if one[1]["type"] == "tool_result"]
        results.sort(key=lambda one: self._facts.calls[one[1]["tool_use_id"]])
        pictures: list[Fact] = []
        for path, block in results:
            pictures += self._result(path, block)
        for picture in pictures:
            self._facts.add(*picture)
        for role, at, (path, block) in placed:
            if block["type"] != "tool_result":
                is_word = role == "system" and f"messages[{at}].role" in self._losses
                self._user("user" if is_word else role, path, block, is_reminder=is_word)

    def _result(self, path: str, block: dict[str, Any]) -> list[Fact]:
        texts, pictures = [], []
        for number, inner in enumerate(blocks_of(block.get("content"))):
            if inner["type"] == "text":
                texts.append(inner["text"])
            elif f"{path}.content[{number}]" in self._losses:
                texts.append(NO_IMAGE)
            else:
                pictures.append(("image", _source(inner["source"])))
        texts = [text for text in texts if text]
        is_error = bool(block.get("is_error"))
        if f"{path}.is_error" in self._losses:
            is_error = False
            first = texts[0] if texts else ""
            if not first.startswith(_ERRORS):
                texts[:1] = [f"Error: {first}"]
        self._facts.result(block["tool_use_id"], "\n".join(texts), is_error=is_error)
        return pictures

    def _user(self, who: str, path: str, block: dict[str, Any], *, is_reminder: bool) -> None:
        match block["type"]:
            case "text":
                text = block["text"]
                self._facts.say(who, f"<system-reminder>\n{text}\n</system-reminder>" if is_reminder and text else text)
            case "image" if path in self._losses:
                self._facts.say(who, NO_IMAGE)
            case "image":
                self._facts.add("image", _source(block["source"]))
            case "document":
                self._document(who, block)

    def _document(self, who: str, block: dict[str, Any]) -> None:
        source, title = block["source"], block.get("title", "")
        if source["type"] == "base64":
            self._facts.add("file", title, base64.b64decode(source["data"]))
            return
        self._facts.say(who, "\n".join(filter(None, (title and f"Document: {title}", block.get("context")))))
        self._facts.say(who, source["data"])


def _placed(turn: dict[str, Any], place: int) -> list[tuple[str, dict[str, Any]]]:
    content = turn["content"]
    if isinstance(content, str):
        return [(f"messages[{place}].content", {"type": "text", "text": content})]
    return [(f"messages[{place}].content[{number}]", block) for number, block in enumerate(content)]


def _source(source: dict[str, Any]) -> bytes | str:
    return base64.b64decode(source["data"]) if source["type"] == "base64" else str(source["url"])


def data_of(url: str) -> bytes | str:
    """What an image's URL holds, or the URL."""
    return base64.b64decode(url.partition("base64,")[2]) if url.startswith("data:") else url


def told(facts: Sequence[Fact]) -> str:
    """For the reader of a failed test."""
    return "\n".join(json.dumps(fact, default=repr, ensure_ascii=False) for fact in facts)

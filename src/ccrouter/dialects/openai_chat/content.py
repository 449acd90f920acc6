"""Content blocks → Chat content: text as it is, images and files as parts, the rest as words. Pure.

Nothing is dropped in silence: what the target cannot carry is refused by its path, or leaves a visible note and a loss.
"""

from __future__ import annotations

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.dialects.ledger import CITATIONS, cache_hint, is_asked
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.words import AS_TEXT, losses_in_words, words_of
from ccrouter.errors import UnsupportedContent
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import Block, Source

_ERROR_STARTS = ("Error", "error", "<tool_use_error>")

#: Places of blocks in a request.
SYSTEM = "system[]"
TURNS = "messages[].content[]"
#: Blocks that a cache mark goes out with, where the provider honours them.
_MARKED = frozenset({"text", "tool_result"})

Parts = list[JsonObject]


class Content:
    """Writes blocks for one profile. `losses` gathers what could not be said as asked, `kept` and `mapped` what could
    (dialects/base.py: UpstreamRequest). `place` is where the blocks stand that come next, `[]` for every index.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.losses: list[Loss] = []
        self.kept: set[str] = set()
        self.mapped: set[str] = set()
        self.place = TURNS

    def parts(self, block: Block, path: str) -> Parts:
        """The parts that one block of a user or system turn becomes. Raises UnsupportedContent naming `path`."""
        if block.cache_control:
            self.note_mark(block)
        if block.citations and is_asked(block.citations):
            self.losses.append(Loss(f"{path}.citations", CITATIONS[block.type == "text"]))
        match block.type:
            case "text":
                self.kept.add(self.place + ".text")
                return self.text(block.text or "", block.cache_control)
            case "image":
                return self._image(block, path)
            case "document":
                return self._document(block, path)
            case "search_result":
                return self._search_result(block, path)
            case "container_upload":
                self.losses.append(Loss(path, "file in Anthropic's container not sent"))
                return self.text("[A file was uploaded to a code execution container that this model cannot reach.]")
        words = words_of(block)
        if words is not None:
            if block.type in AS_TEXT:
                self.mapped.add(self.place)
            else:
                self.losses += losses_in_words(block, path)
            return self.text(words)
        raise UnsupportedContent(path, f"this target cannot carry a content block of type `{block.type}`")

    def result(self, block: Block, path: str) -> tuple[Parts, Parts]:
        """A tool result: the parts for the tool message, and the images and files that cannot go into one."""
        parts = self._result_parts(block, path)
        texts = [part for part in parts if part["type"] == "text"]
        media = [part for part in parts if part["type"] != "text"]
        if self.profile.accepts_tool_images and media:
            texts, media = parts, []
        if not texts:
            texts = [{"type": "text", "text": "(see the following message)" if media else "(no output)"}]
        if block.is_error:
            self.losses.append(Loss(f"{path}.is_error", "told in words", "approximated"))
            if not texts[0].get("text", "").startswith(_ERROR_STARTS):
                texts[0] = {**texts[0], "text": f"Error: {texts[0].get('text', '')}"}
        if block.cache_control:
            self.note_mark(block)
            self._mark(texts, block.cache_control)
        return texts, media

    def _result_parts(self, block: Block, path: str) -> Parts:
        content, outer = block.content, self.place
        if isinstance(content, str):
            return self.text(content)
        if isinstance(content, dict):
            return self.text(msgspec.json.encode(content).decode())
        parts: Parts = []
        if isinstance(content, list):
            self.place = f"{outer}.content[]"
            for number, inner in enumerate(content):
                parts += self.parts(inner, f"{path}.content[{number}]")
            self.place = outer
        return parts

    def note_mark(self, block: Block) -> None:
        """Note what becomes of the block's cache mark: all those of a place are one and the same hint."""
        if self.profile.keeps_cache_control and block.type in _MARKED:
            self.kept.add(self.place + ".cache_control")
        else:
            self.losses.append(cache_hint(self.place))

    def text(self, text: str, cache_control: JsonObject | None = None) -> Parts:
        """One part of text, exactly as it is; none for no text, which several providers refuse."""
        if not text:
            return []
        parts: Parts = [{"type": "text", "text": text}]
        if cache_control:
            self._mark(parts, cache_control)
        return parts

    def join(self, parts: Parts) -> str | Parts:
        """The shortest form of `parts`: a string unless there is more to say than text. Never stripped or altered."""
        if self.profile.string_content_only or all(part["type"] == "text" and len(part) == 2 for part in parts):
            return "\n".join([part["text"] for part in parts if part["type"] == "text"])
        return parts

    def _mark(self, parts: Parts, cache_control: JsonObject) -> None:
        """Put a cache breakpoint on the last text, where the provider honours them."""
        if not self.profile.keeps_cache_control:
            return
        for part in reversed(parts):
            if part["type"] == "text":
                known = {name: cache_control[name] for name in ("type", "ttl") if name in cache_control}
                part["cache_control"] = known
                return

    def _image(self, block: Block, path: str) -> Parts:
        if not self.profile.accepts_images:
            self.losses.append(Loss(path, "image not sent: the model reads text only"))
            return self.text("[An image was here; this model cannot see images.]")
        source = block.source
        if isinstance(source, Source) and source.type == "base64" and source.data:
            url = _data_url(source, "image/png")
        elif isinstance(source, Source) and source.type == "url" and source.url:
            if not self.profile.accepts_image_urls and not source.url.startswith("data:"):
                raise UnsupportedContent(path, "this provider takes images as base64 data only, not by URL")
            url = source.url
        else:
            raise UnsupportedContent(path, "an image must come as base64 data or by URL; Anthropic's files stay there")
        self.mapped.add(self.place + ".source")
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: Block, path: str) -> Parts:
        source = block.source
        if not isinstance(source, Source):
            raise UnsupportedContent(path, "a document without a source")
        title = block.title or ""
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "context") if getattr(block, name)}
        head = "\n".join(filter(None, (title and f"Document: {title}", block.context)))
        intro = self.text(head)
        if source.type == "text" and source.data is not None:
            return [*intro, *self.text(source.data, block.cache_control)]
        if source.type == "content":
            inner = source.content
            if isinstance(inner, str):
                return [*intro, *self.text(inner, block.cache_control)]
            outer, self.place = self.place, f"{self.place}.source.content[]"
            for number, piece in enumerate(inner or ()):
                intro += self.parts(piece, f"{path}.source.content[{number}]")
            self.place = outer
            return intro
        files = self.profile.accepts_files
        if source.type == "base64" and source.data and files:
            data = _data_url(source, "application/pdf")
            return [*self.text(block.context or ""), _file(title or "document.pdf", data)]
        if source.type == "url" and source.url and files == "url":
            return [*self.text(block.context or ""), _file(title or "document.pdf", source.url)]
        kind = source.media_type or f"source `{source.type}`"
        raise UnsupportedContent(
            path, f"this target cannot read a document of {kind}; send its text, or choose a model that reads files"
        )

    def _search_result(self, block: Block, path: str) -> Parts:
        source = block.source
        place = source if isinstance(source, str) else ""
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "content")}
        head = " ".join(filter(None, ("Search result:", block.title, place and f"({place})")))
        return [*self.text(head), *self._result_parts(block, path)]


def _data_url(source: Source, default: str) -> str:
    data = source.data or ""
    return data if data.startswith("data:") else f"data:{source.media_type or default};base64,{data}"


def _file(name: str, data: str) -> JsonObject:
    return {"type": "file", "file": {"filename": name, "file_data": data}}

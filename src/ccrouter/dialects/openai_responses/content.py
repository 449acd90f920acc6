"""Content blocks → parts of Responses items: texts, images and files as such, the rest as words. Pure.

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
_TEXT = "input_text"

#: Places of blocks in a request.
SYSTEM = "system[]"
TURNS = "messages[].content[]"

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
        """The parts that one block becomes. Raises UnsupportedContent naming `path`."""
        self.note_marks(block, path)
        match block.type:
            case "text":
                self.kept.add(self.place + ".text")
                return text_parts(block.text or "")
            case "image":
                return self._image(block, path)
            case "document":
                return self._document(block, path)
            case "search_result":
                return self._search_result(block, path)
            case "container_upload":
                self.losses.append(Loss(path, "file in Anthropic's container not sent"))
                return text_parts("[A file was uploaded to a code execution container that this model cannot reach.]")
        words = words_of(block)
        if words is None:
            raise UnsupportedContent(path, f"this target cannot carry a content block of type `{block.type}`")
        if block.type in AS_TEXT:
            self.mapped.add(self.place)
        else:
            self.losses += losses_in_words(block, path)
        return text_parts(words)

    def texts(self, block: Block, path: str) -> list[str]:
        """What one block says, where there is place for words only. Raises UnsupportedContent for anything else."""
        parts = self.parts(block, path)
        if any(part["type"] != _TEXT for part in parts):
            raise UnsupportedContent(path, f"this target takes no {block.type} there")
        return [part["text"] for part in parts]

    def result(self, block: Block, path: str) -> tuple[str | Parts, Parts]:
        """A tool result: what the output says, and the images and files that cannot go into it.

        Texts alone are one string, joined by line breaks: several servers know no other output.
        """
        parts = self._inner(block, path)
        if block.is_error:
            self.losses.append(Loss(f"{path}.is_error", "told in words", "approximated"))
            parts = _as_error(parts)
        if block.cache_control:
            self._note_mark()
        media = [part for part in parts if part["type"] != _TEXT]
        if media and self.profile.accepts_tool_images:
            return parts, []
        text = "\n".join([part["text"] for part in parts if part["type"] == _TEXT])
        return text or ("(see the following message)" if media else "(no output)"), media

    def note_marks(self, block: Block, path: str) -> None:
        """Note what becomes of the block's cache mark and of its citations."""
        if block.cache_control:
            self._note_mark()
        if block.citations and is_asked(block.citations):
            self.losses.append(Loss(f"{path}.citations", CITATIONS[block.type == "text"]))

    def _note_mark(self) -> None:
        """All those of a place are one and the same hint."""
        self.losses.append(cache_hint(self.place))

    def _inner(self, block: Block, path: str) -> Parts:
        content, outer = block.content, self.place
        if isinstance(content, str):
            return text_parts(content)
        if isinstance(content, dict):
            return text_parts(msgspec.json.encode(content).decode())
        parts: Parts = []
        if isinstance(content, list):
            self.place = f"{outer}.content[]"
            for number, inner in enumerate(content):
                parts += self.parts(inner, f"{path}.content[{number}]")
            self.place = outer
        return parts

    def _image(self, block: Block, path: str) -> Parts:
        if not self.profile.accepts_images:
            self.losses.append(Loss(path, "image not sent: the model reads text only"))
            return text_parts("[An image was here; this model cannot see images.]")
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
        return [{"type": "input_image", "detail": "auto", "image_url": url}]

    def _document(self, block: Block, path: str) -> Parts:
        source = block.source
        if not isinstance(source, Source):
            raise UnsupportedContent(path, "a document without a source")
        title = block.title or ""
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "context") if getattr(block, name)}
        intro = text_parts("\n".join(filter(None, (title and f"Document: {title}", block.context))))
        if source.type == "text" and source.data is not None:
            return [*intro, *text_parts(source.data)]
        if source.type == "content":
            return [*intro, *self._pieces(source.content or [], path)]
        files = self.profile.accepts_files
        if source.type == "base64" and source.data and files:
            file = {"filename": title or "document.pdf", "file_data": _data_url(source, "application/pdf")}
            return [*text_parts(block.context or ""), {"type": "input_file", **file}]
        if source.type == "url" and source.url and files == "url":
            return [*intro, {"type": "input_file", "file_url": source.url}]
        kind = source.media_type or f"source `{source.type}`"
        raise UnsupportedContent(
            path, f"this target cannot read a document of {kind}; send its text, or choose a model that reads files"
        )

    def _pieces(self, content: str | list[Block], path: str) -> Parts:
        """The parts of a document that is made of text or blocks."""
        if isinstance(content, str):
            return text_parts(content)
        outer, self.place = self.place, f"{self.place}.source.content[]"
        parts = [
            part
            for number, piece in enumerate(content)
            for part in self.parts(piece, f"{path}.source.content[{number}]")
        ]
        self.place = outer
        return parts

    def _search_result(self, block: Block, path: str) -> Parts:
        place = block.source if isinstance(block.source, str) else ""
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "content")}
        head = " ".join(filter(None, ("Search result:", block.title, place and f"({place})")))
        return [*text_parts(head), *self._inner(block, path)]


def text_parts(text: str) -> Parts:
    """One part of text, exactly as it is; none for no text."""
    return [{"type": _TEXT, "text": text}] if text else []


def shortest(parts: Parts) -> str | Parts:
    """A string in the place of one part that is text."""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == _TEXT else parts


def _as_error(parts: Parts) -> Parts:
    """`parts` that say in their words that they tell of an error."""
    text = next((part["text"] for part in parts if part["type"] == _TEXT), "")
    if text.startswith(_ERROR_STARTS):
        return parts
    if not text:
        return [*text_parts("Error: (no output)"), *parts]
    return [{**part, "text": f"Error: {text}"} if part.get("text") is text else part for part in parts]


def _data_url(source: Source, default: str) -> str:
    data = source.data or ""
    return data if data.startswith("data:") else f"data:{source.media_type or default};base64,{data}"

"""Content blocks → Gemini parts: text as it is, images and files as data or by URL, the rest as words. Pure.

Nothing is dropped in silence: what the target cannot carry is refused by its path, or leaves a visible note and a loss.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.dialects.ledger import CITATIONS, cache_hint, is_asked
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.words import AS_TEXT, losses_in_words, words_of
from ccrouter.errors import UnsupportedContent
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import Block, Source

#: Places of blocks in a request.
SYSTEM = "system[]"
TURNS = "messages[].content[]"

#: Images that the models read (ai.google.dev/gemini-api/docs/image-understanding), by the ends of their names in URLs.
_IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
}
_READABLE = frozenset(_IMAGES.values()) | {"image/jpg"}
_PDF = "application/pdf"

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
        self._unmarked: set[str] = set()

    def parts(self, block: Block, path: str) -> Parts:
        """The parts that one block of a user or system turn becomes. Raises UnsupportedContent naming `path`."""
        self.note_mark(block)
        if block.citations and is_asked(block.citations):
            self.losses.append(Loss(f"{path}.citations", CITATIONS[block.type == "text"]))
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

    def result(self, block: Block, path: str) -> tuple[JsonObject, Parts]:
        """A tool result: the members of its functionResponse, and the images and files that cannot go into one."""
        self.note_mark(block)
        parts = self.result_parts(block, path)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        if not text and not block.is_error:
            text = "(see the files of this result)" if media else "(no output)"
        members: JsonObject = {"response": {"error" if block.is_error else "output": text}}
        if block.is_error:
            self.mapped.add(self.place + ".is_error")
        if media and self.profile.accepts_tool_images and all("inlineData" in part for part in media):
            members["parts"], media = media, []
        return members, media

    def result_parts(self, block: Block, path: str) -> Parts:
        """The parts of what stands within a tool result or a search result."""
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

    def note_mark(self, block: Block) -> None:
        """Note that the block's cache mark, if it has one, is not sent: told once for all blocks of a place."""
        if block.cache_control and self.place not in self._unmarked:
            self._unmarked.add(self.place)
            self.losses.append(cache_hint(self.place))

    def _image(self, block: Block, path: str) -> Parts:
        if not self.profile.accepts_images:
            self.losses.append(Loss(path, "image not sent: the model reads text only"))
            return text_parts("[An image was here; this model cannot see images.]")
        source = block.source
        if isinstance(source, Source) and source.type == "url" and source.url and source.url.startswith("data:"):
            source = _of_data_url(source.url)
        if isinstance(source, Source) and source.type == "base64" and source.data:
            kind = source.media_type or "image/png"
            if kind not in _READABLE:
                self.losses.append(Loss(path, f"image not sent: the model reads no {kind}"))
                return text_parts(f"[An image of type {kind} was here; this model cannot see such images.]")
            self.mapped.add(self.place + ".source")
            return [_inline(kind, source.data)]
        if isinstance(source, Source) and source.type == "url" and source.url:
            if not self.profile.accepts_image_urls:
                raise UnsupportedContent(path, "this model takes images as base64 data only, not by URL")
            self.mapped.add(self.place + ".source")
            return [_file(_kind_by_name(source.url), source.url)]
        raise UnsupportedContent(path, "an image must come as base64 data or by URL; Anthropic's files stay there")

    def _document(self, block: Block, path: str) -> Parts:
        source = block.source
        if not isinstance(source, Source):
            raise UnsupportedContent(path, "a document without a source")
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "context") if getattr(block, name)}
        intro = text_parts("\n".join(filter(None, (block.title and f"Document: {block.title}", block.context))))
        if source.type == "text" and source.data is not None:
            return [*intro, *text_parts(source.data)]
        if source.type == "content":
            inner = source.content
            if isinstance(inner, str):
                return [*intro, *text_parts(inner)]
            outer, self.place = self.place, f"{self.place}.source.content[]"
            for number, piece in enumerate(inner or ()):
                intro += self.parts(piece, f"{path}.source.content[{number}]")
            self.place = outer
            return intro
        if source.type == "base64" and source.data and self.profile.accepts_files:
            return [*intro, _inline(source.media_type or _PDF, source.data)]
        if source.type == "url" and source.url and self.profile.accepts_files == "url":
            return [*intro, _file(_PDF, source.url)]
        kind = source.media_type or f"source `{source.type}`"
        raise UnsupportedContent(
            path, f"this target cannot read a document of {kind}; send its text, or choose a model that reads files"
        )

    def _search_result(self, block: Block, path: str) -> Parts:
        source = block.source
        place = source if isinstance(source, str) else ""
        self.mapped |= {f"{self.place}.{name}" for name in ("source", "title", "content")}
        head = " ".join(filter(None, ("Search result:", block.title, place and f"({place})")))
        return [*text_parts(head), *self.result_parts(block, path)]


def text_parts(text: str) -> Parts:
    """One part of text, exactly as it is; none for no text, which is refused."""
    return [{"text": text}] if text else []


def _inline(kind: str, data: str) -> JsonObject:
    if data.startswith("data:"):
        data = data.partition(",")[2]
    return {"inlineData": {"mimeType": kind, "data": data}}


def _file(kind: str, uri: str) -> JsonObject:
    return {"fileData": {"mimeType": kind, "fileUri": uri}}


def _of_data_url(url: str) -> Source:
    head, _, data = url.removeprefix("data:").partition(",")
    return Source(type="base64", media_type=head.partition(";")[0] or None, data=data)


def _kind_by_name(url: str) -> str:
    """The type of the image at `url` by the end of its name: Vertex wants one, and what comes is looked at anyway."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    return _IMAGES.get(path.rpartition(".")[2].lower(), "image/jpeg")

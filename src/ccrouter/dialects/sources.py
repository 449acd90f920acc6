"""Web pages that a Messages answer found and cites, for clients of OpenAI's dialects. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import BlockStart


class Sources:
    """Gathers the pages that were `found`, and what the text cites of them."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.cited: list[JsonObject] = []

    def note(self, block: JsonObject) -> list[str]:
        """Take the pages of a search's result; their URLs."""
        content = block.get("content")
        pages = [page for page in content if isinstance(page, dict)] if isinstance(content, list) else []
        urls = [str(page["url"]) for page in pages if page.get("url")]
        for page in pages:
            if page.get("url"):
                self.found.setdefault(str(page["url"]), str(page.get("title") or page["url"]))
        return urls

    def cite(self, citation: Any, start: int, end: int) -> JsonObject | None:
        """The place of the text from `start` to `end` rests on this page: its annotation; None if it is no page."""
        url = citation.get("url") if isinstance(citation, dict) else None
        if not url:
            return None
        annotation = _annotation(str(url), str(citation.get("title") or url), start, end)
        self.cited.append(annotation)
        return annotation

    def annotations(self) -> list[JsonObject]:
        """What the text cites; the pages found where nothing says which place rests on which."""
        return self.cited or [_annotation(url, title, 0, 0) for url, title in self.found.items()]


def _annotation(url: str, title: str, start: int, end: int) -> JsonObject:
    return {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}


def block_of(event: BlockStart) -> JsonObject:
    """The block that begins, as an object."""
    block = event.content_block
    return block if isinstance(block, dict) else msgspec.to_builtins(block)

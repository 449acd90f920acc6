"""What Google was searched for, and which pages say what of the answer: gathered, and told as Messages does. Pure."""

from __future__ import annotations

from ccrouter.dialects.citations import Citations
from ccrouter.dialects.gemini.chunks import Grounding, WebPage
from ccrouter.messages.writer import MessageWriter


class Sources:
    """Gathers searches, pages and citations. `as_results` if the client asked for a search."""

    def __init__(self, *, as_results: bool) -> None:
        self._as_results = as_results
        self._pages = Citations(as_results=as_results)
        self._cited: dict[tuple[str, str], str] = {}  # text and URL → title

    def read(self, grounding: Grounding) -> None:
        """Take what a chunk tells; what an earlier one told counts once."""
        for query in grounding.web_search_queries or ():
            self._pages.search(query)
        pages = [chunk.web or WebPage() for chunk in grounding.grounding_chunks or ()]
        for page in pages:
            self._pages.add(page.uri or "", page.title or "")
        for support in grounding.grounding_supports or ():
            text = support.segment.text if support.segment else None
            for index in support.grounding_chunk_indices or ():
                page = pages[index] if 0 <= index < len(pages) else WebPage()
                if text and page.uri:
                    self._cited[text, page.uri] = page.title or page.uri

    def write(self, writer: MessageWriter) -> None:
        """Write what was gathered, at the end of the text; nothing if there was nothing."""
        if self._as_results:
            for (text, url), title in self._cited.items():
                writer.citation(
                    {
                        "type": "web_search_result_location",
                        "cited_text": text,
                        "url": url,
                        "title": title,
                        "encrypted_index": "",
                    }
                )
        self._pages.write(writer)

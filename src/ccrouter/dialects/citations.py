"""Web pages that an answer cites, as Messages says them. Pure.

A client that asked for a web search gets the blocks that Anthropic's own search gives (Claude Code makes its list of
links of them); any other gets them as words at the end of the text.
"""

from __future__ import annotations

from ccrouter.messages.writer import MessageWriter


class Citations:
    """Gathers the pages cited, each once, in order. `as_results` if the client asked for a search."""

    def __init__(self, *, as_results: bool) -> None:
        self._as_results = as_results
        self._titles: dict[str, str] = {}

    def add(self, url: str, title: str = "") -> None:
        """A page; no page without a URL."""
        if url:
            self._titles.setdefault(url, title or url)

    def write(self, writer: MessageWriter) -> None:
        """Write what was gathered; nothing if there was nothing."""
        if not self._titles:
            return
        if not self._as_results:
            lines = "".join(f"\n- [{title}]({url})" for url, title in self._titles.items())
            writer.text(f"\n\nSources:{lines}")
            return
        id = "srvtoolu_web_search"  # noqa: A001 - the protocol's own word; one search stands for all of an answer
        writer.block({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": ""}})
        results = [
            {"type": "web_search_result", "url": url, "title": title, "encrypted_content": "", "page_age": None}
            for url, title in self._titles.items()
        ]
        writer.block({"type": "web_search_tool_result", "tool_use_id": id, "content": results})

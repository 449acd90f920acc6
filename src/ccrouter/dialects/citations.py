"""Web searches that a provider made, and the pages that an answer cites, as Messages says them. Pure.

A client that asked for a web search gets the blocks that Anthropic's own search gives (Claude Code makes its list of
links of them); any other gets the pages as words at the end of the text.
"""

from __future__ import annotations

from ccrouter.messages.writer import MessageWriter


class Citations:
    """Gathers searches, and the pages cited, each once, in order. `as_results` if the client asked for a search."""

    def __init__(self, *, as_results: bool) -> None:
        self._as_results = as_results
        self._titles: dict[str, str] = {}
        self._queries: dict[str, None] = {}

    def search(self, query: str) -> None:
        """The provider searched for `query`."""
        self._queries[query] = None

    def add(self, url: str, title: str = "") -> None:
        """A page; no page without a URL. A title that comes later counts."""
        if url and (title or url not in self._titles):
            known = self._titles.get(url, url)
            self._titles[url] = known if known != url else title or url

    def write(self, writer: MessageWriter) -> None:
        """Write what was gathered; nothing if there was nothing.

        Nobody says which search found which page: all of them are the result of the last one.
        """
        if not self._as_results:
            if self._titles:
                lines = "".join(f"\n- [{title}]({url})" for url, title in self._titles.items())
                writer.text(f"\n\nSources:{lines}")
            return
        queries = [query for query in self._queries if query] or ([""] if self._titles or self._queries else [])
        for number, query in enumerate(queries, 1):
            id = f"srvtoolu_web_search_{number}" if number > 1 else "srvtoolu_web_search"  # noqa: A001 - the protocol's own word
            pages = self._titles if number == len(queries) else {}
            writer.block({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}})
            results = [
                {"type": "web_search_result", "url": url, "title": title, "encrypted_content": "", "page_age": None}
                for url, title in pages.items()
            ]
            writer.block({"type": "web_search_tool_result", "tool_use_id": id, "content": results})

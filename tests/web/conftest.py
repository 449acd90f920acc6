"""A browser's way of asking, and a strict reading of what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from tests.gateway.conftest import upstream
from tests.server.conftest import Answer, call

__all__ = ["clock", "upstream"]

HOST = "127.0.0.1:3456"
COOKIE = "ccr-session-3456"
ELSEWHERE = "192.0.2.7"
#: What a browser says of a form that was sent from our own page, and of an address that its user typed.
FROM_OWN_PAGE = {
    "origin": f"http://{HOST}",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
TYPED = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Clock:
    """Seconds that pass when a test says so. As a router's clock it must begin above nought."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class Browser:
    """Keeps the cookie that it is given, as far as its path and host allow."""

    app: object
    cookie: str = ""

    async def get(self, path, headers=(), **more) -> Answer:
        return await self._ask("GET", path, {**TYPED, **dict(headers)}, b"", more)

    async def post(self, path, fields=(), headers=(), **more) -> Answer:
        body = urlencode(dict(fields)).encode()
        return await self._ask("POST", path, {**FORM, **FROM_OWN_PAGE, **dict(headers)}, body, more)

    async def _ask(self, method, path, headers, body, more) -> Answer:
        if self.cookie and path.startswith("/ui"):
            headers = {"cookie": f"{COOKIE}={self.cookie}", **headers}
        answer = await call(self.app, method, path, {"host": HOST, **headers}, body, **more)
        if "set-cookie" in answer.headers:
            name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
            assert name == COOKIE
            self.cookie = value.strip('"')
        return answer


_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
#: Elements that hold text or other elements of the line, and none of these.
_BLOCKS = frozenset(
    {"div", "p", "section", "ul", "ol", "dl", "table", "form", "h1", "h2", "h3", "main", "header", "nav"}
)


@dataclass
class Document(HTMLParser):
    """HTML that is read as it is written: every element is closed by hand and in order. `problems` is what is wrong."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self):
        HTMLParser.__init__(self)
        self._open: list[str] = []
        if not self.text.startswith("<!DOCTYPE html>\n<html lang="):
            self.problems.append("no doctype, or no language")
        self.feed(self.text)
        self.close()
        self.problems += [f"<{name}> is not closed" for name in self._open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.problems.append(f"<{tag}> has an attribute twice")
        if tag in _BLOCKS and "p" in self._open:
            self.problems.append(f"<{tag}> inside <p>")
        # a title in a drawing is another element than the page's, of the same name
        self.elements.append(("svg-title" if tag == "title" and "svg" in self._open else tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if "svg" in self._open:
            self.elements.append((tag, dict(attrs)))
        else:
            self.problems.append(f"<{tag}/> is not HTML")

    def handle_endtag(self, tag):
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> where {self._open[-1:]} is open")
        else:
            self._open.pop()

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, data):
        self.problems.append(f"a comment: {data}")

    def of(self, tag) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def content(self) -> str:
        return " ".join(" ".join(self.words).split())

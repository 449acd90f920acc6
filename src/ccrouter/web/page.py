"""What a page is, and how it is written. Facts in, HTML out; no I/O but the reading of our own templates.

A template is given plain values alone, from which every secret has been taken: it cannot show what it does not have.
Whatever is put into one is escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import Secret, redact
from ccrouter.web.verbatim import Verbatim
from ccrouter.web.view import NotFound, View
from ccrouter.web.words import FILTERS

__all__ = [
    "HEADERS",
    "NotFound",
    "Page",
    "View",
    "cleaned",
    "facts_of",
    "render",
    "render_missing",
    "render_sign_in",
    "write",
]

if TYPE_CHECKING:
    from jinja2 import Environment

#: Nothing from elsewhere, no frame around us, forms to us alone; scripts and styles are files of ours, never in a page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

#: Sent with everything below /ui. The referrer policy is not `no-referrer`: with that, browsers send `Origin: null`
#: with the form of a page to its own site (Fetch standard, "append a request Origin header"), and we judge by it.
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `path` is where it is served, `title` what links to it say, `template` its file in templates/.

    `read` gives the facts that the template is written from, as plain values, times in ISO 8601; they may still hold
    secrets. It may raise NotFound. The same facts are served as JSON at `twin`. A page that is not `is_listed` has no
    link of its own at the top; its `section` is the path of the one that it belongs to.
    """

    path: str
    title: str
    template: str
    read: Callable[[View], JsonObject]
    twin: str
    is_listed: bool = True
    section: str = ""


def facts_of(page: Page, view: View) -> JsonObject:
    """What the page tells, without secrets, and without characters that cannot be seen. Raises NotFound."""
    return cleaned(page.read(view), view.config.secrets)


def render(page: Page, view: View, pages: Iterable[Page], *, signed_in: bool) -> str:
    """The page as HTML, with links to all `pages`. `signed_in`: there is a session, and so a way to end it.

    Raises NotFound.
    """
    here = page.section or page.path
    links = [{"path": one.path, "title": one.title, "is_here": one.path == here} for one in pages if one.is_listed]
    frame = {"title": page.title, "links": links, "signed_in": signed_in, "now": view.now, "query": dict(view.query)}
    return _write(
        page.template, {**frame, **facts_of(page, view), "outcome": cleaned(view.outcome, view.config.secrets)}
    )


def render_missing(words: str, pages: Iterable[Page], *, signed_in: bool) -> str:
    """The page for what there is not."""
    links = [{"path": one.path, "title": one.title, "is_here": False} for one in pages if one.is_listed]
    return write("missing.html", {"title": "Not found", "links": links, "signed_in": signed_in, "words": words})


def render_sign_in(error: str = "") -> str:
    """The form that asks for the router's key, with what was wrong with the last one. It tells nothing."""
    return write("sign-in.html", {"title": "Sign in", "links": [], "signed_in": False, "error": error})


def write(template: str, facts: Mapping[str, Json]) -> str:
    """The template filled in. Raises jinja2.UndefinedError for a fact that is missing."""
    return _write(template, facts)


def _write(template: str, facts: Mapping[str, object]) -> str:
    return _environment().get_template(template).render(facts)


def cleaned(facts: JsonObject, secrets: Iterable[Secret]) -> JsonObject:
    """`facts` without secrets, and without characters that cannot be seen or that a page may not hold."""
    known = tuple(secrets)

    def clean(value: Json) -> Json:
        if isinstance(value, Verbatim):
            # half a pair, which no page can hold, as it is escaped in JSON: what is edited comes back the same
            return redact(value, known).encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str):
            return "".join(map(_visible, redact(value, known)))
        if isinstance(value, list):
            return [clean(one) for one in value]
        if isinstance(value, dict):
            return {key: clean(one) for key, one in value.items()}
        return value

    return {key: clean(value) for key, value in facts.items()}


def _visible(character: str) -> str:
    """Letters that look like others stay; what turns the direction of a line, or is no character, does not."""
    if character.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn"} else character


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - most routers are never looked at

    environment = Environment(
        loader=PackageLoader("ccrouter.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    return environment

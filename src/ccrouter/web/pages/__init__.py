"""The registry of pages. Each is a module here that defines PAGE, its template, and a line below."""

from __future__ import annotations

from ccrouter.web.page import Page
from ccrouter.web.pages import overview

#: In the order of the links at the top of each page.
PAGES: tuple[Page, ...] = (overview.PAGE,)

"""The registry of pages. Each is a module here that defines PAGE, its template, and a line below."""

from __future__ import annotations

from ccrouter.web.page import Page
from ccrouter.web.pages import (
    configuration,
    logs,
    overview,
    policy,
    providers,
    request,
    requests,
    routes,
    session,
    sessions,
)

#: In the order of the links at the top of each page.
PAGES: tuple[Page, ...] = (
    overview.PAGE,
    requests.PAGE,
    request.PAGE,
    sessions.PAGE,
    session.PAGE,
    providers.PAGE,
    routes.PAGE,
    policy.PAGE,
    configuration.PAGE,
    logs.PAGE,
)

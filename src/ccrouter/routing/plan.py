"""What to try, in order, and which failures are worth another try elsewhere. Pure; tries nothing itself."""

from __future__ import annotations

import re

from ccrouter.config.schema import Router, Target
from ccrouter.errors import (
    RemoteProtocolError,
    RouterError,
    UnsupportedContent,
    UpstreamStatus,
    UpstreamUnreachable,
)
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.rules import Route

#: Routes with fallbacks of their own and no others. The Node router, whose configurations we read, files every other
#: decision (explicit models, tags, images) under `default`, and people list their fallbacks there.
_OWN_FALLBACK = frozenset({"default", "background", "think", "longContext", "webSearch"})

#: Failures that another provider need not share. 401 and 402 are about one account; 403 and 404 about what was asked
#: for, where another model in its place would get round a refusal or hide a wrong configuration.
_ELSEWHERE = frozenset({401, 402, 408, 409, 425, 429})

#: How providers say that a request does not fit the model's window; another model's may be larger.
_OVERFLOW = re.compile(
    r"prompt is too long|maximum context length|context_length_exceeded|context[ _](?:window|length|size)[^.]*exceed"
    r"|exceed\w*[^.]*context (?:window|length|size|limit)|exceeds the maximum number of tokens"
    r"|reduce the length of the (?:messages|prompt)|range of input length should be|prompt exceeds max length"
    r"|input is too long|too many (?:input )?tokens|model_context_window_exceeded",
    re.IGNORECASE,
)


def make_plan(route: Route, router: Router, catalog: Catalog) -> tuple[Target, ...]:
    """The targets to try, best first, none twice: the route's own, then its fallbacks.

    A fallback whose provider is not configured is left out: loading the configuration has said which.
    """
    targets = [route.target]
    for ref in router.fallback.get(_fallback_name(route, router), ()):
        target = catalog.target(ref)
        if target is not None and target not in targets:
            targets.append(target)
    return tuple(targets)


def _fallback_name(route: Route, router: Router) -> str:
    return route.name if route.name in router.fallback or route.name in _OWN_FALLBACK else "default"


def is_context_overflow(error: UpstreamStatus) -> bool:
    """True if the provider refused the request for its length in tokens."""
    return error.status in (400, 413, 422) and _OVERFLOW.search(str(error)) is not None


def should_fall_back(error: RouterError) -> bool:
    """True if another target may succeed where this one failed so. Asked only before the first byte has gone out.

    Ours and the client's errors stay errors, with one exception: content that one target's dialect cannot carry.
    """
    match error:
        case UpstreamStatus(status=status):
            return status in _ELSEWHERE or status >= 500 or is_context_overflow(error)
        case UpstreamUnreachable() | RemoteProtocolError() | UnsupportedContent():
            return True
        case _:
            return False

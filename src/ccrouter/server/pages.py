"""The endpoints of the pages below /ui. What a page says is written by `ccrouter.web`; here it is asked for.

In a thread: the first page brings in the template language, and the event loop is not to wait for that.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, RedirectResponse, Response

from ccrouter import __version__
from ccrouter.config.load import router_folder
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.server.auditstate import looking_at_audit
from ccrouter.server.call import Call, Endpoint
from ccrouter.server.configstate import looking_at_file
from ccrouter.server.health import survey
from ccrouter.server.intake import read_body
from ccrouter.server.logs import looking_at_logs
from ccrouter.server.sessions import LIFETIME, cookie_name, tokens_of
from ccrouter.web.files import FILES
from ccrouter.web.page import HEADERS, NotFound, Page, View, facts_of, render, render_missing, render_sign_in
from ccrouter.web.pages import PAGES

_HOME = "/ui/"
_SIGN_IN = "/ui/sign-in"
_LARGEST_FORM = 64 * 1024  # bytes; most forms have a key or a name in them
_MOST_FIELDS = 2000


def serving(page: Page) -> Endpoint:
    """The endpoint that answers with `page`."""

    async def serve(call: Call) -> Response:
        return await show(call, page)

    return serve


def telling(page: Page) -> Endpoint:
    """The endpoint that answers with the facts of `page`, as JSON. Raises ClientError (404) for what there is not."""

    async def tell(call: Call) -> Response:
        view = await look(call)
        try:
            return JSONResponse(await asyncio.to_thread(facts_of, page, view))
        except NotFound as error:
            raise ClientError(str(error), status=404, type="not_found_error") from error

    return tell


async def show(call: Call, page: Page, outcome: JsonObject | None = None, status: int = 200) -> Response:
    """`page` as HTML, with the outcome of the form that was sent, if one was; 404 for what there is not."""
    view, signed_in = await look(call, outcome), call.edition.guard.has_session(call.caller)
    try:
        return _html(await asyncio.to_thread(render, page, view, PAGES, signed_in=signed_in), status)
    except NotFound as error:
        return _html(await asyncio.to_thread(render_missing, str(error), PAGES, signed_in=signed_in), 404)


async def look(call: Call, outcome: JsonObject | None = None) -> View:
    """What pages may look at, now."""
    edition, process = call.edition, call.process
    live = await process.exchanges.all_under_way(process.now())
    return View(
        config=edition.config,
        policy=edition.policy,
        version=__version__,
        pid=process.pid,
        started=process.started,
        now=datetime.now(UTC),
        folder=router_folder(process.environ),
        reports=process.reports,
        query=call.words(),
        params=call.params,
        health=survey(call),
        live=[one for one in live if one["id"] != call.id],
        denial_of=edition.gateway.denial_of,
        logs=looking_at_logs(process),
        file=looking_at_file(call, outcome),
        audit=looking_at_audit(call),
        test=await process.examiner.last() or {},
        outcome=outcome or {},
    )


async def read_form(call: Call, largest: int = _LARGEST_FORM, most: int = _MOST_FIELDS) -> dict[str, str]:
    """The fields of a page's form, the last of each name. Raises ClientError for what is none."""
    body = await read_body(call.receive, call.caller.headers, min(largest, call.edition.config.max_body))
    try:
        if len(body) <= _LARGEST_FORM:
            return _fields(body, most)
        return await asyncio.to_thread(_fields, body, most)  # some take half a second to be read
    except ValueError as error:
        raise ClientError("that is not the form of this page") from error


def _fields(body: bytes, most: int) -> dict[str, str]:
    text = body.decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=most, errors="replace"))


async def enter(_call: Call) -> Response:
    return _to(_HOME)


async def show_sign_in(call: Call) -> Response:
    """The form; nothing to do with it where no key is configured, and for who is signed in already."""
    guard = call.edition.guard
    if not guard.asks_sign_in or guard.has_session(call.caller):
        return _to(_HOME)
    return _html(await asyncio.to_thread(render_sign_in))


async def sign_in(call: Call) -> Response:
    """A session, for the router's key; else the form again, with 401 and no word on what is wrong with the key."""
    fields = await read_form(call, most=8)
    edition = call.process.edition  # the key may have changed while the form was on its way
    if not edition.guard.asks_sign_in:
        return _to(_HOME)
    if not edition.guard.is_key(fields.get("key", "").strip()):
        words = "That is not the key of this router."
        return _html(await asyncio.to_thread(render_sign_in, words), status=401)
    _end_session(call)
    response = _to(_HOME)
    _set_cookie(response, edition.config.port, call.process.sessions.open(), LIFETIME)
    return response


async def sign_out(call: Call) -> Response:
    """The session has ended, here and in the browser."""
    _end_session(call)
    response = to_sign_in()
    _set_cookie(response, call.edition.config.port, "", 0)
    return response


async def read_file(call: Call) -> Response:
    """One of the files that pages refer to. Raises ClientError (404)."""
    file = FILES.get(call.params["name"])
    if file is None:
        raise ClientError("there is no such file", status=404, type="not_found_error")
    return Response(file.read(), headers={**HEADERS, "content-type": file.media_type})


def to_sign_in() -> Response:
    """The way to the form."""
    return _to(_SIGN_IN)


def _end_session(call: Call) -> None:
    for token in tokens_of(call.caller.headers, cookie_name(call.edition.config.port)):
        call.process.sessions.close(token)


def _set_cookie(response: Response, port: int, token: str, seconds: int) -> None:
    """Not `Secure`: a router speaks plain HTTP, and on this machine only."""
    response.set_cookie(cookie_name(port), token, max_age=seconds, path="/ui", httponly=True, samesite="strict")


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, HEADERS, media_type="text/html")


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, HEADERS)

"""The endpoints of the pages below /ui. What a page says is written by `ccrouter.web`; here it is asked for.

In a thread: the first page brings in the template language, and the event loop is not to wait for that.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from starlette.responses import RedirectResponse, Response

from ccrouter import __version__
from ccrouter.errors import ClientError
from ccrouter.server.call import Call, Endpoint
from ccrouter.server.intake import read_body
from ccrouter.server.sessions import LIFETIME, cookie_name, tokens_of
from ccrouter.web.files import FILES
from ccrouter.web.page import HEADERS, Page, Snapshot, render, render_sign_in
from ccrouter.web.pages import PAGES

_HOME = "/ui/"
_SIGN_IN = "/ui/sign-in"
_LARGEST_FORM = 64 * 1024  # bytes; the only form has one key in it


def serving(page: Page) -> Endpoint:
    """The endpoint that answers with `page`."""

    async def serve(call: Call) -> Response:
        edition, process = call.edition, call.process
        snapshot = Snapshot(edition.config, edition.policy, __version__, process.pid, process.started)
        signed_in = edition.guard.has_session(call.caller)
        return _html(await asyncio.to_thread(render, page, snapshot, PAGES, signed_in=signed_in))

    return serve


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
    body = await read_body(call.receive, call.caller.headers, min(_LARGEST_FORM, call.edition.config.max_body))
    try:
        fields = parse_qs(body.decode("latin-1"), keep_blank_values=True, max_num_fields=8, errors="replace")
    except ValueError as error:
        raise ClientError("that is not the form of this page") from error
    edition = call.process.edition  # the key may have changed while the form was on its way
    if not edition.guard.asks_sign_in:
        return _to(_HOME)
    if not edition.guard.is_key(fields.get("key", [""])[0].strip()):
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

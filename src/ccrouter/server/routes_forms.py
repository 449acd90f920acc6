"""Trying a route: what would become of a request, without sending it, from the page and from /api/routes/try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import msgspec
from starlette.responses import JSONResponse, Response

from ccrouter.dialects.registry import SERVED
from ccrouter.dialects.served import Served
from ccrouter.errors import ClientError, RouterError
from ccrouter.gateway.record import Exchange
from ccrouter.jsontypes import JsonObject
from ccrouter.server.call import Call
from ccrouter.server.faults import fault_for
from ccrouter.server.pages import read_form, show
from ccrouter.web.page import cleaned
from ccrouter.web.pages import routes
from ccrouter.web.parts.trying import HEADER_FIELDS

#: Bytes of a form with a request in it: encoded, a request of a third of that at least.
_LARGEST = 8 * 1024 * 1024
_MOST_FIELDS = 16
#: Lines and characters of what was pasted that the page shows again.
_MOST_LINES, _MOST_SHOWN = 5000, 400_000
_MESSAGES = "messages"
_FORMS: Mapping[str, Served | None] = {_MESSAGES: None, **{str(name): form for name, form in SERVED.items()}}
_PATHS = {_MESSAGES: "/v1/messages", "openai_chat": "/v1/chat/completions", "openai_responses": "/v1/responses"}
_MOST_HEADERS = 50


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What the twin is asked: the request's own bytes, which are not looked into here."""

    request: msgspec.Raw
    headers: dict[str, str] = {}
    api: str = _MESSAGES


async def try_route(call: Call) -> Response:
    """The page again, with what would become of the request that was pasted, or what is wrong with it."""
    fields = await read_form(call, _LARGEST, _MOST_FIELDS)
    text = fields.get("request", "").replace("\r\n", "\n")
    api = fields.get("api", _MESSAGES)
    given = {name: fields.get(name, "").strip() for name in HEADER_FIELDS}
    shown: JsonObject = {
        "lines": text.split("\n")[:_MOST_LINES] if len(text) <= _MOST_SHOWN else [],
        "api": api,
        "fields": given,
    }
    headers = {HEADER_FIELDS[name]: value for name, value in given.items() if value}
    try:
        body = await asyncio.to_thread(_body_of, text)  # it may have megabytes
        told = await _explain(call, body, headers, api)
    except RouterError as error:
        fault = fault_for(error, call.edition.config.secrets)
        return await show(call, routes.PAGE, {"given": shown, "error": fault.message, "told": None}, fault.status)
    return await show(call, routes.PAGE, {"given": shown, "error": None, "told": told})


async def try_json(call: Call) -> Response:
    """The same as facts: `request` (the body), `headers` and `api` ("messages", "openai_chat", "openai_responses").

    Raises ClientError (400) for what is no request.
    """
    try:
        wanted = msgspec.json.decode(await call.body(), type=_Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        form = '{"request": {"model": …, "messages": […]}, "headers": {}, "api": "messages"}'
        raise ClientError(f"say what to try: {form}; {error}") from error
    if len(wanted.headers) > _MOST_HEADERS:
        raise ClientError("headers: too many")
    lowered = {name.lower(): value for name, value in wanted.headers.items()}
    told = await _explain(call, bytes(wanted.request), lowered, wanted.api)
    return JSONResponse(cleaned(told, call.edition.config.secrets))


async def _explain(call: Call, body: bytes, headers: Mapping[str, str], api: str) -> JsonObject:
    if api not in _FORMS:
        raise ClientError(f"api: must be one of {', '.join(_FORMS)}")
    exchange = Exchange(call.id, _PATHS[api], call.process.now())
    return await call.edition.gateway.explain(body, headers, exchange, _FORMS[api])


def _body_of(text: str) -> bytes:
    """The text as a body. Raises ClientError that says where it stops being JSON."""
    if not text.strip():
        raise ClientError("Paste a request first: a JSON object with a model and messages.")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        near = error.doc[max(0, error.pos - 20) : error.pos + 20].replace("\n", " ")
        place = f"line {error.lineno}, column {error.colno}"
        raise ClientError(f"This is not JSON. {error.msg} at {place}, near: {near}") from error
    except RecursionError as error:
        raise ClientError("This is nested too deeply.") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise ClientError("This is no request: a number in it has too many digits.") from error
    if not isinstance(found, dict):
        raise ClientError("The request must be a JSON object: { … }.")
    return text.encode("utf-8", "surrogatepass")

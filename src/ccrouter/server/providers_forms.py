"""What is done from the page of providers: forgetting what is bad about one, and testing one."""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse, Response

from ccrouter.errors import ClientError, RouterError
from ccrouter.jsontypes import JsonObject
from ccrouter.server.call import Call
from ccrouter.server.faults import fault_for
from ccrouter.server.health import forget
from ccrouter.server.pages import read_form, show
from ccrouter.web.page import HEADERS
from ccrouter.web.pages import providers

_RESULT = "/ui/providers#test"
_MOST_FIELDS = 8


async def act(call: Call) -> Response:
    """What the form asks for is done ("reset"), or has begun ("test"); the page says so, or why not."""
    fields = await read_form(call, most=_MOST_FIELDS)
    wish, provider, model = (fields.get(name, "") for name in ("do", "provider", "model"))
    if wish not in {"reset", "test"}:
        raise ClientError("that is not a form of this page")
    try:
        if wish == "test":
            await call.process.examiner.begin(call.edition, provider, model, call.id)
            return RedirectResponse(_RESULT, 303, HEADERS)  # to load the page again is not to ask again
        given: JsonObject = {name: value for name, value in (("provider", provider), ("model", model)) if value}
        done = forget(call, given)
    except RouterError as error:
        fault = fault_for(error, call.edition.config.secrets)
        return await show(call, providers.PAGE, {"did": wish, "error": fault.message}, fault.status)
    return await show(call, providers.PAGE, {"did": wish, "error": None, **done})


async def test(call: Call) -> Response:
    """A test has begun: its facts, as GET /api/providers tells them from then on (202).

    Raises ClientError: 400 for what names no provider and model, 404 for one that there is not, 409 while another test
    is under way; and Denied.
    """
    given = await call.json_object()
    unknown = sorted(given.keys() - {"provider", "model"})
    provider, model = given.get("provider"), given.get("model")
    if unknown or not isinstance(provider, str) or not isinstance(model, str):
        raise ClientError('say whom to ask: {"provider": "openrouter", "model": "qwen/qwen3-coder"}')
    await call.process.examiner.begin(call.edition, provider, model, call.id)
    return JSONResponse({"test": call.process.examiner.here()}, 202)

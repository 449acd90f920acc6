"""The endpoints of clients beside messages: what they probe, list and count. None of them changes anything."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from ccrouter import __version__
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import RouterError
from ccrouter.gateway.record import CLIENT_GONE, Exchange
from ccrouter.jsontypes import JsonObject
from ccrouter.server.call import Call
from ccrouter.server.faults import fault_for
from ccrouter.server.intake import ClientGone


async def root(_call: Call) -> Response:
    return JSONResponse({"message": "ccrouter", "version": __version__, "docs": "POST /v1/messages"})


async def health(call: Call) -> Response:
    """That we are here; to who may know it, also what is in force."""
    told: JsonObject = {
        "status": "ok",
        "timestamp": timestamp(datetime.now(UTC)),
        "service": "ccrouter",
        "version": __version__,
    }
    if call.edition.guard.is_trusted(call.caller):
        told |= in_force(call.edition.config, call.edition.policy)
    return JSONResponse(told)


async def hello(_call: Call) -> Response:
    return JSONResponse({"message": "hello"})


async def telemetry(call: Call) -> Response:
    """Claude Code 2.0's event batches: taken, so that it does not retry, and thrown away."""
    await call.body()
    return JSONResponse({"accepted_count": 0, "rejected_count": 0})


async def count_tokens(call: Call) -> Response:
    """The input tokens of a request; logged and audited as an exchange."""
    exchange = Exchange(call.id, "/v1/messages/count_tokens", call.process.now())
    exchange.status, exchange.error = 500, "cut short"  # unless something better is known below
    try:
        call.enter()
        body = await call.body()
        tokens = await call.edition.gateway.count_tokens(body, call.caller.headers, exchange)
        exchange.status, exchange.error = 200, ""
    except RouterError as error:
        fault = fault_for(error, call.edition.config.secrets)
        exchange.status, exchange.error = fault.status, fault.message
        raise
    except ClientGone:
        exchange.status, exchange.error = CLIENT_GONE, "the client hung up"
        raise
    finally:
        call.process.finish(exchange)
    return JSONResponse({"input_tokens": tokens})


async def models(call: Call) -> Response:
    data = [_model_entry(name) for name in call.edition.gateway.models()]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    told = {"object": "list", "data": data, "has_more": False, "first_id": first, "last_id": last}
    return JSONResponse(told)


async def model(call: Call) -> Response:
    """One model, whatever a request may name: served by its own route or the default one. Raises Denied, NoTarget."""
    name = call.params["id"]
    call.edition.gateway.check_model(name, call.id)
    return JSONResponse(_model_entry(name))


def in_force(config: Config, policy: Policy) -> JsonObject:
    """Which policy and configuration are in force, by their digests; "policy" is None without one."""
    told = None
    if policy.is_in_force:
        told = {
            "name": policy.name,
            "digest": policy.digest,
            "source": policy.source,
            "isPinned": policy.is_pinned,
        }
    path = str(config.path) if config.path else None
    return {"policy": told, "config": {"path": path, "digest": config.digest}}


def timestamp(time: datetime) -> str:
    """ISO 8601 in UTC, milliseconds."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _model_entry(name: str) -> JsonObject:
    """A model as the SDKs of Anthropic and of OpenAI read it."""
    provider, comma, _ = name.partition(",")
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
        "object": "model",
        "created": 0,
        "owned_by": provider if comma else "ccrouter",
    }

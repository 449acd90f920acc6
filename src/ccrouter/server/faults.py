"""Errors on their way to a client: never with a secret in them, always in the form of the API that it speaks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from starlette.responses import Response

from ccrouter.dialects.served import Served
from ccrouter.errors import LocalProtocolError, RouterError
from ccrouter.messages.fault import Fault, fault_of, type_of_status
from ccrouter.secret import Secret, redact
from ccrouter.server.admission import Busy


def fault_for(error: RouterError, secrets: Iterable[Secret]) -> Fault:
    """The error as the client is told it, without keys: providers quote them in their own error texts."""
    fault = fault_of(error)
    secrets = tuple(secrets)
    body = fault.body
    if body is not None:
        text = body.decode("utf-8", "replace")
        body = body if redact(text, secrets) == text else None
    message = redact(fault.message, secrets)
    if isinstance(error, Busy):
        return Fault(fault.status, fault.type, message, error.retry_after, should_retry=True)
    return Fault(fault.status, fault.type, message, fault.retry_after, fault.should_retry, fault.details, body)


def fault_headers(fault: Fault) -> dict[str, str]:
    """The headers that clients decide by whether and when to try again."""
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(fault.retry_after)))
    if fault.should_retry is not None:
        headers["x-should-retry"] = "true" if fault.should_retry else "false"
    return headers


def fault_answer(fault: Fault, request_id: str, form: Served | None = None) -> tuple[int, bytes]:
    """Status and body; in the form of the Messages API for `form` None."""
    if form is None:
        return fault.status, fault.json(request_id)
    return form.status(fault), form.error(fault, request_id)


def fault_response(
    fault: Fault, request_id: str, headers: Mapping[str, str] | None = None, form: Served | None = None
) -> Response:
    """The whole answer."""
    status, body = fault_answer(fault, request_id, form)
    lines = {**fault_headers(fault), **(headers or {})}
    return Response(body, status, lines, media_type="application/json")


def no_route(method: str, path: str, methods: Sequence[str], request_id: str, form: Served | None) -> Response:
    """The answer where nothing is served: 405 on a path that has other `methods`, else 404. `path` holds no secret."""
    headers = {} if form is None else dict(form.headers(request_id))
    if methods:
        fault = Fault(405, type_of_status(405), f"{method} is not allowed for {path}")
        return fault_response(fault, request_id, {**headers, "allow": ", ".join(methods)}, form)
    there = "the Messages API is at POST /v1/messages"
    if form is not None:
        there = "of OpenAI's API POST /v1/chat/completions and POST /v1/responses are served, and GET /v1/models"
    fault = Fault(404, type_of_status(404), f"there is no {method} {path} here; {there}")
    return fault_response(fault, request_id, headers, form)


def defect(request_id: str) -> LocalProtocolError:
    """What a client is told of a mistake of ours."""
    return LocalProtocolError(f"a defect of the router; its log tells more under {request_id}")

"""Asks a running router to put in force what its files say now."""

from __future__ import annotations

import http.client
import json

from ccrouter.errors import RouterError
from ccrouter.secret import Secret
from ccrouter.service.address import reachable_host

_LARGEST = 256 * 1024  # bytes read of an answer


class NotReloaded(RouterError):
    """What was in force stays in force; the text says why."""


def ask_to_reload(host: str, port: int, key: Secret | None, timeout: float = 30.0) -> list[str]:
    """After the call the router at this address works by its files as they are now; what takes effect only at its next
    start is returned, a line each. `key` is the one that it asks its clients for. Raises NotReloaded.
    """
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=timeout)
    headers = {"accept": "application/json", "content-type": "application/json", "connection": "close"}
    if key:
        headers["x-api-key"] = key.reveal()
    try:
        connection.request("POST", "/api/restart", body="{}", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
    except (http.client.HTTPException, OSError) as error:
        raise NotReloaded(f"no answer to POST /api/restart: {error}") from error
    finally:
        connection.close()
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    if answer.status != 200:
        said = told.get("error") if isinstance(told, dict) else None
        reason = said.get("message") if isinstance(said, dict) else None
        raise NotReloaded(str(reason or f"POST /api/restart was answered with {answer.status}"))
    notes = told.get("notes") if isinstance(told, dict) else None
    return [str(note) for note in notes] if isinstance(notes, list) else []

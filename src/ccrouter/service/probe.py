"""Asks an address whether a router of ours answers there: the measure of "is it running", as no process number is.

`python -m ccrouter.service.probe HOST PORT` ends with 0 if one does, else with 1: a health check for containers.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from dataclasses import dataclass

from ccrouter.service.address import reachable_host

SERVICE = "ccrouter"
_LARGEST = 64 * 1024  # bytes read of an answer: ours is shorter, a stranger's may never end


@dataclass(frozen=True, slots=True)
class Health:
    """What answered: `is_ours` if it is this program; `version` as it says itself, "" if it says none."""

    is_ours: bool
    version: str = ""


def probe(host: str, port: int, timeout: float = 2.0) -> Health | None:
    """Who answers `GET /health` at this address within `timeout` seconds; None if nobody does."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=timeout)
    try:
        connection.request("GET", "/health", headers={"accept": "application/json", "connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
    except http.client.HTTPException:  # somebody talks, but not HTTP
        return Health(is_ours=False)
    except OSError:  # refused, reset, or silent for too long
        return None
    finally:
        connection.close()
    return _read(answer.status, body)


def _read(status: int, body: bytes) -> Health:
    try:
        told = json.loads(body)
    except ValueError:
        return Health(is_ours=False)
    if status != 200 or not isinstance(told, dict) or told.get("service") != SERVICE:
        return Health(is_ours=False)
    return Health(is_ours=True, version=str(told.get("version", "")))


def probe_until(host: str, port: int, patience: float) -> Health | None:
    """As `probe`, asking again for up to `patience` seconds while nobody answers: for one that is just starting."""
    deadline = time.monotonic() + patience
    while True:
        health = probe(host, port)
        if health or time.monotonic() > deadline:
            return health
        time.sleep(0.05)


def main(host: str, port: str) -> int:
    """The exit code of a health check."""
    health = probe(host, int(port))
    return 0 if health is not None and health.is_ours else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

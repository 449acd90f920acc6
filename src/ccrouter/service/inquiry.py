"""Asks a running router what it runs by (policy and configuration, with their digests), and what it has done. Reads
only.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import quote

from ccrouter.errors import RouterError
from ccrouter.jsontypes import JsonObject
from ccrouter.secret import Secret
from ccrouter.service.address import reachable_host

_LARGEST = 1024 * 1024  # bytes read of an answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What a router says of itself. Of the policy: "", None and "" if none is in force. `reload` is how its last reload
    ended, as docs/reference/http.md tells, None for a version that does not say.
    """

    policy_name: str
    policy_digest: str | None
    policy_source: str
    config_path: str
    config_digest: str
    version: str
    reload: JsonObject | None = None


class Unanswered(RouterError):
    """The router does not say; `status` is that of its answer, None without one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def ask_policy(host: str, port: int, key: Secret | None, timeout: float = 2.0) -> Facts:
    """What the router at this address runs by. `key` is the one that it asks its clients for. Raises Unanswered."""
    told = _ask("/api/policy", host, port, key, timeout)
    try:
        policy, config = told["policy"] or {}, told["config"]
        return Facts(
            policy_name=str(policy.get("name") or ""),
            policy_digest=policy.get("digest"),
            policy_source=str(policy.get("source") or ""),
            config_path=str(config.get("path") or ""),
            config_digest=str(config.get("digest") or ""),
            version=str(told.get("version", "")),
            reload=told["reload"] if isinstance(told.get("reload"), dict) else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Unanswered("GET /api/policy was answered with something else", 200) from error


def ask_exchange(host: str, port: int, key: Secret | None, name: str, timeout: float = 5.0) -> JsonObject:
    """The facts of the exchange of this id, or of the "last" one. Raises Unanswered, whose words are the router's own
    (status 404) if it does not remember that one.
    """
    return _ask(f"/api/exchanges/{quote(name, safe='')}", host, port, key, timeout)


def ask_health(host: str, port: int, key: Secret | None, timeout: float = 2.0) -> JsonObject:
    """How its targets and keys are: docs/reference/http.md. Raises Unanswered."""
    return _ask("/api/health/targets", host, port, key, timeout)


def reset_health(  # noqa: PLR0913, PLR0917 - where to ask, and what about
    host: str, port: int, key: Secret | None, provider: str = "", model: str = "", timeout: float = 2.0
) -> JsonObject:
    """After the call nothing bad is known of the target, of the provider, or of any. Raises Unanswered, whose words are
    the router's own where it does not know them (status 404).
    """
    wanted = {name: value for name, value in (("provider", provider), ("model", model)) if value}
    return _ask("/api/health/reset", host, port, key, timeout, body=json.dumps(wanted).encode())


def ask_log_level(host: str, port: int, key: Secret | None, timeout: float = 2.0) -> JsonObject:
    """From which level on it writes lines: docs/logs.md. Raises Unanswered."""
    return _ask("/api/logs/level", host, port, key, timeout)


def set_log_level(host: str, port: int, key: Secret | None, level: str | None, timeout: float = 2.0) -> JsonObject:
    """After the call it writes lines of at least `level`, until its next reload; None: what its config says. Raises
    Unanswered, with status 409 if it keeps no log.
    """
    return _ask("/api/logs/level", host, port, key, timeout, body=json.dumps({"level": level}).encode())


def _ask(  # noqa: PLR0913 - one request, all of it
    path: str, host: str, port: int, key: Secret | None, timeout: float, *, body: bytes | None = None
) -> JsonObject:
    """The answer to GET, with a `body` to POST."""
    method = "GET" if body is None else "POST"
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=timeout)
    headers = {"accept": "application/json", "connection": "close"}
    if body is not None:
        headers["content-type"] = "application/json"
    if key:
        headers["x-api-key"] = key.reveal()
    try:
        connection.request(method, path, body, headers=headers)
        answer = connection.getresponse()
        said = answer.read(_LARGEST)
    except (http.client.HTTPException, OSError) as error:
        raise Unanswered(f"no answer to {method} {path}: {error}") from error
    finally:
        connection.close()
    try:
        told = json.loads(said)
    except ValueError:
        told = None
    if answer.status != 200:
        raise Unanswered(_words_of(told) or f"{method} {path} was answered with {answer.status}", answer.status)
    if not isinstance(told, dict):
        raise Unanswered(f"{method} {path} was answered with something else", 200)
    return told


def _words_of(told: object) -> str:
    """The message of a Messages error that says more than its status; "" for any other answer."""
    error = told.get("error") if isinstance(told, dict) else None
    is_telling = isinstance(error, dict) and error.get("type") == "not_found_error"
    return str(error.get("message") or "") if is_telling and isinstance(error, dict) else ""

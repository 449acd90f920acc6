"""Asks a running router what it runs by: its policy and its configuration, with their digests. Reads only."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass

from ccrouter.errors import RouterError
from ccrouter.secret import Secret
from ccrouter.service.address import reachable_host

_LARGEST = 64 * 1024  # bytes read of an answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What a router says of itself. Of the policy: "", None and "" if none is in force."""

    policy_name: str
    policy_digest: str | None
    policy_source: str
    config_path: str
    config_digest: str
    version: str


class Unanswered(RouterError):
    """The router does not say; `status` is that of its answer, None without one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def ask_policy(host: str, port: int, key: Secret | None, timeout: float = 2.0) -> Facts:
    """What the router at this address runs by. `key` is the one that it asks its clients for. Raises Unanswered."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=timeout)
    headers = {"accept": "application/json", "connection": "close"}
    if key:
        headers["x-api-key"] = key.reveal()
    try:
        connection.request("GET", "/api/policy", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
    except (http.client.HTTPException, OSError) as error:
        raise Unanswered(f"no answer to GET /api/policy: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Unanswered(f"GET /api/policy was answered with {answer.status}", answer.status)
    try:
        told = json.loads(body)
        policy, config = told["policy"] or {}, told["config"]
        return Facts(
            policy_name=str(policy.get("name") or ""),
            policy_digest=policy.get("digest"),
            policy_source=str(policy.get("source") or ""),
            config_path=str(config.get("path") or ""),
            config_digest=str(config.get("digest") or ""),
            version=str(told.get("version", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unanswered("GET /api/policy was answered with something else", 200) from error

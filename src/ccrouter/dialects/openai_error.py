"""A fault in the words of OpenAI's APIs: statuses, types and codes that their clients decide by. Pure.

Source: platform.openai.com/docs/guides/error-codes, and the codes that the official clients and Codex look for.
"""

from __future__ import annotations

import re

import msgspec

from ccrouter.errors import ErrorType
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.fault import Fault

#: The Messages API's word → OpenAI's type and code.
_WORDS: dict[ErrorType, tuple[str, str | None]] = {
    "invalid_request_error": ("invalid_request_error", None),
    "authentication_error": ("authentication_error", "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "permission_error": ("permission_error", "permission_denied"),
    "not_found_error": ("invalid_request_error", "not_found"),
    "request_too_large": ("invalid_request_error", "request_too_large"),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "timeout_error": ("server_error", "timeout"),
    "api_error": ("server_error", "server_error"),
    "overloaded_error": ("server_error", "server_is_overloaded"),
}
_TOO_LONG = re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE)
_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)


def status_of(fault: Fault) -> int:
    """The status to answer with: 529 is nobody's but Anthropic's."""
    return 503 if fault.status == 529 else fault.status


def error_of(fault: Fault) -> JsonObject:
    """The `error` object."""
    kind, code = _WORDS[fault.type]
    if fault.type == "invalid_request_error" and _TOO_LONG.search(fault.message):
        code = "context_length_exceeded"
    elif fault.type == "not_found_error" and _MODEL.search(fault.message):
        code = "model_not_found"
    param = (fault.details or {}).get("param")
    return {"message": fault.message, "type": kind, "param": param, "code": code}


def error_body(fault: Fault) -> bytes:
    """The whole body of an error."""
    return msgspec.json.encode({"error": error_of(fault)})

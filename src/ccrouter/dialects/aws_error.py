"""AWS's names of errors in Messages terms: from the header of an answer, or the headers of a frame. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html#API_runtime_InvokeModelWithResponseStream_Errors
and, for what is wrong with a signature,
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ccrouter.errors import ErrorType
from ccrouter.messages.fault import STATUS_BY_TYPE, type_of_status

#: Where AWS names an error: "ThrottlingException", or with a URL behind a colon.
HEADER = "x-amzn-errortype"

#: In small letters, without "exception" at the end.
_TYPES: Mapping[str, ErrorType] = {
    "accessdenied": "permission_error",
    "expiredtoken": "authentication_error",
    "incompletesignature": "authentication_error",
    "internalserver": "api_error",
    "internalfailure": "api_error",
    "invalidclienttokenid": "authentication_error",
    "invalidsignature": "authentication_error",
    "missingauthenticationtoken": "authentication_error",
    "modelerror": "api_error",
    "modelnotready": "overloaded_error",
    "modelstreamerror": "api_error",
    "modeltimeout": "timeout_error",
    "notauthorized": "permission_error",
    "optinrequired": "permission_error",
    "requestexpired": "authentication_error",
    "resourcenotfound": "not_found_error",
    "servicequotaexceeded": "rate_limit_error",
    "serviceunavailable": "overloaded_error",
    "throttling": "rate_limit_error",
    "unrecognizedclient": "authentication_error",
    "validation": "invalid_request_error",
    "validationerror": "invalid_request_error",
}


class _Words(msgspec.Struct):
    message: str = ""
    Message: str = ""


def type_of(name: str) -> ErrorType:
    """The Messages API's word for an error of AWS; api_error for one that is not known."""
    return _TYPES.get(_folded(name), "api_error")


def in_messages_terms(status: int, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """Status and body of AWS's error as a Messages API would have sent them; as they are if it is none of AWS's.

    AWS answers 403 to a bad signature, and 424 to a failure of the model: the name says what it is.
    """
    name = headers.get(HEADER, "").partition(":")[0]
    if not name:
        return status, body
    kind = _TYPES.get(_folded(name)) or type_of_status(status)
    try:
        said = msgspec.json.decode(body, type=_Words)
        words = said.message or said.Message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = body.decode("utf-8", "replace")
    if kind != type_of_status(status):
        status = STATUS_BY_TYPE[kind]
    error = {"type": kind, "message": f"{name}: {words}" if words else name}
    return status, msgspec.json.encode({"type": "error", "error": error})


def _folded(name: str) -> str:
    return name.partition(":")[0].rpartition("#")[2].lower().removesuffix("exception")

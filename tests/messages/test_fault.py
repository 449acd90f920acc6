"""Every error has one form in Messages terms, and no error has none."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from ccrouter import errors
from ccrouter.errors import (
    ClientError,
    ConfigError,
    Denied,
    ErrorType,
    ExtensionError,
    LocalProtocolError,
    LossyTarget,
    NoTarget,
    NotAuthorized,
    Problem,
    Redirected,
    RemoteProtocolError,
    RouterError,
    UnsupportedContent,
    UpstreamStatus,
    UpstreamUnreachable,
)
from ccrouter.messages.events import render
from ccrouter.messages.fault import STATUS_BY_TYPE, TYPE_BY_STATUS, fault_of, type_of_status

CASES = [
    (ClientError("x"), 400, "invalid_request_error", None),
    (ClientError("x", status=413, type="request_too_large"), 413, "request_too_large", None),
    (UnsupportedContent("messages[0]", "x"), 400, "invalid_request_error", None),
    (LossyTarget(["messages[0]"], "x"), 400, "invalid_request_error", None),
    (NotAuthorized("x"), 401, "authentication_error", False),
    (NotAuthorized("x", status=403), 403, "permission_error", False),
    (Denied("x", rule="models"), 403, "permission_error", False),
    (NoTarget("x"), 404, "not_found_error", None),
    (NoTarget("x", status=503), 503, "overloaded_error", None),
    (UpstreamStatus("x", status=429, type="rate_limit_error", retry_after=3), 429, "rate_limit_error", None),
    (UpstreamStatus("x", status=529, type="overloaded_error"), 529, "overloaded_error", None),
    (Redirected("x", status=502, type="api_error"), 502, "api_error", None),
    (UpstreamUnreachable("x", kind="first_byte"), 504, "timeout_error", None),
    (UpstreamUnreachable("x", kind="total"), 504, "timeout_error", None),
    (UpstreamUnreachable("x", kind="local"), 503, "overloaded_error", None),
    (UpstreamUnreachable("x", kind="idle"), 504, "timeout_error", None),
    (UpstreamUnreachable("x", kind="connect"), 502, "api_error", None),
    (UpstreamUnreachable("x", kind="dns"), 502, "api_error", None),
    (UpstreamUnreachable("x", kind="tls"), 502, "api_error", None),
    (UpstreamUnreachable("x", kind="reset"), 502, "api_error", None),
    (RemoteProtocolError("x"), 502, "api_error", None),
    (ExtensionError("x"), 500, "api_error", None),
    (LocalProtocolError("x"), 500, "api_error", None),
    (ConfigError([Problem("f", "p", "m")]), 500, "api_error", None),
    (RouterError("x"), 500, "api_error", None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "status", "kind", "should_retry"), CASES)
def test_mapping(error, status, kind, should_retry):
    """Each error has its status and type; what stays wrong however often it is tried says that it need not be."""
    fault = fault_of(error)
    assert (fault.status, fault.type, fault.should_retry) == (status, kind, should_retry)
    assert fault.message == str(error)


def test_every_error_of_the_tree_is_mapped():
    """The table above has every class of the tree: a new one cannot be forgotten."""
    tree = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RouterError)}
    assert tree - {errors.UpstreamError} == {type(error) for error, *_ in CASES}


def test_before_the_first_byte_it_is_json():
    """The Messages API's error body: type, error, request id; details only where there are some."""
    assert json.loads(fault_of(ClientError("no")).json("req_1")) == {
        "type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_1",
    }  # fmt: skip
    detailed = json.loads(fault_of(ClientError("no", details={"error_code": "x"})).json("req_1"))
    assert detailed["error"]["details"] == {"error_code": "x"}


def test_a_providers_own_body_passes():
    """A Messages-shaped error of the provider is passed on byte for byte."""
    body = b'{"type":"error","error":{"type":"x","message":"y","novel":1},"request_id":"req_theirs"}'
    assert fault_of(UpstreamStatus("y", status=400, type="invalid_request_error", body=body)).json("req_1") == body


def test_after_the_first_byte_it_is_an_event():
    """The same error as an event carries the same type, words and details."""
    frame = render(fault_of(ClientError("no", details={"a": 1})).event()).decode()
    assert frame.startswith("event: error\ndata: ")
    assert json.loads(frame.split("data: ")[1]) == {
        "type": "error", "error": {"type": "invalid_request_error", "message": "no", "details": {"a": 1}},
    }  # fmt: skip


def test_retry_after_is_kept():
    """How long to wait, as the provider said it, reaches the client."""
    assert fault_of(UpstreamStatus("x", status=429, type="rate_limit_error", retry_after=2.5)).retry_after == 2.5


def test_statuses_and_types_agree():
    """The two tables know the same types, and a type's own status means that type again."""
    assert set(STATUS_BY_TYPE) == set(get_args(ErrorType))
    assert set(TYPE_BY_STATUS.values()) <= set(STATUS_BY_TYPE)
    assert {type_of_status(status) for status in STATUS_BY_TYPE.values()} == set(STATUS_BY_TYPE)
    for kind, status in STATUS_BY_TYPE.items():
        assert type_of_status(status) == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(405, "invalid_request_error"), (422, "invalid_request_error"), (500, "api_error"), (502, "api_error"), (599, "api_error")],
)  # fmt: skip
def test_statuses_without_a_word_of_their_own(status, kind):
    """Statuses that the Messages API does not name count as their class."""
    assert type_of_status(status) == kind

"""Whatever a provider's error says: a status and words for the client, and no defect of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.context_overflow import overflow_message
from ccrouter.dialects.refusals import highest_limit, refused_name
from ccrouter.dialects.upstream_error import explain_error, explain_error_object

SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
NAMES = (
    "error errors code type status error_type statusCode message detail error_description msg title metadata raw "
    "provider_name reasons flagged_input base_resp status_code status_msg headers retry_after loc n_prompt_tokens n_ctx"
)
LONG = "9" * 5000
words = st.sampled_from(
    [
        "²", "٣", LONG, f"maximum context length is {LONG} tokens", "prompt is too long: 9 tokens > 5 maximum", "<html>",
        f"max_tokens must be less than or equal to {LONG}", "retry in 3.5s", "-1", "nan", "1e999", '{"error": {"code": 429}}',
    ]
) | st.text(max_size=12)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**60) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=12,
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "date", "x-ratelimit-reset-tokens"]), words
)


def check(error):
    assert 400 <= error.status < 600
    assert str(error).strip()
    assert error.retry_after is None or 0 <= error.retry_after < float("inf")


@SETTINGS
@given(values, st.sampled_from([200, 400, 401, 403, 404, 413, 429, 500, 503]), headers)
def test_any_error_is_explained(value, status, given_headers):
    """A body of any shape, and an error object within a 200, are an error with a status."""
    body = json.dumps(value).encode()
    check(explain_error(status, {**given_headers, "x-ratelimit-remaining-tokens": "0"}, body, "p", None))
    check(explain_error_object(value, "p"))


@SETTINGS
@given(st.binary(max_size=80))
def test_any_bytes_are_explained(data):
    """So are bytes of no shape at all."""
    check(explain_error(500, {}, data, "p", None))


@pytest.mark.parametrize("code", ["²", "٤٢٩", LONG, [429], {"a": 1}, True, 1e300])
def test_codes_that_are_no_numbers(code):
    """A code that only looks like a number to Python is a name like any other."""
    check(explain_error_object({"code": code, "message": "x"}, "p"))
    check(explain_error_object({"base_resp": {"status_code": code, "status_msg": "x"}}, "p"))


def test_numbers_of_thousands_of_digits():
    """Numbers that Python would refuse to read are read as far as a number of tokens goes."""
    assert overflow_message(
        400, f"maximum context length is {LONG} tokens. However, you requested {LONG} tokens", [], {}
    )
    assert highest_limit(f"max_tokens must be less than or equal to {LONG}") > 0
    assert refused_name(f"unsupported {LONG}", ["x"]) == ""

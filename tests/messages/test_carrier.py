"""Opaque state returns to its maker, and to nobody else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.messages.carrier import MARK, is_packed, pack, unpack

NAMES = st.text(min_size=1, max_size=12)


@given(st.binary(max_size=80), NAMES)
def test_round_trip(state, provider):
    """What was packed is unpacked byte for byte, whatever the state and the provider's name; case does not matter."""
    signature = pack("openai_chat", provider, state)
    assert unpack(signature, "openai_chat", provider) == state
    assert unpack(signature, "openai_chat", provider.lower()) == state
    assert is_packed(signature)
    assert signature.isascii()
    assert signature.isprintable()


@given(NAMES, NAMES)
def test_only_the_maker_gets_it(owner, other):
    """Another provider, or another dialect of the same one, gets nothing."""
    signature = pack("gemini", owner, b"state")
    assert unpack(signature, "openai_chat", owner) is None
    if owner.lower() != other.lower():
        assert unpack(signature, "gemini", other) is None


@pytest.mark.parametrize(
    "signature",
    [
        "", "EqQBCgIYAhIkMTIz", "ccr1", "ccr1:", "ccr1:d", "ccr1:d:cA", "ccr1:d:cA:!!", "ccr1:d:cA:YQ", "ccr1:d:cA:YQ==:x",
        "ccr2:d:cA:YQ==", "ccr1:d:cA:é", " ccr1:d:cA:YQ==",
    ],
)  # fmt: skip
def test_what_is_damaged_or_anothers_is_nothing(signature):
    """Anthropic's own signatures, damaged ones and those of another version give None and never raise."""
    assert unpack(signature, "d", "p") is None


@given(st.text(max_size=40))
def test_any_text(signature):
    """Any signature that a client may send back is state or nothing."""
    assert unpack(signature, "d", "p") is None


def test_anthropics_own_are_not_taken_for_ours():
    """A signature without the prefix goes to Anthropic as it is."""
    assert not is_packed("EqQBCgIYAhIkMTIz")
    assert not is_packed("")
    assert not is_packed("xccr1:d:p:")


@given(st.binary(max_size=20), NAMES)
def test_the_mark_finds_every_packed_signature(state, provider):
    """The cheap search over a request's bytes misses no signature, whatever encoder wrote the request."""
    block = {"type": "thinking", "signature": pack("openai_chat", provider, state)}
    assert MARK in json.dumps(block).encode()
    assert MARK in json.dumps(block, indent=1, ensure_ascii=False).encode()

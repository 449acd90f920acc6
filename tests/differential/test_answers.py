"""The same answer from every provider is the same message, streamed or not, and told to clients of every dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.registry import SERVED
from tests.differential.answers import WIRES, Answer, events_of, expected_of, folded, told
from tests.differential.targets import TARGETS, dialect_of

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
CALLS = (("call_1", "Read", {"path": "ä 中 🦜", "n": 3, "deep": {"a": [1, None, True]}}), ("call_2", "List", {}))
ANSWERS = {
    "text": Answer(),
    "thinking": Answer(thinking="Let me see.\n\nYes – 🙂."),
    "calls": Answer("Look:", None, CALLS),
    "calls alone": Answer(None, None, CALLS),
    "everything": Answer("Look:", "Hm.", CALLS),
    "cut": Answer("Half a sen", reason="cut"),
    "refused": Answer("I ca", reason="refused"),
    "nothing cached": Answer(cached=0),
    "line breaks": Answer("  a\n\n\tb\u2028c  \n"),
}
words = st.text(min_size=1, max_size=30).filter(str.strip)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
answers = st.builds(
    Answer,
    text=words,
    thinking=st.none() | words,
    calls=st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=3).map(
        lambda inputs: tuple((f"call_{number}", f"f{number}", given) for number, given in enumerate(inputs))
    ),
    fresh=st.integers(1, 999),
    cached=st.integers(0, 999),
    written=st.integers(1, 999),
)


def expected_from(dialect, answer):
    """What an answer of this dialect comes to: Gemini's names the filter that stopped it, and so does the message."""
    blocks, stop, usage = expected_of(answer)
    if dialect == "gemini" and answer.reason == "refused":
        blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"] + "\n\n[The provider stopped the answer: SAFETY]"}
    return blocks, stop, usage


def check(word, answer, *, streamed):
    wire = WIRES[dialect_of(word)](answer, streamed=streamed)
    message = folded(events_of(TARGETS[word], wire, streamed=streamed))
    assert told(message) == expected_from(dialect_of(word), answer)
    assert message.model == "asked"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("word", TARGETS)
def test_an_answer_is_the_same_from_everyone(word, case, streamed):
    """Text, thinking, calls, the reason for its end and the tokens of an answer do not depend on who gives it."""
    check(word, ANSWERS[case], streamed=streamed)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("word", ["anthropic", "openai", "deepseek", "responses", "gemini", "gemini 2.5"])
def test_any_answer_is_the_same_from_everyone(word, streamed):
    """The same for any answer."""

    @SETTINGS
    @given(answers)
    def run(answer):
        check(word, answer, streamed=streamed)

    run()


# -- told to clients of other dialects, and read again -------------------------------------------------------------------

#: Of each dialect that clients speak: the target that reads it, and a request that takes such an answer.
CLIENTS = {
    "openai_chat": (
        "openai",
        {
            "model": "m",
            "messages": [{"role": "user", "content": "x"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [{"type": "function", "function": {"name": name}} for name in ("Read", "List", "f0", "f1", "f2")],
        },
    ),
    "openai_responses": (
        "responses",
        {
            "model": "m",
            "input": "x",
            "stream": True,
            "tools": [{"type": "function", "name": name} for name in ("Read", "List", "f0", "f1", "f2")],
        },
    ),
}


def check_told(form, answer, maker, *, streamed):
    """Write the maker's answer for a client of that form, and read what the client got."""
    target, asking = CLIENTS[form]
    events = events_of(TARGETS[maker], WIRES[dialect_of(maker)](answer, streamed=True), streamed=True)
    writer = SERVED[form].read(json.dumps(asking).encode()).writer(asked="asked")
    wire = writer.frames(events) if streamed else writer.whole(folded(events))
    blocks, stop, usage = told(folded(events_of(TARGETS[target], wire, streamed=streamed)))
    assert (blocks, stop, usage) == expected_from(dialect_of(maker), answer)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("maker", ["anthropic", "openai", "responses", "gemini"])
@pytest.mark.parametrize("form", CLIENTS)
def test_an_answer_told_to_a_client_says_the_same(form, maker, case, streamed):
    """A client of OpenAI's dialects gets the same answer, whoever gave it: read as one from there, it is the same
    message.
    """
    check_told(form, ANSWERS[case], maker, streamed=streamed)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("form", CLIENTS)
def test_any_answer_told_to_a_client_says_the_same(form, streamed):
    """The same for any answer."""

    @SETTINGS
    @given(answers)
    def run(answer):
        check_told(form, answer, "anthropic", streamed=streamed)

    run()

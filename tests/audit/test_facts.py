"""Facts become plain, short, printable JSON without secrets, whatever a client sends."""

from __future__ import annotations

import enum
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrouter.audit.facts import TEXT_LIMIT, Cleaner
from ccrouter.secret import MASK, Secret

KEY = "correct-horse-battery-staple-0815"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# those that a repair uses too, and any that is no member of every line
NAMES = st.sampled_from(["policy", "reason", "torn_bytes", "torn_sha256"]) | st.text(max_size=12).map("x{}".format)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.dictionaries(NAMES, JSON, max_size=5))
def test_any_json_is_recorded(chain, facts):
    """Facts of any form give a sound line that holds nothing unprintable and no text of more than 200 characters."""
    trail = chain.trail()
    trail.record("decision", facts)
    trail.close()
    proof = chain.prove()
    assert proof.is_unbroken, proof.breach
    told = json.loads(chain.lines()[-1])
    for text in texts(told):
        assert text.isprintable()
        assert len(text) <= TEXT_LIMIT * 10  # an escape is longer than the character it stands for


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\x00", "a\\nb\\r\\x00"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("a\u202eb\u2028", "a\\u202eb\\u2028"),
        ("\ud83d", "\\ud83d"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("x" * 1_000_000, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_texts_are_short_and_printable(text, kept):
    """What a terminal would act on is escaped, what is long is cut; all else stays, wherever it stands."""
    assert Cleaner().clean({"asked": text, "more": [{text: text}]}) == {"asked": kept, "more": [{kept: kept}]}


def test_a_newline_between_two_facts_is_not_taken_for_one_in_a_fact():
    """Facts that are joined for the search come back as they were."""
    assert Cleaner().clean({"a": "one\ntwo", "b": "three"}) == {"a": "one\\ntwo", "b": "three"}


def test_secrets_are_removed():
    """A key that a client names as a model, a session or a member's name is not recorded, nor what looks like one."""
    cleaner = Cleaner([Secret(KEY)])
    shaped = "sk-ant-api03-abcdefghijklmnop"
    facts = {"asked": f"anthropic,{KEY}", "targets": [KEY, shaped], "more": {KEY: KEY}}
    assert cleaner.clean(facts) == {
        "asked": f"anthropic,{MASK}",
        "targets": [MASK, MASK],
        "more": {MASK: MASK},
    }


@pytest.mark.parametrize("before", [0, 150, 180, 195, 199, 200, 8150, 8180, 8191, 8192, 9000])
def test_no_part_of_a_secret_stays_where_a_text_is_cut(before):
    """A key across the place where a text is cut, or where the search for keys ends, is not recorded in part."""
    cleaner = Cleaner([Secret(KEY)])
    kept = cleaner.clean({"asked": "x" * before + KEY + "y" * 9000})["asked"]
    assert KEY[:6] not in kept
    # masks are shorter than what they hide: what stood far behind moves to the front
    kept = cleaner.clean({"asked": KEY * 400})["asked"]
    assert set(kept) <= {"*", "…"}


def test_a_long_secret_at_the_end_of_the_search():
    """Also where masks leave so little that the end of what was searched would be recorded."""
    long = "q" * 50 + "Z" * 1950
    kept = Cleaner([Secret(long)]).clean({"asked": long * 6})["asked"]
    assert set(kept) <= {"*", "…"}


def test_secrets_can_be_replaced(chain):
    """After a reload the new keys are looked for."""
    trail = chain.trail(secrets=[Secret("old-old-old")])
    trail.record("decision", {"asked": "old-old-old new-new-new"})
    trail.protect([Secret("new-new-new")])
    trail.record("decision", {"asked": "old-old-old new-new-new"})
    trail.close()
    assert [json.loads(line)["asked"] for line in chain.lines()] == ["*** new-new-new", "old-old-old ***"]


class Level(enum.StrEnum):
    LOUD = "loud"


def test_texts_of_other_types_are_texts():
    """A member of a StrEnum is its value."""
    cleaned = Cleaner().clean({"level": Level.LOUD})
    assert type(cleaned["level"]) is str
    assert cleaned == {"level": "loud"}


@pytest.mark.parametrize("value", [Secret("x"), b"x", object(), {"a": Secret("x")}, [Secret("x")], {1: 2}, {"x"}])
def test_what_is_not_json_is_refused(chain, value):
    """A Secret above all: it is an error of the program, and nothing is written."""
    trail = chain.trail()
    with pytest.raises(TypeError):
        trail.record("decision", {"asked": value})
    trail.close()
    assert chain.lines() == []


def test_endless_depth_is_refused():
    """A value nested without measure is refused before the encoder gets it."""
    value: list[object] = []
    for _ in range(100):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        Cleaner().clean({"asked": value})


def test_facts_are_copied():
    """What the caller does with its own afterwards does not matter, and it is not changed."""
    facts = {"targets": ["a\n"]}
    cleaned = Cleaner().clean(facts)
    assert (facts, cleaned) == ({"targets": ["a\n"]}, {"targets": ["a\\n"]})

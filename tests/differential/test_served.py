"""Clients of OpenAI's dialects: what they ask is the same conversation as Messages, and upstream in their own dialect it
says what it would have said had it passed through.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from ccrouter.dialects.registry import DIALECTS, SERVED
from ccrouter.errors import UnsupportedContent
from ccrouter.messages.request import MessagesRequest
from tests.differential.conversations import HAND_MADE, conversations
from tests.differential.decoders import decode
from tests.differential.facts import TEXTS, Facts, facts_of, told
from tests.differential.targets import TARGETS

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)
#: The target that each form of client has its own dialect at.
FORMS = {"openai_chat": "openai", "openai_responses": "responses"}

#: DeepSeek's models see no pictures: words about them run into the words of the client that stand beside them.
OTHERS = [word for word in TARGETS if word not in {*FORMS.values(), "deepseek"}]


def asked_of(form, body):
    """`body`, a Messages request, as a client of that form would ask it."""
    sent = DIALECTS[form].encode(MessagesRequest.read(json.dumps(body).encode()), TARGETS[FORMS[form]], {})
    return json.loads(sent.body)


def in_words(facts):
    """The facts with everything that the system says amid the conversation in the user's words, as one reminder where
    several stand side by side.
    """
    written = Facts()
    for place, fact in enumerate(facts):
        if fact[0] == "system" and place:
            written.say("user", f"<system-reminder>\n{fact[1]}\n</system-reminder>")
        elif fact[0] in TEXTS:
            written.say(*fact)
        else:
            written.add(*fact)
    return [
        (*fact[:1], fact[1].replace("\n</system-reminder>\n<system-reminder>\n", "\n")) if fact[0] == "user" else fact
        for fact in written.facts
    ]


def check(form, body):
    asked = asked_of(form, body)
    reading = SERVED[form].read(json.dumps(asked).encode())
    reading.check()
    said = decode(form, asked, {})
    read = facts_of(json.loads(reading.request.encode()))
    if any(fact[0] == "system" for fact in said[1:]):  # Messages takes a system turn in fewer places than these clients
        assert any(loss.fate == "approximated" and "system" in loss.what for loss in reading.losses)
        assert in_words(read) == in_words(said), told(said)
    else:
        assert read == said, told(said)
    target = TARGETS[FORMS[form]]
    passed = reading.pass_on(target, {}, None)
    assert decode(form, json.loads(passed.body), {}) == said
    translated = DIALECTS[form].encode(reading.request, target, {})
    assert decode(form, json.loads(translated.body), translated.names) == read
    return asked, json.loads(passed.body), json.loads(translated.body)


@pytest.mark.parametrize("case", HAND_MADE)
@pytest.mark.parametrize("form", FORMS)
def test_a_clients_conversation_is_the_same_in_messages(form, case):
    """Texts, calls, results, images and files of a client's request are there in Messages, and, passed on or translated
    back, at a provider of the client's own dialect.
    """
    check(form, HAND_MADE[case])


@pytest.mark.parametrize("form", FORMS)
@SETTINGS
@given(body=conversations())
def test_any_clients_conversation_is_the_same_in_messages(form, body):
    """The same for any conversation."""
    check(form, body)


@pytest.mark.parametrize("form", FORMS)
def test_settings_come_back_as_they_were(form):
    """Limits, choices and tools that both dialects know are, translated there and back, what the client wrote; passed
    on they are its own bytes.
    """
    body = {
        **HAND_MADE["call"],
        "temperature": 0.5,
        "tool_choice": {"type": "tool", "name": "Read", "disable_parallel_tool_use": True},
        "output_config": {"effort": "high"},
        "thinking": {"type": "adaptive"},
        "stream": True,
    }
    asked, passed, translated = check(form, body)
    assert passed == asked
    differing = {name for name in {*asked, *translated} if asked.get(name) != translated.get(name)}
    assert differing <= {"messages", "input"}, {name: (asked.get(name), translated.get(name)) for name in differing}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", OTHERS)
@pytest.mark.parametrize("case", HAND_MADE)
def test_a_clients_conversation_says_the_same_everywhere(form, word, case):
    """At every other target too, up to the ledger, or refused in words."""
    reading = SERVED[form].read(json.dumps(asked_of(form, HAND_MADE[case])).encode())
    target = TARGETS[word]
    try:
        sent = DIALECTS[target.endpoint.dialect].encode(reading.request, target, {})
    except UnsupportedContent:
        assert case in {"image by address", "a file"}
        return
    arrived = decode(target.endpoint.dialect, json.loads(sent.body), sent.names)
    assert arrived == facts_of(json.loads(reading.request.encode()), sent.losses), told(arrived)

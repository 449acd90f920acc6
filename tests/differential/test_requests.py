"""The same conversation in every dialect says the same, but for what the ledger names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import UnsupportedContent
from ccrouter.messages.request import MessagesRequest
from tests.differential.conversations import HAND_MADE, conversations
from tests.differential.decoders import decode
from tests.differential.facts import NO_IMAGE, facts_of, told
from tests.differential.targets import TARGETS, dialect_of

SETTINGS = settings(max_examples=80, deadline=None, derandomize=True)
#: Hand-made cases that a target refuses, in words; every other one it carries.
REFUSED = {
    "image by address": {"ollama", "gemini chat"},
    "a file": {"deepseek", "mistral", "ollama", "gemini chat"},
}


def check(word, body):
    """Encode `body` for the target and compare what it says there with what was asked."""
    dialect = dialect_of(word)
    sent = DIALECTS[dialect].encode(MessagesRequest.read(json.dumps(body).encode()), TARGETS[word], {})
    arrived = decode(dialect, json.loads(sent.body), sent.names)
    asked = facts_of(body, sent.losses)
    assert arrived == asked, f"arrived:\n{told(arrived)}\nasked:\n{told(asked)}\nlosses: {sent.losses}"
    return sent


@pytest.mark.parametrize("case", HAND_MADE)
@pytest.mark.parametrize("word", TARGETS)
def test_a_conversation_says_the_same_everywhere(word, case):
    """Texts to the character, calls with their names and arguments, results with their calls, images and files: all
    there and in order, or named in the ledger; a target that cannot carry one refuses the whole.
    """
    if word in REFUSED.get(case, ()):
        with pytest.raises(UnsupportedContent, match=r"messages\[0\]"):
            check(word, HAND_MADE[case])
    else:
        check(word, HAND_MADE[case])


@pytest.mark.parametrize("word", TARGETS)
@SETTINGS
@given(body=conversations())
def test_any_conversation_says_the_same_everywhere(word, body):
    """The same for any conversation."""
    check(word, body)


@pytest.mark.parametrize("word", TARGETS)
def test_tools_are_offered_under_names_that_lead_back(word):
    """Every tool is on offer, in order, and its name as sent leads back to the one that the client knows."""
    body = HAND_MADE["names that are too long"]
    sent = check(word, body)
    names = [sent.names.get(name, name) for name in _offered(json.loads(sent.body))]
    assert names == [tool["name"] for tool in body["tools"]]


def _offered(body):
    for tool in body["tools"]:
        for function in tool.get("functionDeclarations") or [tool.get("function", tool)]:
            yield function["name"]


def test_the_comparison_sees_what_is_missing():
    """This file's own law: a fact left out, altered, or in another place is seen."""
    body = HAND_MADE["images in results"]
    facts = facts_of(body)
    for place in range(len(facts)):
        assert facts[:place] + facts[place + 1 :] != facts
    lost = facts_of(body, [_Loss("messages[2].content[0].content[1]")])
    assert ("result", 2, f"see\n{NO_IMAGE}\nthat", False) in lost
    assert sum(fact[0] == "image" for fact in facts) == 3
    assert sum(fact[0] == "image" for fact in lost) == 2


class _Loss:
    fate = "dropped"

    def __init__(self, path):
        self.path = path

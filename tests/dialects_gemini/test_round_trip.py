"""Reasoning state through a client and back: what Gemini signed comes back to it on its part, and to nobody else."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.gemini import DIALECT
from ccrouter.dialects.gemini.replay import State, pack, unpack
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.dialects.chat_law import folded
from tests.dialects_gemini.casefile import make_target, read_request
from tests.dialects_gemini.law import check_request
from tests.upstream.gemini_wire import chunk, frame

G3, G25 = "google gemini-3-pro-preview", "google gemini-2.5-pro"


def answer(target, rows, *, streamed=True):
    """The Messages answer that a client keeps of parts that came in `rows`, a chunk each, or all at once."""
    sent = DIALECT.encode(read_request(stream=streamed), target, {})
    reader = DIALECT.reader(sent, target, MessageWriter(id="msg_1", model="asked"))
    if streamed:
        frames = b"".join(frame(chunk(row)) for row in rows) + frame(chunk(finish="STOP"))
        events = [event for sse in SseReader().feed(frames.replace(b"\r\n", b"\n")) for event in reader.feed(sse)]
    else:
        events = reader.feed_body(json.dumps(chunk([part for row in rows for part in row], "STOP")).encode())
    return folded(events + reader.close())["content"]


def results_of(content):
    return [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in content
        if block["type"] == "tool_use"
    ]


def next_request(target, *contents):
    """What is sent after these assistant turns, every call answered, and what is lost."""
    messages = [{"role": "user", "content": "go"}]
    for content in contents:
        messages += [
            {"role": "assistant", "content": content},
            {"role": "user", "content": [*results_of(content), {"type": "text", "text": "on"}]},
        ]
    sent = DIALECT.encode(read_request(messages=messages), target, {})
    return json.loads(sent.body), [loss for loss in sent.losses if loss.path.startswith("messages[1]")]


def thought(text, **more):
    return {"text": text, "thought": True, **more}


def text(words, **more):
    return {"text": words, **more}


def call(number, signature=None):
    part = {"functionCall": {"name": "Read", "args": {"n": number}, "id": f"call_{number}"}}
    return {**part, "thoughtSignature": signature} if signature else part


ANSWERS = {
    "call": [[call(1, "S1")]],
    "thought and call": [[thought("Plan.")], [call(1, "S1")]],
    "parallel calls": [[thought("Plan.")], [call(1, "S1"), call(2), call(3)]],
    "calls all signed": [[call(1, "S1")], [call(2, "S2")]],
    "text and call": [[text("Reading.")], [call(1, "S1")]],
    "signed text and call": [[text("Reading.", thoughtSignature="T1")], [call(1, "S1")]],
    "thought, text, call": [[thought("Plan.")], [text("Reading.")], [call(1, "S1"), call(2)]],
    "signed thought": [[thought("One.", thoughtSignature="O1")], [thought("Two.")], [text("Done.")]],
    "two thoughts": [[thought("One.", thoughtSignature="O1")], [thought("Two.", thoughtSignature="O2")], [call(1, "S1")]],
    "thought between texts": [[text("A.", thoughtSignature="T1")], [thought("Hm.")], [text("B.")], [call(1)]],
    "search and call": [
        [{"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": 1}}, "thoughtSignature": "C1"}],
        [{"toolResponse": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "response": {"r": 2}}, "thoughtSignature": "R1"}],
        [text("Found.")],
        [call(1, "S1")],
    ],
    "signature alone": [[thought("Plan.")], [{"text": "", "thoughtSignature": "A1"}], [call(1)]],
}  # fmt: skip


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("rows", ANSWERS.values(), ids=ANSWERS)
def test_parts_come_back_as_they_were(rows, streamed):
    """Every part of an answer comes back as it came, in order, each signature on its own part."""
    target = make_target(G3)
    body, lost = next_request(target, answer(target, rows, streamed=streamed))
    check_request(body)
    parts = [part for row in rows for part in row]
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:  # Gemini signs the first one; a stand-in if it did not
        parts = [
            {**part, "thoughtSignature": "skip_thought_signature_validator"} if part is first else part
            for part in parts
        ]
    assert body["contents"][1]["parts"] == parts
    assert lost == []


def test_signature_of_a_streamed_text():
    """A signature that follows a text in pieces is its own, if something follows it; at the end it is let go."""
    target = make_target(G3)
    rows = [[text("Rea")], [text("ding.")], [text("", thoughtSignature="T1")]]
    content = answer(target, [*rows, [call(1, "S1")]])
    body, _ = next_request(target, content)
    assert body["contents"][1]["parts"] == [text("Reading.", thoughtSignature="T1"), call(1, "S1")]
    content = answer(target, rows)
    assert [block["type"] for block in content] == ["text"]


def test_every_step_keeps_its_own():
    """Over three steps each call keeps the signature of its step."""
    target = make_target(G3)
    contents = [answer(target, [[thought(f"Step {n}.")], [call(n, f"S{n}")]]) for n in (1, 2, 3)]
    body, _ = next_request(target, *contents)
    check_request(body, is_signed=True)
    signed = [part["thoughtSignature"] for content in body["contents"][1::2] for part in content["parts"][-1:]]
    assert signed == ["S1", "S2", "S3"]


@pytest.mark.parametrize("other", ["google gemini-3.8-flash", "vertex gemini-3-pro-preview", G25])
def test_state_goes_to_its_maker_only(other):
    """Another model or provider gets no signature and no thought: left out, told as a loss, and a stand-in where one is
    asked for.
    """
    content = answer(make_target(G3), [[thought("secret plan")], [call(1, "S1")]])
    body, lost = next_request(make_target(other), content)
    assert "secret plan" not in json.dumps(body)
    assert "S1" not in json.dumps(body)
    check_request(body, is_signed=other != G25, has_ids=other != G25)
    assert [loss.path for loss in lost] == ["messages[1].content[0]"]


def test_client_that_drops_thinking():
    """A client that keeps no thinking blocks costs the signatures, and not the conversation."""
    target = make_target(G3)
    content = [
        block for block in answer(target, [[thought("x")], [call(1, "S1"), call(2)]]) if block["type"] != "thinking"
    ]
    body, lost = next_request(target, content)
    check_request(body, is_signed=True)
    assert lost == []


@pytest.mark.parametrize("id", ["call_1", "functions.Read:0", "日本", "x" * 300, "ccrid_!!"])
def test_ids_come_back_to_their_maker(id):  # noqa: A002 - the protocol's own word
    """Any id of a provider is fit for Anthropic on the way out and itself again on the way back, on call and result, and
    the signature finds its call by it.
    """
    target = make_target(G3)
    part = {"functionCall": {"name": "Read", "args": {}, "id": id}, "thoughtSignature": "S1"}
    content = answer(target, [[part]])
    given = content[-1]["id"]
    assert given.isascii()
    body, _ = next_request(target, content)
    sent, result = body["contents"][1]["parts"][0], body["contents"][2]["parts"][0]["functionResponse"]
    assert sent["thoughtSignature"] == "S1"
    assert sent["functionCall"]["id"] == result["id"]
    assert sent["functionCall"]["id"] == (id if len(id) <= 256 else result["id"])


def test_state_is_packed_and_unpacked():
    """A state survives its signature; another provider's reader gets nothing, nor does one of damaged text."""
    state = State("m", "o", "b", "t", {"c": "s"}, [{"toolCall": {"id": "x"}}])
    signature = pack("Google", state)
    assert unpack(signature, "google") == state
    assert unpack(signature, "other") is None
    assert unpack(signature[:-9] + "!", "google") is None
    assert unpack("", "google") is None
    assert State().is_empty
    assert not state.is_empty

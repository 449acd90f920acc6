"""Images for models that cannot see: marked, looked at by another model, the conversation gone on with."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.conftest import events_of, provider, running, text_of
from tests.upstream import Received, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

PICTURE = "iVBORw0KGgoAAAANSUhEUg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
HISTORY = [
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
    {"role": "assistant", "content": "A square."},
    {"role": "user", "content": "Which colour is it?"},
]
LOOK = ("call_look", "analyzeImage", {"imageId": ["1"], "task": "the colour"})


class Minds:
    """The text model and the seeing one, at one scripted upstream; `plays` are the text model's answers in turn."""

    def __init__(self, *plays) -> None:
        self.plays = list(plays)
        self.blind: list[dict] = []
        self.seeing: list[dict] = []

    def __call__(self, received: Received):
        body = received.json()
        if body["model"] == "eyes":
            self.seeing.append(body)
            return json_reply(anthropic_wire.message_json("It is red."))
        self.blind.append(body)
        play = self.plays.pop(0)
        if not isinstance(play, tuple):
            return play
        if body.get("stream"):
            return sse_reply(chat_wire.chat_stream(*play, model="deepseek-chat"))
        return json_reply(chat_wire.chat_json(*play, model="deepseek-chat"))


def config(upstream: Upstream, **more) -> dict:
    blind = provider(upstream, "openai", name="deepseek", models=["deepseek-chat"])
    eyes = provider(upstream, "anthropic", name="seeing", models=["eyes"])
    return {
        "Providers": [blind, eyes],
        "Router": {"default": "deepseek,deepseek-chat", "image": "seeing,eyes"},
        **more,
    }


async def ask(upstream: Upstream, tmp_path, minds: Minds, *, streamed: bool, messages=HISTORY, choice=None, **more):
    """What the client gets: the text, the whole message or the events, and the headers."""
    upstream.always(minds)
    async with running(config(upstream, **more), tmp_path) as router:
        chosen = {} if choice is None else {"tool_choice": choice}
        status, _headers, raw = await router.ask(stream=streamed, messages=messages, tools=TOOLS, **chosen)
        assert status == 200, raw
        return events_of(raw) if streamed else json.loads(raw)


TOOLS = [{"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}]


@pytest.mark.parametrize("streamed", [True, False])
async def test_looked_at_and_gone_on(streamed, upstream: Upstream, tmp_path):
    """The client sees one message without the call; the viewer got the very image and the task; the text model got
    marks, the tool in front of the client's, and the result of its call.
    """
    minds = Minds(("Let me see. ", "I must look.", (LOOK,)), ("It is red indeed.", None, ()))
    answer = await ask(upstream, tmp_path, minds, streamed=streamed)
    if streamed:
        starts = [event for event in answer if event["type"] == "message_start"]
        assert len(starts) == 1
        indexes = [event["index"] for event in answer if event["type"] == "content_block_start"]
        assert indexes == list(range(len(indexes)))
        assert [event["type"] for event in answer][-2:] == ["message_delta", "message_stop"]
        assert answer[-2]["delta"]["stop_reason"] == "end_turn"
        kinds = [event["content_block"]["type"] for event in answer if event["type"] == "content_block_start"]
        assert "tool_use" not in kinds
        assert text_of(answer) == "Let me see. It is red indeed."
    else:
        assert answer["stop_reason"] == "end_turn"
        texts = [block["text"] for block in answer["content"] if block["type"] == "text"]
        assert texts == ["Let me see. ", "It is red indeed."]
        assert not [block for block in answer["content"] if block["type"] == "tool_use"]
    (seen,) = minds.seeing
    assert IMAGE in seen["messages"][0]["content"]
    assert "the colour" in json.dumps(seen["messages"])
    first, second = minds.blind
    assert PICTURE not in json.dumps(first) + json.dumps(second)
    assert "[Image #1]" in json.dumps(first["messages"])
    assert [tool["function"]["name"] for tool in first["tools"]] == ["analyzeImage", "Read"]
    assert second["messages"][-1]["role"] == "tool"
    assert "It is red." in second["messages"][-1]["content"]
    assert second["messages"][-2]["tool_calls"][0]["id"] == "call_look"


async def test_several_rounds_and_images(upstream: Upstream, tmp_path):
    """Every round is answered, numbers are those of the conversation's order, and results' images count too."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [IMAGE, {"type": "text", "text": "two"}]}
    messages = [
        *HISTORY[:2],
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": "seen"},
        {"role": "user", "content": "compare"},
    ]
    first = ("l1", "analyzeImage", {"imageId": ["[Image #1]"], "task": "a"})
    second = ("l2", "analyzeImage", {"imageId": [2], "task": "b"})
    minds = Minds((None, None, (first,)), (None, None, (second,)), ("done", None, ()))
    events = await ask(upstream, tmp_path, minds, streamed=True, messages=messages)
    assert text_of(events) == "done"
    assert len(minds.seeing) == 2
    assert "[Image #2]" in json.dumps(minds.blind[0]["messages"])


async def test_a_number_that_there_is_not(upstream: Upstream, tmp_path):
    """Is answered as an error that names the numbers there are; nobody is asked to look."""
    minds = Minds((None, None, (("l", "analyzeImage", {"imageId": ["7"], "task": "x"}),)), ("sorry", None, ()))
    events = await ask(upstream, tmp_path, minds, streamed=True)
    assert text_of(events) == "sorry"
    assert not minds.seeing
    assert "images here are: 1" in minds.blind[1]["messages"][-1]["content"]


async def test_own_tools_in_the_same_answer_unstreamed(upstream: Upstream, tmp_path):
    """As streamed: the client's call, and what was seen, are in the one message; the next turn can be asked."""
    read = ("call_read", "Read", {"path": "a"})
    minds = Minds(("Both. ", None, (LOOK, read)), ("done", None, ()))
    message = await ask(upstream, tmp_path, minds, streamed=False)
    assert [block["type"] for block in message["content"]] == ["text", "tool_use", "text"]
    assert message["content"][2]["text"] == "[Image #1] It is red."
    assert message["stop_reason"] == "tool_use"
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_read", "content": "f"}]}
    turns = [*HISTORY, {"role": "assistant", "content": message["content"]}, result]
    await ask(upstream, tmp_path, minds, streamed=False, messages=turns)
    assert "It is red." in json.dumps(minds.blind[-1]["messages"])


async def test_own_tools_in_the_same_answer(upstream: Upstream, tmp_path):
    """The client's call reaches the client, and what was seen stands in the answer for the next turn."""
    read = ("call_read", "Read", {"path": "a"})
    minds = Minds(("Both. ", None, (LOOK, read)))
    events = await ask(upstream, tmp_path, minds, streamed=True)
    calls = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["name"] for block in calls if block["type"] == "tool_use"] == ["Read"]
    assert "[Image #1] It is red." in text_of(events)
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert len(minds.blind) == 1


async def test_looking_fails(upstream: Upstream, tmp_path):
    """The model is told, and answers without."""

    class Blind(Minds):
        def __call__(self, received: Received):
            if received.json()["model"] == "eyes":
                return json_reply(anthropic_wire.error_json("overloaded_error", "busy"), 529)
            return super().__call__(received)

    minds = Blind((None, None, (LOOK,)), ("I cannot see it.", None, ()))
    events = await ask(upstream, tmp_path, minds, streamed=True)
    assert text_of(events) == "I cannot see it."
    assert "could not be looked at" in minds.blind[1]["messages"][-1]["content"]


async def test_the_second_round_fails(upstream: Upstream, tmp_path):
    """After text has gone out the failure is an error event, and never a finished turn."""
    minds = Minds(("Let me see. ", None, (LOOK,)), json_reply(chat_wire.error_json("down"), 500))
    upstream.always(minds)
    async with running(config(upstream), tmp_path) as router:
        events = await router.stream(messages=HISTORY, tools=TOOLS)
    assert text_of(events) == "Let me see. "
    assert events[-1]["type"] == "error"
    assert "message_stop" not in [event["type"] for event in events]


async def test_no_end_of_looking(upstream: Upstream, tmp_path):
    """A model that looks again and again is asked once more without the tool."""
    minds = Minds(
        *[(None, None, ((f"l{n}", "analyzeImage", {"imageId": ["1"], "task": "t"}),)) for n in range(6)],
        ("ok", None, ()),
    )
    events = await ask(upstream, tmp_path, minds, streamed=True)
    assert text_of(events) == "ok"
    assert [tool["function"]["name"] for tool in minds.blind[-1]["tools"]] == ["Read"]


async def test_forced(upstream: Upstream, tmp_path):
    """With forceUseImageAgent also a new image is looked at for the usual model."""
    minds = Minds((None, None, (LOOK,)), ("red", None, ()))
    events = await ask(upstream, tmp_path, minds, streamed=True, messages=HISTORY[:1], forceUseImageAgent=True)
    assert text_of(events) == "red"
    assert len(minds.seeing) == 1


async def test_a_model_that_sees(upstream: Upstream, tmp_path):
    """Gets the image itself, and no tool."""
    upstream.always(sse_reply(chat_wire.chat_stream("fine")))
    made = config(upstream)
    made["Providers"][0]["name"] = "openai"
    made["Providers"][0]["models"] = ["gpt-5"]
    made["Router"]["default"] = "openai,gpt-5"
    async with running(made, tmp_path) as router:
        await router.stream(messages=HISTORY, tools=TOOLS)
    (request,) = upstream.requests
    assert PICTURE in request.body.decode()
    assert b"analyzeImage" not in request.body


async def test_what_the_model_does_not_see_is_told(upstream: Upstream, tmp_path):
    """Every image is in the ledger by its own place, in the header, and what concerns tools names the client's."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}, IMAGE]}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
    messages = [*HISTORY, call, {"role": "user", "content": [result]}, *HISTORY[1:]]
    upstream.always(Minds((None, None, (LOOK,)), ("red", None, ())))
    async with running(config(upstream), tmp_path) as router:
        _, headers, _ = await router.ask(messages=messages, tools=[{**TOOLS[0], "strict": True}])
        (kept,) = [router.app.exchanges.last()]
    told = {(place, one["fate"]) for one in kept["ledger"]["losses"] for place in one["places"]}
    assert ("messages[0].content[1]", "approximated") in told
    assert ("messages[4].content[0].content[1]", "approximated") in told
    assert ("tools[0].strict", "dropped") in told
    assert headers["x-ccr-losses"] == "3"
    assert kept["tokens"]["output"] == 24  # of both rounds, as the client is told


async def test_told_in_the_clients_own_words(upstream: Upstream, tmp_path):
    """A client of another dialect finds its own places in the ledger."""
    upstream.always(Minds(("no need", None, ())))
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, picture]},
        *HISTORY[1:],
    ]
    async with running(config(upstream), tmp_path) as router:
        asked = {"model": "any", "messages": messages}
        async with router.client.post(f"{router.url}/v1/chat/completions", json=asked) as response:
            assert response.status == 200
        kept = router.app.exchanges.last()
    assert [one["places"] for one in kept["ledger"]["losses"]] == [["messages[1].content[1]"]]


async def test_strict_fidelity_wants_the_image_itself(upstream: Upstream, tmp_path):
    """A provider that takes no less than what was asked is not asked for marks."""
    upstream.always(Minds())
    made = config(upstream)
    made["Providers"][0]["fidelity"] = "strict"
    async with running(made, tmp_path) as router:
        status, _, raw = await router.ask(messages=HISTORY)
    assert status == 400
    assert b"messages[0].content[1]" in raw
    assert not upstream.requests


async def test_cache_marks_stay_where_they_were(upstream: Upstream, tmp_path):
    """The mark of an image keeps its `cache_control`; the viewer, asked once, gets none."""
    marked = {**IMAGE, "cache_control": {"type": "ephemeral"}}
    minds = Minds(
        json_reply(anthropic_wire.message_json(None, None, (LOOK,))), json_reply(anthropic_wire.message_json("red"))
    )
    upstream.always(minds)
    made = config(upstream, forceUseImageAgent=True)
    made["Providers"][0] = provider(upstream, "anthropic", name="text", models=["t"])
    made["Router"]["default"] = "text,t"
    async with running(made, tmp_path) as router:
        status, _, raw = await router.ask(messages=[{"role": "user", "content": [marked]}])
    assert status == 200, raw
    assert minds.blind[0]["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert IMAGE in minds.seeing[0]["messages"][0]["content"]


@pytest.mark.parametrize("block", [{"type": 5, "x": "image"}, "image", ["image"], {"type": "image"}])
async def test_blocks_of_no_known_form(block, upstream: Upstream, tmp_path):
    """Are the client's fault and no defect of the router."""
    upstream.always(Minds(("ok", None, ())))
    async with running(config(upstream), tmp_path) as router:
        status, _, raw = await router.ask(messages=[{"role": "user", "content": [IMAGE, block]}, *HISTORY[1:]])
    assert status in {200, 400}, raw


async def test_many_looks_at_once(upstream: Upstream, tmp_path):
    """Each look is a request to the model that sees: a model that asks for ever more of them is told that it is enough."""
    looks = tuple((f"l{n}", "analyzeImage", {"imageId": ["1"], "task": "t"}) for n in range(20))
    minds = Minds(*[(None, None, looks) for _ in range(3)], ("ok", None, ()))
    events = await ask(upstream, tmp_path, minds, streamed=True)
    assert text_of(events) == "ok"
    assert len(minds.seeing) == 24
    assert "already" in json.dumps(minds.blind[-1])


async def test_never_ending_looking(upstream: Upstream, tmp_path):
    """A model that looks although it is not offered to any more is given up, not asked for ever."""
    minds = Minds(*[(None, None, (LOOK,)) for _ in range(20)])
    upstream.always(minds)
    async with running(config(upstream), tmp_path) as router:
        status, _, raw = await router.ask(messages=HISTORY)
    assert status == 502, raw
    assert len(minds.blind) == 7
    last = minds.blind[-1]
    assert last["tool_choice"] == "none"  # without a tool a conversation with calls is refused by some
    assert [tool["function"]["name"] for tool in last["tools"]] == ["analyzeImage"]


@pytest.mark.parametrize(("choice", "names", "sent"), [
    ({"type": "any"}, ["analyzeImage", "Read"], "required"),
    ({"type": "none"}, ["analyzeImage"], None),
])  # fmt: skip
async def test_the_clients_choice_of_tools(choice, names, sent, upstream: Upstream, tmp_path):
    """Stays, in the last round too; where no tool may be called, looking is all that may."""
    minds = Minds(*[(None, None, (LOOK,)) for _ in range(6)], ("ok", None, ()))
    await ask(upstream, tmp_path, minds, streamed=True, choice=choice)
    assert [tool["function"]["name"] for tool in minds.blind[0]["tools"]] == names
    assert minds.blind[0].get("tool_choice") == sent
    assert minds.blind[-1]["tool_choice"] == (sent or "none")


async def test_the_limit_cuts_a_look(upstream: Upstream, tmp_path):
    """Half a call of the tool is no look: the client is told that the limit was reached."""
    call = {"index": 0, "id": "l", "type": "function"}
    call["function"] = {"name": "analyzeImage", "arguments": '{"imageId":["1"],"ta'}
    frames = [
        chat_wire.chunk({"content": "hm"}),
        chat_wire.chunk({"tool_calls": [call]}),
        chat_wire.chunk({}, "length"),
    ]
    minds = Minds(sse_reply([*frames, b"data: [DONE]\n\n"]))
    events = await ask(upstream, tmp_path, minds, streamed=True)
    assert text_of(events) == "hm"
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert not minds.seeing


async def test_the_client_leaves_while_somebody_looks(upstream: Upstream, tmp_path):
    """The request to the viewer ends with the client's."""
    looking, gone = asyncio.Event(), asyncio.Event()

    async def answer(received: Received):
        if received.json()["model"] == "eyes":
            looking.set()
            try:
                await asyncio.Event().wait()
            finally:
                gone.set()
        return sse_reply(chat_wire.chat_stream("Let me see. ", None, (LOOK,)))

    upstream.always(answer)
    async with running(config(upstream), tmp_path) as router:
        asked = {"model": "any", "stream": True, "max_tokens": 9, "messages": HISTORY}
        response = await router.client.post(f"{router.url}/v1/messages", json=asked)
        await looking.wait()
        response.close()
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.parametrize("refusal", [401, 429])
async def test_the_keys_of_who_looks(upstream: Upstream, tmp_path, refusal):
    """Where one of its keys is refused or at its limit the next one is asked, and everybody knows of it from then on."""
    minds = Minds(*[(None, None, (LOOK,)), ("It is red.", None, ())] * 6)
    keys = ["sk-dead-key-of-several-0123456789", "sk-good-key-of-several-0123456789"]
    dead = []

    def brain(received: Received):
        if received.headers.get("x-api-key") == keys[0]:
            dead.append(received)
            kind = "authentication_error" if refusal == 401 else "rate_limit_error"
            return json_reply(anthropic_wire.error_json(kind, "no"), status=refusal)
        return minds(received)

    upstream.always(brain)
    one = config(upstream)
    one["Providers"][1]["api_key"] = keys
    async with running(one, tmp_path) as router:
        for number in range(6):
            answer = {"x-claude-code-session-id": f"s{number}"}
            status, _, raw = await router.ask(answer, messages=HISTORY, tools=TOOLS)
            assert status == 200, raw
        async with router.client.get(f"{router.url}/api/health/targets") as response:
            states = [key["state"] for key in (await response.json())["providers"][1]["keys"]]
    assert len(minds.seeing) == 6
    assert "could not be looked at" not in json.dumps(minds.blind)
    assert len(dead) == 1
    assert states == ["disabled" if refusal == 401 else "resting", "ready"]


async def test_a_key_that_is_quoted_is_not_told(upstream: Upstream, tmp_path):
    """What the viewer's provider says of its key goes to another provider, with the reason why nothing was seen."""
    minds = Minds((None, None, (LOOK,)), ("Sorry.", None, ()))
    key = "Violet-Harbour-Seventeen-Lamps"

    def brain(received: Received):
        if received.headers.get("x-api-key") == key:
            return json_reply(anthropic_wire.error_json("api_error", f"no luck with {key}"), status=500)
        return minds(received)

    upstream.always(brain)
    one = config(upstream)
    one["Providers"][1]["api_key"] = key
    async with running(one, tmp_path) as router:
        status, _, raw = await router.ask(messages=HISTORY, tools=TOOLS)
    assert status == 200, raw
    assert "could not be looked at" in json.dumps(minds.blind)
    assert key not in json.dumps(minds.blind)

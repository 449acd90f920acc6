"""A client and a provider that speak the same dialect: bytes pass, but for the model's name."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import running
from tests.served.conftest import post
from tests.served.law import chat_of, response_of, whole_chat_of
from tests.served.wires import WIRES, config, unfinished
from tests.upstream import Upstream, chat_wire, json_reply, responses_wire, sse_reply

PATHS = {"openai": "/v1/chat/completions", "responses": "/v1/responses"}
BODIES = {
    "openai": (
        '{ "model" : %s, "messages":[{"role":"user","content":[{"type":"hologram","n":1.50,"t":"\\u00e9 é"}]}],\n'
        '"surprise":{"b":[1,2.0,1e3],"a":null},"n":2,"logit_bias":{"50256":-100},"stream":%s}'
    ),
    "responses": (
        '{ "model" : %s, "input":[{"type":"hologram","n":1.50,"t":"\\u00e9 é"}],\n'
        '"surprise":{"b":[1,2.0,1e3],"a":null},"previous_response_id":"resp_0","tools":[{"type":"mcp","server_label":"x"}],'
        '"stream":%s}'
    ),
}


@pytest.fixture(params=list(PATHS))
def spoken(request) -> str:
    return request.param


async def test_request_bytes_pass(router, upstream: Upstream, spoken):
    """Members, parts and items that nobody here knows, what the Messages API could not say, number formats, escapes and
    order: the provider gets all of it as the client wrote it, with its own model.
    """
    upstream.reply(json_reply(WIRES[spoken].whole("ok")))
    status, _, raw = await post(router, PATHS[spoken], (BODIES[spoken] % (f'"{spoken},m1"', "false")).encode())
    assert status == 200, raw
    sent = upstream.requests[0].body.decode()
    assert sent == (BODIES[spoken] % ('"m1"', "false")).replace('{ "model" : ', '{"model":').replace(
        ', "', ',"'
    ).replace(",\n", ",")
    assert upstream.requests[0].path == PATHS[spoken]


async def test_answer_bytes_pass(router, upstream: Upstream, spoken):
    """Streamed and whole, an answer's bytes are the provider's own, but for the asked model in the place of the sent one,
    also with members that nobody here knows.
    """
    wire = WIRES[spoken]
    frames = [
        frame.replace(b'"model":', b'"novel":[1.50],"model":') for frame in wire.stream("Hello wörld", "hm", model="m9")
    ]
    whole = wire.whole("Hello", model="m9", ident="x")
    upstream.reply(sse_reply(frames, split=7), json_reply(whole))
    asked = {"model": f"{spoken},m1", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    _, headers, raw = await post(router, PATHS[spoken], {**asked, "stream": True})
    assert raw == b"".join(frames).replace(b'"m9"', f'"{spoken},m1"'.encode())
    assert headers["x-ccr-model"] == f"{spoken},m1"
    assert headers["x-request-id"] == headers["request-id"]
    _, _, raw = await post(router, PATHS[spoken], asked)
    assert raw == json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode().replace(
        b'"m9"', f'"{spoken},m1"'.encode()
    )


async def test_the_asked_model_is_left_where_it_was_sent(upstream: Upstream, tmp_path, spoken):
    """Where the asked name is the sent one, not even the model changes: what answered is told as the provider tells it."""
    tree = config(upstream)
    tree["Providers"] = [one for one in tree["Providers"] if one["name"] == spoken]
    tree["Router"] = {"default": f"{spoken},m2"}
    frames = WIRES[spoken].stream("Hello", model="m1-2026-01-01")
    upstream.reply(sse_reply(frames))
    async with running(tree, tmp_path) as router:
        _, _, raw = await post(router, PATHS[spoken], {"model": "m1", "messages": [], "input": [], "stream": True})
    assert raw == b"".join(frames)


async def test_no_header_of_the_client_passes(router, upstream: Upstream, spoken):
    """The provider sees its own key, and of the client's headers none that names an account or a session."""
    upstream.reply(json_reply(WIRES[spoken].whole("ok")))
    headers = {
        "authorization": "Bearer sk-of-the-client",
        "cookie": "a=b",
        "openai-organization": "org-x",
        "openai-project": "proj-x",
        "x-forwarded-for": "1.2.3.4",
        "x-stainless-lang": "python",
        "chatgpt-account-id": "acc",
        "session_id": "s",
    }
    await post(router, PATHS[spoken], {"model": f"{spoken},m1", "messages": [], "input": []}, headers)
    sent = upstream.requests[0].headers
    assert sent["authorization"] == f"Bearer sk-{spoken}-upstream-secret-0123456789"
    assert not {name for name in headers if name != "authorization" and name in sent}


async def test_what_the_configuration_says_is_applied(upstream: Upstream, tmp_path, spoken):
    """`extra_body` and parameter transformers have their say on passing bytes too; a transformer's members come before
    `extra_body`.
    """
    tree = config(
        upstream,
        **{
            spoken: {
                "extra_body": {"metadata": {"b": "2"}, "store": None},
                "transformer": {"use": [["customparams", {"top_k": 3}]]},
            }
        },
    )
    upstream.reply(json_reply(WIRES[spoken].whole("ok")))
    asked = {"model": f"{spoken},m1", "messages": [], "input": [], "metadata": {"a": "1"}, "store": True, "x": [1.0]}
    async with running(tree, tmp_path) as router:
        status, _, raw = await post(router, PATHS[spoken], json.dumps(asked).encode())
    assert status == 200, raw
    assert upstream.requests[0].json() == {
        "model": "m1", "messages": [], "input": [], "metadata": {"a": "1", "b": "2"}, "x": [1.0], "top_k": 3,
    }  # fmt: skip
    assert b'"x":[1.0]' in upstream.requests[0].body


async def test_the_provider_refuses_a_member(router, upstream: Upstream, spoken):
    """A client that chose its members itself is told what the provider says of them: nothing is mended behind its back."""
    upstream.reply(json_reply(WIRES[spoken].error("Unsupported parameter: 'temperature' is not supported"), status=400))
    asked = {"model": f"{spoken},m1", "messages": [{"role": "user", "content": "x"}], "input": "x", "temperature": 1}
    status, _, raw = await post(router, PATHS[spoken], asked)
    assert status == 400
    assert "'temperature'" in json.loads(raw)["error"]["message"]
    assert len(upstream.requests) == 1


async def test_a_stream_without_an_end_is_an_error(router, upstream: Upstream, spoken):
    """What the provider did send has passed; its silence is told as the failure that it is."""
    frames = unfinished(spoken)
    upstream.reply(sse_reply(frames))
    asked = {"model": f"{spoken},m1", "messages": [], "input": [], "stream": True}
    _, _, raw = await post(router, PATHS[spoken], asked)
    sent = b"".join(frames).replace(b'"gpt-5', f'"{spoken},m1'.encode())
    tail = raw[raw.rindex(b'"and so on') if b'"and so on' in raw else 0 :]
    assert len(raw) > len(sent) // 2
    assert b"[DONE]" not in tail
    assert b"response.completed" not in tail
    assert b"before it was finished" in tail


async def test_a_failed_response_continues_the_numbers(router, upstream: Upstream):
    """The events that tell of the failure follow the provider's own in number, under its id."""
    upstream.reply(sse_reply(unfinished("responses")))
    _, _, raw = await post(router, "/v1/responses", {"model": "responses,m1", "input": [], "stream": True})
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[-2:]] == ["response.failed", "error"]
    assert events[-2]["response"]["id"] == "resp_scripted"


async def test_done_is_added_where_it_was_forgotten(router, upstream: Upstream):
    """Clients of chat wait for [DONE]; a provider that finished and said no such thing is helped out."""
    frames = chat_wire.chat_stream("Hi")
    upstream.reply(sse_reply(frames[:-1]))
    _, _, raw = await post(router, "/v1/chat/completions", {"model": "openai,m1", "messages": [], "stream": True})
    assert raw.endswith(b"data: [DONE]\n\n")


async def test_every_of_several_answers_has_to_end(router, upstream: Upstream):
    """With n of 2, one answer that ended is not enough."""
    first, second = (
        b'data: {"choices":[{"index":%d,"delta":{"content":"x"},"finish_reason":%s}],"model":"m"}\n\n' % (index, finish)
        for index, finish in ((1, b"null"), (0, b'"stop"'))
    )
    upstream.reply(sse_reply([first, second]))
    _, _, raw = await post(
        router, "/v1/chat/completions", {"model": "openai,m1", "messages": [], "n": 2, "stream": True}
    )
    assert b'"error"' in raw
    assert b"[DONE]" not in raw


async def test_usage_and_models_are_on_record(router, upstream: Upstream, spoken):
    """The record of an answer that passed has what a translated one has: usage, the model that answered, why it ended."""
    seen = []
    finish = router.app.finish
    router.app.finish = lambda exchange: (seen.append(exchange), finish(exchange))
    stream = WIRES[spoken].stream("Hi", model="m9")
    upstream.reply(sse_reply(stream), json_reply(WIRES[spoken].whole("Hi", model="m9")))
    for streamed in (True, False):
        asked = {"model": f"{spoken},m1", "messages": [], "input": [], "stream": streamed}
        await post(router, PATHS[spoken], asked)
    for exchange in seen:
        assert exchange.path == PATHS[spoken]
        assert (exchange.asked, exchange.sent, exchange.answered) == (f"{spoken},m1", "m1", "m9")
        assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (25, 12)
        assert (exchange.status, exchange.stop_reason, exchange.route) == (200, "end_turn", "explicit")
    assert len(seen) == 2


async def test_sealed_reasoning_goes_to_its_maker_only(router, upstream: Upstream):
    """Reasoning that the router sealed for another provider is taken out of passing bytes, and nothing else is."""
    wire = WIRES["anthropic"]
    upstream.reply(json_reply(wire.whole("Hi", "hmm")), json_reply(wire.whole("Hi", "hmm")))
    asked = [{"role": "user", "content": "x"}]
    _, _, raw = await post(router, "/v1/chat/completions", {"model": "anthropic,m1", "messages": asked})
    message = json.loads(raw)["choices"][0]["message"]
    assert message["reasoning_details"]
    _, _, raw = await post(router, "/v1/responses", {"model": "anthropic,m1", "input": asked})
    items = json.loads(raw)["output"]
    assert items[0]["encrypted_content"].startswith("ccrouter:")
    upstream.reply(json_reply(chat_wire.chat_json("ok")), json_reply(responses_wire.response_json("ok")))
    await post(router, "/v1/chat/completions", {"model": "openai,m1", "messages": [*asked, message, *asked]})
    await post(router, "/v1/responses", {"model": "responses,m1", "input": [*asked, *items, *asked]})
    chat, responses = upstream.requests[2:]
    assert b"ccrouter:" not in chat.body + responses.body
    assert chat.json()["messages"][1]["content"] == "Hi"
    assert responses.json()["input"] == [*asked, items[1], *asked]


async def test_transformers_that_change_the_request_end_identity(upstream: Upstream, tmp_path):
    """Where a subagent's tag is taken out of the prompt, the bytes are not the client's any more: the request is written
    anew, without it.
    """
    upstream.reply(json_reply(chat_wire.chat_json("ok")))
    tag = "<CCR-SUBAGENT-MODEL>openai,m2</CCR-SUBAGENT-MODEL>"
    asked = {
        "model": "any",
        "messages": [{"role": "system", "content": tag + "be brief"}, {"role": "user", "content": "x"}],
    }
    async with running(config(upstream), tmp_path) as router:
        _, _, raw = await post(router, "/v1/chat/completions", asked)
    assert upstream.requests[0].json()["model"] == "m2"
    assert b"CCR-SUBAGENT" not in upstream.requests[0].body
    assert whole_chat_of(raw)["model"] == "any"


async def test_passing_stream_is_lawful_for_responses(router, upstream: Upstream):
    """What passes is what the SDK's types know, from the first event to the last."""
    upstream.reply(sse_reply(responses_wire.response_stream("Hi", "hm", [("c", "T", {"a": 1})])))
    _, _, raw = await post(router, "/v1/responses", {"model": "responses,m1", "input": [], "stream": True})
    assert response_of(raw)["model"] == "responses,m1"


@pytest.mark.parametrize("name", ["enhancetool", "tooluse"])
async def test_transformers_that_look_at_answers_end_identity(upstream: Upstream, tmp_path, name):
    """Where a transformer filters the events of an answer (or writes into the request), there are no bytes to pass: the
    answer is read, filtered and written anew, as a lawful one.
    """
    tree = config(upstream, openai={"transformer": {"use": [name]}})
    upstream.reply(sse_reply(chat_wire.chat_stream("Hi", tools=[("c", "Read", {"path": "x"})])))
    asked = {
        "model": "openai,m1",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "Read"}}],
        "stream": True,
        "novel": 1,
    }
    async with running(tree, tmp_path) as router:
        _, headers, raw = await post(router, "/v1/chat/completions", asked)
    assert "novel" not in upstream.requests[0].json()
    assert int(headers["x-ccr-losses"]) >= 1
    answer = chat_of(raw)
    assert (answer["content"], answer["model"]) == ("Hi", "openai,m1")
    assert json.loads(answer["calls"][0]["arguments"]) == {"path": "x"}


async def test_strict_fidelity(upstream: Upstream, tmp_path):
    """Where a provider demands strictness, what a translation would lose is refused by the client's path; passing bytes
    lose nothing.
    """
    tree = config(upstream, anthropic={"fidelity": "strict"}, openai={"fidelity": "strict"})
    upstream.reply(json_reply(chat_wire.chat_json("ok")))
    asked = {"messages": [{"role": "user", "content": "x"}], "seed": 7}
    async with running(tree, tmp_path) as router:
        lost, _, raw = await post(router, "/v1/chat/completions", {**asked, "model": "anthropic,m1"})
        kept, _, _ = await post(router, "/v1/chat/completions", {**asked, "model": "openai,m1"})
    assert (lost, kept) == (400, 200)
    assert "seed" in json.loads(raw)["error"]["message"]

"""Transformers of the classic router, in a real node behind the whole router."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import load
from ccrouter.errors import ConfigError
from tests.extensions.conftest import EXAMPLES, error_of, needs_node, reply_to
from tests.gateway.conftest import Router, text_of
from tests.upstream import Cut, Gate, Reply, json_reply, sse_reply
from tests.upstream.chat_wire import chat_json, chat_stream, chunk

pytestmark = needs_node


def transformer(hooks: str, name: str = "mine") -> str:
    return f"module.exports = class {{\n  name = {name!r};\n  constructor(options) {{ this.options = options; }}\n{hooks}\n}};\n"


def pids(bench) -> list[int]:
    """The processes that modules told of in the log."""
    return [
        int(line["text"].removeprefix("pid "))
        for line in bench.logged("a JavaScript module says")
        if line["text"].startswith("pid ")
    ]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z (zombie)" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True


async def until(is_so: Callable[[], bool], router: Router) -> None:
    """Other requests are served, to the provider without the module, until it is so: many, but not for ever."""
    for _ in range(2000):
        if is_so():
            return
        status, _, _ = await router.ask(model="anthropic,m1")
        assert status == 200
    raise AssertionError("it never came to be so")


# -- what works --------------------------------------------------------------------------------------------------------


async def test_the_example(bench):
    """The example of the documentation runs as it is: body, headers, and the answer, streamed and whole."""
    bench.write("transformer.js", (EXAMPLES / "transformer.js").read_text())
    bench.answer("a quiet wörd")
    entry = {"path": "transformer.js", "options": {"team": "search"}}
    async with bench.running(bench.config(["shouting"], transformers=[entry])) as router:
        assert text_of(await router.stream()) == "A QUIET WÖRD"
        sent = bench.upstream.requests[-1]
        assert (sent.json()["user"], sent.headers["x-team"]) == ("search", "search")
        assert sent.json()["messages"] == [{"role": "user", "content": "Hi"}]
        assert sent.headers["authorization"].startswith("Bearer sk-openai")
        _, _, raw = await router.ask()
        assert json.loads(raw)["content"] == [{"type": "text", "text": "A QUIET WÖRD"}]
        assert bench.logged("a JavaScript module says")[0]["text"] == "for openai"


async def test_what_a_request_hook_sees_and_changes(bench):
    """The provider with its key and URL, as in the classic router; what it gives replaces URL, headers and body. A
    header that it sets wins over the key's; one that it takes away is gone.
    """
    bench.write("t.js", transformer("""
        async transformRequestIn(request, provider, context) {
          this.logger.info(JSON.stringify([request.messages, provider, typeof context.req.id]));
          return {
            body: { wrapped: request.model },
            config: { url: new URL("/elsewhere?x=1", provider.baseUrl), headers: { Authorization: undefined, "X-Key": provider.apiKey.slice(0, 9), n: 1 } },
          };
        }"""))  # fmt: skip
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        status, _, raw = await router.ask()
        assert status == 200, raw
        sent = bench.upstream.requests[-1]
        assert sent.target == "/elsewhere?x=1"
        assert sent.json() == {"wrapped": "m1"}
        assert "authorization" not in sent.headers
        assert (sent.headers["x-key"], sent.headers["n"]) == ("sk-openai", "1")
        messages, provider, kind = json.loads(bench.logged("a JavaScript module says")[0]["text"].replace("***", "KEY"))
    assert messages == [{"role": "user", "content": "Hi"}]
    assert provider["name"] == "openai"
    assert provider["baseUrl"] == f"{bench.upstream.url}/v1/chat/completions"
    assert provider["models"] == ["m1", "m2"]
    assert kind == "string"


async def test_order(bench):
    """Requests pass in the order of `use`, answers come back the other way; `auth` comes after the body's hook."""
    bench.write("t.js", transformer("""
        async transformRequestIn(request) { return { ...request, trail: (request.trail ?? "") + this.options.as }; }
        async auth(request, provider) { return { body: request, config: { headers: { "x-auth": request.trail } } }; }
        async transformResponseOut(response) {
          const answer = await response.json();
          answer.choices[0].message.content += this.options.as;
          return Response.json(answer);
        }"""))  # fmt: skip
    bench.answer("ok")
    config = bench.config(
        [["mine", {"as": "1"}], ["mine", {"as": "2"}]], transformers=[{"path": "t.js", "options": {"as": "0"}}]
    )
    config["Providers"][0]["transformer"]["m1"] = {"use": ["mine"]}
    async with bench.running(config) as router:
        _, _, raw = await router.ask()
    assert bench.asked()["trail"] == "120"
    assert bench.upstream.requests[-1].headers["x-auth"] == "120"
    assert json.loads(raw)["content"][0]["text"] == "ok021"


async def test_thinking_in_the_classic_form(bench):
    """Transformers that were written for the classic router give reasoning as `thinking`, and say all of it again with
    a signature of their own making: it is shown once.
    """
    bench.write(
        "t.js",
        transformer(r"""
        async transformResponseOut(response) {
          if (!response.headers.get("content-type").includes("stream")) {
            const answer = await response.json();
            answer.choices[0].message.thinking = { content: "so it is", signature: "1" };
            return Response.json(answer);
          }
          const deltas = [{ thinking: { content: "so " } }, { thinking: { content: "it is" } }, { thinking: { content: "so it is", signature: "1" } }, { content: "Yes" }];
          const chunks = deltas.map((delta) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`);
          return new Response(chunks.join("") + 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n');
        }"""),
    )
    bench.answer("Yes")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        events = await router.stream()
        _, _, raw = await router.ask()
    thought = "".join(e["delta"].get("thinking", "") for e in events if e["type"] == "content_block_delta")
    assert (thought, text_of(events)) == ("so it is", "Yes")
    assert [(one["type"], one.get("thinking")) for one in json.loads(raw)["content"]] == [
        ("thinking", "so it is"),
        ("text", None),
    ]


async def test_with_transforms_of_the_router(bench):
    """The router's own and the user's work on one provider: options of the one, bytes of the other."""
    bench.write("t.js", transformer("transformRequestIn(request) { return { ...request, seen: request.top_k }; }"))
    bench.answer("ok")
    async with bench.running(
        bench.config([["customparams", {"top_k": 5}], "mine"], transformers=[{"path": "t.js"}])
    ) as router:
        await router.ask()
    assert bench.asked()["seen"] == 5


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_pieces_pass_as_they_come(bench, dialect):
    """A body that streams is read by the module while the provider still sends, and each piece goes on at once."""
    bench.write(
        "t.js", transformer("async transformResponseOut(response) { return new Response(response.body, response); }")
    )
    gate = asyncio.Event()

    def reply(received):
        whole = reply_to(received, ["first", "second"])
        steps = list(whole.steps)
        at = next(index for index, step in enumerate(steps) if b"first" in step) + 1
        return Reply(whole.status, whole.headers, [*steps[:at], Gate(gate), *steps[at:]], whole.framing)

    bench.upstream.always(reply)
    async with bench.running(bench.config(["mine"], dialect, transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with router.client.post(f"{router.url}/v1/messages", json=body) as response:
            got = b""
            while b"first" not in got:
                got += await response.content.readany()
            assert b"second" not in got
            gate.set()
            got += await response.content.read()
    assert b"second" in got
    assert b"message_stop" in got


async def test_requests_at_the_same_time(bench):
    """Many requests share one process, and none gets another's answer."""
    bench.write("t.js", transformer("""
        async transformRequestIn(request) { return { ...request, user: request.messages[0].content }; }
        async transformResponseOut(response) {
          const text = await response.text();
          await new Promise((resolve) => setImmediate(resolve));
          return new Response(text, response);
        }"""))  # fmt: skip
    bench.upstream.always(lambda received: json_reply(chat_json(f"for {received.json()['user']}")))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:

        async def ask(number: int) -> str:
            _, _, raw = await router.ask(messages=[{"role": "user", "content": f"number {number}"}])
            return json.loads(raw)["content"][0]["text"]

        told = await asyncio.gather(*map(ask, range(40)))
    assert told == [f"for number {number}" for number in range(40)]


async def test_a_large_conversation(bench):
    """A body of megabytes, with every kind of character, arrives as it was."""
    text = 'ä\u2028"\\\n😀' * 200_000
    bench.write("t.js", transformer("async transformRequestIn(request) { return request; }"))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        data = io.BytesIO(json.dumps(body, ensure_ascii=False).encode())
        async with router.client.post(f"{router.url}/v1/messages", data=data) as response:
            assert response.status == 200
    assert bench.asked()["messages"][0]["content"] == text


async def test_what_a_module_prints_goes_to_the_log(bench):
    """`console.log`, `process.stdout` and a child's output do not disturb the channel; nothing is in the answer."""
    bench.write("t.js", """
        const { execSync } = require("node:child_process");
        console.log('{"id":1,"result":"at load"}');
        module.exports = class {
          name = "mine";
          async transformRequestIn(request) {
            console.log("printed", { request: request.model });
            process.stdout.write("without an end");
            console.error("complained");
            execSync("echo of a child", { stdio: "inherit" });
            return request;
          }
        };""")  # fmt: skip
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        status, _, _ = await router.ask()
        assert status == 200
    printed = [(line["level"], line["text"]) for line in bench.logged("a JavaScript module prints")]
    assert (20, '{"id":1,"result":"at load"}') in printed
    assert (20, "printed { request: 'm1' }") in printed
    assert (20, "without an endof a child") in printed
    assert (40, "complained") in printed


async def test_its_surroundings(bench, tmp_path):
    """It runs in its own folder, finds its packages there, and has the environment but for the router's own key."""
    package = tmp_path / "code" / "node_modules" / "answer"
    package.mkdir(parents=True)
    (package / "index.js").write_text("module.exports = 42;")
    (tmp_path / "code" / "t.js").write_text(transformer("""
        async transformRequestIn(request) {
          const { OWN_KEY, MY_SERVICE_KEY } = process.env;
          return { ...request, seen: [process.cwd(), require("answer"), MY_SERVICE_KEY, OWN_KEY ?? null] };
        }"""))  # fmt: skip
    bench.answer("ok")
    environ = {"MY_SERVICE_KEY": "theirs", "OWN_KEY": "router-key-0123456789"}
    config = bench.config(["mine"], transformers=[{"path": "code/t.js"}], APIKEY="router-key-0123456789")
    async with bench.running(config, environ) as router:
        await router.ask({"x-api-key": "router-key-0123456789"})
    assert bench.asked()["seen"] == [str(tmp_path / "code"), 42, "theirs", None]


@pytest.mark.parametrize(
    ("path", "file", "text"),
    [
        ("t.mjs", "t.mjs", "export default class { name = 'mine'; transformRequestIn(r) { return {...r, seed: 1}; } }"),
        (
            "t.cjs",
            "t.cjs",
            "exports.default = class { static TransformerName = 'mine'; transformRequestIn(r) { return {...r, seed: 1}; } }",
        ),
        ("t", "t.js", "module.exports = class { name = 'mine'; transformRequestIn(r) { return {...r, seed: 1}; } }"),
        ("mine.js", "mine.js", "module.exports = class { transformRequestIn(r) { return {...r, seed: 1}; } }"),
    ],
)
async def test_forms_of_modules(bench, path, file, text):
    """ES modules and CommonJS, a path without its ending, a name of the class, of an instance, or of the file."""
    bench.write(file, text)
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": path}])) as router:
        await router.ask()
    assert bench.asked()["seed"] == 1


# -- what goes wrong ---------------------------------------------------------------------------------------------------

FAILS = {
    "transformRequestIn": "async transformRequestIn() {\n throw new RangeError('no luck'); }",
    "transformResponseOut": "async transformResponseOut() {\n throw new RangeError('no luck'); }",
    "auth": "auth() {\n throw new RangeError('no luck'); }",
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("hook", FAILS)
async def test_an_exception_is_a_clear_error(bench, hook, streamed):
    """The client is told hook, transformer, file, line and reason; the log has the stack. The process lives on."""
    bench.write("t.js", transformer(FAILS[hook]))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        for _ in range(2):
            status, _, raw = await router.ask(stream=streamed)
            assert status == 500
            assert (
                error_of(raw)["message"] == f"`{hook}` of transformer 'mine' failed (t.js, line 5): RangeError: no luck"
            )
        assert "t.js:5" in bench.logged("custom code failed")[0]["trace"]


NONSENSE = {
    "transformRequestIn() {}": "transformRequestIn returned nothing",
    "transformRequestIn() { return { body: 'text' }; }": "the body that it gives must be an object",
    "transformRequestIn() { return { body: { a: 1n } }; }": "BigInt",
    "transformResponseOut() {}": "transformResponseOut returned no Response",
    "transformResponseOut() { return { json: 1 }; }": "transformResponseOut returned no Response",
    "transformResponseOut() { return new Response(new ReadableStream({ pull(c) { c.enqueue(5); } })); }": "Response",
}


@pytest.mark.parametrize("code", NONSENSE)
async def test_nonsense_is_a_clear_error(bench, code):
    """What a hook returns is checked before anything is made of it."""
    bench.write("t.js", transformer(code))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        status, _, raw = await router.ask()
    assert status == 500
    if NONSENSE[code] != "Response":
        assert NONSENSE[code] in error_of(raw)["message"]


async def test_an_answer_that_it_makes_an_error(bench):
    """A status of 400 or more is the provider's error, in its words."""
    bench.write(
        "t.js", transformer("transformResponseOut() { return new Response('no quota left', { status: 429 }); }")
    )
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        status, _, raw = await router.ask()
    assert (status, error_of(raw)["type"]) == (429, "rate_limit_error")
    assert "no quota left" in error_of(raw)["message"]


async def test_a_crash_is_told_and_got_over(bench):
    """What goes on with a process that ends fails with a clear error; the next request has a fresh one."""
    bench.write("t.js", transformer("""
        transformRequestIn(request) {
          this.logger.info("pid " + process.pid);
          if (request.messages[0].content === "die") process.exit(7);
          return request;
        }"""))  # fmt: skip
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        status, _, raw = await router.ask(messages=[{"role": "user", "content": "die"}])
        assert status == 500
        assert "its process is gone: it ended with exit code 7" in error_of(raw)["message"]
        status, _, _ = await router.ask()
        assert status == 200
        first, second = pids(bench)
        assert first != second


async def test_a_crash_in_the_middle_of_an_answer(bench):
    """The client's stream ends with an error event, never as if it were finished."""
    bench.write("t.js", transformer("""
        transformResponseOut(response) {
          let pieces = 0;
          return new Response(response.body.pipeThrough(new TransformStream({
            transform(piece, controller) {
              if (pieces++ > 0) process.kill(process.pid, "SIGKILL");
              controller.enqueue(piece);
            },
          })));
        }"""))  # fmt: skip
    gate = asyncio.Event()
    frames = chat_stream(["one", "two", "three"])
    bench.upstream.always(lambda received: sse_reply([*frames[:2], Gate(gate), *frames[2:]]))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with router.client.post(f"{router.url}/v1/messages", json=body) as response:
            got = b""
            while b"one" not in got:
                got += await response.content.readany()
            gate.set()
            got += await response.content.read()
    assert b"its process is gone" in got
    assert b"message_stop" not in got


async def test_a_module_that_hangs_altogether(bench):
    """An endless loop is given up after its time; its process is ended, and the next request has a fresh one."""
    bench.write("t.js", transformer("""
        transformRequestIn(request) {
          if (request.messages[0].content === "hang") for (;;);
          return request;
        }"""))  # fmt: skip
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js", "timeoutMs": 200}])) as router:
        status, _, raw = await router.ask(messages=[{"role": "user", "content": "hang"}])
        assert status == 500
        assert "took longer than 0.2 s" in error_of(raw)["message"]
        await until(lambda: bool(bench.logged("a JavaScript module hangs; its process is ended")), router)
        for _ in range(50):  # until its end has been noticed
            status, _, _ = await router.ask()
            if status == 200:
                break
        assert status == 200


@pytest.mark.parametrize("hook", ["transformRequestIn", "transformResponseOut", "a piece"])
async def test_a_call_that_hangs(bench, hook):
    """A promise that is never kept is given up after its time; the process and its other calls go on."""
    code = {
        "transformRequestIn": "transformRequestIn(r) { return r.user || this.hang(r); }",
        "transformResponseOut": "transformResponseOut() { return new Promise(() => {}); }",
        "a piece": "transformResponseOut() { return new Response(new ReadableStream({ pull() { return new Promise(() => {}); } })); }",
    }[hook]
    bench.write("t.js", transformer(code + " hang() { return new Promise(() => {}); }"))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js", "timeoutMs": 150}])) as router:
        told = await asyncio.gather(*(router.ask() for _ in range(3)))
        assert [status for status, _, _ in told] == [500, 500, 500]
        assert all("took longer than 0.15 s" in error_of(raw)["message"] for _, _, raw in told)
        assert bench.logged("a JavaScript module hangs; its process is ended") == []


async def test_a_slow_provider_is_not_the_modules_fault(bench):
    """While the module waits for the provider its own time does not run: another call, begun later, that hangs by itself
    is given up while the first still waits.
    """
    bench.write(
        "t.js",
        transformer("""
        transformRequestIn(request) { return request.messages[0].content === "hang" ? new Promise(() => {}) : request; }
        async transformResponseOut(response) { return Response.json(await response.json()); }"""),
    )
    gate = asyncio.Event()
    whole = json_reply(chat_json("late"))
    body = b"".join(whole.steps)
    bench.upstream.always(lambda received: Reply(200, whole.headers, [body[:10], Gate(gate), body[10:]], "chunked"))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js", "timeoutMs": 100}])) as router:
        asking = asyncio.create_task(router.ask())
        await bench.upstream.request()
        for _ in range(3):
            status, _, _ = await router.ask(messages=[{"role": "user", "content": "hang"}])
            assert status == 500
        assert not asking.done()
        gate.set()
        status, _, raw = await asking
    assert status == 200
    assert json.loads(raw)["content"][0]["text"] == "late"


async def test_a_provider_that_breaks_off(bench):
    """It is the provider's failure, in the router's own words for it, and falls back like one."""
    bench.write(
        "t.js", transformer("async transformResponseOut(response) { return Response.json(await response.json()); }")
    )
    bench.upstream.reply(Reply(200, {"content-type": "application/json"}, [b'{"half":', Cut()], "chunked"))
    bench.answer("from the other")
    config = bench.config(["mine"], transformers=[{"path": "t.js"}], fallback={"default": ["anthropic,m1"]})
    async with bench.running(config) as router:
        status, _headers, raw = await router.ask()
    assert status == 200
    assert json.loads(raw)["content"][0]["text"] == "from the other"


async def test_a_client_that_leaves(bench):
    """The provider's answer is cut, and the module's stream is cancelled; the process lives on."""
    bench.write("t.js", transformer("""
        transformResponseOut(response) {
          const reader = response.body.getReader();
          const logger = this.logger;
          return new Response(new ReadableStream({
            async pull(controller) {
              const { done, value } = await reader.read();
              if (done) controller.close();
              else controller.enqueue(value);
            },
            cancel() { logger.info("cancelled"); },
          }));
        }"""))  # fmt: skip
    never = asyncio.Event()
    bench.upstream.always(lambda received: sse_reply([chunk({"role": "assistant", "content": "first"}), Gate(never)]))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        response = await router.client.post(f"{router.url}/v1/messages", json=body)
        got = b""
        while b"first" not in got:
            got += await response.content.readany()
        response.close()
        received = await bench.upstream.request()
        await asyncio.wait_for(received.closed.wait(), 10)
        bench.answer("ok")
        await until(lambda: "cancelled" in [one["text"] for one in bench.logged("a JavaScript module says")], router)


async def test_no_more_is_read_than_is_wanted(bench):
    """A client that reads slowly holds the provider up through the module: nothing piles up in between."""
    bench.write("t.js", transformer("transformResponseOut(response) { return new Response(response.body, response); }"))
    piece = chunk({"content": "x" * 60_000})
    bench.upstream.always(lambda received: sse_reply([piece] * 2000))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        response = await router.client.post(f"{router.url}/v1/messages", json=body)
        received = await bench.upstream.request()
        await response.content.readany()
        still = written = 0
        while still < 1000:  # until nothing moves any more while the router does other things
            async with router.client.get(f"{router.url}/health") as healthy:
                assert healthy.status == 200
            still, written = (still + 1 if written == received.written else 0), received.written
        assert written < 40_000_000
        response.close()
        await asyncio.wait_for(received.closed.wait(), 10)


# -- changes, and the end ----------------------------------------------------------------------------------------------


def seed(value: int) -> str:
    return transformer(
        f"transformRequestIn(r) {{ this.logger.info('pid ' + process.pid); return {{ ...r, seed: {value} }}; }}"
    )


async def test_changes(bench):
    """The next request has the new code, in a fresh process; the old one ends; a broken change leaves what was there."""
    bench.write("t.js", seed(1))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        await router.ask()
        bench.write("t.js", seed(2))
        await router.ask()
        assert bench.asked()["seed"] == 2
        bench.write("t.js", "module.exports = (")
        await router.ask()
        assert bench.asked()["seed"] == 2
        assert (
            "SyntaxError"
            in bench.logged("custom code was changed and fails; what was there before goes on")[0]["error"]
        )
        old, new, same = pids(bench)
        assert new == same
        await until(lambda: not is_running(old), router)
    assert not is_running(new)


async def test_an_answer_under_way_keeps_its_code(bench):
    """A change takes effect for the next request; an answer that has begun is read to its end by the code it began
    with.
    """
    bench.write(
        "t.js",
        transformer(
            "transformResponseOut(response) { return new Response(response.body.pipeThrough(new TransformStream({ transform(p, c) { c.enqueue(Buffer.from(Buffer.from(p).toString().replaceAll('word', 'old'))); } }))); }"
        ),
    )
    gate = asyncio.Event()
    frames = chat_stream(["word ", "word"])
    bench.upstream.always(lambda received: sse_reply([*frames[:2], Gate(gate), *frames[2:]]))
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with router.client.post(f"{router.url}/v1/messages", json=body) as response:
            got = b""
            while b"old" not in got:
                got += await response.content.readany()
            bench.write("t.js", transformer(""))
            bench.answer("word")
            assert text_of(await router.stream()) == "word"
            gate.set()
            got += await response.content.read()
    assert got.count(b"old") == 2
    assert b"message_stop" in got


async def test_nothing_is_left(bench):
    """At the end of the router its processes have ended, one that does not want to included."""
    bench.write("t.js", "process.on('exit', () => { for (;;); });\n" + seed(1))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "t.js"}])) as router:
        await router.ask()
        (pid,) = pids(bench)
        assert is_running(pid)
    assert not is_running(pid)


async def test_a_reload(bench):
    """With a new configuration come its modules; those of the one before end; a broken one leaves all as it was."""

    bench.write("t.js", seed(1))
    bench.write("u.js", seed(2))
    bench.answer("ok")
    path = bench.folder / "config.json"
    async with bench.running(
        bench.config(["mine"], transformers=[{"path": "t.js"}]), reload=lambda policy: (load(path, {}), NO_POLICY)
    ) as router:
        await router.ask()
        path.write_text(json.dumps(bench.config(["mine"], transformers=[{"path": "u.js"}])))
        await router.app.reload()
        await router.ask()
        assert bench.asked()["seed"] == 2
        path.write_text(json.dumps(bench.config(["other"], transformers=[{"path": "u.js"}])))
        with pytest.raises(ConfigError, match="no transformer is called 'other'"):
            await router.app.reload()
        await router.ask()
        assert bench.asked()["seed"] == 2
        old, new, same = pids(bench)
        assert new == same
        await until(lambda: not is_running(old), router)

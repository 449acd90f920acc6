"""Custom routers, in both languages where they are alike: what they see, what their answer does, how they fail."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from ccrouter.config.load import load
from ccrouter.config.projects import ProjectRouters
from ccrouter.errors import ConfigError
from tests.extensions.conftest import EXAMPLES, error_of, needs_node
from tests.upstream import json_reply
from tests.upstream.anthropic_wire import error_json

JS = pytest.param("router.js", marks=needs_node)
BOTH = pytest.mark.parametrize("file", ["router.py", JS])

HEAD = "from ccrouter.extend import *\n"
RETURNS = {
    "router.py": "async def route(request, config, context):\n    return {}",
    "router.js": "module.exports = async (req, config, context) => {}",
}


def returning(file: str, value: object) -> str:
    shown = repr(value) if file.endswith(".py") else json.dumps(value)
    return RETURNS[file].replace("{}", shown)


# -- what works --------------------------------------------------------------------------------------------------------


@BOTH
async def test_the_examples(bench, file):
    """The examples of the documentation run as they are: a word in the last message keeps a request at home."""
    bench.write(file, (EXAMPLES / file).read_text())
    bench.answer()
    config = bench.config([], CUSTOM_ROUTER_PATH=file)
    config["Providers"].append({**config["Providers"][0], "name": "local", "models": ["small"]})
    async with bench.running(config) as router:
        _, headers, _ = await router.ask(messages=[{"role": "user", "content": "#local please"}])
        assert headers["x-ccr-model"] == "local,small"
        assert headers["x-ccr-route"] == "custom"
        assert headers["x-ccr-reason"] == f"custom router: {file}"
        assert bench.asked()["model"] == "small"
        blocks = [{"type": "text", "text": "nothing of it"}]
        _, headers, _ = await router.ask(messages=[{"role": "user", "content": blocks}])
        assert headers["x-ccr-route"] == "default"


@BOTH
@pytest.mark.parametrize("nothing", [None, "", False])
async def test_nothing_leaves_the_choice_to_the_rules(bench, file, nothing):
    """Whatever is false is no answer."""
    bench.write(file, returning(file, nothing))
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:
        _, headers, _ = await router.ask()
    assert headers["x-ccr-route"] == "default"


@BOTH
@pytest.mark.parametrize("asked", ["openai,m2", "claude-3-5-haiku-20241022", "m2"])
async def test_its_answer_wins_over_everything(bench, file, asked):
    """Over a model that was named, over background, over a strict router; names are found in any case."""
    bench.write(file, returning(file, "Anthropic, M1"))
    bench.answer()
    config = bench.config([], CUSTOM_ROUTER_PATH=file, strict=True)
    config["Router"]["background"] = "openai,m2"
    async with bench.running(config) as router:
        _, headers, _ = await router.ask(model=asked)
    assert headers["x-ccr-model"] == "anthropic,m1"


@BOTH
async def test_fallbacks(bench, file):
    """Its choice has the fallbacks of `default`, as in the classic router, unless there are some of its own."""
    bench.write(file, returning(file, "anthropic,m1"))

    bench.answer()
    config = bench.config([], CUSTOM_ROUTER_PATH=file, fallback={"default": ["openai,m2"], "think": ["openai,m1"]})
    async with bench.running(config) as router:
        bench.upstream.reply(json_reply(error_json("overloaded_error", "busy"), 529))
        status, _, _ = await router.ask()
    assert status == 200
    assert [one.json()["model"] for one in bench.upstream.requests] == ["m1", "m2"]


async def test_what_a_python_router_sees(bench):
    """Request, configuration without keys, session, project, headers without keys, facts, and an estimate."""
    bench.write("router.py", HEAD + """
SEEN = []
async def route(request, config, context):
    SEEN.append((request, config, context, context.token_estimate, context.project))
""")  # fmt: skip
    bench.answer()
    (bench.folder / ".claude" / "projects" / "-repo").mkdir(parents=True)
    (bench.folder / ".claude" / "projects" / "-repo" / "s-1.jsonl").write_text("")
    config = bench.config([], CUSTOM_ROUTER_PATH="router.py", APIKEY="router-key-0123456789", OwnRules={"a": 1})

    (bench.folder / "config.json").write_text(json.dumps(config))
    projects = ProjectRouters(load(bench.folder / "config.json", {}), {"HOME": str(bench.folder)})
    async with bench.running(config, projects=projects) as router:
        headers = {"x-api-key": "router-key-0123456789", "x-claude-code-session-id": "s-1", "x-own": "yes"}
        status, _, raw = await router.ask(headers, model="claude-x", tools=[{"name": "t", "input_schema": {}}])
        assert status == 200, raw

    module = next(
        m
        for n, m in sys.modules.items()
        if n.startswith("ccr_custom_router") and m.__file__ == str(bench.folder / "router.py")
    )
    ((request, seen, context, estimate, project),) = module.SEEN
    assert request["messages"] == [{"role": "user", "content": "Hi"}]
    assert dict(request)["tools"][0]["name"] == "t"
    assert "stream" not in request
    assert request.get("system") is None
    with pytest.raises(TypeError):
        request["model"] = "x"
    assert seen["Providers"][0] == {
        "name": "openai",
        "api_base_url": f"{bench.upstream.url}/v1/chat/completions",
        "api_key": "***",
        "models": ["m1", "m2"],
    }
    assert seen["Router"]["default"] == "openai,m1"
    assert seen["OwnRules"] == {"a": 1}
    assert "router-key" not in repr(seen)
    assert "upstream-secret" not in repr(seen)
    assert (context.asked, context.session_id, context.path) == ("claude-x", "s-1", "/v1/messages")
    assert context.headers["x-own"] == "yes"
    assert "x-api-key" not in context.headers
    assert context.facts.is_probe is False
    assert 1 < estimate < 100
    assert project == "-repo"


@needs_node
async def test_what_a_javascript_router_sees(bench):
    """`req.body`, `tokenCount`, `sessionId`, `headers`, `log` and `event`, as in the classic router; no keys."""
    bench.write("router.js", """
        const { EventEmitter } = require("node:events");
        module.exports = async (req, config, { event }) => {
          const isEmitter = event instanceof EventEmitter;
          req.log.info({ isEmitter, tokens: typeof req.tokenCount }, "seen");
          req.log.warn(JSON.stringify([req.body.messages, req.sessionId, req.headers["x-own"], req.headers["x-api-key"] ?? null, req.url, config]));
        };
        """)  # fmt: skip
    bench.answer()
    config = bench.config([], CUSTOM_ROUTER_PATH="router.js", APIKEY="router-key-0123456789")
    async with bench.running(config) as router:
        headers = {"x-api-key": "router-key-0123456789", "x-claude-code-session-id": "s-1", "x-own": "yes"}
        body = b'{"model": "any",\n "max_tokens": 5, "messages": [\r\n {"role": "user", "content": "Hi\\n \\u2028 \xc3\xa9"} ]}'
        async with router.client.post(f"{router.url}/v1/messages", data=body, headers=headers) as response:
            assert response.status == 200
        first, second = bench.logged("a JavaScript module says")
        assert (first["level"], second["level"]) == (30, 40)
        assert "isEmitter: true" in first["text"]
        assert "tokens: 'number'" in first["text"]
        messages, session, own, key, url, seen = json.loads(second["text"])
    assert messages == [{"role": "user", "content": "Hi\n \u2028 é"}]
    assert (session, own, key, url) == ("s-1", "yes", None, "/v1/messages")
    assert [one["api_key"] for one in seen["Providers"]] == ["***", "***"]
    assert "upstream-secret" not in second["text"]


async def test_a_function_is_a_router_too(bench):
    """A router that is no coroutine runs in a thread, and may ask for the estimate there."""
    bench.write(
        "router.py",
        "def route(request, config, context):\n    return 'anthropic,m1' if context.token_estimate > 0 else None",
    )
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH="router.py")) as router:
        _, headers, _ = await router.ask()
    assert headers["x-ccr-model"] == "anthropic,m1"


async def test_counts_are_routed_like_requests(bench):
    """A count of tokens goes the way that the request would go; the router can tell by the path."""
    bench.write("router.py", "PATHS = []\nasync def route(request, config, context):\n    PATHS.append(context.path)")
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH="router.py")) as router:
        body = {"model": "any", "messages": [{"role": "user", "content": "Hi"}]}
        async with router.client.post(f"{router.url}/v1/messages/count_tokens", json=body) as response:
            assert response.status == 200
        await router.ask()
        async with router.client.get(f"{router.url}/v1/models") as response:  # asks nobody
            assert response.status == 200

    module = next(
        m
        for n, m in sys.modules.items()
        if n.startswith("ccr_custom_router") and m.__file__ == str(bench.folder / "router.py")
    )
    assert module.PATHS == ["/v1/messages/count_tokens", "/v1/messages"]


@needs_node
@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("router.mjs", "export default async (req) => 'anthropic,m1';"),
        ("router.cjs", "exports.default = () => 'anthropic,m1';"),
        ("router.js", "module.exports = () => Promise.resolve('anthropic,m1');"),
    ],
)
async def test_forms_of_modules(bench, file, code):
    """CommonJS and ES modules, default exports of either."""
    bench.write(file, code)
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:
        _, headers, _ = await router.ask()
    assert headers["x-ccr-model"] == "anthropic,m1"


# -- how they fail -----------------------------------------------------------------------------------------------------

RAISES = {
    "router.py": "async def route(request, config, context):\n    raise ValueError('no luck')",
    "router.js": "module.exports = async (req) => {\n  throw new TypeError('no luck');\n};",
}


@BOTH
async def test_an_exception_fails_the_request(bench, file):
    """The client is told the file, the line and the reason; the log has the trace; nothing is asked of a provider."""
    bench.write(file, RAISES[file])
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:
        status, _, raw = await router.ask()
        error = error_of(raw)
        assert (status, error["type"]) == (500, "api_error")
        kind = "ValueError" if file.endswith(".py") else "TypeError"
        assert error["message"] == f"the custom router failed ({file}, line 2): {kind}: no luck"
        (line,) = bench.logged("custom code failed")
        assert "no luck" in line["trace"]
        assert line["reqId"].startswith("req_")
    assert bench.upstream.requests == []


@BOTH
async def test_an_exception_can_be_passed_over(bench, file):
    """With CUSTOM_ROUTER_ON_ERROR: fallthrough the rules decide, and the log has the reason."""
    bench.write(file, RAISES[file])
    bench.answer()
    config = bench.config([], CUSTOM_ROUTER_PATH=file, CUSTOM_ROUTER_ON_ERROR="fallThrough")
    async with bench.running(config) as router:
        _, headers, _ = await router.ask()
        assert headers["x-ccr-route"] == "default"
        assert len(bench.logged("the custom router failed, and is passed over")) == 1


NONSENSE = {
    "m1": "answered 'm1'; it must answer \"provider,model\", or nothing",
    "nobody,m1": "Provider 'nobody' of model 'nobody,m1' is not configured",
    "anthropic,": "names no model",
}


@BOTH
@pytest.mark.parametrize("answer", NONSENSE)
async def test_an_answer_that_names_nothing(bench, file, answer):
    """It is no silent default: the request fails, and the answer is quoted."""
    bench.write(file, returning(file, answer))
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:
        status, _, raw = await router.ask()
    assert status == 500
    assert NONSENSE[answer] in error_of(raw)["message"]
    assert f"the custom router ({file}) answered" in error_of(raw)["message"]


@BOTH
async def test_an_answer_of_another_kind(bench, file):
    """A list is no answer."""
    bench.write(file, returning(file, ["anthropic,m1"]))
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:
        status, _, raw = await router.ask()
    assert status == 500
    assert "answered a list" in error_of(raw)["message"]


HANGS = {
    "router.py": "import asyncio\nasync def route(request, config, context):\n    await asyncio.Event().wait()",
    "router.js": "module.exports = () => new Promise(() => {});",
}


@BOTH
async def test_one_that_hangs(bench, file):
    """It has the time that is configured."""
    bench.write(file, HANGS[file])
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file, CUSTOM_ROUTER_TIMEOUT_MS=100)) as router:
        status, _, raw = await router.ask()
        assert status == 500
        assert "the custom router took longer than 0.1 s" in error_of(raw)["message"]


async def test_a_function_that_hangs_holds_up_nobody(bench):
    """While one request's router hangs in its thread, others are served."""
    bench.write(
        "router.py",
        "import threading\nHELD, EVENT = threading.Event(), threading.Event()\ndef route(request, config, context):\n    if 'wait' in request['messages'][0]['content']:\n        HELD.set()\n        EVENT.wait()",
    )
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH="router.py")) as router:
        module = next(
            m
            for n, m in sys.modules.items()
            if n.startswith("ccr_custom_router") and m.__file__ == str(bench.folder / "router.py")
        )
        waiting = asyncio.create_task(router.ask(messages=[{"role": "user", "content": "wait"}]))
        assert await asyncio.to_thread(module.HELD.wait, 10)
        status, _, _ = await router.ask()
        assert status == 200
        assert not waiting.done()
        module.EVENT.set()
        status, _, _ = await waiting
        assert status == 200


REFUSED = {
    "gone.py": (None, "there is no file"),
    "no_route.py": ("x = 1", "it defines no function `route(request, config, context)`"),
    "two.py": ("def route(config, context): pass", "must take three arguments"),
    "broken.py": ("def (", "broken.py, line 1): SyntaxError"),
}


@pytest.mark.parametrize("file", REFUSED)
async def test_refused_at_the_start(bench, file):
    """A file that is no router starts nothing."""
    code, words = REFUSED[file]
    if code is not None:
        bench.write(file, code)
    with pytest.raises(ConfigError) as refused:
        async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)):
            pass
    (problem,) = refused.value.problems
    assert problem.path == "CUSTOM_ROUTER_PATH"
    assert words in problem.message


@needs_node
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("module.exports = 5;", "it exports number, not a class or a function"),
        ("throw new Error('no luck');", "line 1): Error: no luck"),
        ("module.exports = (;", "SyntaxError"),
        (None, "there is no file"),
        ("process.exit(4);", "its process is gone: it ended with exit code 4"),
    ],
)
async def test_javascript_refused_at_the_start(bench, code, words):
    """As in Python; and no process is left."""
    if code is not None:
        bench.write("router.js", code)
    with pytest.raises(ConfigError) as refused:
        async with bench.running(bench.config([], CUSTOM_ROUTER_PATH="router.js")):
            pass
    assert words in refused.value.problems[0].message


async def test_without_node(bench):
    """JavaScript without node is refused at the start, with what to do about it."""
    bench.write("router.js", "module.exports = () => null;")
    bench.write("t.js", "module.exports = class {};")
    config = bench.config([], CUSTOM_ROUTER_PATH="router.js", transformers=[{"path": "t.js"}])
    with pytest.raises(ConfigError) as refused:
        async with bench.running(config, {"PATH": str(bench.folder)}):
            pass
    assert [one.path for one in refused.value.problems] == ["transformers[0].path", "CUSTOM_ROUTER_PATH"]
    for problem in refused.value.problems:
        assert "is JavaScript, and there is no `node` on the PATH" in problem.message
        assert "Node.js 18 or later" in problem.hint
        assert "Python" in problem.hint


# -- changes while it runs ---------------------------------------------------------------------------------------------


@BOTH
async def test_changes(bench, file):
    """The next request goes by the file as it is now; a broken one changes nothing, and the log has the reason."""
    bench.write(file, returning(file, "anthropic,m1"))
    bench.answer()
    async with bench.running(bench.config([], CUSTOM_ROUTER_PATH=file)) as router:

        async def chosen() -> str:
            _, headers, _ = await router.ask()
            return headers["x-ccr-model"]

        assert await chosen() == "anthropic,m1"
        bench.write(file, returning(file, "openai,m2"))
        assert await chosen() == "openai,m2"
        bench.write(file, "((((")
        assert await chosen() == "openai,m2"
        assert len(bench.logged("custom code was changed and fails; what was there before goes on")) == 1
        bench.write(file, returning(file, "openai,m1"))
        assert await chosen() == "openai,m1"

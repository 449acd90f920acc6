"""Transforms of the user's in Python, through the whole router."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from ccrouter.config.load import load
from ccrouter.errors import ConfigError
from tests.extensions.conftest import EXAMPLES, error_of
from tests.gateway.conftest import text_of

HEAD = "from ccrouter.extend import *\n"


def transform(hook: str, name: str = "mine") -> str:
    """A file with one transform that has one hook."""
    body = "\n".join(f"    {line}" for line in hook.strip("\n").splitlines())
    return f"{HEAD}class Mine(Transform):\n    name = {name!r}\n{body}\n"


# -- what works --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_the_example(bench, dialect):
    """The example of the documentation runs as it is: headers, members, parameters, and the answer as it streams."""
    bench.write("transform.py", (EXAMPLES / "transform.py").read_text())
    bench.answer()
    use = ["stamp", ["shorten", {"most": 20}], "polite", "tally"]
    entry = {"path": "transform.py", "options": {"header": "x-team", "value": "search"}}
    async with bench.running(bench.config(use, dialect, transformers=[entry])) as router:
        events = await router.stream(max_tokens=100, model="claude-x")
        sent = bench.upstream.requests[-1]
        assert sent.headers["x-team"] == "search"
        body = sent.json()
        assert (body["user"], body["temperature"]) == ("session of claude-x", 0.2)
        assert 20 in (body.get("max_tokens"), body.get("max_completion_tokens"))
        assert text_of(events) == "a goodness good answer"
        status, _, raw = await router.ask(model="claude-x")
        assert status == 200
        assert json.loads(raw)["content"][0]["text"] == "a goodness good answer"


HOOKS = {
    "request": ("def request(self, request, context):\n    return request.replace(temperature=0.125)", "temperature", 0.125),
    "async request": (
        "async def request(self, request, context):\n    import asyncio\n    await asyncio.sleep(0)\n    return request.replace(temperature=0.125)",
        "temperature",
        0.125,
    ),
    "members": ("def members(self, members, context):\n    members['seed'] = 7\n    return members", "seed", 7),
    "async members": ("async def members(self, members, context):\n    return {**members, 'seed': 7}", "seed", 7),
    "wire": (
        "def wire(self, wire, context):\n    import json\n    return Wire(wire.url, json.dumps({**json.loads(wire.body), 'seed': 7}).encode(), wire.headers)",
        "seed",
        7,
    ),
    "async wire": (
        "async def wire(self, wire, context):\n    import json\n    return Wire(wire.url, json.dumps({**json.loads(wire.body), 'seed': 7}).encode(), wire.headers)",
        "seed",
        7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("hook", HOOKS)
async def test_hooks_of_requests(bench, hook, dialect):
    """Each hook of requests changes what is sent, as a function and as a coroutine, to either dialect."""
    code, member, value = HOOKS[hook]
    bench.write("mine.py", transform(code))
    bench.answer("fine")
    async with bench.running(bench.config(["mine"], dialect, transformers=[{"path": "mine.py"}])) as router:
        status, _, raw = await router.ask()
        assert status == 200, raw
        assert bench.asked()[member] == value


ANSWERS = {
    "stream, an iterator": """
async def stream(self, answer, context):
    async for piece in answer:
        yield piece.replace(b"weather", b"climate")
""",
    "stream, an answer": """
def stream(self, answer, context):
    class Changed:
        status, headers = answer.status, answer.headers
        async def read(self):
            return (await answer.read()).replace(b"weather", b"climate")
        def close(self):
            answer.close()
    return Changed()
""",
    "stream, a coroutine": """
async def stream(self, answer, context):
    read = answer.read
    async def changed():
        return (await read()).replace(b"weather", b"climate")
    answer.read = changed
    return answer
""",
    "events": """
def events(self, context):
    def change(events):
        for event in events:
            if isinstance(event, BlockDelta) and isinstance(event.delta, TextDelta):
                event.delta.text = event.delta.text.replace("weather", "climate")
            yield event
    return change
""",
    "async events": """
async def events(self, context):
    async def change(events):
        events = list(events)
        for event in events:
            if isinstance(event, BlockDelta) and isinstance(event.delta, TextDelta):
                event.delta.text = event.delta.text.replace("weather", "climate")
        return events
    return change
""",
}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("hook", ANSWERS)
async def test_hooks_of_answers(bench, hook, dialect):
    """Each hook of answers changes what comes back, streamed and whole, from either dialect."""
    bench.write("mine.py", transform(ANSWERS[hook]))
    bench.answer("weather")
    async with bench.running(bench.config(["mine"], dialect, transformers=[{"path": "mine.py"}])) as router:
        assert text_of(await router.stream()) == "climate"
        _, _, raw = await router.ask()
        assert json.loads(raw)["content"][0]["text"] == "climate"


async def test_order(bench):
    """Requests pass a provider's transforms in the order of `use`, the router's own among them, then the model's;
    answers come back the other way.
    """
    bench.write("mine.py", f"""
        {HEAD.strip()}
        class Mark(Transform):
            name = "mark"
            def members(self, members, context):
                members["trail"] = members.get("trail", "") + self.options["as"]
                return members
            def events(self, context):
                def mark(events):
                    for event in events:
                        if isinstance(event, BlockDelta):
                            event.delta.text += self.options["as"]
                    return events
                return mark
        """.replace("\n        ", "\n"))  # fmt: skip
    bench.answer("ok")
    config = bench.config([], transformers=[{"path": "mine.py"}])
    config["Providers"][0]["transformer"] = {
        "use": [["mark", {"as": "1"}], ["customparams", {"trail": "never", "seen": 1}], ["mark", {"as": "2"}]],
        "m1": {"use": [["mark", {"as": "3"}]]},
    }
    async with bench.running(config) as router:
        events = await router.stream()
    assert bench.asked()["trail"] == "123"
    assert text_of(events) == "ok321"


async def test_options(bench):
    """Options in `use` go over those of the entry; variables in both are filled in; each entry of `use` has its own."""
    bench.write(
        "mine.py",
        transform(
            "def members(self, members, context):\n    members['options'] = dict(self.options)\n    return members"
        ),
    )
    bench.answer("ok")
    entry = {"path": "mine.py", "options": {"a": "$WORD", "b": 1}}
    config = bench.config([["mine", {"b": "${WORD}2"}]], transformers=[entry])
    config["Providers"][1]["transformer"] = {"use": ["MINE"]}
    (bench.folder / "config.json").write_text(json.dumps(config))

    loaded = load(bench.folder / "config.json", {"WORD": "filled"})
    assert loaded.custom_transformers[0].options == {"a": "filled", "b": 1}
    assert loaded.providers[0].transforms[0].options == {"b": "filled2"}
    config["transformers"][0]["options"]["a"] = "x"
    config["Providers"][0]["transformer"] = {"use": [["mine", {"b": 2}]]}
    async with bench.running(config) as router:
        await router.ask()
        assert bench.asked()["options"] == {"a": "x", "b": 2}
        await router.ask(model="anthropic,m1")
        assert bench.asked()["options"] == {"a": "x", "b": 1}


async def test_a_large_conversation_is_not_decoded(bench):
    """`members` that nobody looks at stay the client's own bytes, to the white space."""
    bench.write(
        "mine.py",
        transform(
            "def members(self, members, context):\n    members['seed'] = members['max_tokens']\n    return members"
        ),
    )
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], "anthropic", transformers=[{"path": "mine.py"}])) as router:
        body = b'{"model": "any", "max_tokens": 5, "messages": [ {"role" : "user", "content": "Hi",   "unknown": 1} ]}'
        async with router.client.post(f"{router.url}/v1/messages", data=body) as response:
            assert response.status == 200
    sent = bench.upstream.requests[-1].body
    assert b'[ {"role" : "user", "content": "Hi",   "unknown": 1} ]' in sent
    assert json.loads(sent)["seed"] == 5


async def test_a_transform_may_take_the_key_away(bench):
    """A header that `wire` sets wins over the key's; an empty one is left out."""
    bench.write(
        "mine.py",
        transform(
            'def wire(self, wire, context):\n    return Wire(wire.url, wire.body, {**wire.headers, "Authorization": "", "X-Goog-Api-Key": "own"})'
        ),
    )
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        await router.ask()
    headers = bench.upstream.requests[-1].headers
    assert "authorization" not in headers
    assert headers["x-goog-api-key"] == "own"


# -- names -------------------------------------------------------------------------------------------------------------

TWO = (
    HEAD
    + "class A(Transform):\n    name = 'first'\nclass B(Transform):\n    def members(self, members, context):\n        members['b'] = 1\n        return members\nclass _C(Transform): pass\n"
)


@pytest.mark.parametrize(
    ("entry", "use"),
    [
        ({}, "B"),
        ({}, "b"),
        ({"name": "B"}, "B"),
    ],
)
async def test_names_of_several(bench, entry, use):
    """A class goes by its `name`, else by that of the class, in any case; an entry's `name` picks one of several."""
    bench.write("two.py", TWO)
    bench.answer("ok")
    async with bench.running(bench.config([use], transformers=[{"path": "two.py", **entry}])) as router:
        await router.ask()
        async with router.client.get(f"{router.url}/api/transformers") as response:
            assert "b" in [one["name"] for one in (await response.json())["transformers"]]
    assert bench.asked()["b"] == 1


@pytest.mark.parametrize("use", ["mine", "other", "the_file"])
async def test_names_of_one(bench, use):
    """A file's only transform goes by its own name, by its entry's, and by the file's where the entry has none."""
    bench.write("the_file.py", transform("def members(self, members, context):\n    return {**members, 'seed': 1}"))
    bench.answer("ok")
    entry = {"path": "the_file.py"} | ({"name": "other"} if use == "other" else {})
    async with bench.running(bench.config([use], transformers=[entry])) as router:
        await router.ask()
    assert bench.asked()["seed"] == 1


async def test_a_built_in_can_be_replaced(bench):
    """One of the user's own that is called like one of the router's is used in its place."""
    bench.write(
        "own.py",
        transform("def members(self, members, context):\n    return {**members, 'own': self.options}", "maxtoken"),
    )
    bench.answer("ok")
    async with bench.running(
        bench.config([["maxtoken", {"max_tokens": 3}]], transformers=[{"path": "own.py"}])
    ) as router:
        await router.ask(max_tokens=50)
    assert bench.asked()["own"] == {"max_tokens": 3}
    assert 50 in (bench.asked().get("max_tokens"), bench.asked().get("max_completion_tokens"))


async def test_where_a_file_is_looked_for(bench, tmp_path):
    """A path is full, or from the configuration's folder, or from home with `~`; siblings of the file can be imported."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sibling_of_the_test.py").write_text("SEED = 4\n")
    code = transform(
        "def members(self, members, context):\n    import sibling_of_the_test\n    return {**members, 'seed': sibling_of_the_test.SEED}"
    )
    bench.write("code/mine.py".replace("/", "_"), "")
    (tmp_path / "code" / "mine.py").write_text(code)
    bench.answer("ok")
    for path in ("code/mine.py", str(tmp_path / "code" / "mine.py"), "~/code/mine.py"):
        config = json.dumps(bench.config(["mine"], transformers=[{"path": path}]))
        (tmp_path / "config.json").write_text(config)

        assert (
            load(tmp_path / "config.json", {"HOME": str(tmp_path)}).custom_transformers[0].path
            == tmp_path / "code" / "mine.py"
        )
    async with bench.running(bench.config(["mine"], transformers=[{"path": "code/mine.py"}])) as router:
        await router.ask()
    assert bench.asked()["seed"] == 4


async def test_an_installed_package_offers_one(bench, monkeypatch, tmp_path):
    """A transform under the entry point group `ccrouter.transforms` is used by its name, without an entry of its own."""
    site = tmp_path / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text(
        "[ccrouter.transforms]\nacme-seed = acme_transforms:Seed\n"
    )
    (site / "acme_transforms.py").write_text(
        transform("def members(self, members, context):\n    return {**members, 'seed': self.options['seed']}").replace(
            "class Mine", "class Seed"
        )
    )
    monkeypatch.syspath_prepend(str(site))
    bench.answer("ok")
    async with bench.running(bench.config([["Acme-Seed", {"seed": 9}]])) as router:
        await router.ask()
    assert bench.asked()["seed"] == 9


async def test_a_provider_that_is_switched_on_later(bench):
    """A transform of a provider that was off at the start is made when the provider is first asked."""
    bench.write(
        "mine.py",
        transform("def members(self, members, context):\n    return {**members, 'seed': self.options['seed']}"),
    )
    bench.answer("ok")
    config = bench.config([], transformers=[{"path": "mine.py"}])
    config["Providers"][1] |= {"enabled": False, "transformer": {"use": [["mine", {"seed": 6}]]}}
    async with bench.running(config) as router:
        async with router.client.patch(f"{router.url}/providers/anthropic/toggle", json={"enabled": True}) as response:
            assert response.status == 200, await response.text()
        status, _, raw = await router.ask(model="anthropic,m1")
    assert status == 200, raw
    assert bench.asked()["seed"] == 6


# -- refused at the start ----------------------------------------------------------------------------------------------

REFUSED = {
    "no such file": (None, ["mine"], "transformers[0].path", "there is no file"),
    "not Python": ("def (", ["mine"], "transformers[0].path", "mine.py, line 1): SyntaxError"),
    "raises": ("x = 1\nraise ValueError('no luck')", ["mine"], "transformers[0].path", "mine.py, line 2): ValueError: no luck"),
    "exits": ("import sys\nsys.exit(3)", ["mine"], "transformers[0].path", "line 2): SystemExit: 3"),
    "no transform": ("x = 1", ["mine"], "transformers[0].path", "it defines no subclass"),
    "its constructor raises": (transform("def __init__(self, options):\n    options['needed']"), ["mine"], 'the transformer "mine" of provider "openai"', "line 5): KeyError: 'needed'"),
    "its constructor refuses": (transform("def __init__(self, options):\n    raise ConfigError([Problem('', '', 'needs a key', 'give it one')])"), ["mine"], 'the transformer "mine" of provider "openai"', "needs a key\n  hint: give it one"),
    "unknown name": (transform(""), ["min3"], 'the transformer "min3" of provider "openai"', 'did you mean "mine"?'),
    "two of one name": (HEAD + "class A(Transform): name = 'X'\nclass B(Transform): name = 'x'", [], "transformers[0].path", "two of its classes are called 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_at_the_start(bench, case):
    """Code that cannot be used is told by place, file, line and reason, and nothing is served."""
    code, use, path, words = REFUSED[case]
    if code is not None:
        bench.write("mine.py", code)
    with pytest.raises(ConfigError) as refused:
        async with bench.running(bench.config(use, transformers=[{"path": "mine.py"}])):
            pass
    (problem,) = refused.value.problems
    assert problem.file == str(bench.folder / "config.json")
    assert problem.path == path
    assert words in str(problem)
    assert "Traceback" not in str(problem)


async def test_an_unknown_name_without_custom_files_is_refused_by_the_configuration(bench):
    """What neither the router nor a package has is refused when the file is read, with the nearest name."""
    with pytest.raises(ConfigError, match=r'no transformer is called "maxtokn"\n.*did you mean "maxtoken"'):
        async with bench.running(bench.config(["maxtokn"])):
            pass


async def test_all_problems_at_once(bench):
    """Every file that cannot be loaded is told, not only the first."""
    bench.write("a.py", "raise ValueError('one')")
    bench.write("b.py", "raise ValueError('two')")
    entries = [{"path": "a.py"}, {"path": "b.py"}]
    with pytest.raises(ConfigError) as refused:
        async with bench.running(
            bench.config([], transformers=entries, CUSTOM_ROUTER_PATH="c.py", REWRITE_SYSTEM_PROMPT="d.md")
        ):
            pass
    assert [one.path for one in refused.value.problems] == [
        "transformers[0].path",
        "transformers[1].path",
        "CUSTOM_ROUTER_PATH",
        "REWRITE_SYSTEM_PROMPT",
    ]


# -- failures of a request ---------------------------------------------------------------------------------------------

FAILS = {
    "request": "def request(self, request, context):\n    raise ValueError('no luck')",
    "members": "def members(self, members, context):\n    raise ValueError('no luck')",
    "async members": "async def members(self, members, context):\n    raise ValueError('no luck')",
    "wire": "def wire(self, wire, context):\n    raise ValueError('no luck')",
    "async wire": "async def wire(self, wire, context):\n    raise ValueError('no luck')",
    "stream": "def stream(self, answer, context):\n    raise ValueError('no luck')",
    "events": "def events(self, context):\n    raise ValueError('no luck')",
    "a filter of events": "def events(self, context):\n    def bad(events): raise ValueError('no luck')\n    return bad",
    "pieces of stream": "async def stream(self, answer, context):\n    raise ValueError('no luck')\n    yield b''",
}  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("hook", FAILS)
async def test_an_exception_is_a_clear_error(bench, hook, streamed):
    """The client is told transform, file, line and reason, as a 500; the log has the trace, the client never."""
    bench.write("mine.py", transform(FAILS[hook]))
    bench.answer("fine")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        status, _, raw = await router.ask(stream=streamed)
        error = error_of(raw)
        assert (status, error["type"]) == (500, "api_error")
        name = next(one for one in ("request", "members", "wire", "stream", "events") if one in hook)
        assert error["message"] == f"`{name}` of transform 'mine' failed (mine.py, line 5): ValueError: no luck"
        (line,) = bench.logged("custom code failed")
        assert "Traceback" in line["trace"]
        assert "raise ValueError('no luck')" in line["trace"]
        assert line["file"] == str(bench.folder / "mine.py")


NONSENSE = {
    "request": ("def request(self, request, context):\n    pass", "it must give a MessagesRequest; it gave nothing: is there a `return`?"),
    "members": ("def members(self, members, context):\n    return [1]", "it must give a dict, not list"),
    "members with a set": ("def members(self, members, context):\n    return {**members, 'x': object()}", "TypeError"),
    "wire": ("def wire(self, wire, context):\n    return Wire(wire.url, 'text', wire.headers)", "a Wire with a URL, bytes and headers of text"),
    "stream": ("def stream(self, answer, context):\n    return 5", "an answer with `read`, or an asynchronous iterator of bytes"),
    "pieces": ("async def stream(self, answer, context):\n    yield 'text'", "a piece must be bytes, not str"),
    "events": ("def events(self, context):\n    return 5", "a function from events to events, or None"),
    "filter": ("def events(self, context):\n    return lambda events: 5", "a filter that gives a list of events"),
}  # fmt: skip


@pytest.mark.parametrize("hook", NONSENSE)
async def test_nonsense_is_a_clear_error(bench, hook):
    """What a hook gives is checked before anything is made of it."""
    code, words = NONSENSE[hook]
    bench.write("mine.py", transform(code))
    bench.answer("fine")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        status, _, raw = await router.ask()
        assert status == 500
        assert words in error_of(raw)["message"]


async def test_its_own_refusal_is_passed_on(bench):
    """One of the router's own errors, raised by a hook, is meant as it is."""
    bench.write(
        "mine.py",
        transform("def request(self, request, context):\n    raise ClientError('not on a Sunday', status=409)"),
    )
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        status, _, raw = await router.ask()
        assert (status, error_of(raw)["message"]) == (409, "not on a Sunday")
        assert bench.upstream.requests == []


HANGS = {
    "members": "def members(self, members, context):\n    EVENT.wait()\n    return members",
    "async members": "async def members(self, members, context):\n    await asyncio.Event().wait()",
    "wire": "def wire(self, wire, context):\n    EVENT.wait()\n    return wire",
    "async wire": "async def wire(self, wire, context):\n    await asyncio.Event().wait()",
    "filter": "def events(self, context):\n    def hang(events): EVENT.wait(); return events\n    return hang",
}


@pytest.mark.parametrize("hook", HANGS)
async def test_a_hook_that_hangs(bench, hook):
    """It is given up after its time, by name; meanwhile, and after it, others are served."""
    bench.write(
        "mine.py", transform(HANGS[hook]).replace(HEAD, HEAD + "import asyncio, threading\nEVENT = threading.Event()\n")
    )
    bench.answer("fine")
    entry = {"path": "mine.py", "timeoutMs": 100}
    async with bench.running(bench.config(["mine"], transformers=[entry])) as router:
        hanging = asyncio.create_task(router.ask())
        status, _, _ = await router.ask(model="anthropic,m1")
        assert status == 200
        status, _, raw = await hanging
        assert status == 500
        assert "of transform 'mine' took longer than 0.1 s" in error_of(raw)["message"]

        next(
            module
            for name, module in sys.modules.items()
            if name.startswith("ccr_custom_mine") and module.__file__ == str(bench.folder / "mine.py")
        ).EVENT.set()


async def test_a_client_that_leaves_ends_a_coroutine(bench):
    """When nobody waits any more, what the event loop does for a hook is cancelled."""
    bench.write("mine.py", transform("""
        async def members(self, members, context):
            ENTERED.set()
            try:
                await asyncio.Event().wait()
            finally:
                LEFT.set()
        """.replace("\n        ", "\n")).replace(HEAD, HEAD + "import asyncio, threading\nENTERED, LEFT = threading.Event(), threading.Event()\n"))  # fmt: skip
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        module = next(
            m
            for n, m in sys.modules.items()
            if n.startswith("ccr_custom_mine") and m.__file__ == str(bench.folder / "mine.py")
        )
        asking = asyncio.create_task(router.ask())
        assert await asyncio.to_thread(module.ENTERED.wait, 10)
        asking.cancel()
        assert await asyncio.to_thread(module.LEFT.wait, 10)


# -- changes while it runs ---------------------------------------------------------------------------------------------


def seed(value: int) -> str:
    return transform(f"def members(self, members, context):\n    return {{**members, 'seed': {value}}}")


async def test_a_change_is_in_force_for_the_next_request(bench):
    """A file that was changed is loaded anew; options stay; the log says so."""
    bench.write("mine.py", seed(1))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        await router.ask()
        assert bench.asked()["seed"] == 1
        bench.write("mine.py", seed(2))
        await router.ask()
        assert bench.asked()["seed"] == 2
        assert len(bench.logged("custom code was changed, and is loaded anew")) == 1


@pytest.mark.parametrize(
    "broken",
    [
        "def (",
        "x = 1",
        HEAD + "class Other(Transform): name = 'other'\nclass B(Transform): pass",
        transform("def __init__(self, options): raise ValueError(5)"),
    ],
    ids=["syntax", "empty", "renamed", "constructor"],
)
async def test_a_broken_change_leaves_what_was_there(bench, broken):
    """Requests go on with the code from before; the log has the reason, once; mended, it is in force."""
    bench.write("mine.py", seed(1))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        bench.write("mine.py", broken)
        for _ in range(2):
            status, _, _ = await router.ask()
            assert (status, bench.asked()["seed"]) == (200, 1)
        (line,) = bench.logged("custom code was changed and fails; what was there before goes on")
        assert line["level"] == 50
        bench.write("mine.py", seed(3))
        await router.ask()
        assert bench.asked()["seed"] == 3


async def test_a_file_that_is_gone_leaves_what_was_there(bench):
    """As with any other broken change."""
    path = bench.write("mine.py", seed(1))
    bench.answer("ok")
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        path.unlink()
        await router.ask()
        assert bench.asked()["seed"] == 1


async def test_keys_are_in_no_trace(bench):
    """A provider's key that an exception quotes is in neither the answer nor the log."""
    bench.write(
        "mine.py",
        transform("def wire(self, wire, context):\n    raise ValueError(context.target.provider.key.reveal())"),
    )
    async with bench.running(bench.config(["mine"], transformers=[{"path": "mine.py"}])) as router:
        _, _, raw = await router.ask()
    assert b"upstream-secret" not in raw
    assert "upstream-secret" not in (bench.folder / "test.log").read_text()
    assert "ValueError: ***" in error_of(raw)["message"]

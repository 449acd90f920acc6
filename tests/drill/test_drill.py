"""The drill of the router itself: by a config of two providers, of each shape, and of none."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import socket
from pathlib import Path

import pytest

from ccrouter.cli import drill
from ccrouter.cli.group import run
from ccrouter.config.load import read
from ccrouter.config.schema import Target
from ccrouter.dialects.profiles import profile_of
from ccrouter.drill.course import Drill, Findings, hold
from ccrouter.drill.faults import FAULTS
from ccrouter.drill.island import IslandLoop
from ccrouter.drill.server import Pace
from ccrouter.drill.setting import DEMO, Places, check_island, drilled_config, given_up, routes_of
from ccrouter.drill.table import as_json, lines_of
from ccrouter.errors import LocalProtocolError
from tests.drill.wire import BY_NAME

KEYS = ["sk-or-v1-first-0123456789abcdef", "sk-ant-second-0123456789abcdef", "sk-pool-third-0123456789abcdef"]
CLASSIC = {
    "APIKEY": "the-routers-own-key-0123456789",
    "Providers": [
        {
            "name": "openrouter",
            "api_base_url": "https://openrouter.ai/api/v1/chat/completions",
            "api_key": [KEYS[0], KEYS[2]],
            "models": ["qwen/qwen3-coder", "z-ai/glm-4.6"],
            "transformer": {"use": ["openrouter", ["customparams", {"params": {"password": KEYS[1]}}]]},
        },
        {
            "name": "anthropic",
            "api_base_url": "https://api.anthropic.com/v1/messages",
            "api_key": "$DRILL_TEST_KEY",
            "models": ["claude-sonnet-4-5"],
        },
    ],
    "Router": {"default": "openrouter,qwen/qwen3-coder", "background": "anthropic,claude-sonnet-4-5", "think": "openrouter,z-ai/glm-4.6"},
    "fallback": {"default": ["anthropic,claude-sonnet-4-5"], "background": ["openrouter,z-ai/glm-4.6"]},
}  # fmt: skip
GUIDE = {
    "providers": {
        "openrouter": {"baseURL": "https://openrouter.ai/api", "apiKey": "${DRILL_TEST_KEY}", "defaultHeaders": {"X-Team": KEYS[2]}},
        "gemini": {"baseURL": "https://generativelanguage.googleapis.com", "apiKey": KEYS[0]},
    },
    "routers": {"default": {"defaultProvider": "openrouter", "routes": {"openrouter,qwen/qwen3-coder": {"default": True}}}},
    "Router": {"fallback": {}},
    "fallback": {"default": ["gemini,gemini-2.5-pro"]},
}  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DRILL_TEST_KEY", KEYS[1])
    monkeypatch.delenv("CCR_CONFIG", raising=False)
    return tmp_path


def write(home, config: dict):
    folder = home / ".claude-code-router"
    folder.mkdir(mode=0o700)
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def config_of(tree: dict, environ=None):
    reading = read(None, environ or {"DRILL_TEST_KEY": KEYS[1]}, text=json.dumps(tree))
    assert not reading.problems, reading.problems
    return reading.config


def verdicts(findings):
    return [
        (one.run.route.name, one.run.fault.name, one.run.who, one.run.form, one.run.scene, one.verdict)
        for one in findings.outcomes
        if not one.is_survived
    ]


# -- survival ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [DEMO, CLASSIC, GUIDE], ids=["demo", "classic", "guide"])
def test_nobody_is_misled_and_nobody_hangs(tree):
    """Every fault, in every form, with the first target at fault and with all: answered, or a safe error; what was
    whole arrived; no key of the user's was sent anywhere.
    """
    config = config_of(tree)
    findings = hold(Drill(config, routes_of(config)[:1]), lambda _: None)
    assert verdicts(findings) == []
    assert findings.leaks == 0
    assert findings.count("answered") + findings.count("safe error") == len(findings.outcomes) > 300
    assert {one.run.fault.name for one in findings.outcomes} == {fault.name for fault in FAULTS}


def test_what_fails_before_an_answer_is_not_seen():
    """With a second target that is well, a fault before the first content ends in its answer."""
    config = config_of(DEMO)
    names = ["refused", "dns", "tls", "reset", "hang-headers", "429", "500", "401", "html-200", "overload-in-stream"]
    findings = hold(Drill(config, routes_of(config), [BY_NAME[name] for name in names]), lambda _: None)
    first = [one for one in findings.outcomes if one.run.who == "first"]
    assert {one.saw for one in first} == {"answered"}
    assert {one.asked for one in first} == {("first,claude-demo", "second,gpt-demo")}
    assert {one.saw for one in findings.outcomes if one.run.who == "all"} == {"safe error"}


def test_a_route_with_one_target():
    """Without a second target there is one kind of failure: that of all."""
    config = config_of({**DEMO, "fallback": {}})
    runs = list(Drill(config, routes_of(config), [BY_NAME["500"]]).runs())
    assert {run.who for run in runs} == {"all"}


def test_the_target_of_long_contexts_is_marked():
    """What only a prompt that is too long leads to looks like no fallback, and is asked for nothing else."""
    config = config_of({**DEMO, "fallback": {}, "Router": {**DEMO["Router"], "longContext": "second,gpt-demo"}})
    route = routes_of(config, ("default",))
    findings = hold(Drill(config, route, [BY_NAME["500"], BY_NAME["too-long"]]), lambda _: None)
    lines = list(lines_of(findings, lambda text, _: text))
    assert "  A = first,claude-demo" in lines
    assert "  B = second,gpt-demo (only for what is too long)" in lines
    first = {(one.run.fault.name, one.saw) for one in findings.outcomes if one.run.who == "first"}
    assert first == {("500", "safe error"), ("too-long", "answered")}


def test_an_answer_that_is_gone_on_with_is_whole():
    """With `resume` a text that came to a halt is gone on with by the next target, and is the truth in the end; a call
    is not gone on with.
    """
    config = config_of({
        "Providers": [
            {"name": "one", "api_base_url": "https://one.invalid/v1/messages", "api_key": KEYS[0], "models": ["a"]},
            {"name": "two", "api_base_url": "https://two.invalid/v1/messages", "api_key": KEYS[1], "models": ["b"]},
        ],
        "Router": {"default": "one,a"},
        "fallback": {"default": ["two,b"]},
        "resume": True,
    })  # fmt: skip
    faults = [BY_NAME["stall-text"], BY_NAME["stall-tool"]]
    findings = hold(Drill(config, routes_of(config), faults), lambda _: None)
    assert verdicts(findings) == []
    streamed = [one for one in findings.outcomes if one.run.form == "streamed" and one.run.who == "first"]
    assert {(one.run.fault.name, one.run.scene, one.saw, one.asked) for one in streamed} == {
        ("stall-text", "text", "answered", ("one,a", "two,b")),
        ("stall-text", "tool", "answered", ("one,a", "two,b")),
        ("stall-tool", "tool", "safe error", ("one,a",)),
    }


def test_an_empty_answer_of_the_maker_is_one():
    """A turn that is finished without content is right where the maker's own API finished it so, or where nobody had
    more to say; not where another relay would have had.
    """

    def first(url):
        provider = {"name": "one", "api_base_url": url, "api_key": KEYS[0], "models": ["claude-sonnet-4-5"]}
        config = config_of(
            {**DEMO, "Providers": [provider, DEMO["Providers"][1]], "Router": {"default": "one,claude-sonnet-4-5"}}
        )
        findings = hold(Drill(config, routes_of(config), [BY_NAME["empty-answer"]]), lambda _: None)
        assert verdicts(findings) == []
        return {len(one.asked) for one in findings.outcomes if one.run.who == "first"}

    assert first("https://api.anthropic.com/v1/messages") == {1}
    assert first("https://relay.invalid/v1/messages") == {2}


# -- the island --------------------------------------------------------------------------------------------------------


def test_nothing_leaves_the_island():
    """The loop of a drill looks up no name, and connects to no address but this machine's; those it does reach."""

    async def leave(host):
        await asyncio.wait_for(asyncio.open_connection(host, 9), 5)

    with asyncio.Runner(loop_factory=IslandLoop) as runner:
        for host in ("192.0.2.1", "2001:db8::1"):
            with pytest.raises(OSError, match="nothing but this machine"):
                runner.run(leave(host))
        for name in ("example.com", "drill.invalid", b"example.com"):
            with pytest.raises(socket.gaierror):
                runner.run(leave(name))
        with socket.create_server(("127.0.0.1", 0)) as server:

            async def visit():
                _, writer = await asyncio.open_connection("127.0.0.1", server.getsockname()[1])
                writer.close()
                await writer.wait_closed()

            runner.run(visit())


def test_what_leads_elsewhere_is_refused():
    """A configuration with an address that is not this machine's, a proxy or a key of the user's is not drilled."""
    config = config_of(CLASSIC)
    drilled = drilled_config(config, routes_of(config)[0], Places("r0", 1, 2), Pace())
    check_island(drilled)
    provider = drilled.providers[0]
    original = config.providers[0]
    for wrong in (
        dataclasses.replace(provider, endpoints=original.endpoints),
        dataclasses.replace(provider, proxy=None),
        dataclasses.replace(provider, keys=original.keys, key=original.key),
    ):
        with pytest.raises(LocalProtocolError):
            check_island(dataclasses.replace(drilled, providers=(wrong, *drilled.providers[1:])))


@pytest.mark.parametrize("tree", [CLASSIC, GUIDE], ids=["classic", "guide"])
def test_no_secret_is_taken_over(tree):
    """What is drilled holds no key, no header, no secret option of the user's; and as many keys as theirs."""
    config = config_of(tree)
    for route in routes_of(config):
        drilled = drilled_config(config, route, Places("r0", 1, 2), Pace())
        kept = revealed(drilled)
        assert not [secret for secret in config.secrets if secret.reveal() in kept]
        assert not [key for key in KEYS if key in kept]
        by_name = {provider.name: provider for provider in config.providers}
        for provider in drilled.providers:
            assert len(provider.pool) == len(by_name[provider.name].pool)
            assert len({key.id for key in provider.pool}) == len(provider.pool)


def revealed(config) -> str:
    """Everything in a configuration, secrets too."""

    def walk(value):
        if hasattr(value, "reveal"):
            return value.reveal()
        if dataclasses.is_dataclass(value):
            return " ".join(walk(getattr(value, one.name)) for one in dataclasses.fields(value))
        if hasattr(value, "items"):
            return " ".join(f"{name} {walk(inner)}" for name, inner in value.items())
        if isinstance(value, (list, tuple)):
            return " ".join(map(walk, value))
        return str(value)

    return walk(config)


def test_the_profile_is_kept():
    """A provider that was recognised by its address alone is still recognised at the drill's."""
    tree = json.loads(json.dumps(CLASSIC).replace('"openrouter"', '"mine"').replace('"openrouter,', '"mine,'))
    tree["Providers"][0]["transformer"] = {}
    config = config_of(tree)
    drilled = drilled_config(config, routes_of(config)[0], Places("r0", 1, 2), Pace())
    for before, after in zip(config.providers, drilled.providers, strict=False):
        assert profile_of(Target(after, "m")).name == profile_of(Target(before, "m")).name
    assert profile_of(Target(drilled.providers[0], "m")).name == "openrouter"


def test_own_code_and_platforms_are_told(tmp_path):
    """Custom code is not taken over, platforms are asked plainly; both are said."""
    module = tmp_path / "mine.py"
    module.write_text("raise SystemExit('run')")
    tree = {
        "transformers": [{"path": str(module), "name": "mine"}],
        "CUSTOM_ROUTER_PATH": str(module),
        "Providers": [
            {"name": "own", "api_base_url": "https://x.example/v1/messages", "api_key": KEYS[0], "models": ["m"], "transformer": {"use": ["mine"]}},
            {"name": "rock", "platform": "bedrock", "region": "us-east-1", "models": ["anthropic.claude-x"], "api_key": KEYS[1]},
        ],
        "Router": {"default": "own,m"},
        "fallback": {"default": ["rock,anthropic.claude-x"]},
    }  # fmt: skip
    config = config_of(tree)
    routes = routes_of(config)
    findings = hold(Drill(config, routes, [BY_NAME["500"]]), lambda _: None)
    assert {one.saw for one in findings.outcomes if one.run.who == "first"} == {"answered"}
    told = " ".join(given_up(config, routes))
    assert "Your own code is not run" in told
    assert "rock" in told


# -- the command -------------------------------------------------------------------------------------------------------


def test_without_a_config_it_is_the_demo(home, capsys):
    """With no config the demo is drilled, and that is said; nothing is written."""
    assert run(["drill", "--only", "500", "--only", "cut-tool"]) == 0
    told = capsys.readouterr()
    assert "A = first,claude-demo" in told.out
    assert "0 misled, 0 hung" in told.out
    assert "demo" in told.err
    assert list(home.iterdir()) == []


def test_a_config_that_is_named_and_not_there(home, monkeypatch, capsys):
    """It is no reason for the demo, whose success would be taken for the config's."""
    for name in ("CCR_CONFIG", "CONFIG_PATH"):
        with monkeypatch.context() as context:
            context.setenv(name, str(home / "nowhere.json"))
            assert run(["drill", "--only", "500"]) == 2
            assert "nowhere.json: there is no such file" in capsys.readouterr().err
            assert run(["drill", "--only", "500", "--demo"]) == 0
    assert run(["drill", "--only", "500", "--config", str(home / "nowhere.json")]) == 2
    assert list(home.iterdir()) == []


def test_the_users_own_routes(home, capsys):
    """Each route that asks somebody else first is drilled, or those that are named; JSON holds every result."""
    write(home, CLASSIC)
    assert run(["drill", "--only", "503", "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert [route["name"] for route in told["routes"]] == ["default", "background", "think"]
    assert told["routes"][0]["targets"] == ["openrouter,qwen/qwen3-coder", "anthropic,claude-sonnet-4-5"]
    assert (told["format"], told["ok"], told["demo"], told["leaks"]) == (1, True, False, 0)
    assert set(told["totals"]) == {"answered", "safe_error", "misled", "hung"}
    assert set(told["results"][0]) == {
        "route", "fault", "sentence", "whose", "streamed", "request", "saw", "why", "ok", "seconds", "asked",
    }  # fmt: skip
    assert not [key for key in KEYS if key in printed.out + printed.err]
    assert run(["drill", "--only", "503", "--route", "think"]) == 0
    told = capsys.readouterr().out
    assert "Route think" in told
    assert "Route default" not in told


def test_missing_variables_do_not_matter(home, monkeypatch, capsys):
    """A config whose key is not set here can be drilled."""
    monkeypatch.delenv("DRILL_TEST_KEY")
    write(home, GUIDE)
    assert run(["drill", "--only", "500"]) == 0
    assert "openrouter,qwen/qwen3-coder" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", '{"Providers": "none"}', '{"Providers": [], "Router": {"default": "nobody,m"}}'])
def test_an_unusable_config(home, capsys, text):
    """Exit code 2, and what is wrong with it."""
    write(home, {}).write_text(text)
    assert run(["drill", "--only", "500"]) == 2
    assert "error:" in capsys.readouterr().err


def test_wrong_names(home, capsys):
    """A route or a fault that there is not: exit code 2, and what there is."""
    write(home, CLASSIC)
    assert run(["drill", "--route", "nowhere"]) == 2
    assert "default" in capsys.readouterr().err
    assert run(["drill", "--only", "cut-txt"]) == 2
    assert "did you mean cut-text?" in capsys.readouterr().err


def test_the_list(home, capsys):
    """Every fault by its name, with a sentence."""
    assert run(["drill", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [fault.name for fault in FAULTS]


def test_the_table_fits(home, capsys):
    """No line of the table is wider than 80 columns, and columns stand under their heads."""
    write(home, CLASSIC)
    assert run(["drill", "--only", "500", "--only", "overload-in-stream"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if line.startswith("fault"))
    row = next(line for line in lines if line.startswith("500"))
    assert row[head.index("streamed") :].startswith("answered")
    assert row[head.index("unstreamed") :].startswith("answered")


def test_interrupted(home, monkeypatch, capsys):
    """Ctrl-C in the middle ends it at once: exit code 130, in a sentence, with nothing left open."""
    interrupts = iter([signal.SIGINT])
    monkeypatch.setattr(drill._Progress, "tell", lambda *_: [signal.raise_signal(one) for one in interrupts])
    assert run(["drill", "--demo", "--only", "500", "--only", "hang-headers"]) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert "not finished" in told.err


def test_a_policy_is_told(home, monkeypatch, capsys):
    """Under a policy, which would refuse this machine's own addresses, the drill goes without it and says so."""
    policy = home / "policy.json"
    policy.write_text(json.dumps({"name": "strict", "providers": {"allowed": ["anthropic"]}}))
    monkeypatch.setenv("CCR_POLICY", str(policy))
    write(home, CLASSIC)
    run(["drill", "--only", "500"])
    assert "policy" in capsys.readouterr().err


def test_a_leak_would_be_told():
    """Had a secret of the user's arrived, the drill would not be good."""
    assert not Findings((), 1).is_good
    assert any("LEAKED" in line for line in lines_of(Findings((), 1), lambda text, _: text))


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_names_everything():
    """docs/drill.md names every fault, every option, and every member of the JSON."""
    page = (Path(__file__).parents[2] / "docs" / "drill.md").read_text(encoding="utf-8")
    missing = [fault.name for fault in FAULTS if f"`{fault.name}`" not in page]
    missing += [option for one in drill.command.params for option in one.opts if option not in page and option != "-c"]
    told = as_json(Findings(()), {"demo": True, "config": None, "notes": [], "seconds": 0})
    missing += [name for name in told if f"`{name}`" not in page]
    assert missing == []

"""`ccr model`: which models there are, which serves what, choosing by number, and what a provider offers today."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.certify.gemini_mind import GeminiServer
from tests.certify.mind import KEY, ChatServer, MessagesServer, Temper
from tests.cli.conftest import Ccr
from tests.cli.terminal import Terminal
from tests.upstream import ThreadedUpstream

CLASSIC = """{
  "Providers": [
    { "name": "p", "api_base_url": "https://p.example/v1/chat/completions", "api_key": "${P_KEY}", "models": ["a", "b"] },
    { "name": "q", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["c"] }
  ],
  // which
  "Router": {
    "default": "p,a", // for all
    "think": "p,b" // hard ones
  }
}
"""
GUIDE = """{
  "providers": { "p": { "baseURL": "https://p.example/v1", "apiKey": "${P_KEY}", "models": ["a", "b"] } },
  // mine
  "routers": {
    "default": { "routes": { "p,a": { "default": true }, "p,b": { "think": true } } }, // by target
    "other": { "default": "p,b" }
  }
}
"""


def written(ccr: Ccr, text: str) -> None:
    ccr.configure().write_text(text)


def text_of(ccr: Ccr) -> str:
    return (ccr.folder / "config.json").read_text()


def routes_of(ccr: Ccr) -> dict[str, str]:
    return json.loads(ccr.run("model", "list", "--json", P_KEY="x" * 20).stdout)["routes"]


@pytest.fixture
def server() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as upstream:
        yield upstream


# -- listing and setting -----------------------------------------------------------------------------------------------


def test_the_list(ccr: Ccr):
    """Every model of every provider, with the routes that lead to it; also where a key is not set here."""
    written(ccr, CLASSIC)
    done = ccr.run("model")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["provider,model", "serves"], ["p,a", "default"], ["p,b", "think"], ["q,c"],
    ]  # fmt: skip
    told = json.loads(ccr.run("model", "list", "--json").stdout)
    assert told["routes"] == {"default": "p,a", "think": "p,b"}
    assert told["models"][1] == {"target": "p,b", "routes": ["think"]}


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_setting_a_route(ccr: Ccr, text: str):
    """The route leads there, whatever the case it is written in; every comment survives, and the old file is kept."""
    written(ccr, text)
    done = ccr.run("model", "set", "LONGCONTEXT", "p , b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"longContext → p,b in {ccr.folder / 'config.json'}")
    assert routes_of(ccr) == {"default": "p,a", "think": "p,b", "longContext": "p,b"}
    assert [line.partition(" // ")[2] for line in text.splitlines()] == [
        line.partition(" // ")[2] for line in text_of(ccr).splitlines() if "longContext" not in line
    ] or text is GUIDE
    assert text_of(ccr).count(" // ") == text.count(" // ")
    (backup,) = ccr.folder.glob("*.bak")
    assert backup.read_text() == text


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_taking_a_route_out(ccr: Ccr, text: str):
    """It is gone, the others stay; one that is not there is an error and changes nothing."""
    written(ccr, text)
    assert ccr.run("model", "unset", "think").returncode == 0
    assert routes_of(ccr) == {"default": "p,a"}
    before = text_of(ccr)
    done = ccr.run("model", "unset", "think")
    assert (done.returncode, text_of(ccr)) == (1, before)
    assert "there is no route 'think'" in done.stderr


def test_another_router(ccr: Ccr):
    """`--router` names the entry to change; the one that runs stays as it is."""
    written(ccr, GUIDE)
    assert ccr.run("model", "set", "default", "p,a", "--router", "other").returncode == 0
    assert '"other": { "default": "p,a" }' in text_of(ccr)
    assert routes_of(ccr) == {"default": "p,a", "think": "p,b"}


def test_an_alias(ccr: Ccr):
    """A pattern of asked models is taken too."""
    written(ccr, CLASSIC)
    assert ccr.run("model", "set", "claude-opus-*", "p,b").returncode == 0
    assert '"claude-opus-*": "p,b"' in text_of(ccr)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("thnik", "p,a"), 2, 'did you mean "think"?'),
        (("think", "a"), 2, "PROVIDER,MODEL"),
        (("think", "nobody,a"), 1, 'no provider is called "nobody"'),
    ],
)
def test_what_cannot_be_set(ccr: Ccr, words: tuple[str, ...], code: int, told: str):
    """An unknown route, a model without its provider, and an unknown provider are refused; the file stays as it was."""
    written(ccr, CLASSIC)
    done = ccr.run("model", "set", *words)
    assert (done.returncode, text_of(ccr)) == (code, CLASSIC)
    assert told in done.stderr


def test_the_policy(ccr: Ccr):
    """A model that the policy does not allow is refused with its rule."""
    written(ccr, CLASSIC)
    policy = ccr.folder / "policy.json"
    policy.write_text(json.dumps({"name": "strict", "models": {"allowed": ["a", "b", "c"]}}))
    policy.chmod(0o600)
    done = ccr.run("model", "set", "think", "p,forbidden")
    assert (done.returncode, text_of(ccr)) == (1, CLASSIC)
    assert "rule models.allowed" in done.stderr
    assert ccr.run("model", "set", "think", "p,a").returncode == 0


def test_a_project(ccr: Ccr):
    """The router of one project: begun as a copy of the one in force, validated like it, the config left alone."""
    written(ccr, CLASSIC)
    folder = ccr.home / "work.d"
    folder.mkdir()
    done = ccr.run("model", "set", "background", "q,c", "--project", str(folder))
    assert done.returncode == 0, done.stderr
    assert text_of(ccr) == CLASSIC
    name = "".join(char if char.isalnum() else "-" for char in str(folder.resolve()))
    path = ccr.folder / name / "config.json"
    assert json.loads(path.read_text()) == {"Router": {"default": "p,a", "think": "p,b", "background": "q,c"}}
    done = ccr.run("model", "set", "background", "nobody,c", "--project", str(folder))
    assert done.returncode == 1
    assert 'no provider is called "nobody"' in done.stderr
    assert ccr.run("model", "unset", "background", "--project", str(folder)).returncode == 0
    assert json.loads(path.read_text()) == {"Router": {"default": "p,a", "think": "p,b"}}


# -- a router that runs ------------------------------------------------------------------------------------------------


def test_a_running_router_works_by_it(ccr: Ccr, port: int):
    """It is told to reload, and says so; with --no-reload it goes on as it was."""
    ccr.environ["P_KEY"] = "x" * 20
    path = ccr.configure()
    path.write_text(CLASSIC.replace('"Providers"', f'"PORT": {port}, "APIKEY": "router-key-0123456789", "Providers"'))
    ccr.serve()
    done = ccr.run("model", "set", "think", "p,a", "--no-reload")
    assert "works by it now" not in done.stderr
    done = ccr.run("model", "set", "background", "p,b")
    assert f"The running router (port {port}) works by it now." in done.stderr, done.stderr
    told = json.loads(ccr.run("status", "--json").stdout)
    assert told["routes"] == {"default": "p,a", "background": "p,b", "think": "p,a"}
    assert "router-key-0123456789" not in done.stdout + done.stderr


def test_a_running_router_that_refuses(ccr: Ccr, port: int):
    """What it refuses (a variable that its shell does not have) is told, and it goes on as it was."""
    path = ccr.configure()
    path.write_text(
        CLASSIC.replace('"Providers"', f'"PORT": {port}, "Providers"').replace("p,a", "q,c").replace("p,b", "q,c")
    )
    ccr.serve()
    done = ccr.run("model", "set", "think", "p,b", P_KEY="x" * 20)
    assert done.returncode == 0
    assert "the running router goes on as it was" in done.stderr
    assert "P_KEY" in done.stderr


# -- on a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_choosing_by_number(ccr: Ccr, text: str):
    """Route and model are chosen by their numbers, one after another, until nothing more is to be changed."""
    written(ccr, text)
    with Terminal(ccr, ("model",)) as screen:
        screen.expect("default")
        screen.expect("p,a")
        screen.answer("Number", "2")
        screen.expect("Which model serves background?")
        screen.answer("Number or PROVIDER,MODEL", "2")
        screen.expect("background → p,b")
        screen.answer("Number", "think")
        screen.answer("Number or PROVIDER,MODEL [2]", "p,other")
        screen.expect("think → p,other")
        screen.answer("Number", "")
        assert screen.end() == 0
    assert routes_of(ccr) == {"default": "p,a", "background": "p,b", "think": "p,other"}
    assert text_of(ccr).count(" // ") == text.count(" // ")


def test_a_wrong_number_is_asked_again(ccr: Ccr):
    """What is no number of the list is asked again; Ctrl-C leaves, and nothing was changed."""
    written(ccr, CLASSIC)
    with Terminal(ccr, ("model",)) as screen:
        screen.answer("Number", "99")
        screen.expect("type a number from 1 to 9")
        screen.expect("Number")
        assert screen.interrupt() == 130
    assert text_of(ccr) == CLASSIC


# -- online ------------------------------------------------------------------------------------------------------------

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/",
    "responses": "/v1/responses",
}
MODELS = ("m1", "m2", "m3")


@pytest.mark.parametrize(
    ("protocol", "brain", "asked"),
    [
        ("openai", ChatServer, ["/v1/models"]),
        ("responses", ChatServer, ["/v1/models"]),
        (
            "anthropic",
            MessagesServer,
            ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=m1", "/v1/models?limit=1000&after_id=m2"],
        ),
        ("gemini", GeminiServer, ["/v1beta/models?pageSize=1000"]),
    ],
)
def test_what_a_provider_offers(ccr: Ccr, server: ThreadedUpstream, protocol, brain, asked):
    """Its own list is asked for, page after page, with its key in the form that it wants; nothing is said to a model."""
    mind = brain(Temper(models=MODELS))
    server.always(mind)
    record = {
        "name": "mine",
        "api_base_url": server.url + PATHS[protocol],
        "api_key": "${MY_KEY}",
        "protocol": protocol,
        "models": ["m2"],
    }
    ccr.configure(Providers=[record], Router={"default": "mine,m2"})
    done = ccr.run("model", "list", "--online", "MINE", "--json", MY_KEY=KEY)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(one["id"], one["listed"]) for one in told["models"]] == [("m1", False), ("m2", True), ("m3", False)]
    assert [(one.method, one.target) for one in server.requests] == [("GET", target) for target in asked]
    assert mind.seen == []
    assert KEY not in done.stdout + done.stderr


def test_an_offer_for_people(ccr: Ccr, server: ThreadedUpstream):
    """Those in the config are marked, and the context is shown where it is told."""
    server.always(ChatServer(Temper(models=MODELS, checks_key=False)))
    ccr.configure(
        Providers=[{"name": "mine", "api_base_url": f"{server.url}/v1/chat/completions", "models": ["m2"]}],
        Router={"default": "mine,m2"},
    )
    done = ccr.run("model", "list", "--online", "mine")
    assert done.stdout.splitlines() == ["  m1  32768 tokens", "* m2  32768 tokens", "  m3  32768 tokens"]


def test_an_offer_under_a_policy(ccr: Ccr, server: ThreadedUpstream):
    """Only what the policy allows is shown; where it does not let the provider be asked, nothing leaves."""
    server.always(ChatServer(Temper(models=MODELS, checks_key=False)))
    ccr.configure(
        Providers=[{"name": "mine", "api_base_url": f"{server.url}/v1/chat/completions", "models": ["m2"]}],
        Router={"default": "mine,m2"},
    )
    policy = ccr.folder / "policy.json"
    policy.write_text(json.dumps({"name": "some", "models": {"allowed": ["m2"]}}))
    policy.chmod(0o600)
    done = ccr.run("model", "list", "--online", "mine")
    assert done.stdout.splitlines() == ["* m2  32768 tokens"]
    assert "2 more are not allowed by the policy some" in done.stderr
    policy.write_text(json.dumps({"name": "none", "hosts": {"allowed": ["api.anthropic.com"]}}))
    count = len(server.requests)
    done = ccr.run("model", "list", "--online", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert "rule hosts.allowed" in done.stderr
    assert len(server.requests) == count


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (ChatServer, "Incorrect API key"),
        (MessagesServer, "invalid x-api-key"),
    ],
)
def test_an_offer_that_is_refused(ccr: Ccr, server: ThreadedUpstream, reply, told):
    """A refused key is told in the provider's words, without the key."""
    server.always(reply())
    path = PATHS["anthropic" if "x-api" in told else "openai"]
    ccr.configure(
        Providers=[{"name": "mine", "api_base_url": server.url + path, "api_key": "${MY_KEY}", "models": ["m"]}],
        Router={"default": "mine,m"},
    )
    done = ccr.run("model", "list", "--online", "mine", MY_KEY="sk-wrong-0123456789abcdef")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert "sk-wrong-0123456789abcdef" not in done.stderr


def test_a_list_that_nobody_knows(ccr: Ccr):
    """Where there is no list at a known place that is said, and nothing is asked."""
    url = "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1"
    ccr.configure(
        Providers=[{"name": "az", "api_base_url": url, "api_key": "k" * 20, "models": ["d"]}],
        Router={"default": "az,d"},
    )
    done = ccr.run("model", "list", "--online", "az")
    assert done.returncode == 1
    assert "has no list of models" in done.stderr

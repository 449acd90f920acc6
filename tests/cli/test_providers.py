"""`ccr providers`: the list, the catalogue, adding and removing, and the test of what a provider can do."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator

import pytest

from ccrouter.config.catalogue_entries import ENTRIES
from tests.certify.mind import KEY, ChatServer, Temper
from tests.cli.conftest import Ccr
from tests.cli.terminal import Terminal
from tests.upstream import ThreadedUpstream

COMMENTED = """{
  // my providers
  "Providers": [
    { "name": "old", "api_base_url": "https://o.example/v1/chat/completions", "api_key": "${OLD_KEY}", "models": ["a"] }, // first
  ],
  "Router": { "default": "old,a" }, // everything
}
"""
GUIDE = """{
  "providers": { "old": { "baseURL": "https://o.example/v1", "apiKey": "${OLD_KEY}" } }, // one
  "routers": { "default": { "routes": { "old,a": { "default": true } } } }
}
"""
STRICT = {"name": "strict", "providers": {"allowed": ["anthropic"]}, "hosts": {"allowed": ["api.anthropic.com"]}}


def written(ccr: Ccr, text: str) -> None:
    path = ccr.configure()
    path.write_text(text)


def text_of(ccr: Ccr) -> str:
    return (ccr.folder / "config.json").read_text()


@pytest.fixture
def server() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as upstream:
        upstream.always(ChatServer())
        yield upstream


def at(upstream: ThreadedUpstream, **more) -> dict:
    provider = {"name": "mine", "api_base_url": f"{upstream.url}/v1/chat/completions", "api_key": "${MY_KEY}", **more}
    return {"Providers": [{"models": ["m1"], **provider}], "Router": {"default": "mine,m1"}}


# -- what there is -----------------------------------------------------------------------------------------------------


def test_the_list(ccr: Ccr):
    """Each provider with URL, dialect, where its key comes from and whether it is there, its models and their routes."""
    written(ccr, COMMENTED)
    told = json.loads(ccr.run("providers", "list", "--json", OLD_KEY=KEY).stdout)
    assert told == {
        "providers": [
            {
                "name": "old",
                "usable": True,
                "reasons": [],
                "dialect": "openai_chat",
                "url": "https://o.example/v1/chat/completions",
                "platform": None,
                "key": {"variables": ["OLD_KEY"], "set": True, "written": True, "told": "key $OLD_KEY, which is set"},
                "models": [{"id": "a", "routes": ["default"]}],
                "tested": {},
            }
        ]
    }
    done = ccr.run("providers")
    assert done.returncode == 0
    assert "key $OLD_KEY, which is NOT SET" in done.stdout
    assert "old  (cannot be used)" in done.stdout
    assert "environment variable OLD_KEY is not set" in done.stdout
    assert KEY not in done.stdout + json.dumps(told)


def test_the_list_without_a_config(ccr: Ccr):
    """Says that there is none, and how to get one."""
    done = ccr.run("providers", "list")
    assert done.returncode == 1
    assert "there is no config yet" in done.stderr
    assert "ccr providers add" in done.stderr


def test_the_catalogue(ccr: Ccr):
    """Every entry is listed, with what it needs to be added; a search finds by every word."""
    done = ccr.run("providers", "catalogue")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [entry.name for entry in ENTRIES]
    told = json.loads(ccr.run("providers", "search", "kimi", "anthropic", "--json").stdout)["catalogue"]
    assert "moonshot-anthropic" in [one["name"] for one in told]
    assert {"url", "dialect", "key", "docs", "models"} <= told[0].keys()
    done = ccr.run("providers", "search", "nonsense")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--url" in done.stderr


# -- adding ------------------------------------------------------------------------------------------------------------


def test_adding_the_first_one(ccr: Ccr):
    """Without a config the starter is written with the provider in it, serving everything; the key is a variable."""
    done = ccr.run("providers", "add", "groq")
    assert done.returncode == 0, done.stderr
    assert "default → groq,openai/gpt-oss-120b" in done.stdout
    assert "export GROQ_API_KEY=..." in done.stderr
    assert '"api_key": "${GROQ_API_KEY}"' in text_of(ccr)
    assert "// Who answers." in text_of(ccr)
    assert stat.S_IMODE((ccr.folder / "config.json").stat().st_mode) == 0o600
    assert (ccr.folder / "config.schema.json").exists()
    assert not list(ccr.folder.glob("*.bak"))
    assert ccr.run("verify", GROQ_API_KEY="gsk_0123456789abcdefghijkl").returncode == 0


@pytest.mark.parametrize("text", [COMMENTED, GUIDE])
def test_adding_by_flags(ccr: Ccr, text: str):
    """Everything is said by flags: both shapes keep their comments, a backup is made, the routes lead there."""
    written(ccr, text)
    done = ccr.run(
        "providers", "add", "--name", "mine", "--url", "https://h.example/v1/chat/completions", "--key-env", "MY_KEY",
        "--model", "m1", "--model", "m2", "--route", "think=m2", "--route", "background",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(
        f"// {comment}" in text_of(ccr)
        for comment in ("my providers", "first", "everything", "one")
        if f"// {comment}" in text
    )
    (backup,) = ccr.folder.glob("config.json.*.bak")
    assert backup.read_text() == text
    assert str(backup) in done.stdout
    told = json.loads(ccr.run("model", "list", "--json", MY_KEY="x" * 20, OLD_KEY="y" * 20).stdout)
    assert told["routes"] == {"default": "old,a", "background": "mine,m1", "think": "mine,m2"}


def test_a_wire_format_that_the_url_does_not_tell(ccr: Ccr):
    """Is written down; where the URL tells it nothing is written."""
    done = ccr.run(
        "providers", "add", "--name", "relay", "--url", "https://r.example/gateway", "--no-key", "--dialect", "anthropic",
        "--model", "m",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"protocol": "anthropic"' in text_of(ccr)
    assert "api_key" not in text_of(ccr).partition('"name": "relay"')[2].partition("}")[0]


def test_what_a_url_needs_is_asked_for(ccr: Ccr):
    """A provider whose URL has a part of one's own wants to know it, and says how."""
    done = ccr.run("providers", "add", "azure", "--model", "gpt")
    assert done.returncode == 2
    assert "--set resource=my-resource" in done.stderr
    assert ccr.run("providers", "add", "azure", "--model", "gpt", "--set", "resource=contoso").returncode == 0
    assert "https://contoso.openai.azure.com/openai/v1/chat/completions" in text_of(ccr)


def test_one_on_a_cloud_platform(ccr: Ccr):
    """Is written with its platform and place in place of a URL."""
    done = ccr.run("providers", "add", "vertex-claude", "--set", "project=p1", "--set", "location=global")
    assert done.returncode == 0, done.stderr
    entry = text_of(ccr).partition('"name": "vertex-claude"')[2]
    assert '"platform": "vertex",\n      "project": "p1",\n      "location": "global"' in entry
    assert "api_base_url" not in entry.partition("}")[0]


def test_one_of_the_same_name(ccr: Ccr):
    """Is left as it is, unless it is to be replaced by force."""
    written(ccr, COMMENTED)
    words = (
        "providers",
        "add",
        "--name",
        "OLD",
        "--url",
        "https://n.example/v1/chat/completions",
        "--no-key",
        "-m",
        "a",
    )
    done = ccr.run(*words)
    assert (done.returncode, text_of(ccr)) == (1, COMMENTED)
    assert "--force replaces it" in done.stderr
    assert ccr.run(*words, "--force").returncode == 0
    assert "https://n.example" in text_of(ccr)
    assert "https://o.example" not in text_of(ccr)


@pytest.mark.parametrize("key", ["sk-ant-REDACTED", "gsk_ABCdef0123456789ABCdef", "a key"])
def test_a_key_in_the_place_of_its_variable(ccr: Ccr, key: str):
    """Is refused and not repeated, and nothing is written."""
    done = ccr.run("providers", "add", "groq", "--key-env", key)
    assert done.returncode == 2
    assert key not in done.stdout + done.stderr
    assert "variable" in done.stderr
    assert not ccr.folder.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody",), "is not in the catalogue"),
        (("opnrouter",), "did you mean openrouter"),
        ((), "say which provider"),
        (("--url", "https://x.example/v1/chat/completions"), "say what to call the provider"),
        (("--url", "https://x.example/v1/chat/completions", "--name", "x"), "--key-env X_API_KEY"),
        (("groq", "--no-key", "--key-env", "X"), "exclude each other"),
        (("groq", "--set", "x"), "write NAME=VALUE"),
        (("aihubmix", "--route", "think"), "say which model serves the route think"),
    ],
)
def test_what_is_missing(ccr: Ccr, words: tuple[str, ...], told: str):
    """Where nobody can be asked, what is missing or wrong is said, and nothing is written."""
    done = ccr.run("providers", "add", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert not ccr.folder.exists()


def test_a_provider_that_cannot_be(ccr: Ccr):
    """The result is loaded before it is written: what a start would refuse is refused, and the file stays as it was."""
    written(ccr, COMMENTED)
    done = ccr.run("providers", "add", "--name", "x", "--url", "ftp://x.example", "--no-key", "--model", "m")
    assert (done.returncode, text_of(ccr)) == (1, COMMENTED)
    assert "must begin with https:// or http://" in done.stderr


def test_what_was_wrong_before(ccr: Ccr):
    """Does not stand in the way, and is told."""
    written(ccr, '{ "Providers": [], "Router": { "default": "groq,x", "think": "gone,y" } }')
    done = ccr.run("providers", "add", "groq", "-y")
    assert done.returncode == 0, done.stderr
    assert 'no provider is called "gone"' in done.stderr


def test_the_policy(ccr: Ccr):
    """A provider that the policy does not allow is refused with its rule, one that it allows is added."""
    written(ccr, '{ "Providers": [], "Router": {} }')
    policy = ccr.folder / "policy.json"
    policy.write_text(json.dumps(STRICT))
    policy.chmod(0o600)
    before = text_of(ccr)
    done = ccr.run("providers", "add", "groq", "-y")
    assert (done.returncode, text_of(ccr)) == (1, before)
    assert "rule providers.allowed" in done.stderr
    done = ccr.run("providers", "add", "anthropic", "-y")
    assert done.returncode == 0, done.stderr


def test_adding_on_a_terminal(ccr: Ccr):
    """Asked one by one: which, its variable, which models by number or name, and whether it serves everything."""
    with Terminal(ccr, ("providers", "add")) as screen:
        screen.answer("Number", "groq")
        screen.answer("Variable of its key", "")
        screen.answer("Numbers or ids", "2, my/own")
        screen.answer("Serve everything with qwen/qwen3-32b?", "y")
        assert screen.end() == 0
        assert "default → groq,qwen/qwen3-32b" in screen.shown
    assert '"qwen/qwen3-32b",\n        "my/own"\n' in text_of(ccr)


def test_adding_an_unknown_one_on_a_terminal(ccr: Ccr):
    """By its URL; what cannot be is asked again, and a key that is typed for its variable is not taken."""
    with Terminal(ccr, ("providers", "add")) as screen:
        screen.answer("Number", "1")
        screen.answer("URL to POST to", "nonsense")
        screen.expect("must begin with https:// or http://")
        screen.answer("URL to POST to", "https://api.h.example/v1/chat/completions")
        screen.answer("What to call it [h]", "")
        screen.answer("Variable of its key", "sk-proj-0123456789abcdefABCDEF")
        screen.expect("that")
        screen.answer("Variable of its key", "")
        screen.answer("Numbers or ids", "m1")
        screen.answer("Serve everything with m1?", "")
        assert screen.end() == 0
    assert "${H_API_KEY}" in text_of(ccr)
    assert "sk-proj" not in text_of(ccr)


def test_leaving_in_the_middle(ccr: Ccr):
    """Ctrl-C while something is asked ends with 130 and writes nothing."""
    with Terminal(ccr, ("providers", "add")) as screen:
        screen.expect("Number")
        assert screen.interrupt() == 130
    assert not ccr.folder.exists()


# -- removing ----------------------------------------------------------------------------------------------------------


def test_removing(ccr: Ccr):
    """Gone from the file, the rest as it was; not while a route leads to it; one that is not there is an error."""
    written(ccr, COMMENTED)
    assert ccr.run("providers", "add", "groq", "-y").returncode == 0
    done = ccr.run("providers", "remove", "old")
    assert done.returncode == 1
    assert 'no provider is called "old"' in done.stderr
    assert ccr.run("providers", "remove", "GROQ").returncode == 0
    assert "groq" not in text_of(ccr)
    assert "// everything" in text_of(ccr)
    done = ccr.run("providers", "remove", "nobody")
    assert (done.returncode, "no provider is called 'nobody'" in done.stderr) == (1, True)


# -- testing -----------------------------------------------------------------------------------------------------------


def test_a_test(ccr: Ccr, server: ThreadedUpstream):
    """Tells each probe, keeps a profile readable by its owner alone and without the key, and the list knows the date."""
    ccr.configure(**at(server))
    done = ccr.run("providers", "test", "mine", MY_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert "At most " in done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("pass  images ")]
    assert '  accepts_files = "data"' in lines
    path = ccr.folder / "profiles" / "mine.json"
    assert f"Wrote {path}" in lines
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_text())
    assert content["models"]["m1"]["changes"]["accepts_files"] == "data"
    assert KEY not in path.read_text() + done.stdout + done.stderr
    assert "tested 20" in ccr.run("providers", MY_KEY=KEY).stdout
    assert ccr.run("verify", MY_KEY=KEY).returncode == 0


def test_a_test_for_programs(ccr: Ccr, server: ThreadedUpstream):
    """One JSON object, nothing written where nothing is to be, only the probes that were chosen."""
    ccr.configure(**at(server))
    done = ccr.run("providers", "test", "mine", "--json", "--no-write", "--only", "images", MY_KEY=KEY)
    told = json.loads(done.stdout)
    assert set(told["probes"]) == {"answers", "images"}
    assert told["probes"]["images"] == {"verdict": "pass", "evidence": "seen: both colours named"}
    assert told["spent"]["requests"] == 2
    assert told["file"] is None
    assert not (ccr.folder / "profiles").exists()


def test_a_second_test_starts_anew(ccr: Ccr, server: ThreadedUpstream):
    """What an earlier test found does not colour the next one; what is found for all models is written so."""
    ccr.configure(**at(server))
    server.always(ChatServer(Temper(images="refused")))
    ccr.run("providers", "test", "mine", "--only", "images", "--all-models", MY_KEY=KEY)
    path = ccr.folder / "profiles" / "mine.json"
    assert json.loads(path.read_text())["models"][""]["changes"] == {"accepts_images": False}
    server.always(ChatServer())
    ccr.run("providers", "test", "mine", "--only", "images", "--all-models", MY_KEY=KEY)
    assert json.loads(path.read_text())["models"][""]["changes"] == {}


@pytest.mark.parametrize(
    ("words", "environ", "code", "told"),
    [
        (("nobody",), {"MY_KEY": KEY}, 1, "no provider is called 'nobody' (there are: mine)"),
        (("mine",), {}, 1, "environment variable MY_KEY is not set"),
        (("mine",), {"MY_KEY": "sk-another-key-0123456789"}, 1, "Incorrect API key"),
        (("mine", "--only", "nothing"), {"MY_KEY": KEY}, 2, "no probe is called 'nothing'"),
        ((), {"MY_KEY": KEY}, 2, "say which provider"),
    ],
)
def test_tests_that_cannot_be(ccr: Ccr, server: ThreadedUpstream, words, environ, code, told):
    """What is missing is said, without keys, and nothing is written."""
    ccr.configure(**at(server))
    done = ccr.run("providers", "test", *words, **environ)
    assert done.returncode == code
    assert told in done.stderr
    assert "sk-another-key-0123456789" not in done.stdout + done.stderr
    assert not (ccr.folder / "profiles").exists()


def test_a_test_under_a_policy(ccr: Ccr, server: ThreadedUpstream):
    """What the policy does not allow is not asked: nothing is sent."""
    ccr.configure(**at(server))
    policy = ccr.folder / "policy.json"
    policy.write_text(json.dumps(STRICT))
    policy.chmod(0o600)
    done = ccr.run("providers", "test", "mine", MY_KEY=KEY)
    assert done.returncode == 1
    assert "rule providers.allowed" in done.stderr
    assert server.requests == []


def test_probes_are_listed(ccr: Ccr):
    """With how much each may take, and all of them together; nothing is asked."""
    done = ccr.run("providers", "test", "--probes")
    assert done.returncode == 0
    assert "tool-images" in done.stdout
    assert "all " in done.stdout.splitlines()[-1]


def test_interrupting_a_test(ccr: Ccr, server: ThreadedUpstream):
    """Ctrl-C in the middle of a question ends with 130 at once, says that nothing was written, and nothing is."""
    gate = server.event()
    good = ChatServer()

    async def stall(received):
        if b"image_url" in received.body:
            await gate.wait()
        return good(received)

    server.always(stall)
    ccr.configure(**at(server))
    with Terminal(ccr, ("providers", "test", "mine", "--only", "images"), {"MY_KEY": KEY}) as screen:
        screen.expect("pass  answers")
        server.request(2)
        screen.type("\x03")
        assert screen.end() == 130
        assert "nothing was written" in screen.shown
        assert "Traceback" not in screen.shown
    assert not (ccr.folder / "profiles").exists()


def test_a_test_with_the_users_own_transform(ccr: Ccr, server: ThreadedUpstream):
    """What a provider's own Python adds to every request is added to the questions too."""
    (ccr.home / "stamp.py").write_text(
        "from ccrouter.extend import Transform\n"
        "class Stamp(Transform):\n"
        "    name = 'stamp'\n"
        "    def members(self, members, context):\n"
        "        return {**members, 'user': 'stamped'}\n"
    )
    config = at(server, transformer={"use": ["stamp"]})
    ccr.configure(**config, transformers=[{"path": str(ccr.home / "stamp.py")}])
    done = ccr.run("providers", "test", "mine", "--only", "images", MY_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert [one.json()["user"] for one in server.requests] == ["stamped", "stamped"]

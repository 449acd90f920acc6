"""`ccr health`, and what `ccr status` says of it: read from a router that runs, against an upstream that fails."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ccrouter.cli.health import key_lines, target_lines, worries
from tests.cli.conftest import Ccr, free_port
from tests.upstream import anthropic_wire, json_reply
from tests.upstream.reply import Reply
from tests.upstream.server import Received
from tests.upstream.threaded import ThreadedUpstream

GOOD, BAD = "sk-good-key-0123456789", "sk-bad-key-0123456789"


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    """Answers everybody, but the bad key."""

    def brain(received: Received) -> Reply:
        if received.headers["x-api-key"] == BAD:
            return json_reply(anthropic_wire.error_json("authentication_error", "no"), status=401)
        return json_reply(anthropic_wire.message_json("hello"))

    with ThreadedUpstream() as upstream:
        upstream.always(brain)
        yield upstream


def configure(ccr: Ccr, port: int, up: ThreadedUpstream, **more: Any) -> None:
    """`p` has two keys, the first of them wrong; `dead` is at a port where nobody listens."""
    ccr.configure(
        PORT=port,
        Providers=[
            {
                "name": "p", "api_base_url": f"{up.url}/v1/messages", "models": ["m"],
                "api_key": [{"key": BAD, "priority": 0}, {"key": GOOD, "label": "spare", "priority": 1}],
            },
            {
                "name": "dead", "api_base_url": f"http://127.0.0.1:{free_port()}/v1/messages", "models": ["x"],
                "api_key": "sk-of-the-dead-0123456789",
            },
        ],
        Router={"default": ["p,m"], "think": ["dead,x", "p,m"]},
        retry={"again": 0, "openAfter": 1, "openSeconds": 200},
        **more,
    )  # fmt: skip


def ask(port: int, model: str) -> int:
    """The status of one request for `model`."""
    body = json.dumps({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/messages", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def ill(ccr: Ccr, port: int, up: ThreadedUpstream) -> Ccr:
    """A router that has met the dead provider and the bad key."""
    configure(ccr, port, up)
    ccr.serve()
    assert ask(port, "dead,x") == 502
    assert ask(port, "p,m") == 200
    return ccr


def test_without_a_router(ccr: Ccr, port: int) -> None:
    """It is said, and the exit code is 1, for a reset and as JSON too; nothing is made."""
    ccr.configure(PORT=port)
    for words in ((), ("--json",), ("reset",), ("reset", "p"), ("--port", str(port))):
        done = ccr.run("health", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no router is running" in done.stderr
        assert "ccr start" in done.stderr


def test_for_people(ill: Ccr) -> None:
    """Every target and every key in words, within eighty columns, without a key."""
    done = ill.run("health", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = re.sub(r"\s+", " ", done.stdout)
    assert "Targets well p,m" in text
    assert re.search(r"open dead,x is passed over for \d (min|s): 1 failure, the last \d+ s ago: connect", text)
    assert "disabled key 1 of p (the config file) is disabled: the provider refused it (401)" in text
    assert "ready spare of p (the config file)" in text
    assert "ready the key of dead (the config file)" in text
    assert "\033" not in done.stdout
    assert not any(secret in done.stdout for secret in (GOOD, BAD))


def test_as_json(ill: Ccr, port: int) -> None:
    """`--json` is the API's answer; `ccr status --json` has the same under `health`."""
    told = json.loads(ill.run("health", "--json").stdout)
    assert {one["model"]: one["state"] for one in told["targets"]} == {"m": "well", "x": "open"}
    assert [key["state"] for key in told["providers"][0]["keys"]] == ["disabled", "ready"]
    status = json.loads(ill.run("status", "--json").stdout)["health"]
    assert {one["model"]: one["state"] for one in status["targets"]} == {"m": "well", "x": "open"}
    assert json.loads(ill.run("health", "--port", str(port), "--json").stdout)["retry"] == told["retry"]


def test_status_tells_of_what_is_not_asked(ill: Ccr) -> None:
    """A line for each, and none for what is well."""
    lines = [line for line in ill.run("status").stdout.splitlines() if line.startswith("Health:")]
    assert len(lines) == 2
    assert re.fullmatch(r"Health:  dead,x is passed over for \d min: 1 failure, the last \d+ s ago: connect", lines[0])
    assert lines[1] == "Health:  key 1 of p (the config file) is disabled: the provider refused it (401)"


def test_the_doctor_warns_of_the_same(ill: Ccr) -> None:
    """Each is a warning with what to do, and none a problem of the router's."""
    found = json.loads(ill.run("doctor", "--json").stdout)["findings"]
    told = [(one["level"], one["advice"]) for one in found if one["topic"] == "Router" and "of p (" in one["message"]]
    assert told == [("warning", "ccr health; ccr health reset")]
    assert any("dead,x is passed over" in one["message"] for one in found)


def test_status_is_silent_where_all_is_well(ccr: Ccr, port: int, up: ThreadedUpstream) -> None:
    """And of a router that does not run nothing is known: null."""
    configure(ccr, port, up)
    assert json.loads(ccr.run("status", "--json").stdout)["health"] is None
    ccr.serve()
    assert "Health:" not in ccr.run("status").stdout


@pytest.mark.parametrize(
    ("words", "states"),
    [
        (["dead,x"], ("well", "disabled")),
        (["DEAD"], ("well", "disabled")),
        (["p"], ("open", "ready")),
        ([], ("well", "ready")),
    ],
)
def test_reset(ill: Ccr, words: list[str], states: tuple[str, str]) -> None:
    """Of a target, a provider, or everything; what was reset is said."""
    done = ill.run("health", "reset", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("forgotten what was bad of ")
    told = json.loads(ill.run("health", "--json").stdout)
    dead = next(one["state"] for one in told["targets"] if one["provider"] == "dead")
    assert (dead, told["providers"][0]["keys"][0]["state"]) == states


def test_reset_of_what_is_not_there(ill: Ccr) -> None:
    """The router's own words, and the exit code 1; what is no target at all is a matter of usage."""
    for name, words in (("nobody", "'nobody' is not configured"), ("p,other", "model 'other' at p")):
        done = ill.run("health", "reset", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
    for name in (",m", "p,", " "):
        assert ill.run("health", "reset", name).returncode == 2


def test_a_router_with_a_key(ccr: Ccr, port: int, up: ThreadedUpstream) -> None:
    """It is asked with the config's key; where that is another one by now, it says so."""
    configure(ccr, port, up, APIKEY="sk-router-0123456789")
    ccr.serve()
    assert ccr.run("health").returncode == 0
    configure(ccr, port, up, APIKEY="sk-another-0123456789", autoReload=False)
    done = ccr.run("health")
    assert (done.returncode, done.stdout) == (1, "")
    assert "refuses the key" in done.stderr


# -- the words ---------------------------------------------------------------------------------------------------------


def target(state: str, **more: Any) -> dict[str, Any]:
    last = {"kind": "idle", "secondsAgo": 6.2, "at": ""}
    given = {"provider": "p", "model": "m", "failures": 5, "secondsLeft": None, "until": None, "lastFailure": last}
    return {**given, "state": state, **more}


def key(state: str, **more: Any) -> dict[str, Any]:
    limits = {"requestsPerMinute": None, "tokensPerMinute": None, "concurrent": None}
    given = {"label": "key 2", "source": "${K}", "reason": None, "limits": limits, "secondsLeft": None, "rests": []}
    return {**given, "state": state, **more}


def told(*targets: dict[str, Any], keys: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    spare = key("ready", label="key 1")
    return {"targets": list(targets), "providers": [{"name": "q", "keys": [spare, *(keys or [])]}]}


WORDS = [
    (target("well", lastFailure=None, failures=0), ""),
    (target("failing", failures=1), "is asked all the same: 1 failure, the last 6 s ago: idle"),
    (target("open", secondsLeft=24.4), "is passed over for 24 s: 5 failures, the last 6 s ago: idle"),
    (target("open", secondsLeft=0.2), "is passed over for 1 s: 5 failures, the last 6 s ago: idle"),
    (target("trying"), "was passed over, and is tried by the next request: 5 failures, the last 6 s ago: idle"),
]


@pytest.mark.parametrize(("one", "words"), WORDS)
def test_words_of_a_target(one: dict[str, Any], words: str) -> None:
    """Each state says what it means for the next request."""
    (line,) = target_lines(told(one))
    assert (line.state, line.name, line.words) == (one["state"], "p,m", words)


RESTS = [
    {"model": "a", "secondsLeft": 100.0, "reason": "a rate limit of the provider"},
    {"model": "b", "secondsLeft": 9.0, "reason": "a rate limit of the provider"},
]
LIMITS = {
    "requestsPerMinute": {"limit": 60, "used": 12},
    "tokensPerMinute": None,
    "concurrent": {"limit": 4, "used": 1},
}
KEYS = [
    (key("ready"), ""),
    (key("ready", limits=LIMITS), "12 of 60 requests a minute, 1 of 4 at work"),
    (key("disabled", reason="the provider refused it (401)"), "is disabled: the provider refused it (401)"),
    (key("limited", secondsLeft=31.0, reason="2 requests a minute are used up"),
     "waits for 31 s: 2 requests a minute are used up"),
    (key("resting", rests=RESTS),
     "rests: a for 2 min (a rate limit of the provider); b for 9 s (a rate limit of the provider)"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "words"), KEYS)
def test_words_of_a_key(one: dict[str, Any], words: str) -> None:
    """Each state says why, and for how long."""
    _, line = key_lines(told(keys=[one]))
    assert (line.state, line.name, line.words) == (one["state"], "key 2 of q (${K})", words)


def test_what_is_worth_a_line_of_the_status() -> None:
    """What is not asked as usual; a failure or two, a limit of one's own and what is well are not."""
    lines = worries(told(*(one for one, _ in WORDS), keys=[one for one, _ in KEYS]))
    assert [line.split(":")[0] for line in lines] == [
        "p,m is passed over for 24 s",
        "p,m is passed over for 1 s",
        "p,m was passed over, and is tried by the next request",
        "key 2 of q (${K}) is disabled",
        "key 2 of q (${K}) rests",
    ]
    assert worries(None) == []


def test_names_cannot_paint() -> None:
    """Labels and models are the words of others: nothing in them moves the cursor."""
    lines = worries(told(target("open", model="m\033[2J", secondsLeft=9.0)))
    assert "\033" not in lines[0]

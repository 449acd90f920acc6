"""`ccr explain SESSION`, and what it and `ccr explain REQUEST-ID` say of prompt caches: with and without a router."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest

from ccrouter.cli.explain import draw, plain, sections
from ccrouter.cli.explain_session import session_sections
from ccrouter.store.reports import Reports
from tests.store.seed import seed
from tests.upstream import ThreadedUpstream, anthropic_wire, sse_reply

SESSION = "5e550000-0000-4000-8000-000000000000"
TALK = "0f1d4c1e-1111-4222-8333-123456789abc"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    return seed(tmp_path_factory.mktemp("records") / "records.db", now=time.time())


@pytest.fixture
def session(seeded) -> dict[str, Any]:
    reports = Reports(seeded.path)
    found = reports.session(SESSION)
    reports.close()
    assert found is not None
    return found


def test_a_session_from_the_records_alone(ccr, seeded):
    """No router runs: the records say who broke the cache, in which turn, at what cost; and so does --json."""
    ccr.folder.mkdir(mode=0o700)
    (ccr.folder / "records.db").write_bytes(seeded.path.read_bytes())
    told = ccr.run("explain", SESSION)
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert lines[0] == f"Session {SESSION}"
    assert "Conversation" in lines
    assert "Agent a1b2c3d4 (Explore)" in lines
    broken = seeded.special["break"]
    assert any(line.startswith("▲ Turn ") and line.endswith(broken) for line in lines)
    assert "  at     system[0]" in lines
    assert "The client changed system[0] (the system prompt was changed)" in told.stdout
    facts = json.loads(ccr.run("explain", SESSION, "--json").stdout)
    assert facts["cacheBreaks"] == 1
    one = ccr.run("explain", broken)
    assert (one.returncode, one.stderr) == (0, "")
    assert one.stdout.startswith(f"Request {broken}\n")
    assert "\nCache\n  by     client\n" in one.stdout
    assert ccr.run("explain", "--last").returncode == 0


def test_marks_stand_below_the_turns_that_lost_their_cache(session):
    """As many bars as turns that were answered; the mark is in the column of the turn, also in a second line."""
    page = {one.title: one for one in session_sections(session)}
    name, drawn = page["Conversation"].rows[0]
    bars, marks = drawn.split("\n")
    own = [turn for turn in session["turns"] if not turn["agent"] and turn["cacheShare"] is not None]
    own = [turn for turn in own if turn["requestClass"] != "auxiliary"]
    assert len(bars) == len(own)
    assert own[len(marks) - 1]["verdict"]["by"] == "client"
    assert name.startswith("turns 1–")
    long = session | {"turns": [one for turn in own for one in [turn] * 10], "requests": 10 * len(own)}
    rows = next(one for one in session_sections(long) if one.title == "Conversation").rows
    assert [len(text.split("\n")[0]) for _, text in rows] == [60, 60, len(own) * 10 - 120][: len(rows)]
    assert sum(text.count("▲") for _, text in rows) == 10


def test_a_session_without_losses_says_so(session):
    """And a compaction is told, but is none."""
    quiet = session | {"turns": [turn | {"verdict": None} for turn in session["turns"]]}
    assert "No cache was lost" in plain(session_sections(quiet))
    verdict = {"by": "compaction", "at": None, "words": "A new conversation begins here.", "share": 0.5, "shareBefore": 0.0,
               "lostTokens": 0, "lostUsd": 0.0, "hint": None}  # fmt: skip
    compacted = quiet | {"turns": [session["turns"][0] | {"verdict": verdict}, *quiet["turns"][1:]]}
    told = plain(session_sections(compacted))
    assert "\nTurn 1, " in told
    assert "▲" not in told
    assert "it was lost" not in told


def test_a_cost_that_is_not_known_is_said_to_be_unknown(session):
    """No sum is made of what is not known."""
    verdicts = [
        turn | {"verdict": turn["verdict"] and turn["verdict"] | {"lostUsd": None}} for turn in session["turns"]
    ]
    told = plain(session_sections(session | {"turns": verdicts, "cost": {"usd": None, "unknown": 3}}))
    assert "  cost      unknown\n" in told
    assert "more\n" not in told.split("Conversation")[0]


def test_on_a_terminal(session, monkeypatch, capsys):
    """The same is drawn, no wider than the terminal, and every bar is there."""
    monkeypatch.setenv("COLUMNS", "80")
    draw(session_sections(session))
    drawn = capsys.readouterr().out
    assert max(map(len, drawn.splitlines())) <= 80
    assert set("".join(plain(session_sections(session)).split())) <= set(drawn)


def _ask(port: int, number: int, system: str) -> str:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "begin"}]
    for one in range(number):
        turns += [{"role": "assistant", "content": f"answer {one}"}, {"role": "user", "content": f"and {one}"}]
    asked = {
        "model": "claude-x", "max_tokens": 100, "stream": True, "messages": turns, "system": system,
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
    }  # fmt: skip
    headers = {"content-type": "application/json", "x-claude-code-session-id": TALK}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/messages", json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request) as response:
        response.read()
        return str(response.headers["request-id"])


def test_a_running_router_finds_who_broke_the_cache(ccr, port):
    """Four requests of one conversation through the real router; the third says something else at its beginning, and
    the router is started anew before the fourth: the explanation is there, and no loss where there is none.
    """
    with ThreadedUpstream() as upstream:
        provider = {"name": "p", "api_base_url": f"{upstream.url}/v1/messages", "api_key": "k" * 20, "models": ["m"]}
        ccr.configure(Providers=[provider], Router={"default": "p,m"})
        router = ccr.serve("--port", str(port))
        asked = []
        for number, (system, read, written) in enumerate(
            [("be kind", 0, 20_000), ("be kind", 20_000, 1_000), ("be brief", 0, 22_000), ("be brief", 22_000, 1_000)]
        ):
            if number == 3:
                router.terminate()
                router.wait()
                router = ccr.serve("--port", str(port))
            usage = {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
            upstream.reply(sse_reply(anthropic_wire.message_stream("Hi", usage=usage)))
            asked.append(_ask(port, number, system))
        router.terminate()
        router.wait()
    told = json.loads(ccr.run("explain", TALK, "--json").stdout)
    assert [turn["id"] for turn in told["turns"]] == asked
    assert [turn["verdict"] and turn["verdict"]["by"] for turn in told["turns"]] == [None, None, "client", None]
    verdict = told["turns"][2]["verdict"]
    assert (verdict["at"], verdict["lostTokens"]) == ("system", 21_000)
    assert plain(sections(json.loads(ccr.run("explain", asked[2], "--json").stdout))).count(verdict["words"]) == 1

"""`ccr logs`: the lines of the log, for people and for programs, whether a router runs or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Ccr, read_until

NAME = "ccr-20200102100000.log"


def line(level: int, second: int, message: str, **more: object) -> str:
    return json.dumps({"level": level, "time": f"2020-01-02T10:00:{second:02}.000Z", "msg": message, **more}) + "\n"


EXCHANGE = {
    "reqId": "req_a", "path": "/v1/messages", "status": 200, "asked": "claude-x", "route": "default", "reason": "why",
    "response": {"provider": "p", "model": "m"}, "session": "s-1", "streamed": True, "bytes": 5,
    "tokens": {"input": 10, "output": 5, "cacheRead": 90, "cacheWrite": 0}, "ttftMs": 120.5, "totalMs": 1500.1,
}  # fmt: skip


@pytest.fixture
def log(ccr: Ccr) -> Path:
    """A log of four lines, and one of an earlier run."""
    folder = ccr.folder / "logs"
    folder.mkdir(parents=True)
    (folder / "ccr-20200101100000.log").write_text(line(30, 0, "an earlier run").replace("01-02", "01-01"))
    path = folder / NAME
    path.write_text(
        line(30, 1, "started", version="1.2.3")
        + line(30, 2, "exchange", **EXCHANGE)
        + line(40, 3, "exchange", **{**EXCHANGE, "reqId": "req_b", "status": 502, "error": "p: it broke\x1b[2J"})
        + line(50, 4, "a defect", reqId="req_c", trace="Traceback\n  here")
    )
    return path


def told(ccr: Ccr, *words: str) -> list[str]:
    done = ccr.run("logs", *words, TZ="UTC")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_for_a_person(ccr, log):
    """One line each, the oldest first: time, level, and what it says; of an exchange status, route, models, tokens, time.
    Words of others paint nothing on the terminal.
    """
    assert told(ccr) == [
        "2020-01-01 10:00:00 info  an earlier run",
        "2020-01-02 10:00:01 info  started  version=1.2.3",
        "2020-01-02 10:00:02 info  200  default  claude-x → p,m  100 in (90 % cached), 5 out  1.5 s, first 120 ms  req_a",
        "2020-01-02 10:00:03 warn  502  default  claude-x → p,m  100 in (90 % cached), 5 out  1.5 s, first 120 ms  req_b",
        "      p: it broke\\u001b[2J",
        "2020-01-02 10:00:04 error a defect  reqId=req_c",
        "      Traceback",
        "        here",
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-n", "2"], ["exchange", "a defect"]),
        (["-n", "0"], []),
        (["--level", "warn"], ["exchange", "a defect"]),
        (["--request", "req_a"], ["exchange"]),
        (["--session", "s-1"], ["exchange", "exchange"]),
        (["--search", "IT BROKE"], ["exchange"]),
        (["--since", "2020-01-02T10:00:03Z"], ["exchange", "a defect"]),
        (["--since", "2020-01-02"], ["started", "exchange", "exchange", "a defect"]),
        (["--since", "2020-01-02", "-n", "1"], ["a defect"]),
        (["--request", "req_zz"], []),
    ],
)
def test_which_lines(ccr, log, words, found):
    """The last ones, of a level, a request, a session, with a text, since a time."""
    lines = told(ccr, "--json", *words)
    assert [json.loads(one)["msg"] for one in lines] == found


def test_as_they_are(ccr, log):
    """With --json the lines are as they were written."""
    assert told(ccr, "--json", "-n", "4") == log.read_text().splitlines()


@pytest.mark.parametrize("since", ["soon", "10", "2020-13-01", "5 parsecs"])
def test_no_time(ccr, log, since):
    """A time that is none is refused, with examples."""
    done = ccr.run("logs", "--since", since)
    assert done.returncode == 2
    assert '"10m"' in done.stderr


def test_no_log(ccr):
    """Without a log that is said, and the exit code tells."""
    done = ccr.run("logs")
    assert done.returncode == 1
    assert "there is no log" in done.stderr


def test_files(ccr, log):
    """The folder, then the files, the newest first; as JSON with their places."""
    lines = told(ccr, "files")
    assert lines[0] == str(log.parent)
    assert [one.split()[0] for one in lines[2:]] == [NAME, "ccr-20200101100000.log"]
    listed = json.loads(ccr.run("logs", "files", "--json").stdout)
    assert [one["path"] for one in listed] == [str(log), str(log.parent / "ccr-20200101100000.log")]
    assert listed[0]["size"] == log.stat().st_size


def test_following(ccr, log):
    """With --follow new lines are told as they are written, also after the log was put away, and by the filters."""
    child = ccr.spawn("logs", "--follow", "--json", "-n", "1", "--level", "warn")
    read_until(child, "a defect")
    with log.open("a") as file:
        file.write(line(30, 5, "not this") + line(40, 6, "new"))
    assert json.loads(child.stdout.readline())["msg"] == "new"
    log.rename(log.with_name(f"{NAME}.1"))
    log.write_text(line(40, 7, "after it was put away"))
    assert json.loads(child.stdout.readline())["msg"] == "after it was put away"
    log.with_name("ccr-20200102110000.log").write_text(line(40, 8, "another run"))
    assert json.loads(child.stdout.readline())["msg"] == "another run"


def test_the_level(ccr, log, port):
    """It is set in the running router, shown, and set back; without a router there is nothing to set."""
    done = ccr.run("logs", "level", "debug", "--port", str(port))
    assert done.returncode == 1
    assert f"no router is running on port {port}" in done.stderr
    provider = {"name": "p", "api_base_url": "http://127.0.0.1:9/v1/messages", "api_key": "k", "models": ["m"]}
    ccr.configure(PORT=port, APIKEY="the-key-of-this-router", Providers=[provider], Router={"default": "p,m"})
    ccr.serve()
    assert told(ccr, "level") == ["the log takes lines of level info and above"]
    assert told(ccr, "level", "debug") == [
        "the log takes lines of level debug and above, until the next reload or restart; the config says info"
    ]
    assert told(ccr, "level", "config") == ["the log takes lines of level info and above"]
    assert ccr.run("logs", "level", "loud").returncode == 2
    assert any("the level of the log was set" in one for one in told(ccr, "--search", "level"))

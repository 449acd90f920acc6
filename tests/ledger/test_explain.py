"""`ccr explain`, with a router that really runs: what became of a request, as a page, as JSON, and what if nobody knows."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from ccrouter.cli.explain import draw, plain, sections
from tests.upstream import ThreadedUpstream, chat_wire, json_reply, sse_reply

BODY = {
    "model": "claude-x", "max_tokens": 100, "top_k": 5, "metadata": {"user_id": "u"},
    "messages": [{"role": "user", "content": "a private matter"}],
}  # fmt: skip


@pytest.fixture
def upstream():
    with ThreadedUpstream() as up:
        yield up


def configure(ccr, upstream, **more) -> None:
    server = {"name": "p", "api_base_url": f"{upstream.url}/v1/chat/completions", "api_key": "k" * 20, "models": ["m"]}
    ccr.configure(Providers=[server], Router={"default": "p,m"}, **more)


def ask(port: int, key: str = "", **more) -> str:
    """POST a request; gives its request id."""
    body = json.dumps({**BODY, **more}).encode()
    headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/messages", body, headers)
    try:
        with urllib.request.urlopen(request) as response:
            response.read()
            return response.headers["request-id"]
    except urllib.error.HTTPError as error:
        error.read()
        asked = error.headers["request-id"]
        error.close()
        return asked


def test_a_page(ccr, port, upstream):
    """By id and by --last: the route, the target, the losses by path with what became of them, hints apart."""
    configure(ccr, upstream)
    ccr.serve("--port", str(port))
    upstream.reply(json_reply(chat_wire.chat_json("the answer", model="gpt-answered")))
    asked = ask(port)
    told = ccr.run("explain", asked, "--port", str(port))
    assert (told.returncode, told.stderr) == (0, "")
    lines = [line.rstrip() for line in told.stdout.splitlines()]
    assert lines[0] == f"Request {asked}"
    assert "  asked        claude-x" in lines
    assert "  sent         m to p" in lines
    assert "  answered by  gpt-answered" in lines
    assert "  route        default (default: no other rule applies)" in lines
    assert "Losses: 1 dropped, 0 approximated" in lines
    dropped = lines.index("Dropped (nothing of it was sent)")
    assert lines[dropped + 1] == "  top_k  the model takes none"
    hints = lines.index("Hints left out (no loss: they concern Anthropic's service alone)")
    assert lines[hints + 1].startswith("  metadata")
    assert "  max_tokens" in lines[lines.index("Mapped (sent in the provider's words)") :]
    assert "private" not in told.stdout
    assert ccr.run("explain", "--last", "--port", str(port)).stdout == told.stdout


def test_a_streamed_one_as_json(ccr, port, upstream):
    """--json prints the facts as the router gives them; streams are remembered like other answers."""
    configure(ccr, upstream)
    ccr.serve("--port", str(port))
    upstream.reply(sse_reply(chat_wire.chat_stream("Hi")))
    asked = ask(port, stream=True)
    facts = json.loads(ccr.run("explain", asked, "--json", "--port", str(port)).stdout)
    assert facts["id"] == asked
    assert facts["streamed"] is True
    assert facts["losses"] == {"approximated": 0, "dropped": 1}


def test_failed_attempts(ccr, port, upstream):
    """Every attempt is listed with its failure, in one word and the provider's."""
    configure(ccr, upstream, retry={"again": 0})
    ccr.serve("--port", str(port))
    upstream.reply(json_reply(chat_wire.error_json("busy, come back"), 503))
    told = ccr.run("explain", ask(port), "--port", str(port)).stdout
    assert "Attempts\n  p,m, after " in told
    assert "overloaded: " in told
    assert "busy, come back" in told
    assert "  status  503: " in told


def test_the_words_of_attempts():
    """Each with its pause, its key where there are several, and without saying twice whose failure it is."""
    first = {"target": "p,m", "beganMs": 0.2, "waitedMs": 0.0, "key": "key", "kind": "connect", "failure": "p: no way"}
    second = {"target": "q,n", "beganMs": 1016.0, "waitedMs": 1014.0, "key": "spare", "kind": "", "failure": None}
    told = plain(sections({**FACTS, "attempts": [first, second]})).splitlines()
    at = told.index("Attempts")
    assert [" ".join(line.split()) for line in told[at + 1 : at + 3]] == [
        "p,m, after 0 ms connect: no way",
        "q,n, after 1016 ms (1014 of them a pause), spare answered",
    ]


def test_with_a_key(ccr, port, upstream):
    """The key of the config that the router was started with opens the door."""
    configure(ccr, upstream, APIKEY="router-key-0123456789")
    ccr.serve("--port", str(port))
    upstream.reply(json_reply(chat_wire.chat_json("x")))
    asked = ask(port, "router-key-0123456789")
    assert ccr.run("explain", asked, "--port", str(port)).stdout.startswith(f"Request {asked}\n")


def test_nobody_knows(ccr, port, upstream):
    """An unknown id, a request that never was, no router: each is said, with what to do, and is exit code 1."""
    configure(ccr, upstream)
    told = ccr.run("explain", "req_1", "--port", str(port))
    assert told.returncode == 1
    assert f"no router is running on port {port}" in told.stderr
    ccr.serve("--port", str(port))
    told = ccr.run("explain", "req_1", "--port", str(port))
    assert (told.returncode, told.stdout) == (1, "")
    assert "none of that id is recorded, nor is it one of the last 1000" in told.stderr
    assert "nothing was asked of the router yet" in ccr.run("explain", "--last", "--port", str(port)).stderr


@pytest.mark.parametrize("words", [[], ["req_1", "--last"]])
def test_one_of_the_two(ccr, words):
    """An id or --last: none and both are a mistake in the options."""
    told = ccr.run("explain", *words)
    assert told.returncode == 2
    assert "name a REQUEST-ID, or --last" in told.stderr


FACTS = {
    "id": "req_1", "path": "/v1/messages", "began": "2026-11-01T08:00:00.000Z", "status": 400, "asked": "",
    "error": "messages: required\nand more", "sent": None, "provider": None, "answered": None, "session": None,
    "route": {"name": "", "reason": ""}, "client": None, "streamed": False, "bytes": 2, "stopReason": None,
    "upstreamId": None, "attempts": [], "transforms": [], "losses": {"approximated": 0, "dropped": 0},
    "ledger": {"kept": [], "mapped": [], "losses": []}, "ttftMs": None, "totalMs": 1.0,
    "tokens": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
}  # fmt: skip


def test_an_exchange_that_came_to_nothing():
    """A request that was refused before anything was encoded has no losses to tell of, and the page says so."""
    told = plain(sections(FACTS))
    assert "  status  400: messages: required\n          and more\n" in told
    assert told.endswith("Nothing was made ready to be sent: no losses to tell of")


def test_on_a_terminal(monkeypatch, capsys):
    """On a terminal the same is drawn: long texts are wrapped beside their names, and every word is there."""
    monkeypatch.setenv("COLUMNS", "60")
    what = "the schema is asked for in words: the provider cannot enforce it, and the model may well do otherwise"
    loss = {"path": "output_config.format", "what": what, "fate": "approximated", "count": 1}
    ledger = {"kept": ["stream"], "mapped": ["model"], "losses": [{**loss, "places": ["output_config.format"]}]}
    facts = {**FACTS, "sent": "m", "provider": "p", "losses": {"approximated": 1, "dropped": 0}, "ledger": ledger}
    draw(sections(facts))
    drawn = capsys.readouterr().out
    assert max(map(len, drawn.splitlines())) <= 60
    assert set(plain(sections(facts)).split()) <= set(drawn.split())

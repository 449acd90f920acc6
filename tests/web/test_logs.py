"""The page of logs: what stands in a line is told in its place; nothing of it becomes markup."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.schema import Config
from ccrouter.logs.files import list_files
from ccrouter.logs.reading import page_facts
from ccrouter.web.page import View, facts_of, render
from ccrouter.web.pages import PAGES, logs
from tests.web.conftest import Document
from tests.web.test_pages import HOSTILE, UNSEEN, shape, soundness

NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC)
NAME = "ccr-20261122170000.log"
LINES = [
    {"level": 30, "time": "2026-11-22T17:00:00.000Z", "msg": "the router listens", "port": 3456},
    {
        "level": 30,
        "time": "2026-11-22T17:00:01.000Z",
        "msg": "exchange",
        "reqId": "req_1",
        "session": "5e55",
        "response": {"provider": "p", "model": "m1"},
        "error": "",
        "attempts": [],
    },
    {"level": 50, "time": "2026-11-22T17:00:02.000Z", "msg": "a defect", "reqId": "req_2", "trace": "one\ntwo\n"},
]


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "logs"
    path.mkdir()
    (path / NAME).write_text("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in LINES) + "no JSON\n")
    return path


def view(folder: Path, writing: str = "info", **query: str) -> View:
    def read(asked):
        facts = page_facts(folder, asked)
        assert facts is not None
        current = next((one.name for one in list_files(folder)), None)
        return {**facts, "current": current, "level": {"now": writing, "configured": "info"}}

    return View(Config(), NO_POLICY, "1", 1, NOW, NOW, folder, logs=read, query=query)


def page(folder: Path, **more: str) -> Document:
    return Document(render(logs.PAGE, view(folder, **more), PAGES, signed_in=True))


def test_lines_are_told(folder):
    """The newest first: when, how grave, what, of which request and session, and every other fact by its name; one that
    is no JSON as its text. Empty facts are left out."""
    facts = facts_of(logs.PAGE, view(folder))
    assert [one["message"] for one in facts["lines"]] == ["the router listens", "exchange", "a defect", "no JSON"]
    exchange = facts["lines"][1]
    assert (exchange["level"], exchange["request"], exchange["session"]) == ("info", "req_1", "5e55")
    assert {one["name"]: one["lines"] for one in exchange["facts"]} == {
        "response.provider": ["p"],
        "response.model": ["m1"],
    }
    assert facts["lines"][2]["facts"] == [{"name": "trace", "lines": ["one", "two", ""]}]
    assert facts["lines"][3]["time"] is None
    content = page(folder).content
    assert content.index("a defect") < content.index("the router listens")
    assert "response.model m1" in content


def test_requests_and_sessions_are_led_to(folder):
    """Ids are links to the pages of the request and of the session."""
    links = [one["href"] for one in page(folder).of("a")]
    assert "/ui/requests/req_1" in links
    assert "/ui/sessions/5e55" in links


@pytest.mark.parametrize(("query", "messages"), [
    ({"level": "error"}, ["a defect"]),
    ({"request": "req_1"}, ["exchange"]),
    ({"session": "5e"}, ["exchange"]),
    ({"search": "LISTENS"}, ["the router listens"]),
    ({"search": "nothing like it"}, []),
    ({"lines": "2"}, ["a defect", "no JSON"]),
])  # fmt: skip
def test_only_what_is_asked_for(folder, query, messages):
    """By level, request, session, text and number; the form shows what was asked, and none found is said so."""
    facts = facts_of(logs.PAGE, view(folder, **query))
    assert [one["message"] for one in facts["lines"]] == messages
    document = page(folder, **query)
    assert soundness(document) == []
    if not messages:
        assert "No line is like that" in document.content
    for name, value in query.items():
        if name not in {"level", "lines"}:
            assert [one["value"] for one in document.of("input") if one.get("name") == name] == [value]


def test_older_lines_are_led_to(folder):
    """Where there are lines before those shown, a link asks for them; that page stands still."""
    newest = facts_of(logs.PAGE, view(folder, lines="2"))
    older = facts_of(logs.PAGE, view(folder, lines="2", before=newest["before"]))
    assert [one["message"] for one in older["lines"]] == ["the router listens", "exchange"]
    assert [one for one in page(folder, lines="2").of("a") if "before=" in (one["href"] or "")]
    still = page(folder, lines="2", before=newest["before"])
    assert not [one for one in still.of("script") if "live" in (one["src"] or "")]
    assert [one for one in page(folder).of("script") if "live" in (one["src"] or "")]


def test_files_and_level_are_told(folder):
    """Each file with its size and a link to take it away, the one that is written marked; the level, and that it is
    another than the config's."""
    (folder / f"{NAME}.1").write_text("x\n")
    document = page(folder)
    assert {f"/ui/logs/download?file={name}" for name in (NAME, f"{NAME}.1")} <= {
        one["href"] for one in document.of("a")
    }
    assert f"{NAME} is written" in document.content
    assert f"{NAME}.1 put away" in document.content
    changed = Document(render(logs.PAGE, view(folder, writing="debug"), PAGES, signed_in=True)).content
    assert "Lines of level debug and graver are written. The configuration says info." in changed


def test_no_log_is_said(tmp_path):
    """A router that writes none says so, and how it would."""
    silent = View(Config(log=False), NO_POLICY, "1", 1, NOW, NOW, tmp_path)
    content = Document(render(logs.PAGE, silent, PAGES, signed_in=True)).content
    assert "This router writes no log." in content
    assert '"LOG": false' in content


@pytest.mark.parametrize("name", [HOSTILE, UNSEEN])
def test_a_line_is_text(tmp_path, name):
    """Whatever stands in a log, and whatever is asked for, is written as text."""

    def told(words: str) -> Document:
        line = {
            "level": 30,
            "time": words,
            "msg": words,
            "reqId": words,
            "session": words,
            "fact": words.replace("\n", " "),
        }
        lines = {"lines": [line], "file": NAME, "files": [], "before": None, "current": NAME}
        read = {**lines, "level": {"now": "info", "configured": "info"}}
        seen = View(
            Config(), NO_POLICY, "1", 1, NOW, NOW, tmp_path, logs=lambda _: read, query={"search": words, "file": words}
        )
        return Document(render(logs.PAGE, seen, PAGES, signed_in=True))

    document = told(name)
    assert document.problems == []
    assert shape(document) == shape(told("x"))


@pytest.mark.parametrize("time", ["yesterday", "2026-11-22T17:00:00", 5, None, "0001-01-01T00:00:00Z"])
def test_any_time_can_stand_there(tmp_path, time):
    """A time that is none is left out, and no page fails by it."""
    lines = [{"level": "x", "time": time, "msg": None}]
    found = {
        "lines": lines,
        "file": NAME,
        "files": [],
        "before": None,
        "current": NAME,
        "level": {"now": "info", "configured": "info"},
    }
    seen = View(Config(), NO_POLICY, "1", 1, NOW, NOW, tmp_path, logs=lambda _: found)
    assert Document(render(logs.PAGE, seen, PAGES, signed_in=True)).problems == []

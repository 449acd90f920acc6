"""Reading a log from its end: every line once, whatever the blocks, the filters and what happens to the file."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.logs import reading
from ccrouter.logs.files import empty, find_file, list_files, put_away
from ccrouter.logs.reading import RANKS, Wanted, count_of, last_lines, lines_backwards, page_facts, read_page, wanted_of


def line(number: int = 0, level: str = "info", **more: object) -> bytes:
    facts = {"level": RANKS[level], "time": f"2026-11-22T10:00:{number % 60:02}.000Z", "msg": f"line {number}", **more}
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ccr-20261122100000.log"


# -- backwards ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=60).map(lambda text: text.replace(b"x", b"\n")), st.integers(1, 9))
def test_any_block(text, block):
    """Whatever the size of blocks: the whole lines, the last first, with where they begin; what is not finished and
    empty lines are left out.
    """
    before, reading._BLOCK = reading._BLOCK, block
    try:
        found = list(lines_backwards(io.BytesIO(text)))
    finally:
        reading._BLOCK = before
    whole = text[: text.rfind(b"\n") + 1]
    assert [one for _, one in found] == [one for one in reversed(whole.split(b"\n")) if one]
    assert all(text[at : at + len(one) + 1] == one + b"\n" for at, one in found)
    assert all(at == 0 or text[at - 1 : at] == b"\n" for at, _ in found)


def test_a_large_log_is_not_held(path):
    """The last lines of a log of many megabytes are read in little memory; a line without end costs no more."""
    with path.open("wb") as file:
        for _ in range(300):
            file.write(line(1, text="x" * 100_000) + b"\n")
        file.write(b"y" * 20_000_000 + b"\n" + line(2) + b"\n")
    tracemalloc.start()
    page = read_page(path, count=5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [json.loads(one)["msg"] for one in page.lines] == ["line 1"] * 4 + ["line 2"]
    assert most < 4_000_000


# -- pages -------------------------------------------------------------------------------------------------------------


def test_page_by_page(path):
    """Every line is on one page, in order; lines that are written meanwhile move nothing."""
    write(path, *(line(number) for number in range(10)))
    seen: list[str] = []
    before, count = None, 0
    while True:
        page = read_page(path, count=3, before=before)
        seen = [*(json.loads(one)["msg"] for one in page.lines), *seen]
        before, count = page.before, count + 1
        with path.open("ab") as file:
            file.write(line(99) + b"\n")
        if before is None:
            break
    assert seen == [f"line {number}" for number in range(10)]
    assert count == 4


def test_a_log_that_is_put_away_between_two_pages(path):
    """The next page comes from the file that the first was of, by its new name; of one that is gone nothing does."""
    write(path, *(line(number) for number in range(6)))
    first = read_page(path, count=3)
    assert put_away(path, os.open(path, os.O_RDONLY), keep=3) == f"{path.name}.1"
    write(path, line(50), line(51))
    second = read_page(path, count=3, before=first.before)
    assert [json.loads(one)["msg"] for one in second.lines] == ["line 0", "line 1", "line 2"]
    path.with_name(f"{path.name}.1").unlink()
    gone = read_page(path, count=3, before=first.before)
    assert (gone.lines, gone.before) == ([], None)


def test_a_search_that_takes_long_goes_on(path, monkeypatch):
    """Where much has to be looked through a page ends, and says where to go on."""
    monkeypatch.setattr(reading, "_BUDGET", 2000)
    monkeypatch.setattr(reading, "_BLOCK", 100)
    write(path, line(0, word="needle"), *(line(number) for number in range(100)))
    page, asked = read_page(path, Wanted(search="needle")), 1
    while page.before is not None and not page.lines:
        page, asked = read_page(path, Wanted(search="needle"), before=page.before), asked + 1
    assert json.loads(page.lines[0])["word"] == "needle"
    assert asked > 2


@pytest.mark.parametrize("before", ["", "x", "1", "1.x", "-1.5", "1.2.3", "９.９"])
def test_what_names_no_place(path, before):
    """A place that no page gave is refused."""
    write(path, line(0))
    with pytest.raises(ValueError, match="before must be what an earlier page gave"):
        read_page(path, before=before)


# -- filters -----------------------------------------------------------------------------------------------------------

LINES = (
    line(0, "debug"),
    line(1, reqId="req_abc", session="s-1", error='it said "Nö"'),
    line(2, "warn", reqId="req_xyz", session="s-2"),
    b"no JSON at all",
    b'["an array"]',
    line(3, "error", reqId="req_abc"),
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"level": "info"}, [1, 2, 3, 4, 5]),
        ({"level": "warn"}, [2, 5]),
        ({"level": "fatal"}, []),
        ({"request": "req_abc"}, [1, 5]),
        ({"request": "req_a"}, [1, 5]),
        ({"session": "s-2"}, [2]),
        ({"search": "REQ_XYZ"}, [2]),
        ({"search": 'said "nö"'}, [1]),
        ({"search": "json at"}, [3]),
        ({"since": "2026-11-22T10:00:02.000Z"}, [2, 5]),
        ({"request": "req_abc", "level": "error"}, [5]),
    ],
)
def test_filters(path, query, found):
    """Level, request, session, text and time, alone and together; lines of others are lines too."""
    write(path, *LINES)
    page = read_page(path, wanted_of(query))
    assert [LINES.index(one) for one in page.lines] == found


def test_since_ends_the_search(path):
    """What was written before the time is not looked at."""
    write(path, b"never read", *(line(number) for number in range(30)))
    wanted = Wanted(since="2026-11-22T10:00:20.000Z")
    assert len(last_lines([path], wanted, 100)) == 10
    assert read_page(path, wanted, 100).before is None


@pytest.mark.parametrize(
    "query", [{"level": "loud"}, {"lines": "0"}, {"lines": "x"}, {"lines": "10001"}, {"lines": "-1"}]
)
def test_what_cannot_be_asked(query):
    """A level or a number that there is not is refused."""
    with pytest.raises(ValueError, match="must be"):
        (wanted_of(query), count_of(query))


# -- several files -----------------------------------------------------------------------------------------------------


def test_order_of_files(tmp_path):
    """By the start of their run, then by their number, the one that is written last; nothing else is a log file."""
    names = ["ccr-20261122100000.log", "ccr-20261122100000.log.10", "ccr-20261122100000.log.9", "ccr-20261121100000_1.log",
             "ccr-20261121100000.log"]  # fmt: skip
    for name in reversed(names):
        (tmp_path / name).write_text("")
    for other in (
        "app.log",
        "ccr-1.log",
        "ccr-20261122100000.log.bak",
        "ccr-20261122100000.log.0",
        "ccr-20261122100000.log.01",
    ):
        (tmp_path / other).write_text("")
    (tmp_path / "ccr-20261122100009.log").mkdir()
    (tmp_path / "ccr-20261122100008.log").symlink_to("/etc/passwd")
    assert [file.name for file in list_files(tmp_path)] == names
    assert [file.is_put_away for file in list_files(tmp_path)] == [False, True, True, False, False]
    assert list_files(tmp_path / "none") == []


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "app.log", "ccr-20261122100000.log/../app.log", ".", "ccr-20261122100008.log"]
)
def test_no_other_file(tmp_path, name):
    """A path, a link and any other name are no log file."""
    (tmp_path / "app.log").write_text("secret")
    (tmp_path / "ccr-20261122100000.log").write_text("")
    (tmp_path / "ccr-20261122100008.log").symlink_to(tmp_path / "app.log")
    assert find_file(tmp_path, name) is None


def test_lines_of_several_files(tmp_path):
    """The last lines go on in older files, until there are enough."""
    old = write(tmp_path / "a", line(1), line(2))
    new = write(tmp_path / "b", line(3))
    found = last_lines([new, tmp_path / "gone", old], Wanted(), 2)
    assert [json.loads(one)["msg"] for one in found] == ["line 2", "line 3"]


def test_emptying(tmp_path):
    """One that may be written to is emptied, so that its writer goes on; one that was put away is removed."""
    live, away = (write(tmp_path / name, line(1)) for name in ("ccr-20261122100000.log", "ccr-20261122100000.log.1"))
    with live.open("ab") as writer:
        for file in list_files(tmp_path):
            empty(file)
        assert (live.read_bytes(), away.exists()) == (b"", False)
        writer.write(b"next\n")
    assert live.read_bytes() == b"next\n"


def test_facts(tmp_path):
    """What a page of the log shows: the newest file unless one is named, its lines told, and what was asked for."""
    write(tmp_path / "ccr-20261121100000.log", line(1))
    write(tmp_path / "ccr-20261122100000.log", line(2), line(3, "warn"), b"other")
    facts = page_facts(tmp_path, {"level": "info", "lines": "2"})
    assert facts["file"] == "ccr-20261122100000.log"
    assert [one["msg"] for one in facts["lines"]] == ["line 3", "other"]
    assert facts["before"]
    assert facts["asked"]["level"] == "info"
    assert [one["name"] for one in facts["files"]] == ["ccr-20261122100000.log", "ccr-20261121100000.log"]
    assert page_facts(tmp_path, {"file": "ccr-20261121100000.log"})["lines"][0]["msg"] == "line 1"
    assert page_facts(tmp_path, {"file": "nothing.log"}) is None
    assert page_facts(tmp_path / "none", {})["file"] is None

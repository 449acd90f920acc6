"""What came with records, pages and telemetry, attacked: by hostile clients and providers, and by odd forms."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import re
import sqlite3
import stat
import sys
import time
from html import unescape

import pytest

from ccrouter.cli.explain import Section, draw, plain
from ccrouter.config.masking import mask
from ccrouter.config.schema import RecordKeeping
from ccrouter.store import retention, writing
from ccrouter.store.filters import Filters
from ccrouter.store.migrations import migrate
from ccrouter.store.redaction import credentials, without
from ccrouter.store.retention import clear_some
from tests.gateway.conftest import provider, running, upstream
from tests.server.conftest import call
from tests.upstream import Upstream, anthropic_wire
from tests.upstream.reply import json_reply
from tests.web.conftest import Browser

__all__ = ["upstream"]

SESSION = "0d4b1f6e-8a3c-4f1d-9c1e-7b1a2c3d4e5f"
JSON = {"content-type": "application/json"}
#: Seconds: what takes the square of a length takes a hundred times as long.
SOON = 20.0


def config(up: Upstream, **more) -> dict:
    return {"PORT": 3456, "HOST": "127.0.0.1", "Providers": [provider(up, "anthropic")], **more} | {
        "Router": {"default": "anthropic,m1"}
    }


def recording(up: Upstream, folder, **more):
    return running(config(up, **more), folder, {"HOME": str(folder)}, records=folder / "records.db")


def answer_with(**usage):
    return json_reply({**anthropic_wire.message_json(text="hi"), "usage": usage})


async def on_disk(router) -> None:
    assert await asyncio.to_thread(router.app.recorder.flush, 10.0)


@pytest.mark.parametrize(
    "unit", ["sk-", "-gsk_", "glpat-", "xoxa-", "pypi-", "github_pat_", "eyJ", "secret=", "api_key="]
)
def test_a_text_of_marks_is_redacted_in_linear_time(unit):
    """A client that repeats the beginning of a credential does not keep the recorder busy for hours."""
    data = unit.encode() * (1_000_000 // len(unit))
    began = time.monotonic()
    list(credentials(data))
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "text",
    [
        'secret=abcsecret: "hunter2hunter2"',
        "sk-aaaaaaaaaaaaaa-sk-bbbbbbbbbbbbbbbbbbb",
        "npm_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaanpm_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "eyJhbGciOiJI.eyJzdWIiOiJx.c2lnbmF0dXJl-b",
        "eyJhbGciOiJIeyJhbGciOiJI.eyJzdWIiOiJx.c2lnbmF0dXJl-b",
    ],
)
def test_a_credential_within_another_goes_too(text):
    """What begins within what was found already is not left behind."""
    data = text.encode()
    clean = without(data, credentials(data))
    for part in (b"hunter2", b"bbbb", b"c2lnbmF0", b"eyJzdWIi"):
        assert part not in clean


def test_a_configuration_is_masked_in_linear_time():
    """A configuration that is pasted does not stop the router: the mask of tokens does not begin anew at each letter."""
    began = time.monotonic()
    mask({"note": "eyJ-" * 250_000, "Providers": [{"name": "-eyJ" * 250_000}]})
    assert time.monotonic() - began < SOON
    shown = mask({"note": "see pre-eyJhbGciOiJI.eyJzdWIiOiJx.c2ln and eyJhbGciOiJI.eyJzdWIiOiJx"})["note"]
    assert shown == "see *** and ***"


async def test_usage_beyond_all_measure(tmp_path, upstream: Upstream):
    """A provider that reports 2^62 tokens, or 2^70, costs neither the record nor the sums of all others."""
    counts = iter((2**62, 2**62, 2**62, 2**70))
    upstream.always(lambda _: answer_with(input_tokens=next(counts), output_tokens=1))
    async with recording(upstream, tmp_path) as router:
        for _ in range(4):
            status, _, _ = await router.ask(metadata={"user_id": f"user_x_account__session_{SESSION}"})
            assert status == 200
        await on_disk(router)
        assert router.app.recorder.state["exchanges"] == 0
        (sums,) = await asyncio.to_thread(router.app.reports.usage, "model", filters=Filters(session=SESSION))
        assert sums["requests"] == 4
        for path in ("/api/overview", "/api/requests", "/api/sessions", f"/api/sessions/{SESSION}"):
            assert (await call(router.app, "GET", path)).status == 200, path


async def test_names_without_end(tmp_path, upstream: Upstream, monkeypatch):
    """A client that names another model each time fills neither the table of names nor the memory of who reads it."""
    monkeypatch.setattr(writing, "_MOST_TEXTS", 30)
    upstream.always(lambda _: answer_with(input_tokens=1, output_tokens=1))
    async with recording(upstream, tmp_path) as router:
        for number in range(60):
            await router.ask(model=f"model-{number}", **{f"member-{number}": 1})
        await on_disk(router)
        items = router.app.reports.requests(limit=100)["items"]
        assert len(items) == 60
        assert items[-1]["asked"] == "model-0"
        assert items[0]["asked"] == "(others)"
        assert router.app.reports.request(items[0]["id"])["ledger"]["kept"] == []
        with sqlite3.connect(tmp_path / "records.db") as connection:
            for table in ("names", "shapes"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= 32, table
        connection.close()


def test_states_of_conversations_make_room_too(tmp_path, monkeypatch):
    """Ever new conversations do not fill the disk beyond what may be kept: the states of the oldest go, not the salt."""
    monkeypatch.setattr(retention, "_MEGABYTE", 1024)
    connection = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    migrate(connection)
    now = 1_795_000_000
    states = [("salt", b"x", 0), *((f"thread {n}", bytes(4000), now + n) for n in range(500))]
    connection.executemany("INSERT INTO threads VALUES (?, ?, ?)", states)
    while not clear_some(connection, RecordKeeping(megabytes=600), now + 1000.0):
        pass
    left = [key for (key,) in connection.execute("SELECT key FROM threads ORDER BY at")]
    connection.close()
    assert left[0] == "salt"
    assert left[-1] == "thread 499"
    assert len(left) < 200


async def test_odd_addresses_and_forms(tmp_path, upstream: Upstream):
    """Whatever stands in an address or a form is answered with a page or with what is wrong; nothing is a defect."""
    upstream.always(lambda _: answer_with(input_tokens=1, output_tokens=1))
    async with recording(upstream, tmp_path) as router:
        await router.ask(model="\ud7ff")
        await on_disk(router)
        browser = Browser(router.app)
        words = "&".join(f"a{number}=1" for number in range(100))
        queries = (
            words, "search=%ED%9F%BF", "search=%00", "since=9999-01-01", "since=0001-01-01", "before=99999999999999999999",
            "session=%ED%A0%80", "file=%00", "before=1.1", "change=x",
        )  # fmt: skip
        paths = ("overview", "requests", "sessions", "statusline", "logs", "config/file", "policy/facts", "providers")
        for path, query in itertools.product(paths, queries):
            answer = await call(router.app, "GET", f"/api/{path}", query=query.encode())
            assert answer.status < 500, (path, query)
        for path, query in itertools.product(("", "requests", "config", "policy", "logs/download"), queries):
            assert (await browser.get(f"/ui/{path}", query=query.encode())).status < 500, (path, query)
        for body in (
            {"until": "0001-01-01T00:00:00+23:59"},
            {"since": "9999-12-31T23:59:59-23:59"},
            {"since": "9999-01-01"},
        ):
            answer = await call(router.app, "POST", "/api/policy/simulate", JSON, json.dumps(body).encode())
            assert answer.status < 500, body
        digits = '{"model": "x", "max_tokens": 5, "messages": [], "n": %s}' % ("1" * 5000)
        assert (await browser.post("/ui/routes", {"request": digits})).status == 400
        half = '{"x": "https://u:p@h/\\ud800", "PORT": 3456}'
        moved = await browser.post("/ui/config/change/text", {"text": half, "digest": ""})
        change = re.search("change=([0-9a-f]+)", moved.headers["location"])[1]
        page = await browser.get("/ui/config", query=f"change={change}".encode())
        assert page.status == 200
        assert r"https://***@h/\ud800" in unescape(page.raw.decode())


async def test_a_mask_is_not_saved(tmp_path, upstream: Upstream):
    """An address that the form shows without its password, and that is led elsewhere, is refused; a changed path keeps
    the password. The mask itself is never written.
    """
    secret = "hunter2-and-more-of-it"
    with_proxy = config(upstream, PROXY_URL=f"http://user:{secret}@127.0.0.1:3128")
    with_proxy["Providers"][0]["api_base_url"] = f"https://user:{secret}@example.com/v1/messages"
    async with running(with_proxy, tmp_path, {"HOME": str(tmp_path)}) as router:
        browser = Browser(router.app)
        digest = re.search(r'name="digest" value="([^"]*)"', (await browser.get("/ui/config")).raw.decode())[1]
        elsewhere = {"digest": digest, "PROXY_URL": "http://***@127.0.0.1:9999"}
        refused = await browser.post("/ui/config/change/settings", elsewhere)
        assert refused.status == 400
        assert "PROXY_URL" in refused.raw.decode()
        assert secret not in refused.raw.decode()
        path = {"digest": digest, "name": "anthropic", "url": "https://***@example.com/v2/messages"}
        moved = await browser.post("/ui/config/change/provider", path)
        assert moved.status == 303, moved.raw[-500:]
        change = re.search("change=([0-9a-f]+)", moved.headers["location"])[1]
        pending = json.loads((tmp_path / f"config.json.change-{change}").read_text())["text"]
        assert f"https://user:{secret}@example.com/v2/messages" in pending
        assert "***" not in pending


async def test_no_page_from_elsewhere_makes_the_router_work(tmp_path, upstream: Upstream):
    """Without a key, too, a page of another site or of another port gets nothing read or begun by a browser here."""
    async with running(config(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        for site in ("cross-site", "same-site"):
            for path in ("/api/logs", "/api/config", "/api/overview", "/api/requests", "/api/openapi.json"):
                answer = await call(router.app, "GET", path, {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
                assert answer.status == 403, (site, path)
            answer = await call(router.app, "POST", "/api/providers/test", {**JSON, "sec-fetch-site": site}, b"{}")
            assert answer.status == 403
        for site in ("same-origin", "none"):
            assert (await call(router.app, "GET", "/api/overview", {"sec-fetch-site": site})).status == 200
    assert upstream.requests == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
async def test_records_are_private_whatever_the_umask(tmp_path, upstream: Upstream):
    """The file of records and its companions are their owner's alone."""
    upstream.always(lambda _: answer_with(input_tokens=1, output_tokens=1))
    before = os.umask(0)
    try:
        async with recording(upstream, tmp_path) as router:
            await router.ask()
            await on_disk(router)
            modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("records.db*")}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("records.db", "records.db-wal", "records.db-shm"), 0o600)


def test_names_do_not_steer_the_terminal(monkeypatch):
    """A model's or a session's name, or a provider's error, is printed by `ccr explain` and obeyed by no terminal."""
    page = [Section("Session \x1b]0;x\x07", [("models", "a\x1b[2J\x9b31m\u202eb")])]
    assert not re.search("[\x07\x1b\x9b\u202e]", plain(page))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    draw(page)
    assert not re.search("[\x07\x1b\x9b\u202e]", shown.getvalue())
    assert r"\u001b[2J" in shown.getvalue()

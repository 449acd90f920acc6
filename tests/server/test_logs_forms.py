"""The forms of the page of logs: taking a file away, and the level."""

from __future__ import annotations

import json

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import running
from tests.server.conftest import call, settings
from tests.upstream import Upstream
from tests.web.conftest import Browser, Document

NAME = "ccr-20261122170000.log"


@pytest.fixture
def log(tmp_path):
    (tmp_path / "logs").mkdir()
    log = ExchangeLog(tmp_path / "logs" / NAME, "info")
    yield log
    log.close()


async def test_a_file_is_taken_away(tmp_path, upstream: Upstream, log):
    """It comes whole, under its name, to be saved and not shown, and kept by nobody."""
    log.event("info", "first")
    log.event("warn", "second")
    async with running(settings(upstream), tmp_path, log=log) as router:
        answer = await Browser(router.app).get("/ui/logs/download", query=f"file={NAME}".encode())
        assert answer.status == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{NAME}"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert [json.loads(line)["msg"] for line in answer.raw.splitlines()] == ["first", "second"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "config.json",
        "../config.json",
        "%2e%2e%2fconfig.json",
        "/etc/passwd",
        "ccr-1.log",
        f"{NAME}%00",
        "records.db",
    ],
)
async def test_nothing_else_is(tmp_path, upstream: Upstream, log, name):
    """Any name but one of our log files is a 404, however it is written."""
    log.event("info", "first")
    (tmp_path / "logs" / "config.json").write_text("{}")
    async with running(settings(upstream), tmp_path, log=log) as router:
        assert (await Browser(router.app).get("/ui/logs/download", query=f"file={name}".encode())).status == 404


async def test_it_needs_a_session(tmp_path, upstream: Upstream, log):
    """Who is not signed in is led to the form."""
    log.event("info", "first")
    async with running(settings(upstream, APIKEY="router-key-0123456789"), tmp_path, log=log) as router:
        answer = await Browser(router.app).get("/ui/logs/download", query=f"file={NAME}".encode())
        assert (answer.status, answer.headers["location"]) == (303, "/ui/sign-in")


async def test_the_level_is_set(tmp_path, upstream: Upstream, log):
    """From then on lines of that level are written, and the page says so; "" goes back to what the config says."""
    async with running(settings(upstream), tmp_path, log=log) as router:
        browser = Browser(router.app)
        answer = await browser.post("/ui/logs/level", {"level": "debug"})
        assert (answer.status, answer.headers["location"]) == (303, "/ui/logs")
        router.app.voice.event("debug", "a small thing")
        content = Document((await browser.get("/ui/logs")).raw.decode()).content
        assert "Lines of level debug and graver are written. The configuration says info." in content
        assert "a small thing" in content
        assert (await browser.post("/ui/logs/level", {"level": ""})).status == 303
        router.app.voice.event("debug", "another small thing")
        content = Document((await browser.get("/ui/logs")).raw.decode()).content
        assert "The configuration says" not in content
        assert "another small thing" not in content


async def test_a_level_that_there_is_not(tmp_path, upstream: Upstream, log):
    """400; without a log 409."""
    async with running(settings(upstream), tmp_path, log=log) as router:
        assert (await Browser(router.app).post("/ui/logs/level", {"level": "loud"})).status == 400
    async with running(settings(upstream), tmp_path) as router:
        assert (await Browser(router.app).post("/ui/logs/level", {"level": "debug"})).status == 409


@pytest.mark.parametrize("query", [b"level=loud", b"lines=0", b"lines=x", b"file=nothing.log"])
async def test_what_cannot_be_asked_is_not_found(tmp_path, upstream: Upstream, log, query):
    """The page and its twin say so, with 404, and no defect."""
    log.event("info", "first")
    async with running(settings(upstream), tmp_path, log=log) as router:
        assert (await Browser(router.app).get("/ui/logs", query=query)).status == 404
        assert (await call(router.app, "GET", "/api/logs/lines", query=query)).status == 404

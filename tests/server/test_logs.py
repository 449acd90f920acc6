"""The endpoints of the log, against a real router: its files, their lines, emptying them, the level."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running
from tests.server.conftest import call
from tests.upstream import Upstream

NAME = "ccr-20261122100000.log"


@pytest.fixture
async def upstream():
    async with Upstream() as up:
        yield up


@pytest.fixture
async def app(upstream, tmp_path: Path):
    """A router with a log in a folder that holds other files too."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    (folder / "ccr-20261121100000.log.2").write_text('{"level":30,"msg":"older"}\n')
    log = ExchangeLog(folder / NAME, "info")
    for number in range(5):
        log.event("info" if number % 2 else "warn", f"line {number}", reqId=f"req_{number}")
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "LOG_LEVEL": "info",
    }
    async with running(config, tmp_path, environ={"HOME": str(tmp_path)}, log=log) as router:
        yield router.app
    log.close()


async def ask(app, method, path, body=None):
    path, _, query = path.partition("?")
    headers = {} if body is None else {"content-type": "application/json"}
    raw = b"" if body is None else json.dumps(body).encode()
    return await call(app, method, path, headers, raw, query=query.encode())


async def messages(app, query: str = "") -> list[str]:
    answer = await ask(app, "GET", f"/api/logs{query}")
    assert answer.status == 200, answer.raw
    return [json.loads(line)["msg"] for line in answer.json]


async def test_files(app):
    """As clients of the classic router know them, the newest first; `path` is what they ask for one by."""
    answer = await ask(app, "GET", "/api/logs/files")
    assert [(one["name"], one["path"]) for one in answer.json] == [(NAME, NAME), ("ccr-20261121100000.log.2",) * 2]
    assert answer.json[1]["size"] == 27
    assert answer.json[0]["lastModified"].endswith("Z")


async def test_lines(app):
    """An array of lines as they were written, of the newest file or of one that is named; filtered, and page by page."""
    assert await messages(app) == [f"line {number}" for number in range(5)]
    assert await messages(app, "?file=ccr-20261121100000.log.2") == ["older"]
    assert await messages(app, f"?file={NAME}&level=warn") == ["line 0", "line 2", "line 4"]
    assert await messages(app, "?request=req_3") == ["line 3"]
    assert await messages(app, "?search=LINE%201") == ["line 1"]
    seen, before = [], ""
    for _ in range(3):
        answer = await ask(app, "GET", f"/api/logs?lines=2{before}")
        seen = [json.loads(line)["msg"] for line in answer.json] + seen
        before = f"&before={answer.headers.get('x-ccr-before')}"
    assert seen == [f"line {number}" for number in range(5)]
    assert before == "&before=None"


@pytest.mark.parametrize(("method", "query", "status"), [
    ("GET", "?file=secret.txt", 404),
    ("GET", "?file=../config.json", 400),
    ("GET", "?file=/etc/passwd", 400),
    ("GET", "?file=..%5Cconfig.json", 400),
    ("GET", "?file=ccr-20990101000000.log", 404),
    ("GET", "?lines=0", 400),
    ("GET", "?level=loud", 400),
    ("GET", "?before=x", 400),
    ("GET", "?" + "&".join(f"a{number}=1" for number in range(50)), 400),
    ("DELETE", "?file=secret.txt", 404),
    ("DELETE", "?file=../config.json", 400),
    ("DELETE", "?file=/etc/passwd", 400),
    ("DELETE", "", 400),
])  # fmt: skip
async def test_no_other_file(app, tmp_path, method, query, status):
    """The classic router let any file on the disk be read and emptied. Here a name of the log folder's is all there is."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != NAME}
    answer = await ask(app, method, f"/api/logs{query}")
    assert answer.status == status
    assert b"secret" not in answer.raw.replace(b"secret.txt", b"")
    assert {path: path.read_bytes() for path in before} == before


async def test_emptying(app, tmp_path):
    """The log that is written to is emptied, and goes on; one that was put away is removed."""
    answer = await ask(app, "DELETE", "/api/logs?file=ccr-20261121100000.log.2")
    assert (answer.status, answer.json) == (200, {"success": True, "message": "Logs cleared successfully"})
    assert not (tmp_path / "logs" / "ccr-20261121100000.log.2").exists()
    assert (await ask(app, "DELETE", f"/api/logs?file={NAME}")).status == 200
    assert await messages(app) == ["a log file was emptied"]


async def test_the_level(app):
    """It is set at once, and until the next reload; null goes back to what the config says."""
    assert (await ask(app, "GET", "/api/logs/level")).json == {"level": "info", "configured": "info"}
    app.voice.event("debug", "not written")
    answer = await ask(app, "POST", "/api/logs/level", {"level": "debug"})
    assert (answer.status, answer.json) == (200, {"success": True, "level": "debug", "configured": "info"})
    app.voice.event("debug", "written")
    assert (await messages(app))[-2:] == ["the level of the log was set", "written"]
    await ask(app, "POST", "/api/logs/level", {"level": None})
    app.voice.event("debug", "not written")
    assert (await messages(app))[-1] == "the level of the log was set"


@pytest.mark.parametrize("body", [{"level": "loud"}, {"level": 30}, {}, {"level": ["debug"]}])
async def test_no_level(app, body):
    """What is no level changes nothing."""
    answer = await ask(app, "POST", "/api/logs/level", body)
    assert answer.status == 400
    assert "level must be one of trace, debug, info, warn, error, fatal" in answer.message
    assert (await ask(app, "GET", "/api/logs/level")).json["level"] == "info"


async def test_without_a_log(upstream, tmp_path):
    """Where no log is kept there are no lines, and no level to set."""
    config = {"Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    async with running(config, tmp_path, environ={"HOME": str(tmp_path)}) as router:
        assert (await ask(router.app, "GET", "/api/logs/files")).json == []
        assert (await ask(router.app, "GET", "/api/logs")).json == []
        answer = await ask(router.app, "POST", "/api/logs/level", {"level": "debug"})
    assert answer.status == 409
    assert "LOG is false" in answer.message


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_for_this_machine_only(app, method):
    """Logs are management: nobody on another machine reads or empties them."""
    answer = await call(app, method, "/api/logs", {"host": "127.0.0.1:3456"}, peer="192.0.2.1")
    assert answer.status == 403

"""Edits take effect by themselves: what counts as one, when it is tried, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config import syntax
from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.errors import RouterError
from ccrouter.server.log import ExchangeLog
from ccrouter.server.watch import Watch
from tests.gateway.conftest import running
from tests.server.conftest import JSON, UPSTREAM_KEY, call, settings
from tests.upstream import Upstream, anthropic_wire, json_reply


class Files:
    """A home with a config; `load` counts how often it is read."""

    def __init__(self, tmp_path, upstream: Upstream) -> None:
        self.home = tmp_path
        self.folder = tmp_path / ".claude-code-router"
        self.folder.mkdir()
        self.path = tmp_path / "config.json"
        self.environ = {"HOME": str(tmp_path)}
        self.upstream = upstream
        self.policy = NO_POLICY
        self.reads = 0

    def __call__(self, _in_force: Policy) -> tuple[Config, Policy]:
        self.reads += 1
        return load(self.path, self.environ), self.policy

    def config(self, model: str = "m2", **more) -> str:
        return json.dumps(settings(self.upstream, **{"Router": {"default": f"p,{model}"}, **more}))

    def running(self, first: str | None = None, **options):
        return running(first or self.config("m1"), self.home, self.environ, reload=self, **options)


@pytest.fixture
def files(tmp_path, upstream: Upstream) -> Files:
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    return Files(tmp_path, upstream)


def default_of(router) -> str:
    return str(router.app.edition.config.router.routes["default"])


async def looks(watch: Watch, times: int = 2) -> list[str | None]:
    return [await watch.look() for _ in range(times)]


async def told(router) -> dict:
    return (await call(router.app, "GET", "/api/policy", JSON)).json["reload"]


async def test_an_edit_takes_effect(files: Files):
    """What two looks on end find the same is in force after the second, and nothing is read again after that."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        assert await looks(watch, 3) == [None] * 3
        files.path.write_text(files.config())
        assert await watch.look() is None
        assert files.reads == 0
        assert await watch.look() == "ok"
        assert default_of(router) == "p,m2"
        assert await looks(watch, 5) == [None] * 5
        assert files.reads == 1


async def test_a_file_that_is_being_written(files: Files):
    """While every look finds another file nothing is judged; the half of it never is."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        text = files.config()
        for end in range(1, len(text), 40):
            files.path.write_text(text[:end])
            assert await watch.look() is None
        files.path.write_text(text)
        assert await looks(watch) == [None, "ok"]
        assert files.reads == 1
        assert (await told(router))["state"] == "ok"


async def test_an_edit_that_is_taken_back(files: Files):
    """A file that is again what it was, as a rename brings it back, is no edit."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        aside = files.home / "aside"
        files.path.rename(aside)
        assert await watch.look() is None
        aside.rename(files.path)
        assert await looks(watch, 3) == [None] * 3
        assert files.reads == 0


async def test_a_refused_edit_is_tried_once(files: Files, recorder):
    """What cannot be used is said once, with the reason and without secrets, and tried again when it is another; what
    was in force stays so. A good edit after it clears that.
    """
    async with files.running(auditor=recorder) as router:
        watch = Watch(router.app.editions)
        before = router.app.edition
        assert (await told(router))["state"] == "ok"
        files.path.write_text(files.config(Router={"default": "nowhere,m"}))
        assert await looks(watch, 6) == [None, "refused", None, None, None, None]
        assert router.app.edition is before
        assert (await router.ask())[0] == 200
        refused = await told(router)
        assert refused["state"] == "refused"
        assert "nowhere" in refused["reason"]
        assert UPSTREAM_KEY not in json.dumps(refused)
        assert len(refused["config"]) == 64
        assert refused["config"] != before.config.digest
        files.path.write_text("{ broken")
        assert await looks(watch, 3) == [None, "refused", None]
        assert [line["result"] for line in recorder.of("reload")] == ["refused"] * 2
        files.path.write_text(files.config())
        assert await looks(watch) == [None, "ok"]
        good = await told(router)
        assert (good["state"], good["reason"]) == ("ok", "")
        assert good["config"] == router.app.edition.config.digest
        assert good["at"] > refused["at"]


async def test_a_file_that_vanishes(files: Files):
    """A config that is gone is refused once; one that comes back is read."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        files.path.unlink()
        assert await looks(watch, 3) == [None, "refused", None]
        assert (await router.ask())[0] == 200
        files.path.write_text(files.config())
        assert await looks(watch) == [None, "ok"]
        assert default_of(router) == "p,m2"


async def test_a_pipe_in_its_place(files: Files, monkeypatch):
    """A config that became a pipe into which nobody writes is refused, and holds up no reload that follows."""
    monkeypatch.setattr(syntax, "_PATIENCE", 0.01)
    async with files.running() as router:
        watch = Watch(router.app.editions)
        files.path.unlink()
        os.mkfifo(files.path)
        assert await asyncio.wait_for(looks(watch, 3), 10) == [None, "refused", None]
        files.path.unlink()
        files.path.write_text(files.config())
        assert await looks(watch) == [None, "ok"]
        assert default_of(router) == "p,m2"


async def test_links_that_are_swapped(files: Files):
    """A config that is reached by links, as Kubernetes mounts one, has changed when a link on the way leads elsewhere."""
    for name, model in (("first", "m1"), ("second", "m2")):
        (files.home / name).mkdir()
        (files.home / name / "config.json").write_text(files.config(model))
        os.utime(files.home / name / "config.json", ns=(0, 0))
    async with files.running() as router:
        files.path.unlink()
        (files.home / "data").symlink_to("first")
        files.path.symlink_to("data/config.json")
        watch = Watch(router.app.editions)
        assert await looks(watch) == [None, "ok"]
        assert default_of(router) == "p,m1"
        (files.home / "next").symlink_to("second")
        (files.home / "next").rename(files.home / "data")
        assert await looks(watch) == [None, "ok"]
        assert default_of(router) == "p,m2"


@pytest.mark.parametrize("name", ["policy.json", "presets/mine/manifest.json", "profiles/p.json"])
async def test_what_else_counts(files: Files, name: str):
    """A policy, a preset, what was found out about a provider: that it appears, changes or vanishes is an edit."""
    path = files.folder / name
    async with files.running() as router:
        watch = Watch(router.app.editions)
        await watch.look()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"name": "one"}')
        assert await looks(watch, 3) == [None, "ok", None]
        path.write_text('{"name": "another"}')
        assert await looks(watch, 3) == [None, "ok", None]
        path.unlink()
        assert await looks(watch, 3) == [None, "ok", None]


async def test_policies_that_extend_each_other(files: Files):
    """Every file in the chain of the policy in force counts, also one further up."""
    first, base = files.home / "first.json", files.home / "base.json"
    first.write_text('{"name": "first", "extends": "base.json"}')
    base.write_text('{"name": "base"}')
    policy = Policy(name="first", source=str(first), digest="1" * 64)
    files.policy = policy
    async with files.running(policy=policy) as router:
        watch = Watch(router.app.editions)
        for path in (first, base):
            path.write_text(path.read_text() + "\n")
            assert await looks(watch, 3) == [None, "ok", None]


async def test_code_that_was_why(files: Files):
    """Custom code that fails is why an edit is refused: mended, the edit is tried again, though the config is the same."""
    code = files.home / "route.py"
    code.write_text("this is no Python")
    async with files.running() as router:
        watch = Watch(router.app.editions)
        files.path.write_text(files.config(CUSTOM_ROUTER_PATH="route.py"))
        assert await looks(watch, 3) == [None, "refused", None]
        code.write_text("def route(request, config, context):\n    return None\n")
        assert await looks(watch, 3) == [None, "ok", None]
        assert router.app.edition.config.custom_router is not None


async def test_a_reload_that_was_asked_for_is_not_done_twice(files: Files):
    """After POST /api/restart, and a save by POST /api/config with it, the watch finds nothing new."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        files.path.write_text(files.config())
        assert (await call(router.app, "POST", "/api/restart", JSON)).status == 200
        assert await looks(watch, 3) == [None] * 3
        assert files.reads == 1


async def test_what_changes_while_it_is_read(files: Files):
    """An edit that comes between the reading and the taking effect of another is found afterwards."""
    async with files.running() as router:
        watch = Watch(router.app.editions)
        load_now = files.__class__.__call__

        def read(self, in_force):
            read_now = load_now(self, in_force)
            if self.reads == 1:
                self.path.write_text(self.config("m1", LOG_LEVEL="debug"))
            return read_now

        files.__class__.__call__ = read
        try:
            files.path.write_text(files.config())
            assert await looks(watch) == [None, "ok"]
            assert default_of(router) == "p,m2"
            assert await looks(watch) == [None, "ok"]
        finally:
            files.__class__.__call__ = load_now
        assert default_of(router) == "p,m1"


async def test_a_config_that_changed_before_we_listened(files: Files):
    """An edit between the reading at the start and the first look is found, as its digest is another."""
    options = {"reload": files}
    async with running(files.config("m1"), files.home, files.environ, **options) as router:
        files.path.write_text(files.config())
        router.app.editions.sources.begin(*router.app.in_force)  # as if the start had come only now
        assert await looks(Watch(router.app.editions)) == [None, "ok"]
        assert default_of(router) == "p,m2"


async def test_auto_reload_is_off(files: Files):
    """With `autoReload: false` nothing is looked at; a reload that is asked for can turn it on again, and off."""
    async with files.running(files.config("m1", autoReload=False)) as router:
        watch = Watch(router.app.editions)
        assert (await told(router))["auto"] is False
        files.path.write_text(files.config())
        assert await looks(watch, 3) == [None] * 3
        assert (await call(router.app, "POST", "/api/restart", JSON)).status == 200
        files.path.write_text(files.config("m1", autoReload=False))
        assert await looks(watch) == [None, "ok"]
        files.path.write_text(files.config())
        assert await looks(watch, 3) == [None] * 3
        assert default_of(router) == "p,m1"


async def test_a_reload_that_fails_for_want_of_the_audit(files: Files, recorder):
    """What the files are not to blame for is said in the log, and tried again after a while, without another edit."""
    path = files.home / "log"
    async with files.running(auditor=recorder, log=ExchangeLog(path, "info")) as router:
        watch = Watch(router.app.editions)
        recorder.failure = RouterError("the disk is full")
        files.path.write_text(files.config())
        assert await looks(watch, 3) == [None, "failed", None]
        assert (await told(router))["state"] == "failed"
        assert "audit" in (await told(router))["reason"]
        assert path.read_text().count('"reload failed"') == 1
        recorder.failure = None
        outcomes = await looks(watch, 40)
        assert outcomes.count("ok") == 1
        assert default_of(router) == "p,m2"
        assert (await told(router))["state"] == "ok"


async def test_a_defect_is_not_the_end(files: Files, capsys):
    """The watch goes on after whatever happens in a look, and it is said."""
    pauses, more = 0, asyncio.Event()

    async def pause(seconds: float) -> None:
        nonlocal pauses
        assert seconds == 1.0
        pauses += 1
        if pauses == 4:
            more.set()
            await asyncio.Event().wait()

    async with files.running() as router:
        sources = router.app.editions.sources
        look, sources.look = sources.look, lambda: 1 / 0
        watching = asyncio.create_task(Watch(router.app.editions, pause=pause).run())
        await asyncio.wait_for(more.wait(), 10)
        watching.cancel()
        sources.look = look
    assert capsys.readouterr().err.count("ZeroDivisionError") == 3


async def test_changes_in_memory_are_gone_and_that_is_said(files: Files):
    """A change of the file takes back what POST /providers changed in memory, as any reload does; the answer to the
    reload says so."""
    new = {"name": "q", "type": "anthropic", "baseUrl": files.upstream.url, "apiKey": "k" * 9, "models": ["n"]}
    async with files.running() as router:
        for ask in (lambda: looks(Watch(router.app.editions)), lambda: call(router.app, "POST", "/api/restart", JSON)):
            assert (await call(router.app, "POST", "/providers", JSON, json.dumps(new).encode())).status == 200
            files.path.write_text(files.config(LOG_LEVEL="debug" if files.reads else "info"))
            answer = await ask()
            assert (await call(router.app, "GET", "/providers/q")).status == 404
        assert "in memory" in " ".join(answer.json["notes"])


async def test_a_signal_while_a_reload_is_under_way(files: Files):
    """A second SIGHUP that comes when the files were read already leads to another reload: no edit is lost."""
    async with files.running() as router:
        editions = router.app.editions
        await editions.changing.acquire()
        editions.reload_soon()
        await asyncio.sleep(0)
        editions.reload_soon()
        files.path.write_text(files.config())
        editions.changing.release()
        await asyncio.wait_for(editions._reloading, 10)
        assert files.reads == 2
        assert default_of(router) == "p,m2"

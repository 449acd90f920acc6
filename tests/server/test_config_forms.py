"""The configuration, changed from its page: what is kept, what is refused, and that no secret ever leaves."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.config.load import load
from ccrouter.config.pending import KEPT, Pending, Shelf
from tests.gateway.conftest import running
from tests.server.conftest import UPSTREAM_KEY
from tests.upstream import Upstream
from tests.web.conftest import Browser, Document

POLICY = Policy(name="strict", source="preset strict", digest="d" * 64, allowed_providers=("p",))
OLD_KEY = "sk-old-key-1234567890abcdef"


def text_of(upstream: Upstream) -> str:
    """Comments, an unknown key, a variable, a literal key, tabs, a trailing comma, and a key within a comment."""
    return f"""{{
\t// "api_key": "{OLD_KEY}", until May
\t"myOwn": {{ "colour": "red" }},   /* stays */
\tProviders: [
\t\t{{ name: 'p', api_base_url: "{upstream.url}/v1/messages", api_key: '{UPSTREAM_KEY}', models: ["m1", "m2"] }},
\t\t{{ "name": "q", "api_base_url": "{upstream.url}/v1/chat/completions", "api_key": "$Q_KEY", "models": ["n1"], }},
\t],
\t"Router": {{ "default": "p,m1" }}
}}
"""


ENVIRON = {"Q_KEY": "the-value-of-the-variable-q"}
SECRETS = (UPSTREAM_KEY, OLD_KEY, ENVIRON["Q_KEY"])


def file(tmp_path) -> Path:
    return tmp_path / "config.json"


def change_of(answer) -> str:
    """The id of the change that an answer leads to."""
    assert answer.status == 303, answer.raw.decode()[:3000]
    return re.search(r"change=([0-9a-f]{16})", answer.headers["location"])[1]


async def page(browser: Browser, change: str = "") -> str:
    answer = await browser.get("/ui/config", query=f"change={change}".encode() if change else b"")
    assert answer.status == 200
    document = Document(answer.raw.decode())
    assert document.problems == []
    for secret in SECRETS:
        assert secret not in answer.raw.decode()
    return answer.raw.decode()


def hidden(text: str, name: str) -> str:
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])


def shown_text(text: str) -> str:
    return unescape(re.search(r'<textarea id="wholetext"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)[1])


async def save(browser: Browser, change: str):
    text = await page(browser, change)
    return await browser.post("/ui/config/save", {"change": change, "over": hidden(text, "over")})


async def test_a_provider_and_a_route_by_form_alone(tmp_path, upstream: Upstream):
    """A provider is added and made the route of thinking, in two forms that are saved together: the rest of the file
    is as it was, byte for byte, and so is the backup."""
    before = text_of(upstream)
    async with running(before, tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        first = await browser.post(
            "/ui/config/change/add",
            {"name": "new", "url": f"{upstream.url}/v1/chat/completions", "key": "$Q_KEY", "models": "x1\r\nx2\r\n"},
        )
        change = change_of(first)
        assert file(tmp_path).read_text() == before
        text = await page(browser, change)
        assert "provider new added" in text
        second = await browser.post(
            "/ui/config/change/router", {"change": change, "route.think": "new,x1", "was.route.think": ""}
        )
        assert Shelf(file(tmp_path)).find(change) is None
        change = change_of(second)
        answer = await save(browser, change)
        assert answer.status == 303
        name = re.search(r"saved=([^#]+)", answer.headers["location"])[1]
    after = file(tmp_path).read_text()
    assert (tmp_path / name).read_text() == before
    lines = [line for line in after.splitlines() if line not in before.splitlines()]
    assert "".join(lines).replace(" ", "").replace("\t", "") == (
        '{"name":"new","api_base_url":"' + upstream.url + '/v1/chat/completions","api_key":"$Q_KEY",'
        '"models":["x1","x2"]},"Router":{"default":"p,m1","think":"new,x1"}'
    )
    assert not [one for one in tmp_path.iterdir() if "change-" in one.name]


async def test_what_nobody_touched_is_not_written_back(tmp_path, upstream: Upstream):
    """Fields that come back as they were shown change nothing, also if somebody changed the file in between."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        meanwhile = text_of(upstream).replace('"p,m1"', '"p,m2"')
        file(tmp_path).write_text(meanwhile)
        fields = {"route.default": "p,m1", "was.route.default": "p,m1", "route.think": "p,m1", "was.route.think": ""}
        change = change_of(await browser.post("/ui/config/change/router", fields))
        await save(browser, change)
    assert '"default": "p,m2", "think": "p,m1"' in file(tmp_path).read_text()


async def test_the_text_is_kept_byte_for_byte(tmp_path, upstream: Upstream):
    """A text that is edited in one place is in the file with that edit alone: secrets come back where masks stood, in
    values, in comments, in the quotes they were written in; variables are not filled in."""
    before = text_of(upstream)
    async with running(before, tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        text = await page(browser)
        shown = shown_text(text)
        assert shown.count("***") == 2
        assert shown.replace("***", "") == before.replace(UPSTREAM_KEY, "").replace(OLD_KEY, "")
        assert "$Q_KEY" in shown
        typed = shown.replace('"p,m1"', '"p,m2"').replace("\n", "\r\n")
        answer = await browser.post("/ui/config/change/text", {"text": typed, "digest": hidden(text, "digest")})
        change = change_of(answer)
        told = await page(browser, change)
        assert "p,m2" in told
        await save(browser, change)
    assert file(tmp_path).read_text() == before.replace('"p,m1"', '"p,m2"')


async def test_line_ends_of_windows_stay(tmp_path, upstream: Upstream):
    """A file with CRLF has CRLF after it was edited, also in the new lines."""
    before = text_of(upstream).replace("\n", "\r\n")
    file(tmp_path).write_bytes(b"")
    async with running("{}", tmp_path, ENVIRON) as router:
        file(tmp_path).write_bytes(before.encode())
        browser = Browser(router.app)
        text = await page(browser)
        typed = shown_text(text).replace("\r", "").replace('"p,m1"', '"p,m2"').replace("\n", "\r\n")
        answer = await browser.post("/ui/config/change/text", {"text": typed, "digest": hidden(text, "digest")})
        await save(browser, change_of(answer))
    assert file(tmp_path).read_bytes() == before.replace('"p,m1"', '"p,m2"').encode()


async def test_a_new_secret_is_not_shown_either(tmp_path, upstream: Upstream):
    """A key that was typed is in no page from then on, also before it is saved; the page says that it changed."""
    fresh = "sk-fresh-key-0987654321fedcba"
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        answer = await browser.post("/ui/config/change/provider", {"name": "p", "key": fresh, "was.key": ""})
        change = change_of(answer)
        told = await page(browser, change)
        assert fresh not in told
        assert "Also changed, and not shown" in told
        again = {"text": shown_text(told).replace('"m2"', '"m3"'), "change": change}
        change = change_of(await browser.post("/ui/config/change/text", again))
        assert fresh not in await page(browser, change)
        await save(browser, change)
    after = file(tmp_path).read_text()
    assert fresh in after
    assert UPSTREAM_KEY not in after
    assert '"m3"' in after


async def test_a_mask_that_stands_for_nothing(tmp_path, upstream: Upstream):
    """A mask where nothing was, and a comment with one that was changed, are told by their places; what was typed is
    still in the text field, and nothing can be saved."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        text = await page(browser)
        shown = shown_text(text)
        for typed, words in (
            (shown.replace("Providers: [", 'Providers: [ { name: "z", key: "***" },'), r"Providers\[0\].key"),
            (shown.replace("until May", "until June"), "line 2"),
            (shown.replace('"Router": {', '"Router" {'), r"line 8"),
        ):
            answer = await browser.post("/ui/config/change/text", {"text": typed, "digest": hidden(text, "digest")})
            change = change_of(answer)
            told = await page(browser, change)
            assert re.search(words, told), words
            assert "cannot be used yet" in told
            assert shown_text(told) == typed
            assert 'action="/ui/config/save"' not in told
            refused = await browser.post("/ui/config/save", {"change": change, "over": hidden(text, "digest")})
            assert refused.status == 400
        mended = {"text": shown.replace('"p,m1"', '"p,m2"'), "change": change}
        change = change_of(await browser.post("/ui/config/change/text", mended))
        await save(browser, change)
    assert file(tmp_path).read_text() == text_of(upstream).replace('"p,m1"', '"p,m2"')


async def test_what_a_start_refuses_is_not_saved(tmp_path, upstream: Upstream):
    """The errors of the reader are shown with place and hint before saving, and saving is a 400 that changes nothing;
    the change is not lost."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        fields = {"route.default": "nobody,m1", "was.route.default": "p,m1"}
        change = change_of(await browser.post("/ui/config/change/router", fields))
        told = await page(browser, change)
        assert "It would be refused" in told
        assert "nobody" in told
        answer = await save(browser, change)
        assert answer.status == 400
        document = Document(answer.raw.decode())
        assert "the configuration is refused" in document.content
        assert "Review your change" in document.content
    assert file(tmp_path).read_text() == text_of(upstream)


async def test_the_policy_refuses(tmp_path, upstream: Upstream, recorder):
    """What the policy does not allow is a 403 that names the rule, and is on record; the file stays."""
    text = json.dumps(
        {"Providers": [{"name": "p", "api_base_url": upstream.url, "models": ["m"]}], "Router": {"default": "p,m"}}
    )
    async with running(text, tmp_path, policy=POLICY, auditor=recorder) as router:
        file(tmp_path).chmod(0o600)
        browser = Browser(router.app)
        answer = await browser.post("/ui/config/change/add", {"name": "evil", "url": upstream.url, "models": "m"})
        change = change_of(answer)
        assert "providers.allowed" in await page(browser, change)
        assert recorder.of("denial") == []
        answer = await save(browser, change)
        assert answer.status == 403
        assert "providers.allowed" in answer.raw.decode()
    assert file(tmp_path).read_text() == text
    assert [one["rule"] for one in recorder.of("denial")] == ["providers.allowed"]


async def test_the_file_changed_meanwhile(tmp_path, upstream: Upstream):
    """Saving over a file that is another than the difference was made with is a 409: the change is still there, the page
    shows what was changed on disk, and only then it can be saved over that."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        change = change_of(await browser.post("/ui/config/change/settings", {"LOG_LEVEL": "warn", "was.LOG_LEVEL": ""}))
        over = hidden(await page(browser, change), "over")
        meanwhile = text_of(upstream).replace('"red"', '"green"')
        file(tmp_path).write_text(meanwhile)
        answer = await browser.post("/ui/config/save", {"change": change, "over": over})
        assert answer.status == 409
        assert file(tmp_path).read_text() == meanwhile
        text = answer.raw.decode()
        assert "What was changed on disk" in text
        assert "Save over it" in text
        assert (await save(browser, change)).status == 303
    assert '"red"' in file(tmp_path).read_text()
    assert [one for one in tmp_path.glob("*.bak") if '"green"' in one.read_text()]


async def test_both_changes_together(tmp_path, upstream: Upstream):
    """Where the file was changed in other lines than the pending change, both are brought together by a button; where
    in the same, that is refused."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        change = change_of(
            await browser.post("/ui/config/change/router", {"route.default": "p,m2", "was.route.default": "p,m1"})
        )
        file(tmp_path).write_text(text_of(upstream).replace('"red"', '"green"'))
        assert "Bring both changes together" in await page(browser, change)
        change = change_of(await browser.post("/ui/config/change/merge", {"change": change}))
        assert "changed on disk meanwhile" not in await page(browser, change)
        await save(browser, change)
        both = text_of(upstream).replace('"red"', '"green"').replace('"p,m1"', '"p,m2"')
        assert file(tmp_path).read_text() == both
        change = change_of(
            await browser.post("/ui/config/change/router", {"route.default": "q,n1", "was.route.default": "p,m2"})
        )
        file(tmp_path).write_text(both.replace("p,m2", "p,m1"))
        assert "Bring both changes together" not in await page(browser, change)
        assert (await browser.post("/ui/config/change/merge", {"change": change})).status == 409


async def test_a_text_that_was_edited_from_an_older_file(tmp_path, upstream: Upstream):
    """Where the file is another than the one whose text was edited, the review says so; nothing is lost of either."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        text = await page(browser)
        file(tmp_path).write_text(text_of(upstream).replace('"red"', '"green"'))
        fields = {"text": shown_text(text).replace("m2", "m3"), "digest": hidden(text, "digest")}
        told = await page(browser, change_of(await browser.post("/ui/config/change/text", fields)))
    assert "The file was changed on disk meanwhile" in told
    assert 'class="gone"' in told
    assert "green" in told


async def test_going_back(tmp_path, upstream: Upstream):
    """A backup is restored by a change like any other: the difference first, then the file is as it was, and what was
    in it is a backup in turn. What is no backup cannot be asked for."""
    before = text_of(upstream)
    async with running(before, tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        change = change_of(await browser.post("/ui/config/change/settings", {"LOG_LEVEL": "warn", "was.LOG_LEVEL": ""}))
        await save(browser, change)
        assert "LOG_LEVEL" in file(tmp_path).read_text()
        backup = next(tmp_path.glob("*.bak")).name
        assert backup in await page(browser)
        change = change_of(await browser.post("/ui/config/change/restore", {"backup": backup}))
        assert file(tmp_path).read_text() != before
        await save(browser, change)
        for name in ("config.json", "../config.json", "", "config.json.2026-01-01T00-00-00-000Z.bak"):
            assert (await browser.post("/ui/config/change/restore", {"backup": name})).status == 404
    assert file(tmp_path).read_text() == before
    assert len(list(tmp_path.glob("*.bak"))) == 2


async def test_a_first_file(tmp_path, upstream: Upstream):
    """Where there is no file the page offers one, with comments; it is private, and an editor finds its schema."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        file(tmp_path).unlink()
        browser = Browser(router.app)
        assert "Review a first file" in await page(browser)
        change = change_of(await browser.post("/ui/config/change/create", {}))
        assert not file(tmp_path).exists()
        await save(browser, change)
    assert "//" in file(tmp_path).read_text()
    assert file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config.schema.json").exists()


async def test_wrong_fields(tmp_path, upstream: Upstream):
    """What a form cannot be is said, what was typed stays in it but for the key, and nothing is kept."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        for fields, words in (
            ({"name": "a,b", "url": "https://x"}, "without a comma"),
            ({"name": "P", "url": "https://x"}, "is a provider already"),
            ({"name": "z"}, "say where requests are to be sent"),
            ({"name": "z", "url": "https://x", "route": "think"}, "a route leads to a model"),
        ):
            answer = await browser.post("/ui/config/change/add", {**fields, "key": "sk-typed-key-123456789"})
            assert answer.status == 400
            text = answer.raw.decode()
            assert words in Document(text).content
            assert "sk-typed-key-123456789" not in text
            assert f'value="{fields["name"]}"' in text
        assert (await browser.post("/ui/config/change/nothing", {})).status == 404
        assert (await browser.post("/ui/config/change/provider", {"name": "nobody"})).status == 400
    assert not [one for one in tmp_path.iterdir() if "change-" in one.name]


async def test_a_change_that_is_gone(tmp_path, upstream: Upstream):
    """A change that was dropped is gone: the page says so, and no form goes on with it; ids lead to no other file."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        change = change_of(await browser.post("/ui/config/change/settings", {"PORT": "4000", "was.PORT": ""}))
        assert (await browser.post("/ui/config/drop", {"change": change})).status == 303
        assert "not kept any more" in await page(browser, change)
        answer = await browser.post("/ui/config/change/settings", {"PORT": "4000", "was.PORT": "", "change": change})
        assert answer.status == 409
        assert (await browser.post("/ui/config/save", {"change": change, "over": ""})).status == 404
        assert (await browser.post("/ui/config/save", {"change": "../../etc/passwd", "over": ""})).status == 404
    assert file(tmp_path).read_text() == text_of(upstream)


async def test_a_file_that_cannot_be_read(tmp_path, upstream: Upstream):
    """Of a file with a mistake nothing is shown but where the mistake is: which of its parts are secrets cannot be
    told. It can be replaced by a backup."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        broken = text_of(upstream).replace('"Router": {', '"Router" {')
        file(tmp_path).write_text(broken)
        (tmp_path / "config.json.2026-01-01T00-00-00-000Z.bak").write_text(text_of(upstream))
        browser = Browser(router.app)
        text = await page(browser)
        assert "line 8" in text
        assert "wholetext" not in text
        fields = {"backup": "config.json.2026-01-01T00-00-00-000Z.bak"}
        change = change_of(await browser.post("/ui/config/change/restore", fields))
        await save(browser, change)
    assert file(tmp_path).read_text() == text_of(upstream)


async def test_the_twin(tmp_path, upstream: Upstream):
    """GET /api/config/file tells the same: the text masked, its digest, what is wrong, backups, and what is in force."""
    async with (
        running(text_of(upstream), tmp_path, ENVIRON) as router,
        router.client.get(f"{router.url}/api/config/file") as answer,
    ):
        told = await answer.json()
        raw = await answer.text()
    for secret in SECRETS:
        assert secret not in raw
    assert told["text"].startswith('{\n\t// "api_key": "***", until May\n')
    assert told["force"]["isThis"] is True
    assert told["literals"] == ["Providers[0].api_key"]
    assert told["problems"] == []
    assert [one["name"] for one in told["form"]["providers"]] == ["p", "q"]
    assert told["backups"] == []
    assert told["change"] is None


async def test_forms_of_other_sites(tmp_path, upstream: Upstream):
    """A form that another site sends is refused, whatever it asks for."""
    async with running(text_of(upstream), tmp_path, ENVIRON) as router:
        browser = Browser(router.app)
        for path in ("change/add", "change/text", "save", "drop"):
            answer = await browser.post(
                f"/ui/config/{path}", {"name": "x"}, {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
            )
            assert answer.status == 403


def test_few_changes_are_kept(tmp_path):
    """Old changes go: at most KEPT of them are there, each for its owner alone."""
    shelf = Shelf(tmp_path / "config.json")
    names = [shelf.keep(Pending(None, f"{{}}{number}")) for number in range(KEPT + 5)]
    found = [name for name in names if shelf.find(name)]
    assert len(found) == KEPT
    assert names[-1] in found
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in tmp_path.iterdir())


@pytest.mark.parametrize("shape", ["classic", "guide"])
async def test_both_shapes(tmp_path, upstream: Upstream, shape):
    """Whatever shape the file has, the forms change it within that shape, and the result can be read."""
    if shape == "guide":
        config = {
            "providers": {"p": {"baseURL": f"{upstream.url}/v1/messages", "models": ["m1"]}},
            "servers": {"default": {"PORT": 3456}},
            "routers": {"default": {"routes": {"p,m1": {"default": True}}}},
        }
    else:
        provider = {"name": "p", "api_base_url": f"{upstream.url}/v1/messages", "models": ["m1"]}
        config = {"Providers": [provider], "Router": {"default": "p,m1"}}
    async with running(config, tmp_path) as router:
        browser = Browser(router.app)
        added = {"name": "r", "url": f"{upstream.url}/v1/messages", "models": "m9", "route": "think"}
        change = change_of(await browser.post("/ui/config/change/add", added))
        fields = {"change": change, "PORT": "4444", "was.PORT": "3456" if shape == "guide" else ""}
        change = change_of(await browser.post("/ui/config/change/settings", fields))
        fields = {"change": change, "then.think": "p,m1", "was.then.think": ""}
        change = change_of(await browser.post("/ui/config/change/router", fields))
        answer = await save(browser, change)
        assert answer.status == 303, answer.raw.decode()
    config = load(file(tmp_path), {})
    assert str(config.router.routes["think"]) == "r,m9"
    assert [str(one) for one in config.router.fallback["think"]] == ["p,m1"]
    written = json.loads(file(tmp_path).read_text())
    assert ("routers" in written) == (shape == "guide")
    place = written["servers"]["default"] if shape == "guide" else written
    assert place["PORT"] == 4444


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}</textarea>&lt;"


async def test_no_name_becomes_markup(tmp_path, upstream: Upstream):
    """Whatever providers, models, routes, aliases, keys and comments are called, the page has the same elements, shows
    the names as text, and a text that nobody edited is no change."""

    def text_with(name: str) -> str:
        provider = {"name": name, "api_base_url": f"{upstream.url}/v1/messages", "models": [name], name: name}
        router = {"default": f"{name},{name}", "models": {f"claude-{name}*": f"{name},{name}"}}
        return json.dumps({"Providers": [provider], "Router": router, name: name}, indent=1) + f"\n// {name}\n"

    seen = []
    for name in ("x", HOSTILE):
        async with running("{}", tmp_path, ENVIRON) as router:
            file(tmp_path).write_text(text_with(name))
            browser = Browser(router.app)
            text = await page(browser)
            fields = {"text": shown_text(text), "digest": hidden(text, "digest")}
            change = change_of(await browser.post("/ui/config/change/text", fields))
            review = await page(browser, change)
            assert "None: the file says this already" in review
            fields = {"change": change, "LOG_LEVEL": "warn", "was.LOG_LEVEL": ""}
            review = await page(browser, change_of(await browser.post("/ui/config/change/settings", fields)))
            assert name in Document(review).content
            seen.append([[tag for tag, _ in Document(one).elements] for one in (text, review)])
    assert seen[0] == seen[1]

"""Every page: that it is sound HTML, says what is so, gives no secret away, and cannot be made to say something else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from ccrouter.compliance.document import PRESETS, read_policy
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.errors import Problem
from ccrouter.secret import Secret
from ccrouter.web.files import FILES
from ccrouter.web.page import CONTENT_SECURITY_POLICY, HEADERS, View, cleaned, render, render_sign_in
from ccrouter.web.pages import PAGES
from tests.gateway.conftest import running
from tests.server.conftest import KEY, UPSTREAM_KEY, call, settings
from tests.web.conftest import HOST, Browser, Document

STARTED = datetime(2026, 11, 22, 7, 30, 5, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{%raw%}&lt;"
#: Turns the direction of the line, ends it, rings, is no character, cannot be seen.
UNSEEN = "\u202egpj.exe\u2066 a\x00b\x07c\n</p>\u200bd\ufeff"


def snapshot(config: Config | None = None, policy: Policy = NO_POLICY) -> View:
    return View(config or Config(), policy, "9.8.7", 4321, STARTED, STARTED, Path("/nowhere"))


def written(page, config: Config | None = None, policy: Policy = NO_POLICY) -> Document:
    return Document(render(page, snapshot(config, policy), PAGES, signed_in=True))


def hostile_config(name: str) -> Config:
    """Names that are markup, templates and worse, wherever a name can be."""
    found = load(None, {})
    provider = found.providers[0]
    return Config(
        path=Path(f"/tmp/{name.replace(chr(0), '')}/config.json"),
        providers=(
            type(provider)(name, provider.endpoints, models=(name, f"{name}2"), headers={"x-title": name}),
            provider,
        ),
        router=type(found.router)(
            routes={name: ref(found, name), "default": ref(found, name)}, fallback={name: (ref(found, name),)}
        ),
        warnings=(Problem(name, name, name, name),),
        unavailable={name: name},
    )


def ref(config: Config, name: str):
    return type(next(iter(config.router.routes.values())))(name, name)


def hostile_policy(name: str) -> Policy:
    return Policy(
        name=name, source=name, digest=name, allowed_models=(name,) * 30, sent_as={name: name}, allowed_proxies=()
    )


#: Attributes that may hold a name: a field that is filled in, an address of ours, a hint.
NAMED = frozenset(
    {"value", "href", "title", "aria-label", "action", "placeholder", "id", "for", "aria-labelledby", "d"}
)
#: Pages that show what providers, models and routes of the configuration are called.
NAMING = ("/ui/providers", "/ui/routes")


def shape(document: Document) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The elements, with the attributes that no name may be in."""
    return [
        (tag, [(name, None if name in NAMED else value) for name, value in attributes.items()])
        for tag, attributes in document.elements
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
@pytest.mark.parametrize("name", [HOSTILE, UNSEEN, "plain", "ü 🚀 \U000e0001x"])
def test_no_name_becomes_markup(page, name):
    """Whatever providers, models, routes, policies, files and warnings are called, the page has the same elements, and
    shows the names as text."""
    plain = written(page, hostile_config("x"), hostile_policy("x"))
    document = written(page, hostile_config(name), hostile_policy(name))
    assert document.problems == []
    assert shape(document) == shape(plain)
    if name == HOSTILE and page.path in NAMING:
        assert document.content.count(HOSTILE) > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_nothing_unseen_is_shown(page):
    """Characters that turn a line round, end it, or are none at all are replaced: a name is what it looks like."""
    text = render(page, snapshot(hostile_config(UNSEEN), hostile_policy(UNSEEN)), PAGES, signed_in=True)
    assert not set(text) & set("\u202e\u2066\x00\x07\u200b\ufeff")
    if page.path in NAMING:
        assert "\N{REPLACEMENT CHARACTER}gpj.exe" in text


#: What links and forms may lead to, and scripts and styles come from: pages and files of ours, and places in a page.
OURS = re.compile(r"/ui/[\w./%~-]*(\?[\w.%&=+~-]*)?(#[\w-]+)?|#[\w-]+|\?[\w.%&=+~-]*")
LABELLED = frozenset({"input", "select", "textarea"})


def soundness(document: Document) -> list[str]:
    """What is wrong with a page for those who do not see it, cannot point at it, or have a small screen."""
    wrong = list(document.problems)
    identities = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    wrong += [f"id {one} twice" for one in set(identities) if identities.count(one) > 1]
    for tag, attributes in document.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            wrong += [f"{tag}: no {one}" for one in (attributes.get(name) or "").split() if one not in identities]
        if tag in {"style", "iframe", "object", "embed", "base", "template"}:
            wrong.append(f"<{tag}>")
        if tag == "script" and not re.fullmatch(r"/ui/static/[a-z-]+\.js", attributes.get("src") or ""):
            wrong.append("a script of its own")
        wrong += [f"{tag} {name}" for name in attributes if name.startswith("on") or name == "style"]
        wrong += [
            f"{tag} {name}={value}"
            for name, value in attributes.items()
            if name in {"href", "src", "action", "formaction"} and not OURS.fullmatch(value or "")
        ]
        if tag == "img" and "alt" not in attributes:
            wrong.append("an image without alt")
        if tag in LABELLED and not is_labelled(document, attributes):
            wrong.append(f"{tag} {attributes.get('name')} without label")
        if tag == "button" and attributes.get("type", "submit") == "button" and not document.of("script"):
            wrong.append("a button that does nothing")
        if tag == "th" and "scope" not in attributes:
            wrong.append("a heading of a table without scope")
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch("h[1-6]", tag)]
    if levels[:1] != [1] or levels.count(1) != 1 or any(after > before + 1 for before, after in pairwise(levels)):
        wrong.append(f"headings {levels}")
    wrong += [f"{tag}: not once" for tag in ("main", "header", "title", "h1") if len(document.of(tag)) != 1]
    if {"name": "viewport", "content": "width=device-width, initial-scale=1"} not in document.of("meta"):
        wrong.append("no viewport")
    return wrong


def is_labelled(document: Document, attributes: dict[str, str | None]) -> bool:
    """True if somebody who does not see the field is told what it is for."""
    if attributes.get("type") == "hidden" or "aria-label" in attributes or "aria-labelledby" in attributes:
        return True
    return any(one.get("for") == attributes.get("id") for one in document.of("label") if one.get("for"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
@pytest.mark.parametrize("policy", [NO_POLICY, *(read_policy(name, {}) for name in PRESETS)], ids=lambda one: one.name)
@pytest.mark.parametrize("config", [Config(), hostile_config("name")], ids=["empty", "full"])
def test_every_page_is_sound(page, policy, config):
    """With and without a policy and a configuration: HTML that parses, one main part and heading, labels for all that
    is labelled, no script and no style of its own, no address that is not ours."""
    document = written(page, config, policy)
    assert soundness(document) == []
    assert document.content.count(page.title) >= 2


@pytest.mark.parametrize("error", ["", "That is not it.", HOSTILE])
def test_the_form_is_sound(error):
    """So is the form, with and without an error, which is announced; it says nothing of the router."""
    document = Document(render_sign_in(error))
    assert soundness(document) == []
    assert [one["type"] for one in document.of("input")] == ["password"]
    assert (error in document.content) if error else True
    assert len([one for one in document.of("p") if one.get("role") == "alert"]) == bool(error)
    assert not re.search(r"\d", document.content.replace(HOSTILE, ""))


@pytest.mark.parametrize(
    "text",
    [
        "<p>a<div>b</div></p>",
        "<h1>a</h1><h3>b</h3>",
        "<img src='/ui/x'>",
        "<img alt='' src='https://x.example/'>",
        "<a href='javascript:x'>x</a>",
        "<a href='//x.example'>x</a>",
        "<p onclick='x'>x</p>",
        "<p style='x'>x</p>",
        "<script></script>",
        "<p id='a'></p><p id='a'></p>",
        "<section aria-labelledby='none'></section>",
        "<input id='a'>",
        "<table><tr><th>x</th></tr></table>",
        "<b><i></b></i>",
        "<p>x",
        "<!-- x -->",
        "<br/>",
    ],
)
def test_what_is_unsound_is_found(text):
    """Each kind of mistake is found in a page that is sound without it."""
    page = render_sign_in()
    assert soundness(Document(page)) == []
    assert soundness(Document(page.replace("</main>", f"{text}</main>"))) != []


# -- what the overview says ----------------------------------------------------------------------------------------------


def overview(config: Config, policy: Policy = NO_POLICY) -> str:
    return written(PAGES[0], config, policy).content


def test_overview_tells_what_runs(tmp_path):
    """Version, process, address, since when; config and its digest; warnings about it."""
    path = tmp_path / "config.json"
    path.write_text(
        """{"PORT": 4567, "APIKEY": "router-key-0123456789", "nonsense": 1, "Providers": [
        {"name": "or", "api_base_url": "https://openrouter.ai:8443/api/v1/chat/completions", "api_key": "sk-secret-of-or-0123456789", "models": ["q/m1"]}],
        "Router": {"default": "or,q/m1"}}"""
    )
    config = load(path, {})
    told = overview(config)
    for words in (
        "Version 9.8.7 process 4321",
        "http://127.0.0.1:4567 this machine only",
        "asked of every client",
        f"{path} SHA-256 {config.digest[:12]}",
        "Policy none",
        "1 warning about the configuration",
        "nonsense is not a setting",
        "Nothing is recorded.",
    ):
        assert words in told, words
    assert "router-key-0123456789" not in told


def test_overview_names_the_policy():
    """Its name, whether it is pinned, and where it is from, in one line; what it says stands on its own page."""
    policy = Policy(
        name="strict", source="/etc/ccr/policy.json", digest="d" * 64, is_pinned=True, banned_models=("x*",)
    )
    told = overview(Config(), policy)
    assert "strict pinned /etc/ccr/policy.json" in told
    assert "x*" not in told


@pytest.mark.parametrize(("host", "address", "audience"), [
    ("127.0.0.1", "http://127.0.0.1:3456", "this machine only"),
    ("::1", "http://[::1]:3456", "this machine only"),
    ("0.0.0.0", "http://127.0.0.1:3456", "every machine that reaches 0.0.0.0"),
    ("192.0.2.1", "http://192.0.2.1:3456", "every machine that reaches 192.0.2.1"),
])  # fmt: skip
def test_overview_tells_who_reaches_it(host, address, audience):
    """The address is one that can be opened, and who else can open it is said."""
    assert f"{address} {audience}" in overview(Config(host=host))


def test_facts_are_cleaned_throughout():
    """Secrets go wherever they stand, also within lists of lists and in the form of HTML; numbers and names of facts
    stay."""
    secret = Secret("s3cret<&>value-0123456789")
    facts = {"a": [["x s3cret<&>value-0123456789 y"], {"b": "sk-ant-api03-0123456789abcdefghij"}], "n": 3, "none": None}
    told = cleaned(facts, [secret])
    assert told == {"a": [["x *** y"], {"b": "***"}], "n": 3, "none": None}


# -- served --------------------------------------------------------------------------------------------------------------


async def test_pages_are_served_under_their_rules(tmp_path, upstream):
    """Each page and file comes with the content security policy and its kind, is kept by nobody, and holds no key."""
    async with running(settings(upstream), tmp_path) as router:
        browser = Browser(router.app)
        for path in [*(page.path for page in PAGES), *(f"/ui/static/{name}" for name in FILES)]:
            answer = await browser.get(path)
            assert answer.status == 200, path
            assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
            assert "set-cookie" not in answer.headers
            assert UPSTREAM_KEY.encode() not in answer.raw
            name = path.removeprefix("/ui/static/")
            kind = FILES[name].media_type.partition(";")[0] if name in FILES else "text/html"
            assert answer.headers["content-type"].partition(";")[0] == kind
    assert CONTENT_SECURITY_POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


async def test_the_way_in(tmp_path, upstream):
    """`/ui` leads to `/ui/`, which is the page and no further redirect; slashes too many lead there too."""
    async with running(settings(upstream), tmp_path) as router:
        for path in ("/ui", "/ui//", "//ui"):
            answer = await call(router.app, "GET", path, {"host": HOST})
            assert (answer.status, answer.headers["location"]) == (303, "/ui/"), path
        assert (await call(router.app, "GET", "/ui/", {"host": HOST})).status == 200
        assert (await call(router.app, "HEAD", "/ui/", {"host": HOST})).status == 200


@pytest.mark.parametrize(
    "name",
    ["", "page.py", "../page.py", "..%2fpage.py", "%2e%2e/page.py", "/etc/passwd", "style.css/", "style.css%00", "STYLE.CSS",
     "style.css/../../page.py", "..\\page.py", "."],
)  # fmt: skip
async def test_only_listed_files_are_served(tmp_path, upstream, name):
    """No other name, however it is written, leads to a file."""
    async with (
        running(settings(upstream), tmp_path) as router,
        router.client.get(f"{router.url}/ui/static/{name}") as answer,
    ):
        body = await answer.read()
        assert answer.status in {400, 403, 404} or (name == "style.css/" and answer.status == 200), body
        assert b"import" not in body
        assert b"root:" not in body


def test_every_file_is_listed_and_used():
    """static/ holds what the list names, licences of others' work and nothing else; each is used by some page; our own
    fetch nothing from elsewhere."""
    web = Path(__file__).parents[2] / "src" / "ccrouter" / "web"
    there = {str(path.relative_to(web / "static")) for path in (web / "static").rglob("*") if path.is_file()}
    assert {one for one in there if "LICENSE" not in one} == {file.name for file in FILES.values()}
    templates = "".join(path.read_text() for path in (web / "templates").rglob("*.html"))
    for name, file in FILES.items():
        assert f"/ui/static/{name}" in templates, name
        if file.name.startswith("vendor/"):
            continue
        text = file.read().decode()
        assert not re.search(r"@import|url\(|<script|onload", text), name
        assert re.findall(r"https?://[^\"\s]+", text) == (["http://www.w3.org/2000/svg"] if name == "icon.svg" else [])


def test_both_schemes_can_be_read():
    """Every colour of text on its ground, light and dark, has a contrast of 4.5 or more (WCAG 2.2, 1.4.3)."""
    css = FILES["style.css"].read().decode()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in css.split("@media")[:2])
    assert set(light) == set(dark)
    for colours in (light, dark):
        for ink, grounds in {
            "ink": ("ground", "card", "caution-ground"),
            "quiet": ("ground", "card", "caution-ground"),
            "card": ("accent",),
            "good": ("good-ground",),
            "bad": ("bad-ground", "card", "ground"),
            "caution": ("caution-ground", "card", "ground"),
            "accent": ("ground", "card", "caution-ground"),
        }.items():
            for ground in grounds:
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, colours[ink], colours[ground])


def contrast(one: str, other: str) -> float:
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_measured():
    """Black on white is 21, and a pair that is known to fall short does."""
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0
    assert contrast("#777777", "#ffffff") < 4.5


async def test_the_keys_are_nowhere(tmp_path, upstream):
    """A whole router with keys of its own and of a provider shows neither, to a browser that is signed in."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        browser = Browser(router.app)
        assert (await browser.post("/ui/sign-in", {"key": KEY})).status == 303
        for page in PAGES:
            text = (await browser.get(page.path)).raw.decode()
            assert KEY not in text
            assert UPSTREAM_KEY not in text
            assert browser.cookie not in text

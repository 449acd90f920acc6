"""Who gets to see a page: by key, by session, from this machine, and not sent there by another site."""

from __future__ import annotations

import json
import re

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import load
from ccrouter.secret import Secret
from ccrouter.server import sessions as module
from ccrouter.server.guard import FORWARDING_HEADERS
from ccrouter.server.sessions import LARGEST, LIFETIME, Sessions
from ccrouter.web.pages import PAGES
from tests.gateway.conftest import running
from tests.server.conftest import KEY, call, settings
from tests.web.conftest import COOKIE, ELSEWHERE, FORM, FROM_OWN_PAGE, HOST, TYPED, Browser

PATHS = [page.path for page in PAGES]
LAUNCH = "ccr-launch-0123456789abcdef"


@pytest.fixture
async def router(tmp_path, upstream, clock):
    """With a key, under a clock that the test moves; it reads its file anew on demand."""
    config = settings(upstream, APIKEY=KEY, allowedHosts=["router.example"])
    path = tmp_path / "config.json"

    def read(_in_force):
        return load(path, {}), NO_POLICY

    async with running(config, tmp_path, clock=clock, reload=read, is_launch_key=lambda key: key == LAUNCH) as started:
        yield started


@pytest.fixture
async def signed_in(router) -> Browser:
    browser = Browser(router.app)
    answer = await browser.post("/ui/sign-in", {"key": KEY})
    assert (answer.status, answer.headers["location"]) == (303, "/ui/")
    return browser


def is_sent_to_the_form(answer) -> bool:
    return (answer.status, answer.headers.get("location"), answer.raw) == (303, "/ui/sign-in", b"")


# -- in and out ----------------------------------------------------------------------------------------------------------


async def test_without_a_session_there_is_the_form(router):
    """Every page leads to the form, which tells a stranger nothing but that there is one."""
    browser = Browser(router.app)
    for path in PATHS:
        assert is_sent_to_the_form(await browser.get(path)), path
    form = await browser.get("/ui/sign-in")
    assert form.status == 200
    assert b'name="key"' in form.raw
    assert "set-cookie" not in form.headers
    for fact in (router.app.edition.config.providers[0].name + ",", "m1", "0.1", str(router.app.edition.config.path)):
        assert fact.encode() not in form.raw


async def test_the_key_opens_the_pages(signed_in):
    """The key, in the form, gives a session that shows each page, with a way out; the form leads back to the page."""
    for path in PATHS:
        answer = await signed_in.get(path)
        assert answer.status == 200
        assert b'action="/ui/sign-out"' in answer.raw
    answer = await signed_in.get("/ui/sign-in")
    assert (answer.status, answer.headers["location"]) == (303, "/ui/")


async def test_the_cookie(router):
    """It is random, out of reach of scripts, not sent along from other sites, for the pages alone, and ends by itself."""
    tokens = set()
    for _ in range(3):
        answer = await Browser(router.app).post("/ui/sign-in", {"key": KEY})
        first, *flags = answer.headers["set-cookie"].split("; ")
        name, _, token = first.partition("=")
        assert name == COOKIE
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
        assert {flag.lower() for flag in flags} == {"httponly", "samesite=strict", "path=/ui", f"max-age={LIFETIME}"}
        assert KEY not in token
        tokens.add(token)
    assert len(tokens) == 3
    assert LIFETIME == 12 * 60 * 60


async def test_signing_out(router, signed_in):
    """The session has ended, for whoever kept its cookie too; the browser is told to forget it."""
    kept = Browser(router.app, signed_in.cookie)
    answer = await signed_in.post("/ui/sign-out")
    assert (answer.status, answer.headers["location"]) == (303, "/ui/sign-in")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert signed_in.cookie == ""
    assert is_sent_to_the_form(await kept.get("/ui/"))
    assert is_sent_to_the_form(await kept.post("/ui/sign-out"))


async def test_signing_in_again_ends_the_first_session(router, signed_in):
    """A browser has one session, and a token that somebody gave it is never made good."""
    first = signed_in.cookie
    assert (await signed_in.post("/ui/sign-in", {"key": KEY})).status == 303
    assert signed_in.cookie != first
    assert is_sent_to_the_form(await Browser(router.app, first).get("/ui/"))
    given = Browser(router.app, "A" * 43)
    await given.post("/ui/sign-in", {"key": KEY})
    assert given.cookie != "A" * 43
    assert is_sent_to_the_form(await Browser(router.app, "A" * 43).get("/ui/"))


WRONG = ["", "x", KEY[:-1], KEY + "x", KEY.upper(), LAUNCH, "é" * 3000, "<b>", f"{KEY}\x00", "\ud800".encode("utf-8", "surrogatepass")]  # fmt: skip


async def test_a_wrong_key(router):
    """Is a 401 with the form and one and the same text for every wrong key: none of how near or how long it is, and none of
    the key. A launch's key is a wrong one."""
    answers = [await Browser(router.app).post("/ui/sign-in", {"key": wrong}) for wrong in WRONG]
    answers.append(await Browser(router.app).post("/ui/sign-in", {}))
    answers.append(await Browser(router.app).post("/ui/sign-in", {"password": KEY, "x-api-key": KEY}))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.raw for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert b"That is not the key of this router." in answers[0].raw


async def test_the_key_is_compared_as_everywhere(router, monkeypatch):
    """Whole, in constant time, by `Secret.matches`."""
    compared = []
    matches = Secret.matches
    monkeypatch.setattr(Secret, "matches", lambda self, other: compared.append(other) or matches(self, other))
    for offered in ("x", KEY[:-1], f" {KEY}\n"):
        await Browser(router.app).post("/ui/sign-in", {"key": offered})
    assert compared == ["x", KEY[:-1], KEY]


async def test_a_form_that_is_none(router):
    """Another kind of body is a 415, one of a thousand fields a 400, an endless one a 413."""
    app = router.app
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        headers = {"host": HOST, **FROM_OWN_PAGE, "content-type": kind}
        answer = await call(app, "POST", "/ui/sign-in", headers, json.dumps({"key": KEY}).encode())
        assert answer.status == 415, kind
    headers = {"host": HOST, **FROM_OWN_PAGE, **FORM}
    assert (await call(app, "POST", "/ui/sign-in", headers, b"a=1&" * 1000)).status == 400
    assert (await call(app, "POST", "/ui/sign-in", headers, b"key=" + b"x" * 70_000)).status == 413
    assert (await call(app, "POST", "/ui/sign-in", headers, b"\xff\xfe=%zz&key=%ff%00")).status == 401


async def test_no_key_in_an_address(router):
    """A key in the query opens nothing, and the form is sent as a body."""
    query = f"key={KEY}".encode()
    for path in (*PATHS, "/ui/sign-in"):
        answer = await call(router.app, "GET", path, {"host": HOST, **TYPED}, query=query)
        assert "set-cookie" not in answer.headers
        assert KEY not in answer.headers.get("location", "")
    headers = {"host": HOST, **FROM_OWN_PAGE, **FORM}
    assert (await call(router.app, "POST", "/ui/sign-in", headers, query=query)).status == 401


# -- when it ends ----------------------------------------------------------------------------------------------------------


async def test_a_session_ends_after_twelve_hours(signed_in, clock):
    """Whatever was done in it meanwhile."""
    clock.now += LIFETIME - 1
    assert (await signed_in.get("/ui/")).status == 200
    clock.now += 1
    assert is_sent_to_the_form(await signed_in.get("/ui/"))


async def test_another_key_ends_every_session(router, signed_in, tmp_path):
    """After a reload with another key nobody is signed in, also not when the old one comes back; a reload with the same
    leaves sessions be."""
    path = tmp_path / "config.json"
    text = path.read_text()
    path.write_text(text + "\n")
    await router.app.reload()
    assert (await signed_in.get("/ui/")).status == 200
    for content in (text.replace(KEY, "another-key-0123456789"), text):
        path.write_text(content)
        await router.app.reload()
        assert is_sent_to_the_form(await signed_in.get("/ui/"))
    assert (await signed_in.post("/ui/sign-in", {"key": KEY})).status == 303


async def test_a_key_that_changes_while_the_form_is_on_its_way(router, tmp_path):
    """Counts is the key at the end: the old one opens nothing any more."""
    path = tmp_path / "config.json"
    app = router.app
    was = type(app).__call__

    body = f"key={KEY}".encode()
    sent = []

    async def receive():
        path.write_text(path.read_text().replace(KEY, "another-key-0123456789"))
        await app.reload()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in {"host": HOST, **FROM_OWN_PAGE, **FORM}.items()]
    scope = {"type": "http", "method": "POST", "path": "/ui/sign-in", "headers": headers, "client": ("127.0.0.1", 5)}
    await was(app, scope, receive, send)
    assert sent[0]["status"] == 401
    assert not [value for name, value in sent[0]["headers"] if name == b"set-cookie"]


def test_sessions_are_bounded(clock):
    """Of more than so many the oldest end; those that have ended make room first; none is kept in clear."""
    sessions = Sessions(clock)
    first, second = sessions.open(), sessions.open()
    others = [sessions.open() for _ in range(LARGEST - 1)]
    assert not sessions.is_open(first)
    assert sessions.is_open(second)
    assert all(map(sessions.is_open, others))
    clock.now += LIFETIME
    assert not sessions.is_open(second)
    fresh = [sessions.open() for _ in range(LARGEST)]
    assert all(map(sessions.is_open, fresh))
    assert fresh[0] not in repr(vars(sessions))
    sessions.close(fresh[0])
    sessions.close("never there")
    assert not sessions.is_open(fresh[0])
    assert not sessions.is_open("")


@pytest.mark.parametrize(
    ("keys", "stays"),
    [
        ((None, None), True),
        (("a", "a"), True),
        (("a", "b"), False),
        ((None, "a"), False),
        (("a", None), False),
        (("a", "ab"), False),
    ],
)
def test_sessions_follow_the_key(clock, keys, stays):
    """They last while the key is the same one, by what it says and not by which object."""
    sessions = Sessions(clock)
    before, after = (None if key is None else Secret(key) for key in keys)
    sessions.follow(before)
    token = sessions.open()
    sessions.follow(after)
    assert sessions.is_open(token) is stays


# -- for what it is good ---------------------------------------------------------------------------------------------------


async def test_a_session_is_for_pages_alone(router, signed_in):
    """It opens no endpoint of clients or of management, read or write."""
    headers = {
        "host": HOST,
        "cookie": f"{COOKIE}={signed_in.cookie}",
        **FROM_OWN_PAGE,
        "content-type": "application/json",
    }
    for method, path in (
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/api/config"),
        ("POST", "/api/config"),
        ("POST", "/api/restart"),
        ("GET", "/api/policy"),
        ("GET", "/providers"),
        ("POST", "/providers"),
        ("GET", "/ui/nowhere"),
    ):
        assert (await call(router.app, method, path, headers, b"{}")).status == 401, path
    assert "policy" not in (await call(router.app, "GET", "/health", headers)).json
    for name in ("x-api-key", "authorization"):
        answer = await call(router.app, "GET", "/v1/models", {"host": HOST, name: signed_in.cookie})
        assert answer.status == 401


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        COOKIE,
        f"{COOKIE}=",
        f"{COOKIE}=x",
        "ccr-session=TOKEN",
        "ccr-session-3457=TOKEN",
        f"{COOKIE}X=TOKEN",
        f"{COOKIE.upper()}=TOKEN",
        f"{COOKIE}=TOKENx",
        f"{COOKIE}=xTOKEN",
        f"{COOKIE}: TOKEN",
        f"x={COOKIE}=TOKEN",
    ],
)
async def test_another_cookie_is_none(router, signed_in, cookie):
    """Nothing but the very cookie with the very token is a session; it may stand among others."""
    sent = cookie.replace("TOKEN", signed_in.cookie)
    assert is_sent_to_the_form(await Browser(router.app).get("/ui/", {"cookie": sent}))
    among = {"cookie": f"a=b; {COOKIE}=stale; {COOKIE}={signed_in.cookie}; {COOKIE}x=1"}
    assert (await Browser(router.app).get("/ui/", among)).status == 200


async def test_the_key_itself_shows_pages(router):
    """A program may show the key in a header, as to any endpoint of management; a launch's key is not taken."""
    browser = Browser(router.app)
    for path in PATHS:
        answer = await browser.get(path, {"x-api-key": KEY})
        assert answer.status == 200
        assert b"sign-out" not in answer.raw
        assert is_sent_to_the_form(await browser.get(path, {"x-api-key": LAUNCH}))
        assert is_sent_to_the_form(await browser.get(path, {"x-api-key": "wrong"}))


# -- from where ------------------------------------------------------------------------------------------------------------

EVERYTHING = [("GET", "/ui"), *(("GET", path) for path in PATHS), ("GET", "/ui/sign-in"), ("POST", "/ui/sign-in"),
              ("POST", "/ui/sign-out"), ("GET", "/ui/static/style.css")]  # fmt: skip

ELSEWHERE_WAYS = {
    "a peer elsewhere": ({}, ELSEWHERE),
    "no peer": ({}, None),
    "a foreign Host": ({"host": "evil.example"}, "127.0.0.1"),
    "an allowed Host": ({"host": "router.example"}, "127.0.0.1"),
    "no Host": ({"host": ""}, "127.0.0.1"),
    "a foreign Origin": ({"origin": "https://evil.example"}, "127.0.0.1"),
    "Origin null": ({"origin": "null"}, "127.0.0.1"),
    "another port": ({"origin": "http://127.0.0.1:8080"}, "127.0.0.1"),
    "another loopback name": ({"origin": "http://localhost:3456"}, "127.0.0.1"),
    "a forged Host": ({"host": "localhost", "x-forwarded-host": "localhost"}, "127.0.0.1"),
    **{f"passed on ({name})": ({name: "127.0.0.1"}, "127.0.0.1") for name in sorted(FORWARDING_HEADERS)},
}


@pytest.mark.parametrize("way", ELSEWHERE_WAYS)
@pytest.mark.parametrize("has_key", [True, False])
async def test_pages_are_for_this_machine(tmp_path, upstream, way, has_key):
    """Whoever is not here by socket, Host and the absence of forwarders, or comes from another origin, gets a 403 from all
    below /ui, form and style sheet too, with the session's cookie, with the key, and where none is configured."""
    more, peer = ELSEWHERE_WAYS[way]
    async with running(
        settings(upstream, allowedHosts=["router.example"], **({"APIKEY": KEY} if has_key else {})), tmp_path
    ) as router:
        browser = Browser(router.app)
        if has_key:
            await browser.post("/ui/sign-in", {"key": KEY})
            assert browser.cookie
        for method, path in EVERYTHING:
            headers = {"host": HOST, **TYPED, **FORM, "cookie": f"{COOKIE}={browser.cookie}", "x-api-key": KEY, **more}
            answer = await call(router.app, method, path, headers, f"key={KEY}".encode(), peer=peer)
            assert answer.status == 403, (method, path)
            assert "set-cookie" not in answer.headers
        if has_key:
            assert (await browser.get("/ui/")).status == 200


SITES = {
    "from our page": ({"sec-fetch-site": "same-origin"}, True, True),
    "typed": ({"sec-fetch-site": "none"}, True, True),
    "an old browser, or none": ({}, True, True),
    "a link on another site": ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True, False),
    "a link on another port": ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True, False),
    "a frame": ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False, False),
    "an image": ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False, False),
    "a script on another port": ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, False, False),
    "no such site": ({"sec-fetch-site": "SAME-ORIGIN"}, False, False),
    "two sites": ({"sec-fetch-site": "same-origin, cross-site"}, False, False),
    "empty": ({"sec-fetch-site": ""}, False, False),
}  # fmt: skip


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("has_key", [True, False])
async def test_other_sites(tmp_path, upstream, site, has_key):
    """From elsewhere one may be led to a page, and do nothing; no part of it can be embedded or fetched."""
    headers, may_read, may_write = SITES[site]
    async with running(settings(upstream, **({"APIKEY": KEY} if has_key else {})), tmp_path) as router:
        browser = Browser(router.app)
        if has_key:
            await browser.post("/ui/sign-in", {"key": KEY})
        base = {"host": HOST, "cookie": f"{COOKIE}={browser.cookie}", **FORM, **headers}
        for method, path in EVERYTHING:
            answer = await call(router.app, method, path, base, f"key={KEY}".encode())
            is_allowed = may_read if method == "GET" else may_write
            assert (answer.status != 403) == is_allowed, (method, path, answer.status)
            if path == "/ui/sign-in" and method == "POST" and is_allowed and has_key:
                base["cookie"] = answer.headers["set-cookie"].partition(";")[0]


async def test_without_a_key_nothing_is_asked(tmp_path, upstream):
    """The page is there at once, without a way out; the form leads to it and opens no session."""
    async with running(settings(upstream), tmp_path) as router:
        browser = Browser(router.app)
        answer = await browser.get("/ui/")
        assert answer.status == 200
        assert b"sign-out" not in answer.raw
        for answer in (await browser.get("/ui/sign-in"), await browser.post("/ui/sign-in", {"key": "x"})):
            assert (answer.status, answer.headers["location"]) == (303, "/ui/")
            assert "set-cookie" not in answer.headers
        answer = await browser.post("/ui/sign-out")
        assert answer.status == 303


async def test_over_a_socket(router):
    """Over real HTTP: to the form, in, to the page, out, and not in again."""
    origin, client = router.url, router.client

    async def ask(method, path, cookie="", **more):
        headers = {"origin": origin, "cookie": cookie} if method == "POST" else {"cookie": cookie}
        async with client.request(method, origin + path, headers=headers, allow_redirects=False, **more) as answer:
            text = await answer.text()
            return answer.status, answer.headers.get("location", ""), answer.headers.get("set-cookie", ""), text

    assert (await ask("GET", "/ui/"))[:2] == (303, "/ui/sign-in")
    status, location, cookie, _ = await ask("POST", "/ui/sign-in", data={"key": KEY})
    assert (status, location) == (303, "/ui/")
    cookie = cookie.partition(";")[0]
    status, _, _, text = await ask("GET", "/ui/", cookie)
    assert status == 200
    assert "Overview" in text
    assert (await ask("POST", "/ui/sign-out", cookie, data={}))[:2] == (303, "/ui/sign-in")
    assert (await ask("GET", "/ui/", cookie))[:2] == (303, "/ui/sign-in")


def test_names_of_cookies_differ_by_port():
    """Two routers on one machine do not take each other's sessions for theirs."""
    assert module.cookie_name(3456) == COOKIE
    assert module.cookie_name(3457) != COOKIE


async def test_a_reload_that_takes_the_key_away(router, signed_in, tmp_path):
    """Ends the sessions and asks for none; the edition that a request began with goes on to decide for that request."""
    before = router.app.edition.guard
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["APIKEY"]
    path.write_text(json.dumps(config))
    await router.app.reload()
    assert (await Browser(router.app).get("/ui/")).status == 200
    assert before.asks_sign_in
    assert not router.app.edition.guard.asks_sign_in

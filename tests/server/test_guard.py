"""The guard and its table: every route, every way to ask, every trick to be taken for somebody or something else."""

from __future__ import annotations

import json

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.secret import Secret
from ccrouter.server.guard import FORWARDING_HEADERS, Access
from ccrouter.server.routes import ROUTES, find, served_path
from tests.gateway.conftest import running
from tests.server.conftest import KEY, call, raw, settings
from tests.upstream import Upstream, anthropic_wire, json_reply

LAUNCH = "ccr-launch-0123456789abcdef"
ELSEWHERE = "192.0.2.7"
#: A path for each route of the table.
PATHS = {
    row: row.path.replace("{id:path}", "p,m1").replace("{id}", "p").replace("{name}", "style.css") for row in ROUTES
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
REFUSED = {401, 403, 415}

OPEN, CLIENT, MANAGEMENT = Access.OPEN, Access.CLIENT, Access.MANAGEMENT
LOCAL, PAGE = Access.LOCAL, Access.PAGE
#: Open to clients, as scrapers are, but telling how the router is set up: the endpoint itself asks for more.
METRICS = "/metrics"
#: What is refused there beside: keys of a launch, and without any key whoever is not here by all the signs.
NOT_TOLD = dict.fromkeys(("launch key", "launch key as Bearer", "allowed Host", "forwarded", "elsewhere"), 403)
FORM = "application/x-www-form-urlencoded"
WITH_KEY = {"x-api-key": KEY}
#: Refusals of whoever is not at this machine, and of whoever is and shows no key.
NOT_HERE = {LOCAL: 403, PAGE: 403, MANAGEMENT: 403}
NO_KEY = {CLIENT: 401, PAGE: 303, MANAGEMENT: 401}
EVERYWHERE = {OPEN: 403, CLIENT: 403, **NOT_HERE}
#: A way to ask → headers, peer, and the status of the refusal for those accesses that it does not get.
WAYS_WITH_KEY = {
    "no key": ({}, "127.0.0.1", NO_KEY),
    "no key, elsewhere": ({}, ELSEWHERE, {**NO_KEY, LOCAL: 403, PAGE: 403}),
    "wrong key": ({"x-api-key": "wrong"}, "127.0.0.1", NO_KEY),
    "empty keys": ({"x-api-key": "", "authorization": "Bearer "}, "127.0.0.1", NO_KEY),
    "key": (WITH_KEY, "127.0.0.1", {}),
    "key, ::1": ({**WITH_KEY, "host": "[::1]:3456"}, "::1", {}),
    "key, mapped": ({**WITH_KEY, "host": "localhost"}, "::ffff:127.0.0.1", {}),
    "key as Bearer": ({"authorization": f"Bearer {KEY}"}, "127.0.0.1", {}),
    "key, foreign Host": ({**WITH_KEY, "host": "evil.example"}, "127.0.0.1", NOT_HERE),
    "key, no Host": ({**WITH_KEY, "host": ""}, "127.0.0.1", NOT_HERE),
    "key, foreign Origin": (
        {**WITH_KEY, "origin": "https://evil.example"},
        "127.0.0.1",
        EVERYWHERE,
    ),
    "key, Origin null": ({**WITH_KEY, "origin": "null"}, "127.0.0.1", EVERYWHERE),
    "key, own Origin": ({**WITH_KEY, "origin": "http://127.0.0.1:3456"}, "127.0.0.1", {}),
    "key, another Origin here": (
        {**WITH_KEY, "origin": "http://localhost:3456"},
        "127.0.0.1",
        {LOCAL: 403, PAGE: 403},
    ),
    "key, elsewhere": (WITH_KEY, ELSEWHERE, NOT_HERE),
    "key, no peer": (WITH_KEY, None, NOT_HERE),
    "key, forged local": ({**WITH_KEY, "x-forwarded-for": "127.0.0.1"}, ELSEWHERE, NOT_HERE),
    **{
        f"key, {name}": ({**WITH_KEY, name: "127.0.0.1"}, "127.0.0.1", NOT_HERE)
        for name in (*sorted(FORWARDING_HEADERS), "x-forwarded-for", "x-forwarded-host", "X-Forwarded-Anything")
    },
    "launch key": ({"x-api-key": LAUNCH}, "127.0.0.1", {PAGE: 303, MANAGEMENT: 401}),
    "launch key as Bearer": ({"authorization": f"Bearer {LAUNCH}"}, "127.0.0.1", {PAGE: 303, MANAGEMENT: 401}),
    "launch key, elsewhere": ({"x-api-key": LAUNCH}, ELSEWHERE, {**NO_KEY, LOCAL: 403, PAGE: 403}),
    "launch key, forwarded": (
        {"x-api-key": LAUNCH, "x-forwarded-for": "127.0.0.1"},
        "127.0.0.1",
        {**NO_KEY, LOCAL: 403, PAGE: 403},
    ),
    "launch key, foreign Host": (
        {"x-api-key": LAUNCH, "host": "evil.example"},
        "127.0.0.1",
        {**NO_KEY, LOCAL: 403, PAGE: 403},
    ),
}
WAYS_WITHOUT_KEY = {
    "local": ({}, "127.0.0.1", {}),
    "any key": ({"x-api-key": "whatever"}, "127.0.0.1", {}),
    "foreign Host": ({"host": "evil.example"}, "127.0.0.1", {CLIENT: 403, **NOT_HERE}),
    "foreign Origin": ({"origin": "http://evil.example"}, "127.0.0.1", EVERYWHERE),
    "allowed Host": ({"host": "router.example"}, "127.0.0.1", NOT_HERE),
    "forwarded": ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1", NOT_HERE),
    "elsewhere": ({}, ELSEWHERE, NOT_HERE),
}


def _admits(key):
    return key == LAUNCH


def _is_refused(row, answer):
    """The status of a refusal, None if the row's own endpoint answered. A page refuses by leading to the form."""
    if row.access is PAGE and answer.headers.get("location") == "/ui/sign-in" and "set-cookie" not in answer.headers:
        return 303
    return answer.status if answer.status in REFUSED else None


async def _walk(router, ways):
    wrong = []
    for row, path in PATHS.items():
        is_page = row.access in {LOCAL, PAGE}
        kind, body = (FORM, f"key={KEY}".encode()) if is_page else ("application/json", b"{}")
        for method in row.methods:
            for name, (headers, peer, refusals) in ways.items():
                answer = await call(router.app, method, path, {"content-type": kind, **headers}, body, peer=peer)
                found, expected = _is_refused(row, answer), refusals.get(row.access)
                if row.path == METRICS:
                    expected = expected or NOT_TOLD.get(name)
                if found != expected:
                    wrong.append((method, path, name, answer.status, expected))
    return wrong


async def test_every_route_by_every_way_with_a_key(tmp_path, upstream: Upstream):
    """With a key configured, each route of the table admits exactly those that its access says, and nobody else."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    config = settings(upstream, APIKEY=KEY, allowedHosts=["router.example"])
    async with running(config, tmp_path, is_launch_key=_admits) as router:
        assert await _walk(router, WAYS_WITH_KEY) == []


async def test_every_route_by_every_way_without_a_key(tmp_path, upstream: Upstream):
    """Without one, likewise: the name decides, and for management the machine."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream, allowedHosts=["router.example"]), tmp_path) as router:
        assert await _walk(router, WAYS_WITHOUT_KEY) == []


async def test_what_is_in_no_row_needs_the_key(tmp_path, upstream: Upstream):
    """Unknown paths, and known ones with other methods, need the key, those of management and pages also the machine; with
    it they are a 404 or a 405 that says which methods there are."""
    unknown = [
        "/nowhere",
        "/api",
        "/api/log",
        "/api/update/perform",
        "/ui/x",
        "/ui/static/",
        "/healthz",
        "/v1",
        "/providers/p/x",
    ]
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        for method in METHODS:
            for path in unknown:
                assert (await call(router.app, method, path)).status == 401, (method, path)
                assert (await call(router.app, method, path, WITH_KEY)).status == 404, (method, path)
            for row, path in PATHS.items():
                rows = [other for other in ROUTES if other.path == row.path]
                methods = [name for other in rows for name in other.methods]
                if method in methods:
                    continue
                is_page = any(other.access is PAGE for other in rows)
                sent = {"content-type": FORM if is_page else "application/json"}
                assert (await call(router.app, method, path, sent)).status == (303 if is_page else 401), (method, path)
                answer = await call(router.app, method, path, {**sent, **WITH_KEY})
                assert answer.status == 405, (method, path)
                assert answer.headers["allow"] == ", ".join(methods)
                if row.access in {MANAGEMENT, PAGE}:
                    answer = await call(router.app, method, path, {**sent, **WITH_KEY}, peer=ELSEWHERE)
                    assert answer.status == 403, (method, path)


def test_only_health_is_open():
    """The table opens one path, for reading; everything that tells of or changes the setup is management, or a page. To
    whoever is at this machine are open the form, the way to it, and files that are the same everywhere.
    """
    assert [(row.path, row.methods) for row in ROUTES if row.access is OPEN] == [("/health", ("GET", "HEAD"))]
    local = {row.path for row in ROUTES if row.access is LOCAL}
    assert local == {"/ui", "/ui/sign-in", "/ui/static/{name}"}
    assert {row.path for row in ROUTES if row.path.startswith("/ui")} - local == {
        row.path for row in ROUTES if row.access is PAGE
    }
    for row in ROUTES:
        is_setup = row.path.startswith(("/providers", "/api/")) and row.path not in {
            "/api/hello",
            "/api/event_logging/batch",
            "/api/statusline",  # of a session whose id the client knows, and of no other
        }
        assert (row.access is MANAGEMENT) == is_setup, row.path
    assert len({(row.path, method) for row in ROUTES for method in row.methods}) == sum(
        len(row.methods) for row in ROUTES
    )


# -- the path that is judged is the path that is served ------------------------------------------------------------------

#: Targets on the request line, none of which is "/health" as it is served.
TRICKS = [
    "/HEALTH",
    "/Health",
    "/health;x=1",
    "/health%00",
    "/health%20",
    "/health%0d%0a",
    "/health/../api/config",
    "/health/..%2fapi/config",
    "/health%2F..%2Fapi%2Fconfig",
    "/health/%2e%2e/api/config",
    "/health/%2e%2e%2fapi%2fconfig",
    "/health%252f..%252fapi/config",
    "/health/.",
    "/./health",
    "/%2e/health",
    "/health..",
    "/health%3f",
    "/health%23",
    "/health\\..\\api\\config",
    "/health%5c..%5capi%5cconfig",
    "//api/config",
    "/api//config/",
    "/api%2Fconfig",
    "/%61pi/config",
    "/api/config;/health",
    "/api/config?/health",
    "/api/config/..;/health",
    "/v1/models/../../health",
    "/v1/models/..%2f..%2fhealth",
    "/API/config",
    "/api/confi%67",
    "/api/config%2f",
    "http://127.0.0.1/api/config",
    "http://evil.example/api/config",
    "http://127.0.0.1/health/../api/config",
    "/%c0%ae%c0%ae/health",
    "/health%ef%bc%8f..%ef%bc%8fapi/config",
]


@pytest.mark.parametrize("target", TRICKS)
async def test_path_tricks(tmp_path, upstream: Upstream, target):
    """However a path is written, its row is that of the path as it is served: no spelling opens what needs a key, and
    none makes management of this machine alone anything less."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:

        async def ask(*lines):
            head = "\r\n".join((f"GET {target} HTTP/1.1", "host: 127.0.0.1", "connection: close", *lines))
            return await raw(router, f"{head}\r\n\r\n".encode())

        without = await ask()
        assert without is None or without.status in {400, 401}
        forwarded = await ask(f"x-api-key: {KEY}", "x-forwarded-for: 127.0.0.1")
        assert forwarded is None or forwarded.status in {400, 403, 404} or b'"type":"model"' in forwarded.raw
        for answer in (without, forwarded):
            assert answer is None or b"Providers" not in answer.raw
            assert answer is None or b'"status":"ok"' not in answer.raw


@pytest.mark.parametrize(
    "target", ["/health", "//health", "/health/", "/%68ealth", "/health?a=/api/config", "/health?"]
)
async def test_spellings_of_health(tmp_path, upstream: Upstream, target):
    """What is served as /health is judged as /health: slashes too many and needless escapes are the same path."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        answer = await raw(router, f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert answer is not None
        assert answer.status == 200
        assert answer.json["status"] == "ok"


async def test_nul_and_star(tmp_path, upstream: Upstream):
    """What is no path at all gets nowhere."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        for target in (b"/health\x00/api/config", b"*", b"health", b"", b"/health \x00"):
            answer = await raw(router, b"GET " + target + b" HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            assert answer is None or answer.status in {400, 401}, target


def test_lookup_is_by_the_served_path():
    """Dot segments and control characters are in no row, parameters come from the path that was judged."""
    for path in ("/v1/models/../x", "/v1/models/.", "/..", "/v1/models/a\x00", "/v1/models/a\nb"):
        found = find(served_path(path), "GET")
        assert (found.row, found.access) == (None, CLIENT), path
    assert find("/v1/models/qwen/qwen3:free", "GET").params == {"id": "qwen/qwen3:free"}
    assert find("/providers/a/toggle", "PATCH").params == {"id": "a"}
    assert find("/providers/a/b", "GET").row is None
    assert served_path("//v1//messages/") == "/v1/messages"
    assert [served_path(path) for path in ("/ui/", "/ui//", "//ui/", "/ui")] == ["/ui/", "/ui", "/ui", "/ui"]
    assert served_path("/") == "/"
    assert served_path("//") == "/"


# -- headers ---------------------------------------------------------------------------------------------------------------

TWICE = [
    ("x-api-key", "wrong", KEY),
    ("x-api-key", KEY, "wrong"),
    ("x-api-key", KEY, KEY),
    ("authorization", f"Bearer {KEY}", "Bearer wrong"),
    ("authorization", "Bearer wrong", f"Bearer {KEY}"),
    ("host", "127.0.0.1", "evil.example"),
    ("host", "evil.example", "127.0.0.1"),
    ("origin", "http://localhost", "https://evil.example"),
    ("content-type", "text/plain", "application/json"),
    ("content-encoding", "gzip", "identity"),
]


@pytest.mark.parametrize(("name", "first", "second"), TWICE)
@pytest.mark.parametrize("spelled", [str.lower, str.title])
async def test_a_header_sent_twice(tmp_path, upstream: Upstream, name, first, second, spelled):
    """A header by which is judged, sent twice, is a 400: two readers could take two different ones for it."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    body = json.dumps({"model": "p,m1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
    lines = {"host": "127.0.0.1", "x-api-key": KEY, "content-type": "application/json", "connection": "close"}
    lines.pop(name, None)
    pairs = [*lines.items(), ("content-length", str(len(body))), (name, first), (spelled(name), second)]
    head = "".join(f"{key}: {value}\r\n" for key, value in pairs)
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        answer = await raw(router, f"POST /v1/messages HTTP/1.1\r\n{head}\r\n{body}".encode())
    assert answer is not None
    assert answer.status == 400
    assert upstream.requests == []


SMUGGLED = [
    "content-length: 5\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 5",
    "content-length: 5\r\ncontent-length: 6",
    "content-length: 5, 6",
    "content-length: +5",
    "content-length: 0x5",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    "transfer-encoding : chunked",
    "content-length: 5\r\n transfer-encoding: chunked",
    "transfer-encoding: identity, chunked, identity",
]


@pytest.mark.parametrize("framing", SMUGGLED)
async def test_smuggling(tmp_path, upstream: Upstream, framing):
    """A request whose end could be read in two ways is refused with its connection: what is hidden behind it is never
    answered."""
    hidden = f"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\nconnection: close\r\n\r\n"
    request = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\n{framing}\r\n\r\n0\r\n\r\n{hidden}"
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        answer = await raw(router, request.encode())
    assert answer is None or answer.status == 400
    assert answer is None or b'"data":' not in answer.raw
    assert upstream.requests == []


async def test_two_lengths_are_refused_whatever_the_server_reads(tmp_path, upstream: Upstream):
    """A length and a transfer encoding at once are a 400 even if the HTTP parser lets them through."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        headers = {**WITH_KEY, "content-length": "2", "transfer-encoding": "chunked"}
        answer = await call(router.app, "POST", "/v1/messages", headers, b"{}")
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert "transfer-encoding" in answer.message


HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1,evil.example",
    "127.0.0.1/evil",
    "127.0.0.1#evil",
    "127.0.0.1?evil",
    "127.0.0.1 evil.example",
    "evil.example:127.0.0.1",
    "localhost.evil.example",
    "localhostevil",
    "[::1].evil.example",
    "[::1]evil",
    "[",
    "[::2]",
    "0.0.0.0",
    "0x7f000001",
    "2130706433",
    "127.1",
    "localhost\u00a0",
    "ｌｏｃａｌｈｏｓｔ".encode().decode("latin-1"),
    "",
    "127.0.0.1:port",
]


@pytest.mark.parametrize("host", HOSTS)
async def test_foreign_hosts(tmp_path, upstream: Upstream, host):
    """No name but a loopback name, written plainly, is one: not for clients without a key, not for management with."""
    async with running(settings(upstream), tmp_path) as router:
        assert (await call(router.app, "GET", "/v1/models", {"host": host})).status == 403
        assert (await call(router.app, "GET", "/api/config", {"host": host})).status == 403
        assert (await call(router.app, "GET", "/health", {"origin": f"http://{host}"})).status == 403
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        assert (await call(router.app, "GET", "/api/config", {"host": host, **WITH_KEY})).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/jsonp"},
        {"content-type": "text/plain; application/json"},
    ],
)
async def test_writes_are_json(tmp_path, upstream: Upstream, headers):
    """No write of management is taken in a form that a page elsewhere can send without asking first."""
    async with running(settings(upstream), tmp_path) as router:
        for row, path in PATHS.items():
            if row.access is MANAGEMENT and row.methods[0] not in {"GET", "HEAD"}:
                answer = await call(router.app, row.methods[0], path, {**headers, "content-length": "7"}, b'{"a":1}')
                assert answer.status == 415, path
                good = {"content-type": "Application/JSON; charset=utf-8"}
                assert (await call(router.app, row.methods[0], path, good, b'{"a":1}')).status != 415


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"content-length": "0"}, True),
        ({"content-length": "1"}, False),
        ({"transfer-encoding": "chunked"}, False),
        ({"content-type": "application/x-www-form-urlencoded"}, False),
        ({"content-type": ""}, False),
        ({"origin": "http://127.0.0.1:3456"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"referer": "http://127.0.0.1:3456/"}, False),
    ],
)
async def test_a_write_without_a_body(tmp_path, upstream: Upstream, headers, is_taken):
    """`curl -X POST` without a body is no write that a page can make: no type is asked of it. With any trace of a browser, or
    with a body, it is refused as before; over a real socket too.
    """
    async with running(settings(upstream), tmp_path) as router:
        for method, path in (("POST", "/api/restart"), ("DELETE", "/providers/nobody")):
            answer = await call(router.app, method, path, headers)
            assert (answer.status == 415) is not is_taken, (path, answer.status)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if headers.get("content-length") != "1" and "transfer-encoding" not in headers:
            sent = f"POST /api/restart HTTP/1.1\r\nHost: 127.0.0.1:3456\r\nConnection: close\r\n{lines}\r\n"
            answer = await raw(router, sent.encode())
            assert (answer.status == 415) is not is_taken


async def test_method_overrides_are_not_known(tmp_path, upstream: Upstream):
    """A header does not change the method that was judged."""
    async with running(settings(upstream), tmp_path) as router:
        for name in ("x-http-method-override", "x-http-method", "x-method-override"):
            answer = await call(router.app, "GET", "/providers/p", {name: "DELETE"})
            assert answer.json["name"] == "p"
        for name in ("x-original-url", "x-rewrite-url"):
            assert "Providers" not in (await call(router.app, "GET", "/health", {name: "/api/config"})).json


# -- the comparison of keys ------------------------------------------------------------------------------------------------


async def test_every_offered_key_is_compared(tmp_path, upstream: Upstream, monkeypatch):
    """Both keys of a request are compared by `Secret.matches`, whole, whether the first is right or not, and whatever
    their lengths; nothing is decided before."""
    compared = []
    matches = Secret.matches

    def noting(self, candidate):
        compared.append(candidate)
        return matches(self, candidate)

    monkeypatch.setattr(Secret, "matches", noting)
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        for first, second in ((KEY, "x"), ("x", KEY), ("", "y"), (KEY[:-1], KEY + "z"), ("é" * 5000, "\udcff")):
            compared.clear()
            pairs = [("x-api-key", first), ("authorization", f"Bearer {second}")]
            await call(router.app, "GET", "/v1/models", [p for p in pairs if p[1].isascii()])
            assert compared == [one for one in (first, second) if one and one.isascii()]


async def test_keys_are_not_taken_from_elsewhere(tmp_path, upstream: Upstream):
    """A key in the query string, a cookie, the body or another header is no key."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        query = f"key={KEY}&api_key={KEY}&apikey={KEY}&x-api-key={KEY}&token={KEY}&authorization={KEY}".encode()
        headers = {"cookie": f"x-api-key={KEY}", "api-key": KEY, "x-goog-api-key": KEY, "proxy-authorization": KEY}
        answer = await call(router.app, "GET", "/v1/models", headers, KEY.encode(), query=query)
        assert answer.status == 401
        assert KEY not in answer.raw.decode()


async def test_launch_keys_are_asked_last(tmp_path, upstream: Upstream):
    """Whoever shows the configured key is not asked for a launch's; one that fails opens nothing and tells nothing."""
    asked = []

    def is_launch_key(key):
        asked.append(key)
        if key == "broken":
            raise ValueError("the folder of launches is broken: secret-detail")
        return key == LAUNCH

    async with running(settings(upstream, APIKEY=KEY), tmp_path, is_launch_key=is_launch_key) as router:
        assert (await call(router.app, "GET", "/v1/models", WITH_KEY)).status == 200
        assert (await call(router.app, "GET", "/api/config", {"x-api-key": LAUNCH})).status == 401
        assert (await call(router.app, "GET", "/health", {"x-api-key": LAUNCH})).json.keys() == {
            "status",
            "timestamp",
            "service",
            "version",
        }
        assert (await call(router.app, "GET", "/v1/models", {"x-api-key": LAUNCH}, peer=ELSEWHERE)).status == 401
        assert asked == []
        assert (await call(router.app, "GET", "/v1/models", {"x-api-key": LAUNCH})).status == 200
        assert asked == [LAUNCH]
        broken = await call(router.app, "GET", "/v1/models", {"x-api-key": "broken"})
        assert broken.status == 500
        assert "secret-detail" not in broken.raw.decode()


# -- health ------------------------------------------------------------------------------------------------------------------


async def test_health_tells_strangers_nothing(tmp_path, upstream: Upstream):
    """What is in force is told with the key; without a configured one, to this machine only."""
    policy = Policy(name="strict", source="/etc/ccr/policy.json", digest="d1", is_pinned=True)
    told = {"name": "strict", "digest": "d1", "source": "/etc/ccr/policy.json", "isPinned": True}

    async def detail(router, headers=(), **more):
        return (await call(router.app, "GET", "/health", headers, **more)).json.get("policy", "untold")

    async with running(settings(upstream, APIKEY=KEY), tmp_path, policy=policy) as router:
        assert await detail(router) == "untold"
        assert await detail(router, {"x-api-key": "wrong"}) == "untold"
        assert await detail(router, WITH_KEY) == told
        assert await detail(router, WITH_KEY, peer=ELSEWHERE) == told
    async with running(settings(upstream), tmp_path) as router:
        assert await detail(router) is None
        assert await detail(router, peer=ELSEWHERE) == "untold"
        assert await detail(router, {"host": "evil.example"}) == "untold"
        assert await detail(router, {"forwarded": "for=127.0.0.1"}) == "untold"
        answer = await call(router.app, "GET", "/health")
        assert answer.json["config"] == {
            "path": str(tmp_path / "config.json"),
            "digest": router.app.edition.config.digest,
        }
        assert len(answer.json["config"]["digest"]) == 64

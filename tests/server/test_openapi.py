"""The description of the API against the routes, and against what the router really answers."""

from __future__ import annotations

import copy
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from ccrouter.audit.trail import AuditTrail
from ccrouter.compliance.document import read_policy
from ccrouter.config.load import load
from ccrouter.config.schema import DialectName, Fidelity, KeptContent, LogLevel
from ccrouter.dialects.base import Fate
from ccrouter.errors import ErrorType
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.logs.reading import RANKS
from ccrouter.routing.failures import FailureKind
from ccrouter.server.guard import Access
from ccrouter.server.log import ExchangeLog
from ccrouter.server.metrics_shared import KEY_STATES, TARGET_STATES
from ccrouter.server.routes import ROUTES
from ccrouter.store.replay import CHANGES
from ccrouter.store.verdict import By
from ccrouter.web.parts.spans import SPANS
from tests.gateway.conftest import Router, running
from tests.server.conftest import JSON, KEY, call, settings, until
from tests.store.seed import CHAT, Seeded, seed
from tests.upstream import Upstream, anthropic_wire, json_reply

DOCUMENT = json.loads(files("ccrouter.server").joinpath("openapi.json").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOG = "ccr-20261122100000.log"
#: What lines are asked for by.
LOGS = ("", f"file={LOG}&level=info&lines=2", f"file={LOG}.1&since=2026-01-01T00:00:00Z", f"file={LOG}.1")
SAY = {"model": "p,m1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
SESSION = {"x-claude-code-session-id": "of-today"}

FORMATS = FormatChecker(())


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value) -> bool:
    """True for a time in ISO 8601 with its zone."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def documented() -> Iterator[tuple[str, str, dict]]:
    """(path, method, operation) of the document."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            assert method in METHODS, (path, method)
            yield path, method, operation


def served() -> Iterator[tuple[str, str, Access]]:
    """(path, method, access) of the table, as far as it is to be documented; HEAD is answered wherever GET is."""
    for row in ROUTES:
        if row.path != "/ui" and not row.path.startswith("/ui/"):
            path = row.path.replace(":path}", "}")
            yield from ((path, method.lower(), row.access) for method in row.methods if method != "HEAD")


REGISTRY = Registry().with_resource("openapi", Resource(DOCUMENT, DRAFT202012))


def escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def validator(*place: str) -> Draft202012Validator:
    """Of the schema at that place in the document."""
    pointer = "/".join(map(escaped, place))
    return Draft202012Validator({"$ref": f"openapi#/{pointer}"}, registry=REGISTRY, format_checker=FORMATS)


def of_answer(path: str, method: str, status: int) -> Draft202012Validator:
    """Of what that operation says of answers of that status; the default only where it does not name it."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    name = str(status) if str(status) in responses else "default"
    place = ["paths", path, method, "responses", name]
    if "$ref" in responses[name]:
        place = responses[name]["$ref"].removeprefix("#/").split("/")
    return validator(*place, "content", "application/json", "schema")


def faults(check: Draft202012Validator, value) -> list[str]:
    """What is wrong with `value`, with its place."""
    found = [most_telling(one) for one in check.iter_errors(value)]
    return [f"{one.json_path}: {one.message[:100]} … {one.message[-200:]}" for one in found]


def most_telling(error: ValidationError) -> ValidationError:
    """Of an error about several possibilities that one within which says most."""
    return best_match([error]) or error


# -- the document itself -----------------------------------------------------------------------------------------------


def test_it_is_valid():
    """By the OpenAPI Initiative's own schema of 3.1, with every reference leading somewhere."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_that_check_finds_what_is_wrong():
    """A document with a reference that leads nowhere, or with a member that there is not, is refused."""
    for spoil in (
        lambda told: told["components"]["securitySchemes"]["key"].pop("name"),
        lambda told: told["paths"].update(health={}),
        lambda told: told["paths"]["/api/requests/{id}"]["get"].update(parameters=[]),
        lambda told: told["paths"]["/"]["get"].update(operationId="readHealth"),
        lambda told: told["components"]["schemas"]["Model"].update(type="thing"),
    ):
        spoiled = copy.deepcopy(DOCUMENT)
        spoil(spoiled)
        with pytest.raises(ValidationError):
            OpenAPIV31SpecValidator(spoiled).validate()


def test_every_reference_leads_somewhere():
    """Whatever is referred to is there; and whatever is there to be referred to is."""
    referred = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(DOCUMENT)))
    there = {
        f"{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in members
    }
    assert referred == there


def test_paths_and_methods_are_the_routes():
    """What is described is what is served, and the other way round: every path but the pages', every method."""
    assert sorted((path, method) for path, method, _ in documented()) == sorted(
        (path, method) for path, method, _ in served()
    )


def test_access_is_that_of_the_routes():
    """Each operation says who may ask as the table has it; what asks for a key says so by a scheme."""
    told = {(path, method): operation["x-access"] for path, method, operation in documented()}
    assert told == {(path, method): access.value for path, method, access in served()}
    for path, method, operation in documented():
        schemes = [] if operation["x-access"] == "open" else [{"key": []}, {"bearer": []}]
        assert operation["security"] == schemes, (path, method)
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["key"]["in"], schemes["key"]["name"], schemes["bearer"]["scheme"]) == (
        "header",
        "x-api-key",
        "bearer",
    )


def test_parameters_are_those_of_the_paths():
    """The parameters in a path are described, and no others; everything that can be asked has a meaning and a type."""
    for path, method, operation in documented():
        parameters = [
            DOCUMENT["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            for one in operation.get("parameters", ())
        ]
        of_path = [one["name"] for one in parameters if one["in"] == "path"]
        assert of_path == re.findall(r"\{(\w+)\}", path), (path, method)
        names = [(one["in"], one["name"]) for one in parameters]
        assert len(set(names)) == len(names)
        for one in parameters:
            assert one["description"].endswith("."), (path, one["name"])
            assert one["schema"]["type"], (path, one["name"])
            assert one["required"] == (
                one["in"] == "path" or (method, path, one["name"]) == ("delete", "/api/logs", "file")
            )


def test_operations_can_be_told_apart():
    """Each has an id of its own, one of the tags, and a summary in a line."""
    operations = [operation for _, _, operation in documented()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    tags = {one["name"] for one in DOCUMENT["tags"]}
    assert {tag for one in operations for tag in one["tags"]} == tags
    for one in operations:
        assert 5 < len(one["summary"]) < 120, one["summary"]
        assert not one["summary"].endswith("."), one["summary"]


def schemas(node, place="#") -> Iterator[tuple[str, dict]]:
    """Every schema of an object in the document, with its place."""
    if isinstance(node, dict):
        kind = node.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            yield place, node
        for name, value in node.items():
            if name != "example":
                yield from schemas(value, f"{place}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from schemas(value, f"{place}/{number}")


def test_objects_are_closed():
    """An object has fixed members, each described by a schema, and no others; or its names are data, and its values are
    described. Free are only requests and answers of other APIs, what a file or a request holds, and details of errors."""
    free = set()
    for place, schema in schemas(DOCUMENT):
        assert "additionalProperties" in schema, place
        if schema["additionalProperties"] is True:
            free.add(place.removeprefix("#/components/schemas/").replace("/properties", ""))
        elif schema["additionalProperties"] is False:
            assert set(schema.get("required", ())) <= set(schema.get("properties", ())), place
    assert {one for one in free if not one.startswith("#/paths/")} == {
        "Error/error/details",
        "StatusLine/style",
        "Config",
    }
    bodies = {
        re.sub(r"^#/paths/(.*?)/(get|post|put|delete|patch)/.*", r"\1", one) for one in free if one.startswith("#/")
    }
    assert bodies == {
        "/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions", "/chat/completions", "/v1/responses",
        "/responses", "/api/openapi.json", "/api/restart", "/api/routes/try", "/api/policy/simulate",
    }  # fmt: skip


def test_words_are_those_of_the_code():
    """Where one of several words is told, the document lists those that the code knows, and no others."""

    def words(name: str, *members: str) -> set[str]:
        schema = DOCUMENT["components"]["schemas"][name]
        for one in members:
            schema = schema["items"] if one == "[]" else schema["properties"][one]
        return set(schema["enum"]) - {None}

    assert words("Error", "error", "type") == set(get_args(ErrorType))
    assert words("Attempt", "kind") == set(get_args(FailureKind))
    assert words("TargetHealth", "state") == set(TARGET_STATES)
    assert words("KeyHealth", "state") == set(KEY_STATES)
    assert words("CacheVerdict", "by") == set(get_args(By))
    assert words("LedgerEntry", "fate") == set(get_args(Fate))
    assert words("RequestDetail", "fidelity") == set(get_args(Fidelity))
    assert words("RequestDetail", "content", "kind") == set(get_args(KeptContent)) - {"none"}
    assert words("LogLevel", "level") == set(get_args(LogLevel)) == set(RANKS)
    assert words("Providers", "providers", "[]", "dialect") == set(get_args(DialectName))
    assert words("Overview", "range", "name") == words("Requests", "spans", "[]") == {one.name for one in SPANS}
    counts = DOCUMENT["components"]["schemas"]["Simulation"]["properties"]["counts"]
    assert set(counts["properties"]) == set(CHANGES)


def test_examples_are_what_they_are_examples_of():
    """Each example of a body meets its schema."""
    seen = 0
    for path, method, operation in documented():
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in media:
            place = ("paths", path, method, "requestBody", "content", "application/json", "schema")
            assert faults(validator(*place), media["example"]) == [], path
            seen += 1
    assert seen > 10


async def test_it_is_served(tmp_path, upstream: Upstream):
    """As the file says it, to who may know."""
    async with running(settings(upstream), tmp_path) as router:
        answer = await call(router.app, "GET", "/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == DOCUMENT


# -- what is answered --------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A router to be asked, and what there is to ask it for."""

    router: Router
    folder: Path
    requests: tuple[str, ...] = ("last",)
    sessions: tuple[str, ...] = ("nobody",)
    change: str = ""
    logs: tuple[str, ...] = ("",)

    def gets(self) -> Iterator[tuple[str, str, str]]:
        """(path of the document, path, query) of everything that can be read."""
        own: dict[str, list[tuple[str, str]]] = {
            "/v1/models/{id}": [("/v1/models/p,m1", ""), ("/v1/models/claude-x", "")],
            "/models/{id}": [("/models/p,m1", "")],
            "/api/statusline": [("/api/statusline", f"session={one}") for one in (*self.sessions, "of-today", "")],
            "/api/exchanges/{id}": [(f"/api/exchanges/{one}", "") for one in self.requests],
            "/api/requests/{id}": [(f"/api/requests/{one}", "") for one in self.requests],
            "/api/sessions/{id}": [(f"/api/sessions/{one}", "") for one in self.sessions],
            "/providers/{id}": [("/providers/p", "")],
            "/api/overview": [("/api/overview", ""), *(("/api/overview", f"range={one}") for one in ("1h", "90d"))],
            "/api/requests": [
                ("/api/requests", ""),
                ("/api/requests", f"status=failed&since=7d&model={CHAT}&search=req"),
                ("/api/requests", "session=of-today&before=99999999999999999999"),
            ],
            "/api/sessions": [("/api/sessions", ""), ("/api/sessions", "search=5e55&since=2026-01-01&project=x")],
            "/api/config/file": [("/api/config/file", ""), ("/api/config/file", f"change={self.change}&saved=x")],
            "/api/logs": [("/api/logs", one) for one in self.logs],
            "/api/logs/lines": [("/api/logs/lines", one) for one in self.logs],
        }
        for path, method, _ in documented():
            if method == "get" and path not in {"/metrics", "/api/openapi.json"}:
                for asked, query in own.get(path, [(path, "")]):
                    yield path, asked, query


async def examined(scene: Scene, *missing: str) -> dict[tuple[str, str], object]:
    """Every answer, by its address; each is a 200 (but of those that are `missing` there), and as it is described."""
    answers: dict[tuple[str, str], object] = {}
    wrong = []
    for path, asked, query in scene.gets():
        answer = await call(scene.router.app, "GET", asked, {"x-api-key": KEY}, query=query.encode())
        if (answer.status == 200) == (path in missing):
            wrong.append(f"{asked}?{query}: {answer.status} {answer.raw[:200]!r}")
            continue
        found = faults(of_answer(path, "get", answer.status), answer.json)
        wrong += [f"{asked}?{query} {one}" for one in found]
        answers[path, f"{asked}?{query}"] = answer.json
    assert not wrong, "\n".join(wrong)
    return answers


def rich(upstream: Upstream) -> dict:
    """A configuration with something of everything."""
    config = settings(
        upstream,
        APIKEY=KEY,
        StatusLine={
            "enabled": True,
            "currentStyle": "mine",
            "mine": {"modules": [{"type": "model", "text": "{{model}}"}]},
        },
        retry={"again": 0},
    )
    config["Providers"][0]["api_key"] = [
        {"key": "sk-one-0123456789abcdef", "label": "one", "requestsPerMinute": 60, "concurrent": 5},
        {"key": "sk-two-0123456789abcdef", "label": "two"},
    ]
    config["Providers"].append(
        {"name": "away", "api_base_url": "https://away.example/v1/messages", "api_key": "$NOT_SET", "models": ["a"]}
    )
    config["Router"] |= {
        "think": "p,m2",
        "image": "p,m2",
        "claude-opus-*": "p,m2",
        "fallback": {"default": ["p,m2"]},
        "longContextThreshold": 70_000,
    }
    return config


@pytest.fixture(scope="module")
def seeded(tmp_path_factory) -> Seeded:
    return seed(tmp_path_factory.mktemp("records") / "records.db", now=time.time(), content=True)


@pytest.fixture
def records(seeded, tmp_path) -> Path:
    """A file of records of the test's own."""
    for one in seeded.path.parent.iterdir():
        shutil.copy(one, tmp_path)
    return tmp_path / seeded.path.name


def log_in(folder: Path) -> ExchangeLog:
    (folder / "logs").mkdir()
    (folder / "logs" / f"{LOG}.1").write_text('{"level":35,"msg":"older","more":{"deep":1}}\nnot JSON\n')
    return ExchangeLog(folder / "logs" / LOG, "info")


async def test_answers_of_a_busy_router(tmp_path, upstream: Upstream, seeded, records):
    """Whatever can be read, of a router with records, a log, a target that fails, a key that rests, a test of a provider,
    a change that is pending and a request under way, is as it is described: no member more, none less."""
    quota = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "9s",
    }
    upstream.reply(json_reply(anthropic_wire.message_json("ok"), headers=quota))
    upstream.reply(
        json_reply(anthropic_wire.error_json("rate_limit_error", "no"), status=429, headers={"retry-after": "60"})
    )
    upstream.always(json_reply(anthropic_wire.error_json("overloaded_error", "no"), status=529))
    log = log_in(tmp_path)
    environ = {"HOME": str(tmp_path)}
    async with running(rich(upstream), tmp_path, environ, records=records, log=log) as router:
        own = {"x-api-key": KEY, **SESSION}
        assert (await router.ask(own, **SAY))[0] == 200
        assert (await router.ask(own, **SAY))[0] != 200
        assert (await router.ask(own, **SAY | {"model": "p,m2"}))[0] == 529
        begun = await call(
            router.app, "POST", "/api/providers/test", {**JSON, **own}, b'{"provider": "p", "model": "m2"}'
        )
        assert begun.status == 202
        assert faults(of_answer("/api/providers/test", "post", 202), begun.json) == []
        change = await pending(router)
        under_way = Exchange("req_under_way", "/v1/messages", router.app.now(), asked="claude-x")
        under_way.attempts = [Attempt("p,m1", 0.1)]
        router.app.exchanges.begin(under_way)
        ids = (*seeded.special.values(), "last", "req_under_way")
        scene = Scene(router, tmp_path, ids[:-1], (*seeded.sessions, "of-today"), change, LOGS)
        answers = await examined(scene)
        live = await call(router.app, "GET", "/api/requests/req_under_way", own)
        assert faults(of_answer("/api/requests/{id}", "get", 200), live.json) == []
    log.close()
    seen = {path for path, _ in answers}
    assert seen == {path for path, method, _ in documented() if method == "get"} - {"/metrics", "/api/openapi.json"}
    told = {path: answer for (path, _), answer in reversed(answers.items())}
    assert told["/api/overview"]["live"]
    assert told["/api/requests"]["items"]
    assert told["/api/health/targets"]["targets"][0]["lastFailure"]
    assert told["/api/health/targets"]["providers"][0]["keys"][0]["quota"]
    assert told["/api/providers"]["test"]
    assert told["/api/logs/lines"]["lines"]
    assert answers["/api/config/file", f"/api/config/file?change={change}&saved=x"]["change"]["diff"]


async def pending(router: Router) -> str:
    """A change of the configuration is pending: its id."""
    headers = {"x-api-key": KEY, "content-type": "application/x-www-form-urlencoded"}
    body = b"route.background=p,m2&was.route.background="
    answer = await call(router.app, "POST", "/ui/config/change/router", headers, body)
    assert answer.status == 303, answer.raw
    found = re.search(r"change=([^#&]+)", answer.headers["location"])
    assert found is not None
    return found[1]


async def test_answers_about_changes_that_are_pending(tmp_path, upstream: Upstream):
    """The configuration with a backup, with a change whose file others have changed meanwhile, and with one that cannot
    be read as it was typed."""
    form = {"x-api-key": KEY, "content-type": "application/x-www-form-urlencoded"}
    path, check = "/api/config/file", of_answer("/api/config/file", "get", 200)
    async with running(rich(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        change = await pending(router)
        present = json.loads((tmp_path / "config.json").read_bytes())
        body = json.dumps({**present, "PORT": 4000}).encode()
        saved = await call(router.app, "POST", "/api/config", {"x-api-key": KEY, **JSON}, body)
        assert faults(of_answer("/api/config", "post", 200), saved.json) == []
        typed = await call(router.app, "POST", "/ui/config/change/text", form, b"text=%7B%22a%22%3A&digest=other")
        found = re.search(r"change=([^#&]+)", typed.headers["location"])
        assert found is not None
        answers = {}
        for name, one in (("conflict", change), ("typed", found[1])):
            answer = await call(router.app, "GET", path, {"x-api-key": KEY}, query=f"change={one}".encode())
            assert faults(check, answer.json) == []
            answers[name] = answer.json
    assert answers["conflict"]["change"]["conflict"]["diff"]
    assert answers["conflict"]["backups"]
    assert answers["typed"]["change"]["typedProblems"]


async def test_answers_while_a_target_is_passed_over(tmp_path, upstream: Upstream):
    """Health, providers, routes and a trial where a target failed too often and keys rest, and a test that is over."""
    upstream.reply(*[json_reply(anthropic_wire.error_json("overloaded_error", "no"), status=529)] * 2)
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    config = rich(upstream) | {"retry": {"again": 0, "openAfter": 1, "openSeconds": 60}}
    config["Providers"][0]["api_key"][1] |= {"tokensPerMinute": 100}
    headers = {"x-api-key": KEY, **JSON}
    async with running(config, tmp_path, {"HOME": str(tmp_path)}) as router:
        assert (await router.ask({"x-api-key": KEY}, **SAY))[0] == 529
        begun = await call(router.app, "POST", "/api/providers/test", headers, b'{"provider": "p", "model": "m1"}')
        assert begun.status == 202
        await until(lambda: router.app.examiner.here()["state"] != "running")
        told = {}
        for path in ("/api/health/targets", "/api/providers", "/api/routes", "/api/exchanges/{id}"):
            answer = await call(router.app, "GET", path.replace("{id}", "last"), headers)
            assert faults(of_answer(path, "get", 200), answer.json) == []
            told[path] = answer.json
        tried = await call(router.app, "POST", "/api/routes/try", headers, json.dumps({"request": SAY}).encode())
        assert faults(of_answer("/api/routes/try", "post", 200), tried.json) == []
    assert told["/api/health/targets"]["targets"][0]["secondsLeft"]
    assert told["/api/providers"]["test"]["ended"]
    assert tried.json["targets"][0]["passedOver"]


FILES = {
    "broken": b'{"Providers": [',
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "wrong": json.dumps({"Providers": [], "Router": {"default": "nobody,x"}, "oddity": 1}).encode(),
    "guide": json.dumps(
        {"providers": {"a": {"url": "https://a.example", "key": "$A"}}, "router": {"default": "a/b"}}
    ).encode(),
    "gone": None,
}


@pytest.mark.parametrize("state", FILES)
async def test_answers_about_a_file_in_any_state(tmp_path, upstream: Upstream, state):
    """The configuration, whatever has become of its file since it was read."""
    async with running(rich(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        content = FILES[state]
        if content is None:
            (tmp_path / "config.json").unlink()
        else:
            (tmp_path / "config.json").write_bytes(content)
        for path in ("/api/config/file", "/api/config", "/api/policy"):
            answer = await call(router.app, "GET", path, {"x-api-key": KEY}, query=b"change=nobody")
            assert answer.status == 200
            assert faults(of_answer(path, "get", 200), answer.json) == []


async def test_answers_about_a_broken_audit_log(tmp_path, upstream: Upstream):
    """The state of the policy where a line of the audit log was changed, and where it cannot be read."""
    folder = tmp_path / ".claude-code-router" / "audit"
    folder.mkdir(parents=True)
    trail = AuditTrail(folder, 3456, is_required=True)
    for number in range(3):
        trail.record("denial", {"request": f"req_{number}", "rule": "hosts.allowed", "result": "denied"})
    trail.close()
    live = folder / "audit-3456.jsonl"
    live.write_bytes(live.read_bytes().replace(b"req_1", b"req_7"))
    check = of_answer("/api/policy/state", "get", 200)
    async with running(settings(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert told["audit"]["chains"][0]["state"] == "broken"
        assert faults(check, told) == []
        live.unlink()
        live.mkdir()
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert faults(check, told) == []


def trials() -> Iterator[tuple[str, dict]]:
    """Requests to be tried, by what is special about them."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    yield "image", {"request": {**SAY, "messages": [{"role": "user", "content": [image]}]}}
    yield "thinking", {"request": {**SAY, "thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 9000}}
    yield "alias", {"request": {**SAY, "model": "claude-opus-4-5"}}
    agent = {"x-claude-code-agent-id": "a1", "x-claude-code-request-class": "subagent"}
    yield "agent", {"request": SAY, "headers": agent}
    yield "nobody", {"request": {**SAY, "model": "nobody,x"}}
    yield "away", {"request": {**SAY, "model": "away,a"}}
    yield "responses", {"request": {"model": "p,m1", "input": "x"}, "api": "openai_responses"}
    yield "chat", {"request": {"model": "p,m1", "messages": SAY["messages"], "logit_bias": {}}, "api": "openai_chat"}


@pytest.mark.parametrize("policy", ["none", "anthropic-only"])
async def test_answers_about_requests_that_are_tried(tmp_path, upstream: Upstream, policy):
    """Whatever would become of a request, and whatever the policy says of it, is told as it is described."""
    environ = {"HOME": str(tmp_path)}
    more = {} if policy == "none" else {"policy": read_policy(policy, environ)}
    results, check = set(), of_answer("/api/routes/try", "post", 200)
    async with running(rich(upstream), tmp_path, environ, **more) as router:
        for name, body in trials():
            assert faults(request_of("/api/routes/try", "post"), body) == []
            answer = await call(
                router.app, "POST", "/api/routes/try", {"x-api-key": KEY, **JSON}, json.dumps(body).encode()
            )
            assert answer.status == 200, (name, answer.raw)
            assert faults(check, answer.json) == [], name
            results.add(answer.json["result"])
    assert results == ({"sent", "refused"} if policy == "none" else {"denied"})


async def test_answers_where_nothing_was_recorded_yet(tmp_path, upstream: Upstream):
    """The same of a router that has just begun: with a file for records, and nothing in it."""
    async with running(
        settings(upstream), tmp_path, {"HOME": str(tmp_path)}, records=tmp_path / "records.db"
    ) as router:
        nothing = ("/api/exchanges/{id}", "/api/requests/{id}", "/api/sessions/{id}")
        answers = await examined(Scene(router, tmp_path), *nothing)
    assert answers["/api/requests", "/api/requests?"]["records"]["state"] == "kept"


async def test_answers_of_a_router_that_records_nothing(tmp_path, upstream: Upstream):
    """The same where recording is off; what became of the last request is then remembered alone."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        assert (await router.ask(SESSION, **SAY))[0] == 200
        answers = await examined(Scene(router, tmp_path))
    assert answers["/api/requests", "/api/requests?"]["records"]["state"] == "off"
    assert answers["/api/exchanges/{id}", "/api/exchanges/last?"]["id"].startswith("req_")


async def test_answers_where_records_cannot_be_read(tmp_path, upstream: Upstream):
    """The same where the file is none of records."""
    (tmp_path / "records.db").write_bytes(b"this is no database" * 100)
    async with running(
        settings(upstream), tmp_path, {"HOME": str(tmp_path)}, records=tmp_path / "records.db"
    ) as router:
        scene = Scene(router, tmp_path)
        answer = await call(router.app, "GET", "/api/requests", {})
        assert answer.json["records"]["state"] == "unusable"
        for path in ("overview", "requests", "requests/x", "sessions", "sessions/x", "providers", "routes"):
            answer = await call(scene.router.app, "GET", f"/api/{path}", {})
            assert faults(of_answer(f"/api/{path.replace('/x', '/{id}')}", "get", answer.status), answer.json) == []


async def test_answers_under_a_policy(tmp_path, upstream: Upstream, seeded, records):
    """The same where a policy is in force that forbids the targets, and keeps an audit log."""
    environ = {"HOME": str(tmp_path)}
    policy = read_policy("anthropic-only", environ)
    folder = tmp_path / ".claude-code-router" / "audit"
    folder.mkdir(parents=True)
    trail = AuditTrail(folder, 3456, is_required=True)
    async with running(
        settings(upstream, APIKEY=KEY), tmp_path, environ, records=records, policy=policy, auditor=trail
    ) as router:
        assert (await router.ask({"x-api-key": KEY}, **SAY))[0] == 403
        scene = Scene(router, tmp_path, sessions=tuple(seeded.sessions[:1]))
        answers = await examined(scene, "/v1/models/{id}", "/models/{id}")
    trail.close()
    state = answers["/api/policy/state", "/api/policy/state?"]
    assert state["policy"]["rules"]
    assert state["denials"]


# -- writes ------------------------------------------------------------------------------------------------------------


def request_of(path: str, method: str) -> Draft202012Validator:
    return validator("paths", path, method, "requestBody", "content", "application/json", "schema")


def reload_of(folder: Path, environ: dict[str, str]):
    """What a router reads its file anew by."""
    return lambda policy: (load(folder / "config.json", environ), policy)


WRITES: list[tuple[str, str, str, dict | None]] = [
    ("post", "/api/event_logging/batch", "", {"events": []}),
    ("post", "/v1/messages/count_tokens", "", SAY),
    ("post", "/api/health/reset", "", {"provider": "p", "model": "m1"}),
    ("post", "/api/health/reset", "", None),
    ("post", "/api/logs/level", "", {"level": "debug"}),
    ("delete", "/api/logs", f"file={LOG}.1", None),
    (
        "post",
        "/providers",
        "",
        {"name": "q", "type": "openai", "baseUrl": "https://q.example/v1", "apiKey": "k", "models": ["x"]},
    ),
    ("put", "/providers/{id}", "", {"models": ["m1", "m2", "m3"]}),
    ("patch", "/providers/{id}/toggle", "", {"enabled": True}),
    ("post", "/api/routes/try", "", {"request": SAY, "headers": {"x-claude-code-session-id": "s"}}),
    ("post", "/api/routes/try", "", {"request": {**SAY, "model": "nobody,x"}, "api": "openai_chat"}),
    ("post", "/api/policy/simulate", "", {"policy": "anthropic-only", "since": "all"}),
    ("post", "/api/policy/simulate", "", {"config": {"Providers": [], "Router": {}}, "since": "all"}),
    ("post", "/api/policy/simulate", "", {"policy": {"version": 1, "models": {"banned": ["claude-opus-*"]}}}),
    ("delete", "/providers/{id}", "", None),
    ("post", "/api/config", "", {"Providers": [], "Router": {"default": "nobody,x"}}),
    ("post", "/api/restart", "", None),
]


async def test_answers_to_writes(tmp_path, upstream: Upstream, records):
    """What is written as it is described is taken or refused as it is described, each write once at least."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    log, wrong = log_in(tmp_path), []
    environ = {"HOME": str(tmp_path)}
    again = reload_of(tmp_path, environ)
    async with running(rich(upstream), tmp_path, environ, records=records, log=log, reload=again) as router:
        for method, path, query, body in WRITES:
            if body is not None:
                assert faults(request_of(path, method), body) == [], path
            raw = b"" if body is None else json.dumps(body).encode()
            headers = {"x-api-key": KEY, **({} if body is None else JSON)}
            place = path.replace("{id}", "p" if method != "delete" else "q")
            answer = await call(router.app, method.upper(), place, headers, raw, query=query.encode())
            assert answer.status < 500, (path, answer.raw)
            wrong += [
                f"{method} {path} {answer.status} {one}"
                for one in faults(of_answer(path, method, answer.status), answer.json)
            ]
    log.close()
    assert not wrong, "\n".join(wrong)
    written = {(method, path) for method, path, _, _ in WRITES} | {("post", "/api/providers/test")}
    conversations = {row.path for row in ROUTES if row.endpoint is None}
    assert written == {(m, p) for p, m, _ in documented() if m != "get" and p not in conversations}


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_errors_are_as_they_are_described(tmp_path, upstream: Upstream):
    """Each operation's refusals, of who has no key, comes from elsewhere, writes no JSON, asks for what there is not or
    for what cannot be, have a status that it names and the form that it says."""
    ways = {
        "no key": ({}, "127.0.0.1", b"{}"),
        "elsewhere": ({"x-api-key": KEY}, "192.0.2.7", b"{}"),
        "foreign": ({"x-api-key": KEY, "origin": "https://evil.example"}, "127.0.0.1", b"{}"),
        "no JSON": ({"x-api-key": KEY, "content-type": "text/plain"}, "127.0.0.1", b"x"),
        "broken": ({"x-api-key": KEY, **JSON}, "127.0.0.1", b"{"),
        "odd": ({"x-api-key": KEY, **JSON}, "127.0.0.1", b'{"oddity": 1}'),
        "wordy": ({"x-api-key": KEY, **JSON}, "127.0.0.1", b"[]"),
    }
    wrong, seen = [], set()
    upstream.always(json_reply(anthropic_wire.error_json("invalid_request_error", "no"), status=400))
    environ = {"HOME": str(tmp_path)}
    again = reload_of(tmp_path, environ)
    async with running(settings(upstream, APIKEY=KEY), tmp_path, environ, reload=again) as router:
        for path, method, operation in documented():
            for name, (headers, peer, body) in ways.items():
                raw = b"" if method == "get" else body
                asked = path.replace("{id}", "nobody,x")
                query = b"&".join(b"a=1" for _ in range(100)) if name == "wordy" else b"file=nobody&lines=x&before=-1"
                answer = await call(router.app, method.upper(), asked, headers, raw, peer=peer, query=query)
                if answer.status < 400:
                    continue
                seen.add(answer.status)
                if str(answer.status) not in operation["responses"]:
                    wrong.append(f"{method} {path}, {name}: {answer.status} is not told of {answer.raw[:100]!r}")
                wrong += [
                    f"{method} {path}, {name} {one}"
                    for one in faults(of_answer(path, method, answer.status), answer.json)
                ]
    assert not wrong, "\n".join(wrong)
    assert {400, 401, 403, 404, 409, 415} <= seen


def test_the_example_of_the_reference():
    """The page of requests that the reference shows is one."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    (shown,) = [one for one in examples if isinstance(one, dict) and "filters" in one]
    assert faults(validator("components", "schemas", "Requests"), shown) == []


# -- the checks can fail -----------------------------------------------------------------------------------------------


def objects(value, place: str = "") -> Iterator[tuple[str, dict]]:
    """Every object within `value`, with its place."""
    if isinstance(value, dict):
        yield place, value
        for name, one in value.items():
            yield from objects(one, f"{place}.{name}")
    elif isinstance(value, list):
        for one in value[:2]:
            yield from objects(one, f"{place}[]")


#: Objects whose members are data: names, or what somebody else wrote.
OPEN_OBJECTS = re.compile(r"\.turnOf$|\.markOf$|\.style(\..*)?$")


async def test_a_member_more_is_refused(tmp_path, upstream: Upstream, seeded, records):
    """A made-up member, anywhere in an answer, and a member that is missing, are each found: so what is added to the
    facts of a page has to be described."""
    async with running(rich(upstream), tmp_path, {"HOME": str(tmp_path)}, records=records) as router:
        scene = Scene(router, tmp_path, (seeded.special["fallback"],), (seeded.sessions[0],))
        answers = await examined(scene)
    tried = 0
    for (path, asked), answer in answers.items():
        if path == "/api/config":
            continue
        check = of_answer(path, "get", 200)
        places = {place: found for place, found in objects(answer) if not OPEN_OBJECTS.search(place)}
        for place, found in places.items():
            found["madeUp"] = 1
            assert not check.is_valid(answer), (asked, place)
            del found["madeUp"]
            tried += 1
        assert check.is_valid(answer), asked
        if isinstance(answer, dict):
            first = next(iter(answer))
            assert not check.is_valid({name: value for name, value in answer.items() if name != first}), asked
    assert tried > 200


def test_a_wrong_time_is_refused():
    """A time that is none, or that has no zone, is found."""
    check = validator("components", "schemas", "Health", "properties", "timestamp")
    assert check.is_valid("2026-11-22T10:00:00.000Z")
    assert not check.is_valid("2026-11-22T10:00:00")
    assert not check.is_valid("today")

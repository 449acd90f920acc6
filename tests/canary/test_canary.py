"""No secret, and nothing that was said, is found where it does not belong: files, outputs, answers, traces.

What is searched: every file below HOME, every byte that the router and the commands print, every answer's head and
body; for every canary, plain, escaped, encoded and in halves.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ccrouter.config.load import load
from ccrouter.secret import redact
from ccrouter.web.pages import PAGES
from tests.canary import canaries as c
from tests.canary.scene import (
    FAILURES,
    POLICY,
    SHAPES,
    SLOW,
    VARIABLES,
    Scene,
    answer,
    client_headers,
    conversation,
)
from tests.canary.search import Canary, leaks, leaks_in_files
from tests.cli.conftest import Ccr, ccr, free_port, port
from tests.upstream import ThreadedUpstream

__all__ = ["ccr", "port"]

KEYS = {"x-api-key": c.ROUTER.text}

#: Place → canaries that belong there, and why.
BELONGS: dict[str, tuple[tuple[Canary, ...], str]] = {
    "stdout of ccr activate": (
        (c.ROUTER,),
        "it prints the variables that lead claude to the router, its key with them",
    ),
    "stdout of ccr activate --shell vscode": ((c.ROUTER,), "as above"),
}


@pytest.fixture
def upstream() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as up:
        up.always(answer)
        yield up


@pytest.fixture(params=SHAPES)
def scene(request, ccr: Ccr, port: int, upstream: ThreadedUpstream) -> Scene:
    text = json.dumps(SHAPES[request.param](upstream.url, port), ensure_ascii=False, indent=2)
    ccr.configure()
    path = ccr.folder / "config.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    (ccr.folder / "policy.json").write_text(json.dumps(POLICY))
    (ccr.folder / "policy.json").chmod(0o600)
    ccr.environ |= VARIABLES
    return Scene(ccr, upstream, port)


def test_nothing_is_left_behind(scene: Scene, tmp_path: Path):
    """A router that was asked well and badly, whose providers failed in every way and quoted the keys, that was managed,
    reloaded, examined by every command, and that broke: of all its keys, and of all that was said, nothing is left where
    it does not belong.
    """
    router = scene.start(tmp_path)
    talk(scene)
    intrude(scene)
    manage(scene)
    look(scene)
    command(scene)
    scene.stop(router)
    assert len(scene.upstream.requests) > 100
    found = [*in_what_was_seen(scene), *in_files(scene.ccr.home)]
    assert found == [], "\n" + "\n".join(found)


def talk(scene: Scene) -> None:
    """Every kind of exchange, by both wire formats, streamed and not."""
    for provider in ("messages", "chat", "passphrase", "variable", "default", "openrouter", "userinfo"):
        for streamed in (False, True):
            status, body = scene.message(f"{provider},good", stream=streamed, is_told=True)
            assert status == 200, body
            assert c.ANSWER.text.encode() in body or streamed
    sent = b"".join(one.body + str(one.headers.raw).encode() + one.target.encode() for one in scene.upstream.requests)
    assert (
        leaks([*c.CREDENTIALS, c.ROUTER], sent, "what went upstream") == []
    )  # what clients show goes nowhere but here
    for canary in (
        c.ANTHROPIC,
        c.GOOGLE,
        c.PASSPHRASE,
        c.DEFAULT,
        c.OPENROUTER,
        c.QUERY,
        c.HEADER,
        c.EXTRA_BODY,
        c.USER,
    ):
        assert leaks([canary], sent, "") != [], (
            f"{canary.name} did not reach the upstream: the test would prove nothing"
        )
    for provider, is_chat in (("messages", False), ("chat", True)):
        for failure in FAILURES[is_chat]:
            for streamed in (False,) if failure in SLOW else (False, True):
                is_told = failure.startswith(
                    "quotes-content"
                )  # a provider's words go to the client, whose content it is
                scene.message(f"{provider},{failure}", stream=streamed, is_told=is_told)
    status, _ = scene.message("proxied,good")
    assert status == 502
    status, body = scene.message("defect")
    assert status == 500, body
    status, body = scene.message("messages,banned-model")
    assert status == 403, body
    scene.message("nobody,nothing")
    headers = {**client_headers(), **KEYS}
    scene.ask("POST", "/v1/messages/count_tokens", conversation("messages,good"), headers)
    scene.ask("POST", "/v1/messages/count_tokens", conversation("chat,unauthorized"), headers)
    scene.ask("GET", "/v1/models", headers=headers)
    scene.ask("GET", "/v1/models/messages,good", headers=headers)


def intrude(scene: Scene) -> None:
    """Wrong keys, forged names, broken bodies, wrong paths."""
    body = conversation("messages,good")
    wrong = {**client_headers(), "x-api-key": c.WRONG_KEY.text}
    for path in ("/v1/messages", "/v1/messages/count_tokens", "/api/config", "/api/restart", "/providers", "/nowhere"):
        status, _ = scene.ask("POST", path, body, wrong, name=f"a wrong key at {path}")
        assert status in {401, 403}, path
        scene.ask("POST", path, body, client_headers(), name=f"an OAuth token at {path}")
    scene.ask("GET", "/api/config", headers={**KEYS, "origin": "https://evil.example"}, name="a foreign Origin")
    scene.ask("GET", f"/v1/models?key={c.IN_QUERY.text}", name="a key in the query")
    scene.ask("GET", f"/?api_key={c.IN_QUERY.text}", headers=KEYS, name="a key in the query of a right one")
    scene.ask(
        "POST", f"/v1/messages?api_key={c.IN_QUERY.text}", body, KEYS | client_headers(), name="both", is_told=True
    )
    headers = {**client_headers(), **KEYS}
    bodies = {
        "cut off": body[: len(body) // 2],
        "no JSON": c.USER.text.encode(),
        "a list": json.dumps([c.USER.text]).encode(),
        "a text for messages": json.dumps({"model": "m", "max_tokens": 9, "messages": c.USER.text}).encode(),
        "a message of no role": json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": c.USER.text, "content": c.TOOL_RESULT.text}]}).encode(),
        "a number as system": json.dumps({"model": "m", "max_tokens": c.METADATA.text, "messages": []}).encode(),
        "unknown blocks": json.dumps({"model": "chat,good", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "novel", "text": c.USER.text}]}]}).encode(),
        "a broken image": json.dumps({"model": "chat,good", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "x", "data": c.USER.text}}]}]}).encode(),
        "no UTF-8": b'{"model": "\xff\xfe' + c.USER.text.encode("utf-16-le"),
        "deep": b'{"messages":' + b"[" * 20_000,
        "a bad encoding": b"\x1f\x8b" + c.USER.text.encode(),
    }  # fmt: skip
    for name, broken in bodies.items():
        more = {"content-encoding": "gzip"} if name == "a bad encoding" else {}
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            status, _ = scene.ask("POST", path, broken, headers | more, name=f"a body that is {name} at {path}")
            assert (
                status >= 400 or "count" in path or name in {"a message of no role", "unknown blocks", "a broken image"}
            )


def manage(scene: Scene) -> None:
    """Reading, writing and reloading the configuration, as programs in the wild do."""
    shown = {}
    for path in (
        "/health",
        "/api/config",
        "/providers",
        "/providers/chat",
        "/api/policy",
        "/api/transformers",
        "/nowhere",
    ):
        status, body = scene.ask("GET", path, headers=KEYS)
        assert status == (404 if path == "/nowhere" else 200), f"{path}: {body!r}"
        shown[path] = body
    as_read = json.loads(shown["/api/config"])
    headers = {**KEYS, "content-type": "application/json"}
    status, body = scene.ask("POST", "/api/config", json.dumps({**as_read, "API_TIMEOUT_MS": 30_000}).encode(), headers)
    assert status == 200, body
    written = config_text(scene)
    assert "***" not in written
    assert "CCR_CANARY_GOOGLE" in written
    assert leaks([c.GOOGLE], written.encode(), "the config") == []  # a variable's value is not written back
    for name, change in WRONG_CHANGES.items():
        status, body = scene.ask("POST", "/api/config", json.dumps({**as_read, **change}).encode(), headers, name=name)
        assert status in {400, 403}, f"{name}: {body!r}"
    scene.ask("POST", "/api/config", b'{"APIKEY": "' + c.NEAR_AN_ERROR.text.encode(), headers, name="half a config")
    status, body = scene.ask("POST", "/api/restart", b"{}", headers)
    assert status == 200, body
    path = scene.ccr.folder / "config.json"
    for name, broken in BROKEN_FILES.items():
        path.write_bytes(broken)
        status, _ = scene.ask("POST", "/api/restart", b"{}", headers, name=f"a reload of {name}")
        assert status == 400, name
        scene.ask("GET", "/api/config", headers=KEYS, name=f"the config while it is {name}")
        scene.ask("POST", "/api/config", json.dumps(as_read).encode(), headers, name=f"a save over {name}")
    path.write_text(written, encoding="utf-8")
    new = {"name": "late", "api_base_url": "ftp://x/y", "api_key": c.NEAR_AN_ERROR.text, "models": ["m"]}
    scene.ask("POST", "/providers", json.dumps(new).encode(), headers, name="a provider to be added")
    scene.ask(
        "PUT", "/providers/chat", json.dumps({"api_key": c.NEAR_AN_ERROR.text}).encode(), headers, name="a change"
    )
    status, _ = scene.message("messages,good", is_told=True)
    assert status == 200


def look(scene: Scene) -> None:
    """Every page and its facts, with a request and a session of each kind in the records; metrics; and what forms tell."""
    status, body = scene.ask("GET", "/api/requests", headers=KEYS)
    assert status == 200, body
    items = json.loads(body)["items"]
    assert len(items) > 20, "nothing was recorded: the test would prove nothing"
    sessions = json.loads(scene.ask("GET", "/api/sessions", headers=KEYS)[1])["items"]
    assert sessions
    names = {"id": [one["id"] for one in items[:20]]}
    for page in PAGES:
        wanted = names["id"] if "requests/{" in page.path else [one["session"] for one in sessions[:3]]
        for one in wanted if "{" in page.path else [""]:
            for path in (page.path, page.twin):
                place = re.sub(r"\{\w+\}", one, path)
                status, body = scene.ask("GET", place, headers=KEYS)
                assert status == 200, f"{place}: {body[:500]!r}"
    for path in (
        "/metrics", f"/api/statusline?session={sessions[0]['session']}", "/api/logs?lines=10000", "/api/logs/files",
        "/api/openapi.json", "/api/health/targets", "/api/exchanges/last", *(f"/api/exchanges/{one}" for one in names["id"][:5]),
    ):  # fmt: skip
        status, body = scene.ask("GET", path, headers=KEYS)
        assert status == 200, f"{path}: {body[:500]!r}"
    file = max((scene.ccr.folder / "logs").glob("ccr-*.log")).name
    assert scene.ask("GET", f"/ui/logs/download?file={file}", headers=KEYS)[0] == 200
    fill_in(scene)


def fill_in(scene: Scene) -> None:
    """The forms, with what may be wrong in them; the text of the configuration with a new secret in it."""
    form = {**KEYS, "content-type": "application/x-www-form-urlencoded"}
    broken = json.dumps({"Providers": [{"name": "x", "api_base_url": f"ftp://u:{_LATE}@h/v1", "api_key": _LATE}]})
    facts = json.loads(scene.ask("GET", "/api/config/file", headers=KEYS)[1])
    tries = {
        "/ui/config/change/text": ({"text": broken, "digest": facts["digest"]}, {"text": facts["text"]}),
        "/ui/config/change/settings": ({"PROXY_URL": f"http://u:{_LATE}@127.0.0.1:9", "digest": facts["digest"]},),
        "/ui/config/change/provider": ({"name": "messages", "key": _LATE, "digest": facts["digest"]},),
        "/ui/policy/simulate": (
            {"config": "document", "configText": broken},
            {"policy": "document", "policyText": "{"},
        ),
        "/ui/routes": ({"request": conversation("messages,good").decode()},),
    }
    for path, those in tries.items():
        for number, fields in enumerate(those):
            status, body = scene.ask(
                "POST", path, urlencode(fields).encode(), form, name=f"{path} {number}", is_told=path == "/ui/routes"
            )
            assert status in {200, 303, 400}, f"{path}: {body[:500]!r}"
            moved = re.search(r"location: (\S+?)#", scene.seen[f"{path} {number}"].decode("latin-1"))
            if moved is not None:
                assert scene.ask("GET", moved[1], headers=KEYS, name=f"after {path} {number}")[0] == 200
                assert scene.ask("GET", moved[1].replace("/ui/config", "/api/config/file"), headers=KEYS)[0] == 200
    tried = json.dumps({"request": json.loads(conversation("messages,good"))}).encode()
    headers = {**KEYS, "content-type": "application/json"}
    assert scene.ask("POST", "/api/routes/try", tried, headers)[0] == 200


_LATE = c.NEAR_AN_ERROR.text
WRONG_CHANGES = {
    "a scheme that is none": {"Providers": [{"name": "x", "api_base_url": f"ftp://u:{_LATE}@h/v1", "api_key": _LATE}]},
    "a key with a blank": {"APIKEY": f"{_LATE} {_LATE}"},
    "a key that is a list": {"APIKEY": [_LATE]},
    "a proxy without scheme": {"PROXY_URL": f"u:{_LATE}@h:1"},
    "a proxy of another kind": {"PROXY_URL": f"socks5://u:{_LATE}@h:1"},
    "a banned model": {"Router": {"default": "messages,banned-model"}, "routers": {"default": {"routes": {"messages,banned-model": {"default": True}}}}},
}  # fmt: skip

BROKEN_FILES = {
    "a comma too few": f'{{"APIKEY": "{_LATE}" "PORT": 1}}'.encode(),
    "a quote too few": f'{{"APIKEY": "{_LATE}, "PORT": 1}}'.encode(),
    "a brace too few": f'{{"APIKEY": "{_LATE}"'.encode(),
    "a key without quotes": f'{{"APIKEY": {_LATE}}}'.encode(),
    "an odd encoding": b'\xff\xfe{"APIKEY": "' + _LATE.encode(),
    "a key on two lines": f'{{"APIKEY": "{_LATE[:20]}\n{_LATE[20:]}"}}'.encode(),
    "a list": f'["{_LATE}"]'.encode(),
    "a key with a blank": json.dumps({"APIKEY": f"{_LATE} {_LATE}"}).encode(),
    "a key that is an object": json.dumps({"APIKEY": {"value": _LATE}}).encode(),
    "no URL": json.dumps({"Providers": [{"name": "p", "api_base_url": f"http://u:{_LATE}@[::1/v1", "api_key": _LATE}], "Router": {"default": "p,m"}}).encode(),
    "a port that is none": json.dumps({"Providers": [{"name": "p", "api_base_url": f"http://u:{_LATE}@h:x/v1", "api_key": _LATE}], "Router": {"default": "p,m"}}).encode(),
    "a bad proxy": json.dumps({"PROXY_URL": f"u:{_LATE}@h:1"}).encode(),
    "a bad header": json.dumps({"Providers": [{"name": "p", "api_base_url": "http://h/v1", "headers": {"X-Token": f"{_LATE}\n{_LATE}"}}], "Router": {"default": "p,m"}}).encode(),
    "a misspelled key": json.dumps({"APIKEYS": _LATE, "Providers": [{"name": "p", "api_kye": _LATE, "api_base_url": "x"}], "Router": {"default": "p,m"}}).encode(),
    "a key twice": f'{{"APIKEY": "{_LATE}", "APIKEY": "{_LATE}", "PORT": "x"}}'.encode(),
}  # fmt: skip


def command(scene: Scene) -> None:
    """Every command that tells something, while the router runs."""
    for words in COMMANDS if '"Providers"' in config_text(scene) else COMMANDS_ON_SECOND_THOUGHT:
        done = scene.run(*words.split())
        assert done.returncode in {0, 1, 2, 3, 4, 5}, done.stderr
        assert "is not a ccr command" not in done.stderr
        assert done.stdout or done.stderr, f"ccr {words} said nothing"


#: Runs the commands one after the other in one process: what is looked at is what each prints.
ONE_BY_ONE = """\
import json, sys
from ccrouter.cli import main
for words in json.load(sys.stdin):
    code = main(words)
    print(f"\\n== {code} {' '.join(words)}", flush=True)
"""


def test_a_broken_file_is_not_quoted(ccr: Ccr):
    """A config with a mistake near a secret: what `start`, `verify` and `status` say of it names the mistake, not the secret."""
    ccr.environ |= VARIABLES
    commands = []
    for number, content in enumerate(BROKEN_FILES.values()):
        path = ccr.home / f"broken-{number}.json"
        path.write_bytes(content)
        path.chmod(0o600)
        commands += [["start", "--config", str(path), "--port", str(free_port())], ["verify", "--config", str(path)]]
    program = [sys.executable, "-c", ONE_BY_ONE]
    done = subprocess.run(
        program, input=json.dumps(commands), env=ccr.environ, cwd=ccr.home, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    codes = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("== ")]
    assert len(codes) == len(commands), done.stderr
    assert "0" not in codes, done.stdout
    assert "Traceback" not in done.stderr
    found = [
        line for text in (done.stdout, done.stderr) for line in leaks([*c.KEYS, *c.CREDENTIALS], text.encode(), "it")
    ]
    assert found == [], "\n".join(found)


def test_a_secret_in_extra_body_is_known(ccr: Ccr):
    """What stands in `extra_body` under the name of a secret is among those that are removed from others' texts."""
    written = SHAPES["classic"]("http://127.0.0.1:1", 3456)
    config = load(ccr.configure(**written), VARIABLES)
    assert redact(f"quoted: {c.EXTRA_BODY.text}", config.secrets) == "quoted: ***"


COMMANDS = (
    "status", "status --json", "verify", "verify --json", "verify --running", "doctor", "doctor --json", "activate",
    "activate --shell vscode", "install", "audit verify", "audit verify --json", "audit show -n 1000", "help", "start",
    "usage", "usage --json", "usage --by session --csv", "logs -n 5000", "logs -n 5000 --json", "explain --last",
    "explain --last --json",
)  # fmt: skip
#: What shows something of the config, for the other shape of it.
COMMANDS_ON_SECOND_THOUGHT = ("status --json", "verify", "doctor --json", "activate")


def config_text(scene: Scene) -> str:
    return (scene.ccr.folder / "config.json").read_text(encoding="utf-8")


# -- the search --------------------------------------------------------------------------------------------------------


def in_what_was_seen(scene: Scene) -> list[str]:
    """Answers and outputs. Content may be in an answer to the one who sent it, where that is what was asked for."""
    found = []
    for place, data in scene.seen.items():
        exempt = BELONGS.get(place, ((), ""))[0]
        wanted = [*c.KEYS, *c.CREDENTIALS, *(() if place in scene.told else c.CONTENT)]
        found += leaks([one for one in wanted if one not in exempt], data, place)
    return found


def in_files(home: Path) -> list[str]:
    """Every file, but the config that the test wrote and the copies that the router kept of it."""
    config = home / ".claude-code-router" / "config.json"
    files = [path for path in sorted(home.rglob("*")) if path != config and not is_backup(path)]
    assert any(path.name.startswith("ccr-") and path.suffix == ".log" and path.stat().st_size > 1000 for path in files)
    assert any(path.name.startswith("audit-") and path.suffix == ".jsonl" for path in files)
    found = leaks_in_files([*c.KEYS, *c.CREDENTIALS, *c.CONTENT], files, home)
    kept = [path for path in home.rglob("*") if path == config or is_backup(path)]
    found += leaks_in_files([c.GOOGLE, *c.CREDENTIALS, *c.CONTENT], kept, home)  # they hold what their user wrote
    found += [f"{path} can be read by others" for path in kept if path.stat().st_mode & 0o077 and os.name == "posix"]
    return found


def is_backup(path: Path) -> bool:
    """True for a backup, and for a change that is not saved yet: both are as private as the file."""
    is_change = path.name.startswith("config.json.change-")
    return is_change or (path.name.startswith("config.json.") and path.suffix == ".bak")

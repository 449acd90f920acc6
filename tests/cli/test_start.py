"""`ccr start`: what it prints, what it leaves on disk, and how it fails."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ccrouter.cli.acceptance import Accepted, reloader
from ccrouter.cli.options import StartOptions
from ccrouter.compliance.document import read_policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError
from tests.cli.conftest import LIMIT, Ccr, free_port, read_until


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return int(answer.status)


def test_first_run(ccr: Ccr, port: int) -> None:
    """With nothing on disk the folder (0700) and a starter config (0600) are made, and the router answers, saying it is dry."""
    child = ccr.spawn("start", "--port", str(port))
    lines = read_until(child, " code")
    assert lines[0] == f"Loaded JSON config from: {ccr.folder / 'config.json'}"
    assert stat.S_IMODE(ccr.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((ccr.folder / "config.json").stat().st_mode) == 0o600
    assert health(port) == 200
    text = "\n".join(lines)
    assert f"listens on http://127.0.0.1:{port}" in text
    assert "DRY RUN" in text


@pytest.mark.parametrize("words", [["--port", "PORT"], ["--port=PORT"], ["-p", "PORT"], ["-pPORT"]])
def test_port_before_config(ccr: Ccr, port: int, words: list[str]) -> None:
    """`--port` in every spelling goes before the config's PORT."""
    ccr.configure(PORT=free_port())
    ccr.serve(*(word.replace("PORT", str(port)) for word in words))
    assert health(port) == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_files_live_as_long_as_the_service(ccr: Ccr, port: int, number: int) -> None:
    """PID file, state file (0600) and log file exist while it listens; the first two are gone after a signal, exit code 0."""
    ccr.configure(PORT=port)
    child = ccr.serve()
    pid_file, state_file = ccr.folder / ".claude-code-router.pid", ccr.folder / f".claude-code-router.{port}.json"
    assert pid_file.read_text() == str(child.pid)
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    state = json.loads(state_file.read_text())
    assert (state["pid"], state["port"], state["host"]) == (child.pid, port, "127.0.0.1")
    logs = list((ccr.folder / "logs").glob("ccr-*.log"))
    assert len(logs) == 1
    assert stat.S_IMODE(logs[0].stat().st_mode) == 0o600
    child.send_signal(number)
    _, stderr = child.communicate(timeout=LIMIT)
    assert child.returncode == 0, stderr
    assert not pid_file.exists()
    assert not state_file.exists()


def test_the_same_port_at_once_after_a_stop(ccr: Ccr, port: int) -> None:
    """A supervisor may stop it and start it again on the same port without waiting."""
    ccr.configure(PORT=port)
    first = ccr.serve()
    first.terminate()
    first.wait(LIMIT)
    ccr.serve()
    assert health(port) == 200


def test_no_log(ccr: Ccr, port: int) -> None:
    """LOG false leaves no log file."""
    ccr.configure(PORT=port, LOG=False)
    ccr.serve()
    assert not list(ccr.folder.rglob("ccr-*.log"))


def test_routes_are_shown(ccr: Ccr, port: int) -> None:
    """The banner has one line per route with what serves it, and no word of a dry run once a provider is there."""
    provider = {
        "name": "local",
        "api_base_url": "http://127.0.0.1:9/v1/chat/completions",
        "api_key": "k",
        "models": ["m"],
    }
    ccr.configure(PORT=port, Providers=[provider], Router={"default": "local,m", "think": "local,org/m:x,y"})
    lines = read_until(ccr.spawn("start"), " code")
    rows = [line.split() for line in lines]
    assert ["default", "local,m"] in rows
    assert ["think", "local,org/m:x,y"] in rows
    assert "DRY RUN" not in "\n".join(lines)


@pytest.mark.skipif(shutil.which("script") is None, reason="script gives the program a terminal")
def test_routes_on_a_terminal(ccr: Ccr, port: int) -> None:
    """On a terminal the table is drawn, a model's name that looks like markup whole, and no line tells by colour alone."""
    provider = {"name": "local", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["[bold]m"]}
    ccr.configure(PORT=port, Providers=[provider], Router={"default": "local,[bold]m", "think": "local,gone"})
    command = shlex.join(ccr.command("status"))
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], env=ccr.environ | {"TERM": "xterm"}, capture_output=True, text=True,
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "local,[bold]m" in done.stdout
    assert "─" in done.stdout
    assert "warning:" in done.stdout


def test_the_line_to_try_works_as_it_is(ccr: Ccr, port: int) -> None:
    """The curl of the banner, given to a shell as it stands, streams a message to its end."""
    ccr.configure(PORT=port)
    lines = read_until(ccr.spawn("start"), " code")
    line = next(line.strip() for line in lines if line.strip().startswith("curl"))
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "event: message_stop" in done.stdout, done.stderr


def test_broken_config(ccr: Ccr) -> None:
    """A config that cannot be used ends with 1 and tells where on stderr; stdout is empty, nothing is left behind."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("start")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(ccr.folder / "config.json") in done.stderr
    assert "error: " in done.stderr
    assert not (ccr.folder / ".claude-code-router.pid").exists()


def test_second_start_on_the_port(ccr: Ccr, port: int) -> None:
    """A second start says `Loaded …` first, then that it is already running with pid and port, and ends with 0."""
    ccr.configure(PORT=port)
    first = ccr.serve()
    done = ccr.run("start")
    assert done.returncode == 0
    assert done.stdout.startswith("Loaded JSON config from: ")
    assert "✅ Service is already running in the background." in done.stdout
    assert f"already running (pid {first.pid}, port {port})" in done.stdout


def test_second_start_in_the_background(ccr: Ccr, port: int) -> None:
    """`start --daemon` beside a router that runs claims no start of its own."""
    ccr.configure(PORT=port)
    first = ccr.serve()
    done = ccr.run("start", "--daemon")
    assert done.returncode == 0
    assert f"already running (pid {first.pid}, port {port})" in done.stdout
    assert "started" not in done.stdout


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status":"ok"}')

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Beginner(_Stranger):
    """A router that another start has just begun: it has the port, and hangs up on the first who asks."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if type(self).asked > 1:
            body = b'{"status":"ok","service":"ccrouter","version":"1.2.3"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


def test_start_that_comes_second_by_a_moment(ccr: Ccr) -> None:
    """The port is taken by a router that does not answer yet: the slower start waits for its answer, and ends with 0."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Beginner) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        ccr.configure(PORT=server.server_port)
        done = ccr.run("start")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert "already running" in done.stdout


def test_two_routers_on_two_ports(ccr: Ccr, port: int) -> None:
    """Two routers of one folder run side by side; `stop --port` ends one, and the PID file then names the other."""
    ccr.configure(PORT=port)
    other = free_port()
    first, second = ccr.serve(), ccr.serve("--port", str(other))
    assert ccr.run("stop", "--port", str(other)).returncode == 0
    second.communicate(timeout=LIMIT)
    assert first.poll() is None
    assert (ccr.folder / ".claude-code-router.pid").read_text() == str(first.pid)


@pytest.mark.parametrize("mode", [[], ["--daemon"]])
def test_taken_port(ccr: Ccr, mode: list[str]) -> None:
    """A port that another program holds: exit code 1, and stderr names the process that holds it."""
    program = (
        "import socket; listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()\n"
        "print(listener.getsockname()[1], flush=True)\nwhile True: listener.accept()[0].close()"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        taken = int(holder.stdout.readline())  # type: ignore[union-attr] # PIPE
        ccr.configure(PORT=taken)
        done = ccr.run("start", *mode)
        assert done.returncode == 1
        assert f"port {taken} is taken by process {holder.pid}" in done.stderr
        assert "hint: " in done.stderr
        assert not list(ccr.folder.rglob("ccr-*.log")), "a start that served nothing leaves no log"
    finally:
        holder.kill()
        holder.communicate()


def test_another_web_server_is_not_us(ccr: Ccr) -> None:
    """A server that answers /health with 200 is not taken for a router of ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stranger) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        ccr.configure(PORT=server.server_port)
        done = ccr.run("start")
        status = ccr.run("status")
        server.shutdown()
    assert done.returncode == 1
    assert "is taken by" in done.stderr
    assert "❌ Status: Not Running" in status.stdout


def test_daemon(ccr: Ccr, port: int) -> None:
    """`--daemon` returns, with its pipes closed, once the router answers; that is a session of its own, and prints no more."""
    ccr.configure(PORT=port)
    done = ccr.run("start", "-d")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Loaded JSON config from: ")
    assert f"http://127.0.0.1:{port}" in done.stdout
    assert health(port) == 200
    pid = int((ccr.folder / ".claude-code-router.pid").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(fields[3]) == pid, "it leads its own session"
    assert stat.S_IMODE((ccr.folder / "claude-code-router.log").stat().st_mode) == 0o600


def test_daemon_tells_why_it_failed(ccr: Ccr) -> None:
    """A detached start that fails shows the child's own reason: an address that is not this machine's."""
    ccr.configure(PORT=free_port(), HOST="192.0.2.1", APIKEY="sk-a-long-enough-key")
    done = ccr.run("start", "-d")
    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1" in done.stderr


def test_codespace(ccr: Ccr, port: int) -> None:
    """In a Codespace the loopback export, the right public URL, the command to publish and a warning are shown."""
    ccr.configure(PORT=port)
    child = ccr.spawn(
        "start", CODESPACE_NAME="fuzzy-disco-x7", GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN="app.github.dev"
    )
    text = "\n".join(read_until(child, "Log:"))
    assert f"export CLAUDE_CODE_ROUTER_URL=http://127.0.0.1:{port}" in text
    assert f"https://fuzzy-disco-x7-{port}.app.github.dev" in text
    assert f"gh codespace ports visibility {port}:public" in text
    assert "APIKEY" in text


def test_reader_of_the_banner_may_leave(ccr: Ccr, port: int) -> None:
    """`ccr start | head -1` keeps serving."""
    ccr.configure(PORT=port)
    child = ccr.spawn("start")
    assert child.stdout.readline().startswith("Loaded")
    child.stdout.close()
    until = threading.Event()
    for _ in range(LIMIT * 20):
        try:
            assert health(port) == 200
            break
        except OSError:
            until.wait(0.05)
    else:
        pytest.fail("it does not answer")
    assert child.poll() is None


def test_apikey_option(ccr: Ccr, port: int) -> None:
    """`--apikey` is the key that clients must send, and is written to no file."""
    ccr.configure(PORT=port)
    ccr.serve("--apikey", "sk-desktop-0123456789")
    body = b'{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"hi"}]}'

    def ask(key: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/messages", body, {"x-api-key": key})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert ask("sk-other") == 401
    assert ask("sk-desktop-0123456789") == 200
    written = [path for path in ccr.folder.rglob("*") if path.is_file() and b"sk-desktop" in path.read_bytes()]
    assert written == []


def test_early_sigterm(ccr: Ccr) -> None:
    """A port that is free, and a signal before the server has its own handlers: nothing is left on disk."""
    ccr.configure(PORT=free_port())
    child = ccr.spawn("start")
    assert child.stdout.readline().startswith("Loaded")
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=LIMIT)
    assert not (ccr.folder / ".claude-code-router.pid").exists()


# -- under a policy ----------------------------------------------------------------------------------------------------

GUIDE = {
    "HOST": "127.0.0.1",
    "APIKEY": "${CCR_APIKEY}",
    "Providers": [
        {
            "name": "anthropic",
            "api_base_url": "https://api.anthropic.com/v1/messages",
            "api_key": "${ANTHROPIC_API_KEY}",
            "models": ["claude-3.7-sonnet", "claude-3.7-haiku"],
            "transformer": {"use": ["anthropic"]},
        }
    ],
    "Router": {"default": "anthropic,claude-3.7-sonnet"},
}
KEYS = {"CCR_APIKEY": "router-key-0123456789abcdef", "ANTHROPIC_API_KEY": "provider-key-0123456789abcdef"}
FORBIDDEN = GUIDE | {"Router": {"default": "anthropic,claude-3.7-sonnet", "webSearch": "anthropic,claude-9"}}


def install_policy(ccr: Ccr, **members: object) -> Path:
    ccr.folder.mkdir(mode=0o700, exist_ok=True)
    path = ccr.folder / "policy.json"
    path.write_text(json.dumps({"name": "mine", "extends": "anthropic-only", **members}))
    path.chmod(0o600)
    return path


def digest_of(line: str) -> str:
    return line.partition("(sha256 ")[2].partition(",")[0]


def api(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, object]]:
    headers = {"x-api-key": KEYS["CCR_APIKEY"], "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", b"{}" if method == "POST" else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_policy_is_always_told(ccr: Ccr, port: int) -> None:
    """Banner, a second start, a start behind, `status` in text and in JSON name the policy in force, `none` too."""
    ccr.configure(PORT=port)
    child = ccr.serve()
    assert read_until(child, "Policy: ")[-1] == "Policy: none"
    assert "Policy: none" in ccr.run("start").stdout
    assert "Policy:  none" in ccr.run("status").stdout
    assert json.loads(ccr.run("status", "--json").stdout)["policy"] == {"name": "none", "digest": "", "source": ""}
    child.terminate()
    child.wait(LIMIT)
    ccr.configure(PORT=port, **GUIDE)
    path = install_policy(ccr)
    done = ccr.run("start", "--daemon", **KEYS)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("Policy: "))
    assert line == f"Policy: mine (sha256 {digest_of(line)}, ~/.claude-code-router/policy.json)"
    assert len(digest_of(line)) == 12
    assert line in ccr.run("start", **KEYS).stdout
    assert line in (ccr.folder / "claude-code-router.log").read_text()
    assert line.replace("Policy: ", "Policy:  ") in ccr.run("status", **KEYS).stdout
    told = json.loads(ccr.run("status", "--json", **KEYS).stdout)["policy"]
    assert (told["name"], told["source"], told["digest"][:12], len(told["digest"])) == (
        "mine",
        str(path),
        digest_of(line),
        64,
    )


def test_status_tells_the_running_policy(ccr: Ccr, port: int) -> None:
    """It is the running router's policy that `status` tells, not the one that a next start would have; asked or recorded."""
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve("--policy", "anthropic-only", **KEYS)
    install_policy(ccr)
    assert "anthropic-only (sha256 " in ccr.run("status", **KEYS).stdout
    assert "anthropic-only (sha256 " in ccr.run("status").stdout, "without the key it cannot be asked"


def test_status_of_the_next_start(ccr: Ccr, port: int) -> None:
    """With nothing running it is the policy of the next start; one that cannot be read is an error, and the policy unknown."""
    ccr.configure(PORT=port, **GUIDE)
    path = install_policy(ccr)
    assert "mine (sha256 " in ccr.run("status", **KEYS).stdout
    path.write_text("{ broken")
    done = ccr.run("status", **KEYS)
    assert "Policy:  unknown" in done.stdout
    assert str(path) in done.stderr
    assert json.loads(ccr.run("status", "--json", **KEYS).stdout)["policy"] is None


@pytest.mark.parametrize("words", [["start"], ["start", "--daemon"], ["restart"], ["code"]])
def test_config_that_the_policy_refuses(ccr: Ccr, port: int, claude, words: list[str]) -> None:
    """No command starts a router with a config that the policy does not allow: 1, what is wrong by rule, no socket, no state."""
    ccr.configure(PORT=port, **FORBIDDEN)
    install_policy(ccr)
    done = ccr.run(*words, **KEYS)
    assert done.returncode == 1
    assert "Router.webSearch" in done.stderr
    assert "claude-9" in done.stderr
    assert "rule models.allowed" in done.stderr
    with pytest.raises(OSError):
        health(port)
    assert not list(ccr.folder.glob(".claude-code-router.*"))
    assert not claude.was_called


def test_restart_that_the_policy_refuses_stops_nothing(ccr: Ccr, port: int) -> None:
    """A config that the policy does not allow leaves running what runs."""
    ccr.configure(PORT=port, **GUIDE)
    install_policy(ccr)
    child = ccr.serve(**KEYS)
    ccr.configure(PORT=port, **FORBIDDEN)
    assert ccr.run("restart", **KEYS).returncode == 1
    assert child.poll() is None
    assert health(port) == 200


@pytest.mark.parametrize("content", ["", "{ broken", "[]", '{"name": "x", "unknown": 1}'])
def test_policy_that_cannot_be_read(ccr: Ccr, port: int, content: str) -> None:
    """A policy that cannot be understood is never no policy: nothing starts, and no config is made."""
    path = install_policy(ccr)
    path.write_text(content)
    done = ccr.run("start", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(path) in done.stderr
    assert not (ccr.folder / "config.json").exists()


def test_starter_under_a_policy(ccr: Ccr, port: int) -> None:
    """Scripted answers are nobody's exception: a starter config is judged as any, and the way out is said."""
    ccr.configure(PORT=port)
    install_policy(ccr)
    done = ccr.run("start", **KEYS)
    assert done.returncode == 1
    assert "no provider is configured" in done.stderr
    assert "ccr install" in done.stderr


def test_restart_keeps_the_policy(ccr: Ccr, port: int, tmp_path: Path) -> None:
    """`--policy`, a name or a path given from any folder, is what a restart starts under again."""
    elsewhere = install_policy(ccr).rename(tmp_path / "home" / "strict.json")
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve("--policy", elsewhere.name, **KEYS)
    assert ccr.run("restart", **KEYS).returncode == 0
    assert api(port, "/api/policy")[1]["policy"]["source"] == str(elsewhere)  # type: ignore[index] # an object
    assert ccr.run("restart", "--policy", "anthropic-only", **KEYS).returncode == 0
    assert ccr.run("restart", **KEYS).returncode == 0
    assert api(port, "/api/policy")[1]["policy"]["name"] == "anthropic-only"  # type: ignore[index] # an object


def policy_and_reload(port: int) -> tuple[dict[str, object], object]:
    """What is in force, and how the last reload ended."""
    told = api(port, "/api/policy")[1]
    reload = told.pop("reload")
    assert isinstance(reload, dict)
    return told, reload["state"]


def test_reload_cannot_end_enforcement(ccr: Ccr, port: int) -> None:
    """A policy whose file is deleted, or broken, or which the config breaks: the reload is refused, and the old one stays."""
    ccr.configure(PORT=port, **GUIDE)
    path = install_policy(ccr)
    ccr.serve(**KEYS)
    before, reload = policy_and_reload(port)
    assert reload == "ok"
    text = path.read_text()
    path.unlink()
    status, told = api(port, "/api/restart", "POST")
    assert status >= 400
    assert "its file is gone" in json.dumps(told)
    path.write_text("{ broken")
    assert api(port, "/api/restart", "POST")[0] >= 400
    path.write_text(text)
    ccr.configure(PORT=port, **FORBIDDEN)
    assert api(port, "/api/restart", "POST")[0] >= 400
    assert policy_and_reload(port) == (before, "refused")
    ccr.configure(PORT=port, **GUIDE)
    assert api(port, "/api/restart", "POST")[0] < 400


def policy_in_force(port: int) -> str | None:
    policy = api(port, "/api/policy")[1]["policy"]
    return str(policy["name"]) if isinstance(policy, dict) else None


def test_reload_under_a_policy_that_is_new(ccr: Ccr, port: int) -> None:
    """A policy that was put in place, one that demands the audit log that is kept included, is in force after a reload;
    deleted again, it stays."""
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve(**KEYS)
    path = install_policy(ccr)
    status, told = api(port, "/api/restart", "POST")
    assert status < 400, told
    assert policy_in_force(port) == "mine"
    path.unlink()
    assert api(port, "/api/restart", "POST")[0] >= 400
    assert policy_in_force(port) == "mine"


def test_reload_under_a_policy_that_demands_an_audit_log(ccr: Ccr, port: int) -> None:
    """A process that keeps no audit log cannot come under a policy that demands one; one that demands none is no matter."""
    ccr.configure(PORT=port, LOG=False, **GUIDE)
    ccr.serve(**KEYS)
    install_policy(ccr)
    status, told = api(port, "/api/restart", "POST")
    assert (status >= 400, "was started without one" in json.dumps(told)) == (True, True)
    assert policy_in_force(port) is None
    install_policy(ccr, auditRequired=False)
    assert api(port, "/api/restart", "POST")[0] < 400
    assert policy_in_force(port) == "mine"


def test_reload_can_only_tighten(ccr: Ccr, port: int) -> None:
    """A policy that allows more than the one in force, or makes no rule, is for a restart; one that allows less is taken."""
    ccr.configure(PORT=port, **GUIDE)
    path = install_policy(ccr)
    ccr.serve(**KEYS)
    before, _ = policy_and_reload(port)
    path.write_text('{"name": "nothing"}')
    status, told = api(port, "/api/restart", "POST")
    assert status >= 400
    assert "a reload can only tighten" in json.dumps(told)
    assert "ccr restart" in json.dumps(told)
    install_policy(ccr, httpsOnly=False)
    status, told = api(port, "/api/restart", "POST")
    assert (status >= 400, "(httpsOnly)" in json.dumps(told)) == (True, True)
    assert policy_and_reload(port) == (before, "refused")
    install_policy(ccr, name="tighter", models={"allowed": ["claude-3.7-sonnet"]})
    ccr.configure(PORT=port, **GUIDE | {"Providers": [GUIDE["Providers"][0] | {"models": ["claude-3.7-sonnet"]}]})  # type: ignore[index] # a list
    assert api(port, "/api/restart", "POST")[0] < 400
    assert policy_in_force(port) == "tighter"


def test_refused_reload_leaves_the_measure(ccr: Ccr, monkeypatch) -> None:
    """A later reload is held against the policy that is in force, not against one that was read and then not put there."""
    monkeypatch.setenv("HOME", str(ccr.home))
    path = install_policy(ccr, extends="open", name="wide")
    in_force = read_policy(str(path), {})
    read = reloader(StartOptions(policy=str(path)), Accepted(Config(), in_force), require_audit=None)
    install_policy(ccr, extends="open", name="tighter", httpsOnly=True)
    assert read(in_force)[1].name == "tighter"
    install_policy(ccr, extends="open", name="wide")
    assert read(in_force)[1].name == "wide"
    with pytest.raises(ConfigError, match="a reload can only tighten"):
        read(replace(in_force, https_only=True))


@pytest.mark.parametrize("words", [["start"], ["start", "--daemon"], ["start", "--policy", "anthropic-only"], ["code"]])
def test_router_that_runs_without_the_policy(ccr: Ccr, port: int, claude, words: list[str]) -> None:
    """A router that runs under no policy, while one is in force, is no router to use: 1, and `ccr restart` mends it."""
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve(**KEYS)
    if "--policy" not in words:
        install_policy(ccr)
    done = ccr.run(*words, **KEYS)
    assert done.returncode == 1
    assert f"the router that runs on port {port} works under the policy none; in force is " in done.stderr
    assert "hint: ccr restart" + (" --policy anthropic-only\n" if "--policy" in words else "\n") in done.stderr
    assert "already running" not in done.stdout
    assert not claude.was_called
    assert ccr.run("restart", *words[1:] if "--policy" in words else [], **KEYS).returncode == 0
    assert ccr.run(*words, **KEYS).returncode == 0


def test_router_that_runs_under_a_policy_of_its_start(ccr: Ccr, port: int, claude) -> None:
    """A router whose start named another policy than the folder's is refused by `code`, with a hint that a restart heeds;
    where no policy is in force any may be enforced."""
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve("--policy", "anthropic-only", **KEYS)
    assert ccr.run("code", **KEYS).returncode == 0
    claude.out.unlink()
    path = install_policy(ccr, name="other")
    done = ccr.run("code", **KEYS)
    assert done.returncode == 1
    assert f"hint: ccr restart --policy {path}\n" in done.stderr
    assert not claude.was_called
    assert ccr.run("restart", "--policy", str(path), **KEYS).returncode == 0
    assert ccr.run("code", **KEYS).returncode == 0


@pytest.mark.parametrize("words", [["start"], ["code"], ["restart"]])
@pytest.mark.parametrize("environ", [{}, {"CCR_POLICY": "anthropic-only"}])
def test_no_starter_that_the_policy_refuses(ccr: Ccr, claude, words: list[str], environ: dict[str, str]) -> None:
    """Where a policy is in force that does not allow the starter none is written: `ccr install` then finds an empty place."""
    if not environ:
        install_policy(ccr)
    done = ccr.run(*words, **KEYS, **environ)
    assert done.returncode == 1
    assert "there is no config" in done.stderr
    assert "ccr install" in done.stderr
    assert not (ccr.folder / "config.json").exists()
    assert ccr.run("install", **environ).stdout.startswith("Wrote ")
    assert ccr.run("verify", **KEYS, **environ).returncode == 0


def test_starter_that_the_policy_allows(ccr: Ccr, port: int) -> None:
    """A policy that does not mind scripted answers lets the first start write its starter."""
    ccr.serve("--port", str(port), "--policy", "open")
    assert (ccr.folder / "config.json").exists()


@pytest.mark.parametrize(
    ("log", "is_required", "is_kept"),
    [(True, False, True), (True, True, True), (False, True, True), (False, False, False)],
)
def test_audit(ccr: Ccr, port: int, *, log: bool, is_required: bool, is_kept: bool) -> None:
    """The audit log is kept unless LOG is false and the policy does not demand it; it tells start, policy and stop."""
    ccr.configure(PORT=port, LOG=log, **GUIDE)
    install_policy(ccr, auditRequired=is_required)
    child = ccr.serve(**KEYS)
    digest = api(port, "/api/policy")[1]["policy"]["digest"]  # type: ignore[index] # an object
    child.terminate()
    child.wait(LIMIT)
    path = ccr.folder / "audit" / f"audit-{port}.jsonl"
    assert path.exists() is is_kept
    if is_kept:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [lines[0]["kind"], lines[-1]["kind"]] == ["start", "stop"]
        assert lines[0]["policy"] == digest
        assert KEYS["CCR_APIKEY"] not in path.read_text()


def test_audit_of_a_policy_that_changed_between_runs(ccr: Ccr, port: int) -> None:
    """A policy that is another than at the last run, or gone, is on record by itself; one that is the same is not."""
    ccr.configure(PORT=port, **GUIDE)
    install_policy(ccr)

    def kinds() -> list[str]:
        child = ccr.serve(**KEYS)
        child.terminate()
        child.wait(LIMIT)
        path = ccr.folder / "audit" / f"audit-{port}.jsonl"
        return [json.loads(line)["kind"] for line in path.read_text().splitlines()]

    once = ["start", "stop"]
    assert kinds() == once
    assert kinds() == once * 2
    (ccr.folder / "policy.json").unlink()
    assert kinds() == [*once * 2, "policy", *once]


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_audit_that_cannot_be_written(ccr: Ccr, port: int) -> None:
    """Where the policy demands an audit log and there cannot be one, nothing starts; where it does not, that is said."""
    ccr.configure(PORT=port, **GUIDE)
    install_policy(ccr, auditRequired=True)
    (ccr.folder / "audit").write_text("a file in the way")
    done = ccr.run("start", **KEYS)
    assert done.returncode == 1
    assert "audit" in done.stderr
    install_policy(ccr, auditRequired=False)
    ccr.serve(**KEYS)
    assert health(port) == 200

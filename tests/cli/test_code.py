"""`ccr code`: what reaches claude, what comes back, and what is left."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ccrouter.cli.code import takes_settings
from ccrouter.config.schema import Config
from ccrouter.errors import NotAuthorized
from ccrouter.secret import Secret
from ccrouter.server.guard import Access, Caller, Guard
from ccrouter.service.launches import PREFIX, LaunchKeys, minted
from tests.cli.conftest import LIMIT, Ccr, FakeClaude, free_port, read_until, tree

HARD = [
    "a b",
    "--x",
    "1",
    "--x",
    "2",
    "",
    "0",
    "00123",
    "line\nbreak",
    'double "quotes"',
    "it's",
    "$HOME",
    "`id`",
    "$(id)",
    "*",
    "back\\slash",
    "ünïcödé 🚀",
    "--no-color",
    "-v",
    "--help",
    "--",
    "foo",
    "--settings",
    "$HOME",
]


@pytest.fixture
def served(ccr: Ccr, port: int) -> int:
    ccr.configure(PORT=port)
    ccr.serve()
    return port


def test_argv_identity(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """Every argument reaches claude as it was given, in order, with only `--settings FILE` before them."""
    done = ccr.run("code", *HARD)
    assert done.returncode == 0, done.stderr
    option, _, *rest = claude.told["argv"]
    assert option == "--settings"
    assert rest == HARD


@pytest.mark.parametrize(
    "words", [["-v"], ["--help"], ["-h"], ["--version"], [], ["--", "-v"], ["-p", "hello"], ["--port", "1"]]
)
def test_options_are_claudes(ccr: Ccr, claude: FakeClaude, served: int, words: list[str]) -> None:
    """No option is ours, not even `--help`."""
    assert ccr.run("code", *words).returncode == 0
    assert claude.told["argv"][2:] == words


def test_stdout_is_claudes(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """Programs parse stdout: nothing of ours is on it, not even when the service had to be started. Exit code 0."""
    ccr.configure(PORT=port)
    done = ccr.run("code", "-p", "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"type":"result"}\n'
    assert "Service not running, starting service..." in done.stderr


def test_stdin_is_claudes(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """`cat prompt | ccr code -p` hands the prompt over."""
    ccr.run("code", "-p", stdin="the prompt\nof two lines", FAKE_CLAUDE="stdin")
    assert claude.told["stdin"] == "the prompt\nof two lines"


def test_exit_code_is_claudes(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """claude's exit code is ours."""
    assert ccr.run("code", FAKE_CLAUDE_EXIT="42").returncode == 42


def test_environment_and_settings(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """Key and URL reach claude by environment and by settings; what would lead past the router is removed from both."""
    ccr.run(
        "code",
        ANTHROPIC_API_KEY="sk-exported",
        ANTHROPIC_AUTH_TOKEN="other",
        CLAUDE_CODE_USE_BEDROCK="1",
        CLAUDE_CODE_USE_VERTEX="1",
        NO_PROXY="intern.example",
        MINE="kept",
    )
    told = claude.told
    assert told["env"]["ANTHROPIC_AUTH_TOKEN"].startswith(PREFIX)
    expected = {
        "ANTHROPIC_AUTH_TOKEN": told["env"]["ANTHROPIC_AUTH_TOKEN"],
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{served}",
        "ANTHROPIC_API_KEY": "",
        "NO_PROXY": "intern.example,127.0.0.1",
        "DISABLE_COST_WARNINGS": "true",
        "DISABLE_ERROR_REPORTING": "true",
        "API_TIMEOUT_MS": "600000",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }
    assert {name: told["env"].get(name) for name in expected} == expected
    assert {name: told["settings"]["env"].get(name) for name in expected} == expected
    assert told["env"]["MINE"] == "kept"
    assert not [name for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX") if name in told["env"]]
    assert told["settings"]["env"]["CLAUDE_CODE_USE_BEDROCK"] == ""
    assert "DISABLE_TELEMETRY" not in told["env"], "the version of this claude is unknown"


def test_settings_file_is_private_and_short_lived(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """The file with the key is 0600 in a 0700 folder of the user's own, and gone afterwards."""
    ccr.run("code")
    assert (claude.told["settings_mode"], claude.told["settings_folder_mode"]) == (0o600, 0o700)
    path = claude.told["argv"][1]
    assert path.startswith(str(ccr.folder))
    assert not Path(path).exists()


@pytest.mark.parametrize("words", [["--settings", '{"env":{}}'], ["-p", "x", '--settings={"env":{}}']])
def test_users_own_settings(ccr: Ccr, claude: FakeClaude, served: int, words: list[str]) -> None:
    """A user's own `--settings` is not joined by ours: the environment alone does it."""
    ccr.run("code", *words, FAKE_NO_SETTINGS="1")
    assert claude.told["argv"] == words
    assert claude.told["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{served}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True),
        (["-p", "mcp"], True),
        (["--", "--settings"], True),
        (["mcp", "add", "x", "--", "npx", "y"], False),
        (["update"], False),
        (["--settings=x"], False),
        (["do", "--settings", "x"], False),
    ],
)
def test_where_settings_can_be_added(words: list[str], *, expected: bool) -> None:
    """Not to claude's own commands, which refuse the option, and not beside the user's own."""
    assert takes_settings(words) is expected


def test_key_of_the_launch(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """Claude is given a key that serves while it runs, from this launch on, and is refused (401) once it has ended."""
    ccr.configure(PORT=port, APIKEY="sk-router-0123456789")
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    key = claude.told["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert key == claude.told["settings"]["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert key.startswith(PREFIX)
    assert ask(port, key) == 200
    assert ask(port, f"{key}x") == 401
    assert [path.stat().st_mode & 0o777 for path in (ccr.folder / "launches").iterdir()] == [0o600]
    child.terminate()
    child.communicate(timeout=LIMIT)
    assert list((ccr.folder / "launches").iterdir()) == []
    assert ask_until(port, key, 401) == 401
    assert ask(port, "sk-router-0123456789") == 200


def test_key_of_a_killed_launch(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """`ccr code` that was killed leaves its file, and a claude that lives on: the key serves no more."""
    ccr.configure(PORT=port, APIKEY="sk-router-0123456789")
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    key = claude.told["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert ask(port, key) == 200
    child.kill()
    child.wait(LIMIT)
    assert ask_until(port, key, 401) == 401
    assert list((ccr.folder / "launches").iterdir()) == []


def test_key_of_the_launch_is_not_for_management(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """Nothing that claude runs can change the router with the key that it has."""
    ccr.configure(PORT=port, APIKEY="sk-router-0123456789")
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    key = claude.told["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert ask(port, key, path="/api/restart") == 401
    assert ask(port, key, path="/api/config") == 401


def test_key_of_the_launch_from_elsewhere(tmp_path: Path) -> None:
    """The key of a launch that lives is refused to a peer that is not this machine, and to what others pass on."""
    keys = LaunchKeys(tmp_path)
    guard = Guard(Config(api_key=Secret("sk-router-0123456789")), {}, keys.admits)
    with minted(tmp_path) as key:
        headers = {"host": "127.0.0.1:3456", "authorization": f"Bearer {key}"}
        guard.check(Access.CLIENT, "POST", Caller("127.0.0.1", headers))
        for caller in (Caller("192.168.1.7", headers), Caller("127.0.0.1", {**headers, "x-forwarded-for": "10.0.0.1"})):
            with pytest.raises(NotAuthorized) as caught:
                guard.check(Access.CLIENT, "POST", caller)
            assert caught.value.status == 401


def test_routers_own_key_stays_out_of_claude(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """The variable that APIKEY names is not in claude's environment, nor its value anywhere there; providers' keys are."""
    ccr.configure(PORT=port, APIKEY="${MY_ROUTER_KEY}")
    done = ccr.run("code", MY_ROUTER_KEY="sk-router-0123456789", OPENROUTER_API_KEY="sk-or-0123456789012345")
    assert done.returncode == 0, done.stderr
    assert "MY_ROUTER_KEY" not in claude.told["env"]
    assert "sk-router-0123456789" not in claude.out.read_text()
    assert claude.told["env"]["OPENROUTER_API_KEY"] == "sk-or-0123456789012345"


def test_router_with_a_key_of_its_start(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """A router that was started with --apikey, which is on no disk, is spoken to with the key of the launch."""
    ccr.configure(PORT=port)
    ccr.serve("--apikey", "sk-desktop-0123456789")
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    assert ask(port, claude.told["env"]["ANTHROPIC_AUTH_TOKEN"]) == 200
    assert ask(port, "test") == 401


@pytest.mark.parametrize("state", [None, False])
def test_key_of_the_config(ccr: Ccr, claude: FakeClaude, port: int, state) -> None:
    """A router that may not know our launches, as it left no record or is of an older version, is shown APIKEY."""
    ccr.configure(PORT=port, APIKEY="sk-router-0123456789")
    ccr.serve()
    path = ccr.folder / f".claude-code-router.{port}.json"
    if state is None:
        path.unlink()
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), "takesLaunchKeys": state}))
    assert ccr.run("code").returncode == 0
    assert claude.told["env"]["ANTHROPIC_AUTH_TOKEN"] == "sk-router-0123456789"
    assert claude.told["settings"]["env"]["ANTHROPIC_AUTH_TOKEN"] == "sk-router-0123456789"


def ask(port: int, key: str, path: str = "/v1/messages") -> int:
    """The status of one request with `key`."""
    body = b'{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"hi"}]}'
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def ask_until(port: int, key: str, wanted: int) -> int:
    """As `ask`, until it is `wanted`: the router remembers for a second that a key was good."""
    until = time.monotonic() + LIMIT
    while (status := ask(port, key)) != wanted and time.monotonic() < until:
        pass
    return status


def test_port_that_is_not_the_configs(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """A router started on another port is found; no second one is started."""
    ccr.configure(PORT=free_port())
    ccr.serve("--port", str(port))
    done = ccr.run("code")
    assert done.stderr == ""
    assert claude.told["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{port}"


def test_shell_without_the_providers_key(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """A key given to `ccr start` alone, on its own line: `ccr code`, `activate` and `status` need it in no other shell."""
    provider = {
        "name": "p",
        "api_base_url": "https://p.example/v1/chat/completions",
        "api_key": "${P_KEY}",
        "models": ["m"],
    }
    ccr.configure(PORT=port, APIKEY="${ROUTER_KEY}", Providers=[provider], Router={"default": "p,m"})
    ccr.serve(P_KEY="sk-p-0123456789", ROUTER_KEY="sk-router-0123456789")
    done = ccr.run("code", ROUTER_KEY="sk-router-0123456789")
    assert (done.returncode, done.stderr) == (0, "")
    assert claude.told["env"]["ANTHROPIC_AUTH_TOKEN"].startswith(PREFIX)
    activated = ccr.run("activate", ROUTER_KEY="sk-router-0123456789")
    assert 'export ANTHROPIC_AUTH_TOKEN="sk-router-0123456789"' in activated.stdout
    status = ccr.run("status", ROUTER_KEY="sk-router-0123456789")
    assert "p,m" in status.stdout
    assert "error" not in status.stderr
    without = ccr.run("code")
    assert without.returncode == 1
    assert "ROUTER_KEY" in without.stderr


def test_config_of_the_running_router(ccr: Ccr, claude: FakeClaude, port: int, tmp_path) -> None:
    """A router started with `--config` is spoken to by that config: its port, its time-out."""
    elsewhere = tmp_path / "other.json"
    elsewhere.write_text(json.dumps({"PORT": port, "API_TIMEOUT_MS": 12345}))
    ccr.configure(PORT=free_port())
    ccr.serve("--config", str(elsewhere))
    ccr.run("code")
    assert claude.told["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{port}"
    assert claude.told["env"]["API_TIMEOUT_MS"] == "12345"
    assert str(elsewhere) in ccr.run("status").stdout


def test_service_survives_claude(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """The service that `ccr code` started is still there afterwards and serves the next one."""
    ccr.configure(PORT=port)
    first, done = ccr.run("code"), ccr.run("code")
    assert first.returncode == 0, first.stderr
    assert done.stderr == ""
    assert "✅ Status: Running" in ccr.run("status").stdout


def test_failed_start_is_explained(ccr: Ccr, claude: FakeClaude) -> None:
    """The service cannot start: exit code 1, the real reason on stderr, claude not called, stdout empty."""
    ccr.configure(PORT=free_port(), HOST="192.0.2.1", APIKEY="sk-a-long-enough-key")
    done = ccr.run("code")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot listen on 192.0.2.1" in done.stderr
    assert not claude.was_called


def test_broken_config(ccr: Ccr, claude: FakeClaude) -> None:
    """A broken config: exit code 1, told on stderr, claude not called."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("code")
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.json" in done.stderr
    assert not claude.was_called


def test_no_claude(ccr: Ccr, served: int, tmp_path) -> None:
    """Without claude on the PATH: the classic line, how to install it, exit code 1."""
    done = ccr.run("code", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Failed to start claude command: 'claude' was not found on the PATH" in done.stderr
    assert "npm install -g @anthropic-ai/claude-code" in done.stderr


def test_claude_that_cannot_be_executed(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """A claude whose interpreter is missing: the same words, exit code 1, no settings file left."""
    claude.path.write_text("#!/no/such/interpreter\n")
    done = ccr.run("code")
    assert done.returncode == 1
    assert "Failed to start claude command: " in done.stderr
    assert not list((ccr.folder / "claude-settings").iterdir())


def test_claude_path(ccr: Ccr, claude: FakeClaude, port: int, tmp_path) -> None:
    """CLAUDE_PATH of the config goes before the environment's, that before the PATH; empty counts as unset."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for path in (mine, other):
        shutil.copy(claude.path, path)
        path.write_text(path.read_text().replace('told = {"argv"', f'told = {{"who": "{path.name}", "argv"'))
    ccr.configure(PORT=port, CLAUDE_PATH=str(mine))
    ccr.serve()
    ccr.run("code", CLAUDE_PATH=str(other))
    assert claude.told["who"] == "mine"
    ccr.configure(PORT=port, CLAUDE_PATH="")
    ccr.run("code", CLAUDE_PATH=str(other))
    assert claude.told["who"] == "other"
    ccr.run("code")
    assert "who" not in claude.told


def test_onboarding_file(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """`~/.claude.json` is made, 0600, if it is missing; one that is there is never touched."""
    path = ccr.home / ".claude.json"
    path.unlink(missing_ok=True)
    ccr.run("code")
    state = json.loads(path.read_text())
    assert state["hasCompletedOnboarding"] is True
    assert len(state["userID"]) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("mine")
    ccr.run("code")
    assert path.read_text() == "mine"


def test_non_interactive_mode(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """NON_INTERACTIVE_MODE adds its variables; a prompt on stdin still reaches claude."""
    ccr.configure(PORT=port, NON_INTERACTIVE_MODE=True, ANTHROPIC_SMALL_FAST_MODEL="p,small")
    ccr.run("code", "-p", stdin="prompt", FAKE_CLAUDE="stdin")
    env = claude.told["env"]
    assert [env[name] for name in ("CI", "FORCE_COLOR", "NODE_NO_READLINE", "TERM")] == ["true", "0", "1", "dumb"]
    assert env["ANTHROPIC_SMALL_FAST_MODEL"] == "p,small"
    assert claude.told["stdin"] == "prompt"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_us_ends_claude(ccr: Ccr, claude: FakeClaude, served: int, number: int) -> None:
    """A supervisor that signals only `ccr` ends claude; the exit code is 128 + the signal's number (or claude's own)."""
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    child.send_signal(number)
    child.communicate(timeout=LIMIT)
    assert child.returncode in {128 + number, 1}
    with pytest.raises(ProcessLookupError):
        os.kill(claude.told["pid"], 0)
    assert not list((ccr.folder / "claude-settings").iterdir())


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid gives the process a terminal of its own")
def test_ctrl_c_reaches_claude_once(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """Ctrl-C on a terminal reaches claude once, not a second time by way of us, and ends neither."""
    ours, theirs = pty.openpty()
    try:
        child = ccr.spawn("code", prefix=["setsid", "--ctty"], stdin=theirs, FAKE_CLAUDE="count-interrupts")
        read_until(child, "ready")
        for _ in range(5):
            os.write(ours, b"\x03")
            read_until(child, "interrupted")
        os.write(ours, b"\n")
        assert read_until(child, "count")[-1] == "count 5"
        assert child.wait(LIMIT) == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_abandoned_settings_are_removed(ccr: Ccr, claude: FakeClaude, served: int) -> None:
    """A settings file of a run that was killed is removed by the next one."""
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    child.kill()
    os.kill(claude.told["pid"], signal.SIGKILL)
    child.communicate()
    left = list((ccr.folder / "claude-settings").iterdir())
    assert len(left) == 1
    ccr.run("code")
    assert not list((ccr.folder / "claude-settings").iterdir())


def test_nothing_of_ours_in_tmp(ccr: Ccr, claude: FakeClaude, served: int, tmp_path) -> None:
    """No file of ours is made in the shared temporary folder."""
    shared = tmp_path / "shared-tmp"
    shared.mkdir()
    ccr.run("code", TMPDIR=str(shared))
    assert tree(shared) == set()


def test_two_at_once(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """Two `ccr code` at the same moment start one service between them, and both run claude."""
    ccr.configure(PORT=port)
    both = [ccr.spawn("code"), ccr.spawn("code")]
    done = [(*child.communicate(timeout=LIMIT), child.returncode) for child in both]
    assert [code for _, _, code in done] == [0, 0], done
    recorded = int((ccr.folder / ".claude-code-router.pid").read_text())
    for pid in _services_of(ccr):
        if pid != recorded:  # the start that came second: it finds the first and ends by itself
            _wait_until_gone(pid)
    assert _services_of(ccr) == [recorded]


def _services_of(ccr: Ccr) -> list[int]:
    """The processes `ccr start` in this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"HOME={ccr.home}\0".encode() in (folder / "environ").read_bytes()
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        if is_ours and b"ccrouter" in words and b"start" in words:
            found.append(int(folder.name))
    return found


def _wait_until_gone(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], LIMIT)[0], f"process {pid} does not end"
    finally:
        os.close(handle)

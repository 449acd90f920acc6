"""`ccr stop`, `restart`, `status`: the classic lines, and no signal to a process that is not ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

import ccrouter
from tests.cli.conftest import LIMIT, Ccr, FakeClaude, free_port, read_until, tree

STOPPED = "claude code router service has been successfully stopped.\n"
NOT_STOPPED = "Failed to stop the service. It may have already been stopped.\n"


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_stop(ccr: Ccr, port: int) -> None:
    """`stop` returns once the process is gone, with the classic line; a second one says the other line; both end with 0."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    done = ccr.run("stop")
    assert (done.returncode, done.stdout, done.stderr) == (0, STOPPED, "")
    assert not answers(port)
    assert service.wait(LIMIT) == 0
    again = ccr.run("stop")
    assert (again.returncode, again.stdout) == (0, NOT_STOPPED)


def test_stop_with_nothing_there(ccr: Ccr) -> None:
    """In an empty home `stop` says that nothing ran and makes nothing."""
    assert ccr.run("stop").stdout == NOT_STOPPED
    assert tree(ccr.home) == set()


@pytest.fixture
def bystander():
    """A process that has nothing to do with us."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("has_state", [True, False])
def test_reused_pid_is_left_alone(ccr: Ccr, port: int, bystander, *, has_state: bool) -> None:
    """A number that now belongs to another program is no router: `status` says so, `stop` spares it, `start` starts."""
    ccr.configure(PORT=port)
    pid_file = ccr.folder / ".claude-code-router.pid"
    pid_file.write_text(str(bystander.pid))
    if has_state:
        state = {
            "pid": bystander.pid,
            "started": "long ago",
            "host": "127.0.0.1",
            "port": port,
            "config": "",
            "version": "",
        }
        (ccr.folder / f".claude-code-router.{port}.json").write_text(json.dumps(state))
    assert "❌ Status: Not Running" in ccr.run("status").stdout
    done = ccr.run("stop")
    assert (done.returncode, done.stdout) == (0, NOT_STOPPED)
    assert f"process {bystander.pid}" in done.stderr
    assert "left alone" in done.stderr
    assert bystander.poll() is None
    assert not pid_file.exists()
    pid_file.write_text(str(bystander.pid))
    service = ccr.serve()
    assert pid_file.read_text() == str(service.pid)
    assert bystander.poll() is None


def test_killed_service_leaves_no_ghost(ccr: Ccr, port: int) -> None:
    """After SIGKILL the files are still there, and nobody believes them: status, a new start and stop all work."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    service.kill()
    service.communicate()
    assert (ccr.folder / ".claude-code-router.pid").exists()
    assert "❌ Status: Not Running" in ccr.run("status").stdout
    ccr.serve()
    assert ccr.run("stop").stdout == STOPPED


def test_service_that_does_not_end_is_killed(ccr: Ccr, port: int) -> None:
    """A stopped (SIGSTOP) service cannot react to SIGTERM: status says it does not respond, `stop` kills it in the end."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    os.kill(service.pid, signal.SIGSTOP)
    assert "❌ Status: Not Responding" in ccr.run("status").stdout
    assert ccr.run("stop").stdout == STOPPED
    assert service.wait(LIMIT) == -signal.SIGKILL


def test_restart(ccr: Ccr, port: int) -> None:
    """`restart` prints the classic lines, closes its pipes, and leaves a new process that answers, with the old one's options."""
    ccr.configure(PORT=free_port())
    service = ccr.serve("--port", str(port))
    done = ccr.run("restart")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "claude code router service has been stopped.",
        "Starting claude code router service...",
        "✅ Service started successfully in the background.",
    ]
    assert service.wait(LIMIT) == 0
    assert answers(port)
    assert int((ccr.folder / ".claude-code-router.pid").read_text()) != service.pid


def test_restart_with_nothing_running(ccr: Ccr, port: int) -> None:
    """`restart` starts what did not run."""
    ccr.configure(PORT=port)
    done = ccr.run("restart")
    assert done.stdout.startswith("Service was not running or failed to stop.\n")
    assert done.returncode == 0
    assert answers(port)


def test_restart_on_another_port_of_the_config(ccr: Ccr, port: int) -> None:
    """The config's port was changed: the old one is stopped, the new port is served."""
    ccr.configure(PORT=port)
    ccr.serve()
    other = free_port()
    ccr.configure(PORT=other)
    assert ccr.run("restart").returncode == 0
    assert (answers(port), answers(other)) == (False, True)


def test_restart_with_a_broken_config_keeps_what_runs(ccr: Ccr, port: int) -> None:
    """A config that cannot start does not stop a router that works; exit code 1."""
    ccr.configure(PORT=port)
    ccr.serve()
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("restart")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert answers(port)


def test_restart_of_another_config(ccr: Ccr, port: int) -> None:
    """Of a router that runs by a config elsewhere nothing is made in the usual place."""
    elsewhere = ccr.home / "elsewhere.json"
    elsewhere.write_text(json.dumps({"PORT": port}))
    elsewhere.chmod(0o600)
    ccr.serve("--config", str(elsewhere))
    done = ccr.run("restart")
    assert done.returncode == 0, done.stderr
    assert answers(port)
    assert not (ccr.folder / "config.json").exists()


@pytest.mark.parametrize("word", ["start", "restart", "code"])
def test_the_words_of_a_start(ccr: Ccr, claude: FakeClaude, word: str) -> None:
    """A config that is broken and breaks the policy is told in the same words by whoever would start it."""
    ccr.configure(HOST="0.0.0.0", Router={"default": "openrouter,x"})
    done = ccr.run(word, CCR_POLICY="anthropic-only")
    assert done.returncode == 1
    assert "HOST must be 127.0.0.1 (localhost only)" in done.stderr
    assert "BANNED provider: openrouter" in done.stderr
    assert not claude.was_called


def test_restart_tells_why_it_failed(ccr: Ccr) -> None:
    """No success is claimed for a start that failed: exit code 1 and the reason."""
    ccr.configure(PORT=free_port(), HOST="192.0.2.1", APIKEY="sk-a-long-enough-key")
    done = ccr.run("restart")
    assert done.returncode == 1
    assert "✅" not in done.stdout
    assert "cannot listen on 192.0.2.1" in done.stderr


def test_restart_needs_the_key_again(ccr: Ccr, port: int) -> None:
    """A router started with --apikey is not restarted without a key: it would be open."""
    ccr.configure(PORT=port)
    ccr.serve("--apikey", "sk-desktop-0123456789")
    done = ccr.run("restart")
    assert done.returncode == 1
    assert "--apikey" in done.stderr
    assert answers(port)
    assert ccr.run("restart", "--apikey", "sk-desktop-0123456789").returncode == 0


def test_status_of_nothing(ccr: Ccr) -> None:
    """In an empty home `status` shows the classic block and makes nothing; exit code 0."""
    done = ccr.run("status")
    assert done.returncode == 0
    block = [
        "",
        "📊 Claude Code Router Status",
        "═" * 40,
        "❌ Status: Not Running",
        "",
        "💡 To start the service:",
        "   ccr start",
    ]
    assert done.stdout.splitlines()[: len(block)] == block
    assert tree(ccr.home) == set()


def test_status_of_a_router(ccr: Ccr, port: int) -> None:
    """The classic rows in their order, on whatever port it runs; then config, version and routes."""
    ccr.configure(PORT=free_port())
    service = ccr.serve("--port", str(port))
    done = ccr.run("status")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:11] == [
        "📊 Claude Code Router Status",
        "═" * 40,
        "✅ Status: Running",
        f"🆔 Process ID: {service.pid}",
        f"🌐 Port: {port}",
        f"📡 API Endpoint: http://127.0.0.1:{port}",
        f"📄 PID File: {ccr.folder / '.claude-code-router.pid'}",
        "",
        "🚀 Ready to use! Run the following commands:",
        "   ccr code    # Start coding with Claude",
    ]
    assert str(ccr.folder / "config.json") in done.stdout
    assert f"Version: {ccrouter.__version__}" in done.stdout
    assert "default" in done.stdout


def test_status_names_every_target(ccr: Ccr) -> None:
    """For people the whole chain of a route; for programs, as ever, its own target."""
    ccr.configure(
        Providers=[{"name": "p", "api_base_url": "https://p.invalid/v1/messages", "api_key": "k" * 20, "models": ["a", "b"]}],
        Router={"default": ["p,a", "p,b"], "think": "p,b"},
        fallback={"default": ["p,c"]},
    )  # fmt: skip
    rows = [line.split(maxsplit=1) for line in ccr.run("status").stdout.splitlines()]
    assert ["default", "p,a, then p,b, then p,c"] in rows
    assert ["think", "p,b"] in rows
    assert json.loads(ccr.run("status", "--json").stdout)["routes"] == {"default": "p,a", "think": "p,b"}


def test_status_as_json(ccr: Ccr, port: int) -> None:
    """`--json` prints one object with the same facts."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    told = json.loads(ccr.run("status", "--json").stdout)
    assert (told["running"], told["pid"], told["port"]) == (True, service.pid, port)
    assert told["endpoint"] == f"http://127.0.0.1:{port}"
    assert told["version"] == ccrouter.__version__
    assert "default" in told["routes"]


def test_status_with_a_broken_config(ccr: Ccr) -> None:
    """A broken config is told on stderr; the block is there all the same, exit code 0."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("status")
    assert done.returncode == 0
    assert "❌ Status: Not Running" in done.stdout
    assert "config.json" in done.stderr


def test_status_of_a_config_with_a_wrong_route(ccr: Ccr) -> None:
    """The file that cannot be used is named as the config; nobody says that a starter would be written, or of a dry run."""
    path = ccr.configure(Router={"default": "nobody,m"})
    done = ccr.run("status")
    assert done.returncode == 0
    assert f"Config:  {path}\n" in done.stdout
    assert "Dry run" not in done.stdout
    assert "Router.default" in done.stderr
    told = json.loads(ccr.run("status", "--json").stdout)
    assert (told["config"], told["dryRun"], len(told["errors"])) == (str(path), False, 1)


def test_status_of_a_config_that_the_policy_refuses(ccr: Ccr, port: int) -> None:
    """What a start would refuse is told beforehand, and of a router that runs what a reload would; exit code 0."""
    url = "http://127.0.0.1:9/v1/chat/completions"
    provider = {"name": "openrouter", "api_base_url": url, "api_key": "k", "models": ["m"]}
    ccr.configure(PORT=port, Providers=[provider], Router={"default": "openrouter,m"})
    service = ccr.serve()
    for _ in range(2):
        done = ccr.run("status", CCR_POLICY="anthropic-only")
        assert done.returncode == 0
        assert "BANNED provider: openrouter" in done.stderr
        service.terminate()
        service.wait(LIMIT)


def test_status_of_a_running_router_needs_no_keys(ccr: Ccr, port: int) -> None:
    """Variables that the running router has, and this shell has not, are no errors of its config."""
    provider = {"name": "local", "api_base_url": "http://127.0.0.1:9/v1/messages", "api_key": "$LOCAL", "models": ["m"]}
    ccr.configure(PORT=port, APIKEY="$MINE", Providers=[provider], Router={"default": "local,m"})
    ccr.serve(LOCAL="sk-local-0123456789", MINE="sk-mine-0123456789")
    told = json.loads(ccr.run("status", "--json").stdout)
    assert (told["errors"], told["routes"]) == ([], {"default": "local,m"})


def test_status_knows_no_fault_of_variables_it_lacks(ccr: Ccr, port: int) -> None:
    """A running router's URL, port and key may be in its own shell only: none of them is called wrong, though a fault
    that does not depend on them is."""
    provider = {"name": "far", "api_base_url": "${FAR_URL}", "api_key": "${FAR_KEY}", "models": ["m"]}
    settings = {"PORT": "${FAR_PORT}", "Providers": [provider], "Router": {"default": "far,m"}}
    ccr.configure(**settings)
    own = {"FAR_URL": "http://127.0.0.1:9/v1/messages", "FAR_KEY": "sk-of-that-shell", "FAR_PORT": str(port)}
    read_until(ccr.spawn("start", **own), "Log:")
    told = json.loads(ccr.run("status", "--json").stdout)
    assert (told["running"], told["port"], told["errors"]) == (True, port, [])
    ccr.configure(**settings | {"Router": {"default": "near,m"}})
    [error] = json.loads(ccr.run("status", "--json").stdout)["errors"]
    assert "near" in error


def test_status_without_the_files(ccr: Ccr, port: int) -> None:
    """Scripts delete the PID file while the router runs: `status` asks the port and finds it."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    for path in ccr.folder.glob(".claude-code-router.*"):
        path.unlink()
    assert f"🆔 Process ID: {service.pid}" in ccr.run("status").stdout


def test_restart_without_the_record(ccr: Ccr, port: int) -> None:
    """A router whose record was deleted cannot be told from somebody's: `restart` claims nothing, names it and ends with 1."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    for path in ccr.folder.glob(".claude-code-router.*"):
        path.unlink()
    done = ccr.run("restart")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"process {service.pid}" in done.stderr
    assert service.poll() is None


def test_stop_of_one_port(ccr: Ccr, port: int) -> None:
    """`stop --port` of a port that is not served stops nothing and accuses nobody."""
    ccr.configure(PORT=port)
    service = ccr.serve()
    done = ccr.run("stop", "--port", str(free_port()))
    assert (done.stdout, done.stderr) == (NOT_STOPPED, "")
    assert service.poll() is None

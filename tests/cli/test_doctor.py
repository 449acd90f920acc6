"""`ccr doctor`: what it finds, what it says to do about it, and what it never does: write, or show a secret."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ccrouter.service.diagnosis.bypass import look_at_bypasses
from ccrouter.service.diagnosis.finding import Finding
from tests.cli.conftest import Ccr, FakeClaude, free_port, tree
from tests.upstream.reply import json_reply
from tests.upstream.threaded import ThreadedUpstream

ROUTER_KEY = "router-key-0123456789abcdef"
PROVIDER_KEY = "provider-key-0123456789abcdef"


def local(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    """A config with one provider on this machine."""
    provider = {
        "name": "local",
        "api_base_url": f"{url}/v1/chat/completions",
        "api_key": "${LOCAL_KEY}",
        "models": ["m"],
        **more,
    }
    return {"Providers": [provider], "Router": {"default": "local,m"}}


def examine(ccr: Ccr, *words: str, code: int | None = 0, **environ: str) -> list[Finding]:
    """The findings, from --json."""
    done = ccr.run("doctor", "--json", *words, **environ)
    told = json.loads(done.stdout)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    assert told["ok"] is (done.returncode == 0)
    return [Finding(**found) for found in told["findings"]]


def find(findings: list[Finding], text: str) -> Finding:
    """The one finding whose message has `text`."""
    found = [finding for finding in findings if text in finding.message]
    assert len(found) == 1, (text, [finding.message for finding in findings])
    return found[0]


@pytest.fixture
def own_path(ccr: Ccr, tmp_path: Path) -> Path:
    """A PATH of one folder, with nothing in it yet but what the test puts there."""
    folder = tmp_path / "path"
    folder.mkdir()
    ccr.environ["PATH"] = str(folder)
    return folder


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_nothing_set_up(ccr: Ccr, port: int) -> None:
    """Before anything was ever started it says what there is, what to do, that nothing is wrong; and makes no file."""
    findings = examine(ccr, CCR_PORT=str(port))
    assert find(findings, "file: none yet").level == "info"
    assert find(findings, f"port {port} is free").advice.startswith("ccr start")
    assert {finding.topic for finding in findings} == {
        "Programs", "Configuration", "Policy", "Router", "Providers", "Claude Code", "Network", "Files",
    }  # fmt: skip
    assert tree(ccr.home) == set()


def test_it_writes_nothing(ccr: Ccr, port: int) -> None:
    """Beside a running router, asked for everything, it changes no file and makes none."""
    ccr.configure(PORT=port, **local())
    ccr.serve(LOCAL_KEY=PROVIDER_KEY)

    def stamps() -> dict[str, tuple[int, int]]:
        found = {path: path.stat() for path in ccr.home.rglob("*")}
        return {str(path): (status.st_mtime_ns, status.st_size) for path, status in found.items()}

    before = stamps()
    examine(ccr, "--online", code=1, LOCAL_KEY=PROVIDER_KEY)
    assert stamps() == before


def test_text(ccr: Ccr, port: int) -> None:
    """For a person: topics, a word for each level, advice behind an arrow, the count; the exit code says if one is a problem."""
    ccr.configure(PORT=port, **local(protocol="nonsense"))
    done = ccr.run("doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "Configuration" in lines
    assert [line for line in lines if line.startswith("  PROBLEM   Providers[0].protocol")]
    assert [line for line in lines if line.startswith("            → ")]
    assert lines[-1].startswith("Problems: ")
    assert "\033" not in done.stdout
    assert done.stderr == ""


def test_width(ccr: Ccr, port: int) -> None:
    """Lines fit into the terminal; only what is to be copied whole, a path, may be longer, on a line of its own."""
    ccr.configure(PORT=port, **local())
    done = ccr.run("doctor", COLUMNS="60")
    long = [line for line in done.stdout.splitlines() if len(line) > 60]
    assert [line for line in long if len(line[12:].split()) > 1] == []


@pytest.mark.parametrize("words", [[], ["--json"], ["--online"], ["--online", "--json"]])
@pytest.mark.parametrize("is_running", [False, True])
def test_no_secret_is_shown(ccr: Ccr, port: int, words: list[str], *, is_running: bool) -> None:
    """Keys of the router and of providers, literal or from variables, in headers, URLs and proxies: none is in the output."""
    secrets = [
        ROUTER_KEY,
        PROVIDER_KEY,
        "header-secret-012345",
        "proxy-password-0123",
        "literal-key-0123456789",
        "query-secret-0123",
    ]
    with ThreadedUpstream() as up:
        up.always(json_reply({"error": {"message": f"bad key {PROVIDER_KEY} {secrets[2]}"}}, status=401))
        config = local(up.url, headers={"x-auth-token": secrets[2]}, proxy="")
        config["Providers"].append(
            {
                "name": "other",
                "api_base_url": f"{up.url}/v1/chat/completions?key={secrets[5]}",
                "api_key": secrets[4],
                "models": ["m"],
                "proxy": "",
            }
        )
        ccr.configure(PORT=port, APIKEY="${ROUTER_KEY}", PROXY_URL=f"http://u:{secrets[3]}@127.0.0.1:9", **config)
        environ = {
            "ROUTER_KEY": ROUTER_KEY,
            "LOCAL_KEY": PROVIDER_KEY,
            "HTTPS_PROXY": f"http://u:{secrets[3]}@127.0.0.1:9",
        }
        if is_running:
            ccr.serve(**environ)
        for missing in (None, "LOCAL_KEY", "ROUTER_KEY"):
            given = {name: value for name, value in environ.items() if name != missing}
            done = ccr.run("doctor", *words, **given)
            assert [secret for secret in secrets if secret in done.stdout + done.stderr] == []


# -- programs ----------------------------------------------------------------------------------------------------------


def put(folder: Path, text: str, name: str = "ccr") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


OURS = "#!/usr/bin/python\nfrom ccrouter.cli import main\n"
NODES = "#!/usr/bin/env node\n// @musistudio/claude-code-router\n"


def test_another_ccr_before_ours(ccr: Ccr, own_path: Path, tmp_path: Path) -> None:
    """The Node router's `ccr`, found first on the PATH: a problem, and how to be rid of it."""
    node = put(own_path, NODES)
    put(tmp_path / "later", OURS)
    ccr.environ["PATH"] += f"{os.pathsep}{tmp_path / 'later'}"
    found = find(examine(ccr, code=1), "the Node router")
    assert (found.level, str(node) in found.message) == ("problem", True)
    assert "npm uninstall" in found.advice


def test_another_ccr_behind_ours(ccr: Ccr, own_path: Path, tmp_path: Path) -> None:
    """Behind ours it is told, and no more."""
    put(own_path, OURS)
    put(tmp_path / "later", NODES)
    ccr.environ["PATH"] += f"{os.pathsep}{tmp_path / 'later'}"
    findings = examine(ccr)
    assert find(findings, "`ccr` is this router").level == "ok"
    assert find(findings, "behind it on the PATH is the Node router").level == "info"


def test_link_into_the_node_package(ccr: Ccr, own_path: Path, tmp_path: Path) -> None:
    """npm links: it is what the link leads to that counts."""
    package = tmp_path / "lib/node_modules/@musistudio/claude-code-router/dist"
    package.mkdir(parents=True)
    put(package, "#!/usr/bin/env node\n", "cli.js")
    (own_path / "ccr").symlink_to(package / "cli.js")
    assert find(examine(ccr, code=1), "`ccr` runs the Node router").level == "problem"


def test_claude_and_its_place(ccr: Ccr, claude: FakeClaude) -> None:
    """Claude Code is named with its place."""
    assert find(examine(ccr, code=None), str(claude.path)).level == "ok"


def test_no_claude(ccr: Ccr, own_path: Path) -> None:
    """Without Claude Code: a warning with the command that installs it."""
    found = find(examine(ccr), "Claude Code was not found")
    assert (found.level, "npm install -g @anthropic-ai/claude-code" in found.advice) == ("warning", True)


# -- configuration -----------------------------------------------------------------------------------------------------


def test_origins(ccr: Ccr, port: int) -> None:
    """Every setting with its value and where it comes from; keys as set or unset, variables by name."""
    ccr.configure(HOST="127.0.0.1", PORT=1, APIKEY="${ROUTER_KEY}", LOG_LEVEL="${LEVEL:-warn}", **local())
    findings = examine(ccr, CCR_PORT=str(port), ROUTER_KEY=ROUTER_KEY, LOCAL_KEY=PROVIDER_KEY, CLAUDE_PATH="/bin/true")
    messages = [finding.message for finding in findings if finding.topic == "Configuration"]
    assert messages == [
        f"file: {ccr.folder / 'config.json'} (the usual place)",
        "HOST = 127.0.0.1 (the file)",
        f"PORT = {port} (environment variable CCR_PORT)",
        "APIKEY = set (the file, from $ROUTER_KEY set)",
        "LOG = true (default)",
        "LOG_LEVEL = warn (the file, from $LEVEL unset)",
        "API_TIMEOUT_MS = 600000 (default)",
        "CLAUDE_PATH = /bin/true (environment variable CLAUDE_PATH)",
        "variables that the file names, in this shell: ROUTER_KEY set, LEVEL unset, LOCAL_KEY set",
    ]


def test_origins_of_what_runs(ccr: Ccr, port: int, tmp_path: Path) -> None:
    """What the running router was given on its command line is told as such."""
    path = tmp_path / "other.json"
    path.write_text(json.dumps(local()))
    ccr.serve("--config", str(path), "--port", str(port), "--apikey", ROUTER_KEY, LOCAL_KEY=PROVIDER_KEY)
    findings = examine(ccr, LOCAL_KEY=PROVIDER_KEY)
    assert find(findings, "file: ").message == f"file: {path} (command line of the running router, --config)"
    assert find(findings, "PORT = ").message == f"PORT = {port} (command line of the running router, --port)"
    assert find(findings, "APIKEY = ").message == "APIKEY = unset (command line of the running router, --apikey)"


def test_status_line_that_cannot_be_shown(ccr: Ccr) -> None:
    """The status line is silent about what it does not know, so this is not: place, and what there is."""
    ccr.configure(StatusLine={"enabled": True, "currentStyle": "ful"}, **local())
    found = find(examine(ccr, LOCAL_KEY=PROVIDER_KEY), "StatusLine.currentStyle: ")
    assert (found.level, found.topic) == ("warning", "Configuration")
    assert "there is no style 'ful'" in found.message


def test_config_with_mistakes(ccr: Ccr) -> None:
    """Each mistake is a problem with its place and its hint; a config that cannot be parsed hides nothing else."""
    ccr.configure(**local(protocol="nonsense"))
    found = find(examine(ccr, code=1, LOCAL_KEY="k"), "Providers[0].protocol")
    assert (found.level, found.topic) == ("problem", "Configuration")
    (ccr.folder / "config.json").write_text("{ broken")
    findings = examine(ccr, code=1)
    assert find(findings, "line 1").level == "problem"
    assert "Claude Code" in {finding.topic for finding in findings}


def test_broken_config_hides_nothing(ccr: Ccr, port: int) -> None:
    """One mistake, and yet every setting, the config's own port and the other providers are told."""
    config = local(protocol="nonsense")
    config["Providers"].append({**local()["Providers"][0], "name": "spare"})
    ccr.configure(PORT=port, HOST="no host", **config)
    findings = examine(ccr, code=1, LOCAL_KEY="k" * 20)
    assert find(findings, "Providers[0].protocol").level == "problem"
    assert find(findings, "PORT = ").message == f"PORT = {port} (the file)"
    assert find(findings, f"port {port} is free").topic == "Router"
    assert find(findings, "spare: http").topic == "Providers"


def test_no_secret_of_a_broken_config(ccr: Ccr) -> None:
    """Keys of providers that cannot be used, and of a file that has mistakes elsewhere, are not shown either."""
    secrets = ["literal-key-0123456789", "query-secret-0123", "header-secret-012345", "router key 0123456789"]
    broken = {
        "api_base_url": f"http://127.0.0.1:9/v1/chat/completions?key={secrets[1]}",
        "api_key": secrets[0],
        "headers": {"x-auth-token": secrets[2]},
    }
    ccr.configure(APIKEY=secrets[3], **local(protocol="nonsense", **broken))
    for words in ([], ["--json"]):
        done = ccr.run("doctor", *words)
        assert done.returncode == 1
        assert [secret for secret in secrets if secret in done.stdout + done.stderr] == []


def test_unreadable_config(ccr: Ccr, port: int) -> None:
    """Of a file that cannot be parsed: its path, why that one, and the port that the environment names."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    findings = examine(ccr, code=1, SERVICE_PORT=str(port))
    assert find(findings, "file: ").message == f"file: {ccr.folder / 'config.json'} (the usual place)"
    assert find(findings, f"port {port} is free")
    assert find(findings, "none is known: the config cannot be read").topic == "Providers"


def test_mistakes_of_what_runs(ccr: Ccr, port: int) -> None:
    """Beside a router that runs only what may be set in its own shell is a warning; a mistake stays a problem."""
    ccr.configure(PORT=port, **local())
    ccr.serve(LOCAL_KEY=PROVIDER_KEY)
    ccr.configure(PORT=port, **local(protocol="nonsense"))
    findings = examine(ccr, code=1)
    assert find(findings, "Providers[0].protocol").level == "problem"
    assert find(findings, "environment variable LOCAL_KEY is not set").level == "warning"


def test_provider_that_is_left_out(ccr: Ccr) -> None:
    """A provider that no route needs and whose key is unset is told once, with all that is known of it."""
    config = local()
    config["Providers"].append({**local()["Providers"][0], "name": "spare", "api_key": "${SPARE_KEY}"})
    ccr.configure(**config)
    found = [finding for finding in examine(ccr, LOCAL_KEY="k" * 20) if "spare" in finding.message]
    assert [(finding.topic, finding.level) for finding in found] == [("Providers", "warning")]
    assert "key from ${SPARE_KEY} (unset in this shell)" in found[0].message
    assert "it is left out: environment variable SPARE_KEY is not set" in found[0].message


def test_url_that_is_unset(ccr: Ccr) -> None:
    """A provider whose URL is a variable without a value is shown, and never asked: its key would go elsewhere."""
    ccr.configure(**local(api_base_url="${LOCAL_URL}"))
    findings = examine(ccr, "--online", code=1, LOCAL_KEY=PROVIDER_KEY)
    assert find(findings, "local: not asked, a variable that it names is unset").level == "warning"
    assert len([finding for finding in findings if finding.topic == "Providers"]) == 2


def test_no_policy(ccr: Ccr) -> None:
    """Without a policy the advice is what helps: `ccr install` only where there is no config yet."""
    assert find(examine(ccr), "none: every provider").advice == "ccr install"
    ccr.configure(**local())
    advice = find(examine(ccr, LOCAL_KEY="k" * 20), "none: every provider").advice
    assert advice.startswith("`ccr verify --policy anthropic-only`")


def test_unset_variables(ccr: Ccr) -> None:
    """A variable that is missing is a problem; the rest of the config is explained all the same."""
    ccr.configure(APIKEY="${ROUTER_KEY}", **local())
    findings = examine(ccr, code=1)
    assert find(findings, "APIKEY: environment variable ROUTER_KEY is not set").level == "problem"
    assert find(findings, "APIKEY = unset (the file, from $ROUTER_KEY unset)").level == "info"
    assert "${LOCAL_KEY} (unset in this shell)" in find(findings, "local: http").message


def test_unset_variables_of_what_runs(ccr: Ccr, port: int) -> None:
    """The provider's key may be in the shell that started the router alone: then that is a warning."""
    ccr.configure(PORT=port, **local())
    ccr.serve(LOCAL_KEY=PROVIDER_KEY)
    assert find(examine(ccr), "environment variable LOCAL_KEY is not set").level == "warning"


# -- policy and router -------------------------------------------------------------------------------------------------

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
KEYS = {"CCR_APIKEY": ROUTER_KEY, "ANTHROPIC_API_KEY": PROVIDER_KEY}


def test_policy_that_the_config_passes(ccr: Ccr, port: int) -> None:
    """The policy by name and digest, and that the config passes."""
    ccr.configure(PORT=port, **GUIDE)
    findings = examine(ccr, CCR_POLICY="anthropic-only", **KEYS)
    assert find(findings, "anthropic-only (sha256 ").level == "ok"
    assert find(findings, "the config passes it").level == "ok"


def test_policy_that_the_config_breaks(ccr: Ccr, port: int) -> None:
    """Each breach is a problem under Policy, in its own words."""
    ccr.configure(PORT=port, **GUIDE | {"Router": {"default": "anthropic,claude-9"}})
    found = [
        finding for finding in examine(ccr, code=1, CCR_POLICY="anthropic-only", **KEYS) if finding.topic == "Policy"
    ]
    assert [finding for finding in found if finding.level == "problem" and "claude-9" in finding.message]


def test_policy_that_cannot_be_read(ccr: Ccr) -> None:
    """A policy that is no policy is a problem, and no provider is asked under it."""
    ccr.configure(**local())
    findings = examine(ccr, "--online", code=1, CCR_POLICY="nonsense", LOCAL_KEY="k")
    assert find(findings, "there is no such policy").level == "problem"
    assert find(findings, "none was asked: the policy cannot be read").level == "info"


def test_router_that_runs(ccr: Ccr, port: int) -> None:
    """A running router, with its process and its policy as it says itself."""
    ccr.configure(PORT=port, **local())
    child = ccr.serve(LOCAL_KEY=PROVIDER_KEY)
    findings = examine(ccr, LOCAL_KEY=PROVIDER_KEY)
    assert f"process {child.pid}" in find(findings, "it answers on").message
    assert find(findings, "policy in force: none").level == "ok"


def test_stale_config(ccr: Ccr, port: int) -> None:
    """The config was changed after the router had read it: a warning, and `ccr restart`."""
    ccr.configure(PORT=port, autoReload=False, **local())
    ccr.serve(LOCAL_KEY=PROVIDER_KEY)
    ccr.configure(PORT=port, autoReload=False, LOG_LEVEL="debug", **local())
    found = find(examine(ccr, LOCAL_KEY=PROVIDER_KEY), "its config has changed")
    assert (found.level, found.advice) == ("warning", "ccr restart")


def test_policy_that_is_not_in_force_yet(ccr: Ccr, port: int) -> None:
    """A policy was put in place, and the running router knows nothing of it: a problem."""
    ccr.configure(PORT=port, **GUIDE)
    ccr.serve(**KEYS)
    found = find(examine(ccr, code=1, CCR_POLICY="anthropic-only", **KEYS), "policy in force: none; of the next start")
    assert (found.level, found.advice) == ("problem", "ccr restart")


def test_taken_port(ccr: Ccr) -> None:
    """Somebody else has the port: a problem that names them."""
    with ThreadedUpstream() as up:
        up.always(json_reply({"status": "ok"}))
        ccr.configure(PORT=up.port)
        found = find(examine(ccr, code=1), f"port {up.port} is taken by process {os.getpid()}")
    assert "ccr start --port" in found.advice


# -- providers ---------------------------------------------------------------------------------------------------------


def test_nobody_is_asked_without_online(ccr: Ccr) -> None:
    """Without --online not one connection is made to a provider."""
    with ThreadedUpstream() as up:
        ccr.configure(**local(up.url))
        findings = examine(ccr, LOCAL_KEY=PROVIDER_KEY)
        assert up.connections == 0
    expected = f"local: {up.url}/v1/chat/completions, openai_chat, key from ${{LOCAL_KEY}} (set), 1 models"
    assert find(findings, "local: http").message == expected


GOOD = {"choices": [{"message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}]}
BAD = {"error": {"message": "no"}}


@pytest.mark.parametrize(
    ("status", "level", "message", "advice"),
    [
        (200, "ok", "it answers m and takes the key", ""),
        (401, "problem", "Invalid API key for provider 'local'", "check LOCAL_KEY"),
        (403, "problem", "Invalid API key for provider 'local'", "check LOCAL_KEY"),
        (402, "problem", "has no credit", "top up"),
        (404, "problem", "m is not there", "check the provider's URL"),
        (400, "warning", "refuses this small request", "check the model"),
        (429, "warning", "is busy", "try again"),
        (302, "problem", "a redirect (302)", "check the URL"),
        (500, "problem", "HTTP 500", "check the URL"),
    ],
)
def test_online(ccr: Ccr, status: int, level: str, message: str, advice: str) -> None:
    """One request of one token to each provider, with its key; what comes back is told, with what to do."""
    with ThreadedUpstream() as up:
        up.always(json_reply(GOOD if status == 200 else BAD, status=status))
        ccr.configure(**local(up.url))
        findings = examine(ccr, "--online", code=None, LOCAL_KEY=PROVIDER_KEY)
        assert len(up.requests) == 1
        assert up.requests[0].headers["authorization"] == f"Bearer {PROVIDER_KEY}"
        body = up.requests[0].json()
        assert (
            body["model"],
            [body.get(name) for name in ("max_tokens", "max_completion_tokens") if name in body],
        ) == ("m", [1])
    found = find(findings, message)
    assert found.level == level
    assert found.advice.startswith(advice)


def test_online_nobody_there(ccr: Ccr) -> None:
    """A provider that cannot be reached is a problem."""
    ccr.configure(**local(f"http://127.0.0.1:{free_port()}"))
    assert find(examine(ccr, "--online", code=1, LOCAL_KEY="k"), "cannot connect").level == "problem"


def test_online_without_the_key(ccr: Ccr) -> None:
    """A provider whose key is unset is not asked: a request without it would prove nothing."""
    with ThreadedUpstream() as up:
        ccr.configure(**local(up.url))
        findings = examine(ccr, "--online", code=1)
        assert up.connections == 0
    assert find(findings, "not asked, LOCAL_KEY is unset").level == "warning"


def test_online_under_a_policy(ccr: Ccr) -> None:
    """What the policy does not allow gets no byte from the doctor either."""
    with ThreadedUpstream() as up:
        provider = {**GUIDE["Providers"][0], "api_base_url": f"{up.url}/v1/messages"}
        ccr.configure(**GUIDE | {"Providers": [provider]})
        findings = examine(ccr, "--online", code=1, CCR_POLICY="anthropic-only", **KEYS)
        assert up.connections == 0
    assert [finding for finding in findings if finding.topic == "Providers" and finding.level == "problem"]


# -- what leads past the router ----------------------------------------------------------------------------------------


@contextmanager
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("HOME", str(home))
        yield


def settle(path: Path, settings: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))


@pytest.mark.parametrize(
    "place", ["home/.claude/settings.json", "project/.claude/settings.json", "project/.claude/settings.local.json"]
)
@pytest.mark.parametrize(
    ("settings", "level", "message"),
    [
        (
            {"env": {"ANTHROPIC_BASE_URL": "https://evil.example/x?key=s"}},
            "warning",
            "leads to evil.example, not to the router",
        ),
        ({"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4000"}}, "warning", "leads to 127.0.0.1, not to the router"),
        (
            {"env": {"ANTHROPIC_BASE_URL": "http://localhost:3456", "ANTHROPIC_API_KEY": "x"}},
            "info",
            "leads to the router",
        ),
        ({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}, "warning", "CLAUDE_CODE_USE_BEDROCK is set"),
        ({"env": {"ANTHROPIC_UNIX_SOCKET": "/tmp/x"}}, "warning", "ANTHROPIC_UNIX_SOCKET is set"),
        ({"env": {"ANTHROPIC_API_KEY": "sk-secret"}}, "info", "ANTHROPIC_API_KEY is set"),
        ({"apiKeyHelper": "/bin/echo secret"}, "info", "apiKeyHelper is set"),
        ("{ broken", "warning", "cannot be read: it is not JSON"),
    ],
)
def test_settings_files(tmp_path: Path, monkeypatch, place: str, settings, level: str, message: str) -> None:
    """What a settings file would do to a plain `claude` is told with the file's name, and no value of a secret."""
    settle(tmp_path / place, settings)
    with at_home(tmp_path / "home", monkeypatch):
        findings = list(look_at_bypasses(3456, tmp_path / "project", {}))
    found = find(findings, message)
    assert (found.level, str(tmp_path / place) in found.message) == (level, True)
    assert not [finding for finding in findings if "secret" in finding.message or "key=s" in finding.message]


def test_managed_settings(tmp_path: Path, monkeypatch) -> None:
    """Managed settings outrank what `ccr code` gives: what leads past the router there is a problem."""
    monkeypatch.setattr("ccrouter.service.diagnosis.bypass._managed_folder", lambda: tmp_path)
    settle(tmp_path / "managed-settings.json", {"env": {"ANTHROPIC_BASE_URL": "https://evil.example"}})
    settle(tmp_path / "managed-settings.d" / "10-more.json", {"env": {"CLAUDE_CODE_USE_VERTEX": "1"}})
    with at_home(tmp_path, monkeypatch):
        findings = list(look_at_bypasses(3456, tmp_path / "project", {}))
    assert [finding.level for finding in findings] == ["problem", "problem"]
    assert "managed settings outrank `ccr code`" in findings[0].message


def test_this_shell(ccr: Ccr) -> None:
    """Variables of the shell are told too; what `ccr code` overrules does not make the doctor fail."""
    findings = examine(ccr, ANTHROPIC_BASE_URL="https://gateway.example", CLAUDE_CODE_USE_VERTEX="1")
    assert find(findings, "this shell: ANTHROPIC_BASE_URL leads to gateway.example").level == "warning"
    assert find(findings, "this shell: CLAUDE_CODE_USE_VERTEX").advice.startswith("start it with `ccr code`")


# -- network and files -------------------------------------------------------------------------------------------------


def test_proxy(ccr: Ccr) -> None:
    """A proxy is named without its password; one that would swallow requests to the router is a warning."""
    findings = examine(ccr, HTTPS_PROXY="http://user:pass@proxy.example:8080")
    assert find(findings, "HTTPS_PROXY leads through").message == "HTTPS_PROXY leads through proxy.example:8080"
    assert find(findings, "NO_PROXY does not name 127.0.0.1").level == "warning"
    findings = examine(ccr, HTTPS_PROXY="http://proxy.example:8080", NO_PROXY="127.0.0.1")
    assert find(findings, "NO_PROXY names 127.0.0.1").level == "ok"


def test_codespace(ccr: Ccr, port: int) -> None:
    """In a Codespace its addresses are told."""
    ccr.configure(PORT=port)
    environ = {"CODESPACE_NAME": "fuzzy-x7", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"}
    findings = examine(ccr, **environ)
    assert f"https://fuzzy-x7-{port}.app.github.dev" in find(findings, "GitHub Codespace").message
    lines = [line.strip() for line in ccr.run("doctor", COLUMNS="50", **environ).stdout.splitlines()]
    assert f"export CLAUDE_CODE_ROUTER_URL=http://127.0.0.1:{port}" in lines
    assert f"gh codespace ports visibility {port}:public" in lines
    ccr.configure(PORT=port, APIKEY="${ROUTER_KEY}")
    assert "Set APIKEY" not in find(examine(ccr, code=1, **environ), "GitHub Codespace").message


def test_audit_log(ccr: Ccr) -> None:
    """How large the audit log is, in all its files."""
    folder = ccr.folder / "audit"
    folder.mkdir(parents=True)
    (folder / "audit-3456.jsonl").write_bytes(b"x" * 885)
    (folder / "audit-3456.000001.jsonl").write_bytes(b"x" * 1_000_000)
    (folder / "audit-3456.head").write_bytes(b"x")
    assert find(examine(ccr), "audit: ").message == f"audit: {folder} (2 files, 1.0 MB)"


@pytest.mark.parametrize(("policy", "level"), [("", "warning"), ("anthropic-only", "problem")])
def test_audit_log_that_cannot_be_written(ccr: Ccr, policy: str, level: str) -> None:
    """A file where the folder has to be: nothing is recorded, which is a problem if the policy demands it."""
    ccr.folder.mkdir()
    (ccr.folder / "audit").touch()
    found = find(examine(ccr, code=None, **({"CCR_POLICY": policy} if policy else {})), "audit: ")
    assert (found.level, "is no folder: nothing can be recorded" in found.message) == (level, True)


def test_no_audit_log(ccr: Ccr) -> None:
    """With LOG false and no policy there is none, and that is what is said."""
    ccr.configure(LOG=False, **local())
    found = find(examine(ccr, LOCAL_KEY="k" * 20), "audit: ")
    assert (found.level, found.message) == ("info", "audit: none, LOG is false and no policy demands it")


@pytest.mark.skipif(os.name == "nt", reason="modes")
@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o644, "warning"), (0o666, "problem")])
def test_modes(ccr: Ccr, mode: int, level: str) -> None:
    """A config that others can read is a warning, one that they can change a problem; chmod is given in full."""
    path = ccr.configure(**local())
    path.chmod(mode)
    found = find(examine(ccr, code=None, LOCAL_KEY="k"), f"(mode {mode:04o})")
    assert found.level == level
    assert found.advice in {"", f"chmod 600 {path}"}


def test_on_a_terminal(ccr: Ccr, port: int) -> None:
    """On a terminal the words are the same; colour only underlines them."""
    ccr.configure(PORT=port)
    command = ["script", "-qec", " ".join(ccr.command("doctor")), "/dev/null"]
    try:
        done = subprocess.run(
            command,
            env=ccr.environ | {"TERM": "xterm"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("script gives the program a terminal")
    assert "\033[32m  ok        \033[0m" in done.stdout
    assert stat.S_ISREG((ccr.folder / "config.json").stat().st_mode)

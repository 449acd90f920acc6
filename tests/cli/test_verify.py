"""`ccr verify`: the guide's words and exit codes, and whether what runs is what the files say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ccrouter.cli.findings import in_order
from ccrouter.cli.stale import ask
from ccrouter.cli.verify import ok_line
from ccrouter.compliance.document import read_policy
from ccrouter.compliance.findings import Finding
from ccrouter.compliance.policy import NO_POLICY, Policy
from tests.cli.conftest import LIMIT, Ccr
from tests.cli.test_install import ENVIRONMENT, GUIDE

OK = "Router config OK. Local routing only. Anthropic only. Allowed models only.\n"
OPEN = 'Router config OK. No policy is in force: checked against "open".\n'

Changes = dict[str, Any]


@pytest.fixture
def installed(ccr: Ccr) -> Ccr:
    """A home after `ccr install`, the variables of the guide set."""
    assert ccr.run("install").returncode == 0
    ccr.environ |= ENVIRONMENT
    return ccr


def change(ccr: Ccr, **members: Any) -> Path:
    """The guide's config with other top-level members; None takes one out."""
    tree = json.loads(GUIDE) | members
    path = ccr.folder / "config.json"
    path.write_text(json.dumps({name: value for name, value in tree.items() if value is not None}, indent=2))
    return path


def provider(**members: Any) -> list[Changes]:
    return [json.loads(GUIDE)["Providers"][0] | members]


def router(**members: Any) -> Changes:
    tree = json.loads(GUIDE)["Router"] | members
    return {name: value for name, value in tree.items() if value is not None}


# -- the guide's own words -----------------------------------------------------------------------------------------------


def test_guide(installed: Ccr) -> None:
    """After install the guide's line is all of stdout, stderr is empty and the exit code 0."""
    done = installed.run("verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, OK, "")


def test_missing(ccr: Ccr) -> None:
    """A missing config is told in the guide's words, with what to do, exit code 2."""
    done = ccr.run("verify")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: Router config missing at ~/.claude-code-router/config.json\n"
        "  hint: ccr install (or: npm run router:install)\n"
    )


def test_missing_elsewhere(installed: Ccr) -> None:
    """A config that is named and is not there is told by its name."""
    done = installed.run("verify", "--config", "no/such.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Router config missing at no/such.json\n  hint: ")


def test_banned_provider(installed: Ccr) -> None:
    """The guide's second error is the first line of stderr; the place and what is allowed follow it."""
    change(installed, Providers=[*provider(), provider(name="openrouter")[0]])
    done = installed.run("verify")
    assert (done.returncode, done.stdout) == (20, "")
    assert done.stderr.splitlines()[:2] == ["Error: BANNED provider: openrouter", "  at: Providers[1].name"]
    assert "  hint: allowed: anthropic" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("changes", "code", "first"),
    [
        ({"HOST": "0.0.0.0"}, 13, "HOST must be 127.0.0.1 (localhost only)"),
        ({"HOST": None}, 13, "HOST must be 127.0.0.1 (localhost only)"),
        ({"Providers": provider(name="iflow")}, 20, "BANNED provider: iflow"),
        ({"Providers": provider(name="other")}, 21, "Only anthropic allowed, found 'other'"),
        ({"Providers": provider(models=["claude-3.7-sonnet", "gpt-4"])}, 22, "Model not allowed: gpt-4"),
        (
            {"Router": router(default="anthropic,gpt-4")},
            33,
            "Router.default → anthropic,gpt-4: Model not allowed: gpt-4",
        ),
    ],
)
def test_words_and_codes(installed: Ccr, changes: Changes, code: int, first: str) -> None:
    """What the guide's script refuses is refused with its exit code, its message in the first line of stderr."""
    change(installed, **changes)
    done = installed.run("verify")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[0] == f"Error: {first}"


@pytest.mark.parametrize(
    ("text", "code", "first"),
    [
        ("{ broken", 3, "Error: Config JSON malformed: "),
        ("", 3, "Error: Config JSON malformed: "),
        ("null", 10, "Error: Config must be an object"),
        ("[]", 10, "Error: Config must be an object"),
    ],
)
def test_no_config(installed: Ccr, text: str, code: int, first: str) -> None:
    """What is no configuration is told as such, by the guide's exit codes."""
    (installed.folder / "config.json").write_text(text)
    done = installed.run("verify")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(first)


def test_all_at_once_in_the_guides_order(installed: Ccr) -> None:
    """Everything wrong is told, as the guide's script would come upon it: HOST, providers one by one, routes; then the rest."""
    wrong = [
        *provider(models=["gpt-4"], api_base_url="https://evil.example/v1/messages"),
        provider(name="openrouter")[0],
    ]
    change(installed, HOST="0.0.0.0", Providers=wrong, Router=router(webSearch="openrouter,x", think="anthropic,y"))
    done = installed.run("verify")
    told = [line.removeprefix("Error: ") for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 13
    expected = [
        "HOST must be 127.0.0.1 (localhost only)",
        "Model not allowed: gpt-4",
        "BANNED provider: openrouter",
        "Router.think → anthropic,y: Model not allowed: y",
        "Router.webSearch → openrouter: BANNED provider: openrouter",
        'provider "anthropic": Host not allowed: evil.example',
    ]
    assert [line for line in told if line in expected] == expected


def test_order() -> None:
    """The order is the script's: file, shape, HOST, provider by provider, routes by name; other files and other rules last."""
    found = [
        Finding("c", "Router.webSearch", "", "", 32),
        Finding("c", "APIKEY", "", "", 35),
        Finding("project", "Router.default", "", "", 32),
        Finding("c", "Router.default", "", "", 33),
        Finding("c", "Providers[1].name", "", "", 20),
        Finding("c", "Providers[0].transformer", "", "", 23),
        Finding("c", "Providers[0].models[1]", "", "", 22),
        Finding("c", "Router", "", "", 12),
        Finding("c", "HOST", "", "", 13),
        Finding("c", "", "", "", 2),
    ]
    assert [finding.code for finding in in_order(found, "c")] == [2, 12, 13, 22, 23, 20, 33, 32, 35, 32]


def test_variables_are_needed(installed: Ccr) -> None:
    """A variable that is not set is an error that names it."""
    done = installed.run("verify", ANTHROPIC_API_KEY="")
    assert done.returncode != 0
    assert "environment variable ANTHROPIC_API_KEY is not set" in done.stderr
    assert done.stdout == ""


def test_no_secret_is_told(installed: Ccr) -> None:
    """A key that stands in the file is refused, and not repeated; nor are those of the environment."""
    change(installed, Providers=provider(api_key="sk-ant-api03-literal-0123456789"), HOST="0.0.0.0")
    for words in ((), ("--json",)):
        done = installed.run("verify", *words)
        assert done.returncode != 0
        assert "literal-0123456789" not in done.stdout + done.stderr
        assert not [value for value in ENVIRONMENT.values() if value in done.stdout + done.stderr]


def test_warnings(ccr: Ccr) -> None:
    """What is only odd is a warning on stderr; the line stands and the exit code is 0."""
    path = ccr.configure(PORT=3999, PROT=1, Providers=[], Router={})
    path.chmod(0o644)
    done = ccr.run("verify")
    assert (done.returncode, done.stdout) == (0, OPEN)
    told = done.stderr.splitlines()
    assert [line for line in told if not line.startswith("  ")] == [
        line for line in told if line.startswith("Warning: ")
    ]
    assert any(line.startswith("Warning: ") and "is open to others (mode 0644)" in line for line in told)
    assert f"  hint: chmod 600 {path}" in told


def test_every_first_line_has_a_subject(installed: Ccr) -> None:
    """What the reader says of a place ("must be ...") is told behind that place, in words and for programs alike."""
    change(installed, PROT=1, Router={}, transformers=[{"path": "x.js"}])
    project = installed.folder / "proj" / "config.json"
    project.parent.mkdir()
    project.write_text('{"Router": ')
    done = installed.run("verify", SERVICE_PORT="99999")
    first = [line.partition(": ") for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert {kind for kind, _, _ in first} <= {"Error", "Warning"}
    told = [text for _, _, text in first]
    assert 'environment: SERVICE_PORT: must be from 1 to 65535, not "99999"' in told
    assert any(text.startswith("Router.default: is missing") for text in told)
    assert any(text.startswith(f"{project}: ") for text in told)
    assert not [text for text in told if text.startswith(("is ", "must ", "unexpected "))]
    line = json.loads(installed.run("verify", "--json", SERVICE_PORT="99999").stdout)["line"]
    assert line == f"Error: {told[0]}"


# -- which policy --------------------------------------------------------------------------------------------------------


def test_no_policy(ccr: Ccr) -> None:
    """With no policy in force the config is held against `open`, and the line says so."""
    ccr.run("install", "--template", "openrouter")
    done = ccr.run("verify", OPENROUTER_API_KEY="sk-or-0123456789abcdef")
    assert (done.returncode, done.stdout) == (0, OPEN)


@pytest.mark.parametrize("words", [("--policy", "anthropic-only"), ("--policy=POLICY",)])
def test_named_policy(ccr: Ccr, tmp_path: Path, words: tuple[str, ...]) -> None:
    """`--policy` holds the config against another policy, by name or by path."""
    path = tmp_path / "policy.json"
    path.write_text('{"name": "p", "providers": {"banned": ["openrouter"]}}')
    ccr.run("install", "--template", "openrouter")
    done = ccr.run(
        "verify", *(word.replace("POLICY", str(path)) for word in words), OPENROUTER_API_KEY="sk-or-0123456789abcdef"
    )
    assert done.returncode != 0
    assert "Error: BANNED provider: openrouter" in done.stderr


def test_named_policy_against_a_pinned_one(installed: Ccr) -> None:
    """What pins the policy is not got around: another one that is named is refused."""
    done = installed.run("verify", "--policy", "open", CCR_POLICY="anthropic-only")
    assert (done.returncode, done.stdout) == (41, "")
    assert done.stderr.startswith("Error: command line: --policy: names another policy than CCR_POLICY")


@pytest.mark.parametrize("as_json", [False, True])
def test_broken_policy(installed: Ccr, *, as_json: bool) -> None:
    """A policy that cannot be read is never no policy."""
    (installed.folder / "policy.json").write_text("{")
    done = installed.run("verify", *(["--json"] if as_json else []))
    assert done.returncode == 41
    if as_json:
        told = json.loads(done.stdout)
        assert (told["ok"], told["policy"], told["findings"][0]["code"]) == (False, None, 41)
        assert told["line"].startswith("Error: ")
    else:
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ")


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (read_policy("anthropic-only", {}), OK.strip()),
        (read_policy("open", {}), "Router config OK."),
        (NO_POLICY, OPEN.strip()),
        (Policy(source="x", loopback_only=True), "Router config OK. Local routing only."),
        (Policy(source="x", allowed_providers=("anthropic", "mY box")), "Router config OK. Anthropic, MY box only."),
        (Policy(source="x", allowed_models=("a*",)), "Router config OK. Allowed models only."),
    ],
    ids=["guide", "open", "none", "loopback", "providers", "models"],
)
def test_line(policy: Policy, line: str) -> None:
    """The line has a sentence for each of the guide's rules that the policy makes, and no other."""
    assert ok_line(policy) == line


# -- for programs --------------------------------------------------------------------------------------------------------


def test_json(installed: Ccr) -> None:
    """One object: policy, config with the digest of the file's bytes, nothing found, the line."""
    done = installed.run("verify", "--json")
    told = json.loads(done.stdout)
    config = installed.folder / "config.json"
    digest = subprocess.run(["sha256sum", str(config)], capture_output=True, text=True, check=True).stdout.split()[0]
    policy = read_policy(str(installed.folder / "policy.json"), {})
    assert (done.returncode, done.stderr) == (0, "")
    assert told == {
        "ok": True,
        "policy": {
            "name": "anthropic-only",
            "digest": policy.digest,
            "source": str(installed.folder / "policy.json"),
            "isPinned": False,
            "isInForce": True,
        },
        "config": {"path": str(config), "digest": digest},
        "findings": [],
        "running": None,
        "line": OK.strip(),
    }


def test_json_of_errors(installed: Ccr) -> None:
    """Every finding with place, rule, code and hint; the exit code and the line are those without --json."""
    change(installed, Providers=provider(name="openrouter"))
    done = installed.run("verify", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["ok"]) == (20, "", False)
    assert told["line"] == "Error: BANNED provider: openrouter"
    assert told["findings"][0] == {
        "severity": "error",
        "file": str(installed.folder / "config.json"),
        "path": "Providers[0].name",
        "message": "BANNED provider: openrouter",
        "rule": "providers.banned",
        "code": 20,
        "hint": "allowed: anthropic",
    }
    assert len(told["config"]["digest"]) == 64


def test_json_of_a_missing_config(ccr: Ccr) -> None:
    """Without a config there is no digest, and no policy in force is told as such."""
    done = ccr.run("verify", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["config"]["digest"]) == (2, False, "")
    assert (told["policy"]["name"], told["policy"]["isInForce"]) == ("open", False)


# -- from anywhere -------------------------------------------------------------------------------------------------------


def test_writes_nothing(ccr: Ccr) -> None:
    """Not even the folder is made."""
    ccr.run("verify")
    ccr.run("verify", "--running")
    assert list(ccr.home.iterdir()) == []


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_tracked_by_git(installed: Ccr) -> None:
    """A config that git keeps versions of is refused under the policy."""
    for words in (["init", "-q"], ["add", "-f", ".claude-code-router"]):
        subprocess.run(["git", "-C", str(installed.home), *words], check=True, env=installed.environ)
    done = installed.run("verify")
    assert (done.returncode, done.stdout) == (37, "")
    assert "is tracked by git" in done.stderr


def test_linked_config(installed: Ccr, tmp_path: Path) -> None:
    """A config that is a link is refused under the policy."""
    path = installed.folder / "config.json"
    path.rename(tmp_path / "real.json")
    path.symlink_to(tmp_path / "real.json")
    done = installed.run("verify")
    assert (done.returncode, done.stdout) == (37, "")
    assert "is a symbolic link" in done.stderr


# -- what runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def serving(installed: Ccr, port: int) -> Ccr:
    """The guide's config on a port of its own, under its policy, with a router that runs by it and reloads when asked."""
    change(installed, PORT=port, autoReload=False)
    installed.serve()
    return installed


def errors_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.removeprefix("Error: ") for line in done.stderr.splitlines() if line.startswith("Error: ")]


def test_running(serving: Ccr, port: int) -> None:
    """A router that runs by the files as they are is what the guide's line says too."""
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout, done.stderr) == (0, OK, "")
    told = json.loads(serving.run("verify", "--running", "--json").stdout)
    assert told["running"]["addresses"] == ["127.0.0.1"]
    assert (told["running"]["port"], told["running"]["pid"]) == (port, serving.children[0].pid)
    assert told["running"]["config"] == told["config"]
    assert told["running"]["policy"]["digest"] == told["policy"]["digest"]


def test_nothing_runs(installed: Ccr) -> None:
    """With --running, a config that is right is not enough; without it, it is."""
    done = installed.run("verify", "--running")
    assert (done.returncode, done.stdout, done.stderr) == (
        42,
        "",
        "Error: the router is not running\n  hint: ccr start\n",
    )
    assert json.loads(installed.run("verify", "--running", "--json").stdout)["running"] is None
    assert installed.run("verify").returncode == 0


def test_config_changed_since(serving: Ccr) -> None:
    """One byte of the config changed after the start: the process is stale, though the files are right."""
    path = serving.folder / "config.json"
    path.write_text(path.read_text() + "\n")
    assert serving.run("verify").returncode == 0
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == [f"the running router is stale: {path} has changed since it read it"]
    assert "  hint: ccr restart\n" in done.stderr


def test_stale_until_restarted(serving: Ccr) -> None:
    """What the hint says helps."""
    path = serving.folder / "config.json"
    path.write_text(path.read_text() + "\n")
    assert serving.run("restart").returncode == 0
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout, done.stderr) == (0, OK, "")


def test_policy_changed_since(serving: Ccr) -> None:
    """Another policy in force than the process was started under is found; the same one written otherwise is none."""
    path = serving.folder / "policy.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps(tree))
    assert serving.run("verify", "--running").returncode == 0
    tree["clientKey"]["minLength"] = 20
    path.write_text(json.dumps(tree))
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert [line.partition(" (")[0] for line in errors_of(done)] == [
        "the running router is stale: it works under anthropic-only"
    ]


def test_policy_is_gone(serving: Ccr) -> None:
    """A process under a policy that the files no longer name is told."""
    (serving.folder / "policy.json").unlink()
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == ["the running router works under the policy anthropic-only, and none is in force now"]


def test_policy_came_later(installed: Ccr, port: int) -> None:
    """A process that was started before there was a policy enforces none: that is found."""
    change(installed, PORT=port)
    policy = installed.folder / "policy.json"
    document = policy.read_bytes()
    policy.unlink()
    installed.serve()
    policy.write_bytes(document)
    done = installed.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == [f"no policy is in force in the running router; anthropic-only is, by {policy}"]


def test_policy_of_the_start(installed: Ccr, port: int) -> None:
    """A router that was started with `--policy` is right only if that policy is the one examined, and the hint says how."""
    change(installed, PORT=port)
    (installed.folder / "policy.json").unlink()
    installed.serve("--policy", "anthropic-only")
    done = installed.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == ["the running router works under the policy anthropic-only, and none is in force now"]
    assert "`ccr verify --policy anthropic-only --running`" in done.stderr
    assert installed.run("verify", "--running", "--policy", "anthropic-only").stdout == OK
    assert installed.run("verify", "--running", "--policy", "open").returncode == 42


def test_weaker_policy_of_the_start(serving: Ccr) -> None:
    """A router restarted under `open` is not what the policy in force promises: no line, and what ends it."""
    assert serving.run("restart", "--policy", "open").returncode == 0
    done = serving.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    policy = serving.folder / "policy.json"
    assert errors_of(done) == [
        f"the running router works under open, by its --policy; examined was anthropic-only, by {policy}"
    ]
    assert "  hint: `ccr verify --policy open --running` examines under that; to end it: ccr stop" in done.stderr
    assert serving.run("verify", "--running", "--policy", "open").stdout == "Router config OK.\n"


def test_policy_file_of_the_start_changed(installed: Ccr, tmp_path: Path, port: int) -> None:
    """The file that `--policy` named has changed since: stale, and a restart helps."""
    change(installed, PORT=port, autoReload=False)
    policy = tmp_path / "own.json"
    policy.write_text('{"name": "own", "providers": {"allowed": ["anthropic"]}}')
    installed.serve("--policy", str(policy))
    policy.write_text('{"name": "own", "providers": {"allowed": ["anthropic"], "banned": ["iflow"]}}')
    done = installed.run("verify", "--running", "--policy", str(policy))
    assert [line.partition(" (")[0] for line in errors_of(done)] == ["the running router is stale: it works under own"]
    assert "  hint: ccr restart\n" in done.stderr


def test_open_to_the_network(installed: Ccr, port: int) -> None:
    """Where it listens is asked of the kernel: an address that is not loopback's breaks a policy that came later."""
    change(installed, PORT=port)
    policy = installed.folder / "policy.json"
    document = policy.read_bytes()
    policy.unlink()
    installed.serve("--host", "0.0.0.0")
    policy.write_bytes(document)
    done = installed.run("verify", "--running")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done)[0] == (
        f"the running router listens on 0.0.0.0, port {port}: HOST must be 127.0.0.1 (localhost only)"
    )


def test_another_key(serving: Ccr) -> None:
    """A router that refuses the config's key cannot be asked: it runs by another."""
    done = serving.run("verify", "--running", CCR_APIKEY="another-battery-than-before")
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == ["the running router refuses the key of the config (401)"]


def test_key_that_cannot_be_read(serving: Ccr) -> None:
    """Where the key's variable is unset, or the config is broken, none is sent: nobody claims that it was refused."""
    unread = "the running router wants a key, and the config has none that can be read: it cannot be compared"
    unset = serving.run("verify", "--running", CCR_APIKEY="")
    assert errors_of(unset)[-1] == unread
    (serving.folder / "config.json").write_text("{ broken")
    broken = serving.run("verify", "--running")
    assert broken.returncode == 3
    assert errors_of(broken)[-1] == unread
    assert "refuses the key" not in unset.stderr + broken.stderr


def test_key_of_a_broken_config(serving: Ccr, port: int) -> None:
    """What is wrong elsewhere in the config does not keep its key and port from being used: the process is compared."""
    path = change(serving, PORT=port, Providers=provider(protocol="nonsense"))
    done = serving.run("verify", "--running")
    assert done.returncode not in (0, 42)
    assert errors_of(done)[-1] == f"the running router is stale: {path} has changed since it read it"


@pytest.mark.parametrize(("named", "is_error"), [("anthropic-only", True), ("open", False)])
def test_addresses_that_nobody_tells(serving: Ccr, port: int, monkeypatch, named: str, *, is_error: bool) -> None:
    """Where the system does not tell the addresses, `loopbackOnly` is not met; without that rule it is a warning."""
    for name, value in serving.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ccrouter.service.port.listening_addresses", lambda _port: [])
    answer = ask(serving.folder / "config.json", "", read_policy(named, {}))
    text = f"the system does not tell on which addresses port {port} is open"
    assert [(found.code, found.rule) for found in answer.errors if found.message == text] == (
        [(42, "loopbackOnly")] if is_error else []
    )
    assert any(found.message == text for found in answer.warnings) is not is_error


def test_another_config(serving: Ccr, tmp_path: Path, port: int) -> None:
    """A copy elsewhere is not what the running router reads."""
    tmp_path.chmod(0o700)
    other = tmp_path / "config.json"
    shutil.copy(change(serving, PORT=port), other)
    done = serving.run("verify", "--running", "--config", str(other))
    assert (done.returncode, done.stdout) == (42, "")
    assert errors_of(done) == [f"the running router works by another config: {serving.folder / 'config.json'}"]


def test_files_and_process_both_wrong(serving: Ccr) -> None:
    """What is wrong with the files comes first, and gives the exit code."""
    change(serving, HOST="0.0.0.0")
    done = serving.run("verify", "--running")
    assert done.returncode == 13
    assert errors_of(done)[0] == "HOST must be 127.0.0.1 (localhost only)"
    assert any("stale" in line for line in errors_of(done))


def test_running_elsewhere(installed: Ccr, port: int) -> None:
    """A router on another port than the config's is found, as `ccr status` finds it."""
    installed.serve("--port", str(port))
    done = installed.run("verify", "--running")
    assert (done.returncode, done.stdout, done.stderr) == (0, OK, "")


def test_key_of_the_command_line(installed: Ccr, port: int) -> None:
    """A router whose key was given at its start, and kept nowhere, cannot be asked; that is told and no key is sent."""
    change(installed, PORT=port)
    (installed.folder / "policy.json").unlink()
    installed.serve("--apikey", "a-key-that-is-kept-nowhere")
    done = installed.run("verify", "--running")
    assert done.returncode == 42
    assert "the key of its --apikey" in done.stderr


def test_reader_that_leaves(installed: Ccr) -> None:
    """`ccr verify | true` complains about nothing."""
    child = installed.spawn("verify")
    child.stdout.close()
    _, stderr = child.communicate(timeout=LIMIT)
    assert "Traceback" not in stderr


def test_help_names_the_options(ccr: Ccr) -> None:
    """The help has every option."""
    done = ccr.run("verify", "--help")
    assert all(option in done.stdout for option in ("--config", "--policy", "--running", "--json"))
    assert os.linesep in done.stdout

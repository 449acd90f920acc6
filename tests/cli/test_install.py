"""`ccr install`: the words, the files and the modes of the guide, from anywhere, and nothing in the place of another."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.cli.template import Template, environment_lines, needed_variables, read_template
from ccrouter.compliance.document import preset_text
from ccrouter.config.load import load
from ccrouter.config.starter import TEMPLATE, create_starter
from tests.cli.conftest import LIMIT, Ccr, free_port, tree

#: What the second guide shows, character by character.
GUIDE = """{
  "HOST": "127.0.0.1",
  "APIKEY": "${CCR_APIKEY}",
  "LOG": true,
  "LOG_LEVEL": "info",
  "API_TIMEOUT_MS": 600000,
  "Providers": [
    {
      "name": "anthropic",
      "api_base_url": "https://api.anthropic.com/v1/messages",
      "api_key": "${ANTHROPIC_API_KEY}",
      "models": ["claude-3.7-sonnet", "claude-3.7-haiku"],
      "transformer": { "use": ["anthropic"] }
    }
  ],
  "Router": {
    "default": "anthropic,claude-3.7-sonnet",
    "background": "anthropic,claude-3.7-haiku",
    "think": "anthropic,claude-3.7-sonnet",
    "longContext": "anthropic,claude-3.7-sonnet",
    "longContextThreshold": 60000
  }
}
"""

#: The guide's package.json, as far as it matters.
PACKAGE = """{
  "name": "riskexec",
  "version": "1.0.0",
  "keywords": ["a", "b"],
  "scripts": {
    "test": "npm run router:verify",
    "router:install": "node ./scripts/router-install.js",
    "router:verify": "node ./scripts/router-verify.js"
  },
  "private": true
}
"""

OURS = {
    "router:install": "ccr install",
    "router:verify": "ccr verify",
    "router:code": "ccr code",
    "router:ui": "ccr ui",
}

ENVIRONMENT = {"ANTHROPIC_API_KEY": "sk-ant-0123456789abcdef", "CCR_APIKEY": "correct-horse-battery-staple"}

POSIX = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
GIT = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def wrote(path: Path) -> str:
    return f"""Wrote {path}

Set env vars before running the router:
  export ANTHROPIC_API_KEY="<your_key>"
  export CCR_APIKEY="<a_local_secret>"
"""


def found(path: Path) -> str:
    return f"Found existing {path}. Leaving it as is.\n"


def config_of(ccr: Ccr) -> Path:
    return ccr.folder / "config.json"


# -- the guide's own run -------------------------------------------------------------------------------------------------


@POSIX
def test_first_install(ccr: Ccr) -> None:
    """stdout is the guide's, to the letter; config and policy are its own, 0600 in a 0700 folder; nothing else is made."""
    done = ccr.run("install")
    assert (done.returncode, done.stdout, done.stderr) == (0, wrote(config_of(ccr)), "")
    assert config_of(ccr).read_text() == GUIDE
    assert (ccr.folder / "policy.json").read_bytes() == preset_text("anthropic-only")
    assert mode(ccr.folder) == 0o700
    assert mode(config_of(ccr)) == mode(ccr.folder / "policy.json") == 0o600
    assert tree(ccr.home) == {
        ".claude-code-router",
        ".claude-code-router/config.json",
        ".claude-code-router/policy.json",
    }


@POSIX
def test_existing_config_is_left(ccr: Ccr) -> None:
    """A second run, and one that finds anything else there, says so with exit code 0; content, mode and time are untouched."""
    path = ccr.configure()
    path.write_text("{ anything")
    path.chmod(0o640)
    before = path.stat()
    for template in ("anthropic", "openrouter"):
        done = ccr.run("install", "--template", template)
        assert (done.returncode, done.stdout) == (0, found(path))
    after = path.stat()
    assert path.read_text() == "{ anything"
    assert (after.st_mode, after.st_mtime_ns, after.st_ino) == (before.st_mode, before.st_mtime_ns, before.st_ino)


def test_second_run(ccr: Ccr) -> None:
    """Installing twice changes nothing, and says nothing but that the file is there."""
    ccr.run("install")
    before = {path: path.stat().st_mtime_ns for path in ccr.folder.iterdir()}
    done = ccr.run("install")
    assert (done.returncode, done.stdout, done.stderr) == (0, found(config_of(ccr)), "")
    assert {path: path.stat().st_mtime_ns for path in ccr.folder.iterdir()} == before


@POSIX
def test_open_folder_is_closed(ccr: Ccr) -> None:
    """The router's own folder, made by somebody who left it open, is closed."""
    ccr.folder.mkdir(mode=0o755)
    assert ccr.run("install").returncode == 0
    assert mode(ccr.folder) == 0o700


def test_open_folder_of_the_policy_is_closed(ccr: Ccr) -> None:
    """So it is where only the policy goes there, the config being elsewhere: a policy that others could change is none."""
    ccr.folder.mkdir()
    ccr.folder.chmod(0o777)
    assert ccr.run("install", CCR_CONFIG=str(ccr.home / "c" / "config.json")).returncode == 0
    assert mode(ccr.folder) == 0o700
    assert (ccr.folder / "policy.json").exists()


def test_any_umask(ccr: Ccr) -> None:
    """Modes do not depend on the umask."""
    command = ["sh", "-c", 'umask 000; "$@"', "sh", *ccr.command("install")]
    done = subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=False, cwd=ccr.home)
    assert done.returncode == 0, done.stderr
    assert [mode(path) for path in (ccr.folder, *sorted(ccr.folder.iterdir()))] == [0o700, 0o600, 0o600]


def test_two_at_once(ccr: Ccr) -> None:
    """Of installs that run side by side one writes, the others find; the file is whole and nothing is left over."""
    children = [ccr.spawn("install") for _ in range(4)]
    told = sorted(child.communicate(timeout=LIMIT)[0] for child in children)
    assert told == sorted([*[found(config_of(ccr))] * 3, wrote(config_of(ccr))])
    assert all(child.returncode == 0 for child in children)
    assert config_of(ccr).read_text() == GUIDE
    assert len(list(ccr.folder.iterdir())) == 2


# -- templates -----------------------------------------------------------------------------------------------------------


def test_openrouter(ccr: Ccr) -> None:
    """The first guide's config comes without a policy, and names its own variable."""
    done = ccr.run("install", "--template", "openrouter")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f'Wrote {config_of(ccr)}\n\nSet env vars before running the router:\n  export OPENROUTER_API_KEY="sk-or-..."\n'
    )
    assert sorted(path.name for path in ccr.folder.iterdir()) == ["config.json"]
    config = load(config_of(ccr), {"OPENROUTER_API_KEY": "sk-or-0123456789"})
    assert str(config.router.routes["default"]) == "openrouter,qwen/qwen3-coder"


@pytest.mark.parametrize("name", ["anthropic", "openrouter"])
def test_shipped_templates_work(name: str, tmp_path: Path) -> None:
    """Each shipped template is a config without warnings, its variables set."""
    template = read_template(name, {})
    path = tmp_path / "config.json"
    path.write_bytes(template.data)
    variables = dict.fromkeys(needed_variables(template.data.decode()), "0123456789-abcdefghij")
    assert load(path, variables).warnings == ()


def test_own_template(ccr: Ccr, tmp_path: Path) -> None:
    """A file of the user's is written byte for byte, without a policy; its variables are listed, the router's own key last.

    Those with a default, and those in comments, are not.
    """
    text = """// ${COMMENT}\r
{ APIKEY: "$MY_ROUTER_KEY", PORT: "${PORT:-3456}",
  Providers: [{ name: "x", api_base_url: "http://127.0.0.1:9/v1/chat/completions", api_key: "${X_KEY}", models: ["m"] },
    { name: "y", api_base_url: "http://127.0.0.1:9/v1/chat/completions", api_key: "${X_KEY}$Y_KEY", models: ["m"] }],
  Router: { default: "x,m" } }"""
    (tmp_path / "mine.json5").write_bytes(text.encode())
    done = ccr.run("install", "--template", str(tmp_path / "mine.json5"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2:] == [
        "Set env vars before running the router:",
        '  export X_KEY="<your_key>"',
        '  export Y_KEY="<your_key>"',
        '  export MY_ROUTER_KEY="<a_local_secret>"',
    ]
    assert config_of(ccr).read_bytes() == text.encode()
    assert not (ccr.folder / "policy.json").exists()


def test_template_without_variables(ccr: Ccr, tmp_path: Path) -> None:
    """With no variables to set, none are spoken of."""
    (tmp_path / "plain.json").write_text("{}")
    done = ccr.run("install", "--template", str(tmp_path / "plain.json"))
    assert (done.returncode, done.stdout) == (0, f"Wrote {config_of(ccr)}\n")


def test_template_of_the_repository(ccr: Ccr, tmp_path: Path) -> None:
    """The guide's own arrangement, its config in the repository, gives the guide's own output."""
    (tmp_path / ".claude-code-router").mkdir()
    (tmp_path / ".claude-code-router/config.json").write_text(GUIDE)
    command = ccr.command("install", "--template", ".claude-code-router/config.json")
    done = subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, wrote(config_of(ccr)))


def test_template_below_home(ccr: Ccr) -> None:
    """A leading ~ that no shell has replaced is the home folder."""
    (ccr.home / "t.json").write_text(GUIDE)
    assert ccr.run("install", "--template=~/t.json").stdout == wrote(config_of(ccr))


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (".claude-code-router/config.json", "Missing .claude-code-router/config.json in repo\n"),
        ("./.claude-code-router/config.json", "Missing ./.claude-code-router/config.json in repo\n"),
        ("no/such.json", "Missing no/such.json\n"),
        ("~/no.json", "Missing ~/no.json\n"),
        ("nosuch", "Missing nosuch\n  hint: the templates are: anthropic, openrouter\n"),
    ],
)
def test_missing_template(ccr: Ccr, tmp_path: Path, named: str, told: str) -> None:
    """A template that is not there is told in the guide's words, with exit code 1, before anything is touched."""
    command = ccr.command("install", "--template", named)
    done = subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)
    assert tree(ccr.home) == set()


def test_missing_template_goes_before_an_existing_config(ccr: Ccr) -> None:
    """As in the guide's installer, a missing template is an error though a config is there."""
    ccr.configure()
    assert ccr.run("install", "--template", "no/such.json").returncode == 1


def test_template_that_is_a_folder(ccr: Ccr, tmp_path: Path) -> None:
    """A folder is no template."""
    done = ccr.run("install", "--template", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read" in done.stderr
    assert tree(ccr.home) == set()


def test_words_for_windows() -> None:
    """PowerShell's commands are laid out as the guide's installer does it."""
    assert environment_lines(Template("anthropic", GUIDE.encode()), "win32") == [
        '  PowerShell:  setx ANTHROPIC_API_KEY "<your_key>"',
        '               setx CCR_APIKEY "<a_local_secret>"',
    ]
    assert environment_lines(Template("", b"{}"), "win32") == []


# -- the policy ----------------------------------------------------------------------------------------------------------


def test_policy_in_force_judges_the_template(ccr: Ccr) -> None:
    """A template that breaks the policy in force is refused whole, with every reason; nothing is written."""
    done = ccr.run("install", "--template", "openrouter", CCR_POLICY="anthropic-only")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "Error: BANNED provider: openrouter\n" in done.stderr
    assert "Error: HOST must be 127.0.0.1 (localhost only)\n" in done.stderr
    assert "Nothing was written" in done.stderr
    assert "OPENROUTER_API_KEY" not in done.stderr
    assert tree(ccr.home) == set()


def test_policy_in_force_allows_the_default(ccr: Ccr) -> None:
    """Under a policy that comes from elsewhere the default template is written, and no policy of one's own beside it."""
    done = ccr.run("install", CCR_POLICY="anthropic-only")
    assert (done.returncode, done.stdout, done.stderr) == (0, wrote(config_of(ccr)), "")
    assert not (ccr.folder / "policy.json").exists()


def test_own_policy_is_never_overwritten(ccr: Ccr) -> None:
    """A policy that is there stays as it is, whatever it says."""
    ccr.folder.mkdir(mode=0o700)
    own = '{"name": "mine"}'
    (ccr.folder / "policy.json").write_text(own)
    assert ccr.run("install").stdout == wrote(config_of(ccr))
    assert (ccr.folder / "policy.json").read_text() == own


@pytest.mark.parametrize("there_is_a_config", [False, True])
def test_unreadable_policy(ccr: Ccr, *, there_is_a_config: bool) -> None:
    """With a policy that cannot be read nothing is written; an existing config is found all the same."""
    ccr.folder.mkdir(mode=0o700)
    (ccr.folder / "policy.json").write_text("{ broken")
    if there_is_a_config:
        config_of(ccr).write_text(GUIDE)
    done = ccr.run("install")
    assert "Error: " in done.stderr
    assert (done.returncode, done.stdout) == ((0, found(config_of(ccr))) if there_is_a_config else (1, ""))
    assert config_of(ccr).exists() is there_is_a_config
    assert (ccr.folder / "policy.json").read_text() == "{ broken"


def test_dangling_policy_is_no_absence(ccr: Ccr, tmp_path: Path) -> None:
    """A policy file that leads nowhere does not pass for a policy: nothing is installed without one."""
    ccr.folder.mkdir(mode=0o700)
    (ccr.folder / "policy.json").symlink_to(tmp_path / "nowhere")
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (1, "")
    assert "policy.json" in done.stderr
    assert not config_of(ccr).exists()


def test_existing_config_that_keeps_to_it_is_policed(ccr: Ccr) -> None:
    """A config that would pass gets the policy, silently, though its variables are unset."""
    ccr.folder.mkdir(mode=0o700)
    config_of(ccr).write_text(GUIDE)
    config_of(ccr).chmod(0o600)
    done = ccr.run("install")
    assert (done.returncode, done.stdout, done.stderr) == (0, found(config_of(ccr)), "")
    assert (ccr.folder / "policy.json").read_bytes() == preset_text("anthropic-only")


def test_existing_config_that_breaks_it_is_not(ccr: Ccr) -> None:
    """A config that would not pass keeps working: no policy is put there, and stderr says so and what to do."""
    path = ccr.configure(**json.loads(read_template("openrouter", {}).data))
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (0, found(path))
    assert "warning: no policy was put in place" in done.stderr
    assert "(Providers must be an array, and " in done.stderr
    assert "  hint: `ccr verify --policy anthropic-only`" in done.stderr
    assert not (ccr.folder / "policy.json").exists()


def test_proxy_in_the_environment_is_not_the_configs_fault(ccr: Ccr) -> None:
    """A proxy that happens to be exported keeps the policy out of no existing config; `ccr verify` tells of it."""
    ccr.folder.mkdir(mode=0o700)
    config_of(ccr).write_text(GUIDE)
    config_of(ccr).chmod(0o600)
    proxy = {"HTTPS_PROXY": "http://proxy.example:3128"}
    done = ccr.run("install", **proxy)
    assert (done.returncode, done.stdout, done.stderr) == (0, found(config_of(ccr)), "")
    assert (ccr.folder / "policy.json").exists()
    assert ccr.run("verify", **proxy, **ENVIRONMENT).returncode == 39


@POSIX
@pytest.mark.parametrize("template", ["anthropic", "openrouter"])
def test_starter_is_replaced(ccr: Ccr, template: str) -> None:
    """The starter of a first start, byte for byte, is nobody's work: the template takes its place, with its policy."""
    assert create_starter(config_of(ccr))
    done = ccr.run("install", "--template", template)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Wrote {config_of(ccr)}\n")
    assert config_of(ccr).read_bytes() == read_template(template, {}).data
    assert mode(config_of(ccr)) == 0o600
    assert (ccr.folder / "policy.json").exists() is (template == "anthropic")
    if template == "anthropic":
        assert ccr.run("verify", **ENVIRONMENT).returncode == 0


def test_starter_that_was_edited_is_left(ccr: Ccr, tmp_path: Path) -> None:
    """One byte of the user's own, or a link, makes it a config like any other."""
    create_starter(config_of(ccr))
    config_of(ccr).write_bytes(TEMPLATE.read_bytes() + b" ")
    assert ccr.run("install").stdout == found(config_of(ccr))
    target = config_of(ccr).rename(tmp_path / "target.json")
    target.write_bytes(TEMPLATE.read_bytes())
    config_of(ccr).symlink_to(target)
    assert ccr.run("install").stdout == found(config_of(ccr))
    assert target.read_bytes() == TEMPLATE.read_bytes()


def test_router_that_runs_without_the_new_policy(ccr: Ccr) -> None:
    """Where a router runs without the policy that was just put in place, stderr says so, and only then."""
    port = free_port()
    path = ccr.configure(**json.loads(GUIDE) | {"PORT": port})
    ccr.serve(**ENVIRONMENT)
    done = ccr.run("install", **ENVIRONMENT)
    assert (done.returncode, done.stdout) == (0, found(path))
    assert done.stderr == (
        f"warning: the policy anthropic-only was put in place, and a router runs without it on port {port}\n"
        "  hint: ccr restart\n"
    )
    assert ccr.run("install", **ENVIRONMENT).stderr == ""


# -- from anywhere -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/", "gone"])
def test_any_working_directory(ccr: Ccr, tmp_path: Path, place: str) -> None:
    """Where one stands plays no part, even if the folder is there no more."""
    script = (
        'mkdir "$1/gone" && cd "$1/gone" && rmdir "$1/gone" && shift && exec "$@"'
        if place == "gone"
        else 'cd / && shift && exec "$@"'
    )
    command = ["sh", "-c", script, "sh", str(tmp_path), *ccr.command("install")]
    done = subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, wrote(config_of(ccr))), done.stderr


def test_home_unset(ccr: Ccr) -> None:
    """Without HOME the system's own record of the home folder counts; here a config file is named, so that it stays untouched."""
    environ = {name: value for name, value in ccr.environ.items() if name != "HOME"}
    environ["CCR_CONFIG"] = str(ccr.home / "sub" / "config.json")
    command = ccr.command("install", "--template", "openrouter")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=ccr.home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Wrote {ccr.home / 'sub' / 'config.json'}\n")


def test_relative_config_is_told_absolute(ccr: Ccr) -> None:
    """CCR_CONFIG says where the router reads its config, so that is where it is written, and told in full."""
    done = ccr.run("install", "--template", "openrouter", CCR_CONFIG="here/config.json")
    assert done.stdout.startswith(f"Wrote {ccr.home / 'here/config.json'}\n")
    assert tree(ccr.home) == {"here", "here/config.json"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that nobody can write to, root included")
def test_read_only_home(ccr: Ccr) -> None:
    """Where nothing can be written there is one clear error, exit code 1, and no trace."""
    done = ccr.run("install", HOME="/proc/self")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: /proc/self/\S+ cannot be written: .+\n  hint: nothing was installed\n", done.stderr)


def test_file_in_the_way(ccr: Ccr) -> None:
    """A file where the folder should be is told."""
    ccr.folder.write_text("")
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: {ccr.folder}" in done.stderr


def test_config_that_is_a_folder(ccr: Ccr) -> None:
    """A folder in the place of the config is no config that could be left as it is."""
    config_of(ccr).mkdir(parents=True)
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{config_of(ccr)} is a folder" in done.stderr
    assert [path.name for path in ccr.folder.iterdir()] == ["config.json"]


def test_dangling_config(ccr: Ccr, tmp_path: Path) -> None:
    """A link that leads nowhere is told, and neither it nor what it names is written."""
    ccr.folder.mkdir()
    config_of(ccr).symlink_to(tmp_path / "nowhere.json")
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"is a symbolic link to {tmp_path / 'nowhere.json'}" in done.stderr
    assert not (tmp_path / "nowhere.json").exists()
    assert [path.name for path in ccr.folder.iterdir()] == ["config.json"]


def test_linked_config_is_found(ccr: Ccr, tmp_path: Path) -> None:
    """A link to a config is a config that is there."""
    (tmp_path / "real.json").write_text("{}")
    ccr.folder.mkdir()
    config_of(ccr).symlink_to(tmp_path / "real.json")
    done = ccr.run("install", "--template", "openrouter")
    assert (done.returncode, done.stdout) == (0, found(config_of(ccr)))


# -- git -----------------------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "core.excludesFile=")
    return subprocess.run(["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True)


@GIT
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, ".claude-code-router/\n"),
        ("a\n", "a\n.claude-code-router/\n"),
        ("a", "a\n.claude-code-router/\n"),
        ("a\r\nb\r\n", "a\r\nb\r\n.claude-code-router/\r\n"),
    ],
)
def test_home_in_a_work_tree(ccr: Ccr, old: str | None, new: str) -> None:
    """In a home under git the folder is added to .gitignore, once, and stderr says so; git then ignores it."""
    git(ccr.home, "init")
    file = ccr.home / ".gitignore"
    if old is not None:
        file.write_bytes(old.encode())
        file.chmod(0o640)
    first, second = ccr.run("install"), ccr.run("install")
    assert first.stdout == wrote(config_of(ccr))
    assert f"Added .claude-code-router/ to {file}" in first.stderr
    assert second.stderr == ""
    assert file.read_bytes() == new.encode()
    assert old is None or mode(file) == 0o640
    assert ".claude-code-router" not in git(ccr.home, "status", "--porcelain").stdout


@GIT
def test_home_below_a_work_tree(ccr: Ccr, tmp_path: Path) -> None:
    """The .gitignore is that of the work tree's top."""
    git(tmp_path, "init")
    done = ccr.run("install")
    assert (tmp_path / ".gitignore").read_text() == ".claude-code-router/\n", done.stderr
    assert not (ccr.home / ".gitignore").exists()


@GIT
@pytest.mark.parametrize(
    "pattern", [".claude-code-router", "/.claude-code-router/", ".claude*", ".claude-code-router/*", "*.json"]
)
def test_already_ignored(ccr: Ccr, pattern: str) -> None:
    """What git ignores already, by whatever pattern, is not added."""
    git(ccr.home, "init")
    (ccr.home / ".gitignore").write_text(f"{pattern}\n")
    assert ccr.run("install").stderr == ""
    assert ccr.run("install", GIT_DIR="/", GIT_WORK_TREE="/").stderr == "", "a hook's variables mean another repository"
    assert (ccr.home / ".gitignore").read_text() == f"{pattern}\n"


@GIT
def test_config_that_git_keeps(ccr: Ccr) -> None:
    """A config that is committed already is told, since no .gitignore helps there."""
    git(ccr.home, "init")
    ccr.configure()
    git(ccr.home, "add", ".")
    done = ccr.run("install")
    assert "is tracked by git" in done.stderr
    assert "rm --cached" in done.stderr


@GIT
def test_gitignore_that_is_a_link(ccr: Ccr, tmp_path: Path) -> None:
    """A linked .gitignore, which git does not read, is left alone; the line is told instead, and the install stands."""
    git(ccr.home, "init")
    (tmp_path / "elsewhere").write_text("")
    (ccr.home / ".gitignore").symlink_to(tmp_path / "elsewhere")
    done = ccr.run("install")
    assert (done.returncode, done.stdout) == (0, wrote(config_of(ccr)))
    assert "hint: add this line: .claude-code-router/" in done.stderr
    assert (tmp_path / "elsewhere").read_text() == ""


def test_no_work_tree(ccr: Ccr) -> None:
    """Without git nothing is said of it, and no .gitignore is made."""
    assert ccr.run("install").stderr == ""
    assert not (ccr.home / ".gitignore").exists()


def test_work_tree_without_git(ccr: Ccr, tmp_path: Path) -> None:
    """Where git is not installed the line is added once."""
    (ccr.home / ".git").mkdir()
    ccr.environ["PATH"] = str(tmp_path)
    ccr.run("install")
    ccr.run("install")
    assert (ccr.home / ".gitignore").read_text() == ".claude-code-router/\n"


# -- npm -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(ccr: Ccr) -> Path:
    path = ccr.home / "project" / "package.json"
    path.parent.mkdir()
    path.write_text(PACKAGE)
    path.chmod(0o640)
    return path


def install_npm(ccr: Ccr, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ccr.command("install", "--npm")
    return subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=False, cwd=folder)


@POSIX
def test_scripts(ccr: Ccr, package: Path) -> None:
    """The four scripts call ccr; those of another text are replaced and told; nothing else in the file changes, nor its mode."""
    done = install_npm(ccr, package.parent)
    assert (done.returncode, done.stdout) == (0, wrote(config_of(ccr)))
    assert package.read_text() == PACKAGE.replace(
        """"node ./scripts/router-install.js",
    "router:verify": "node ./scripts/router-verify.js"
""",
        """"ccr install",
    "router:verify": "ccr verify",
    "router:code": "ccr code",
    "router:ui": "ccr ui"
""",
    )
    assert f"Replaced the script router:install in {package}; it was: node ./scripts/router-install.js\n" in done.stderr
    assert f"Replaced the script router:verify in {package}; it was: node ./scripts/router-verify.js\n" in done.stderr
    assert "router:code, router:ui" in done.stderr
    assert mode(package) == 0o640
    assert [path.name for path in package.parent.iterdir()] == ["package.json"]


def test_scripts_that_are_right(ccr: Ccr, package: Path) -> None:
    """A second time nothing is written and nothing said; so it is where a config was found."""
    install_npm(ccr, package.parent)
    before = package.stat()
    done = install_npm(ccr, package.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, found(config_of(ccr)), "")
    assert (package.stat().st_mtime_ns, package.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    "text",
    [
        PACKAGE.replace("  ", "\t"),
        PACKAGE.replace("  ", "    "),
        PACKAGE.rstrip("\n"),
        PACKAGE.replace("\n", "\r\n"),
        "\ufeff" + PACKAGE,
        '{"name":"x","scripts":{}}',
        '{"name":"x"}',
        "{}\n",
        '{\n  "name": "é\\u00e9",\n  "n": 1.0e2\n}\n',
    ],
    ids=["tabs", "four", "no-final-newline", "crlf", "bom", "one-line", "no-scripts", "empty", "spellings"],
)
def test_spacing_is_kept(ccr: Ccr, package: Path, text: str) -> None:
    """Indentation, order, line ends, a byte order mark and the final newline stay; the file is still strict JSON."""
    package.write_bytes(text.encode())
    done = install_npm(ccr, package.parent)
    assert done.returncode == 0, done.stderr
    after = package.read_bytes().decode()
    tree_before, tree_after = json.loads(text.lstrip("\ufeff")), json.loads(after.lstrip("\ufeff"))
    assert tree_after == {**tree_before, "scripts": {**tree_before.get("scripts", {}), **OURS}}
    assert list(tree_after)[: len(tree_before)] == list(tree_before)
    assert after.endswith("\n") == text.endswith("\n")
    assert ("\r\n" in after) == ("\r\n" in text)
    assert not re.search(r"(?<!\r)\n", after) or "\r\n" not in text
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    kept = [line for line in text.splitlines() if "router:" not in line and line.strip() not in ("{}", "}", "{")]
    if len(kept) > 1:
        assert [
            line.rstrip(",") for line in kept if line.rstrip(",") not in {a.rstrip(",") for a in after.splitlines()}
        ] == []


def test_package_above(ccr: Ccr, package: Path) -> None:
    """Below a package its package.json is the one, as for npm."""
    deep = package.parent / "a" / "b"
    deep.mkdir(parents=True)
    assert install_npm(ccr, deep).returncode == 0
    assert json.loads(package.read_text())["scripts"]["router:code"] == "ccr code"


def test_linked_package(ccr: Ccr, package: Path, tmp_path: Path) -> None:
    """A package.json that is a link stays one: what it leads to is written."""
    real = tmp_path / "real.json"
    package.rename(real)
    package.symlink_to(real)
    assert install_npm(ccr, package.parent).returncode == 0
    assert package.is_symlink()
    assert json.loads(real.read_text())["scripts"]["router:code"] == "ccr code"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no package.json in"),
        ("{ broken", "is not JSON"),
        ('{"scripts": {} /* x */}', "is not JSON"),
        ("[]", "must hold an object"),
        ('{"scripts": []}', "`scripts` must be an object"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_no_package(ccr: Ccr, package: Path, text: str | None, told: str) -> None:
    """Without a package.json that could be written to there is an error before anything else is done."""
    if text is None:
        package.unlink()
        (package.parent / "node_modules").mkdir()  # npm looks no further up than this
    else:
        package.write_text(text)
    before = tree(ccr.home)
    done = install_npm(ccr, package.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert tree(ccr.home) == before


def test_another_ccr_of_the_package(ccr: Ccr, package: Path) -> None:
    """A package that brings a ccr of its own would be run by npm in our place: that is told."""
    folder = package.parent / "node_modules" / ".bin"
    folder.mkdir(parents=True)
    (folder / "ccr").write_text("")
    done = install_npm(ccr, package.parent)
    assert done.returncode == 0
    assert f"`npm run` finds another program called ccr first: {folder / 'ccr'}" in done.stderr


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
@pytest.mark.skipif(not Path(sys.executable).with_name("ccr").exists(), reason="ccr is not installed beside Python")
def test_npm_runs_them(ccr: Ccr, package: Path) -> None:
    """`npm run router:install` and `router:verify` are ccr's own commands, with its output and its exit code."""
    install_npm(ccr, package.parent)
    (ccr.folder / "config.json").unlink()
    (ccr.folder / "policy.json").unlink()
    path = f"{Path(sys.executable).parent}{os.pathsep}{ccr.environ['PATH']}"
    environ = ccr.environ | {"PATH": path, "npm_config_update_notifier": "false"}

    def npm(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["npm", "run", "--silent", script], env=environ | variables, capture_output=True, text=True,
            timeout=LIMIT, check=False, cwd=package.parent, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    missing = npm("router:verify")
    assert missing.returncode == 2
    assert missing.stderr.startswith("Error: Router config missing at ~/.claude-code-router/config.json\n")
    installed = npm("router:install")
    assert (installed.returncode, installed.stdout) == (0, wrote(config_of(ccr)))
    verified = npm("router:verify", **ENVIRONMENT)
    assert (verified.returncode, verified.stdout) == (
        0,
        "Router config OK. Local routing only. Anthropic only. Allowed models only.\n",
    )

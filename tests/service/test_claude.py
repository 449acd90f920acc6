"""Finding `claude` and its version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.service.claude import ClaudeNotFound, find_claude


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def package(folder: Path, version: str, program: str) -> Path:
    """An npm package as npm lays it out, with its program."""
    folder.mkdir(parents=True)
    told = {"name": "@anthropic-ai/claude-code", "version": version, "bin": {"claude": program}}
    (folder / "package.json").write_text(json.dumps(told))
    return executable(folder / program)


@pytest.mark.parametrize(("program", "version"), [("cli.js", "2.0.77"), ("bin/claude.exe", "2.1.330")])
def test_npm(tmp_path: Path, program: str, version: str) -> None:
    """npm's link leads to the package, whose package.json names the version, in both layouts there have been."""
    real = package(tmp_path / "lib/node_modules/@anthropic-ai/claude-code", version, program)
    link = tmp_path / "bin/claude"
    link.parent.mkdir()
    link.symlink_to(real)
    found = find_claude("claude", {"PATH": str(link.parent)})
    assert found.command == (str(link),)
    assert found.version == tuple(map(int, version.split(".")))


def test_native_installer(tmp_path: Path) -> None:
    """The native installer's link names the version itself."""
    real = executable(tmp_path / "share/claude/versions/2.1.330")
    link = tmp_path / "bin/claude"
    link.parent.mkdir()
    link.symlink_to(real)
    assert find_claude("claude", {"PATH": str(link.parent)}).version == (2, 1, 330)


def test_unknown_version(tmp_path: Path) -> None:
    """Somebody's wrapper tells no version, nor does another package beside it."""
    program = executable(tmp_path / "claude")
    (tmp_path / "package.json").write_text('{"name":"something-else","version":"9.9.9"}')
    assert find_claude(str(program), {}).version is None


def test_windows_shim(tmp_path: Path) -> None:
    """npm's batch file is not run: what it would start is, so that no argument passes through cmd.exe."""
    modules = tmp_path / "node_modules/@anthropic-ai/claude-code"
    real = package(modules, "2.1.330", "bin/claude.exe")
    shim = executable(tmp_path / "claude.cmd")
    found = find_claude(str(shim), {})
    assert found.command == (str(real),)
    assert found.version == (2, 1, 330)


def test_windows_shim_of_a_script(tmp_path: Path) -> None:
    """Where the package is a script, node runs it."""
    real = package(tmp_path / "node_modules/@anthropic-ai/claude-code", "2.0.77", "cli.js")
    node, script = find_claude(str(executable(tmp_path / "claude.cmd")), {}).command
    assert Path(node).name.startswith("node")
    assert script == str(real)


def test_order(tmp_path: Path) -> None:
    """Config before environment before PATH; an empty or default value of the config counts as none."""
    one, two, three = (executable(tmp_path / name / "claude") for name in ("one", "two", "three"))
    environ = {"CLAUDE_PATH": str(two), "PATH": str(three.parent)}
    assert find_claude(str(one), environ).command == (str(one),)
    assert find_claude("", environ).command == (str(two),)
    assert find_claude("claude", environ).command == (str(two),)
    assert find_claude("claude", {"PATH": str(three.parent)}).command == (str(three),)


def test_blanks(tmp_path: Path) -> None:
    """A path with a blank is a path; a command with arguments is one too if no such path exists."""
    spaced = executable(tmp_path / "My Programs/claude")
    assert find_claude(str(spaced), {}).command == (str(spaced),)
    npx = executable(tmp_path / "bin/npx")
    found = find_claude("npx -y '@anthropic-ai/claude-code'", {"PATH": str(npx.parent)})
    assert found.command == (str(npx), "-y", "@anthropic-ai/claude-code")


@pytest.mark.parametrize(
    ("asked", "text"), [("claude", "'claude' was not found on the PATH"), ("/no/claude", "'/no/claude' was not found")]
)
def test_not_found(tmp_path: Path, asked: str, text: str) -> None:
    """What was looked for, and where."""
    with pytest.raises(ClaudeNotFound) as caught:
        find_claude(asked, {"PATH": str(tmp_path)})
    assert str(caught.value) == text


def test_unbalanced_quote(tmp_path: Path) -> None:
    """A value that is no command line either is not found, rather than a crash."""
    with pytest.raises(ClaudeNotFound):
        find_claude("it's mine", {"PATH": str(tmp_path)})

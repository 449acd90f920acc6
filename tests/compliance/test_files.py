"""What is found out about files: who can read them, who can change them, and whether git keeps them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ccrouter.compliance import files
from ccrouter.compliance.files import private_faults, tracked_by_git, work_tree_of

NEEDS_MODES = pytest.mark.skipif(not files.HAS_MODES, reason="modes of files are POSIX's")
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="asks git")


@pytest.fixture
def private(tmp_path):
    """A file that its owner alone can read, in such a folder."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    path = folder / "config.json"
    path.write_text("{}")
    path.chmod(0o600)
    return path


def git(folder, *words):
    config = ["-c", "user.name=x", "-c", "user.email=x@x.example", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *config, "-C", str(folder), *words], check=True, capture_output=True)


def told(path):
    return [fault.message for fault in private_faults(path)]


def test_a_private_file(private):
    """What is its owner's alone has no fault."""
    assert told(private) == []


@NEEDS_MODES
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_is_open_to_others(private, mode):
    """Any right of group or others is told, with the command that takes it away."""
    private.chmod(mode)
    (fault,) = private_faults(private)
    assert fault.message == f"is open to others (mode 0{mode:o})"
    assert fault.hint == f"chmod 600 {private}"


@NEEDS_MODES
def test_a_folder_that_is_open_to_others(private):
    """So is a folder that others may look into."""
    private.parent.chmod(0o755)
    (fault,) = private_faults(private)
    assert (fault.message, fault.hint) == (
        "is open to others (mode 0755)",
        f"chmod 700 {private.parent}",
    )


@NEEDS_MODES
def test_a_file_of_somebody_else(private, monkeypatch):
    """A file that belongs neither to the user nor to root is told."""
    owner = private.stat().st_uid
    monkeypatch.setattr(files, "_trusted_owners", lambda: (owner + 1,))
    assert told(private) == ["belongs to another user", "belongs to another user"]


def test_symbolic_links(private, tmp_path):
    """A link in place of the file, or of its folder, is told: what it leads to may stand anywhere."""
    link = tmp_path / "private" / "link.json"
    link.symlink_to(private)
    assert told(link) == ["is a symbolic link"]
    folder = tmp_path / "folder"
    folder.symlink_to(private.parent)
    assert told(folder / "config.json") == ["is a symbolic link"]


@NEEDS_GIT
def test_work_trees(private, tmp_path):
    """A file in a work tree is known for it, and tracked only once git keeps it."""
    assert work_tree_of(private) is None
    assert not tracked_by_git(private)
    git(tmp_path, "init")
    assert work_tree_of(private) == tmp_path
    assert work_tree_of(tmp_path / "not" / "there.json") == tmp_path
    assert not tracked_by_git(private)
    git(tmp_path, "add", "-f", str(private))
    assert tracked_by_git(private)
    assert told(private) == ["is tracked by git"]


@NEEDS_GIT
def test_the_environment_does_not_lead_git_astray(private, tmp_path, monkeypatch):
    """Variables that name another repository change nothing."""
    git(tmp_path, "init")
    git(tmp_path, "add", "-f", str(private))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere"))
    assert tracked_by_git(private)


@NEEDS_GIT
def test_a_repository_runs_nothing_of_its_own(private, tmp_path):
    """A program that the repository names as its file system monitor is not run."""
    git(tmp_path, "init")
    git(tmp_path, "add", "-f", str(private))
    ran = tmp_path / "ran"
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {ran}\n")
    spy.chmod(0o700)
    git(tmp_path, "config", "core.fsmonitor", str(spy))
    assert tracked_by_git(private)
    assert not ran.exists()


@NEEDS_GIT
def test_names_with_signs_that_git_knows(tmp_path):
    """A name that looks like one of git's patterns is a name."""
    git(tmp_path, "init")
    path = tmp_path / "*.json"
    path.write_text("{}")
    other = tmp_path / "a.json"
    other.write_text("{}")
    git(tmp_path, "add", "a.json")
    assert tracked_by_git(other)
    assert not tracked_by_git(path)


def test_without_git(private, tmp_path, monkeypatch):
    """In a work tree without a git to ask nothing is known: a fault where files must be private, elsewhere none."""
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert work_tree_of(private) == tmp_path
    assert not tracked_by_git(private)
    assert told(private) == ["may be tracked by git: there is no git to ask"]
    assert list(private_faults(private, is_strict=False)) == []


@NEEDS_GIT
def test_a_git_that_fails(private, tmp_path):
    """A repository that git cannot read tells nothing of the file, even if an outer one could be read: a fault, with what
    to do.
    """
    git(tmp_path, "init")
    (private.parent / ".git").mkdir()
    (fault,) = private_faults(private)
    assert fault.message.startswith("may be tracked by git: git fails: fatal: not a git repository")
    assert f"`git -C {private.parent} status`" in fault.hint
    assert list(private_faults(private, is_strict=False)) == []
    assert not tracked_by_git(private)


@NEEDS_GIT
@pytest.mark.skipif(not files.HAS_MODES, reason="a program of one line, for a shell")
def test_a_git_that_cannot_be_run(private, tmp_path, monkeypatch):
    """So does a git that is there and no program, or that never answers."""
    (tmp_path / ".git").mkdir()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_bytes(b"\x7fELF")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", str(fake.parent))
    assert told(private) == ["may be tracked by git: git cannot be run: Exec format error"]

    def hang(*_words, timeout, **_more):
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(files.subprocess, "run", hang)
    assert told(private) == ["may be tracked by git: git did not answer within 10 seconds"]

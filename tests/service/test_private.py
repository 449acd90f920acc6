"""Files that only their owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ccrouter.service.onboarding import ensure_onboarded
from ccrouter.service.private import create_private, write_private
from ccrouter.service.settings import settings_file


def test_write_replaces_whole(tmp_path: Path) -> None:
    """New content in one step, 0600 also where a file with other rights was; no leftovers."""
    path = tmp_path / "folder/file"
    write_private(path, "one")
    path.chmod(0o644)
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_leaves_the_old(tmp_path: Path) -> None:
    """Text that cannot be written leaves what was there, and no leftovers."""
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_create_never_overwrites(tmp_path: Path) -> None:
    """An existing file stays as it is; False tells so."""
    path = tmp_path / "file"
    assert create_private(path, "one")
    assert not create_private(path, "two")
    assert path.read_text() == "one"


def test_settings_file(home: Path) -> None:
    """There while open, and gone after, also after an error."""

    def fail() -> None:
        with settings_file({"env": {"K": "é"}}) as path:
            seen.append((path, path.read_text()))
            raise KeyboardInterrupt

    seen: list[tuple[Path, str]] = []
    with pytest.raises(KeyboardInterrupt):
        fail()
    [(path, text)] = seen
    assert '"K"' in text
    assert not path.exists()
    assert path.is_relative_to(home / ".claude-code-router")


def test_onboarding_in_claudes_own_folder(tmp_path: Path) -> None:
    """With CLAUDE_CONFIG_DIR the file goes there; a folder that is missing is not made."""
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")}
    assert not ensure_onboarded(environ)
    assert not (tmp_path / "claude").exists()
    (tmp_path / "claude").mkdir()
    assert ensure_onboarded(environ)
    assert not ensure_onboarded(environ)
    assert (tmp_path / "claude/.claude.json").exists()

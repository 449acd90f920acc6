"""The project's own files, found without git: an unpacked archive has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ccrouter"

_FOLDERS = ("src", "tests", "bench", "docs", "requirements", ".ci", ".github")
_MADE = frozenset({"__pycache__", "node_modules", ".hypothesis", ".pytest_cache"})
_BINARY = frozenset({".pyc", ".so", ".png", ".jpg", ".ico", ".woff2", ".gz", ".pdf"})


def texts() -> Iterator[Path]:
    """Every text file that is part of the project: sources, tests, documents, what stands at the top."""
    places = [path for path in ROOT.iterdir() if path.is_file()]
    places += [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(places):
        if not _MADE & set(path.parts) and path.suffix not in _BINARY and not path.name.startswith(".coverage"):
            yield path


def python(*folders: str) -> Iterator[Path]:
    """The Python files below the given folders of the project."""
    for path in texts():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders:
            yield path


def place(path: Path) -> str:
    """The file's path inside the project, with slashes."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules() -> list[str]:
    """The dotted name of every module of the package."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names

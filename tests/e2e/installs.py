"""The real clients: installed once from the registries into `.e2e/`, from the lock files beside this module.

Nothing is installed outside that folder. A client that cannot be installed is an error; only a machine without
npm may skip, and not where CCR_E2E_REQUIRED=1.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".e2e"


def npm_package(name: str) -> Path:
    """The installed `npm/<name>`: a folder with node_modules, as its lock file says."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        unavailable("npm and node are not installed: no Claude Code and no TypeScript SDK is tested")
    source, target = HERE / "npm" / name, CACHE / "npm" / name
    mark = target / ".installed"
    wanted = digest(source / "package-lock.json")
    if mark.exists() and mark.read_text() == wanted:
        return target
    target.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(source / file, target / file)
    done(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], target)
    native = target / "node_modules/@anthropic-ai/claude-code/install.cjs"
    if native.exists():  # puts the platform's binary in place; newer npm runs no install scripts by itself
        done(["node", str(native)], native.parent)
    mark.write_text(wanted)
    return target


def python_package(name: str) -> Path:
    """The interpreter of a virtual environment with `python/<name>/requirements.txt` in it."""
    source, target = HERE / "python" / name / "requirements.txt", CACHE / "python" / name
    folder = "Scripts" if sys.platform == "win32" else "bin"
    interpreter, mark = target / folder / "python", target / ".installed"
    wanted = digest(source)
    if mark.exists() and mark.read_text() == wanted:
        return interpreter
    done([sys.executable, "-m", "venv", "--clear", str(target)], ROOT)
    done([str(interpreter), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(source)], ROOT)
    mark.write_text(wanted)
    return interpreter


def unavailable(reason: str) -> None:
    """Skip loudly, or fail where the clients are required."""
    if os.environ.get("CCR_E2E_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(f"\n{'!' * 78}\nREAL CLIENTS NOT TESTED: {reason}\n{'!' * 78}")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def done(command: list[str], folder: Path) -> None:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if finished.returncode:
        pytest.fail(f"{' '.join(command)} failed in {folder}:\n{finished.stdout}\n{finished.stderr}")

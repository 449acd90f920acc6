"""Imports point down only: the contracts in pyproject.toml hold, cover every package, and can fail."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.sources import PACKAGE, ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
RUN = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """The outcome of import-linter on the project in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", RUN], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def contract(name: str) -> dict:
    return next(one for one in CONTRACTS if one["name"] == name)


def test_contracts_hold():
    """Every contract of pyproject.toml is kept: layers, dialects apart from each other, a core without I/O."""
    outcome = lint(ROOT)
    assert outcome.returncode == 0, outcome.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in outcome.stdout


def test_a_breach_is_found(tmp_path):
    """The same run fails on a package whose lower layer imports the upper one."""
    package = tmp_path / "storey"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "upper.py").touch()
    (package / "lower.py").write_text("import storey.upper\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_package = "storey"\n[[tool.importlinter.contracts]]\nname = "down"\ntype = "layers"\n'
        'layers = ["storey.upper", "storey.lower"]\n'
    )
    outcome = lint(tmp_path)
    assert outcome.returncode == 1
    assert "storey.lower is not allowed to import storey.upper" in outcome.stdout


def layered(layers: list[str]) -> set[str]:
    """The names that a layers contract speaks of."""
    return {name for layer in layers for name in re.split(r"\s*[|:]\s*", layer)}


def parts_of_the_package() -> set[str]:
    """The packages and modules right below ccrouter that hold code of their own."""
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return found | {path.stem for path in PACKAGE.glob("*.py") if path.stem not in {"__init__", "__main__"}}


def test_every_package_has_its_layer():
    """No package or module right below ccrouter is outside the layers, and no layer names one that is gone."""
    assert layered(contract("Imports point down only")["layers"]) == {
        f"ccrouter.{name}" for name in parts_of_the_package()
    }


def test_layers_are_read_apart():
    """The comparison above sees each name of a layer that holds several."""
    assert layered(["a.x", "a.y | a.z"]) == {"a.x", "a.y", "a.z"}


def test_every_dialect_is_independent():
    """Every dialect package is in the contract that keeps dialects from knowing each other."""
    dialects = {f"ccrouter.dialects.{path.parent.name}" for path in (PACKAGE / "dialects").glob("*/__init__.py")}
    assert set(contract("Dialects do not know each other")["modules"]) == dialects


def test_the_core_is_the_core():
    """The packages that may do no I/O are those the architecture calls pure, and what is I/O is named."""
    core = contract("The core does no I/O")
    assert {"ccrouter.messages", "ccrouter.routing", "ccrouter.dialects", "ccrouter.sse"} <= set(core["source_modules"])
    assert {"aiohttp", "uvicorn", "starlette", "sqlite3", "asyncio", "socket", "logging"} <= set(
        core["forbidden_modules"]
    )

"""What is installed is what is locked, and the bill of materials says so."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

LOCKS = [ROOT / "requirements" / name for name in ("run.lock", "dev.lock")]
FUZZ = ROOT / "requirements" / "fuzz.lock"
PROGRAM = ROOT / "requirements" / "sbom.py"
#: Installed, and in no lock: name → why.
UNLOCKED = {
    "ccrouter": "the project itself",
    "pip": "came with the environment; it installs the rest",
    "setuptools": "came with the environment, until Python 3.12",
    "uv": "for `make lock`, put there by hand",
}

_spec = importlib.util.spec_from_file_location("sbom", PROGRAM)
assert _spec is not None
assert _spec.loader is not None
sbom = importlib.util.module_from_spec(_spec)
sys.modules["sbom"] = sbom  # dataclasses look their module up
_spec.loader.exec_module(sbom)


def folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unhashed(text: str) -> list[str]:
    """The locked names without a hash of 256 bits or more."""
    return [
        pin.name
        for pin in sbom.read_lock(text).values()
        if not any(name in {"sha256", "sha384", "sha512"} and len(digest) >= 64 for name, digest in pin.hashes)
    ]


@pytest.mark.parametrize("lock", [*LOCKS, FUZZ], ids=lambda path: path.name)
def test_every_locked_file_has_its_hash(lock):
    """Each distribution in a lock is pinned to one version and has hashes; nothing comes from a URL, a folder or an index named there."""
    text = lock.read_text(encoding="utf-8")
    pins = sbom.read_lock(text)  # raises for a line that is not a pin, a hash or a comment
    assert len(pins) > 20 or lock is FUZZ
    assert pins
    assert unhashed(text) == []


@pytest.mark.parametrize(
    "line", ["x>=1", "x @ file:///tmp/x", "-e .", "--index-url https://x", "--extra-index-url https://x", "./x.whl", "git+https://x"]
)  # fmt: skip
def test_what_is_not_pinned_is_found(line):
    """A lower bound, a URL, an editable, an index: each is refused when the lock is read; a pin without hash is found."""
    with pytest.raises(ValueError, match="line 1 of the lock"):
        sbom.read_lock(line)
    assert unhashed("x==1\n    # via y\ny==2 \\\n    --hash=sha256:" + "0" * 64) == ["x"]


def test_the_program_is_in_the_development_lock():
    """Whatever `run.lock` pins, `dev.lock` pins to the same version with the same hashes: tests run what users run."""
    run, dev = (sbom.read_lock(lock.read_text(encoding="utf-8")) for lock in LOCKS)
    assert {name: (pin.version, pin.hashes) for name, pin in run.items()} == {
        name: (dev[name].version, dev[name].hashes) for name in run if name in dev
    }


def test_every_dependency_is_locked():
    """Each dependency that pyproject.toml names is in `run.lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = {folded(re.match(r"[A-Za-z0-9._-]+", one)[0]) for one in project["project"]["dependencies"]}
    assert named <= set(sbom.read_lock(LOCKS[0].read_text(encoding="utf-8")))


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="an environment that `make` did not make")
def test_nothing_is_installed_that_is_not_locked():
    """Every distribution in the project's environment is in a lock, with that version."""
    pins = [pin for lock in (LOCKS[1], FUZZ) for pin in sbom.read_lock(lock.read_text(encoding="utf-8")).items()]
    locked = {folded(name): pin.version for name, pin in pins}
    installed = {folded(one.metadata["Name"]): one.version for one in metadata.distributions()}
    strange = {name: version for name, version in installed.items() if name not in UNLOCKED}
    assert {name: version for name, version in strange.items() if locked.get(name) != version} == {}


# -- the bill of materials ---------------------------------------------------------------------------------------------


def run(out: Path) -> bytes:
    subprocess.run([sys.executable, str(PROGRAM), str(out)], check=True, timeout=60, cwd=out.parent)
    return out.read_bytes()


def test_the_bill_is_the_same_every_time(tmp_path):
    """Two runs, two processes: the same bytes, with no time and no number of its own in them."""
    first = run(tmp_path / "one.json")
    assert first == run(tmp_path / "two.json")
    assert b"timestamp" not in first
    assert b"serialNumber" not in first


def test_the_bill_holds_what_runs(tmp_path):
    """Every distribution that the router needs, with the lock's version and hashes and a licence; no build tools; the graph reaches all of it."""
    document = json.loads(run(tmp_path / "bill.json"))
    pins = sbom.read_lock(LOCKS[0].read_text(encoding="utf-8"))
    listed = {one["name"]: one for one in document["components"]}
    assert {"aiohttp", "starlette", "uvicorn", "yarl", "typing-extensions"} <= set(listed)
    assert {"hatchling", "editables", "pathspec", "tomlkit"} & set(listed) == set()
    for name, one in listed.items():
        assert one["version"] == pins[name].version
        assert [entry["content"] for entry in one["hashes"]] == [digest for _, digest in pins[name].hashes]
        assert one["hashes"]
        assert one.get("licenses") or one.get("properties"), f"{name}: no licence, and not for another platform either"
    edges = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    reached, waiting = set(), [document["metadata"]["component"]["bom-ref"]]
    while waiting:
        reached |= (found := set(edges[waiting.pop()]) - reached)
        waiting += found
    assert reached == {one["bom-ref"] for one in listed.values()}
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_what_only_building_needs_is_left_out():
    """A pin that is reached from the build group alone is not in the bill; one that both reach is."""
    text = """\
a==1 \\
    --hash=sha256:00
    # via ccrouter (pyproject.toml)
b==2 \\
    --hash=sha256:01
    # via ccrouter (pyproject.toml:build)
c==3 ; sys_platform != 'win32' \\
    --hash=sha256:02
    # via
    #   a
    #   b
d==4 \\
    --hash=sha256:03
    # via b
"""
    document = sbom.bill(text, "9.9")
    assert [one["name"] for one in document["components"]] == ["a", "c"]
    assert document["components"][1]["properties"] == [{"name": "ccrouter:marker", "value": "sys_platform != 'win32'"}]
    assert {one["ref"]: one["dependsOn"] for one in document["dependencies"]} == {
        "pkg:pypi/ccrouter@9.9": ["pkg:pypi/a@1"],
        "pkg:pypi/a@1": ["pkg:pypi/c@3"],
        "pkg:pypi/c@3": [],
    }

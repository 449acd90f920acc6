"""Writes the software bill of materials: `python requirements/sbom.py FILE` (CycloneDX 1.6, JSON).

What the router needs at run time, as `run.lock` has it: versions, the hash of every file that may be installed, who
needs whom, and the licences that the installed distributions declare. What only building needs is left out. No network,
no clock, no chance: the same lock in the same environment gives the same bytes. Standard library only.
"""  # noqa: INP001 - a program beside the files it reads, not a package

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "ccrouter"

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.*?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=(?P<alg>[a-z0-9]+):(?P<digest>[0-9a-f]+)\s*\\?$")
_VIA = re.compile(r"^\s+#\s+(?:via\s+)?(?P<parent>\S.*)$")
_ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
#: Older distributions name their licence by a classifier. Those that could mean several licences ("BSD License") keep
#: their words.
_CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


@dataclass(slots=True)
class Pin:
    """One locked distribution: hashes of its files, parents as the lock names them, a marker if it is not for all."""

    name: str
    version: str
    marker: str = ""
    hashes: list[tuple[str, str]] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(text: str) -> dict[str, Pin]:
    """The pins of a lock file by name. Raises ValueError for a line that is none of pin, hash, comment."""
    pins: dict[str, Pin] = {}
    pin: Pin | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if found := _PIN.match(line):
            pin = pins[found["name"]] = Pin(found["name"], found["version"], found["marker"] or "")
        elif pin is not None and (found := _HASH.match(line)):
            pin.hashes.append((found["alg"], found["digest"]))
        elif pin is not None and (found := _VIA.match(line)):
            if found["parent"] != "via":
                pin.parents.append(found["parent"])
        else:
            raise ValueError(f"line {number} of the lock is not understood: {line.strip()!r}")
    return pins


def needed_at_run_time(pins: dict[str, Pin]) -> dict[str, Pin]:
    """The pins that the program itself needs, directly or through another of them."""
    needed: set[str] = set()
    waiting = [f"{NAME} (pyproject.toml)"]
    while waiting:
        parent = waiting.pop()
        found = {pin.name for pin in pins.values() if parent in pin.parents} - needed
        needed |= found
        waiting += sorted(found)
    return {name: pin for name, pin in pins.items() if name in needed}


def licences(name: str) -> list[dict[str, Any]]:
    """What the installed distribution declares, in CycloneDX's words; [] if it is not installed or says nothing."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:  # for another platform
        return []
    if expression := told.get("License-Expression"):
        return [{"expression": expression, "acknowledgement": "declared"}]
    named = [one for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    named = named or [text.splitlines()[0] for text in [told.get("License") or ""] if text]
    return [{"license": {**_licence(one), "acknowledgement": "declared"}} for one in sorted(named)]


def _licence(named: str) -> dict[str, str]:
    if named in _CLASSIFIERS:
        return {"id": _CLASSIFIERS[named]}
    return {"id": named} if named in _CLASSIFIERS.values() else {"name": named}


def component(pin: Pin) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "scope": "required",
        "purl": pin.purl,
        "hashes": [{"alg": _ALGORITHMS[name], "content": digest} for name, digest in pin.hashes],
    }
    if declared := licences(pin.name):
        told["licenses"] = declared
    if pin.marker:
        told["properties"] = [{"name": "ccrouter:marker", "value": pin.marker}]
    return told


def bill(lock: str, version: str) -> dict[str, Any]:
    """The whole document for a lock file's text."""
    pins = needed_at_run_time(read_lock(lock))
    own = f"pkg:pypi/{NAME}@{version}"
    children: dict[str, list[str]] = {own: []} | {pin.purl: [] for pin in pins.values()}
    references = {f"{NAME} (pyproject.toml)": own} | {pin.name: pin.purl for pin in pins.values()}
    for pin in pins.values():
        for parent in pin.parents:
            if parent in references:  # what only building needs may need it too
                children[references[parent]].append(pin.purl)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "MIT", "acknowledgement": "declared"}}],
            },
        },
        "components": [component(pins[name]) for name in sorted(pins)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(children[ref])} for ref in sorted(children)],
    }


def own_version() -> str:
    text = (ROOT / "src" / NAME / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    assert found is not None, "the package says its version"
    return found[1]


def main(out: str) -> None:
    document = bill((HERE / "run.lock").read_text(encoding="utf-8"), own_version())
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

"""One target under atheris: `python -m fuzz.one TARGET [libFuzzer options] CORPUS ...`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ccrouter"]):
    from fuzz.mutate import mutate
    from fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    if any(word.startswith("-merge=") for word in sys.argv):
        sys.argv[0] = _program(name)
    atheris.Setup(sys.argv, TARGETS[name], custom_mutator=mutate)
    atheris.Fuzz()


def _program(name: str) -> str:
    """A program that is this target: what libFuzzer runs, again and again, to merge."""
    path = Path(tempfile.mkdtemp(prefix="fuzz-merge-")) / name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fuzz.one {name} "$@"\n', encoding="utf-8")
    path.chmod(0o700)
    return str(path)


if __name__ == "__main__":
    main()

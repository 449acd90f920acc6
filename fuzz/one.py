"""One target under atheris: `python -m fuzz.one TARGET [libFuzzer options] CORPUS ...`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["ccrouter"]):
    from fuzz.mutate import mutate
    from fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name], custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

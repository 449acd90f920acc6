"""Golden cases: a command line, a configuration, a line of dashes, and what comes of it.

`ACCEPT=1 python -m pytest tests/config` rewrites the lower halves; the difference is then for a reader to judge.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from ccrouter.config.load import Overrides, load
from ccrouter.errors import ConfigError
from tests.config.summary import summarize

CASES = Path(__file__).parents[1] / "cases" / "config"
LINE = "\n----\n"


def read_case(path: Path) -> tuple[dict[str, str], Overrides, str, str]:
    """Environment, flags, the configuration's text and the expected outcome. The first line is the command line."""
    upper, _, lower = path.read_text(encoding="utf-8").partition(LINE)
    command, _, text = upper.partition("\n")
    assert command.startswith("$ "), f"{path.name}: the first line is the command line, after a dollar sign"
    words = shlex.split(command[2:])
    at = words.index("ccr")
    flags = dict(zip(words[at + 2 :: 2], words[at + 3 :: 2], strict=True))
    overrides = Overrides(**{name.removeprefix("--").replace("-", "_"): value for name, value in flags.items()})
    return dict(word.split("=", 1) for word in words[:at]), overrides, text, lower


def outcome(path: Path, folder: Path) -> str:
    environ, overrides, text, _ = read_case(path)
    config = folder / "config.json"
    config.write_text(text, encoding="utf-8")
    try:
        told = summarize(load(config, environ, overrides))
    except ConfigError as error:
        told = f"refused\n{error}\n"
    return told.replace(str(folder) + os.sep, "")


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_case(path, tmp_path):
    """The configuration above the line comes to what stands below it."""
    told = outcome(path, tmp_path)
    if os.environ.get("ACCEPT"):
        upper = path.read_text(encoding="utf-8").partition(LINE)[0]
        path.write_text(upper + LINE + told, encoding="utf-8")
    assert told == read_case(path)[3]


def test_there_are_cases():
    """The folder of cases is found: an empty one would pass for a success."""
    assert len(list(CASES.glob("*.txt"))) >= 40

"""Whether the router's files are whole, also after it was killed in the middle of anything. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

#: What a line of the log must have to be one of ours.
_LINE = {"level", "time", "msg"}
#: Messages of the log that are a defect of the router, whatever else they say.
DEFECT = "a defect of the router"
_TEMPORARY = re.compile(r"\.next$|\.json\.[a-z0-9_]{8}$|\.pid\.[a-z0-9_]{8}$|/launches/[0-9a-f]{64}\.[a-z0-9_]{8}$")


def corrupt(folder: Path) -> list[str]:
    """What is not whole of the JSON files, the PID file, the launch keys and the logs below `folder`, one line each."""
    return [f"{path.relative_to(folder)}: {why}" for path, why in _corrupt(folder)]


def _corrupt(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or is_temporary(path):
            continue
        why = ""
        if path.suffix == ".json" or path.name.endswith(".bak") or path.parent.name == "launches":
            why = _why_no_object(path)
        elif path.suffix == ".pid":
            why = "" if path.read_text().strip().isdigit() else "is no number"
        elif path.suffix == ".log":
            why = _why_no_log(path)
        if why:
            yield path, why


def is_temporary(path: Path) -> bool:
    """True for what a kill may leave behind of a file that was about to be replaced: litter, and read by nobody."""
    return bool(_TEMPORARY.search(path.as_posix())) or (path.name.startswith(".config.json."))


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and is_temporary(path)]


def _why_no_object(path: Path) -> str:
    try:
        return "" if isinstance(json.loads(path.read_bytes()), dict) else "is no JSON object"
    except ValueError as error:
        return f"is no JSON: {error}"


def _why_no_log(path: Path) -> str:
    """A process that is killed may leave a part of its last line, and of no other."""
    *lines, last = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
        except ValueError as error:
            return f"line {number} is no JSON: {error}"
        if not isinstance(told, dict) or not set(told) >= _LINE:
            return f"line {number} is no line of the log"
    return "the rest behind the last line is longer than a line" if len(last) > 65_536 else ""


def defects(folder: Path) -> list[str]:
    """The lines of every log below `folder` that tell of a defect, or of an error other than a refused reload."""
    found = []
    for path in sorted((folder / "logs").glob("*.log")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            if b'"level":50' not in line and DEFECT.encode() not in line:
                continue
            told = json.loads(line)
            if told["msg"] != "reload refused":
                found.append(line.decode(errors="replace")[:2000])
    return found


def count_lines(folder: Path, message: str) -> int:
    """How many lines of the logs say `message`."""
    wanted = f'"msg":"{message}"'.encode()
    return sum(path.read_bytes().count(wanted) for path in (folder / "logs").glob("*.log"))

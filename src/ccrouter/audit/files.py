"""The files of one port's chain: their names, their order, the form of the head. Reads names, no lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ccrouter.audit.chain import Link

_NAME = re.compile(r"audit-(?P<port>[0-9]{1,5})(?:\.(?:(?P<number>[0-9]{6,})\.)?jsonl|\.head)")
_HEAD = re.compile(rb"(?P<seq>[0-9]{20}) (?P<hash>[0-9a-f]{64}) (?P<number>[0-9]{6})\n")
#: Bytes of the head file: it is overwritten in place, so it must not change its length.
HEAD_SIZE = 20 + 1 + 64 + 1 + 6 + 1


@dataclass(frozen=True, slots=True)
class Head:
    """The newest line, and how many files were rotated away so far."""

    newest: Link
    rotated: int

    def pack(self) -> bytes:
        """Always HEAD_SIZE bytes."""
        return b"%020d %b %06d\n" % (self.newest.seq, self.newest.hash.encode(), self.rotated)


def unpack_head(content: bytes) -> Head | None:
    """The head that `content` states, None if it is none."""
    match = _HEAD.fullmatch(content)
    if match is None:
        return None
    return Head(Link(int(match["seq"]), match["hash"].decode()), int(match["number"]))


@dataclass(frozen=True, slots=True)
class ChainFiles:
    """Where the chain of the router on `port` is."""

    folder: Path
    port: int

    @property
    def name(self) -> str:
        """What the chain is called, and what its files' names begin with."""
        return f"audit-{self.port}"

    @property
    def live(self) -> Path:
        """The file that lines are appended to."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def head(self) -> Path:
        """The file that names the newest line."""
        return self.folder / f"{self.name}.head"

    def rotated(self) -> list[Path]:
        """The files that are full, the oldest first."""
        return [path for _, path in sorted(self._numbered())]

    def newest_number(self) -> int:
        """The highest number that a full file has; 0 without one."""
        return max((number for number, _ in self._numbered()), default=0)

    def numbered(self, number: int) -> Path:
        """Where the full file of that number is put away."""
        return self.folder / f"{self.name}.{number:06d}.jsonl"

    def _numbered(self) -> list[tuple[int, Path]]:
        found = []
        for path in self.folder.glob(f"{self.name}.*.jsonl"):
            match = _NAME.fullmatch(path.name)
            if match is not None and match["number"] is not None and int(match["port"]) == self.port:
                found.append((int(match["number"]), path))
        return found


def find_chains(folder: Path) -> list[ChainFiles]:
    """Every chain of which `folder` holds anything, by port. Raises OSError if the folder cannot be read."""
    names = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    ports = {int(match["port"]) for match in names if match is not None and match["port"] == str(int(match["port"]))}
    return [ChainFiles(folder, port) for port in sorted(ports)]

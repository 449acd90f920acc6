"""The user's own code, as the file names it: transforms, a router, a prompt. Finds paths; opens and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccrouter.config.record import Record
from ccrouter.config.schema import CustomRouter, CustomTransformer
from ccrouter.config.transform_options import OPTIONS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Under this group of entry points, installed packages offer transforms.
GROUP = "ccrouter.transforms"

#: Plugins of the classic router whose work the router does anyway.
_NEEDLESS_PLUGINS = frozenset({"token-speed"})


@dataclass(frozen=True, slots=True)
class Base:
    """What paths of the file are relative to: its folder, and `~`."""

    folder: Path
    home: Path

    def locate(self, text: str) -> Path:
        """The full path that `text` names."""
        if text == "~" or text.startswith(("~/", "~\\")):
            return self.home / text[2:]
        return Path(self.folder.absolute(), text)


@dataclass(frozen=True, slots=True)
class Customs:
    """The names that transforms of the file's own may have, folded, each with its file. `is_open`: some say theirs only
    in their own code.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False


def read_customs(top: Record, base: Base) -> Customs:
    """The names under which the file's own transforms may be used."""
    names: dict[str, str] = {}
    is_open = False
    for record in top.get("transformers", ()):
        path, name = record.get("path"), record.get("name")
        if path is None:
            if not record.is_written("path"):
                record.place.refuse("has no path", 'write { "path": "my-transform.py" }')
            is_open = True
            continue
        stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        is_open = is_open or not name
        if name or stem.casefold() not in OPTIONS:
            names[(name or stem).casefold()] = str(base.locate(path))
    return Customs(names, is_open)


def read_custom_transformers(top: Record, base: Base) -> tuple[CustomTransformer, ...]:
    """Every entry of `transformers` that names a file."""
    return tuple(
        CustomTransformer(
            path=base.locate(record.get("path")),
            name=record.get("name") or "",
            options=record.get("options") or {},
            timeout=_seconds(record.get("timeoutMs")),
            place=record.place.path,
        )
        for record in top.get("transformers", ())
        if record.get("path")
    )


def read_custom_router(top: Record, base: Base) -> CustomRouter | None:
    """What `CUSTOM_ROUTER_PATH` and the keys beside it say; None without one."""
    path: str | None = top.get("CUSTOM_ROUTER_PATH")
    if not path:
        return None
    return CustomRouter(
        path=base.locate(path),
        timeout=_seconds(top.get("CUSTOM_ROUTER_TIMEOUT_MS")),
        goes_on=top.get("CUSTOM_ROUTER_ON_ERROR") == "fallthrough",
    )


def read_prompt_path(top: Record, base: Base) -> Path | None:
    """The file of `REWRITE_SYSTEM_PROMPT`."""
    path: str | None = top.get("REWRITE_SYSTEM_PROMPT")
    return base.locate(path) if path else None


def warn_of_plugins(top: Record) -> None:
    """A warning for each that is switched on and has no counterpart here."""
    for record in top.get("plugins", ()):
        name = record.get("name") or "this"
        if record.get("enabled") and name.casefold() not in _NEEDLESS_PLUGINS:
            record.place.warn(f"{name} is a plugin of the classic router, which this one does not run")


def installed_transforms() -> dict[str, EntryPoint]:
    """What installed packages offer, by folded name. Reads their metadata and imports none of them."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - it is slow, and hardly ever needed

    return {entry.name.casefold(): entry for entry in entry_points(group=GROUP)}


def _seconds(milliseconds: Any) -> float:
    return CustomTransformer.timeout if milliseconds is None else milliseconds / 1000

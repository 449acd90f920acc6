"""The files that pages refer to. A list: a name that is not in it leads to no file, whatever is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class File:
    """A file of static/, and its media type."""

    name: str
    media_type: str

    def read(self) -> bytes:
        """Its content."""
        return _content(self.name)


_SCRIPT = "text/javascript; charset=utf-8"

#: By the name that pages call them by.
FILES: Mapping[str, File] = {
    "style.css": File("style.css", "text/css; charset=utf-8"),
    "icon.svg": File("icon.svg", "image/svg+xml"),
    "live.js": File("live.js", _SCRIPT),
    "chart.js": File("chart.js", _SCRIPT),
    "copy.js": File("copy.js", _SCRIPT),
    "providers.css": File("providers.css", "text/css; charset=utf-8"),
    "routes.css": File("routes.css", "text/css; charset=utf-8"),
    "policy.css": File("policy.css", "text/css; charset=utf-8"),
    "config.css": File("config.css", "text/css; charset=utf-8"),
    "logs.css": File("logs.css", "text/css; charset=utf-8"),
    "uplot.js": File("vendor/uplot-1.6.32.min.js", _SCRIPT),
    "uplot.css": File("vendor/uplot-1.6.32.min.css", "text/css; charset=utf-8"),
}


@cache
def _content(name: str) -> bytes:
    return files("ccrouter.web").joinpath("static", name).read_bytes()

"""Themes: which modules the line has, in which style. Those that are built in, and the choice among them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False  # as in typing, which costs more to import than all of this
if TYPE_CHECKING:
    from ccrouter.jsontypes import Json, JsonObject

POWERLINE = "powerline"
DEFAULT = "default"

#: What a module shows whose text is not written, by its type.
TEXTS: Mapping[str, str] = {
    "workDir": "{{workDirName}}",
    "gitBranch": "{{gitBranch}}",
    "model": "{{model}}",
    "usage": "{{inputTokens}} {{outputTokens}}",
    "speed": "{{speed}} {{isStreaming}}",
    "context": "{{context}}",
    "cost": "{{cost}}",
    "duration": "{{duration}}",
    "lines": "{{lines}}",
    "provider": "{{provider}}",
    "route": "{{route}}",
    "cache": "{{cacheShare}} cached",
}

_FOLDER, _BRANCH, _ROBOT = "\U000f024b", "\ue725", "\U000f06a9"  # glyphs of the Nerd Fonts, as the classic themes have


def _module(kind: str, icon: str, text: str, colour: str, background: str = "") -> JsonObject:
    module: JsonObject = {"type": kind, "icon": icon, "text": text, "color": colour}
    return {**module, "background": background} if background else module


def _classic(folder: str, branch: str, robot: str) -> list[JsonObject]:
    return [
        _module("workDir", folder, "{{workDirName}}", "bright_blue"),
        _module("gitBranch", branch, "{{gitBranch}}", "bright_magenta"),
        _module("model", robot, "{{model}}", "bright_cyan"),
        _module("usage", "↑", "{{inputTokens}}", "bright_green"),
        _module("usage", "↓", "{{outputTokens}}", "bright_yellow"),
    ]


def _filled(modules: Sequence[JsonObject]) -> list[JsonObject]:
    """The same on coloured ground."""
    return [{**one, "color": "white", "background": f"bg_{one['color']}"} for one in modules]


THEMES: Mapping[str, list[JsonObject]] = {
    DEFAULT: _classic(_FOLDER, _BRANCH, _ROBOT),
    POWERLINE: _filled(_classic(_FOLDER, _BRANCH, _ROBOT)),
    "simple": _classic("", "", ""),
    "full": [
        *_classic(_FOLDER, _BRANCH, _ROBOT),
        _module("provider", "@", "{{provider}}", "bright_black"),
        _module("route", "→", "{{route}}", "bright_black"),
        _module("context", "◔", "{{context}}", "bright_blue"),
        _module("cache", "♻", "{{cacheShare}}", "bright_green"),
        _module("speed", "⚡", "{{speed}} {{isStreaming}}", "bright_yellow"),
        _module("cost", "", "{{cost}}", "bright_red"),
        _module("duration", "⏱", "{{duration}}", "bright_black"),
        _module("lines", "", "{{lines}}", "bright_cyan"),
    ],
}


class Theme:
    """What is to be written: `style` names how, `modules` are as they were written, none of them left out."""

    __slots__ = ("modules", "style")

    def __init__(self, style: str, modules: Sequence[JsonObject]) -> None:
        self.style = style
        self.modules = modules

    @property
    def has_scripts(self) -> bool:
        """True if a module's text is what a script of the user's says."""
        return any(one.get("type") == "script" for one in self.modules)

    def without_scripts(self) -> Theme:
        """The theme without what somebody else's program would have to say."""
        return Theme(self.style, [one for one in self.modules if one.get("type") != "script"])


def written_theme(settings: Json) -> Theme | None:
    """The theme that `StatusLine` of a configuration chooses by `currentStyle`; None if it does not say one.

    What it lists as modules counts; a style that lists none, and has the name of a built-in theme, is that one.
    """
    if not isinstance(settings, dict):
        return None
    style = settings.get("currentStyle")
    style = style if isinstance(style, str) and style else DEFAULT
    own = settings.get(style)
    modules = own.get("modules") if isinstance(own, dict) else None
    if isinstance(modules, list):
        return Theme(style, [one for one in modules if isinstance(one, dict)])
    if style in THEMES and "currentStyle" in settings:
        return Theme(style, THEMES[style])
    return None


def built_in_theme(environ: Mapping[str, str]) -> Theme:
    """The theme where none is written: without glyphs where the terminal has none."""
    name = "simple" if has_simple_icons(environ) else DEFAULT
    return Theme(DEFAULT, THEMES[name])


def has_simple_icons(environ: Mapping[str, str]) -> bool:
    """True if no glyph of a special font may be shown."""
    return environ.get("USE_SIMPLE_ICONS") == "true" or environ.get("TERM") in {"dumb", "unknown"}

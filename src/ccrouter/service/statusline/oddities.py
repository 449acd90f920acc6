"""What `StatusLine` of a configuration says that no line can show: for `ccr doctor`, as the line itself is silent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ccrouter.config.report import suggestion
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.service.statusline.colours import colour
from ccrouter.service.statusline.themes import DEFAULT, TEXTS, THEMES
from ccrouter.service.statusline.variables import variables

_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_KEYS = {"enabled", "currentStyle"}


def oddities(settings: Json) -> Iterator[str]:
    """Each thing in `StatusLine` that is not understood, with its place and what may stand there."""
    if not isinstance(settings, dict):
        yield "StatusLine must be an object"
        return
    styles = [name for name, value in settings.items() if isinstance(value, dict) and "modules" in value]
    for key, value in settings.items():
        if key not in _KEYS and isinstance(value, bool):
            yield f'StatusLine.{key} is not known: whether the line is shown is said by "enabled"'
    style = settings.get("currentStyle", DEFAULT)
    if style not in (*THEMES, *styles):
        known = ", ".join(dict.fromkeys((*THEMES, *styles)))
        yield f"StatusLine.currentStyle: there is no style {style!r}, so {DEFAULT!r} is shown; there are {known}"
    for name in styles:
        yield from _of_modules(f"StatusLine.{name}.modules", settings[name])


def _of_modules(place: str, style: JsonObject) -> Iterator[str]:
    modules = style["modules"]
    if not isinstance(modules, list):
        yield f"{place} must be a list"
        return
    for number, module in enumerate(modules):
        if isinstance(module, dict):
            yield from _of_module(f"{place}[{number}]", module)
        else:
            yield f"{place}[{number}] must be an object"


def _of_module(place: str, module: JsonObject) -> Iterator[str]:
    kind, text = module.get("type"), module.get("text")
    if isinstance(text, str):
        known = variables({}, {}, {})
        for name in _VARIABLE.findall(text):
            if name not in known:
                yield f"{place}.text: there is no variable {{{{{name}}}}}; {suggestion(name, known)}"
    elif kind != "script" and str(kind) not in TEXTS:
        yield f"{place}.type: without `text` it must be one of {', '.join(TEXTS)}, or script; not {kind!r}"
    for key in ("color", "background"):
        if module.get(key) and colour(module[key]) is None:
            yield f"{place}.{key}: {module[key]!r} is no colour; write a name (bright_blue) or a number (#3af)"

"""The whole of it: Claude Code's JSON in, the line out. Reads files and asks the router; changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ccrouter.service.statusline import surroundings, written
from ccrouter.service.statusline.inquiry import Inquiry, place_of
from ccrouter.service.statusline.rendering import Manner, render
from ccrouter.service.statusline.themes import Theme, built_in_theme, has_simple_icons, written_theme
from ccrouter.service.statusline.variables import at, folder_of, text_at, variables

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject

_WIDEST = 10_000


class NotUnderstood(Exception):
    """What came on stdin is not what Claude Code sends."""


def parse(text: str) -> JsonObject:
    """What Claude Code says. Raises NotUnderstood, which tells why."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(str(error) if text.strip() else "there is none") from None
    if not isinstance(said, dict):
        raise NotUnderstood("it is no object")
    return said


def compose(said: JsonObject, preset: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The line for what Claude Code said, and complaints about scripts. `preset` is "" for the user's own theme."""
    place = place_of(environ)
    inquiry = Inquiry(place, text_at(said, "session_id"), preset) if place else None
    branch = surroundings.git_branch(folder_of(said))
    told = inquiry.answer() if inquiry else {}
    theme = _theme(told, preset or (place.preset if place else ""), environ)
    is_known = isinstance(at(told, "last"), dict)
    transcript = {} if is_known else surroundings.last_answer(text_at(said, "transcript_path"))
    values = variables(said, told, {"gitBranch": branch, "transcript": transcript})
    texts: dict[int, str] = {}
    complaints: list[str] = []
    if theme.has_scripts:
        from ccrouter.service.statusline.scripts import run_scripts  # noqa: PLC0415 - hardly any line has a script

        folder = os.path.dirname(written.config_file(environ))  # noqa: PTH120 - see surroundings.py
        ran = run_scripts(theme.modules, values, folder)
        texts, complaints = ran.texts, ran.complaints
    return render(theme, values, manner_of(environ), texts), complaints


def _theme(told: JsonObject, preset: str, environ: Mapping[str, str]) -> Theme:
    """The preset's theme, else the user's, else a built-in one. Scripts are those of the user's own file."""
    if "style" in told:
        theme = written_theme(told["style"]) or built_in_theme(environ)
        if not theme.has_scripts:
            return theme
        own = written_theme(written.own_settings(environ))
        return own if own and own.has_scripts else theme.without_scripts()
    brought = written_theme(written.preset_settings(preset, environ)) if preset else None
    if brought is not None:
        return brought.without_scripts()
    return written_theme(written.own_settings(environ)) or built_in_theme(environ)


def manner_of(environ: Mapping[str, str]) -> Manner:
    """Colours unless NO_COLOR says otherwise; as wide as COLUMNS, which Claude Code sets to its terminal's width."""
    columns = environ.get("COLUMNS", "")
    is_width = columns.isascii() and columns.isdigit() and len(columns) < 6
    return Manner(
        has_colour=not environ.get("NO_COLOR"),
        has_glyphs=not has_simple_icons(environ),
        width=min(int(columns), _WIDEST) if is_width else 0,
    )

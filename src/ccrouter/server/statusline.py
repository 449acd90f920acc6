"""The endpoint of the status line: all that `ccr statusline` needs of the router, in one answer.

For clients, as the key that Claude Code has is all that its status line has. So it tells of the session that is named
and of no other, and of the configuration only how the line is to look. What a script module would run is not told: a
program is named by the user's own file, and not by an answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from ccrouter import __version__
from ccrouter.config.schema import Config
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import redact
from ccrouter.server.call import Call
from ccrouter.server.edition import Edition

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

_SHOWN = ("type", "icon", "text", "color", "background")
_MOST_MODULES = 100
_LONGEST = 200
_TOLD_OF_LAST = (
    "id", "ended", "asked", "sent", "answered", "provider", "route", "tokens", "cacheShare", "contextTokens",
    "contextWindow", "ttftMs", "totalMs", "tokensPerSecond",
)  # fmt: skip


async def read_status_line(call: Call) -> Response:
    """How the line is to look, and what is known of the session that the address names."""
    asked = call.words()
    session = asked.get("session", "")[:_LONGEST]
    preset = asked.get("preset", "")
    config = _config(call.edition, preset)
    live = await call.process.exchanges.all_under_way(call.process.now())
    known = await asyncio.to_thread(_known, call.process.reports, session)
    told: JsonObject = {
        "service": "ccrouter",
        "version": __version__,
        "style": _style(call.edition, preset),
        "default": _default(config),
        "streaming": bool(session) and any(one["session"] == session for one in live if one["id"] != call.id),
        **known,
    }
    return JSONResponse(told)


def _config(edition: Edition, preset: str) -> Config:
    """The preset's configuration, if there is one of that name, else that of the router."""
    found = edition.presets.get(preset)
    return edition.config if found is None or found.gateway is None else found.config


def _known(reports: Reports | None, session: str) -> JsonObject:
    if reports is None or not session:
        return {"session": None, "last": None}
    found = reports.statusline(session)
    last = found["last"]
    if last is not None:
        last = {name: last.get(name) for name in _TOLD_OF_LAST} | {"cost": last["cost"]["usd"]}
    return {"session": found["session"], "last": last}


def _default(config: Config) -> str | None:
    """The target of the default route: what a session that has asked nothing yet would be answered by."""
    found = config.router.routes.get("default")
    return None if found is None else str(found)


def _style(edition: Edition, preset: str) -> Json:
    """`StatusLine` as far as it says how the line looks, of the preset if that has one; None without one."""
    found = edition.presets.get(preset)
    own = edition.config.status_line
    if found is not None and found.config.status_line:
        return _reduced(found.config.status_line, edition.config, with_scripts=False)
    return _reduced(own, edition.config, with_scripts=True) if own else None


def _reduced(settings: JsonObject, config: Config, *, with_scripts: bool) -> JsonObject:
    style = settings.get("currentStyle")
    style = style if isinstance(style, str) and style else "default"
    told: JsonObject = {"currentStyle": style} if "currentStyle" in settings else {}
    chosen = settings.get(style)
    modules = chosen.get("modules") if isinstance(chosen, dict) else None
    if isinstance(modules, list):
        told[style] = {
            "modules": [
                {name: redact(one[name], config.secrets) for name in _SHOWN if isinstance(one.get(name), str)}
                for one in modules[:_MOST_MODULES]
                if isinstance(one, dict) and (with_scripts or one.get("type") != "script")
            ]
        }
    return told

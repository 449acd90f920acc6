"""What is done from the page of logs: the level that lines are written from, and taking a file away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from starlette.responses import RedirectResponse, Response, StreamingResponse

from ccrouter.config.schema import LogLevel
from ccrouter.errors import ClientError
from ccrouter.logs.files import find_file
from ccrouter.server.call import Call
from ccrouter.server.logs import log_folder
from ccrouter.server.pages import read_form
from ccrouter.web.page import HEADERS

_PAGE = "/ui/logs"
_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_BLOCK = 256 * 1024
_MOST_WORDS = 4


async def set_level(call: Call) -> Response:
    """Lines of at least the level that the form names are written, until the next reload; "" for the config's own."""
    fields = await read_form(call, most=_MOST_WORDS)
    wanted = fields.get("level", "")
    level = next((one for one in _LEVELS if one == wanted), None)
    if wanted and level is None:
        raise ClientError(f"level must be one of {', '.join(_LEVELS)}")
    if call.process.voice.file is None:
        message = "this router keeps no log: LOG is false in its config"
        raise ClientError(message, status=409, type="invalid_request_error")
    to = level or call.edition.config.log_level
    call.process.voice.set_level(to)
    call.process.voice.event("info", "the level of the log was set", reqId=call.id, to=to)
    return RedirectResponse(_PAGE, 303, HEADERS)


async def download(call: Call) -> Response:
    """A log file, as it is now, to be saved. Raises ClientError (404) for any name that is none of ours."""
    name = call.words().get("file", "")
    file = await asyncio.to_thread(find_file, log_folder(call.process), name) if name else None
    if file is None:
        raise ClientError("there is no log file of that name", status=404, type="not_found_error")
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{file.name}"'}
    return StreamingResponse(_pieces(file.path, file.size), headers=headers, media_type="application/x-ndjson")


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The first `size` bytes: what is written meanwhile is not of them. They may be fewer, if it was emptied."""
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(_BLOCK, size))):
            size -= len(piece)
            yield piece

"""The endpoints of the log: which files there are, their lines page by page, emptying one, and the level.

Only files in the log's own folder, by names that are listed: the classic router read and emptied any file on the disk.
Files are read in a thread, from their end, and never whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import msgspec
from starlette.responses import JSONResponse, Response

from ccrouter.config.load import router_folder
from ccrouter.config.schema import LogLevel
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.logs.files import empty, find_file, list_files
from ccrouter.logs.reading import count_of, page_facts, read_page, wanted_of
from ccrouter.server.board import Board
from ccrouter.server.call import Call, Process
from ccrouter.server.voice import Voice
from ccrouter.web.page import NotFound

#: The header of a page of lines that says what to ask for those before it by.
BEFORE = "x-ccr-before"
_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_WHERE = "GET /api/logs/files lists those that there are"


def log_folder(process: Process) -> Path:
    """Where the log files of this router are, and those of its earlier runs."""
    file = process.voice.file
    return router_folder(process.environ) / "logs" if file is None else file.parent


def looking_at_logs(process: Process) -> Callable[[Mapping[str, str]], JsonObject]:
    """What a page reads the log by: `ccrouter.logs.reading.page_facts`, to be called in a thread. Raises NotFound for a
    file that there is not, and for an address that asks for what there cannot be.
    """
    folder, voice, edition = log_folder(process), process.voice, process.edition

    def look(query: Mapping[str, str]) -> JsonObject:
        try:
            facts = page_facts(folder, query)
        except ValueError as error:
            raise NotFound(str(error)) from error
        if facts is None:
            raise NotFound("there is no log file of that name")
        current = voice.file
        configured = edition.config.log_level
        return {
            **facts,
            "current": None if current is None else current.name,
            "level": {"now": voice.level or configured, "configured": configured},
        }

    return look


async def read_files(call: Call) -> Response:
    """The log files, the newest first."""
    files = await asyncio.to_thread(list_files, log_folder(call.process))
    return JSONResponse([file.facts for file in files])


async def read_lines(call: Call) -> Response:
    """Lines as they were written, the oldest first: the last ones of a file, or those before an earlier page."""
    query = call.words()
    folder, name = log_folder(call.process), query.get("file", "")
    try:
        wanted, count = wanted_of(query), count_of(query)
        file = await asyncio.to_thread(find_file, folder, _checked(name))
        if file is None:
            if name:
                raise _missing(name)
            return JSONResponse([])
        page = await asyncio.to_thread(read_page, file.path, wanted, count, query.get("before") or None)
    except ValueError as error:
        raise ClientError(str(error)) from error
    except FileNotFoundError as error:  # it has just been removed
        raise _missing(name) from error
    lines = [line.decode("utf-8", "replace") for line in page.lines]
    headers = {} if page.before is None else {BEFORE: page.before}
    return Response(msgspec.json.encode(lines), media_type="application/json", headers=headers)


async def clear(call: Call) -> Response:
    """Empty a file that may still be written to; remove one that was put away. The log tells who was asked to."""
    await call.body()
    name = call.words().get("file", "")
    file = await asyncio.to_thread(find_file, log_folder(call.process), _checked(name)) if name else None
    if file is None:
        raise _missing(name)
    try:
        await asyncio.to_thread(empty, file)
    except OSError as error:
        message = f"{file.name} cannot be emptied: {error.strerror or error}"
        raise ClientError(message, status=500, type="api_error") from error
    call.process.voice.event("info", "a log file was emptied", reqId=call.id, file=file.name)
    return JSONResponse({"success": True, "message": "Logs cleared successfully"})


async def read_level(call: Call) -> Response:
    """From which level on lines are written, now and by the configuration."""
    return JSONResponse(_level(call))


async def set_level(call: Call) -> Response:
    """Write lines of at least the level that is named, in all workers, until the next reload or restart; null: what the
    configuration says. Raises ClientError: 400 for no level, 409 where no log is kept.
    """
    given = await call.json_object()
    level = given.get("level", "")
    if level is not None and level not in _LEVELS:
        raise ClientError(
            f'level must be one of {", ".join(_LEVELS)}, or null for that of the config: {{"level": "debug"}}'
        )
    if call.process.voice.file is None:
        message = "this router keeps no log: LOG is false in its config"
        raise ClientError(message, status=409, type="invalid_request_error")
    configured = call.process.edition.config.log_level
    call.process.voice.set_level(level or configured)
    call.process.voice.event("info", "the level of the log was set", reqId=call.id, to=level or configured)
    return JSONResponse({"success": True, **_level(call)})


def share_level(board: Board, voice: Voice) -> None:
    """After the call a level that is set in one process of the service is set in every one, also in those to come."""

    def take(body: bytes) -> None:
        level = next((one for one in _LEVELS if one == body.decode()), None)
        if level is not None:
            voice.take_level(level)

    def give() -> bytes:
        return (voice.level or "").encode()

    voice.publish_to(lambda level: board.publish("log level", level.encode()))
    board.subscribe("log level", lambda _, body: take(body))
    board.resemble("log level", give, take)


def _level(call: Call) -> JsonObject:
    configured = call.process.edition.config.log_level
    return {"level": call.process.voice.level or configured, "configured": configured}


def _checked(name: str) -> str:
    """`name`, if it can be one of a file in the folder. Raises ClientError for a path."""
    if "/" in name or "\\" in name:
        raise ClientError(f"file must be a name, and no path: {_WHERE}")
    return name


def _missing(name: str) -> ClientError:
    if not name:
        return ClientError(f"file must say which: {_WHERE}")
    return ClientError(f"there is no log file {name[:200]!r}: {_WHERE}", status=404, type="not_found_error")

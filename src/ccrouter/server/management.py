"""The endpoints of management: what the configuration says, and changing it. Secrets are in no answer.

Nothing here can weaken a policy: what is written is examined as at a start, by the policy in force, and refused whole.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.responses import JSONResponse, Response

from ccrouter import __version__
from ccrouter.config.masking import mask
from ccrouter.config.rewrite import rewrite
from ccrouter.config.syntax import read_source
from ccrouter.config.transformers import BUILT_IN
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import JsonObject
from ccrouter.secret import redact
from ccrouter.server.call import Call
from ccrouter.server.configfile import file_of, redacted, refusal
from ccrouter.server.endpoints import in_force, timestamp

#: The paths that this router serves for a transformer: the classic router had some for every wire format.
_ENDPOINTS = {"anthropic": "/v1/messages"}

#: Seconds in which what has just ended is to be on disk, for who asks of it at once.
_PATIENCE = 1.0
_LATER = "it is applied by POST /api/restart, or by the next start"
_AT_ONCE = "it is applied within seconds, and at once by POST /api/restart"


async def read_config(call: Call) -> Response:
    """The file's content as it is written now, placeholders kept, literal secrets masked; what is in force where the
    file cannot be read.
    """
    config = call.edition.config
    if config.path is None:
        return JSONResponse(config.raw)
    try:
        return JSONResponse(mask((await asyncio.to_thread(read_source, config.path)).tree))
    except ConfigError:
        return JSONResponse(config.raw)


async def write_config(call: Call) -> Response:
    """Replace the file's content. It is in force after the next reload or start, as clients of the classic router know;
    with `autoReload` the reload comes by itself, within seconds.

    Raises ClientError, with every reason, if the new content cannot be used (400) or breaks the policy (403): the file
    is not touched then.
    """
    new = await call.json_object()
    if not new:
        raise ClientError("the body must be the whole configuration, as a JSON object")
    async with call.process.changing:
        kept = await asyncio.to_thread(_save, call, new)
    return JSONResponse(
        {
            "success": True,
            "message": "Config saved successfully",
            "backup": str(kept) if kept else None,
            "note": _AT_ONCE if call.edition.config.auto_reload else _LATER,
        }
    )


async def restart(call: Call) -> Response:
    """Put in force what config and policy files say now, within this process. Raises ClientError if they are refused:
    what was in force stays so.
    """
    await call.body()
    try:
        done = await call.process.reload()
    except ConfigError as error:
        problems = [{"path": one.path, "message": one.message, "hint": one.hint} for one in error.problems]
        secrets = call.edition.config.secrets
        raise ClientError(
            redact(f"what was in force stays in force, as the new configuration is refused: {error}", secrets),
            details={"problems": redacted(problems, secrets)},
        ) from error
    told: JsonObject = {"success": True, "message": "Service restart initiated"}
    if done.notes:
        told["notes"] = list(done.notes)
    return JSONResponse({**told, **in_force(done.edition.config, done.edition.policy)})


async def read_policy(call: Call) -> Response:
    """What is in force in the process that answers, and so in all of the service, for those who compare it with what
    the files say.
    """
    told = in_force(call.edition.config, call.edition.policy)
    process = {"version": __version__, "pid": call.process.pid, "started": timestamp(call.process.started)}
    return JSONResponse({**told, "reload": last_reload(call), **process})


def last_reload(call: Call) -> JsonObject:
    """How the last reload ended; `config` is the digest of what was tried."""
    last = call.process.last_reload
    return {
        "state": last.state,
        "at": timestamp(last.at),
        "reason": last.reason,
        "config": last.config,
        "auto": call.edition.config.auto_reload,
    }


async def read_exchange(call: Call) -> Response:
    """What became of one request: by its id, or "last". What was recorded tells more (its cost, and what became of its
    cache) than what is only remembered. Raises ClientError (404) if it is neither.
    """
    exchanges, wanted = call.process.exchanges, call.params["id"]
    facts = await exchanges.recall(wanted)
    recorded = await _recorded(call, wanted if facts is None else str(facts["id"]))
    if recorded is None and facts is None:
        which = "there was none" if wanted == "last" else "none of that id is recorded"
        since = timestamp(call.process.started)
        raise ClientError(
            f"{which}, nor is it one of the last {exchanges.capacity} since the router was started at {since}",
            status=404,
            type="not_found_error",
        )
    return JSONResponse(recorded or facts)


async def _recorded(call: Call, wanted: str) -> JsonObject | None:
    recorder, reports = call.process.recorder, call.process.reports
    if recorder is None or reports is None:
        return None
    await asyncio.to_thread(recorder.flush, _PATIENCE)
    return await asyncio.to_thread(reports.request, wanted)


async def list_transformers(call: Call) -> Response:
    """The router's own, and those that the configuration brings."""
    names = dict.fromkeys([*BUILT_IN, *call.edition.extensions.names])
    return JSONResponse({"transformers": [{"name": name, "endpoint": _ENDPOINTS.get(name)} for name in names]})


def _save(call: Call, new: JsonObject) -> Path | None:
    if call.edition.config.path is None:
        raise ClientError("this router runs without a config file: there is nothing to save to")
    file = file_of(call)
    text = file.text() or ""
    new = file.with_secrets(text, new)
    secrets = file.secrets(new)
    try:
        changed = rewrite(text, new)
    except ConfigError as error:
        raise ClientError(redact(str(error), secrets)) from error
    verdict = file.judge(changed)
    if verdict.errors or verdict.config is None:
        raise refusal(call, verdict.errors, secrets, "/api/config")
    return file.put(changed)

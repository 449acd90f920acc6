"""The endpoints of management: what the configuration says, and changing it. Secrets are in no answer.

Nothing here can weaken a policy: what is written is examined as at a start, by the policy in force, and refused whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from starlette.responses import JSONResponse, Response

from ccrouter import __version__
from ccrouter.compliance.examine import examine
from ccrouter.compliance.findings import Finding
from ccrouter.config import backup
from ccrouter.config.listen import Overrides
from ccrouter.config.masking import mask
from ccrouter.config.rewrite import keep_secrets, rewrite
from ccrouter.config.schema import Config
from ccrouter.config.syntax import decode, parse, read_bounded, read_source
from ccrouter.config.transformers import BUILT_IN
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import Secret, redact
from ccrouter.server.call import Call
from ccrouter.server.endpoints import in_force, timestamp

#: The paths that this router serves for a transformer: the classic router had some for every wire format.
_ENDPOINTS = {"anthropic": "/v1/messages"}

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
            details={"problems": _redacted(problems, secrets)},
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
    return JSONResponse({**told, "reload": _last_reload(call), **process})


def _last_reload(call: Call) -> JsonObject:
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
    """What became of one request: by its id, or "last". Raises ClientError (404) if it is not remembered."""
    exchanges, wanted = call.process.exchanges, call.params["id"]
    facts = await exchanges.recall(wanted)
    if facts is None:
        which = "there was none" if wanted == "last" else "none of that id is remembered"
        since = timestamp(call.process.started)
        raise ClientError(
            f"{which}: the router remembers the last {exchanges.capacity} exchanges since it was started at {since}",
            status=404,
            type="not_found_error",
        )
    return JSONResponse(facts)


async def list_transformers(call: Call) -> Response:
    """The router's own, and those that the configuration brings."""
    names = dict.fromkeys([*BUILT_IN, *call.edition.extensions.names])
    return JSONResponse({"transformers": [{"name": name, "endpoint": _ENDPOINTS.get(name)} for name in names]})


def _save(call: Call, new: JsonObject) -> Path | None:
    path, environ = call.edition.config.path, call.process.environ
    if path is None:
        raise ClientError("this router runs without a config file: there is nothing to save to")
    text = _present_text(path)
    new = _with_secrets(text, path, new, call)
    try:
        changed = rewrite(text, new)
    except ConfigError as error:
        raise ClientError(redact(str(error), _secrets(call, new))) from error
    verdict = examine(path, environ, call.edition.policy, given_key(call.edition.config), text=changed)
    if verdict.errors or verdict.config is None:
        raise _refusal(call, verdict.errors, _secrets(call, new))
    try:
        return backup.save(path, changed, now=datetime.now(UTC))
    except ConfigError as error:
        raise ClientError(str(error), status=500, type="api_error") from error


def given_key(config: Config, router: str | None = None) -> Overrides:
    """What the command line said of the key, if it did, and will say again: a file need not have one then."""
    is_written = any(key.casefold().replace("_", "").replace("-", "") == "apikey" for key in config.raw)
    key = config.api_key.reveal() if config.api_key and not is_written else None
    return Overrides(api_key=key, router=router)


def _present_text(path: Path) -> str:
    """Raises ClientError if the file cannot be read: what is in it is not to be lost by a save."""
    try:
        return decode(read_bounded(path), str(path))
    except FileNotFoundError:
        return ""
    except (OSError, ConfigError) as error:
        raise ClientError(f"the config file cannot be read, and is left as it is: {error}", status=409) from error


def _with_secrets(text: str, path: Path, new: JsonObject, call: Call) -> JsonObject:
    """`new` with what the file has in the place of masks. Raises ClientError if a mask has nothing to stand for."""
    try:
        old = parse(text, str(path)).tree if text.strip() else {}
    except ConfigError as error:
        raise ClientError(f"the config file cannot be parsed, and is left as it is: {error}", status=409) from error
    try:
        return keep_secrets(old, new, call.process.environ)
    except ConfigError as error:
        raise ClientError(redact(str(error), _secrets(call, new))) from error


def _refusal(call: Call, errors: tuple[Finding, ...], secrets: tuple[Secret, ...]) -> ClientError:
    """Every reason; 403 if the policy has one among them, which is then on record."""
    is_denied = any(finding.rule for finding in errors)
    message = redact("\n".join(str(finding.problem) for finding in errors), secrets)
    details = [{"path": one.path, "message": one.message, "rule": one.rule or None, "hint": one.hint} for one in errors]
    if is_denied:
        note_denial(call, next(finding.rule for finding in errors if finding.rule), "/api/config")
    return ClientError(
        f"the configuration is refused, and the file left as it was:\n{message}",
        status=403 if is_denied else 400,
        type="permission_error" if is_denied else "invalid_request_error",
        details={"problems": _redacted(details, secrets)},
    )


def note_denial(call: Call, rule: str, path: str) -> None:
    """Tell the audit that a change was refused. It is refused whether that can be written or not."""
    facts = {"request": call.id, "path": path, "rule": rule, "policy": call.edition.policy.digest, "result": "denied"}
    call.process.account.report("denial", facts)


def _secrets(call: Call, tree: JsonObject) -> tuple[Secret, ...]:
    """The secrets in force and those that stand in `tree`: messages about it may quote what is written."""
    hidden = [Secret(was) for was, shown in zip(_texts(tree), _texts(mask(tree)), strict=True) if was != shown]
    return (*call.edition.config.secrets, *hidden)


def _texts(node: Json) -> Iterator[str]:
    """Every text in `node`, keys left out, in order."""
    if isinstance(node, str):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(inner)


def _redacted(told: list[JsonObject], secrets: tuple[Secret, ...]) -> list[JsonObject]:
    return [
        {key: redact(value, secrets) if isinstance(value, str) else value for key, value in one.items()} for one in told
    ]

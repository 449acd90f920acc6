"""What is done from the page of the policy: a simulation, also as POST /api/policy/simulate, and the whole proof of the
audit log. Both read; neither changes anything.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from ccrouter.config.load import router_folder
from ccrouter.config.shown import show as show_text
from ccrouter.config.syntax import LARGEST
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.server.auditstate import prove_all
from ccrouter.server.call import Call
from ccrouter.server.pages import read_form, show
from ccrouter.server.simulation import PASTED, PRESENT, Unusable, Wish, simulate, since_of
from ccrouter.web.page import cleaned
from ccrouter.web.pages import policy
from ccrouter.web.verbatim import Verbatim

#: Bytes of a form with a configuration in it: encoded, each of its bytes may be three.
_LARGEST_FORM = 3 * LARGEST
_MOST_FIELDS = 20
_LONGEST_POLICY = 256 * 1024


async def simulate_page(call: Call) -> Response:
    """The page again, with what the proposal of the form would have done, or what is wrong with it."""
    fields = await read_form(call, _LARGEST_FORM, _MOST_FIELDS)
    named = fields.get("policy", PRESENT)
    pasted = fields.get("policyText", "").replace("\r\n", "\n")
    text = fields.get("configText", "").replace("\r\n", "\n") if fields.get("config") == PASTED else ""
    range_ = fields.get("range", "7d")
    given: JsonObject = {
        "policy": named,
        "policyText": Verbatim(pasted if len(pasted) <= _LONGEST_POLICY else ""),
        "config": fields.get("config", PRESENT),
        "configText": Verbatim(await asyncio.to_thread(_masked, call, text)),
        "range": range_,
    }
    outcome: JsonObject = {"given": given, "told": None, "unusable": None, "error": None}
    status = 200
    if fields.get("config") == PASTED and not text.strip():
        outcome["error"] = "no configuration was pasted: paste one, or simulate with the one in force"
        return await show(call, policy.PAGE, outcome, 400)
    try:
        wish = Wish(named, _bounded(pasted), text, since_of(range_, datetime.now(UTC)))
        outcome["told"] = await asyncio.to_thread(simulate, call, wish)
    except Unusable as error:
        outcome["unusable"], status = {"about": error.about, "problems": error.problems}, 400
    except ClientError as error:
        outcome["error"], status = str(error), error.status
    return await show(call, policy.PAGE, outcome, status)


async def simulate_json(call: Call) -> Response:
    """The same as facts. Members of the body: `policy` ("present", "none", a preset's name, or the document, as text or
    object), `config` (the whole configuration, as text or object), `since` ("1h", "24h", "7d", "30d", "all", or a
    time) and `until` (a time). All may be left out.

    Raises ClientError (400) for what cannot be read, with `problems`, and (409) where nothing is recorded.
    """
    given = await call.json_object()
    unknown = sorted(given.keys() - {"policy", "config", "since", "until"})
    if unknown:
        raise ClientError(f"there is no {unknown[0]!r} to simulate with: policy, config, since, until")
    named, text = _named(given.get("policy", PRESENT))
    now = datetime.now(UTC)
    until = given.get("until")
    wish = Wish(
        policy=named,
        policy_text=_bounded(text),
        config_text=_document(given.get("config"), "config"),
        since=since_of(str(given.get("since", "7d")), now),
        until="" if until is None else _time(str(until), now),
    )
    told = await asyncio.to_thread(simulate, call, wish)
    return JSONResponse(cleaned(told, call.edition.config.secrets))


async def prove_page(call: Call) -> Response:
    """The page again, with the proof of every chain of the audit log from its first line to its last."""
    await read_form(call, most=_MOST_FIELDS)
    folder = router_folder(call.process.environ) / "audit"
    try:
        proofs = await asyncio.to_thread(prove_all, folder)
    except OSError as error:
        words = f"{error.filename or folder}: {error.strerror or error}"
        return await show(call, policy.PAGE, {"proofs": [], "proofFault": words}, 500)
    return await show(call, policy.PAGE, {"proofs": proofs, "proofFault": None})


def _named(given: Json) -> tuple[str, str]:
    if isinstance(given, dict):
        return PASTED, json.dumps(given)
    if isinstance(given, str):
        return (PASTED, given) if given.lstrip().startswith(("{", "/")) else (given, "")
    raise ClientError("policy must be a name or a document")


def _document(given: Json, name: str) -> str:
    if given is None:
        return ""
    if isinstance(given, dict):
        return json.dumps(given)
    if isinstance(given, str):
        return given
    raise ClientError(f"{name} must be an object, or its text")


def _time(word: str, now: datetime) -> str:
    found = since_of(word, now)
    if found is None:
        return ""
    return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bounded(text: str) -> str:
    if len(text) > _LONGEST_POLICY:
        raise ClientError(f"a policy of more than {_LONGEST_POLICY // 1024} kB is none")
    return text


def _masked(call: Call, text: str) -> str:
    """The pasted configuration as it may be shown again; nothing of one that cannot be read."""
    try:
        return show_text(text, call.edition.config.secrets)
    except ConfigError:
        return ""

"""What is done from the page of the configuration. Every form leads to a change that is shown as a difference first,
and is in the file only when it is saved: examined as at a start, with a backup, in one step, and refused whole.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from msgspec.structs import replace
from starlette.responses import RedirectResponse, Response

from ccrouter.config import editing
from ccrouter.config.merging import merge
from ccrouter.config.pending import Pending, Shelf
from ccrouter.config.restore import NEW_TEXT, keep_secrets
from ccrouter.config.rewrite import rewrite
from ccrouter.config.shown import restore
from ccrouter.config.starter import TEMPLATE
from ccrouter.config.syntax import LARGEST, parse
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import JsonObject
from ccrouter.server.call import Call
from ccrouter.server.configfile import ConfigFile, digest_of, file_of, refusal
from ccrouter.server.configstate import backup_text, problems_of
from ccrouter.server.pages import read_form, show
from ccrouter.web.page import HEADERS
from ccrouter.web.pages import configuration

_PAGE = "/ui/config"
#: Bytes of a form with a whole configuration in it: encoded, each of its bytes may be three.
_LARGEST_FORM = 3 * LARGEST
_GONE = "that change is not kept any more: it was saved, dropped, or a day has passed"

_NO_OUTCOME: JsonObject = {"error": None, "problems": [], "about": None, "fields": {}, "change": ""}

#: Changes the tree as the fields of a form say, and gives what was done in words.
Change = Callable[[JsonObject, Mapping[str, str]], list[str]]

_CHANGES: Mapping[str, Change] = {
    "add": editing.add_provider,
    "provider": editing.change_provider,
    "router": editing.change_router,
    "settings": editing.change_settings,
}


async def change(call: Call) -> Response:
    """A change by the form that the path names is pending, upon the pending one that the form was shown with. The page
    shows it. What the fields cannot be is told, and nothing is kept of it.
    """
    kind = call.params["kind"]
    fields = await read_form(call, _LARGEST_FORM)
    makers: Mapping[str, Callable[[ConfigFile, Mapping[str, str]], Pending]] = {
        "text": _typed,
        "restore": _restored,
        "create": _created,
        "merge": _merged,
        **{name: _formed(one) for name, one in _CHANGES.items()},
    }
    maker = makers.get(kind)
    if maker is None:
        raise ClientError("there is no such form", status=404, type="not_found_error")
    file = file_of(call)
    try:
        name = await asyncio.to_thread(lambda: _replace(file, fields, maker(file, fields)))
    except ConfigError as error:
        problems = problems_of(error, file.config.secrets)
        told = {"problems": problems, "about": kind, "fields": _echo(fields), "change": fields.get("change", "")}
        return await show(call, configuration.PAGE, _NO_OUTCOME | told, 400)
    except ClientError as error:
        return await _refused(call, error, fields.get("change", ""))
    return _to(f"{_PAGE}?{urlencode({'change': name})}#review")


async def save(call: Call) -> Response:
    """The pending change is in the file, what was there in a backup, and the page tells of both. Refused, with every
    reason, if a start would be: 403 if the policy has one among them; and 409 if the file has changed since the
    difference was shown. The change stays pending then.
    """
    fields = await read_form(call)
    name = fields.get("change", "")
    try:
        async with call.process.changing:
            kept = await asyncio.to_thread(_save, call, name, fields.get("over", ""))
    except ClientError as error:
        return await _refused(call, error, name)
    return _to(f"{_PAGE}?{urlencode({'saved': kept})}#state")


async def drop(call: Call) -> Response:
    """The pending change is forgotten."""
    fields = await read_form(call)
    await asyncio.to_thread(Shelf(file_of(call).path).drop, fields.get("change", ""))
    return _to(_PAGE)


def _save(call: Call, name: str, over: str) -> str:
    file = file_of(call)
    shelf = Shelf(file.path)
    pending = shelf.find(name)
    if pending is None:
        raise ClientError(_GONE, status=404, type="not_found_error")
    if pending.typed:
        raise ClientError("what was typed cannot be used yet: mend it first")
    present = file.text()
    if digest_of(present) != over:
        raise ClientError("the file was changed on disk meanwhile: look at the difference again", status=409)
    verdict = file.judge(pending.text)
    if verdict.errors or verdict.config is None:
        secrets = file.secrets(parse(pending.text, NEW_TEXT).tree) if verdict.config else file.config.secrets
        raise refusal(call, verdict.errors, secrets, "/ui/config")
    kept = file.put(pending.text)
    shelf.drop(name)
    return kept.name if kept else "new"


def _replace(file: ConfigFile, fields: Mapping[str, str], pending: Pending) -> str:
    """The id of the change, which takes the place of the one that the form was shown with."""
    shelf = Shelf(file.path)
    name = shelf.keep(pending)
    shelf.drop(fields.get("change", ""))
    return name


def _before(file: ConfigFile, fields: Mapping[str, str]) -> Pending:
    """What the form was shown with: the pending change, or the file as it is. Raises ClientError (409) if the change is
    gone, or if the file is another than it was shown.
    """
    name = fields.get("change", "")
    if name:
        pending = Shelf(file.path).find(name)
        if pending is None:
            raise ClientError(_GONE, status=409)
        return pending
    present = file.text()
    return Pending(present, present or "")


def _typed(file: ConfigFile, fields: Mapping[str, str]) -> Pending:
    """The whole text as it was typed, with its secrets. What cannot be used is kept as it was typed."""
    before = _before(file, fields)
    is_dos = "\r\n" in before.text and "\n" not in before.text.replace("\r\n", "")
    text = fields.get("text", "").replace("\r\n", "\n")
    if before.text and not before.text.endswith("\n"):
        text = text.removesuffix("\n") if not before.typed else text
    text = text.replace("\n", "\r\n") if is_dos else text
    words = (*before.words, "the text was edited") if "the text was edited" not in before.words else before.words
    is_stale = before.is_stale or (not fields.get("change") and fields.get("digest", "") != digest_of(before.base))
    try:
        whole = restore(text, before.text, file.environ, file.config.secrets)
    except ConfigError as error:
        problems = tuple((one.path, one.message, one.hint) for one in error.problems)
        return Pending(before.base, before.text, text, problems, words, is_stale)
    return Pending(before.base, whole, words=words, is_stale=is_stale)


def _formed(apply: Change) -> Callable[[ConfigFile, Mapping[str, str]], Pending]:
    def make(file: ConfigFile, fields: Mapping[str, str]) -> Pending:
        before = _before(file, fields)
        tree = parse(before.text, str(file.path)).tree if before.text.strip() else {}
        changed = copy.deepcopy(tree)
        words = apply(changed, {**_touched(fields), "router": file.config.router_name})
        changed = keep_secrets(tree, changed, file.environ)  # a field was shown masked, and edited beside the mask
        return replace(before, text=rewrite(before.text, changed), words=(*before.words, *words))

    return make


def _touched(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that are others than they were shown: what somebody else changed meanwhile stays changed."""

    def is_touched(name: str, value: str) -> bool:
        was = fields.get(f"was.{name}")
        return was is None or was.replace("\r\n", "\n").strip() != value.replace("\r\n", "\n").strip()

    return {name: value for name, value in fields.items() if not name.startswith("was.") and is_touched(name, value)}


def _restored(file: ConfigFile, fields: Mapping[str, str]) -> Pending:
    name = fields.get("backup", "")
    text = backup_text(file.path, name)
    return Pending(file.text(), text, words=(f"back to {name}",))


def _created(file: ConfigFile, _fields: Mapping[str, str]) -> Pending:
    """A new file: the commented starter, that needs no provider."""
    return Pending(file.text(), TEMPLATE.read_text(encoding="utf-8"), words=("a first file, with comments",))


def _merged(file: ConfigFile, fields: Mapping[str, str]) -> Pending:
    """The change upon the file as it is now. Raises ClientError (409) if both touch the same lines."""
    before = _before(file, fields)
    present = file.text()
    text = merge(before.base or "", before.text, present or "")
    if text is None or before.typed:
        raise ClientError("the two changes touch the same lines: bring them together by hand", status=409)
    return Pending(present, text, words=(*before.words, "upon what was changed on disk"))


def _echo(fields: Mapping[str, str]) -> JsonObject:
    """What was typed into the fields of a provider, for it to be mended; no key."""
    return {name: fields.get(name, "") for name in ("name", "url", "models", "protocol", "route")}


async def _refused(call: Call, error: ClientError, change_id: str) -> Response:
    words, problems = str(error).partition("\n")[0], (error.details or {}).get("problems", [])
    outcome: JsonObject = _NO_OUTCOME | {"error": words, "problems": problems, "change": change_id}
    return await show(call, configuration.PAGE, outcome, error.status)


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, HEADERS)

"""What the page of the configuration tells: the file, masked, what is wrong with it, the change that is about to be
made, and whether what is written is in force. Blocks: to be used in a thread. Changes nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ccrouter.compliance.findings import Verdict
from ccrouter.config.backup import backups
from ccrouter.config.editing import form_of, known_providers
from ccrouter.config.merging import merge
from ccrouter.config.pending import Pending, Shelf
from ccrouter.config.shown import changed_secrets, literal_secrets, show
from ccrouter.config.syntax import decode, parse, read_bounded
from ccrouter.errors import ClientError, ConfigError, Problem
from ccrouter.jsontypes import JsonObject
from ccrouter.secret import Secret, redact
from ccrouter.server.call import Call
from ccrouter.server.configfile import ConfigFile, digest_of, file_of, told_findings
from ccrouter.server.endpoints import timestamp
from ccrouter.server.management import last_reload
from ccrouter.web.verbatim import Verbatim

#: Lines of a difference that are shown, and of those around each of them.
_MOST_LINES = 2000
_AROUND = 3
_STAMP = "%Y-%m-%dT%H-%M-%S-%f"


def looking_at_file(call: Call, outcome: JsonObject | None) -> Callable[[], JsonObject]:
    """What tells of the file when it is called, by the words of the address, or of the form that was sent."""
    query = call.words()
    if outcome is not None and isinstance(outcome.get("change"), str):
        query["change"] = outcome["change"]
    return lambda: told_file(call, query)


def told_file(call: Call, query: Mapping[str, str]) -> JsonObject:
    """Everything about the file; with `change` in the query, about the pending change of that id too."""
    file = file_of(call)
    told: JsonObject = {
        "path": str(file.path),
        "isFollowed": file.is_followed,
        "force": last_reload(call) | {"digest": file.config.digest, "isThis": False, "isTried": False},
        "policy": file.policy.name if file.policy.is_in_force else None,
        "known": list(known_providers()),
        "saved": query.get("saved"),
        "backups": _backups(file.path),
        "isLost": False,
    }
    try:
        text = file.text()
    except ClientError as error:
        return told | _nothing(str(error)) | {"change": None}
    on_disk = _disk_digest(file.path)
    told["force"]["isThis"] = on_disk == file.config.digest
    told["force"]["isTried"] = on_disk == told["force"]["config"]
    pending = Shelf(file.path).find(query.get("change", ""))
    told["change"] = None if pending is None else _change(file, query["change"], pending, text)
    told["isLost"] = pending is None and bool(query.get("change"))
    base = text if pending is None else pending.text
    return told | _content(file, text, base, None if pending is None else pending.typed or None)


def _nothing(why: str) -> JsonObject:
    """Of a file that cannot be looked at."""
    return {
        "exists": True,
        "isEmpty": False,
        "digest": "",
        "text": None,
        "why": why,
        "problems": [],
        "warnings": [],
        "literals": [],
        "form": None,
    }


def _content(file: ConfigFile, on_disk: str | None, text: str | None, typed: str | None) -> JsonObject:
    """What is in the file, or is to be: as text, as a form, and what is wrong with it."""
    told = _nothing("") | {"exists": on_disk is not None, "digest": digest_of(on_disk)}
    if text is None or not text.strip():
        return told | {"isEmpty": True, "text": Verbatim(typed or ""), "form": form_of({})}
    secrets = file.config.secrets
    try:
        tree = parse(text, str(file.path)).tree
        shown = show(text, secrets)
        told |= {"form": form_of(tree, file.config.router_name), "literals": literal_secrets(text)}
    except ConfigError as error:
        words = "the text cannot be shown while it cannot be read: which parts of it are secrets cannot be told"
        return told | {"why": words, "problems": problems_of(error, secrets)}
    told["text"] = Verbatim(shown if typed is None else typed)
    if typed is None:
        verdict = file.judge(text)
        known = file.secrets(tree)
        told["problems"], told["warnings"] = _found(verdict, known)
    return told


def _found(verdict: Verdict, secrets: tuple[Secret, ...]) -> tuple[list[JsonObject], list[JsonObject]]:
    return told_findings(verdict.errors, secrets), told_findings(verdict.warnings, secrets)


def _change(file: ConfigFile, name: str, pending: Pending, on_disk: str | None) -> JsonObject:
    """The change, as a difference to what is in the file now; and if others changed the file meanwhile, what."""
    secrets = file.config.secrets
    told: JsonObject = {
        "id": name,
        "words": list(pending.words),
        "over": digest_of(on_disk),
        "isTyped": bool(pending.typed),
        "isSame": pending.text == (on_disk or ""),
        "typedProblems": [
            {"path": one[0], "message": one[1], "hint": one[2], "rule": None} for one in pending.problems
        ],
        "conflict": None,
        "secrets": changed_secrets(on_disk or "", pending.text),
        "diff": difference(on_disk or "", pending.text, secrets),
    }
    if pending.base != on_disk or pending.is_stale:
        told["conflict"] = {
            "isStale": pending.is_stale,
            "isGone": on_disk is None,
            "canMerge": not pending.is_stale and merge(pending.base or "", pending.text, on_disk or "") is not None,
            "diff": difference(pending.base or "", on_disk or "", secrets),
            "secrets": changed_secrets(pending.base or "", on_disk or ""),
        }
    return told


def difference(old: str, new: str, secrets: Iterable[Secret]) -> list[JsonObject]:
    """The lines that differ and those around them, masked: each with its `kind`, "gone", "new", "same" or "place"."""
    secrets = tuple(secrets)
    before, after = (_shown_lines(text, secrets) for text in (old, new))
    kinds = {"-": "gone", "+": "new", " ": "same", "@": "place"}
    lines = list(difflib.unified_diff(before, after, n=_AROUND, lineterm=""))[2:]
    told = [{"kind": kinds.get(line[:1], "same"), "text": line if line[:1] == "@" else line[1:]} for line in lines]
    if len(told) > _MOST_LINES:
        told = [*told[:_MOST_LINES], {"kind": "place", "text": f"… and {len(lines) - _MOST_LINES} lines more"}]
    return told


def _shown_lines(text: str, secrets: tuple[Secret, ...]) -> list[str]:
    try:
        return [line.expandtabs(4) for line in show(text, secrets).splitlines()]
    except ConfigError:
        return ["(what stood here cannot be read, and so cannot be shown without its secrets)"]


def problems_of(error: ConfigError, secrets: Iterable[Secret]) -> list[JsonObject]:
    """Problems as plain values, as findings are told."""
    return [_problem(one, tuple(secrets)) for one in error.problems]


def _problem(one: Problem, secrets: tuple[Secret, ...]) -> JsonObject:
    message, hint = redact(one.message, secrets), redact(one.hint, secrets)
    return {"path": one.path, "message": message, "rule": None, "hint": hint}


def _disk_digest(path: Path) -> str:
    """As `Config.digest` tells it: of the bytes."""
    from ccrouter.server.sources import digest_of as digest_of_bytes  # noqa: PLC0415 - two of one name

    return digest_of_bytes(path)


def _backups(path: Path) -> list[JsonObject]:
    try:
        found = backups(path)
        return [{"name": one.name, "at": _moment(one, path), "bytes": one.stat().st_size} for one in found]
    except OSError:  # no folder, or one that is being changed: nothing to go back to
        return []


def _moment(one: Path, path: Path) -> str:
    stamp = one.name.removeprefix(f"{path.name}.").removesuffix("Z.bak")
    return timestamp(datetime.strptime(f"{stamp}000", _STAMP).replace(tzinfo=UTC))


def backup_text(path: Path, name: str) -> str:
    """What the backup of that name holds. Raises ClientError for what is none."""
    found = next((one for one in backups(path) if one.name == name), None) if path.parent.is_dir() else None
    if found is None:
        raise ClientError("there is no such backup", status=404, type="not_found_error")
    try:
        return decode(read_bounded(found), found.name)
    except (OSError, ConfigError) as error:
        raise ClientError(f"the backup cannot be read: {error}") from error

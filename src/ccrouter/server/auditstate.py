"""What the page of the policy tells of the audit log: how far its chains are unbroken, and what was denied last. Reads
files, a bounded part of them unless the whole proof is asked for. Blocks: to be used in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from ccrouter.audit.chain import Breach, ChainCheck, Place, Record
from ccrouter.audit.files import ChainFiles, Head, find_chains, unpack_head
from ccrouter.audit.proof import Proof, prove
from ccrouter.audit.tail import last_lines
from ccrouter.config.load import router_folder
from ccrouter.jsontypes import JsonObject
from ccrouter.server.call import Call

#: Lines at the end of a chain that are looked at for every page, and those in which denials are looked for.
CHECKED = 500
_SEARCHED = 5000
_MOST_DENIALS = 50
_DENIAL = b'"kind":"denial"'
_TOLD = ("time", "request", "session", "path", "asked", "target", "route", "rule", "reason", "result")


def looking_at_audit(call: Call) -> Callable[[], JsonObject]:
    """What tells of the audit log when it is called."""
    folder, port, is_kept = (
        router_folder(call.process.environ) / "audit",
        call.edition.config.port,
        call.process.account.is_kept,
    )
    return lambda: told_audit(folder, port, is_kept=is_kept)


def told_audit(folder: Path, port: int, *, is_kept: bool) -> JsonObject:
    """Where the log is, the state of each chain in it, and the last denials in the chain of the router on `port`."""
    told: JsonObject = {"isKept": is_kept, "folder": str(folder), "chains": [], "denials": [], "fault": None}
    try:
        chains = find_chains(folder) if folder.is_dir() else []
        told["chains"] = [_state(files, is_ours=files.port == port) for files in chains]
        for files in chains:
            if files.port == port:
                told["denials"] = _denials(files)
    except OSError as error:
        told["fault"] = f"{error.filename or folder}: {error.strerror or error}"
    return told


def prove_all(folder: Path) -> list[JsonObject]:
    """The proof of every chain in `folder`, from its first line to its last. Raises OSError."""
    return [_proven(prove(files)) for files in find_chains(folder)] if folder.is_dir() else []


def _state(files: ChainFiles, *, is_ours: bool) -> JsonObject:
    head = _head(files.head)  # before the lines: what it names exists, whatever is appended meanwhile
    lines = last_lines(files.live, CHECKED)
    told: JsonObject = {"name": files.name, "isOurs": is_ours, "checked": len(lines), "last": None, "break": None}
    check, last, seen = ChainCheck(None), None, {}
    try:
        for number, line in enumerate(lines, 1):
            record = check.feed(line, Place(str(files.live), number, 0))
            if record is not None:
                last = record
                seen[record.seq] = record.hash
        check.close()
        _check_head(head, last, seen)
    except Breach as breach:
        told["break"] = {"what": breach.what, "expected": breach.expected, "found": breach.found}
    if last is not None:
        told["last"] = {"seq": last.seq, "time": last.time, "hash": last.hash, "kind": last.kind}
    told["state"] = "broken" if told["break"] else "empty" if last is None else "sound"
    return told


def _head(path: Path) -> Head | None:
    try:
        return unpack_head(path.read_bytes())
    except FileNotFoundError:
        return None


def _check_head(head: Head | None, last: Record | None, seen: dict[int, str]) -> None:
    if last is None:
        return
    if head is None:
        raise Breach("the head file is missing or damaged: nothing tells whether the last lines are all there")
    seq, digest = head.newest
    if seq > last.seq:
        raise Breach("lines were cut off the end", expected=f"line {seq}", found=f"line {last.seq} as the last")
    if seen.get(seq, digest) != digest:
        raise Breach("the head file names another line", expected=digest, found=seen[seq])


def _denials(files: ChainFiles) -> list[JsonObject]:
    found: list[JsonObject] = []
    for line in reversed(last_lines(files.live, _SEARCHED)):
        if _DENIAL not in line:
            continue
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(record, dict) and record.get("kind") == "denial":
            found.append({name: record.get(name) if isinstance(record.get(name), str) else None for name in _TOLD})
        if len(found) >= _MOST_DENIALS:
            break
    return found


def _proven(proof: Proof) -> JsonObject:
    breach = proof.breach
    told: JsonObject = {
        "name": proof.name,
        "isUnbroken": proof.is_unbroken,
        "files": proof.files,
        "lines": proof.lines,
        "repaired": proof.repaired,
        "missed": proof.missed,
        "isShortened": proof.is_shortened,
        "first": None,
        "last": None,
        "break": None,
    }
    if proof.first is not None and proof.last is not None:
        told["first"] = {"seq": proof.first.seq, "time": proof.first.time}
        told["last"] = {"seq": proof.last.seq, "time": proof.last.time, "hash": proof.last.hash}
    if breach is not None:
        place = breach.place
        told["break"] = {
            "file": place.file if place else None,
            "line": place.line if place else None,
            "offset": place.offset if place else None,
            "what": breach.what,
            "expected": breach.expected,
            "found": breach.found,
        }
    return told

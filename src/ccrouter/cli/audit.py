"""`ccr audit`: prove the audit chains unbroken, show their last lines, say where they are. Writes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.terminal import fail, note, say

if TYPE_CHECKING:
    from ccrouter.audit.files import ChainFiles
    from ccrouter.audit.proof import Proof

_HASH = re.compile(r"[0-9a-f]{64}")
_PORT = click.IntRange(1, 65535)


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """The audit log: one line a decision, each sealed with the hash of the one before."""
    if context.invoked_subcommand is None:
        say(context.get_help())


@command.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--port", "-p", type=_PORT, metavar="N", help="Only the chain of the router on this port.")
@click.option("--head", "heads", multiple=True, metavar="HASH", help="Also prove that a line has this hash.")
@click.option("--archived", is_flag=True, help="The beginning or the end of the chain is kept elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def verify(path: Path | None, port: int | None, heads: tuple[str, ...], *, archived: bool, as_json: bool) -> int:
    """Prove every chain unbroken that the folder PATH holds, or the one file PATH.

    Exit code 0 if all are; 1 if one breaks (with the place), if there is none, or if no line has the hash of --head.
    """
    wanted = [_digest(head) for head in heads]
    try:
        proofs = _prove(path or _folder(), port, wanted, is_part=archived)
    except OSError as error:
        fail(f"{error.filename or path or _folder()}: {error.strerror or error}")
        return 1
    absent = [head for head in wanted if not any(head in proof.seen for proof in proofs)]
    is_proven = bool(proofs) and all(proof.is_unbroken for proof in proofs) and not absent
    if as_json:
        say(json.dumps({"ok": is_proven, "chains": [_as_json(proof) for proof in proofs], "absentHeads": absent}))
        return 0 if is_proven else 1
    for proof in proofs:
        _tell(proof, is_part=archived)
    if not proofs:
        fail(f"no audit log in {path or _folder()}: there is nothing to prove")
    for head in absent:
        fail(f"no line has the hash {head}", "lines were removed, or the chain was written anew")
    return 0 if is_proven else 1


@command.command(name="path")
def path_() -> None:
    """Print the folder that `ccr audit` looks in."""
    say(str(_folder()))


@command.command()
@click.option("--port", "-p", type=_PORT, metavar="N", help="Only the chain of the router on this port.")
@click.option("--lines", "-n", "count", type=click.IntRange(1), default=20, show_default=True, help="How many lines.")
def show(port: int | None, count: int) -> int:
    """Print the last lines of the newest file of each chain, as they are: JSON, the oldest first."""
    from ccrouter.audit.tail import last_lines

    chains = _chains(_folder(), port)
    for files in chains:
        for line in last_lines(files.live, count):
            say(line.decode("utf-8", "backslashreplace"))
    if not chains:
        fail(f"no audit log in {_folder()}")
    return 0 if chains else 1


def _folder() -> Path:
    from ccrouter.service.private import router_folder

    return router_folder() / "audit"


def _digest(head: str) -> str:
    if not _HASH.fullmatch(head.strip().lower()):
        raise click.BadParameter(f"{head!r} is no SHA-256: 64 hexadecimal digits", param_hint="--head")
    return head.strip().lower()


def _chains(folder: Path, port: int | None) -> list[ChainFiles]:
    from ccrouter.audit.files import find_chains

    if not folder.is_dir():
        return []
    return [files for files in find_chains(folder) if port is None or files.port == port]


def _prove(path: Path, port: int | None, wanted: list[str], *, is_part: bool) -> list[Proof]:
    from ccrouter.audit.proof import prove, prove_file

    if path.is_file():
        return [prove_file(path, wanted=wanted)]
    return [prove(files, is_part=is_part, wanted=wanted) for files in _chains(path, port)]


def _tell(proof: Proof, *, is_part: bool) -> None:
    if proof.breach is not None:
        breach, place = proof.breach, proof.breach.place
        where = f"{place.file}:{place.line}: " if place else ""
        at = [f"byte {place.offset}"] if place else []
        compared = [f"{word} {text}" for word, text in (("expected", breach.expected), ("found", breach.found)) if text]
        begins_elsewhere = not is_part and proof.lines == 0 and "missing before" in breach.what
        hint = "if these lines are archived elsewhere: --archived" if begins_elsewhere else ""
        fail(f"{where}{breach.what} ({'; '.join([*at, *compared])})", hint)
        return
    if proof.first is None or proof.last is None:
        fail(f"{proof.name}: no line yet: there is nothing to prove")
        return
    plural = "" if proof.lines == 1 else "s"
    words = f"{proof.name}: {proof.lines} line{plural} unbroken, {proof.first.time} to {proof.last.time}"
    say(f"{words}, head {proof.last.hash}")
    if proof.first.seq > 1:
        why = "; older files were removed, which is on record" if proof.is_shortened else ""
        note(f"{proof.name}: begins with line {proof.first.seq}, which follows {proof.first.prev}{why}")
    if proof.repaired:
        note(f"{proof.name}: {proof.repaired} unfinished line(s) of a crash, accounted for")
    if proof.missed:
        note(f"{proof.name}: {proof.missed} record(s) could not be written at the time")


def _as_json(proof: Proof) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": proof.name,
        "ok": proof.is_unbroken,
        "files": proof.files,
        "lines": proof.lines,
        "repaired": proof.repaired,
        "missed": proof.missed,
    }
    if proof.first is not None and proof.last is not None:
        first, last = proof.first, proof.last
        told["first"] = {"seq": first.seq, "time": first.time, "prev": first.prev}
        told["last"] = {"seq": last.seq, "time": last.time, "hash": last.hash}
    breach = proof.breach
    if breach is not None:
        place = breach.place._asdict() if breach.place else {}
        told["break"] = {**place, "what": breach.what, "expected": breach.expected, "found": breach.found}
    return told

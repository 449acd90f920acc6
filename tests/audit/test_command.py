"""`ccr audit`: what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest

from ccrouter.audit.trail import AuditTrail
from tests.cli.conftest import Ccr, ccr

__all__ = ["ccr"]


@pytest.fixture
def folder(ccr: Ccr):
    folder = ccr.folder / "audit"
    for port, count in ((3456, 3), (4000, 1)):
        trail = AuditTrail(folder, port, is_required=True, clock=lambda: 1_793_275_200.0)
        for _ in range(count):
            trail.record("start", {"port": port})
        trail.close()
    return folder


def last_hash(folder, port=3456):
    return json.loads((folder / f"audit-{port}.jsonl").read_bytes().splitlines()[-1])["hash"]


def test_every_chain_is_proven(ccr, folder):
    """One line a chain on stdout, exit code 0."""
    done = ccr.run("audit", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    moment = "2026-10-29T12:00:00.000Z"
    assert done.stdout == (
        f"audit-3456: 3 lines unbroken, {moment} to {moment}, head {last_hash(folder)}\n"
        f"audit-4000: 1 line unbroken, {moment} to {moment}, head {last_hash(folder, 4000)}\n"
    )


def test_a_break_is_located(ccr, folder):
    """File, line, offset and both hashes on stderr; the other chains are proven; exit code 1."""
    live = folder / "audit-3456.jsonl"
    lines = live.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"3456", b"3457")
    live.write_bytes(b"".join(lines))
    done = ccr.run("audit", "verify")
    assert done.returncode == 1
    assert f"error: {live}:2: the line was changed" in done.stderr
    assert f"(byte {len(lines[0])}; expected " in done.stderr
    assert json.loads(lines[1])["hash"] in done.stderr
    assert done.stdout.startswith("audit-4000: 1 line unbroken")
    assert ccr.run("audit", "verify", "--port", "4000").returncode == 0
    told = json.loads(ccr.run("audit", "verify", "--json").stdout)
    assert (told["ok"], [chain["ok"] for chain in told["chains"]]) == (False, [False, True])
    broken = told["chains"][0]["break"]
    assert (broken["file"], broken["line"], broken["offset"]) == (str(live), 2, len(lines[0]))


def test_nothing_to_prove(ccr, folder):
    """No folder, an empty folder, no chain of the port, a chain without lines: said, and exit code 1."""
    assert ccr.run("audit", "verify", "--port", "5000").returncode == 1
    for path in (folder / "empty", folder / "none"):
        if path.name == "empty":
            path.mkdir()
        done = ccr.run("audit", "verify", str(path))
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is nothing to prove" in done.stderr
    AuditTrail(folder / "empty", 3456, is_required=True).close()
    done = ccr.run("audit", "verify", str(folder / "empty"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no line yet" in done.stderr


def test_a_head_noted_elsewhere(ccr, folder):
    """Exit code 0 if a line has the hash, 1 if none has, 2 if it is none."""
    noted = last_hash(folder)
    assert ccr.run("audit", "verify", "--head", noted.upper()).returncode == 0
    for path in folder.glob("audit-3456*"):
        path.unlink()
    done = ccr.run("audit", "verify", "--head", noted)
    assert done.returncode == 1
    assert f"no line has the hash {noted}" in done.stderr
    assert json.loads(ccr.run("audit", "verify", "--head", noted, "--json").stdout)["absentHeads"] == [noted]
    assert ccr.run("audit", "verify", "--head", "abc").returncode == 2


def test_an_archived_beginning(ccr, folder):
    """A chain that begins later is broken unless that is said; then the hash that it follows is told."""
    trail = AuditTrail(folder, 3456, is_required=True, limit=10)
    trail.record("stop", {})
    trail.close()
    archive = folder.parent / "archive"
    archive.mkdir()
    oldest = folder / "audit-3456.000001.jsonl"
    joint = json.loads(oldest.read_bytes().splitlines()[-1])["hash"]
    oldest.rename(archive / oldest.name)
    done = ccr.run("audit", "verify", "--port", "3456")
    assert done.returncode == 1
    assert "lines 1 to 3 are missing" in done.stderr
    assert "--archived" in done.stderr
    done = ccr.run("audit", "verify", "--port", "3456", "--archived")
    assert done.returncode == 0
    assert f"begins with line 4, which follows {joint}" in done.stderr
    assert ccr.run("audit", "verify", str(archive)).returncode == 1
    done = ccr.run("audit", "verify", str(archive), "--archived")
    assert done.returncode == 0
    assert f"head {joint}" in done.stdout
    assert ccr.run("audit", "verify", str(archive / oldest.name)).returncode == 0


def test_a_running_router_is_not_disturbed(ccr, folder):
    """The proof is given while a trail is open, which goes on."""
    trail = AuditTrail(folder, 3456, is_required=True)
    trail.record("start", {})
    assert ccr.run("audit", "verify").returncode == 0
    trail.record("stop", {})
    trail.close()
    assert ccr.run("audit", "verify").stdout.startswith("audit-3456: 5 lines unbroken")


def test_show_and_path(ccr, folder):
    """The last lines as they are, the oldest first; the folder."""
    lines = (folder / "audit-3456.jsonl").read_text().splitlines()
    done = ccr.run("audit", "show", "--port", "3456", "-n", "2")
    assert (done.returncode, done.stdout.splitlines()) == (0, lines[-2:])
    assert len(ccr.run("audit", "show").stdout.splitlines()) == 4
    assert ccr.run("audit", "show", "--port", "5000").returncode == 1
    assert ccr.run("audit", "path").stdout == f"{folder}\n"


def test_nothing_is_made(ccr):
    """Looking for a log makes none."""
    for words in (["verify"], ["show"], ["path"]):
        ccr.run("audit", *words)
    assert not ccr.folder.exists()


def test_bare(ccr):
    """`ccr audit` alone is a question, not a mistake: the help with its commands, exit code 0."""
    done = ccr.run("audit")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: ccr audit" in done.stdout
    assert all(f"  {name} " in done.stdout for name in ("verify", "show", "path"))

"""The writer: carries on across restarts, crashes and rotations; alone on its files; never silent about what is lost."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ccrouter.audit import proof as proof_module
from ccrouter.audit.trail import AuditTrail, AuditUnavailable
from ccrouter.errors import RouterError

LIVE = "audit-3456.jsonl"


@pytest.fixture
def trail(chain):
    trail = chain.trail()
    yield trail
    trail.close()


def test_a_line_is_there_when_the_call_returns(chain, trail):
    """Nothing is held back in memory: line and head are in the files at once."""
    trail.record("start", {"port": 3456})
    assert json.loads(chain.lines()[0])["port"] == 3456
    assert chain.files.head.read_bytes().decode().split()[:2] == ["1".zfill(20), trail.head.hash]
    assert chain.prove().is_unbroken


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_files_are_private(chain, tmp_path):
    """Folder 0700, files 0600, whatever the umask; what was open to others before is so no more."""
    before = os.umask(0)
    try:
        chain.write(1)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (chain.folder, chain.live, chain.files.head)]
        assert modes == [0o700, 0o600, 0o600]
        for path in (chain.folder, chain.live, chain.files.head):
            path.chmod(0o777)
        chain.write(1)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (chain.folder, chain.live, chain.files.head)]
    assert modes == [0o700, 0o600, 0o600]


@pytest.mark.parametrize("kind", ["", "gossip", "Start", "repair", "removal"])
def test_unknown_kinds_are_refused(chain, trail, kind):
    """A kind that does not exist is an error of the program, and so is the trail's own."""
    with pytest.raises(ValueError, match="kind"):
        trail.record(kind, {})
    assert chain.lines() == []


@pytest.mark.parametrize("name", ["seq", "time", "kind", "missed", "prev", "hash"])
def test_members_are_not_facts(trail, name):
    """A fact cannot take the place of a member."""
    with pytest.raises(ValueError, match=name):
        trail.record("start", {name: 1})


def test_a_record_that_is_too_long(chain, trail):
    """It is refused, and the chain goes on."""
    with pytest.raises(ValueError, match="limit"):
        trail.record("decision", {"targets": ["x" * 200] * 400})
    trail.record("stop", {})
    assert chain.prove().lines == 1


def test_a_restart_carries_on(chain):
    """The next trail's first line follows the last one of the one before."""
    chain.write(2)
    chain.write(3)
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.repaired) == (True, 5, 0)
    assert chain.told == []


def test_a_head_that_lags_is_brought_up(chain):
    """After a crash between line and head the chain goes on from the line, without a repair."""
    chain.write(2)
    head = chain.files.head.read_bytes()
    chain.write(1)
    chain.files.head.write_bytes(head)
    chain.write(1)
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.repaired, chain.told) == (True, 4, 0, [])


def test_every_torn_line_is_accounted_for(chain):
    """A crash in the midst of a line, at whatever byte: its bytes stay, a repair says what they are, the proof holds."""
    chain.write(2)
    before = chain.live.read_bytes()
    head = chain.files.head.read_bytes()
    chain.write(1)
    whole = chain.live.read_bytes()
    for length in range(len(before) + 1, len(whole)):
        chain.live.write_bytes(whole[:length])
        chain.files.head.write_bytes(head)
        chain.write(1)
        proof = chain.prove()
        assert proof.is_unbroken, (length, proof.breach)
        assert chain.live.read_bytes().startswith(whole[:length] + b"\n")
        is_torn = length < len(whole) - 1  # else only the newline is missing, and is added
        assert (proof.lines, proof.repaired) == (4, is_torn)
        if is_torn:
            assert json.loads(chain.lines()[3])["torn_bytes"] == length - len(before)


def test_the_first_line_of_all_torn(chain):
    """A chain whose very first line was not finished has a repair as line 1."""
    chain.write(0)
    chain.live.write_bytes(b'{"seq":1,"ti')
    chain.write(1)
    assert chain.prove().lines == 2


def test_flipped_bytes_of_a_torn_line_and_its_repair_are_found(chain, no_pause):
    """What a crash left behind is as protected as all else, from the moment it is on record."""
    chain.write(1)
    with chain.live.open("ab") as file:
        file.write(b'{"seq":2,"time"')
    chain.write(1)
    whole = chain.live.read_bytes()
    torn = len(chain.lines()[0])
    for offset in range(torn, len(whole)):
        chain.live.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        name, line = chain.broken_at()
        found = whole[:offset].count(b"\n") + 1
        # of a torn line and its repair that do not fit each other, the torn one is named
        assert (name, line) in {(LIVE, found), (LIVE, 2)}, offset


def test_a_cut_is_not_healed_by_a_restart(chain):
    """Lines that were cut off leave a gap in the numbers, however often the router starts afterwards."""
    chain.write(5)
    for kept in (b"".join(chain.lines()[:3]), b"".join(chain.lines()[:3]) + chain.lines()[3][:20], b""):
        chain.live.write_bytes(kept)
        chain.write(1)
        chain.write(1)
        torn = not kept.endswith(b"\n") and kept != b""  # accounted for; the gap is behind it
        assert chain.broken_at() == (LIVE, kept.count(b"\n") + 1 + torn)
    assert "gone" in chain.told[0]


@pytest.mark.parametrize("head", [None, b"", b"nonsense", b"\x00" * 93])
def test_a_lost_head_is_not_healed_by_a_restart(chain, head):
    """Without the head a cut cannot be seen: the next start says so in the chain, and the proof fails there."""
    chain.write(3)
    chain.live.write_bytes(b"".join(chain.lines()[:2]))
    chain.files.head.unlink()
    if head is not None:
        chain.files.head.write_bytes(head)
    chain.write(1)
    assert chain.broken_at() == (LIVE, 3)
    assert "head" in chain.prove().breach.what


def test_a_damaged_last_line_is_not_healed_by_a_restart(chain):
    """The chain goes on behind it, and the proof names it."""
    chain.write(3)
    lines = chain.lines()
    chain.live.write_bytes(b"".join(lines[:2]) + lines[2].replace(b"sonnet", b"haiku!"))
    chain.write(2)
    assert chain.broken_at() == (LIVE, 3)
    assert "no record" in chain.told[0]


def test_a_swapped_last_line_is_not_healed_by_a_restart(chain, tmp_path):
    """A sound last line that is not the one that was written breaks the chain at the next."""
    chain.write(2)
    kept = b"".join(chain.lines())
    head = chain.files.head.read_bytes()
    chain.write(1)
    other = chain.lines()[2]
    chain.live.write_bytes(kept)
    chain.files.head.write_bytes(head)
    chain.write(1)
    chain.live.write_bytes(kept + other)
    chain.write(1)
    assert chain.broken_at() == (LIVE, 4)


# -- rotation ----------------------------------------------------------------------------------------------------------


NOBODYS = {"request": "req_1", "asked": "sonnet", "policy": ""}


def write_many(chain, count, facts=NOBODYS, **more):
    """`count` lines that no policy asked for, by a trail that is not required, in many small files."""
    trail = chain.trail(is_required=False, limit=1000, **more)
    for _ in range(count):
        trail.record("decision", facts)
    trail.close()


def removals(chain):
    return [record for file in (*chain.files.rotated(), chain.live) for record in removals_in(file)]


def removals_in(file):
    records = map(json.loads, file.read_bytes().splitlines())
    return [record for record in records if record["kind"] == "removal"]


def test_old_files_that_no_policy_asks_for_go(chain):
    """Without a policy the newest three full files stay. What goes is on record first, and the proof takes that for the
    chain's beginning, across restarts; what was put away by hand is no such thing.
    """
    for _ in range(4):
        write_many(chain, 20)
        rotated = chain.files.rotated()
        proof = chain.prove()
        assert len(rotated) == 3
        assert (proof.breach, proof.is_shortened, chain.told) == (None, True, [])
    assert chain.files.newest_number() > 6
    newest = removals(chain)[-1]
    assert newest["removed_to"] + 1 == proof.first.seq
    assert newest["removed_hash"] == proof.first.prev
    rotated[0].unlink()
    breach = chain.prove().breach
    assert breach is not None
    assert breach.what.endswith("missing before this one")
    assert chain.broken_at() == (rotated[1].name, 1)


def test_a_second_removal_that_fails_leaves_the_chain_whole(chain, monkeypatch):
    """Of several files that may go each is on record by itself: one that stays behind is no gap."""
    unlink, allowed = Path.unlink, [0]

    def refuse(path, **more):
        if path.suffix == ".jsonl":
            if not allowed[0]:
                raise PermissionError(13, "Permission denied")
            allowed[0] -= 1
        unlink(path, **more)

    monkeypatch.setattr(Path, "unlink", refuse)
    write_many(chain, 20)
    assert len(chain.files.rotated()) > 5
    allowed[0] = 1
    write_many(chain, 4)
    assert allowed == [0]
    assert chain.prove().breach is None
    assert chain.prove().is_shortened


def test_a_removal_that_was_cut_short_does_no_harm(chain, monkeypatch):
    """Killed between the record and the removal, or kept from it: the chain holds, and the files go the next time."""

    def refuse(path, **_more):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        write_many(chain, 14)
    assert len(chain.files.rotated()) > 3
    assert removals(chain)
    assert chain.prove().breach is None
    assert not chain.prove().is_shortened
    assert [text.partition(" cannot be removed")[1] != "" for text in chain.told] == [True]
    write_many(chain, 6)
    assert len(chain.files.rotated()) == 3
    assert chain.prove().breach is None


def test_what_a_policy_was_in_force_for_stays(chain):
    """No file goes that a required trail wrote, or that has a line made under a policy; nor any file behind it."""
    chain.write(20, limit=1000)
    kept = chain.files.rotated()
    write_many(chain, 20)
    assert set(kept) <= set(chain.files.rotated())
    assert removals(chain) == []
    assert chain.prove().is_unbroken


def test_a_trail_that_becomes_required_removes_nothing(chain):
    """From that moment on every file stays."""
    trail = chain.trail(is_required=False, limit=1000)
    trail.require()
    for _ in range(20):
        trail.record("decision", NOBODYS)
    trail.close()
    assert len(chain.files.rotated()) > 3
    assert (chain.prove().is_unbroken, removals(chain)) == (True, [])


def test_nothing_is_removed_where_nothing_can_follow(chain):
    """Where the first line that would remain is no record, no record can say what it follows: the files stay."""
    trail = chain.trail(is_required=False, limit=1000)
    while len(chain.files.rotated()) < 3:
        trail.record("decision", NOBODYS)
    second = chain.files.rotated()[1]
    second.write_bytes(b"x" + second.read_bytes())
    while len(chain.files.rotated()) < 4:
        assert chain.files.newest_number() < 4
        trail.record("decision", NOBODYS)
    trail.close()
    assert removals_in(chain.live) == []


def test_a_proof_during_a_removal(chain, monkeypatch):
    """A file that goes while the chain is read is no break: it is read again."""
    write_many(chain, 12)
    opened = proof_module._in_order
    rounds = []

    def meanwhile(files):
        if not rounds:
            rounds.append(files.rotated()[0])
            found = opened(files)
            yield next(found)
            found.close()
            write_many(chain, 8)
        yield from opened(files)

    monkeypatch.setattr(proof_module, "_in_order", meanwhile)
    assert chain.prove().breach is None
    assert not rounds[0].exists()


def test_rotation_carries_the_chain_on(chain):
    """Full files are put away under rising numbers, none is longer than the limit, the chain runs through all."""
    chain.write(20, limit=1000)
    rotated = chain.files.rotated()
    assert [path.name for path in rotated[:2]] == ["audit-3456.000001.jsonl", "audit-3456.000002.jsonl"]
    assert all(path.stat().st_size <= 1000 for path in (*rotated, chain.live))
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.files) == (True, 20, len(rotated) + 1)
    if os.name == "posix":
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in rotated)


def test_rotation_and_restarts(chain):
    """A start with another limit, right behind a rotation, and with nothing in the live file yet: all carry on."""
    for _ in range(6):
        chain.write(3, limit=700)
    chain.live.rename(chain.files.numbered(chain.files.newest_number() + 1))  # a crash between two steps
    chain.write(2, limit=10_000)
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, chain.told) == (True, 20, [])


def test_a_torn_first_line_behind_a_rotation(chain):
    """A crash in the first line of a new file: the repair follows the last line of the full one."""
    chain.write(2)
    chain.live.rename(chain.files.numbered(1))
    chain.live.write_bytes(b'{"se')
    chain.write(1)
    proof = chain.prove()
    assert (proof.is_unbroken, proof.repaired, chain.told) == (True, 1, [])


def test_a_missing_file_is_found(chain):
    """A full file that is gone is found at the first line behind it; the oldest may be archived if that is said."""
    chain.write(20, limit=1000)
    first, second = chain.files.rotated()[:2]
    lines = len(first.read_bytes().splitlines())
    kept = second.read_bytes()
    second.unlink()
    assert chain.broken_at() == ("audit-3456.000003.jsonl", 1)
    second.write_bytes(kept)
    first.unlink()
    assert chain.broken_at() == ("audit-3456.000002.jsonl", 1)
    proof = chain.prove(is_part=True)
    assert (proof.is_unbroken, proof.first.seq) == (True, lines + 1)


def test_a_file_that_cannot_be_put_away(chain, monkeypatch):
    """Append-only, or read by somebody on Windows: no line is lost, the file grows on and is put away later."""
    trail = chain.trail(limit=1000)

    def refuse(self, target):
        raise PermissionError(errno.EPERM, "append only")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.rename", refuse)
        for _ in range(6):
            trail.record("decision", {})
    assert chain.files.rotated() == []
    for _ in range(6):
        trail.record("decision", {})
    trail.close()
    assert len(chain.files.rotated()) == 1
    assert (chain.prove().lines, chain.prove().is_unbroken) == (12, True)


def test_numbers_are_not_used_twice(chain):
    """Where all full files were moved away, the next one does not get the name of one in the archive."""
    chain.write(20, limit=1000)
    newest = chain.files.newest_number()
    for path in chain.files.rotated():
        path.unlink()
    chain.write(4, limit=1000)
    assert chain.files.rotated()[0] == chain.files.numbered(newest + 1)
    assert chain.prove(is_part=True).is_unbroken


def test_the_last_policy_is_known_at_the_start(chain):
    """None before any; then that of the newest line which states one, across restarts, other lines and a rotation."""
    with_none = chain.trail()
    assert with_none.last_policy_digest is None
    with_none.record("start", {"policy": "aaa"})
    with_none.record("stop", {})
    assert with_none.last_policy_digest == "aaa"
    with_none.close()
    again = chain.trail()
    assert again.last_policy_digest == "aaa"
    again.record("policy", {"policy": ""})
    again.record("stop", {"reason": 'they said "policy":"bbb"'})
    again.close()
    chain.live.rename(chain.files.numbered(1))
    third = chain.trail()
    assert third.last_policy_digest == ""
    third.close()


def test_a_long_tail_is_read(chain):
    """Restarts find the last line and the last policy also behind more than one block of bytes."""
    trail = chain.trail()
    trail.record("start", {"policy": "aaa"})
    for _ in range(40):
        trail.record("outcome", {"targets": ["x" * 200] * 20})
    trail.record("outcome", {"targets": ["x" * 200] * 300})
    trail.close()
    again = chain.trail()
    assert again.last_policy_digest == "aaa"
    again.record("stop", {})
    again.close()
    assert chain.prove().lines == 43


# -- alone on its files ------------------------------------------------------------------------------------------------


def test_two_writers_are_one_too_many(chain, trail):
    """While one trail lives no other gets the chain: an error if it is required, said once if not."""
    with pytest.raises(AuditUnavailable, match="another process") as caught:
        chain.trail()
    assert isinstance(caught.value, RouterError)
    second = chain.trail(is_required=False)
    second.record("start", {})
    second.record("stop", {})
    assert len(chain.told) == 1
    assert "another process" in chain.told[0]
    trail.record("start", {})
    second.close()
    assert (chain.prove().lines, chain.prove().is_unbroken) == (1, True)


def test_the_lock_holds_between_processes(chain, trail):
    """Another process is refused as well, and after the close it is not."""
    code = (
        "import sys; from pathlib import Path; from ccrouter.audit.trail import *\n"
        "try: AuditTrail(Path(sys.argv[1]), 3456, is_required=True).close()\n"
        "except AuditUnavailable: sys.exit(9)"
    )
    command = [sys.executable, "-c", code, str(chain.folder)]
    assert subprocess.run(command, check=False).returncode == 9
    trail.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_other_ports_have_other_chains(chain, trail):
    """Routers on two ports do not disturb each other."""
    other = AuditTrail(chain.folder, 4000, is_required=True)
    other.record("start", {})
    other.close()
    assert sorted(path.name for path in chain.folder.glob("*.jsonl")) == [LIVE, "audit-4000.jsonl"]


def test_who_waited_gets_the_chain(chain, trail):
    """A trail that is not required takes over once the chain is free, and says how many records it missed."""
    second = chain.trail(is_required=False)
    second.record("start", {})
    trail.close()
    second.record("reload", {})
    second.close()
    assert json.loads(chain.lines()[-1])["missed"] == 1
    assert chain.prove().missed == 1


def test_after_the_close_nothing_is_recorded(chain):
    """A required trail raises, another counts; neither opens the file again; a second close does nothing."""
    for is_required in (True, False):
        trail = chain.trail(is_required=is_required)
        trail.close()
        trail.close()
        if is_required:
            with pytest.raises(AuditUnavailable, match="closed"):
                trail.record("stop", {})
        else:
            trail.record("stop", {})
    assert chain.live.read_bytes() == b""


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_files_that_vanish_are_noticed(chain, trail):
    """The file removed under an open trail: a new one begins with the gap on record; nothing goes to the old one."""
    trail.record("start", {})
    chain.live.unlink()
    trail.record("stop", {})
    assert [json.loads(line)["kind"] for line in chain.lines()] == ["repair", "stop"]
    assert chain.broken_at() == (LIVE, 1)
    assert "gone" in chain.told[0]


def test_a_folder_that_vanishes_is_noticed(chain, trail, tmp_path):
    """The whole folder moved away: a new one is made, and it shows that it is not the beginning."""
    trail.record("start", {})
    chain.folder.rename(tmp_path / "elsewhere")
    trail.record("stop", {})
    assert chain.broken_at() == (LIVE, 1)
    assert json.loads(chain.lines()[-1])["seq"] == 3


def test_a_file_cut_while_open_is_noticed(chain, trail):
    """Lines cut off under an open trail are missing for good."""
    for _ in range(3):
        trail.record("decision", {})
    chain.live.write_bytes(b"".join(chain.lines()[:1]))
    trail.record("decision", {})
    assert chain.broken_at() == (LIVE, 2)


def test_a_file_replaced_while_open_is_noticed(chain, trail, tmp_path):
    """Another file of the same length in its place is seen; the trail goes on in it, the proof fails."""
    trail.record("decision", {"asked": "sonnet"})
    trail.record("decision", {"asked": "sonnet"})
    forged = tmp_path / "forged"
    forged.write_bytes(chain.live.read_bytes().replace(b"sonnet", b"haiku!"))
    forged.replace(chain.live)
    trail.record("decision", {})
    assert chain.broken_at() == (LIVE, 1)
    assert json.loads(chain.lines()[-1])["seq"] == 4


def test_foreign_bytes_while_open_are_noticed(chain, trail):
    """What others append is no part of the chain: a part of a line becomes a torn one, on record."""
    trail.record("decision", {})
    with chain.live.open("ab") as file:
        file.write(b"graffiti")
    trail.record("decision", {})
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.repaired) == (True, 3, 1)


@pytest.mark.parametrize("removed", ["unlink", "replace"])
def test_a_head_that_vanishes_while_open_is_noticed(chain, trail, tmp_path, removed):
    """The trail knows itself what was last: the head is written anew and the chain stays whole."""
    trail.record("decision", {})
    if removed == "unlink":
        chain.files.head.unlink()
    else:
        (tmp_path / "h").write_bytes(chain.files.head.read_bytes())
        (tmp_path / "h").replace(chain.files.head)
    trail.record("decision", {})
    assert (chain.prove().is_unbroken, chain.prove().lines) == (True, 2)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed on this system")
def test_a_link_is_not_followed(chain, tmp_path):
    """A link in the place of the file leads nowhere: the record does not land in another file."""
    (tmp_path / "target").write_bytes(b"")
    chain.folder.mkdir()
    chain.live.symlink_to(tmp_path / "target")
    with pytest.raises(AuditUnavailable):
        chain.trail()
    assert (tmp_path / "target").read_bytes() == b""


def test_a_folder_that_cannot_be_made(chain):
    """A file where the folder should be: an error if the trail is required, and if not, said once on stderr."""
    chain.folder.write_text("")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        chain.trail()
    trail = chain.trail(is_required=False)
    trail.record("start", {})
    trail.close()
    assert len(chain.told) == 1
    assert trail.head is None
    assert trail.last_policy_digest is None


def test_a_trail_that_becomes_required(chain):
    """From then on what cannot be recorded is an error; before it was said only."""
    trail = chain.trail(is_required=False)
    trail.record("start", {})
    trail.require()
    trail.record("stop", {})
    shutil.rmtree(chain.folder)
    chain.folder.write_text("")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        trail.record("start", {})
    trail.close()
    with pytest.raises(AuditUnavailable):
        trail.require()


def test_a_trail_that_cannot_become_required(chain):
    """One that is not being written stays one that may be missed."""
    chain.folder.write_text("")
    trail = chain.trail(is_required=False)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        trail.require()
    trail.record("start", {})
    trail.close()


def test_what_cannot_be_recorded_is_said_on_stderr(chain, capsys):
    """Without another place to say it, stderr gets one line, with the file and the reason."""
    chain.folder.write_text("")
    AuditTrail(chain.folder, 3456, is_required=False).close()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert str(chain.live) in said[0]


def test_a_full_disk(chain):
    """A line that does not fit leaves no part of it behind; a required trail raises each time, and goes on once there is
    room, unbroken. The limit on file sizes stands for the disk: the system cuts the write short in the same way.
    """
    code = """
import resource, signal, sys
from pathlib import Path
from ccrouter.audit import proof as proof_module
from ccrouter.audit.trail import AuditTrail, AuditUnavailable
now = [0.0]
trail = AuditTrail(Path(sys.argv[1]), 3456, is_required=True, clock=lambda: now[0])
trail.record("start", {})
size = trail._files.live.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
failed = 0
for _ in range(3):
    now[0] += 5
    try: trail.record("decision", {"asked": "sonnet"})
    except AuditUnavailable: failed += 1
    assert trail._files.live.stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
now[0] += 0.5
try: trail.record("decision", {})
except AuditUnavailable: failed += 1
now[0] += 0.6
trail.record("stop", {})
trail.close()
print(failed)
"""
    done = subprocess.run([sys.executable, "-c", code, str(chain.folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.repaired) == (True, 2, 0)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("is_required", [True, False])
def test_a_write_that_fails(chain, monkeypatch, is_required):
    """Cut short, and the rest cannot be taken back: the part is put on record as a torn line by the next record."""
    trail = chain.trail(is_required=is_required)
    trail.record("start", {})
    write, truncate = os.write, os.ftruncate
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:30]))

    def refuse(fd, size):
        raise OSError(errno.EPERM, "append only")

    monkeypatch.setattr(os, "ftruncate", refuse)
    if is_required:
        with pytest.raises(AuditUnavailable, match="append only"):
            trail.record("decision", {})
    else:
        trail.record("decision", {})
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "ftruncate", truncate)
    trail.record("stop", {})
    trail.close()
    proof = chain.prove()
    assert (proof.is_unbroken, proof.lines, proof.repaired) == (True, 3, 1), proof.breach
    assert proof.missed == (0 if is_required else 1)


def test_a_device_that_is_full(chain, monkeypatch):
    """An error of the system on the write itself is told in its words."""
    trail = chain.trail()

    def full(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AuditUnavailable, match="No space left on device"):
        trail.record("start", {})
    assert "/" not in str(AuditUnavailable("x"))
    monkeypatch.undo()
    trail.close()


def test_a_clock_set_back_does_not_stop_the_trail(chain):
    """After an outage the trail tries again, also when the clock was set back by hours meanwhile."""
    trail = chain.trail(is_required=False)
    holder = chain.folder / "x"
    trail.record("start", {})
    chain.clock.stands = True
    chain.folder.rename(chain.folder.with_name("away"))
    chain.folder.write_text("")
    trail.record("decision", {})
    chain.folder.unlink()
    trail.record("decision", {})
    assert not chain.folder.exists()
    chain.clock.now -= 7200
    trail.record("stop", {})
    trail.close()
    assert json.loads(chain.lines()[-1])["missed"] == 2
    assert not holder.exists()


def test_readers_see_a_whole_chain_at_any_time(chain):
    """While one thread writes and rotates, every proof taken meanwhile holds."""
    trail = chain.trail(limit=20_000)
    trail.record("start", {})
    is_over = threading.Event()
    proofs = []

    def read():
        while not is_over.is_set():
            proofs.append(chain.prove())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(3000):
        trail.record("decision", {"request": f"req_{number}", "asked": "sonnet" * 20})
    is_over.set()
    reader.join()
    trail.close()
    proofs.append(chain.prove())
    assert [proof.breach for proof in proofs if not proof.is_unbroken] == []
    assert proofs[-1].lines == 3001
    assert len(proofs) > 3


def test_a_line_on_its_way_is_waited_for(chain, monkeypatch):
    """A line of which only a part is on the disk yet is no break, if the rest comes."""
    chain.write(2)
    whole = chain.live.read_bytes()
    chain.live.write_bytes(whole[:-50])
    monkeypatch.setattr("ccrouter.audit.proof.time.sleep", lambda _: chain.live.write_bytes(whole))
    assert chain.prove().lines == 2


def test_a_line_that_was_taken_back_is_no_break(chain, monkeypatch):
    """A part of a line that did not fit on the disk, taken back by the writer, is no break."""
    chain.write(2)
    whole = chain.live.read_bytes()
    chain.live.write_bytes(whole + b'{"seq":3')
    monkeypatch.setattr("ccrouter.audit.proof.time.sleep", lambda _: chain.live.write_bytes(whole))
    assert chain.prove().lines == 2


def test_an_unfinished_line_is_waited_for_in_vain(chain, no_pause):
    """A line that nobody finishes is a break, until the next start puts it on record."""
    chain.write(2)
    with chain.live.open("ab") as file:
        file.write(b'{"seq":3')
    assert chain.broken_at() == (LIVE, 3)
    assert no_pause
    chain.write(1)
    assert chain.prove().is_unbroken

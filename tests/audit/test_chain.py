"""A chain that was touched is found, and where: every byte, every line, every cut."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from ccrouter.audit.chain import GENESIS, LINE_LIMIT, Breach, ChainCheck, Place, encode, read
from ccrouter.audit.files import HEAD_SIZE

LIVE = "audit-3456.jsonl"
HEAD = "audit-3456.head"


def test_the_form_of_a_line(chain):
    """A line is one JSON object: seq, time, kind, the facts, prev, hash last; the first follows 64 zeros."""
    chain.write(2)
    first, second = map(json.loads, chain.lines())
    assert list(first) == ["seq", "time", "kind", "request", "asked", "policy", "prev", "hash"]
    assert (first["seq"], first["kind"], first["prev"]) == (1, "decision", "0" * 64)
    assert first["time"] == "2026-10-29T12:00:01.123Z"
    assert (second["seq"], second["prev"]) == (2, first["hash"])


def test_the_hash_is_that_of_the_bytes_before_it(chain):
    """A reader with a knife and SHA-256 gets the same hash, and so do sed and sha256sum."""
    chain.write(1)
    line = chain.lines()[0]
    covered, _, rest = line.partition(b',"hash":"')
    assert rest == hashlib.sha256(covered).hexdigest().encode() + b'"}\n'
    command = f"""sed -n 1p '{chain.live}' | sed 's/,"hash":"[0-9a-f]*"}}$//' | tr -d '\\n' | sha256sum"""
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert done.stdout.split()[0] == json.loads(line)["hash"].encode()


def test_an_unbroken_chain_is_proven(chain):
    """Its lines are counted, its ends named."""
    chain.write(5)
    proof = chain.prove()
    assert proof.is_unbroken
    assert (proof.files, proof.lines, proof.missed, proof.repaired) == (1, 5, 0, 0)
    assert (proof.first.seq, proof.last.seq) == (1, 5)
    assert proof.last.hash == json.loads(chain.lines()[-1])["hash"]


def test_every_flipped_byte_is_found_on_its_line(chain, no_pause):
    """One bit of any byte of the chain, the newlines and the last line too: the proof fails on that line."""
    chain.write(4)
    whole = chain.live.read_bytes()
    line, start = 1, 0
    for offset, byte in enumerate(whole):
        for bit in (0x01, 0x20, 0x80):
            chain.live.write_bytes(whole[:offset] + bytes([byte ^ bit]) + whole[offset + 1 :])
            breach = chain.prove().breach
            assert breach is not None, (offset, bit)
            assert breach.place == (str(chain.live), line, start), (offset, bit, breach.what)
        if byte == 0x0A:
            line, start = line + 1, offset + 1
    chain.live.write_bytes(whole)
    assert chain.prove().is_unbroken


def test_every_flipped_byte_of_the_head_is_found(chain):
    """The head names a line that is not there, or is no head; of the count of files, only its form is checked."""
    chain.write(3)
    head = chain.files.head.read_bytes()
    assert len(head) == HEAD_SIZE
    for offset, byte in enumerate(head):
        if offset in range(86, 92):
            continue
        chain.files.head.write_bytes(head[:offset] + bytes([byte ^ 1]) + head[offset + 1 :])
        assert not chain.prove().is_unbroken, offset


@pytest.mark.parametrize("number", range(5))
def test_every_removed_line_is_found(chain, number):
    """The proof fails where the line is missing; of the last one, the head tells."""
    chain.write(5)
    lines = chain.lines()
    chain.live.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    assert chain.broken_at() == (LIVE, number + 1)


@pytest.mark.parametrize("number", range(5))
def test_every_repeated_line_is_found(chain, number):
    """A line that stands twice is found at its second place, also at the end."""
    chain.write(5)
    lines = chain.lines()
    chain.live.write_bytes(b"".join([*lines[: number + 1], lines[number], *lines[number + 1 :]]))
    assert chain.broken_at() == (LIVE, number + 2)


@pytest.mark.parametrize("number", range(4))
def test_every_swap_is_found(chain, number):
    """Two neighbours that changed places are found at the first of them."""
    chain.write(5)
    lines = chain.lines()
    lines[number], lines[number + 1] = lines[number + 1], lines[number]
    chain.live.write_bytes(b"".join(lines))
    assert chain.broken_at() == (LIVE, number + 1)


def test_every_cut_is_found(chain, no_pause):
    """The file cut short at any byte: the head names a line that is not there, or the last one is not finished."""
    chain.write(3)
    whole = chain.live.read_bytes()
    for length in range(len(whole)):
        chain.live.write_bytes(whole[:length])
        assert chain.broken_at() == (LIVE, whole[:length].count(b"\n") + 1), length


def test_a_rewritten_line_is_found(chain):
    """A line with another time and a new, fitting hash breaks the chain at the line behind it; as the last, the head."""
    chain.write(3)
    lines = chain.lines()
    forged = json.loads(lines[1])
    facts = {name: forged[name] for name in ("request", "asked", "policy")}
    lines[1] = encode(read(lines[0][:-1]).link, "2020-01-01T00:00:00.000Z", "decision", facts)[0]
    chain.live.write_bytes(b"".join(lines))
    assert chain.broken_at() == (LIVE, 3)
    chain.live.write_bytes(b"".join(lines[:2]))
    chain.files.head.write_bytes(chain.files.head.read_bytes().replace(b"3 ", b"2 ", 1))
    assert chain.broken_at() == (HEAD, 1)


@pytest.mark.parametrize("noise", [b"\n", b"{}\n", b'{"seq":6}\n', b"\x00" * 100 + b"\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("number", [0, 2, 5])
def test_foreign_lines_are_found(chain, noise, number):
    """Whatever is put between, before or behind the lines is found on its line."""
    chain.write(5)
    lines = chain.lines()
    chain.live.write_bytes(b"".join([*lines[:number], noise, *lines[number:]]))
    assert chain.broken_at() == (LIVE, number + 1)


def test_an_endless_line_is_found(chain):
    """A line longer than any record is found without being held in memory, and nobody waits for its end."""
    chain.write(1)
    with chain.live.open("ab") as file:
        file.write(b"x" * (3 * LINE_LIMIT))
    assert chain.broken_at() == (LIVE, 2)


def test_a_missing_head_is_a_break(chain):
    """Without the head nothing tells whether the end is whole."""
    chain.write(2)
    chain.files.head.unlink()
    assert chain.broken_at() == (HEAD, 1)
    assert chain.prove(is_part=True).is_unbroken


def test_a_head_that_lags_is_fine(chain):
    """A crash may come between a line and its head: the head names a line that exists."""
    chain.write(2)
    head = chain.files.head.read_bytes()
    chain.write(3)
    chain.files.head.write_bytes(head)
    assert chain.prove().is_unbroken


def test_nothing_is_no_proof(chain):
    """A chain without a line is not broken, and not proven."""
    chain.write(0)
    proof = chain.prove()
    assert (proof.breach, proof.is_unbroken) == (None, False)


def test_a_repair_without_a_torn_line_is_a_break(chain):
    """A repair explains the line before it; a sound one needs no explanation. What it says is passed on."""
    check = ChainCheck()
    line, link = encode(GENESIS, "t", "start", {})
    assert check.feed(line[:-1], Place("f", 1, 0)).link == link
    line, _ = encode(link, "t", "repair", {"reason": "lines 2 to 9 had been written and are gone"})
    with pytest.raises(Breach, match="lines 2 to 9") as caught:
        check.feed(line[:-1], Place("f", 2, 9))
    assert caught.value.place == ("f", 2, 9)


def test_an_unknown_kind_is_a_break(chain):
    """A sealed line of a kind that does not exist was not written by this program."""
    line, _ = encode(GENESIS, "t", "rumour", {})
    with pytest.raises(Breach, match="kind"):
        ChainCheck().feed(line[:-1], Place("f", 1, 0))


def test_a_sealed_line_that_is_no_record(chain):
    """A fitting hash over something else than a record is still a break."""
    covered = b'{"seq":"one"'
    sealed = covered + b',"hash":"' + hashlib.sha256(covered).hexdigest().encode() + b'"}'
    with pytest.raises(Breach, match="no record"):
        read(sealed)


def test_wanted_hashes_are_seen(chain):
    """A hash that was noted elsewhere is found wherever it stands; one that never was is not."""
    chain.write(4)
    noted = json.loads(chain.lines()[1])["hash"]
    assert chain.prove(wanted=[noted, "f" * 64]).seen == {noted}


def test_the_project_keeps_its_own_form():
    """The form of a line does not change unnoticed: chains of older versions must stay provable."""
    line, link = encode(GENESIS, "2026-11-22T00:00:00.000Z", "start", {"version": "1", "port": 3456}, missed=2)
    assert line == (
        b'{"seq":1,"time":"2026-11-22T00:00:00.000Z","kind":"start","missed":2,"version":"1","port":3456,"prev":"'
        + b"0" * 64
        + b'","hash":"'
        + link.hash.encode()
        + b'"}\n'
    )

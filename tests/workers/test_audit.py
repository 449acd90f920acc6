"""One audit trail for several processes, over real pairs of sockets."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from ccrouter.audit.files import ChainFiles
from ccrouter.audit.proof import prove
from ccrouter.audit.trail import AuditTrail, AuditUnavailable
from ccrouter.secret import Secret
from ccrouter.server.workers.audit import AuditDesk, DistantTrail

PORT = 3456
DECISION = {"request": "r", "target": "p,m"}


@pytest.fixture
def connect():
    """Trails of workers, at a desk."""
    open_ones: list[socket.socket] = []

    def make(desk: AuditDesk, *, is_required: bool = True) -> DistantTrail:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        desk.attend(near)
        open_ones.append(far)
        return DistantTrail(far, is_required=is_required, silent=pytest.fail)

    yield make
    for one in open_ones:
        one.close()


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_one_chain(tmp_path, connect):
    """Lines of several workers at once, and of the desk, make one unbroken chain; each is in the file when it is said to
    be. What is of the service is not a worker's to record."""
    trail = AuditTrail(tmp_path, PORT, is_required=True)
    desk = AuditDesk(trail, (), pytest.fail)
    desk.record("start", {"port": PORT})

    def work(distant: DistantTrail, number: int) -> None:
        for count in range(50):
            distant.record("decision", {"request": f"r-{number}-{count}"})
            assert any(f'"r-{number}-{count}"' in line for line in lines(tmp_path))

    threads = [threading.Thread(target=work, args=(connect(desk), number)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connect(desk).record("start", {"port": PORT})
    trail.close()
    assert len(lines(tmp_path)) == 151
    assert sum('"start"' in line for line in lines(tmp_path)) == 1
    proof = prove(ChainFiles(tmp_path, PORT))
    assert (proof.breach, proof.lines) == (None, 151)


def test_what_cannot_be_recorded(tmp_path, connect):
    """AuditUnavailable comes back as such where the trail is required, errors of the caller as what they are."""
    trail = AuditTrail(tmp_path, PORT, is_required=True)
    distant = connect(AuditDesk(trail, (), pytest.fail))
    with pytest.raises(ValueError, match="no audit record of kind"):
        distant.record("nonsense", DECISION)
    with pytest.raises(ValueError, match="cannot be named"):
        distant.record("decision", {"seq": 1})
    with pytest.raises(TypeError):
        distant.record("decision", {"key": Secret("k-0123456789")})
    trail.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        distant.record("decision", DECISION)
    with pytest.raises(AuditUnavailable):
        distant.require()


def test_secrets_add_up(tmp_path, connect):
    """What any worker says is secret is removed from the lines of all, and so is what was secret before."""
    trail = AuditTrail(tmp_path, PORT, is_required=True, secrets=[Secret("first-0123456789")])
    desk = AuditDesk(trail, [Secret("first-0123456789")], pytest.fail)
    one, two = connect(desk), connect(desk)
    one.protect([Secret("second-0123456789")])
    two.protect([Secret("third-0123456789")])
    two.record("decision", {"reason": "first-0123456789 second-0123456789 third-0123456789"})
    trail.close()
    assert "0123456789" not in lines(tmp_path)[-1]


def test_nobody_is_there(tmp_path):
    """Without the supervising process: an error where the trail is required, or is to be from now on; else nothing, as
    the process is about to end. None of them waits for long."""
    for is_required in (True, False):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with far:
            distant = DistantTrail(far, is_required=is_required, silent=pytest.fail)
            near.close()
            if is_required:
                with pytest.raises(AuditUnavailable, match=r"gone|Broken pipe|reset"):
                    distant.record("decision", DECISION)
            else:
                distant.record("decision", DECISION)
            with pytest.raises(AuditUnavailable):
                distant.require()


def test_a_desk_that_hangs():
    """A worker waits only for so long, does not take a late answer for that to its next order, and is to end."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with near, far:
        silences: list[int] = []
        distant = DistantTrail(far, is_required=True, silent=lambda: silences.append(1), patience=0.01)
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match=r"does not answer|did not answer"):
                distant.record("decision", DECISION)
        assert silences == [1]


def test_what_has_happened(tmp_path, connect):
    """What is only reported is written behind what was recorded before it, by the end at the latest; what cannot be is
    said, and the next record is answered for itself."""
    trail = AuditTrail(tmp_path, PORT, is_required=True)
    said: list[str] = []
    desk = AuditDesk(trail, (), said.append)
    distant = connect(desk)
    distant.record("decision", DECISION)
    for number in range(20):
        distant.report("outcome", {"request": str(number)})
    distant.report("start", {})
    distant.report("nonsense", {})
    distant.record("decision", {"request": "last"})
    distant.report("outcome", {"request": "behind it"})
    distant._sock.close()
    desk.finish()
    trail.close()
    found = [json.loads(line) for line in lines(tmp_path)]
    assert [one["request"] for one in found] == ["r", *map(str, range(20)), "last", "behind it"]
    (complaint,) = said
    assert "nonsense" in complaint


def test_what_one_worker_requires(tmp_path, connect):
    """Where one worker's reload made the trail required, the others know it from their next record on."""
    trail = AuditTrail(tmp_path, PORT, is_required=False)
    desk = AuditDesk(trail, (), pytest.fail)
    one, two = connect(desk, is_required=False), connect(desk, is_required=False)
    one.require()
    two.record("decision", DECISION)
    two._sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(AuditUnavailable):
        two.record("decision", DECISION)
    trail.close()

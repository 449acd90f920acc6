"""What the soak looks at: each of its checks finds what it is there for."""

from __future__ import annotations

import json
import random
import time

import pytest
from soak.client import Broken, Request, Seen, StreamJudge
from soak.flatness import judge, percentile
from soak.kills import Kills
from soak.script import Ask, read_mark
from soak.streams import STALL, Crowd, add_paced
from soak.tally import Tally

from soak import files, mix

# -- growth ------------------------------------------------------------------------------------------------------------


def noise(seed: int, width: float) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(-width, width) for _ in range(200)]


@pytest.mark.parametrize("seed", range(20))
def test_scatter_is_no_growth(seed):
    """A series that only scatters, however widely, is flat; so is one that grew in its first half alone."""
    assert judge("descriptors", [(float(at), 50 + one) for at, one in enumerate(noise(seed, 30))]).is_flat
    warming = [(float(at), min(at, 100) + one) for at, one in enumerate(noise(seed, 2))]
    assert judge("rss", warming).is_flat


@pytest.mark.parametrize("seed", range(20))
def test_growth_is_found(seed):
    """A descriptor more every ten samples is found through scatter of ten times that; so are 10 MB, and a task in 20."""
    assert not judge("descriptors", [(float(at), at / 10 + one) for at, one in enumerate(noise(seed, 2))]).is_flat
    assert not judge("rss", [(float(at), 70 + at / 5 + one) for at, one in enumerate(noise(seed, 3))]).is_flat
    assert not judge("tasks", [(float(at), 3.0 + at // 20) for at in range(200)]).is_flat


def test_a_short_run_may_warm_up():
    """Memory of a process that has just begun may grow by more; what it keeps opening may not."""
    series = [(float(at), float(at)) for at in range(60)]
    assert judge("rss", series, minutes=1).is_flat
    assert not judge("rss", series, minutes=30).is_flat
    assert not judge("descriptors", series, minutes=1).is_flat


def test_too_few_samples_are_no_proof():
    """From three samples nothing is told."""
    with pytest.raises(ValueError, match="too few"):
        judge("tasks", [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)])


def test_percentiles():
    """Half of the values are not above the median; the largest is the hundredth part's."""
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([], 0.5) == 0.0


# -- answers -----------------------------------------------------------------------------------------------------------


def frame(kind: str, **facts) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **facts})}\n\n".encode()


def told(ask: Ask, pieces: list[str], *, ended: str = "message_stop", age: float = 0.0) -> StreamJudge:
    """What a client makes of these pieces of text."""
    judged = StreamJudge(Request(ask, "m,plain"), Seen(Request(ask, "m,plain")))
    judged.feed(frame("message_start", message={}))
    for piece in pieces:
        stamp = f"{time.monotonic_ns() - int(age * 1e6):016x}" if ask.stamped else ""
        judged.feed(frame("content_block_delta", index=0, delta={"type": "text_delta", "text": stamp + piece}))
    if ended == "message_stop":
        judged.feed(frame("message_delta", delta={"stop_reason": "end_turn"}))
        judged.feed(frame("message_stop"))
    elif ended == "error":
        judged.feed(frame("error", error={"type": "api_error", "message": "cut off"}))
    return judged


ASK = Ask("a", deltas=3)
WHOLE = [ASK.piece(number) for number in range(3)]


def test_a_right_answer():
    """All of the text, and an ending: right."""
    assert told(ASK, WHOLE).close()[0] == "right"


@pytest.mark.parametrize("pieces", [WHOLE[:2], WHOLE[::-1], [*WHOLE, WHOLE[0]], []])
def test_a_finished_answer_that_is_not_the_right_one(pieces):
    """A piece too few, too many, or in another place, and told to be finished: misled."""
    assert told(ASK, pieces).close()[0] == "misled"


def test_a_safe_error():
    """An error after a true beginning is safe; after another text it is not."""
    assert told(ASK, WHOLE[:2], ended="error").close()[0] == "safe error"
    assert told(ASK, WHOLE[1:], ended="error").close()[0] == "misled"


def test_a_stream_without_an_ending():
    """A stream that just ends is wrong, within an event and between two."""
    with pytest.raises(Broken, match="without an ending"):
        told(ASK, WHOLE, ended="").close()
    judged = told(ASK, WHOLE, ended="")
    judged.feed(b"event: message_stop\nda")
    with pytest.raises(Broken, match="within an event"):
        judged.close()


@pytest.mark.parametrize("again", [frame("message_stop"), frame("content_block_delta", delta={"text": "x"})])
def test_more_after_the_ending(again):
    """Nothing may follow the ending."""
    with pytest.raises(Broken, match="after message_stop"):
        told(ASK, WHOLE).feed(again)


def test_what_is_not_expected_is_told():
    """An answer that is not what its request allows fails the tally, and the reader learns which."""
    tally = Tally()
    tally.add_answers("phase", [Seen(Request(ASK, "m,plain"), "right")])
    assert tally.holds
    tally.add_answers("phase", [Seen(Request(ASK, "m,plain", kind="cut"), "misled", "half of it")])
    assert not tally.holds
    assert "half of it" in tally.show()
    assert "FAIL" in tally.show()


@pytest.mark.parametrize(("age", "holds"), [(0.0, True), (2 * STALL, False)])
def test_a_stalled_stream_is_found(age, holds):
    """One stream with one delta that was held up for longer than the limit fails the phase."""
    ask = Ask("s", deltas=3, stamped=1)
    answers = []
    for number in range(4):
        judged = told(ask, WHOLE[:0] + [ask.piece(n) for n in range(3)], age=age if number == 2 else 0.0)
        outcome, detail = judged.close()
        seen = judged._seen
        seen.outcome, seen.detail = outcome, detail
        answers.append(seen)
    tally = Tally()
    add_paced(tally, Crowd(4, 3, 50), answers, STALL)
    assert tally.holds is holds
    assert [row.figure for row in tally.rows if row.what == "streams that stalled"] == ["0" if holds else "1"]


def test_a_stream_without_deltas_has_stalled():
    """A stream of which nothing came counts as stalled: it has no delta that could be old."""
    tally = Tally()
    add_paced(tally, Crowd(1, 3, 50), [Seen(Request(Ask("n", stamped=1), "m,plain"))], STALL)
    assert [row.figure for row in tally.rows if row.what == "streams that stalled"] == ["1"]


# -- files -------------------------------------------------------------------------------------------------------------

LINE = b'{"level":30,"time":"2026-11-22T10:00:00.000Z","msg":"exchange"}\n'


@pytest.fixture
def folder(tmp_path):
    """What a router that was killed leaves behind when all is well."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "launches").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "config.json.2026-11-22T10-00-00-000Z.bak").write_text("{}")
    (tmp_path / ".claude-code-router.3456.json").write_text('{"pid": 1}')
    (tmp_path / ".claude-code-router.pid").write_text("1")
    (tmp_path / "launches" / ("a" * 64)).write_text("{}")
    (tmp_path / "logs" / "ccr-1.log").write_bytes(LINE + LINE[:20])
    (tmp_path / ".config.json.abcd1234").write_text("{")
    return tmp_path


def test_whole_files(folder):
    """Whole files are whole: a torn last line of a log and a temporary file are what a kill may leave."""
    assert files.corrupt(folder) == []
    assert [path.name for path in files.litter(folder)] == [".config.json.abcd1234"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b'{"PORT": 34'),
        ("config.json", b""),
        ("config.json.2026-11-22T10-00-00-000Z.bak", b"{"),
        (".claude-code-router.3456.json", b'{"pid": 1}}'),
        (".claude-code-router.pid", b""),
        ("launches/" + "a" * 64, b"\x00\x00"),
        ("logs/ccr-1.log", LINE[:30] + LINE),
        ("logs/ccr-1.log", b"{}\n" + LINE),
        ("logs/ccr-1.log", LINE + b"\x00" * 100_000),
    ],
)
def test_corrupt_files_are_found(folder, name, content):
    """Of every kind of file, one that is not whole is found, and named."""
    (folder / name).write_bytes(content)
    [found] = files.corrupt(folder)
    assert found.startswith(f"{name}: ")


def test_defects_are_found(folder):
    """A line of an error is a defect; a refused reload is the user's own."""
    log = folder / "logs" / "ccr-1.log"
    assert files.defects(folder) == []
    log.write_bytes(LINE + b'{"level":50,"time":"t","msg":"reload refused"}\n')
    assert files.defects(folder) == []
    log.write_bytes(LINE + b'{"level":50,"time":"t","msg":"a defect of the router","trace":"x"}\n')
    assert len(files.defects(folder)) == 1
    assert files.count_lines(folder, "exchange") == 1


# -- the script --------------------------------------------------------------------------------------------------------


def test_what_is_asked_arrives():
    """Every request of the mix is read back as it was written; of several in one conversation the last one counts."""
    for number in range(300):
        request = mix.draw(random.Random(number), number)
        assert read_mark(b"older: " + Ask("other").mark().encode() + request.body()) == request.ask


def test_the_same_seed_is_the_same_mix():
    """A seed draws the same requests again; every kind is among the first thousand."""
    one, other = random.Random(7), random.Random(7)
    drawn = [mix.draw(one, number) for number in range(1000)]
    assert drawn == [mix.draw(other, number) for number in range(1000)]
    assert {request.kind for request in drawn} == set(mix.WEIGHTS)


def test_only_the_kills_excuse_a_lost_connection():
    """A lost connection is excused if the request was under way while nobody was there, and at no other time."""
    kills = Kills(None, None, random.Random(1), times=1)
    kills.lives.absences.append((10.0, 11.0))
    request = Request(ASK, "m,plain")

    def is_excused(began: float, ended: float) -> bool:
        return kills._excused(Seen(request, "lost connection", began=began, ended=ended)).is_as_expected

    assert is_excused(9.0, 10.5)
    assert is_excused(10.2, 10.3)
    assert is_excused(9.0, 12.0)
    assert not is_excused(8.0, 9.9)
    assert not is_excused(11.1, 12.0)
    misled = kills._excused(Seen(request, "misled", began=9.0, ended=12.0))
    assert not misled.is_as_expected

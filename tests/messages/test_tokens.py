"""Token estimates: accuracy on fixed texts, images by size, a memo that makes a turn cost what is new in it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.messages import tokens
from ccrouter.messages.tokens import TokenMemo, count_media, estimate_request, estimate_text, upper_bound

PROSE = """The lighthouse keeper counted ships the way other people count sheep. Most evenings there were none, and he
would sit by the window with a pot of tea, listening to the radio and mending whatever had broken that week. When a
storm came in from the west, however, he stayed awake until morning, because the old lamp had a habit of going out at
exactly the wrong moment. "It knows," he used to say, and nobody in the village ever thought that he was joking.
Years later, after the tower had been automated, visitors still asked about him; the answer depended on whom they
asked, and on how long the conversation had been going on.
"""
PYTHON = '''class Ledger:
    """Bookings by account, newest first."""

    def __init__(self, opening: dict[str, int] | None = None) -> None:
        self._balance = dict(opening or {})
        self._entries: list[tuple[str, int]] = []

    def book(self, account: str, amount: int, *, allow_debt: bool = False) -> int:
        balance = self._balance.get(account, 0) + amount
        if balance < 0 and not allow_debt:
            raise ValueError(f"{account!r} would be overdrawn by {-balance}")
        self._balance[account] = balance
        self._entries.insert(0, (account, amount))
        return balance

    def total(self) -> int:
        return sum(value for _, value in self._balance.items() if value != 0)
'''
TYPESCRIPT = """export async function fetchOrders(baseUrl: string, customerId: number): Promise<Order[]> {
  const response = await fetch(`${baseUrl}/customers/${customerId}/orders?limit=50`, { headers: { accept: "application/json" } });
  if (!response.ok) {
    throw new Error(`request failed with status ${response.status}`);
  }
  const orders = (await response.json()) as Order[];
  return orders
    .filter((order) => order.state !== "cancelled" && order.items.length > 0)
    .sort((left, right) => right.createdAt - left.createdAt);
}
"""
JSON = """{
  "name": "harbour-watch",
  "version": "2.14.3",
  "private": true,
  "scripts": {"build": "tsc -p tsconfig.build.json", "test": "node --test dist/**/*.test.js"},
  "regions": [
    {"id": 101, "label": "north pier", "position": [54.1842, 7.8911], "active": true},
    {"id": 102, "label": "south pier", "position": [54.1790, 7.8862], "active": false, "reason": null}
  ],
  "contact": {"email": "watch@example.org", "hours": "06:00-22:30"}
}
"""
CHINESE = """请帮我检查一下这个项目的登录流程。用户反馈说，在手机上输入密码之后页面会一直转圈，刷新以后又能正常进入首页。我怀疑是刷新令牌的接口返回得太慢，
前端没有处理超时的情况。你先阅读相关的代码，找出问题的原因，然后给出修改方案，不要直接改数据库的结构。修改完成以后请运行全部测试，并且把测试结果整理成一个简短的说明，
方便我写到合并请求里面。另外，日志里不能出现用户的手机号码和身份证号码，如果发现有类似的地方也请一并处理。
"""
JAPANESE = """このプロジェクトのログイン処理を確認してください。スマートフォンでパスワードを入力すると画面が固まってしまい、再読み込みすると正常に表示されるという報告が
ありました。トークンの更新が遅いときに、フロントエンド側でタイムアウトを処理していないのではないかと思います。まず関連するコードを読んで原因を調べ、修正方法を提案して
ください。データベースの構造は変更しないでください。修正が終わったらすべてのテストを実行し、結果を簡単にまとめてください。
"""
RUSSIAN = """Смотритель маяка считал корабли так же, как другие считают овец. Почти каждый вечер их не было вовсе, и он сидел
у окна с чайником, слушал радио и чинил всё, что сломалось за неделю. Но когда с запада приходила буря, он не спал до
самого утра, потому что старая лампа имела привычку гаснуть именно тогда, когда этого нельзя было допустить.
"""
SHELL = """$ ls -l /srv/harbour
total 48
drwxr-xr-x 3 watch harbour  4096 Mar 14 09:21 archive
-rw-r--r-- 1 watch harbour 18231 Mar 14 09:25 arrivals.csv
-rwxr-xr-x 1 root  root     2210 Feb 27 18:02 rotate.sh
$ ./rotate.sh --keep 14
rotate: 3 files moved to archive/2026-03, 0 errors
$ git status --short
 M src/pier.ts
?? notes/storm.md
"""
READER = """     1\tfrom __future__ import annotations
     2\t
     3\timport sys
     4\t
     5\tdef main(arguments: list[str]) -> int:
     6\t    for name in arguments:
     7\t        print(f"hello, {name}")
     8\t    return 0
     9\t
    10\tif __name__ == "__main__":
    11\t    sys.exit(main(sys.argv[1:]))
"""

# The true counts are o200k's.
TEXTS = {
    "prose": (PROSE, 138),
    "python": (PYTHON, 183),
    "typescript": (TYPESCRIPT, 130),
    "json": (JSON, 161),
    "chinese": (CHINESE, 134),
    "japanese": (JAPANESE, 150),
    "russian": (RUSSIAN, 97),
    "shell": (SHELL, 130),
    "file reader": (READER, 94),
}


def members_of(body: Mapping[str, Any]) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])


def estimate(**body: Any) -> int:
    return estimate_request(members_of(body), TokenMemo())


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def image(data: bytes | str, media_type: str = "image/png") -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": text}}


def png(width: int, height: int, padding: int = 100) -> bytes:
    head = struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height)
    return head + b"\x08\x02\x00\x00\x00" + bytes(range(256)) * (padding // 256 + 1)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(60)


def webp(kind: bytes, width: int, height: int) -> bytes:
    chunk = {
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height),
        b"VP8L": b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14 | 1 << 28),
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind] + bytes(60)
    return b"RIFF" + struct.pack("<I", 12 + len(chunk)) + b"WEBP" + kind + struct.pack("<I", len(chunk)) + chunk


def jpeg(width: int, height: int, exif: int = 100, frame: int = 0xC0) -> bytes:
    metadata = struct.pack(">HH", 0xFFE1, exif + 2) + b"\xff\xc0" * (exif // 2)
    tables = struct.pack(">HH", 0xFFC4, 21) + bytes(19)
    start = struct.pack(">BBHBHH", 0xFF, frame, 17, 8, height, width) + bytes(10)
    return b"\xff\xd8" + metadata + tables + b"\xff" + start + bytes(300)


def image_tokens(block: dict[str, Any]) -> int:
    """What the block adds to a message."""
    return estimate(messages=[user(block)]) - estimate(messages=[user()])


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "true"), TEXTS.values(), ids=TEXTS)
def test_text_is_estimated_within_a_tenth(text, true):
    """Prose, code, JSON, shell output and the text of four scripts come within 10 % of o200k, even in half a page."""
    assert estimate_text(text.encode()) == pytest.approx(true, rel=0.10)


@pytest.mark.parametrize(("text", "true"), TEXTS.values(), ids=TEXTS)
def test_text_inside_a_json_string_counts_as_the_text(text, true):
    """Escaped line feeds and quotes do not inflate the estimate: it stays within 10 % of the plain text's count."""
    assert estimate_text(msgspec.json.encode(text)[1:-1]) == pytest.approx(true, rel=0.10)


def test_errors_of_kinds_of_text_do_not_add_up():
    """Over all fixed texts together the estimate is within 3 %: no systematic error."""
    true = sum(count for _, count in TEXTS.values())
    assert sum(estimate_text(text.encode()) for text, _ in TEXTS.values()) == pytest.approx(true, rel=0.03)


def reference_estimate(raw: bytes) -> float:
    """The rule, said byte by byte."""
    total = 0
    for at, byte in enumerate(raw):
        before = 0 if at % tokens._PIECE == 0 else tokens._CLASS_OF[raw[at - 1]] // 4
        total += tokens._WEIGHTS[32 * before + tokens._CLASS_OF[byte]]
    return total / tokens._UNIT


@given(st.binary(max_size=1500))
def test_whole_buffer_operations_give_the_sum_of_the_bytes_weights(raw):
    """The arithmetic on whole buffers is the sum over bytes of the weight by own class and family before."""
    assert estimate_text(raw) == reference_estimate(raw)


@pytest.mark.parametrize("over", [-1, 0, 1, 511, 513])
def test_pieces_of_long_texts_join_without_loss(over):
    """At and around the boundaries of pieces and of partial sums nothing is lost or counted twice."""
    raw = (PYTHON + CHINESE + "zq" * 700).encode() * 20
    raw = raw[: tokens._PIECE + over]
    assert estimate_text(raw) == reference_estimate(raw)


def test_the_heaviest_bytes_do_not_overflow_the_partial_sums():
    """A text in which each byte has the greatest weight is counted in full."""
    heaviest = max(range(256), key=lambda code: tokens._WEIGHTS[code])
    assert tokens._WEIGHTS[heaviest] <= tokens._GREATEST
    assert tokens._GREATEST * tokens._SUMMED + 1 < 65521
    raw = b"1a" * 50_000
    assert estimate_text(raw) == reference_estimate(raw)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_estimates_are_bounded_and_grow_with_the_text(raw, more):
    """An estimate is never negative, never more than the bytes, and never less for a longer text."""
    assert 0 <= estimate_text(raw) <= estimate_text(raw + more) <= len(raw + more)


def test_special_token_text_is_text():
    """`<|endoftext|>` and its like are counted as the characters they are, whoever sends them."""
    for marker in ("<|endoftext|>", "<|im_start|>", "<|fim_prefix|>"):
        plain = marker.replace("|", "!")
        said, plainly_said = (estimate(messages=[{"role": "user", "content": text * 50}]) for text in (marker, plain))
        assert said == pytest.approx(plainly_said, rel=0.5)
        assert 100 < said < 700


# ── images and documents ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        png(750, 300),
        gif(750, 300),
        webp(b"VP8 ", 750, 300),
        webp(b"VP8L", 750, 300),
        webp(b"VP8X", 750, 300),
        jpeg(750, 300),
        jpeg(750, 300, exif=40_000),
        jpeg(750, 300, frame=0xC2),
    ],
    ids=["png", "gif", "webp lossy", "webp lossless", "webp extended", "jpeg", "jpeg after exif", "jpeg progressive"],
)
def test_an_image_counts_by_its_pixels(data):
    """Width x height / 750 of every format that the Messages API takes, read from its header."""
    assert image_tokens(image(data)) == 300


def test_a_base64_text_with_escaped_slashes_is_read_too():
    """Clients that write `\\/` for a slash in JSON get the same count."""
    raw = msgspec.json.encode({"messages": [user(image(gif(1023, 1023)))]})
    assert b"/" in raw.split(b'"data":')[1]
    escaped = raw.replace(b"/", b"\\/")
    plain_members, escaped_members = (msgspec.json.decode(body, type=dict[str, msgspec.Raw]) for body in (raw, escaped))
    assert estimate_request(escaped_members, TokenMemo()) == estimate_request(plain_members, TokenMemo())


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(1, 1, 1), (200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (8000, 6000, 1600), (8000, 80, 33)],
)
def test_a_large_image_counts_as_scaled_down(width, height, count):
    """At most 1568 pixels on the long edge and 1600 tokens, as the API scales it."""
    assert image_tokens(image(png(width, height))) == count


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        image(""),
        image("AAAA"),
        image("not base64 at all!"),
        image(b"BM" + bytes(100), "image/bmp"),
        image(png(0, 0)),
        image(png(10, 10)[:20]),
        image(b"\xff\xd8\xff"),
        image(b"\xff\xd8" + struct.pack(">HH", 0xFFE1, 65002) + bytes(65_000) + jpeg(100, 100, exif=65_000)[2:]),
    ],
    ids=["url", "file", "nothing", "short", "no base64", "bmp", "no size", "cut png", "cut jpeg", "far frame header"],
)
def test_an_image_of_unknown_size_counts_as_a_large_one(block):
    """What does not tell its size counts the most that one image can take."""
    assert image_tokens(block) == 1600


@pytest.mark.parametrize("place", ["tool result", "top level", "in a document"])
def test_base64_is_never_counted(place):
    """An image of 5 MB counts by its size wherever it stands: at most 1700 tokens with the message around it."""
    picture = image(png(4000, 3000, padding=5_000_000))
    block = {
        "tool result": {"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture]},
        "top level": picture,
        "in a document": {"type": "document", "source": {"type": "content", "content": [picture]}},
    }[place]
    assert 1600 <= estimate(messages=[user(block)]) <= 1700


def test_a_pdf_counts_by_its_size_up_to_a_hundred_pages():
    """A small PDF counts as a page, a larger one in proportion to its bytes, none beyond what the API takes."""

    def pdf(size: int) -> dict[str, Any]:
        data = base64.b64encode(b"%PDF-1.7" + bytes(size)).decode()
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}

    small, middle, large = (image_tokens(pdf(size)) for size in (1000, 480_000, 20_000_000))
    assert small == pytest.approx(2334, abs=1)
    assert middle == pytest.approx(10 * 7000 / 3, abs=1)
    assert large == pytest.approx(100 * 7000 / 3, abs=1)
    address = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    assert image_tokens(address) == small


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": PROSE},
        {"type": "content", "content": PROSE},
        {"type": "content", "content": [{"type": "text", "text": PROSE}]},
    ],
    ids=["text", "content", "blocks"],
)
def test_a_text_document_counts_as_its_text(source):
    """The words of a text document count like words anywhere, with its title and context."""
    plain = image_tokens({"type": "text", "text": PROSE})
    assert image_tokens({"type": "document", "source": source}) == plain
    titled = {"type": "document", "source": source, "title": "The keeper", "context": "from a collection of tales"}
    assert plain < image_tokens(titled) < plain + 20


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_small_request_counts_as_the_api_says():
    """The example of Anthropic's guide to count_tokens, documented as 14 tokens, comes within one."""
    count = estimate(system="You are a scientist", messages=[{"role": "user", "content": "Hello, Claude"}])
    assert abs(count - 14) <= 1


def test_every_part_that_a_model_reads_counts():
    """System, tools, text, thinking, tool input and tool results each add about their own text, wherever it stands."""
    empty = estimate(system=[], tools=[], messages=[])
    one = estimate_text(PROSE.encode())
    block = {"type": "text", "text": PROSE}
    for body in (
        {"system": PROSE},
        {"system": [block]},
        {"messages": [{"role": "user", "content": PROSE}]},
        {"messages": [user(block)]},
        {"messages": [user({"type": "thinking", "thinking": PROSE, "signature": "EqQB" * 900})]},
        {"messages": [user({"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"text": PROSE}})]},
        {"messages": [user({"type": "tool_result", "tool_use_id": "toolu_1", "content": PROSE})]},
        {"messages": [user({"type": "tool_result", "tool_use_id": "toolu_1", "content": [block]})]},
        {"messages": [user({"type": "search_result", "source": "https://a.b", "title": "T", "content": [block]})]},
        {"messages": [user({"type": "web_fetch_tool_result", "content": {"type": "x", "content": block}})]},
        {"tools": [{"name": "Write", "description": PROSE, "input_schema": {"type": "object"}}]},
        {"tools": [{"name": "Write", "input_schema": {"type": "object", "description": PROSE}}]},
    ):
        assert one * 0.95 < estimate(**body) - empty < one * 1.05 + 20, body


def test_what_no_model_reads_does_not_count():
    """Signatures, encrypted contents, ids and cache marks change nothing, nor do members that are no input."""
    plain = user(
        {"type": "text", "text": "hello"}, {"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking"}
    )
    marked = user(
        {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}},
        {"type": "thinking", "thinking": "hm", "signature": "EqQBCkYIBxgC" * 400},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix" * 400},
    )
    bare = estimate(messages=[plain])
    assert estimate(messages=[marked], model="m", metadata={"user_id": "u" * 500}, max_tokens=32000) == bare


def test_a_tool_result_without_content_is_fine():
    """No content, null and an empty list all count the same."""
    bare = {"type": "tool_result", "tool_use_id": "toolu_1"}
    counts = {estimate(messages=[user({**bare, **more})]) for more in ({}, {"content": None}, {"content": []})}
    assert len(counts) == 1


def test_missing_and_null_members_count_nothing():
    """A request without system or tools, or with null there, costs its messages alone."""
    messages = [{"role": "user", "content": "hello there"}]
    assert estimate(messages=messages, system=None, tools=None) == estimate(messages=messages)
    assert estimate() < estimate(messages=messages)


def test_spelling_of_the_json_does_not_matter():
    """Blanks between members and numbered escapes in place of letters leave the count as it is, everywhere."""
    schema = '{"type":"object","description":"WORD","minimum":1E5}'
    turn = '{"role":"user","content":[{"type":"tool_use","name":"t","input":SCHEMA}]}'
    body = '{"system":"WORD","tools":[{"name":"t","input_schema":SCHEMA}],"messages":[TURN]}'
    body = body.replace("TURN", turn).replace("SCHEMA", schema)
    letters = body.replace("WORD", "считает").encode()
    escaped = body.replace("WORD", json.dumps("считает")[1:-1]).encode()
    assert len(escaped) > len(letters)
    spaced = letters.replace(b",", b" ,\n  ").replace(b":", b" :  ")
    counts = [
        estimate_request(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), TokenMemo())
        for text in (letters, escaped, spaced)
    ]
    assert len(set(counts)) == 1


def test_a_number_counts_as_it_is_written():
    """Numbers that no float holds are counted like any others, by their digits."""
    short, long = (
        TokenMemo().count(b'{"type":"tool_use","input":{"n":%s}}' % number) for number in (b"1e9", b"1e999" + b"9" * 99)
    )
    assert short + 20 < long


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hello"},
        {"messages": {"role": "user"}},
        {"messages": [5]},
        {"messages": [None]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
        {"messages": [user({"type": "image", "source": "https://example.org"})]},
        {"messages": [user({"type": "document", "source": {"type": "text", "data": 5}})]},
        {"system": 5},
        {"system": {"type": "text"}},
        {"tools": {}},
    ],
    ids=str,
)
def test_what_is_no_request_raises(body):
    """Wrong types where input is expected raise msgspec's own error, and are not remembered."""
    memo = TokenMemo()
    for _ in range(2):
        with pytest.raises(msgspec.ValidationError):
            estimate_request(members_of(body), memo)
    assert len(memo) == 0


@pytest.mark.parametrize(
    ("before", "opening", "closing"),
    [(b"", b'{"content":[', b"]}"), (b'{"type":"tool_use","input":', b"[", b"]")],
    ids=["content", "tool input"],
)
def test_bottomless_nesting_is_refused(before, opening, closing):
    """JSON nested without end raises the same error as any other wrong JSON, not the interpreter's RecursionError."""
    raw = before + opening * 200_000 + closing * 200_000 + b"}" * bool(before)
    with pytest.raises(msgspec.ValidationError, match="deeply"):
        TokenMemo().count(raw)


def test_bytes_that_are_no_utf8_raise_a_decode_error():
    """Text that is not UTF-8 raises msgspec.DecodeError, not a codec's error."""
    with pytest.raises(msgspec.DecodeError, match="UTF-8"):
        TokenMemo().count(b'{"role":"user","content":"\xff"}')


# ── the memo ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def conversation(turns: int) -> list[dict[str, Any]]:
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": f"turn {n}: {PROSE}"} for n in range(turns)]


def test_the_next_turn_estimates_what_is_new_only():
    """On turn N+1 of a long session exactly the new messages are estimated; all others are remembered."""
    memo = TokenMemo()
    fixed = {"system": [{"type": "text", "text": PROSE}], "tools": [{"name": "Read", "input_schema": {}}]}
    estimate_request(members_of({**fixed, "messages": conversation(200)}), memo)
    assert memo.estimated == 202
    longer = members_of({**fixed, "messages": conversation(202)})
    count = estimate_request(longer, memo)
    assert memo.estimated == 204
    assert count == estimate_request(longer, TokenMemo())


@settings(max_examples=50)
@given(st.lists(st.text(max_size=30), max_size=20))
def test_a_remembered_count_is_the_count(texts):
    """Whatever was asked before, a memo answers what a fresh one does, for any kind of buffer."""
    memo = TokenMemo(entries=7)
    for text in [*texts, *texts]:
        raw = msgspec.json.encode(text)
        assert memo.count(raw) == memo.count(memoryview(raw)) == memo.count(msgspec.Raw(raw)) == TokenMemo().count(raw)
        assert len(memo) <= 7


def test_the_memo_forgets_what_was_longest_unused():
    """Its size is bounded, and a fragment in use stays while others come and go."""
    memo = TokenMemo(entries=3)
    for name in ("a", "b", "c", "a", "d", "e"):
        memo.count(b'"%s"' % name.encode())
    assert len(memo) == 3
    estimated = memo.estimated
    memo.count(b'"a"')
    assert memo.estimated == estimated
    memo.count(b'"b"')
    assert memo.estimated == estimated + 1


# ── the bound ─────────────────────────────────────────────────────────────────────────────────────────────────────────

JSON_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
BLOCKS: Any = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text()),
    st.builds(lambda value: {"type": "tool_use", "id": "i", "name": "n", "input": value}, JSON_VALUES),
    st.builds(lambda text: {"type": "tool_result", "content": text}, st.none() | st.text()),
    st.builds(image, st.sampled_from([b"", b"abc", png(1568, 1568), jpeg(9000, 9000)])),
    st.builds(
        lambda size: {"type": "document", "source": {"type": "base64", "data": "A" * size}}, st.integers(0, 300_000)
    ),
    st.just({"type": "image", "source": {"type": "url", "url": "x"}}),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.builds(lambda blocks: user(*blocks), st.lists(BLOCKS, max_size=4)), max_size=4),
    st.none() | st.text(),
    st.lists(st.builds(lambda schema: {"name": "t", "input_schema": schema}, JSON_VALUES), max_size=3),
)
def test_no_request_estimates_above_the_bound(messages, system, tools):
    """`upper_bound` of a request's size and media is never below its estimate, so a threshold above it needs no count."""
    members = members_of({"system": system, "tools": tools, "messages": messages})
    size = sum(map(len, members.values()))
    assert 0 < estimate_request(members, TokenMemo()) <= upper_bound(size, count_media(members))


def test_the_bound_spares_short_requests_the_counting():
    """A request of text below as many bytes as the threshold has tokens needs no count; one image moves that little."""
    assert upper_bound(59_000) < 60_000
    assert upper_bound(59_000, media=1) < 62_000
    assert count_media(members_of({"system": [image(b"a")], "messages": [user(image(b"a"), image(b"b"))]})) == 3
    assert count_media({}) == 0

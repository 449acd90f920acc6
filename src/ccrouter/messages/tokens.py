"""How many input tokens a Messages request takes, estimated without a tokenizer's vocabulary. Pure; reads no file.

Text is weighed byte by byte: a byte's weight follows from its own class and the class of the byte before it, fitted to
o200k (method, error and speed: docs/token-estimate.md). Everything per byte happens inside C-level operations on whole
buffers. Images and documents are counted by their size as pictures and pages, never as base64.
"""

from __future__ import annotations

import binascii
import math
import struct
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

# The classes of a byte: 8 families of 4. The byte before counts by its family only. A lead byte of UTF-8 is only ever
# followed by a continuation byte, so leads fill the places that ASCII leaves free, wherever they are.
_CLASSES: dict[int, bytes] = {
    0: b" ",
    1: b"\t",
    2: b"\xe4",  # to 7: CJK; Chinese characters lie between E4 and E9
    3: b"\xe9",
    4: b"\n\r",
    5: b"\xe6",
    6: b"\xe7",
    7: b"\xe8",
    8: b"aeiou",
    9: b"nrstl",
    10: b"bcdfghmpwy",
    11: b"jkqvxz",
    12: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    13: bytes(range(0xC0, 0xCA)),  # Latin beyond ASCII
    14: bytes(range(0xCA, 0xE0)),  # Greek, Cyrillic, Hebrew, Arabic
    15: b"\xe0\xe1",  # Thai, the scripts of India, Georgian
    16: b"0123456789",
    17: b"\xe2",  # typographic signs, boxes, arrows
    18: b"\xe3",  # kana, CJK punctuation
    19: b"\xee\xef",  # full-width forms
    20: b"\"'`",
    21: b".,:;!?",
    22: b"(){}[]<>",
    # 23: every other sign
    24: b"\\",
    25: b"\xe5",  # CJK
    26: b"\xea\xeb\xec\xed",  # Hangul
    27: bytes(range(0xF0, 0x100)),  # emoji
    28: b"\x80\x81",  # continuation bytes
    29: b"\x82\x83",
    30: bytes(range(0x84, 0xA0)),
    31: bytes(range(0xA0, 0xC0)),
}
_OTHER_SIGN = 23

# Weights in 1/128 token. A row for each family of the byte before, a column for each class of the byte itself.
_UNIT = 128
_GREATEST = 127
# fmt: off
_WEIGHTS = bytes((
    # after a blank
    5, 22, 62, 73, 111, 62, 37, 71, 0, 0, 17, 85, 58, 42, 0, 0,
    127, 9, 53, 44, 78, 46, 65, 71, 100, 79, 0, 110, 16, 0, 0, 0,
    # after a line end
    127, 119, 117, 123, 4, 81, 118, 115, 89, 124, 77, 98, 127, 102, 127, 82,
    60, 126, 98, 125, 126, 127, 88, 102, 116, 109, 127, 126, 4, 0, 0, 0,
    # after lower case
    106, 117, 92, 106, 127, 94, 102, 99, 3, 0, 22, 29, 104, 127, 85, 43,
    127, 103, 107, 119, 127, 100, 61, 94, 48, 107, 111, 125, 1, 0, 1, 1,
    # after upper case
    117, 127, 95, 106, 127, 106, 98, 104, 2, 11, 0, 49, 7, 117, 26, 41,
    127, 119, 115, 127, 127, 127, 127, 86, 127, 108, 93, 125, 25, 8, 88, 16,
    # after a digit
    127, 127, 85, 104, 127, 93, 91, 90, 127, 127, 127, 127, 127, 71, 23, 41,
    45, 114, 122, 127, 98, 116, 127, 127, 86, 95, 118, 125, 0, 11, 7, 0,
    # after a sign
    76, 115, 115, 125, 29, 127, 120, 125, 83, 65, 107, 92, 105, 80, 127, 75,
    127, 110, 104, 89, 22, 17, 49, 14, 60, 127, 127, 127, 1, 0, 1, 1,
    # after a backslash
    114, 95, 79, 102, 6, 86, 88, 87, 73, 2, 113, 79, 104, 59, 21, 41,
    110, 107, 83, 122, 17, 113, 127, 127, 62, 87, 54, 125, 28, 16, 0, 40,
    # after a continuation
    58, 127, 36, 115, 126, 40, 62, 78, 110, 54, 127, 84, 127, 96, 0, 11,
    127, 127, 56, 125, 97, 96, 127, 127, 127, 68, 53, 127, 5, 0, 25, 19,
))
# fmt: on

_CLASS_OF = bytes(next((n for n, held in _CLASSES.items() if byte in held), _OTHER_SIGN) for byte in range(256))
_PIECE = 1 << 15  # bytes worked on at a time: small enough for the processor's cache
_FAMILY_BEFORE = int.from_bytes(b"\xe0" * (_PIECE + 1), "little")
_SUMMED = 512  # bytes a checksum adds up: 512 x 127 stays below its modulus, 65521


def _pair_codes(piece: bytes) -> bytes:
    """For each byte (class of the byte) + 32 x (family of the byte before); the first stands as after a blank."""
    classes = int.from_bytes(piece.translate(_CLASS_OF), "little")
    # One addition for all bytes at once: moved up by a byte and three bits, each class lands in the byte that follows,
    # its family in the upper three bits.
    codes = classes | (classes << 11 & _FAMILY_BEFORE)
    return codes.to_bytes(len(piece) + 1, "little")[: len(piece)]


def estimate_text(raw: bytes) -> float:
    """The tokens of a text in UTF-8, or of the inside of a JSON string (an escaped line feed weighs like a plain one).

    Never negative, at most one a byte, and never less when bytes are appended. Special-token text such as
    `<|endoftext|>` is text like any other. An escape of four hex digits weighs as the six characters it is.
    """
    total = 0
    for start in range(0, len(raw), _PIECE):
        weights = _pair_codes(raw[start : start + _PIECE]).translate(_WEIGHTS)
        # The low half of Adler-32 is 1 + the sum of the bytes: the fastest sum of bytes in the standard library.
        sums = [zlib.adler32(weights[at : at + _SUMMED]) & 0xFFFF for at in range(0, len(weights), _SUMMED)]
        total += sum(sums) - len(sums)
    return total / _UNIT


# ── images and documents ──────────────────────────────────────────────────────────────────────────────────────────────

# Anthropic's vision guide: width x height / 750 tokens, after scaling down to 1568 pixels on the long edge and about
# 1600 tokens.
_PIXELS_PER_TOKEN = 750
_LONG_EDGE = 1568
_IMAGE_TOKENS = 1600
# Anthropic's PDF guide: about 7000 tokens for three pages, at most 100 pages a request. How many bytes a page has is
# our assumption.
_PAGE_TOKENS = 7000 / 3
_MOST_PAGES = 100
_PAGE_BYTES = 50_000

_HEADER_BYTES = 48
_JPEG_HEADER_BYTES = 1 << 16


class _Source(msgspec.Struct):
    type: str = ""
    data: msgspec.Raw = msgspec.Raw()
    content: str | list[_Block | str] | None = None


def _decode_base64(data: msgspec.Raw, size: int) -> bytes:
    """The first `size` bytes, or fewer, of a JSON string in base64; nothing if it is not base64."""
    text = bytes(memoryview(data)[1 : 1 + size * 4 // 3 + 4]).rstrip(b'"').replace(b"\\/", b"/")
    try:
        return binascii.a2b_base64(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header, found by walking the segments before it."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Width and height from the first chunk: lossy, lossless or extended."""
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _image_size(data: msgspec.Raw) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG in base64, None if its header does not tell."""
    head = _decode_base64(data, _HEADER_BYTES)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(_decode_base64(data, _JPEG_HEADER_BYTES))
    if len(head) < 30:
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    if head.startswith(b"GIF8"):
        width, height = struct.unpack_from("<HH", head, 6)
        return width, height
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp_size(head)
    return None


def _image_tokens(source: _Source) -> float:
    """The tokens of one image; the most that one can take where the size is not known."""
    size = _image_size(source.data) if source.type == "base64" else None
    if size is None or 0 in size:
        return _IMAGE_TOKENS
    width, height = size
    scale = min(1.0, _LONG_EDGE / max(size))
    return min(_IMAGE_TOKENS, math.ceil(width * height * scale * scale / _PIXELS_PER_TOKEN))


def _document_tokens(source: _Source) -> float:
    """The tokens of a document that is not text, by its size; of one page where only its address is known."""
    size = len(memoryview(source.data)) * 3 // 4 if source.type == "base64" else 0
    return min(_MOST_PAGES, 1 + size // _PAGE_BYTES) * _PAGE_TOKENS


# ── fragments ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# What the frame around the words takes. Conventions, not measurements: OpenAI documents 3 tokens a message and 3 a
# reply, and with these figures Anthropic's example of its count_tokens guide comes out at its 14.
_PER_REQUEST = 3
_PER_MESSAGE = 4
_PER_TOOL = 8


class _Block(msgspec.Struct):
    """A message, a content block or a tool: the members that hold what a model reads, the rest is skipped.

    So signatures, encrypted contents, ids and cache marks count nothing. Only the members that every block shares are
    strict in type; the others belong to blocks that may change.
    """

    type: str = ""
    role: str = ""
    text: str | None = None
    content: str | list[_Block | str] | _Block | None = None
    input: msgspec.Raw = msgspec.Raw()
    input_schema: msgspec.Raw = msgspec.Raw()
    source: msgspec.Raw = msgspec.Raw()
    thinking: Any = None
    name: Any = None
    description: Any = None
    title: Any = None
    context: Any = None
    tool_name: Any = None
    stdout: Any = None
    stderr: Any = None

    def words(self) -> list[str]:
        """The texts of this block itself."""
        texts = (self.text, self.thinking, self.name, self.description, self.title, self.context)
        return [text for text in (*texts, self.tool_name, self.stdout, self.stderr) if isinstance(text, str)]


_Node = str | list[_Block | str] | _Block | None

_fragment: msgspec.json.Decoder[str | _Block] = msgspec.json.Decoder(str | _Block)
_source = msgspec.json.Decoder(_Source)
_string = msgspec.json.Decoder(str)
_any_json = msgspec.json.Decoder(float_hook=lambda digits: msgspec.Raw(digits.encode()))  # a number keeps its spelling
_fragments: msgspec.json.Decoder[list[msgspec.Raw] | None] = msgspec.json.Decoder(list[msgspec.Raw] | None)


def _compact(raw: msgspec.Raw) -> bytes:
    """The JSON without blanks, and with letters in place of numbered escapes: clients differ in both."""
    return msgspec.json.encode(_any_json.decode(raw))


def _open_source(block: _Block, nodes: list[_Node]) -> float:
    """The tokens of an image or a document in `block`; the texts of a text document join `nodes` instead."""
    if block.type not in ("image", "document") or not block.source:
        return 0
    source = _source.decode(block.source)
    if block.type == "image":
        return _image_tokens(source)
    if source.type == "text":
        nodes.append(_string.decode(source.data))
    elif source.type == "content":
        nodes.append(source.content)
    else:
        return _document_tokens(source)
    return 0


def _estimate_fragment(raw: bytes) -> int:
    """The tokens of one message, block, tool or string, as JSON."""
    nodes: list[_Node] = [_fragment.decode(raw)]
    frame = 0.0
    texts: list[bytes] = []
    while nodes:
        node = nodes.pop()
        if isinstance(node, str):
            texts.append(node.encode())
        elif isinstance(node, list):
            nodes.extend(node)
        elif node is not None:
            frame += _PER_MESSAGE if node.role else 0
            frame += _PER_TOOL if node.type.endswith(("tool_use", "tool_result")) or node.input_schema else 0
            texts += [text.encode() for text in node.words()]
            texts += [_compact(value) for value in (node.input, node.input_schema) if value]
            nodes.append(node.content)
            frame += _open_source(node, nodes)
    return math.ceil(frame + estimate_text(b"\n".join(texts)))


class TokenMemo:
    """The counts of fragments seen before, so that a conversation's next turn costs what is new in it.

    A fragment is known by the interpreter's keyed 64-bit hash and its length: a wrong answer needs two of at most
    `entries` fragments to agree in both, less than 2^-60 for the few of one length. The least recently used go first.
    """

    def __init__(self, entries: int = 8192) -> None:
        self.estimated = 0  # how many fragments were estimated and not remembered
        self._entries = entries
        self._counts: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, raw: bytes | memoryview | msgspec.Raw) -> int:
        """The tokens of one message, content block, tool or string, given as JSON.

        Raises msgspec.DecodeError (ValidationError where it is JSON but no such thing); nothing is remembered then.
        """
        data = bytes(raw)
        key = hash(data) ^ len(data) << 64
        known = self._counts.get(key)
        if known is not None:
            self._counts.move_to_end(key)
            return known
        try:
            tokens = self._counts[key] = _estimate_fragment(data)
        except RecursionError as error:
            raise msgspec.ValidationError("nested too deeply") from error
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"not UTF-8: {error}") from error
        self.estimated += 1
        if len(self._counts) > self._entries:
            self._counts.popitem(last=False)
        return tokens


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def estimate_request(members: Mapping[str, msgspec.Raw], memo: TokenMemo) -> int:
    """The input tokens of a Messages request, given as the raw members of its body.

    Counts `system`, `tools` and `messages`, each where present and not null, piece by piece through `memo`. Raises
    msgspec.DecodeError, ValidationError included, where `messages` or `tools` is no list, `system` neither list nor
    string, or a piece is nothing that can be counted.
    """
    total = _PER_REQUEST
    for name in ("system", "tools", "messages"):
        raw = members.get(name, msgspec.Raw(b"null"))
        if name == "system" and bytes(raw).startswith(b'"'):
            total += memo.count(raw)
        else:
            total += sum(map(memo.count, _fragments.decode(raw) or ()))
    return total


def count_media(members: Mapping[str, msgspec.Raw]) -> int:
    """At most how many images and documents the request holds (each has a `source`), found without decoding it.

    A member name spelled with JSON escapes is not seen.
    """
    return sum(bytes(members.get(name, b"")).count(b'"source"') for name in ("system", "messages"))


def upper_bound(size_in_bytes: int, media: int = 0) -> int:
    """The most that `estimate_request` says of members of this size together with `media` images and documents.

    Where this is below every threshold no counting is needed.
    """
    return _PER_REQUEST + size_in_bytes + media * math.ceil(_PAGE_TOKENS)

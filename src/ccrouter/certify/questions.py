"""What probes ask: small requests of the Messages API, with answers that tell what happened. Pure, data mostly."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from ccrouter.jsontypes import Json, JsonObject

#: Room for an answer of a few words, also of a model that reasons first.
ROOM = 1024
#: Too little for what is asked with it.
CUT = 24

_SIDE = 64  # pixels: some providers refuse images with less than ten
_RED, _BLUE = (220, 20, 20), (20, 20, 220)

WEATHER: JsonObject = {
    "name": "get_weather",
    "description": "Tells the weather in a city. Call it for every question about weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "the city's name"}},
        "required": ["city"],
    },
}
NOTE: JsonObject = {
    "name": "write_note",
    "description": "Keeps a text for later.",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def question(content: Json, **members: Any) -> JsonObject:
    """A request of one user turn. `members` go over those that every request has."""
    return {"max_tokens": ROOM, "messages": [{"role": "user", "content": content}], **members}


def conversation(*turns: tuple[str, Json], **members: Any) -> JsonObject:
    """A request of several turns, each a role and its content."""
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"max_tokens": ROOM, "messages": messages, **members}


def text(words: str) -> JsonObject:
    """A block of text."""
    return {"type": "text", "text": words}


def image() -> JsonObject:
    """An image block: the left half red, the right half blue."""
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _png()}}


def document(words: str) -> JsonObject:
    """A document block: a PDF of one page with these words on it."""
    data = base64.b64encode(_pdf(words)).decode()
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}


def call_of(id: str, city: str = "Paris") -> JsonObject:  # noqa: A002 - the protocol's own word
    """A block that calls the weather tool."""
    return {"type": "tool_use", "id": id, "name": "get_weather", "input": {"city": city}}


def result_of(id: str, content: Json = "Sunny, 21 degrees.") -> JsonObject:  # noqa: A002 - as above
    """A block with the result of that call."""
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def long_system() -> list[JsonObject]:
    """A system prompt that is long enough for every provider's cache (OpenAI's begins at 1024 tokens), marked for those
    that want a mark.
    """
    lines = [f"Rule {number}: entry {number * 37 % 1000} of the register is kept as it is." for number in range(1, 121)]
    told = "You answer in one word.\n" + "\n".join(lines)
    return [{**text(told), "cache_control": {"type": "ephemeral"}}]


def _png() -> str:
    half = _SIDE // 2
    row = b"\0" + bytes(_RED) * half + bytes(_BLUE) * half
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _SIDE, 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return base64.b64encode(data).decode()


def _pdf(words: str) -> bytes:
    content = f"BT /F1 24 Tf 40 100 Td ({words}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%b" % (count, table)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)

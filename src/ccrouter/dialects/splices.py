"""A client's own bytes on their way through: the request with another model, the answer with the asked one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Amend
from ccrouter.dialects.extra_body import merged

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
#: Of the client's headers, those that say nothing about whose account it is.
_HEADERS = ("user-agent", "openai-beta")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def request_for(target: Target, members: Mapping[str, msgspec.Raw], amend: Amend | None) -> bytes:
    """`members` for `target`: their own bytes, with the target's model, and what the configuration adds."""
    sent: dict[str, Any] = {**members, "model": target.model}
    if amend is not None:
        sent = amend(sent)
    extra = target.provider.extra_body
    for name, value in extra.items():
        if isinstance(value, dict) and isinstance(sent.get(name), msgspec.Raw):  # two objects are merged
            sent[name] = msgspec.json.decode(sent[name])
    return msgspec.json.encode(merged(sent, extra))


def headers_for(client_headers: Mapping[str, str], *, is_streamed: bool) -> dict[str, str]:
    """The headers that go along."""
    told = {name: client_headers[name] for name in _HEADERS if name in client_headers}
    return {"accept": "text/event-stream" if is_streamed else "application/json", **told}


def with_model(data: bytes, model: str, member: str = "") -> bytes:
    """JSON object `data` with this `model` where it names one: at its top, or in its `member`. No other byte changes
    where "model" stands in it once, which is nearly always.
    """
    named = msgspec.json.encode(model)
    if data.count(b'"model"') == 1:
        found = _MODEL.search(data)
        return data if found is None else b"".join((data[: found.start(1)], named, data[found.end(1) :]))
    outer = _members.decode(data)
    inner = outer if not member else _members.decode(outer[member]) if member in outer else {}
    if "model" not in inner:
        return data
    inner["model"] = msgspec.Raw(named)
    if member:
        outer[member] = msgspec.Raw(msgspec.json.encode(inner))
    return msgspec.json.encode(outer)

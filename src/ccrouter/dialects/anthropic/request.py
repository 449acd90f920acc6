"""What changes in a Messages request on its way to a Messages upstream: the model, and what only others may see.

Everything else is the client's own bytes: unknown members, unknown blocks, key order, number formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.anthropic.platforms import placed
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.ledger import ATTRIBUTION
from ccrouter.dialects.profiles import profile_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.messages.request import MessagesRequest

_VERSION = "2023-06-01"

# Claude Code's first system block: it differs from request to request, which is the end of any prefix cache that does
# not know it. Anthropic's own servers take it out; others must not get it.
_ATTRIBUTION = b"x-anthropic-billing-header"

# Members of the client's protocol that Anthropic's own API reads and others refuse or ignore.
_FIRST_PARTY_HEADERS = ("x-app", "anthropic-dangerous-direct-browser-access")
_FIRST_PARTY_PREFIXES = ("anthropic-", "x-stainless-", "x-claude-code-")

T = TypeVar("T")


class _Signed(msgspec.Struct):
    signature: str = ""


_signed = msgspec.json.Decoder(_Signed)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def encode(
    request: MessagesRequest, target: Target, client_headers: Mapping[str, str], amend: Amend | None = None
) -> UpstreamRequest:
    """The request with the target's model, without foreign reasoning state and, for third parties, the attribution;
    on a cloud platform in its form.
    """
    profile, endpoint = profile_of(target), target.endpoint
    is_first_party = profile.is_first_party and not endpoint.platform
    losses: list[Loss] = []
    changes: JsonObject = {"model": target.model}
    if not is_first_party and _ATTRIBUTION in _bytes_of(request, "system"):
        changes["system"] = _without_attribution(request)
        losses.append(ATTRIBUTION)
    if carrier.MARK in _bytes_of(request, "messages"):
        changes["messages"] = _without_foreign_state(request, losses)
    if request.max_tokens is None and profile.default_max_tokens:
        changes["max_tokens"] = profile.default_max_tokens
        what = f"absent; {profile.default_max_tokens} sent, the API requires one"
        losses.append(Loss("max_tokens", what, "approximated"))
    members: dict[str, Any] = {**request.replace(**changes).members}
    if amend is not None:
        members = amend(members)
    for name, value in target.provider.extra_body.items():  # whole members: nobody else's are looked into
        if value is None:
            members.pop(name, None)
        else:
            members[name] = value
    headers = _headers(client_headers, is_first_party=is_first_party, streamed=request.stream)
    if endpoint.platform:
        sent = placed(members, headers, endpoint, client_headers)
        sent = replace(sent, losses=(*losses, *sent.losses))
    else:
        sent = UpstreamRequest(body=msgspec.json.encode(members), headers=headers, losses=tuple(losses))
    kept = {name for name in request.members if name != "model"}
    if "anthropic-beta" in client_headers:
        kept.add("headers.anthropic-beta")
    return replace(sent, kept=frozenset(kept), mapped=frozenset({"model"}))


def _bytes_of(request: MessagesRequest, member: str) -> bytes:
    """A member's raw JSON, b"" if absent: for a search that spares decoding it."""
    raw = request.members.get(member)
    return bytes(raw) if raw is not None else b""


def _headers(client: Mapping[str, str], *, is_first_party: bool, streamed: bool) -> dict[str, str]:
    headers = {"accept": "text/event-stream" if streamed else "application/json"}
    if "user-agent" in client:
        headers["user-agent"] = client["user-agent"]
    if is_first_party:
        headers |= {
            name: value
            for name, value in client.items()
            if name.startswith(_FIRST_PARTY_PREFIXES) or name in _FIRST_PARTY_HEADERS
        }
    elif "anthropic-beta" in client:
        headers["anthropic-beta"] = client["anthropic-beta"]
        headers["x-anthropic-beta"] = client["anthropic-beta"]  # OpenRouter's name for it
    headers["anthropic-version"] = client.get("anthropic-version") or _VERSION
    return headers


def _without_attribution(request: MessagesRequest) -> list[msgspec.Raw] | str | msgspec.UnsetType:
    """The system prompt without its attribution: a block of its own, or the first line of a string."""
    marked = _ATTRIBUTION.decode()
    if isinstance(request.system, str):
        _, _, rest = request.system.partition("\n")
        return (rest.lstrip("\n") or msgspec.UNSET) if request.system.startswith(marked) else request.system
    raws = msgspec.json.decode(request.members["system"], type=list[msgspec.Raw])
    kept = [
        raw
        for raw, block in zip(raws, request.system, strict=True)
        if not (block.type == "text" and (block.text or "").startswith(marked))
    ]
    return kept or msgspec.UNSET


def _without_foreign_state(request: MessagesRequest, losses: list[Loss]) -> list[msgspec.Raw]:
    """The turns, without the thinking blocks that another dialect's provider sealed: Anthropic refuses those."""
    kept: list[msgspec.Raw] = []
    for position, raw in enumerate(request.raw_turns):
        members = _try(_members, raw) if carrier.MARK in bytes(raw) else None
        blocks = _try(_raws, members["content"]) if members and "content" in members else None
        if members is None or blocks is None:  # nothing of it here; if it is no turn at all, the provider will say so
            kept.append(raw)
            continue
        own: list[msgspec.Raw] = []
        for index, block in enumerate(blocks):
            if _is_foreign(block):
                losses.append(Loss(f"messages[{position}].content[{index}]", "thinking of another provider, removed"))
            else:
                own.append(block)
        if own:
            kept.append(msgspec.Raw(msgspec.json.encode({**members, "content": own})))
        else:  # an assistant turn that was nothing but that thinking
            losses.append(Loss(f"messages[{position}]", "nothing left of the turn, removed"))
    return kept


def _is_foreign(block: msgspec.Raw) -> bool:
    signed = _try(_signed, block) if carrier.MARK in bytes(block) else None
    return signed is not None and carrier.is_packed(signed.signature)


def _try(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T | None:
    """The decoded value, None if it is of another shape."""
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        return None

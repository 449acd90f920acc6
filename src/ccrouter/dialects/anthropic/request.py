"""What changes in a Messages request on its way to a Messages upstream: the model, and what only others may see.

Everything else is the client's own bytes: unknown members, unknown blocks, key order, number formats.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.dialects.profiles import Profile, profile_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.messages.request import MessagesRequest

_VERSION = "2023-06-01"

# Claude Code's first system block: it differs from request to request, which is the end of any prefix cache that does not
# know it. Anthropic's own servers take it out; others must not get it.
_ATTRIBUTION = b"x-anthropic-billing-header"

# Members of the client's protocol that Anthropic's own API reads and others refuse or ignore.
_FIRST_PARTY_HEADERS = ("x-app", "anthropic-dangerous-direct-browser-access")
_FIRST_PARTY_PREFIXES = ("anthropic-", "x-stainless-", "x-claude-code-")


def encode(request: MessagesRequest, target: Target, client_headers: Mapping[str, str]) -> UpstreamRequest:
    """The request with the target's model. Foreign reasoning state and, for third parties, the attribution block are gone."""
    profile = profile_of(target)
    losses: list[Loss] = []
    changes: JsonObject = {"model": target.model}
    if not profile.is_first_party and _ATTRIBUTION in memoryview_of(request, "system"):
        changes["system"] = _without_attribution(request)
    if carrier.MARK in memoryview_of(request, "messages"):
        changes["messages"] = _without_foreign_state(request, losses)
    if "max_tokens" not in request.members and profile.default_max_tokens:
        changes["max_tokens"] = profile.default_max_tokens
        losses.append(Loss("max_tokens", f"absent; {profile.default_max_tokens} sent, the API requires one"))
    for name, value in target.provider.extra_body.items():
        changes[name] = value
    return UpstreamRequest(
        body=request.replace(**changes).encode(),
        headers=_headers(client_headers, profile, streamed=request.stream),
        losses=tuple(losses),
    )


def memoryview_of(request: MessagesRequest, member: str) -> bytes:
    """A member's raw JSON, b"" if absent: for a search that spares decoding it."""
    raw = request.members.get(member)
    return bytes(raw) if raw is not None else b""


def _headers(client: Mapping[str, str], profile: Profile, *, streamed: bool) -> dict[str, str]:
    headers = {"accept": "text/event-stream" if streamed else "application/json"}
    if "user-agent" in client:
        headers["user-agent"] = client["user-agent"]
    if profile.is_first_party:
        for name, value in client.items():
            if name.startswith(_FIRST_PARTY_PREFIXES) or name in _FIRST_PARTY_HEADERS:
                headers[name] = value
    elif "anthropic-beta" in client:
        headers["anthropic-beta"] = client["anthropic-beta"]
        headers["x-anthropic-beta"] = client["anthropic-beta"]  # OpenRouter's name for it
    headers["anthropic-version"] = client.get("anthropic-version") or _VERSION
    return headers


def _without_attribution(request: MessagesRequest) -> list[msgspec.Raw] | str:
    if isinstance(request.system, str):
        return "" if request.system.startswith(_ATTRIBUTION.decode()) else request.system
    raws = msgspec.json.decode(request.members["system"], type=list[msgspec.Raw])
    marked = _ATTRIBUTION.decode()
    return [
        raw
        for raw, block in zip(raws, request.system, strict=True)
        if not (block.type == "text" and (block.text or "").startswith(marked))
    ]


def _without_foreign_state(request: MessagesRequest, losses: list[Loss]) -> list[msgspec.Raw]:
    """The turns, without the thinking blocks whose signature another dialect's provider made: Anthropic refuses those."""
    kept: list[msgspec.Raw] = []
    for position, raw in enumerate(request.raw_turns):
        if carrier.MARK not in bytes(raw):
            kept.append(raw)
            continue
        turn = msgspec.json.decode(raw)
        if isinstance(turn.get("content"), list):
            blocks = []
            for index, block in enumerate(turn["content"]):
                signature = block.get("signature") if isinstance(block, dict) else None
                if isinstance(signature, str) and carrier.is_packed(signature):
                    losses.append(
                        Loss(f"messages[{position}].content[{index}]", "thinking of another provider, removed")
                    )
                else:
                    blocks.append(block)
            if not blocks:  # an assistant turn that was nothing but that thinking
                losses.append(Loss(f"messages[{position}]", "nothing left of the turn, removed"))
                continue
            turn["content"] = blocks
        kept.append(msgspec.Raw(msgspec.json.encode(turn)))
    return kept

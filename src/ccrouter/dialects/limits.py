"""How long an answer may be, and which session it belongs to, as every dialect settles both. Pure."""

from __future__ import annotations

import hashlib

from ccrouter.dialects.base import Loss
from ccrouter.dialects.profile import Profile
from ccrouter.messages.request import MessagesRequest

#: Below so many tokens the reasoning of a model that always reasons leaves nothing for the answer; what it gets then.
_SHORT = 2048
_HEADROOM = 4096


def fitted_limit(limit: int, request: MessagesRequest, profile: Profile) -> tuple[int, list[Loss]]:
    """`limit`, the client's max_tokens, as the model takes it, and the loss if that is another."""
    wanted = _with_headroom(limit, request, profile)
    fitting = max(wanted, profile.min_max_tokens)
    if profile.max_tokens_cap is not None:
        fitting = min(fitting, profile.max_tokens_cap)
    if fitting == limit:
        return fitting, []
    is_roomier = wanted != limit and fitting > limit
    why = ": the model always reasons, and that counts" if is_roomier else ", the nearest that the model takes"
    return fitting, [Loss("max_tokens", f"{limit} sent as {fitting}{why}", "approximated")]


def session_pseudonym(request: MessagesRequest) -> str:
    """One pseudonym for a session, so that its turns meet the same prompt cache; nothing can be read from it. "" for a
    request that names no user.
    """
    return hashlib.sha256(request.user_id.encode()).hexdigest()[:32] if request.user_id else ""


def _with_headroom(limit: int, request: MessagesRequest, profile: Profile) -> int:
    """`limit`, with room for reasoning that cannot be switched off and would eat a short answer: Claude Code's
    auto-mode check leaves 64 tokens. A limit of 1 only asks whether the model is there.
    """
    thinking = request.thinking
    is_short = 1 < limit < _SHORT and (thinking is None or thinking.type == "disabled")
    return limit + _HEADROOM if is_short and not profile.can_disable_thinking else limit

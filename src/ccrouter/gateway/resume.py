"""Going on with an answer that was cut off after its first content, in the same message: when that is safe, with whom,
and what is asked. Opt-in (`resume` of the configuration). Pure; who asks, and when, is pursuit's.

The rest is asked for with the text so far as the beginning of the assistant's turn. That is done only where nothing can
go wrong by it: there is nothing but text, the answer is not bound to a tool or a schema, and the target is known to go
on with such a beginning in its own words.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.profiles import profile_of
from ccrouter.errors import ClientError, UnsupportedContent, UpstreamError
from ccrouter.gateway.question import Question
from ccrouter.gateway.seam import Said, Seam
from ccrouter.messages.events import WireUsage
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.tokens import estimate_text
from ccrouter.routing.failures import Failure, FailureKind

#: A message that was cut more often than this ends in an error.
MOST = 2
#: Failures after which what had come until then is certain. Nonsense in the stream casts doubt on what came before it.
_CERTAIN: frozenset[FailureKind] = frozenset({"cut", "reset", "idle", "overloaded", "server", "rate_limit"})
#: Those of the connection: the same target is asked first, for whom the prompt is in the cache.
_OF_CONNECTION: frozenset[FailureKind] = frozenset({"cut", "reset"})
#: Tools whose results carry sources, which would be lost with the answer that found them.
_CITING = ("web_search", "web_fetch")


class _Turn(msgspec.Struct):
    role: str = ""


class Resumption:
    """What is asked for one request, attempt by attempt: the whole of the answer, or once it has been cut, the rest.

    `error` is what ends the stream if nobody goes on; `joined` counts the answers that another one was joined to.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self._said = Said()
        self._before: WireUsage | None = None  # of the answers so far; None until one was cut
        self._mark = 0  # how much had been said when the attempt began
        self._cuts = 0
        self.error: UpstreamError | None = None
        self.joined = 0

    @property
    def before(self) -> WireUsage:
        """The usage of the answers before the one that is asked for now."""
        return self._before or WireUsage()

    def ask(self, target: Target) -> Question:
        """What the next attempt asks `target`."""
        if self._before is None:
            self._said = Said()  # of what an attempt said that failed earlier, the client knows nothing
            return dataclasses.replace(self._question, said=self._said)
        self._mark = self._said.count
        seam = Seam(self._said, self._before, may_be_silent=profile_of(target).is_first_party)
        return dataclasses.replace(self._question, request=self._request(target), seam=seam)

    def note_end(self) -> None:
        """The answer is complete."""
        self.joined += self._before is not None

    def goes_on(self, error: UpstreamError | UnsupportedContent, failure: Failure, usage: WireUsage) -> bool:
        """Whether the rest of the answer is to be asked for, after an attempt failed of whose message the client has
        something. `usage` is that of all answers so far.
        """
        if self._before is not None:
            self._before = usage
            if self._said.count == self._mark:
                return True  # nothing came of it: the message is where it was
            self.joined += 1
        self._cuts += 1
        may = isinstance(error, UpstreamError) and failure.kind in _CERTAIN and self._cuts <= MOST and self._may_go_on()
        if may:
            assert isinstance(error, UpstreamError), "said two lines above"
            self.error, self._before = error, usage
        return may

    @property
    def is_new(self) -> bool:
        """True if more was said since the last attempt began: then everybody may be asked anew."""
        return self._said.count != self._mark

    def asks_same(self, failure: Failure) -> bool:
        """True if the target that was cut off is to be asked for the rest before any other."""
        return failure.kind in _OF_CONNECTION

    def accepts(self, target: Target) -> bool:
        """True if `target` goes on with the beginning of an answer in its own words, wherever it is asked."""
        return all(self._continues(target.at(endpoint)) for endpoint in target.provider.endpoints)

    def _continues(self, target: Target) -> bool:
        profile = profile_of(target)
        match target.endpoint.dialect:
            case "anthropic":  # which refuses the beginning of an answer together with thinking
                return profile.accepts_prefill and not _thinks(self._question.request)
            case "openai_chat":
                may = bool(profile.prefill_member)
            case "gemini":
                may = profile.accepts_prefill
            case _:
                may = False
        return may and (profile.reasoning_style == "none" or profile.can_disable_thinking)

    def _may_go_on(self) -> bool:
        """True if what was said is text and may be followed by any other text."""
        if not self._said.is_plain or self._question.make_filter is not None:
            return False
        try:
            return self._is_free(self._question.request)
        except ClientError:  # members of a shape that we do not know are between the client and its provider
            return False

    def _is_free(self, request: MessagesRequest) -> bool:
        """True if nothing in the request binds the form of what is missing. Raises ClientError."""
        if request.tool_choice is not None and request.tool_choice.type in {"any", "tool"}:
            return False
        if request.output_config.format is not None or "output_format" in request.members:
            return False
        if any((tool.type or "").startswith(_CITING) for tool in request.tools):
            return False
        if _last_role(request) == "assistant":  # the client's own beginning: whose text ends where, is not known
            return False
        text = self._said.text
        # A stop sequence that is half said would not be seen by somebody who says the other half.
        return not any(text.endswith(stop[:size]) for stop in request.stop_sequences for size in range(1, len(stop)))

    def _request(self, target: Target) -> MessagesRequest:
        """The request for the rest: the client's, with what was said, but for white space at its end."""
        request, said = self._question.request, self._said.text.rstrip()
        changes: dict[str, Any] = {"messages": [*request.raw_turns, {"role": "assistant", "content": said}]}
        if request.max_tokens is not None:
            changes["max_tokens"] = max(1, request.max_tokens - round(estimate_text(said.encode())))
        if target.endpoint.dialect != "anthropic" and profile_of(target).reasoning_style != "none":
            changes["thinking"] = {"type": "disabled"}  # it has been thought; what is missing are words
        return request.replace(**changes)


def _thinks(request: MessagesRequest) -> bool:
    return request.thinking is not None and request.thinking.type != "disabled"


def _last_role(request: MessagesRequest) -> str:
    try:
        return msgspec.json.decode(request.raw_turns[-1], type=_Turn).role
    except (msgspec.DecodeError, IndexError):
        return "assistant"  # no turn that we know: nothing is put behind it

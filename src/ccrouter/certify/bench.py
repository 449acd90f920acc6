"""What a probe works with: questions that go out by what was found so far, and the form of what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ccrouter.certify.asking import Asker
from ccrouter.certify.observation import Answer
from ccrouter.dialects.profile import Profile
from ccrouter.errors import RouterError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest

Verdict = Literal["pass", "fail", "unknown"]
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: in one line, and as changes to the profile. No changes where the profile was right."""

    verdict: Verdict
    evidence: str
    changes: Mapping[str, Any] = field(default_factory=dict)


class Unanswerable(RouterError):
    """The provider does not answer the simplest question: there is nothing to find out."""


@dataclass(slots=True)
class Bench:
    """One run. `found` are the changes so far, `answers` what later probes look at again, by the name of a probe."""

    asker: Asker
    found: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """What is known of the model so far."""
        return self.asker.profile(self.found)

    @property
    def is_chat(self) -> bool:
        """True where the request is translated into Chat Completions, whose servers differ most."""
        return self.asker.endpoint.dialect == "openai_chat"

    async def ask(
        self, request: JsonObject, candidate: Mapping[str, Any] = _NOTHING, *, stream: bool = False, **other: Any
    ) -> Answer:
        """What comes of `request` if the profile were as found so far, and as `candidate` says."""
        members = {"model": self.asker.model, **request, "stream": stream}
        asked = MessagesRequest.read(msgspec.json.encode(members))
        return await self.asker.ask(asked, {**self.found, **candidate}, **other)

    def differing(self, **measured: Any) -> dict[str, Any]:
        """Those of the measured members that the profile has otherwise."""
        profile = self.profile
        return {name: value for name, value in measured.items() if getattr(profile, name) != value}


Probing = Callable[[Bench], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to find out. `requests` and `tokens` are the most that it takes; `needs` are probes that must have
    passed for it to mean anything.
    """

    name: str
    title: str
    run: Probing
    requests: int
    tokens: int
    needs: tuple[str, ...] = ()


def passed(evidence: str, changes: Mapping[str, Any] = _NOTHING) -> Finding:
    return Finding("pass", evidence, changes)


def failed(evidence: str, changes: Mapping[str, Any] = _NOTHING) -> Finding:
    return Finding("fail", evidence, changes)


def unknown(evidence: str, changes: Mapping[str, Any] = _NOTHING) -> Finding:
    return Finding("unknown", evidence, changes)


def unclear(answer: Answer) -> Finding:
    """For an answer that says nothing either way: the provider failed, and not over what was asked."""
    return unknown(f"no answer: {answer.told}")

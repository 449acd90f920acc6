"""What conversations really took, as providers reported it. Keeps figures only, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ccrouter.routing.facts import Thread


@dataclass(frozen=True, slots=True)
class Usage:
    """The last answer of a conversation: its context as reported, and as it had been estimated."""

    context: int
    estimate: int


class UsageRecord(msgspec.Struct, frozen=True, array_like=True):
    """What one answer of a conversation took, for those who keep the same account elsewhere."""

    session: str
    agent: str
    opening: int
    context: int
    estimate: int


class SessionUsage:
    """The last reported context of each conversation; of the `capacity` that were used last."""

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._publish: Callable[[UsageRecord], None] | None = None
        self._usage: OrderedDict[Thread, Usage] = OrderedDict()

    def __len__(self) -> int:
        return len(self._usage)

    def record(self, thread: Thread, context_tokens: int, estimate: int | None) -> None:
        """Remember that a request took `context_tokens` of input, cached ones included.

        `estimate` is what the estimator said of that request, uncorrected; None where it was not asked. Nothing is
        remembered of a thread without a session, or of a provider that reports nothing.
        """
        if not thread.session or context_tokens <= 0:
            return
        record = UsageRecord(*thread, context_tokens, estimate or 0)
        self.apply(record)
        if self._publish is not None:
            self._publish(record)

    def publish_to(self, publish: Callable[[UsageRecord], None]) -> None:
        """From now on `publish` is told of every answer that is recorded here."""
        self._publish = publish

    def apply(self, record: UsageRecord) -> None:
        """After the call `record` is known, wherever it was made."""
        thread = Thread(record.session, record.agent, record.opening)
        self._usage[thread] = Usage(record.context, record.estimate)
        self._usage.move_to_end(thread)
        while len(self._usage) > self._capacity:
            self._usage.popitem(last=False)

    def retold(self) -> list[UsageRecord]:
        """What another account has to apply to know the same."""
        return [UsageRecord(*thread, usage.context, usage.estimate) for thread, usage in self._usage.items()]

    def previous(self, thread: Thread) -> int:
        """The tokens of context that the last answer of this conversation reported, 0 if unknown."""
        usage = self._find(thread)
        return usage.context if usage else 0

    def corrected(self, thread: Thread, estimate: int) -> int:
        """`estimate`, corrected by the last report: that figure, and only the growth since estimated.

        A conversation that has become shorter has lost an unknown part of what was reported, so it counts as estimated.
        """
        usage = self._find(thread)
        if usage is None or not 0 < usage.estimate <= estimate:
            return estimate
        return usage.context + estimate - usage.estimate

    def _find(self, thread: Thread) -> Usage | None:
        usage = self._usage.get(thread)
        if usage is not None:
            self._usage.move_to_end(thread)
        return usage

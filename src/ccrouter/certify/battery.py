"""All probes in their order, and the run of them. To add one: write it, and add its line here."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ccrouter.certify import probes_media as media
from ccrouter.certify import probes_text as text
from ccrouter.certify import probes_thinking as thinking
from ccrouter.certify import probes_tools as tools
from ccrouter.certify.asking import Asker, BudgetSpent
from ccrouter.certify.bench import Bench, Finding, Probe, unknown
from ccrouter.secret import Secret, redact

#: What must work for anything else to be worth asking.
FIRST = "answers"
_TOOLS = ("tools",)
#: Characters of evidence.
_LONGEST = 200

PROBES: tuple[Probe, ...] = (
    Probe(FIRST, "answers at all", text.answers, 2, 2_100),
    Probe("streaming", "streams", text.streaming, 2, 2_200),
    Probe("usage", "counts tokens", text.usage, 1, 1_100),
    Probe("stop-reasons", "says that it was cut", text.stop_reasons, 1, 100),
    Probe("limits", "limits of max_tokens", text.limits, 3, 3_200),
    Probe("sampling", "temperature, top_k", text.sampling, 2, 2_200),
    Probe("stops", "stop sequences", text.stops, 4, 4_400),
    Probe("system", "system turns in between", text.system_turns, 1, 1_100),
    Probe("tools", "calls a tool", tools.tools, 2, 2_400),
    Probe("arguments", "streams arguments", tools.arguments, 1, 1_200, _TOOLS),
    Probe("parallel", "calls tools in parallel", tools.parallel, 2, 2_400, _TOOLS),
    Probe("choices", "forms of tool_choice", tools.choices, 3, 3_600, _TOOLS),
    Probe("results", "reads tool results, ids", tools.results, 5, 6_000, _TOOLS),
    Probe("after-results", "words behind results", tools.words_after_results, 1, 1_200, ("tools", "results")),
    Probe("names", "length of tool names", tools.names, 2, 2_400, _TOOLS),
    Probe("thinking", "thinking on and off", thinking.thinking, 10, 20_000),
    Probe("efforts", "words for effort", thinking.efforts, 6, 1_800),
    Probe("budgets", "thinking budgets", thinking.budgets, 1, 2_100),
    Probe("images", "sees images", media.images, 1, 1_300),
    Probe("tool-images", "sees images in results", media.tool_images, 1, 1_400, ("results", "images")),
    Probe("documents", "reads PDF", media.documents, 1, 1_600),
    Probe("structured", "matches a JSON schema", text.structured, 2, 2_200),
    Probe("caching", "caches what repeats", text.caching, 4, 13_000),
    Probe("errors", "errors: unknown model", text.errors, 1, 100),
    Probe("key", "errors: wrong key", text.wrong_key, 1, 100),
)

Told = Callable[[Probe, Finding | None], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found: by probe, in their order, and all changes to the profile together."""

    findings: Mapping[str, Finding] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


def chosen(only: Collection[str], skipped: Collection[str]) -> tuple[Probe, ...]:
    """The probes that are asked for (all if none is) with those that they need, without the `skipped`."""
    wanted = {*(only or [probe.name for probe in PROBES]), FIRST}
    for probe in reversed(PROBES):
        if probe.name in wanted:
            wanted |= set(probe.needs)
    return tuple(
        probe for probe in PROBES if probe.name in wanted and (probe.name not in skipped or probe.name == FIRST)
    )


def most(probes: Sequence[Probe]) -> tuple[int, int]:
    """The most requests and tokens that these probes take."""
    return sum(probe.requests for probe in probes), sum(probe.tokens for probe in probes)


class Battery:
    """One run of probes, which can be looked at in the middle: `outcome` is what is known so far. None of the `secrets`
    is in what it finds.
    """

    def __init__(self, asker: Asker, probes: Sequence[Probe], tell: Told, secrets: Sequence[Secret] = ()) -> None:
        self._bench = Bench(asker)
        self._probes = probes
        self._tell = tell
        self._secrets = secrets
        self._findings: dict[str, Finding] = {}

    @property
    def outcome(self) -> Outcome:
        """What is known so far."""
        return Outcome(dict(self._findings), dict(self._bench.found))

    async def run(self) -> Outcome:
        """What there is to know. `tell` is called before each probe, with None, and after it.

        Raises Unanswerable if the provider does not answer at all, and Denied for what the policy does not let leave.
        """
        is_spent = False
        for probe in self._probes:
            missing = [name for name in probe.needs if self._has_failed(name)]
            self._tell(probe, None)
            if is_spent:
                finding = unknown("not asked: the budget is spent")
            elif missing:
                finding = unknown(f"not asked: it needs {missing[0]}")
            else:
                try:
                    finding = await probe.run(self._bench)
                except BudgetSpent:
                    is_spent, finding = True, unknown("not asked to its end: the budget is spent")
            finding = replace(finding, evidence=_short(redact(finding.evidence, self._secrets)))
            if self._bench.asker.endpoint.dialect == "anthropic":
                # Requests go out there as they came: nothing has to be known of the model.
                finding = replace(finding, changes={})
            self._findings[probe.name] = finding
            self._bench.found |= finding.changes
            self._tell(probe, finding)
        return self.outcome

    def _has_failed(self, name: str) -> bool:
        found = self._findings.get(name)
        return found is None or found.verdict != "pass"


def _short(words: str) -> str:
    """The words in one line, cut where they become a story."""
    line = re.sub(r"\s+", " ", words).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"

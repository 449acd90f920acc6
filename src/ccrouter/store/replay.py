"""Recorded decisions made once more, under another policy or another configuration. Pure: nothing is sent, asked, run
or changed, and nothing is known of a request but what was recorded of it.

The same code decides as for a request (`routing.rules`, `routing.plan`, `gateway.approval`). What it would have to know
and nobody recorded makes a request undecidable, and is named; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ccrouter.compliance.policy import Policy
from ccrouter.config.projects import UnusableRouter
from ccrouter.config.schema import Config, Router, Target
from ccrouter.errors import Denied, NoTarget, RouterError
from ccrouter.gateway.approval import Approval
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import Billed
from ccrouter.prices.price import cost_of
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.plan import make_plan
from ccrouter.routing.rules import Route, choose
from ccrouter.routing.sessions import SessionUsage
from ccrouter.store.entry import Prices

if TYPE_CHECKING:
    from ccrouter.store.reports import Decision

#: What became of a request: as it was; refused by a rule; sent elsewhere first; served, though it was refused or failed
#: before anything was sent; served by nobody; or nobody can tell.
Change = Literal["unchanged", "blocked", "rerouted", "served", "unserved", "undecidable"]
CHANGES: tuple[Change, ...] = ("blocked", "rerouted", "served", "unserved", "undecidable", "unchanged")

#: Decisions between two pauses.
SLICE = 100
#: Groups that are told of each change, and requests that are named of each group.
_MOST_GROUPS = 50
_MOST_EXAMPLES = 3
_MOST_NAMES = 5
#: Rules that come after `think`, which alone asks for the effort.
_AFTER_EFFORT = frozenset({"think", "alias", "main", "default"})
_NO_TOKENS = "how many tokens it had: nobody counted them, and no provider reported any"
_NO_EFFORT = "at which effort it was to think: that was said within the conversation, which is not recorded"
_OTHER_CODE = "what your own router would choose: its code is not run in a simulation"
_REFUSED = "denied"


class _NotRecorded(RouterError):
    """Deciding needs a fact that nobody recorded. The text names it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is decided for a request: where it is sent first and how that is written ("provider,model"), or why it is
    not sent. `rule` is "" unless a rule refuses it; `words` say why.
    """

    kind: Literal["sent", "denied", "unserved", "undecidable"]
    route: str = ""
    target: Target | None = None
    others: tuple[str, ...] = ()
    rule: str = ""
    words: str = ""

    @property
    def place(self) -> str:
        """Where it is sent first; "" if nowhere."""
        return "" if self.target is None else str(self.target)


class Setup:
    """One configuration under one policy, as far as they decide. `router_of` gives the router of a session's own, None
    for those without one; `code` is the file of the user's own router that was in force when decisions were recorded.
    """

    def __init__(
        self,
        config: Config,
        policy: Policy,
        prices: Prices,
        *,
        router_of: Callable[[str], Router | None] = lambda _session: None,
        code: Path | None = None,
    ) -> None:
        self._config = config
        self._catalog = Catalog(config.providers, config.unavailable)
        self._approval = Approval(policy, None)
        self._prices = prices
        self._router_of = router_of
        own = config.custom_router.path if config.custom_router else None
        self._has_code = own is not None
        self._has_other_code = own is not None and own != code

    def decide(self, decision: Decision, previous_context: int) -> Outcome:
        """What is decided for the request now. `previous_context` as for `choose`."""
        try:
            return self._decide(decision, previous_context)
        except Denied as denied:
            return Outcome("denied", rule=denied.rule, words=str(denied))
        except _NotRecorded as missing:
            return Outcome("undecidable", words=str(missing))
        except (NoTarget, UnusableRouter) as error:
            return Outcome("unserved", words=str(error))

    def usd(self, target: Target, decision: Decision) -> float | None:
        """What the recorded use would cost there; None if no use or no price is known."""
        usage, provider = decision.usage, target.provider
        if not (usage.context or usage.output_tokens):
            return None
        host = urlsplit(provider.endpoints[0].url).hostname if provider.endpoints else None
        price = self._prices.price_of(provider.name, host or "", provider.profile or "", target.model)
        return cost_of(price, usage, Billed()).usd

    def _decide(self, decision: Decision, previous_context: int) -> Outcome:
        facts = decision.facts
        router = self._router_of(facts.session_id) or self._config.router
        try:
            route = self._route(decision, router, previous_context)
        except NoTarget:
            self._approval.judge_name(facts.subagent_model)
            self._approval.judge_name(facts.asked)
            raise
        plan = make_plan(route, router, self._catalog)
        viewer = router.routes.get("image") if facts.has_image else None
        seeing = None if viewer is None else self._catalog.target(viewer)
        for target in plan.every if seeing is None else (*plan.every, seeing):
            self._approval.judge(target)
        others = tuple(str(self._approval.sendable(one)) for one in plan.targets[1:])
        return Outcome("sent", route.name, self._approval.sendable(route.target), others)

    def _route(self, decision: Decision, router: Router, previous_context: int) -> Route:
        if self._has_other_code:
            raise _NotRecorded(_OTHER_CODE)
        facts = decision.facts
        if self._has_code and decision.route == "custom":
            chosen = self._catalog.resolve(decision.targets[0]) if decision.targets else None
            if chosen is None:
                raise _NotRecorded(_OTHER_CODE)
            return Route("custom", chosen, decision.reason)

        def count() -> int:
            tokens = decision.estimate or decision.usage.context
            if not tokens:
                raise _NotRecorded(_NO_TOKENS)
            return tokens

        route = choose(facts, router, self._catalog, count, previous_context)
        is_unsaid = facts.thinking == "adaptive" and not facts.effort and decision.route == "think"
        if is_unsaid and "think" in router.routes and route.name in _AFTER_EFFORT:
            raise _NotRecorded(_NO_EFFORT)
        return route


@dataclass(slots=True)
class Sum:
    """Costs before and after, of the requests whose two costs are known, and how many there are of the others; and
    what was `spent` on all whose cost is on record.
    """

    spent: float = 0.0
    priced: int = 0
    recorded: float = 0.0
    simulated: float = 0.0
    known: int = 0
    unknown: int = 0

    def add(self, recorded: float | None, simulated: float | None) -> None:
        if recorded is not None:
            self.spent += recorded
            self.priced += 1
        if recorded is None or simulated is None:
            self.unknown += 1
            return
        self.recorded += recorded
        self.simulated += simulated
        self.known += 1

    def told(self) -> JsonObject:
        """As plain values; None where not one cost is known."""
        figures = (self.recorded, self.simulated, self.simulated - self.recorded)
        told: JsonObject = {
            name: round(figure, 9) if self.known else None
            for name, figure in zip(("recorded", "simulated", "difference"), figures, strict=True)
        }
        spent = round(self.spent, 9) if self.priced else None
        return told | {"spent": spent, "known": self.known, "unknown": self.unknown}


@dataclass(slots=True)
class Group:
    """Requests to which the same happened, for the same reason: what they have in common, and who they were."""

    facts: JsonObject
    requests: int = 0
    sessions: set[str] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=dict)
    agents: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    first: str = ""
    last: str = ""
    cost: Sum = field(default_factory=Sum)

    def add(self, decision: Decision) -> None:
        self.requests += 1
        if decision.session:
            self.sessions.add(decision.session)
        self.asked[decision.facts.asked] = self.asked.get(decision.facts.asked, 0) + 1
        agent = decision.facts.agent_type
        if agent:
            self.agents[agent] = self.agents.get(agent, 0) + 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(decision.id)
        self.first, self.last = self.first or decision.began, decision.began

    def told(self) -> JsonObject:
        return {
            **self.facts,
            "requests": self.requests,
            "sessions": len(self.sessions),
            "asked": _most(self.asked),
            "agents": _most(self.agents),
            "examples": list(self.examples),
            "first": self.first,
            "last": self.last,
            "cost": self.cost.told(),
        }


class Replay:
    """What a proposal would have done with recorded decisions. Feed them in the order of time."""

    def __init__(self, present: Setup, proposed: Setup) -> None:
        self._present = present
        self._proposed = proposed
        self._usage = SessionUsage(20_000)
        self._counts = dict.fromkeys(CHANGES, 0)
        self._groups: dict[tuple[str, ...], Group] = {}
        self._cost = Sum()
        self._first = self._last = ""

    def feed(self, decision: Decision) -> Change:
        """What would have become of the request; after the call it is counted."""
        previous = self._usage.previous(decision.facts.thread)
        after = self._proposed.decide(decision, previous)
        before = self._before(decision, previous)
        change = _change(decision, before, after)
        if decision.status < 400:
            self._usage.record(decision.facts.thread, decision.usage.context, decision.estimate)
        recorded, simulated = self._costs(change, decision, after)
        self._counts[change] += 1
        self._first, self._last = self._first or decision.began, decision.began
        if change != "undecidable":
            self._cost.add(recorded, simulated)
        if change != "unchanged":
            group = self._group(change, decision, before, after)
            group.add(decision)
            if change != "undecidable":
                group.cost.add(recorded, simulated)
        return change

    def told(self) -> JsonObject:
        """Counts, costs, and the groups of each change, the largest first, as plain values."""
        groups: dict[str, list[JsonObject]] = {change: [] for change in CHANGES if change != "unchanged"}
        for key, group in sorted(self._groups.items(), key=lambda item: -item[1].requests):
            groups[key[0]].append(group.told())
        return {
            "considered": sum(self._counts.values()),
            "first": self._first or None,
            "last": self._last or None,
            "counts": dict(self._counts),
            "cost": self._cost.told(),
            "groups": {change: found[:_MOST_GROUPS] for change, found in groups.items()},
            "moreGroups": {change: max(0, len(found) - _MOST_GROUPS) for change, found in groups.items()},
        }

    def _before(self, decision: Decision, previous: int) -> str:
        """Where it was sent first. Where that was a fallback of the plan that is in force, as the first one was being
        passed over, it is the plan's first: a provider's bad day is no difference of the proposal.
        """
        if not decision.targets:
            return ""
        tried = decision.targets[0]
        if len(set(decision.targets)) == 1 and decision.provider:
            tried = f"{decision.provider},{decision.sent}"
        present = self._present.decide(decision, previous)
        is_fallback = present.kind == "sent" and present.route == decision.route and tried in present.others
        return present.place if is_fallback else tried

    def _costs(self, change: Change, decision: Decision, after: Outcome) -> tuple[float | None, float | None]:
        if change == "unchanged":
            return decision.usd, decision.usd
        if change in {"blocked", "unserved"}:
            return decision.usd, 0.0
        return decision.usd, None if after.target is None else self._proposed.usd(after.target, decision)

    def _group(self, change: Change, decision: Decision, before: str, after: Outcome) -> Group:
        names = {
            "blocked": {"rule": after.rule, "from": before, "words": after.words},
            "rerouted": {
                "from": before,
                "to": after.place,
                "routeBefore": decision.route,
                "routeAfter": after.route,
            },
            "served": {"was": decision.policy or "nobody served it", "to": after.place, "routeAfter": after.route},
            "unserved": {"from": before, "words": after.words},
        }
        facts: JsonObject = dict(names.get(change, {"words": after.words}))
        key = (change, *map(str, facts.values()))
        if key not in self._groups:
            self._groups[key] = Group(facts)
        return self._groups[key]


def replay(
    decisions: Iterable[Decision], present: Setup, proposed: Setup, pause: Callable[[], None] = lambda: None
) -> JsonObject:
    """What `proposed` would have done with `decisions`, the oldest first; `present` is what is in force.

    `pause` is called between slices, for those who share the processor.
    """
    run = Replay(present, proposed)
    for number, decision in enumerate(decisions, 1):
        run.feed(decision)
        if number % SLICE == 0:
            pause()
    return run.told()


def _change(decision: Decision, before: str, after: Outcome) -> Change:
    was_denied = decision.policy.startswith(_REFUSED)
    if after.kind == "undecidable":
        return "undecidable"
    if after.kind == "denied":
        return "unchanged" if was_denied else "blocked"
    if after.kind == "unserved":
        return "unchanged" if was_denied or not before else "unserved"
    if was_denied or not before:
        return "served"
    return "unchanged" if after.place == before else "rerouted"


def _most(counted: Mapping[str, int]) -> list[str]:
    return sorted(counted, key=lambda name: (-counted[name], name))[:_MOST_NAMES]


def only(decisions: Iterable[Decision], until: str) -> list[Decision]:
    """Those that began before `until` ("" for any), given the newest first, in the order of time."""
    kept = [one for one in decisions if not until or one.began < until]
    kept.reverse()
    return kept

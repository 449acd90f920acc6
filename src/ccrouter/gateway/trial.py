"""What would become of a request: put in words at each step that a real one takes. Nothing is sent.

The steps are the pipeline's own (`Gateway.explain` takes them); here is noted what they came to. What is quoted of the
request are its names and figures, never what was said in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ccrouter.config.schema import Target
from ccrouter.dialects.ledger import Entry, summed_up
from ccrouter.errors import Denied, RouterError
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.pursuit import Means, rank
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Exchange
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.fault import Fault, fault_of
from ccrouter.routing.facts import RequestFacts
from ccrouter.routing.plan import Plan
from ccrouter.routing.rules import Route

#: Of the names that a client may choose, characters that are told; of lists of names, entries.
_LONGEST = 300
_MOST_NAMES = 200


@dataclass(slots=True)
class Trial:
    """One request on its way to nowhere. `told` is what came of it so far, as plain values."""

    means: Means
    approval: Approval
    exchange: Exchange
    affinity: str = ""
    told: JsonObject = field(default_factory=dict)

    @contextlib.contextmanager
    def noting_end(self) -> Iterator[None]:
        """An error within is what the client would be answered with."""
        self.told |= {"result": "sent", "error": None, "route": None}
        self.told |= {"facts": None, "tokens": None, "targets": [], "viewer": None, "translation": None}
        try:
            yield
        except RouterError as error:
            self._note_error(error)

    def note_request(self, facts: RequestFacts, estimate: int, previous: int, threshold: int) -> None:
        """What the request says and how long it is; `previous` is what the conversation's last answer reported."""
        exchange = self.exchange
        self.affinity = facts.session_id or exchange.id
        self.told["facts"] = {
            "asked": facts.asked[:_LONGEST],
            "client": exchange.client or None,
            "session": facts.session_id or None,
            "agent": facts.agent_id[:_LONGEST] or None,
            "agentType": facts.agent_type[:_LONGEST] or None,
            "requestClass": facts.request_class[:_LONGEST] or None,
            "taskClass": facts.task_class[:_LONGEST] or None,
            "subagentModel": (facts.subagent_model or "")[:_LONGEST] or None,
            "thinking": facts.thinking or None,
            "thinkingBudget": facts.thinking_budget,
            "effort": facts.current_effort() or None,
            "newImage": facts.has_image,
            "anyImage": facts.has_any_image(),
            "webSearch": facts.has_web_search,
            "probe": facts.is_probe,
            "streamed": exchange.streamed,
            "bytes": exchange.size,
            "turns": len(facts.turns),
        }
        self.told["tokens"] = {"estimate": estimate, "previous": previous or None, "longContextAbove": threshold}

    def follow(self, question: Question, route: Route, plan: Plan) -> None:
        """Whom the plan would ask, in which order, and what the policy says of each. Raises Denied, if it says no."""
        self.told["route"] = {
            "name": route.name,
            "reason": route.reason,
            "alias": route.alias or None,
            "fidelity": self.exchange.fidelity,
        }
        order = self._order(plan)
        longer = [target for target in plan.every if target not in plan.targets]
        roles = [(target, "first" if target == plan.targets[0] else "fallback") for target in plan.targets]
        self.told["targets"] = [
            *({**self._target(target), "role": role, "turn": order.index(target) + 1} for target, role in roles),
            *({**self._target(target), "role": "longer", "turn": None} for target in longer),
        ]
        viewer = question.viewer
        if viewer is not None:
            self.told["viewer"] = {**self._target(viewer.target), "isNeeded": viewer.is_needed_by(order[0])}
        self.approval.approve(plan.every if viewer is None else (*plan.every, viewer.target), self.exchange)

    async def translate(self, question: Question, plan: Plan) -> None:
        """What the first target would be sent. Raises what encoding raises."""
        target = self._order(plan)[0]
        choice = self.means.health.choose(target, self.affinity)
        provider = target.provider if choice is None else target.provider.using(choice.key)
        asked = self.approval.sendable(Target(provider, target.model))
        sent = None
        try:
            sent = await self.means.attempter.rehearse(question, asked, self.exchange)
        finally:
            size = None if sent is None else len(sent.body)
            self.told["translation"] = {**self._translation(asked), "bytes": size}

    def _order(self, plan: Plan) -> list[Target]:
        """The targets as they would be asked now, if each failed at once."""
        return sorted(plan.targets, key=lambda target: rank(self.means.health, target, self.affinity))

    def _translation(self, target: Target) -> JsonObject:
        """What became of everything asked, by the last encoding."""
        exchange = self.exchange
        return {
            "target": str(target),
            "dialect": target.endpoint.dialect,
            "model": target.model,
            "transforms": list(exchange.transforms),
            "kept": sorted(exchange.kept)[:_MOST_NAMES],
            "mapped": sorted(exchange.mapped)[:_MOST_NAMES],
            "losses": [_entry(one) for one in summed_up(exchange.losses)],
        }

    def _target(self, target: Target) -> JsonObject:
        health, endpoint = self.means.health, target.endpoint
        choice = health.choose(target, self.affinity)
        state = health.target_state(target.provider.name, target.model)
        key = None
        if choice is not None:
            held = health.key_state(target.provider.name, choice.key.id)
            wait = choice.free_at - health.now
            key = {
                "label": choice.key.label,
                "freeInSeconds": round(wait, 1) if wait > 0 else None,
                "disabled": (held.disabled if held is not None else "") or None,
            }
        return {
            "provider": target.provider.name,
            "model": target.model,
            "dialect": endpoint.dialect,
            "host": urlsplit(endpoint.public_url).netloc or None,
            "denied": self._denial(target),
            "failures": state.failures if state is not None else 0,
            "passedOver": health.is_open(target),
            "key": key,
        }

    def _denial(self, target: Target) -> str | None:
        try:
            self.approval.judge(target)
        except Denied as denied:
            return str(denied)
        return None

    def _note_error(self, error: RouterError) -> None:
        fault: Fault = fault_of(error)
        self.told["result"] = "denied" if isinstance(error, Denied) else "refused"
        rule = error.rule if isinstance(error, Denied) else None
        self.told["error"] = {"status": fault.status, "type": fault.type, "message": fault.message, "rule": rule}


def _entry(entry: Entry) -> JsonObject:
    return {
        "path": entry.path,
        "what": entry.what,
        "fate": entry.fate,
        "count": entry.count,
        "places": list(entry.places),
    }

"""What the policy says of a plan before anything of it is sent, and the account of it for the auditor.

Every target of a plan is judged, the fallbacks too: none of them is left out for another, the request is refused.
Asks `compliance.judge`; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ccrouter.compliance.judge import Passage, enforce
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Target
from ccrouter.errors import Denied
from ccrouter.gateway.record import Auditor, Exchange
from ccrouter.secret import Redactor, Secret
from ccrouter.upstream.egress import place_of

#: Longer names and reasons are cut in the account: they may be a client's.
_LONGEST = 300


class Approval:
    """Judges plans by one policy, and tells the auditor, if there is one, before anything is sent."""

    def __init__(self, policy: Policy, auditor: Auditor | None, secrets: Iterable[Secret]) -> None:
        self.policy = policy
        self._auditor = auditor
        self._redactor = Redactor(secrets)

    def approve(self, targets: Sequence[Target], exchange: Exchange) -> None:
        """Judge every target and write the decision down.

        Raises Denied with `exchange.target` the one that is not allowed, and what the auditor raises if the decision
        must be written and cannot be.
        """
        for target in targets:
            exchange.target = str(target)
            self.judge(target)
        exchange.target = str(targets[0])
        if self._auditor is not None:
            self._record("decision", exchange, {
                "targets": [self._clean(str(target)) for target in targets],
                "reason": self._clean(exchange.reason),
                "result": "allowed",
            })  # fmt: skip

    def judge(self, target: Target) -> None:
        """Raises Denied if the policy does not allow this provider, this model or the places it would go to."""
        policy = self.policy
        if not policy.is_in_force:
            return
        enforce(policy, Passage(provider=target.provider.name, model=target.model))
        enforce(policy, Passage(sent=policy.model_sent(target.model)))
        for endpoint in target.provider.endpoints:
            enforce(policy, place_of(target.provider, endpoint))

    def judge_name(self, name: str | None) -> None:
        """Raises Denied if `name` is "provider,model" and the policy does not allow a provider of that name, whether or
        not one is configured.
        """
        provider, comma, _ = (name or "").partition(",")
        if comma:
            enforce(self.policy, Passage(provider=provider.strip()))

    def sendable(self, target: Target) -> Target:
        """The target with the model that goes out for the configured one."""
        model = self.policy.model_sent(target.model)
        if model == target.model:
            return target
        by_model = target.provider.model_transforms
        provider = target.provider
        if target.model in by_model:  # what was configured for the one holds for the other, under its name
            provider = replace(provider, model_transforms={**by_model, model: by_model[target.model]})
        return Target(provider, model)

    def note_denial(self, denied: Denied, exchange: Exchange) -> None:
        """Write the denial down, whoever raised it. Raises what the auditor raises if it must be and cannot be."""
        if self._auditor is not None:
            facts = {"rule": denied.rule, "reason": self._clean(str(denied)), "result": "denied"}
            self._record("denial", exchange, facts)

    def _record(self, kind: str, exchange: Exchange, facts: Mapping[str, object]) -> None:
        assert self._auditor is not None, "asked by both callers"
        self._auditor.record(kind, {
            "request": exchange.id,
            "session": self._clean(exchange.session),
            "path": exchange.path,
            "asked": self._clean(exchange.asked),
            "target": self._clean(exchange.target),
            "route": exchange.route,
            "policy": self.policy.digest,
            **facts,
        })  # fmt: skip
        exchange.is_decided = True

    def _clean(self, text: str) -> str:
        """Without secrets, and short: first the secrets, so that none is cut in two."""
        return self._redactor.redact(text[: 8 * _LONGEST])[:_LONGEST]

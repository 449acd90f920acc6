"""What the policy says of a plan before anything of it is sent, and the account of it for the auditor.

Every target of a plan is judged, the fallbacks too: none of them is left out for another, the request is refused.
Asks `compliance.judge`; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from ccrouter.compliance.judge import Passage, Violation, denial, enforce
from ccrouter.compliance.policy import Policy
from ccrouter.compliance.walk import refs_of
from ccrouter.config.projects import UnusableRouter
from ccrouter.config.schema import Target
from ccrouter.errors import ClientError, Denied
from ccrouter.gateway.record import Auditor, Exchange
from ccrouter.upstream.egress import place_of


class Approval:
    """Judges plans by one policy, and tells the auditor, if there is one, before anything is sent.

    The auditor is told facts as they are: to take secrets out of them, and to shorten them, is its own business.
    """

    def __init__(self, policy: Policy, auditor: Auditor | None) -> None:
        self.policy = policy
        self._auditor = auditor

    def approve(self, targets: Sequence[Target], exchange: Exchange, *, is_recorded: bool = True) -> None:
        """Judge every target and, where it `is_recorded`, write the decision down.

        Raises Denied with `exchange.target` the one that is not allowed, and what the auditor raises if the decision
        must be written and cannot be.
        """
        for target in targets:
            exchange.target = str(target)
            self.judge(target)
        exchange.target = str(targets[0])
        exchange.policy = "allowed" if self.policy.is_in_force else ""
        if is_recorded:
            self._record("decision", exchange, {
                "targets": [str(target) for target in targets],
                "reason": exchange.reason,
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

    def judge_unlisted(self, name: str) -> None:
        """Raises Denied if `name`, which stands for nothing that is configured, is no model that the policy allows."""
        enforce(self.policy, Passage(model=name))

    def refuse_router(self, error: UnusableRouter, exchange: Exchange) -> NoReturn:
        """Raises Denied if the policy does not allow what the router of a project or session names, or demands that it
        can be read; else ClientError (500), and the refusal is written down.
        """
        for ref in refs_of(error.draft) if error.draft else ():
            exchange.target = ref.text
            self.judge_name(ref.text)
        exchange.target = ""
        first = error.problems[0]
        what = f"{first.path}: {first.message}" if first.path else first.message
        message = f"the router of this project or session cannot be used: {error.file}: {what}"
        if self.policy.strict_syntax:
            raise denial(self.policy, Violation("strictSyntax", message))
        self._record("denial", exchange, {"reason": message, "result": "refused"})
        raise ClientError(message, status=500, type="api_error")

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
        exchange.policy = f"denied: {denied.rule}"
        self._record("denial", exchange, {"rule": denied.rule, "reason": str(denied), "result": "denied"})

    def _record(self, kind: str, exchange: Exchange, facts: Mapping[str, object]) -> None:
        if self._auditor is None:
            return
        self._auditor.record(kind, {
            "request": exchange.id,
            "session": exchange.session,
            "path": exchange.path,
            "asked": exchange.asked,
            "target": exchange.target,
            "route": exchange.route,
            "policy": self.policy.digest,
            **facts,
        })  # fmt: skip
        exchange.is_decided = True

"""What an examination finds, and what it comes to. Data, and the numbers that `ccr verify` exits with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial

from ccrouter.compliance.judge import Claim, Violation, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.report import IN_THE_FILE, Place
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, Problem
from ccrouter.secret import Secret, redact

#: Exit codes of `ccr verify` for what is no rule's: docs/policy.md has all of them.
OTHER, MISSING, MALFORMED, NO_OBJECT, NO_PROVIDERS, NO_ROUTER, WRONG_HOST, NO_MODELS = 1, 2, 3, 10, 11, 12, 13, 16
BANNED_PROVIDER, OTHER_PROVIDER = 20, 21
TRANSFORMER, ROUTE_FORMAT, NO_ROUTE, ROUTE_PROVIDER, ROUTE_MODEL = 23, 30, 31, 32, 33
DESTINATION, CLIENT_KEY, KEY_SOURCE, FILES, EXTENSION, PROXY, SYNTAX, POLICY = 34, 35, 36, 37, 38, 39, 40, 41

_BY_RULE = {
    "providers.banned": BANNED_PROVIDER,
    "providers.allowed": OTHER_PROVIDER,
    "models.banned": 22,
    "models.allowed": 22,
    "httpsOnly": DESTINATION,
    "hosts.banned": DESTINATION,
    "hosts.allowed": DESTINATION,
    "addresses.banned": DESTINATION,
    "proxies.allowed": PROXY,
    "loopbackOnly": WRONG_HOST,
    "clientKey": CLIENT_KEY,
    "keySources": KEY_SOURCE,
    "extensions.allowed": EXTENSION,
}
_BY_ROUTE = {BANNED_PROVIDER: ROUTE_PROVIDER, OTHER_PROVIDER: ROUTE_PROVIDER, 22: ROUTE_MODEL}

# Where the configuration's own problems stand → code; the first that matches counts.
_BY_PLACE = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"(HOST|--host|servers\..*HOST)$", WRONG_HOST),
        (r"(APIKEY|--apikey)$", CLIENT_KEY),
        (r"(PROXY_URL|https_?proxy|providers\W.*\.proxy)$", PROXY),
        (r"providers$", NO_PROVIDERS),
        (r"providers\[\d+\]$", 14),
        (r"providers\W.*\.name$", 15),
        (r"providers\W.*\.models?$", NO_MODELS),
        (r"providers\W.*\.models?\W", 17),
        (r"providers\W.*\.transformer$", 18),
        (r"providers\W.*\.transformer\W", 19),
        (r"providers\W.*\.(api_?keys?|key)(\[\d+\](\.\w+)?|\.\w+)?$", KEY_SOURCE),
        (r"providers\W.*\.(api_?base_?url|base_?url|url|endpoint|host)$", DESTINATION),
        (r"(Router|routers)$", NO_ROUTER),
    )
)
_IS_ROUTE = re.compile(r"(Router|routers\..*|fallback)\W", re.IGNORECASE)
_ROUTE_MESSAGES = (("is missing", NO_ROUTE), ("no provider is called", ROUTE_PROVIDER), ("lists a model", ROUTE_MODEL))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which file, where in it, what, by which rule, and what to do.

    `rule` is a rule's path in the policy document; "" if the configuration cannot be used whatever the policy. `code`
    is the exit code of `ccr verify` for it. `message` can stand alone.
    """

    file: str
    path: str
    message: str
    rule: str
    code: int
    hint: str = ""

    @property
    def problem(self) -> Problem:
        """The same as a problem of the configuration, the rule named behind the message."""
        path = "" if self.path in self.message else self.path
        message = self.message.removeprefix(f"{self.file} ")
        message = f"{message} (rule {self.rule})" if self.rule else message
        return Problem(self.file, path, message, self.hint)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the examination of a configuration under `policy` came to. `config` is None if it cannot be used at all.

    The errors are in the order of their codes, `OTHER` last.
    """

    config: Config | None
    policy: Policy
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def accepted(self) -> Config:
        """The configuration. Raises ConfigError with every error if there is one."""
        if self.errors or self.config is None:
            raise ConfigError([finding.problem for finding in self.errors])
        return self.config


@dataclass(slots=True)
class Findings:
    """What was found so far under `policy`. `secrets` are in no message that is taken out."""

    policy: Policy
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list, repr=False)

    def ask(self, claim: Claim, place: Place, prefix: str = "", code: int | None = None) -> Violation | None:
        """Asks whether the policy allows `claim`, which stands at `place`; an error if it does not.

        `prefix` stands before the violation's own message.
        """
        violation = judge(self.policy, claim)
        if violation is not None:
            hint = f"allowed: {', '.join(violation.allowed)}" if violation.allowed else ""
            self.refuse(place, prefix + violation.message, violation.rule, code or _BY_RULE[violation.rule], hint)
        return violation

    def ask_of_route(self, claim: Claim, place: Place, what: str) -> Violation | None:
        """As `ask`, for something that a route leads to: the message says the path."""
        violation = judge(self.policy, claim)
        if violation is not None:
            code = _BY_ROUTE.get(_BY_RULE[violation.rule], _BY_RULE[violation.rule])
            self.ask(claim, place, f"{place.path} → {what}: ", code)
        return violation

    def refuse(self, place: Place, message: str, rule: str, code: int, hint: str = "") -> None:
        """Adds an error."""
        self.errors.append(Finding(place.report.file, place.path, message, rule, code, hint))

    def add_problem(self, problem: Problem, *, is_error: bool = True) -> None:
        """Adds what the reader of configurations found by itself."""
        origins = self.policy.allowed_key_origins
        hint = problem.hint if origins is None or "file" in origins else problem.hint.removesuffix(IN_THE_FILE)
        finding = Finding(problem.file, problem.path, problem.message, "", code_of(problem), hint)
        (self.errors if is_error else self.warnings).append(finding)

    def verdict(self, config: Config | None) -> Verdict:
        """What all this comes to: nothing twice, and no word of the reader's where a rule has spoken."""
        errors = sorted(_once(self.errors), key=_rank)
        warnings = _once(self.warnings)
        # A place within the file: what is wrong with the file as a whole (its mode, its syntax) are different things.
        ruled = {(finding.file, finding.path) for finding in errors if finding.rule and finding.path}
        told = [finding for finding in warnings if finding.rule or (finding.file, finding.path) not in ruled]
        kept = [finding for finding in errors if finding.rule or (finding.file, finding.path) not in ruled]
        clean = partial(_without, secrets=tuple(self.secrets))
        return Verdict(config, self.policy, tuple(map(clean, kept)), tuple(map(clean, told)))


def _once(findings: list[Finding]) -> list[Finding]:
    return list({(finding.file, finding.path, finding.message): finding for finding in findings}.values())


def _rank(finding: Finding) -> tuple[bool, int, bool]:
    return finding.code == OTHER, finding.code, not finding.rule


def _without(finding: Finding, secrets: tuple[Secret, ...]) -> Finding:
    return replace(finding, message=redact(finding.message, secrets), hint=redact(finding.hint, secrets))


def code_of(problem: Problem) -> int:
    """The exit code for a problem that the reader of configurations found, by where it stands."""
    found = next((code for pattern, code in _BY_PLACE if pattern.match(problem.path)), None)
    if found is not None:
        return found
    if _IS_ROUTE.match(problem.path):
        return next((code for words, code in _ROUTE_MESSAGES if words in problem.message), ROUTE_FORMAT)
    return OTHER

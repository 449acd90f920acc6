"""What another policy or another configuration would have done with the requests that were recorded. Nothing is changed
and nothing sent; a configuration that was pasted is read as at a start, and forgotten. Blocks: to be used in a thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccrouter.compliance.document import PRESETS, parse_policy, read_policy
from ccrouter.compliance.examine import examine
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.interpolate import Filled, fill
from ccrouter.config.load import router_folder
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.config.syntax import parse
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.prices.book import PriceBook
from ccrouter.secret import redact
from ccrouter.server.call import Call
from ccrouter.server.configfile import given_key, told_findings
from ccrouter.store.filters import Filters
from ccrouter.store.replay import Setup, only, replay

#: Decisions that are made once more at most: the newest.
MOST = 20_000
#: Seconds that are given up between two slices.
_PAUSE = 0.001
PRESENT, NONE, PASTED = "present", "none", "document"
#: Ranges by the words of the form; None: everything.
RANGES: Mapping[str, timedelta | None] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
_PASTED_POLICY = "the pasted policy"
_STAND_IN = "stands-in-mP7vX2qkR9tZw4bhL6ncJ8fyD3sgT5uaB1eKoN0iWxGrYzQdHjMpVlSfUcEtAvIbOhXkD7w"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be simulated. `policy` is "present", "none", the name of a preset, or "document" for `policy_text`;
    `config_text` "" means the configuration in force. `since` and `until` bound the time, None and "" for no bound.
    """

    policy: str = PRESENT
    policy_text: str = ""
    config_text: str = ""
    since: datetime | None = None
    until: str = ""


class Unusable(ClientError):
    """The policy or the configuration that was proposed cannot be read: `about` says which, `problems` why."""

    def __init__(self, about: str, problems: list[JsonObject]) -> None:
        words = "; ".join(
            f"{one['path']}: {one['message']}" if one["path"] else str(one["message"]) for one in problems
        )
        super().__init__(f"the {about} cannot be used: {words}", details={"about": about, "problems": problems})
        self.about = about
        self.problems = problems


def since_of(word: str, now: datetime) -> datetime | None:
    """The beginning of a range, by its word or as a time. Raises ClientError for neither."""
    if word in RANGES:
        span = RANGES[word]
        return None if span is None else now - span
    try:
        found = datetime.fromisoformat(word)
    except ValueError:
        raise ClientError(f"since must be one of {', '.join(RANGES)}, or a time such as 2026-11-22T10:00:00Z") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ClientError(f"{word} is no time that the calendar of UTC has") from None


def simulate(call: Call, wish: Wish) -> JsonObject:
    """What became of every recorded request under the proposal. Raises Unusable, and ClientError without records."""
    reports, edition, environ = call.process.reports, call.edition, call.process.environ
    if reports is None:
        raise ClientError("nothing is recorded by this router: there is nothing to simulate with", status=409)
    policy = _policy(wish, edition.policy, environ)
    config, refusals = _config(wish, edition.config, policy, environ)
    folder = router_folder(environ)
    code = edition.config.custom_router.path if edition.config.custom_router else None
    present = _setup(edition.config, edition.policy, environ, folder, code)
    proposed = _setup(config, policy, environ, folder, code)
    found = list(reports.decisions(wish.since, MOST))
    told = replay(only(found, wish.until), present, proposed, lambda: time.sleep(_PAUSE))
    until = datetime.fromisoformat(wish.until) if wish.until else None
    total = reports.requests(Filters(since=wish.since, until=until), limit=1)["total"]
    is_cut = len(found) >= MOST
    return {
        "policy": {"name": policy.name, "source": policy.source, "digest": policy.digest, "is": wish.policy},
        "config": {"isPresent": not wish.config_text, "digest": config.digest},
        "refusals": refusals,
        "isCut": is_cut,
        "most": MOST,
        "notRecorded": None if is_cut or total is None else max(0, total - told["considered"]),
        **told,
    }


def _setup(config: Config, policy: Policy, environ: Mapping[str, str], folder: Path, code: Path | None) -> Setup:
    routers = ProjectRouters(config, environ)
    return Setup(config, policy, PriceBook.load(config, folder), router_of=routers.router_for, code=code)


def _policy(wish: Wish, present: Policy, environ: Mapping[str, str]) -> Policy:
    if wish.policy == PRESENT:
        return present
    if wish.policy == NONE:
        return NO_POLICY
    try:
        if wish.policy in PRESETS:
            return read_policy(wish.policy, environ)
        if wish.policy == PASTED:
            return parse_policy(wish.policy_text, _PASTED_POLICY, environ)
    except ConfigError as error:
        problems: list[JsonObject] = [
            {"path": one.path, "message": redact(one.message), "rule": None, "hint": redact(one.hint)}
            for one in error.problems
        ]
        raise Unusable("policy", problems) from error
    known = ", ".join((PRESENT, NONE, *PRESETS, PASTED))
    raise ClientError(f"policy must be one of {known}")


def _config(wish: Wish, present: Config, policy: Policy, environ: Mapping[str, str]) -> tuple[Config, list[JsonObject]]:
    """The configuration to decide by, and what a start with it under `policy` would be refused for.

    Variables that have no value here are taken for set: whether they are is no matter of the simulation.
    """
    text = wish.config_text
    path = present.path or router_folder(environ) / "config.json"
    if not text:
        verdict = examine(present.path, environ, policy, given_key(present))
        return present, told_findings(verdict.errors, present.secrets)
    verdict = examine(path, _with_stand_ins(text, environ), policy, given_key(present), text=text)
    if verdict.config is None:
        raise Unusable("configuration", told_findings(verdict.errors, present.secrets))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    secrets = (*present.secrets, *verdict.config.secrets)
    return replace(verdict.config, digest=digest), told_findings(verdict.errors, secrets)


def _with_stand_ins(text: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    try:
        tree = parse(text, "").tree
    except ConfigError:
        return environ
    return {**environ, **dict.fromkeys(_unset(fill(tree, environ)), _STAND_IN)}


def _unset(node: Json) -> Iterable[str]:
    if isinstance(node, Filled):
        yield from node.unset
    elif isinstance(node, (list, dict)):
        for value in node if isinstance(node, list) else node.values():
            yield from _unset(value)

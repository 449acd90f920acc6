"""Which route a request takes: an ordered list of small rules, each with its reason. Pure; knows no provider's name.

What a request *is* (an image, a long conversation, a side call, a search, a hard problem) decides before what model it
asks for, because Claude Code names one model for nearly everything; the exception is a model named as "provider,model",
which somebody chose. So an alias, which says what serves an asked model, is a default of that model: it comes after the
rules on what the request is, and whoever wants it for everything leaves those routes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from ccrouter.config.schema import ModelRef, Router, Target
from ccrouter.errors import Denied, NoTarget
from ccrouter.messages.tokens import upper_bound
from ccrouter.routing.catalog import Catalog, refs_of, shown
from ccrouter.routing.facts import RequestFacts

#: Effort, from the least to the most (`output_config.effort` of the Messages API).
EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: With less than this a conversation is short, whatever its last turn was reported to take.
SHORT_CONTEXT = 20_000


@dataclass(frozen=True, slots=True)
class Route:
    """What a rule selected: the route's name, where to send the request first, and why, in one sentence; and if it was
    an alias, its pattern.
    """

    name: str
    target: Target
    reason: str
    alias: str = ""


def alias_of(asked: str, router: Router) -> tuple[str, ModelRef] | None:
    """The first alias whose pattern fits the asked model, in any case."""
    folded = asked.lower()
    return next((pair for pair in router.aliases if fnmatchcase(folded, pair[0].lower())), None)


@dataclass(frozen=True)
class Situation:
    """What a rule looks at. `tokens` is counted when the first rule asks for it, and once."""

    facts: RequestFacts
    router: Router
    catalog: Catalog
    count: Callable[[], int]
    previous_context: int = 0

    @cached_property
    def tokens(self) -> int:
        return self.count()

    @cached_property
    def alias(self) -> tuple[str, ModelRef] | None:
        return alias_of(self.facts.asked, self.router)

    def has(self, name: str) -> bool:
        """True if the router has a route of this name."""
        return name in self.router.routes

    def take(self, name: str, why: str) -> Route:
        """The route of this name, which the router has. Raises NoTarget if its provider is not configured."""
        return Route(name, self.find(self.router.routes[name], f"Router.{name}"), f"{name}: {why}")

    def find(self, ref: ModelRef, place: str) -> Target:
        """The target that `place` of the configuration names. Raises NoTarget if its provider is not configured."""
        target = self.catalog.target(ref)
        if target is None:
            raise NoTarget(
                f"{place} is {shown(str(ref))}, and no provider {shown(ref.provider)} is configured. "
                "Correct it in the config file, or add the provider there."
            )
        return target


def image(situation: Situation) -> Route | None:
    """New images go to the model that can see, even from an explicit one; not if that is asked for already.

    With `forceUseImageAgent` no image decides: whoever is asked has them looked at by that model.
    """
    facts = situation.facts
    if not situation.has("image") or not facts.has_image or situation.router.force_image_agent:
        return None
    route = situation.take("image", "the user's last message holds an image")
    if "," in facts.asked and situation.catalog.resolve(facts.asked) == route.target:
        return None
    return route


def explicit(situation: Situation) -> Route | None:
    """A model that somebody chose: "provider,model", or a bare name that is no Claude id and leads to one provider.

    Claude Code asks for bare Claude ids all the time without meaning more than "the usual", so those follow the rules.
    """
    asked = situation.facts.asked
    if "," not in asked and (asked.lower().startswith("claude") or situation.alias):
        return None
    target = situation.catalog.resolve(asked, situation.router.default_provider)
    if target is None:
        return None
    why = "is asked for by name" if "," in asked else f"is what {shown(asked)} leads to"
    return Route("explicit", _permitted(target, situation), f"explicit: {target} {why}")


def subagent_tag(situation: Situation) -> Route | None:
    """The model that the prompt of an agent names for itself."""
    model = situation.facts.subagent_model
    if not model:
        return None
    target = situation.catalog.resolve(model, situation.router.default_provider)
    if target is None:
        raise NoTarget(
            f"A <CCR-SUBAGENT-MODEL> tag asks for model {shown(model)}, which no provider lists. "
            'Write it as "provider,model".'
        )
    reason = f"subagent: the prompt's <CCR-SUBAGENT-MODEL> tag names {shown(model)}"
    return Route("subagent", _permitted(target, situation), reason)


def compaction(situation: Situation) -> Route | None:
    """Before longContext: what is to be compacted is long by nature, and a route of its own would never be reached."""
    if situation.facts.request_class != "compaction" or not situation.has("compaction"):
        return None
    return situation.take("compaction", "Claude Code is compacting the conversation")


def long_context(situation: Situation) -> Route | None:
    """More tokens than the threshold, by count or by what this conversation's last turn was reported to take.

    The report goes by what providers really counted; but not for a conversation that has become short since.
    """
    if not situation.has("longContext"):
        return None
    facts, threshold, previous = situation.facts, situation.router.long_context_threshold, situation.previous_context
    short = min(SHORT_CONTEXT, threshold // 3)
    least = short if previous > threshold else threshold
    if upper_bound(facts.size) <= least and upper_bound(facts.size, facts.media()) <= least:
        return None
    if situation.tokens > threshold:
        return situation.take("longContext", f"{situation.tokens:,} tokens > {threshold:,}")
    if previous > threshold and situation.tokens > short:
        return situation.take(
            "longContext",
            f"the conversation's last turn took {previous:,} tokens > {threshold:,} (now about {situation.tokens:,})",
        )
    return None


def request_class(situation: Situation) -> Route | None:
    """A route named like the request's class. Not `main`: that is everything else, and comes last."""
    for name in (situation.facts.request_class, situation.facts.task_class):
        if name not in ("", "main") and situation.has(name):
            return situation.take(name, f"Claude Code says that the request is of class {name}")
    return None


def background(situation: Situation) -> Route | None:
    """Side work: a haiku of any version, unless an alias says what serves it, or what Claude Code says is side work.

    A search of the web is side work too, but only a model that can search can do it.
    """
    facts = situation.facts
    if not situation.has("background"):
        return None
    if "haiku" in facts.asked.lower() and not situation.alias:
        return situation.take("background", f"the asked model {shown(facts.asked)} is a haiku")
    side = facts.request_class if facts.request_class == "auxiliary" else facts.task_class
    if side in ("auxiliary", "background-task") and not (facts.has_web_search and situation.has("webSearch")):
        return situation.take("background", f"Claude Code says that the request is of class {side}")
    return None


def web_search(situation: Situation) -> Route | None:
    """The provider is asked to search the web."""
    if not (situation.facts.has_web_search and situation.has("webSearch")):
        return None
    return situation.take("webSearch", "the request offers the web_search tool")


def think(situation: Situation) -> Route | None:
    """Thinking that somebody asked for. Claude Code 2.1 sends `adaptive` on every turn, so that alone says nothing."""
    facts = situation.facts
    if not situation.has("think"):
        return None
    if facts.thinking == "enabled" and facts.thinking_budget != 0:
        budget = f" with a budget of {facts.thinking_budget:,} tokens" if facts.thinking_budget else ""
        return situation.take("think", f"thinking is enabled{budget}")
    least = situation.router.think_effort.lower()
    if facts.thinking != "adaptive" or least not in EFFORTS:
        return None
    effort = facts.current_effort()
    if effort not in EFFORTS[EFFORTS.index(least) :]:
        return None
    return situation.take("think", f"thinking is adaptive at effort {effort}, and think serves {least} and up")


def alias(situation: Situation) -> Route | None:
    """What serves the asked model, by the router's patterns."""
    if situation.alias is None:
        return None
    pattern, ref = situation.alias
    target = situation.find(ref, f"Router.aliases[{shown(pattern)}]")
    return Route(
        "alias", target, f"alias: the asked model {shown(situation.facts.asked)} fits {shown(pattern)}", pattern
    )


def default(situation: Situation) -> Route | None:
    """Everything else."""
    if situation.facts.request_class == "main" and situation.has("main"):
        return situation.take("main", "Claude Code says that the request is of class main, and no other rule applies")
    if not situation.has("default"):
        return None
    return situation.take("default", "no other rule applies")


def listed(situation: Situation) -> Route | None:
    """Without a default route: the bare Claude id at a provider that lists it."""
    target = situation.catalog.resolve(situation.facts.asked, situation.router.default_provider)
    if target is None:
        return None
    reason = f"explicit: {target} is what {shown(situation.facts.asked)} leads to, and there is no default route"
    return Route("explicit", _permitted(target, situation), reason)


Rule = Callable[[Situation], Route | None]

#: In this order; the first that selects a route decides.
RULES: tuple[Rule, ...] = (
    image,
    explicit,
    subagent_tag,
    compaction,
    long_context,
    request_class,
    background,
    web_search,
    think,
    alias,
    default,
    listed,
)


def choose(
    facts: RequestFacts, router: Router, catalog: Catalog, count: Callable[[], int], previous_context: int = 0
) -> Route:
    """The route of a request.

    `count` gives its tokens; it is called at most once, and only where a threshold may matter. `previous_context` is
    what the last answer of the same conversation reported, 0 if unknown.
    Raises NoTarget if nothing can serve the request, Denied if a strict router forbids the model that it names.
    """
    situation = Situation(facts, router, catalog, count, previous_context)
    for rule in RULES:
        route = rule(situation)
        if route is not None:
            return route
    if not facts.asked:
        raise NoTarget(
            "Missing model in request body, and the router has no default route. "
            'Set Router.default in the config file to "provider,model".'
        )
    raise NoTarget(
        f"Model {shown(facts.asked)} is not known here, and the router has no default route for it. "
        'Set Router.default in the config file to "provider,model", or ask for a model as "provider,model"; '
        "GET /v1/models lists those that are configured."
    )


def _permitted(target: Target, situation: Situation) -> Target:
    """The target, if the router is not strict or names it itself. Raises Denied."""
    if not situation.router.is_strict:
        return target
    refs = refs_of(situation.router)
    if any(situation.catalog.target(ref) == target for ref in refs):
        return target
    allowed = [str(ref) for ref in refs]
    raise Denied(
        f"Model {shown(str(target))} is not one of this router's, and the router is strict "
        f"(allowed: {', '.join(allowed) or 'none'})",
        rule="router.strict",
        allowed=allowed,
    )

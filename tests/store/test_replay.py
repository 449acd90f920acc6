"""Recorded decisions made once more: what another policy or another configuration would have done."""

from __future__ import annotations

import json

import pytest

from ccrouter.compliance.document import parse_policy
from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import read
from ccrouter.config.projects import UnusableRouter
from ccrouter.config.schema import ModelRef, Router
from ccrouter.errors import Problem
from ccrouter.messages.events import WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.routing.facts import RequestFacts
from ccrouter.store.replay import SLICE, Setup, only, replay
from ccrouter.store.reports import Decision

PRICES = {"a,big": {"input": 10, "output": 50}, "a,small": {"input": 1, "output": 5}}
USAGE = WireUsage(1_000_000, 0, 0, 1_000_000)


def config_of(tmp_path, router: dict, **more):
    """Providers a and b; what the models of a cost is known, what those of b cost is not."""
    providers = [
        {"name": "a", "api_base_url": "https://a.example/v1/messages", "models": ["big", "small"]},
        {"name": "b", "api_base_url": "https://b.example/v1/messages", "models": ["other"]},
    ]
    path = tmp_path / "config.json"
    found = read(path, {}, text=json.dumps({"Providers": providers, "Router": router, "prices": PRICES, **more}))
    assert not found.problems, found.problems
    return found.config


def setup(config, policy=NO_POLICY, **more) -> Setup:
    return Setup(config, policy, PriceBook(config.prices), **more)


def policy_of(**rules):
    return parse_policy(json.dumps({"name": "mine", **rules}), "a test", {})


def decided(number: int, route: str = "default", target: str = "a,big", **more) -> Decision:
    """A request that was answered, as it is recorded."""
    facts = {"asked": "claude-sonnet-4-5", "session_id": "s1", "size": 1000, "opening": 7, **more.pop("facts", {})}
    provider, _, model = target.partition(",")
    given = {
        "id": f"req_{number}",
        "began": f"2026-11-22T10:{number // 60:02}:{number % 60:02}.000Z",
        "path": "/v1/messages",
        "facts": RequestFacts(**facts),
        "estimate": 250,
        "route": route,
        "reason": "",
        "policy": "",
        "fidelity": "any",
        "targets": (target,) if target else (),
        "provider": provider,
        "sent": model,
        "status": 200,
        "usage": USAGE,
        "usd": 60.0,
        "session": str(facts["session_id"]),
    }
    return Decision(**{**given, **more})


@pytest.fixture
def present(tmp_path) -> Setup:
    return setup(config_of(tmp_path, {"default": "a,big"}))


def test_nothing_changes_by_itself(tmp_path, present):
    """What is in force, replayed, changes nothing and costs no more and no less."""
    told = replay([decided(1), decided(2)], present, setup(config_of(tmp_path, {"default": "a,big"})))
    assert told["counts"]["unchanged"] == told["considered"] == 2
    assert told["cost"] == {
        "recorded": 120.0, "simulated": 120.0, "difference": 0.0, "spent": 120.0, "known": 2, "unknown": 0,
    }  # fmt: skip
    assert all(found == [] for found in told["groups"].values())
    assert told["first"] < told["last"]


def test_a_policy_blocks(tmp_path, present):
    """What a policy forbids is blocked, by its rule, with those who asked; what is not sent costs nothing."""
    policy = policy_of(models={"banned": ["big"]})
    found = [
        decided(1),
        decided(2, facts={"session_id": "s2", "agent_type": "Explore"}),
        decided(3, "explicit", "a,small", facts={"asked": "a,small"}, usd=6.0),
    ]
    told = replay(found, present, setup(config_of(tmp_path, {"default": "a,big"}), policy))
    assert (told["counts"]["blocked"], told["counts"]["unchanged"]) == (2, 1)
    (group,) = told["groups"]["blocked"]
    assert group["rule"] == "models.banned"
    assert group["from"] == "a,big"
    assert "policy mine" in group["words"]
    assert (group["requests"], group["sessions"], group["agents"]) == (2, 2, ["Explore"])
    assert group["asked"] == ["claude-sonnet-4-5"]
    assert group["examples"] == ["req_1", "req_2"]
    assert group["cost"]["difference"] == -120.0
    assert told["cost"]["difference"] == -120.0


def test_every_target_of_a_plan_is_judged(tmp_path, present):
    """A fallback that the policy forbids blocks the request too, as it does in earnest."""
    config = config_of(tmp_path, {"default": "a,big", "fallback": {"default": ["b,other"]}})
    told = replay([decided(1)], present, setup(config, policy_of(providers={"banned": ["b"]})))
    assert told["groups"]["blocked"][0]["rule"] == "providers.banned"


def test_a_configuration_reroutes(tmp_path, present):
    """Sent elsewhere first: from where to where, by which route, and what the recorded use would cost there."""
    config = config_of(tmp_path, {"default": "a,small", "think": "b,other"})
    found = [decided(1), decided(2, facts={"thinking": "enabled"})]
    told = replay(found, present, setup(config))
    assert told["counts"]["rerouted"] == 2
    by_target = {group["to"]: group for group in told["groups"]["rerouted"]}
    cheap = by_target["a,small"]
    assert (cheap["from"], cheap["routeBefore"], cheap["routeAfter"]) == ("a,big", "default", "default")
    assert (cheap["cost"]["recorded"], cheap["cost"]["simulated"], cheap["cost"]["difference"]) == (60.0, 6.0, -54.0)
    unknown = by_target["b,other"]
    assert unknown["routeAfter"] == "think"
    assert unknown["cost"] == {
        "recorded": None, "simulated": None, "difference": None, "spent": 60.0, "known": 0, "unknown": 1,
    }  # fmt: skip
    assert (told["cost"]["difference"], told["cost"]["unknown"]) == (-54.0, 1)


def test_an_unknown_cost_stays_unknown(tmp_path, present):
    """What nobody knows the cost of is in no sum, neither as it was nor as it would be."""
    told = replay([decided(1, usd=None)], present, setup(config_of(tmp_path, {"default": "a,small"})))
    assert told["cost"] == {
        "recorded": None, "simulated": None, "difference": None, "spent": None, "known": 0, "unknown": 1,
    }  # fmt: skip
    unused = decided(2, usage=WireUsage(), usd=0.0, status=502)
    told = replay([unused], present, setup(config_of(tmp_path, {"default": "a,small"})))
    assert told["cost"]["known"] == 0


def test_a_model_that_is_sent_as_another(tmp_path, present):
    """A policy that sends another model for one reroutes: the same target, another model."""
    policy = policy_of(models={"allowed": ["big", "small"], "sentAs": {"big": "small"}})
    told = replay([decided(1)], present, setup(config_of(tmp_path, {"default": "a,big"}), policy))
    assert [(one["from"], one["to"]) for one in told["groups"]["rerouted"]] == [("a,big", "a,small")]


def test_a_fallback_is_no_difference(tmp_path):
    """Where a fallback was asked first, as the first target was passed over, the proposal is held against the plan that
    is in force: what has not changed is not said to have."""
    config = config_of(tmp_path, {"default": "a,big", "fallback": {"default": ["b,other"]}})
    passed_over = decided(1, target="b,other")
    assert replay([passed_over], setup(config), setup(config))["counts"]["unchanged"] == 1
    other = setup(config_of(tmp_path, {"default": "a,small"}))
    told = replay([passed_over], setup(config), other)
    assert [(one["from"], one["to"]) for one in told["groups"]["rerouted"]] == [("a,big", "a,small")]


def test_what_was_refused_and_would_be_served(tmp_path, present):
    """A request that a rule refused, or that nobody served, and that the proposal would send; if it would not, nothing
    has changed."""
    refused = decided(1, target="", policy="denied: models.banned", status=403, usage=WireUsage(), usd=0.0)
    lost = decided(2, target="", status=404, usage=WireUsage(), usd=0.0)
    told = replay([refused, lost], present, present)
    assert told["counts"]["served"] == 2
    assert {one["was"] for one in told["groups"]["served"]} == {"denied: models.banned", "nobody served it"}
    assert told["groups"]["served"][0]["to"] == "a,big"
    strict = setup(config_of(tmp_path, {"default": "a,big"}), policy_of(models={"banned": ["big"]}))
    assert replay([refused], present, strict)["counts"]["unchanged"] == 1


def test_nobody_would_serve_it(tmp_path, present):
    """A model whose provider the proposal does not have is served by nobody, with the words a client would get; a
    strict router blocks what it does not list; a policy that forbids the provider says so first."""
    asked = decided(1, "explicit", "c,x", facts={"asked": "c,x"})
    config = config_of(tmp_path, {"default": "a,big"})
    told = replay([asked], present, setup(config))
    assert told["counts"]["unserved"] == 1
    assert "is not configured" in told["groups"]["unserved"][0]["words"]
    told = replay([asked], present, setup(config, policy_of(providers={"allowed": ["a"]})))
    assert told["groups"]["blocked"][0]["rule"] == "providers.allowed"
    strict = config_of(tmp_path, {"default": "a,big", "strict": True})
    listed = decided(2, "explicit", "b,other", facts={"asked": "b,other"})
    assert replay([listed], present, setup(strict))["groups"]["blocked"][0]["rule"] == "router.strict"


def test_how_long_it_was(tmp_path, present):
    """A threshold is held against the count that was recorded, else against what the provider reported; where neither
    is known and it matters, nobody can tell, and that is said."""
    proposed = setup(config_of(tmp_path, {"default": "a,big", "longContext": "b,other"}))
    long = {"size": 900_000}
    told = replay([decided(1, facts=long, estimate=70_000)], present, proposed)
    assert told["groups"]["rerouted"][0]["routeAfter"] == "longContext"
    assert replay([decided(1, facts=long, estimate=50_000)], present, proposed)["counts"]["unchanged"] == 1
    reported = decided(1, facts=long, estimate=None, usage=WireUsage(70_000, 0, 0, 5))
    assert replay([reported], present, proposed)["counts"]["rerouted"] == 1
    unknown = decided(1, facts=long, estimate=None, usage=WireUsage(), usd=None)
    told = replay([unknown, decided(2, facts={"size": 10}, estimate=None, usage=WireUsage())], present, proposed)
    assert (told["counts"]["undecidable"], told["counts"]["unchanged"]) == (1, 1)
    assert "tokens" in told["groups"]["undecidable"][0]["words"]
    assert told["cost"]["unknown"] == 0


def test_the_turn_before_counts(tmp_path, present):
    """The context that the turn before was reported to take makes the next one of its conversation long, as it does in
    earnest; a turn of another conversation does not."""
    proposed = setup(config_of(tmp_path, {"default": "a,big", "longContext": "b,other"}))
    first = decided(1, estimate=40_000, usage=WireUsage(61_000, 0, 0, 5), facts={"size": 200_000})
    second = decided(2, estimate=42_000, facts={"size": 210_000})
    other = decided(3, estimate=42_000, facts={"size": 210_000, "opening": 8})
    told = replay([first, second, other], present, proposed)
    assert (told["counts"]["rerouted"], told["counts"]["unchanged"]) == (1, 2)
    assert told["groups"]["rerouted"][0]["examples"] == ["req_2"]


def test_an_effort_that_was_said_in_the_conversation(tmp_path, present):
    """Adaptive thinking that was routed by an effort nobody recorded cannot be told; by a recorded one it can."""
    proposed = setup(config_of(tmp_path, {"default": "a,big", "think": "b,other", "thinkEffort": "max"}))
    adaptive = {"thinking": "adaptive"}
    told = replay([decided(1, "think", "b,other", facts=adaptive)], present, proposed)
    assert "effort" in told["groups"]["undecidable"][0]["words"]
    told = replay([decided(1, "think", "b,other", facts={**adaptive, "effort": "high"})], present, proposed)
    assert told["counts"]["rerouted"] == 1


def test_code_of_the_users_own(tmp_path, present):
    """What the user's own router chose is kept where it is the same file; by another one nobody can tell; and without
    one the rules decide."""
    code = tmp_path / "mine.py"
    code.write_text("def route(request, context): return None\n")
    config = config_of(tmp_path, {"default": "a,big"}, CUSTOM_ROUTER_PATH=str(code))
    chosen, plain = decided(1, "custom", "b,other"), decided(2)
    same = setup(config, code=code)
    assert replay([chosen, plain], same, same)["counts"]["unchanged"] == 2
    other = setup(config, code=tmp_path / "another.py")
    told = replay([chosen, plain], same, other)
    assert told["counts"]["undecidable"] == 2
    assert "its code is not run" in told["groups"]["undecidable"][0]["words"]
    told = replay([chosen], same, present)
    assert [(one["from"], one["to"]) for one in told["groups"]["rerouted"]] == [("b,other", "a,big")]
    forbidding = setup(config, policy_of(providers={"banned": ["b"]}), code=code)
    assert replay([chosen], same, forbidding)["counts"]["blocked"] == 1


def test_the_image_agents_target_is_judged(tmp_path, present):
    """Whoever looks at the images of a request is judged with its plan."""
    config = config_of(tmp_path, {"default": "a,big", "image": "b,other"}, forceUseImageAgent=True)
    policy = policy_of(providers={"banned": ["b"]})
    assert replay([decided(1, facts={"has_image": True})], present, setup(config, policy))["counts"]["blocked"] == 1
    assert replay([decided(1)], present, setup(config, policy))["counts"]["unchanged"] == 1


def test_routers_of_sessions(tmp_path, present):
    """A session with a router of its own is decided by that; one whose router cannot be used is served by nobody."""
    config = config_of(tmp_path, {"default": "a,big"})
    own = Router(routes={"default": ModelRef("a", "small")})

    def router_of(session: str) -> Router | None:
        if session == "bad":
            raise UnusableRouter((Problem("f", "x", "is wrong"),), "f", None)
        return own if session == "s1" else None

    found = [decided(1), decided(2, facts={"session_id": "s2"}), decided(3, facts={"session_id": "bad"})]
    told = replay(found, present, setup(config, router_of=router_of))
    assert (told["counts"]["rerouted"], told["counts"]["unchanged"], told["counts"]["unserved"]) == (1, 1, 1)


def test_slices(present):
    """The processor is given up between slices, and the largest groups come first."""
    pauses = []
    replay([decided(number) for number in range(SLICE * 2 + 5)], present, present, lambda: pauses.append(1))
    assert len(pauses) == 2


def test_only_until(present):
    """What began later is left out, and the order is that of time."""
    found = [decided(3), decided(2), decided(1)]
    assert [one.id for one in only(found, "")] == ["req_1", "req_2", "req_3"]
    assert [one.id for one in only(found, found[0].began)] == ["req_1", "req_2"]
    assert replay([], present, present)["considered"] == 0

"""What holds for any request and any router."""

from __future__ import annotations

import json

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from ccrouter.config.schema import ROUTE_NAMES, ModelRef, Router
from ccrouter.errors import RouterError
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.facts import RequestFacts, read_facts, strip_subagent_tags
from ccrouter.routing.plan import make_plan
from ccrouter.routing.rules import Route, choose
from tests.routing.casefile import PROVIDERS, make_provider

CATALOG = Catalog(make_provider(name, models) for name, models in PROVIDERS.items())
TAG = "<CCR-SUBAGENT-MODEL>deepseek,deepseek-chat</CCR-SUBAGENT-MODEL>"

known = [f"{name},{model}" for name, models in PROVIDERS.items() for model in models]
names = st.one_of(
    st.sampled_from(
        [*known, "claude-opus-5-5", "claude-haiku-5", "deepseek-chat", "qwen/qwen3-max", "nowhere,x", ",", ""]
    ),
    st.text(max_size=200),
)
refs = st.sampled_from([ModelRef(*pair.split(",", 1)) for pair in [*known, "nowhere,x"]])
classes = st.sampled_from(
    ["", "main", "subagent", "workflow", "compaction", "auxiliary", "side_reply", "background-task"]
)
facts = st.builds(
    RequestFacts,
    asked=names,
    request_class=classes,
    task_class=classes,
    subagent_model=st.none() | names,
    has_image=st.booleans(),
    has_web_search=st.booleans(),
    thinking=st.sampled_from(["", "enabled", "disabled", "adaptive", "other"]),
    thinking_budget=st.none() | st.integers(),
    effort=st.sampled_from(["", "low", "high", "xhigh", "max", "other"]),
    size=st.integers(0, 10**7),
    turns=st.lists(
        st.sampled_from(
            [
                msgspec.Raw(b'{"role":"user","content":[{"type":"image","source":{}}]}'),
                msgspec.Raw(b'{"role":"system","output_config":{"effort":"max"}}'),
                msgspec.Raw(b'{"role":"system","output_config":7}'),
            ]
        )
    ),
)
routers = st.builds(
    Router,
    routes=st.dictionaries(st.sampled_from([*ROUTE_NAMES, "workflow", "main", "background-task"]), refs),
    long_context_threshold=st.integers(1, 10**6),
    think_effort=st.sampled_from(["", "low", "xhigh", "other"]),
    aliases=st.lists(st.tuples(st.sampled_from(["*", "claude-*", "[", "x?", "deepseek-chat"]), refs)).map(tuple),
    fallback=st.dictionaries(st.sampled_from(["default", "think", "explicit"]), st.lists(refs).map(tuple)),
    default_provider=st.none() | st.sampled_from([*PROVIDERS, "nowhere"]),
    is_strict=st.booleans(),
    force_image_agent=st.booleans(),
)


@given(facts, routers, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_decision_or_an_error_of_ours(facts: RequestFacts, router: Router, tokens: int, previous: int):
    """Any request gets a route with a one-line reason, twice the same, or a RouterError that says something."""

    def decide() -> Route | RouterError:
        try:
            return choose(facts, router, CATALOG, lambda: tokens, previous)
        except RouterError as error:
            return error

    route, again = decide(), decide()
    if isinstance(route, RouterError):
        assert str(route)
        assert str(route).isprintable()
        assert str(route) == str(again)
        return
    assert route == again
    assert route.reason.startswith(route.name + ": ")
    # A target keeps the client's spelling of an unlisted model, so the reason is printable where the model is.
    assert route.reason.isprintable() or not route.target.model.isprintable()
    plan = make_plan(route, router, CATALOG).targets
    assert plan[0] == route.target
    assert len(set(map(str, plan))) == len(plan)


blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "tool_result", "other"])},
    optional={
        "text": st.sampled_from(["hi", TAG, "a" + TAG + "b" + TAG, ""]),
        "content": st.sampled_from(["x", TAG, [{"type": "image"}], [{"type": "text", "text": TAG}], None, 5]),
    },
)
turns = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.one_of(st.sampled_from(["hi", TAG, 'say "' + TAG]), st.lists(blocks, max_size=3)),
    },
    optional={"output_config": st.sampled_from([None, {"effort": "max"}, {"effort": None}, 5])},
)
bodies = st.fixed_dictionaries(
    {"messages": st.lists(turns | st.just(7), max_size=5)},
    optional={
        "model": st.sampled_from(["m", None, 5]),
        "system": st.one_of(st.none(), st.just(TAG), st.lists(blocks, max_size=3)),
        "tools": st.sampled_from(
            [None, [], [{"type": "web_search_20250305"}], [{"name": "web_search"}], ["web_search"], 5]
        ),
        "thinking": st.sampled_from([None, {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1}, {}, 5]),
        "metadata": st.sampled_from(
            [None, {"user_id": "u_session_1"}, {"user_id": '{"session_id":"1"}'}, {"user_id": 5}]
        ),
    },
)


@given(bodies)
@example({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": TAG}]}]})
def test_any_body_is_read_or_refused(body: dict):
    """Stripping and reading either work or raise an error of ours; stripping twice changes nothing more."""
    request = MessagesRequest.read(json.dumps(body).encode())
    try:
        stripped, model = strip_subagent_tags(request)
        read_facts(stripped, {}, model)
    except RouterError:
        return
    again, none = strip_subagent_tags(stripped)
    assert (again, none) == (stripped, None)
    assert (stripped is request) or b"<CCR" in request.encode()

"""The battery against servers of several temperaments: what it finds, and what profile comes of it."""

from __future__ import annotations

import dataclasses

import pytest

from ccrouter.certify.battery import FIRST, PROBES, chosen, most
from ccrouter.certify.bench import Unanswerable
from ccrouter.compliance.policy import Policy
from ccrouter.config.certified import MEMBERS
from ccrouter.config.schema import Endpoint
from ccrouter.dialects.profile import Profile
from ccrouter.errors import Denied
from ccrouter.secret import Secret
from tests.certify.conftest import provider_at
from tests.certify.gemini_mind import GeminiServer
from tests.certify.mind import KEY, ChatServer, MessagesServer, Temper
from tests.upstream import Upstream, json_reply
from tests.upstream.chat_wire import error_json

#: What is found of a server that takes everything: the caution with which strangers are met is given up.
GOOD = {
    "accepts_top_k": True,
    "max_stops": 8,
    "accepts_mid_system": True,
    "accepts_parallel_flag": True,
    "tool_name_limit": 128,
    "accepts_tool_images": True,
    "accepts_files": "data",
    "accepts_response_format": "json_schema",
}


def changed(*without: str, **more) -> dict:
    return {name: value for name, value in GOOD.items() if name not in without} | more


async def test_a_server_that_takes_everything(certify):
    """Every probe passes but those about thinking, which it does not show; the findings are in the order of the probes."""
    run = await certify(ChatServer())
    assert {name for name, found in run.outcome.findings.items() if found.verdict != "pass"} == {
        "thinking", "efforts", "budgets",
    }  # fmt: skip
    assert list(run.outcome.findings) == [probe.name for probe in PROBES]
    assert run.changes == GOOD
    assert run.evidence("usage") == "36+1 tokens, streamed 48+14"
    assert run.evidence("parallel") == "2 calls at once; one where more are forbidden"
    assert run.evidence("arguments") == "piece by piece: 37 for 429 characters"
    assert run.evidence("errors") == "an unknown model: 404: The model `ccr-no-such-model` does not exist"


#: Name → server, the verdicts that are not "pass" beside those about thinking, and the changes to the profile.
TEMPERS = {
    "as strict as OpenAI's reasoning models": (
        Temper(
            limit="max_completion_tokens", least=16, cap=16384, max_stops=0, id_limit=40, name_limit=64,
            refuses=frozenset({"temperature", "top_k"}), thinking="effort", efforts=("low", "medium", "high"),
        ),
        {"sampling": "fail", "stops": "fail"},
        changed(
            "accepts_top_k", "tool_name_limit", max_tokens_field="max_completion_tokens", min_max_tokens=16,
            max_tokens_cap=16384, accepts_sampling=False, max_stops=0, tool_id_limit=40, reasoning_style="effort",
            efforts=("low", "medium", "high"), can_disable_thinking=False,
        ),
    ),
    "like Ollama: ignores choices and images, arguments at once, no key, no cache": (
        Temper(
            checks_key=False, obeys_choices=False, argument_size=10_000, mid_system="ignored", caches=False,
            images="ignored", files="refused", thinking="effort",
        ),
        {
            "streaming": "fail", "system": "unknown", "arguments": "fail", "choices": "fail", "images": "unknown",
            "tool-images": "unknown", "documents": "fail", "caching": "unknown", "key": "unknown",
        },
        changed(
            "accepts_mid_system", "accepts_tool_images", "accepts_files", reasoning_style="effort",
            efforts=("low", "medium", "high"), effort_off="none",
        ),
    ),
    "like Mistral: no stream_options, ids of nine letters, no user behind a tool": (
        Temper(stream_usage="refused", short_ids=True, user_after_tool=False, files="refused", tool_images="refused"),
        {"usage": "fail", "after-results": "fail", "documents": "fail", "tool-images": "fail"},
        changed(
            "accepts_files", "accepts_tool_images", accepts_stream_usage=False, has_short_tool_ids=True,
            accepts_user_after_tool=False,
        ),
    ),
    "refuses images": (
        Temper(images="refused"),
        {"images": "fail", "tool-images": "unknown"},
        changed("accepts_tool_images", accepts_images=False),
    ),
    "refuses to be forced to call": (
        Temper(choices=frozenset({"auto", "none"})),
        {"choices": "fail"},
        changed(tool_choice_forms=frozenset({"auto", "none"})),
    ),
    "refuses system turns in between": (
        Temper(mid_system="refused"), {"system": "fail"}, changed("accepts_mid_system"),
    ),
    "says stop where it was cut": (Temper(lies_about_length=True), {"stop-reasons": "fail"}, GOOD),
    "never tells usage in streams": (Temper(stream_usage="never"), {"usage": "fail"}, GOOD),
    "writes its calls as text": (
        Temper(leaks_calls=True), {"arguments": "fail", "parallel": "unknown"}, changed("accepts_parallel_flag", textual_tool_calls=True),
    ),
    "calls no tool though it may": (
        Temper(calls_tools=False),
        {"tools": "fail"} | dict.fromkeys(
            ("arguments", "parallel", "choices", "results", "after-results", "names", "tool-images"), "unknown"
        ),
        changed("accepts_parallel_flag", "tool_name_limit", "accepts_tool_images"),
    ),
    "can only promise JSON": (Temper(format="json_object"), {}, changed(accepts_response_format="json_object")),
    "promises no form at all": (Temper(format="none"), {"structured": "fail"}, changed("accepts_response_format")),
    "takes one model for another": (Temper(knows_models=False), {"errors": "fail"}, GOOD),
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPERS)
async def test_tempers(certify, name):
    """Each temperament leaves the verdicts and the profile that fit it, and changes of members that can be certified."""
    temper, verdicts, changes = TEMPERS[name]
    run = await certify(ChatServer(temper))
    thinking = {"thinking", "efforts", "budgets"}
    found = {name: one.verdict for name, one in run.outcome.findings.items() if name not in thinking}
    assert {name: verdict for name, verdict in found.items() if verdict != "pass"} == verdicts
    assert run.changes == changes
    assert set(changes) <= set(MEMBERS)


#: Server → verdicts of thinking, efforts, budgets, and the changes about them.
THINKERS = {
    "by effort, and can stop": (
        Temper(thinking="effort"), ("pass", "pass", "unknown"),
        {"reasoning_style": "effort", "efforts": ("low", "medium", "high"), "effort_off": "none"},
    ),
    "by effort, with few words": (
        Temper(thinking="effort", efforts=("low", "high", "max")), ("pass", "pass", "unknown"),
        {"reasoning_style": "effort", "efforts": ("low", "high", "max"), "can_disable_thinking": False},
    ),
    "by thinking": (
        Temper(thinking="thinking", always_thinks=True), ("pass", "unknown", "unknown"), {"reasoning_style": "thinking"},
    ),
    "by enable_thinking": (
        Temper(thinking="qwen", always_thinks=True), ("pass", "unknown", "pass"),
        {"reasoning_style": "qwen", "accepts_budget": True},
    ),
    "by reasoning": (
        Temper(thinking="openrouter"), ("pass", "unknown", "pass"),
        {"reasoning_style": "openrouter", "effort_off": "none", "accepts_budget": True},
    ),
    "by the template": (
        Temper(thinking="template", always_thinks=True), ("pass", "unknown", "unknown"), {"reasoning_style": "template"},
    ),
    "always, whatever is said": (
        Temper(always_thinks=True), ("unknown", "unknown", "unknown"), {"can_disable_thinking": False},
    ),
    "never, and ignores what is said": (Temper(), ("unknown", "unknown", "unknown"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", THINKERS)
async def test_thinkers(certify, name):
    """How a server is asked to think is found by what it does, never by what it merely takes."""
    temper, verdicts, changes = THINKERS[name]
    run = await certify(ChatServer(temper), only=("thinking", "efforts", "budgets"))
    assert tuple(run.verdict(name) for name in ("thinking", "efforts", "budgets")) == verdicts
    assert run.changes == changes


async def test_a_server_of_messages(certify):
    """Where requests go out as they came, everything is told and nothing has to be changed."""
    run = await certify(MessagesServer(Temper(mid_system="refused", argument_size=9999, cap=64000)))
    failed = {name for name, one in run.outcome.findings.items() if one.verdict == "fail"}
    assert failed == {"streaming", "system", "arguments"}
    assert run.verdict("thinking") == "pass"
    assert run.evidence("caching").startswith("900 of ")
    assert "64000" in run.evidence("limits")
    assert run.changes == {}


async def test_a_gemini_server(certify):
    """Gemini's own API is asked in its own words, and the profile that comes of it says what differs there."""
    run = await certify(GeminiServer(Temper(max_stops=5, cap=65536, images="refused", thinking="level")))
    verdicts = {name: one.verdict for name, one in run.outcome.findings.items() if one.verdict != "pass"}
    assert verdicts == {
        "system": "unknown", "arguments": "fail", "efforts": "unknown", "budgets": "unknown", "images": "fail",
        "tool-images": "unknown", "caching": "unknown",
    }  # fmt: skip
    assert run.changes == {
        "max_tokens_cap": 65536,
        "tool_name_limit": 128,
        "accepts_images": False,
        "reasoning_style": "level",
        "efforts": ("low", "medium", "high"),
    }


async def test_no_key_is_in_what_was_found(certify, upstream):
    """A provider that repeats the key in its errors does not get it into the findings, whatever a key looks like."""
    key, server = "correct-horse-battery-staple", ChatServer(Temper(checks_key=False))

    def reply(received):
        is_image = b"image_url" in received.body
        return json_reply(error_json(f"no: {received.headers['authorization']}"), 400) if is_image else server(received)

    run = await certify(reply, only=("images",), provider=provider_at(upstream, key=Secret(key)))
    assert run.evidence("images") == "refused: 400: no: Bearer ***"
    assert key not in str(run.outcome)


# -- failures that are no answers --------------------------------------------------------------------------------------


async def test_a_provider_that_does_not_answer(certify):
    """Without an answer to the simplest question nothing else is asked."""
    server = ChatServer(Temper(models=("another",)))
    with pytest.raises(Unanswerable, match="`m1` does not exist"):
        await certify(server)
    assert len(server.seen) == 2  # under both names of the limit


async def test_a_wrong_key(certify, upstream):
    """A refused key ends the run at the first question, with the provider's words and without the key."""
    with pytest.raises(Unanswerable, match="Incorrect API key") as told:
        await certify(ChatServer(), provider=provider_at(upstream, key=Secret("sk-not-the-right-one-000")))
    assert "sk-not-the-right-one-000" not in str(told.value)


async def test_rate_limits_are_waited_for(certify):
    """A provider that is busy is asked again, after as long as it says, and what it then says counts."""
    server, busy = ChatServer(), [json_reply(error_json("slow down"), 429, {"retry-after": "7"})] * 2
    run = await certify(lambda received: busy.pop() if busy else server(received), only=(FIRST,))
    assert run.verdict(FIRST) == "pass"
    assert run.pauses == [7.0, 7.0]


async def test_a_provider_that_stays_busy(certify):
    """A probe that gets no answer is unknown, and changes nothing: being busy is no refusal."""
    server = ChatServer()

    def reply(received):
        return json_reply(error_json("overloaded"), 503) if b"image_url" in received.body else server(received)

    run = await certify(reply, only=("images",))
    assert run.verdict("images") == "unknown"
    assert "overloaded" in run.evidence("images")
    assert run.changes == {}
    assert run.pauses == [2.0, 4.0, 6.0]


async def test_a_url_that_can_mean_two_endpoints(certify, upstream):
    """Where the first is not there the second is asked, from then on alone; a model that is not there is at neither."""
    both = (
        Endpoint("openai_chat", f"{upstream.url}/none"),
        Endpoint("openai_chat", f"{upstream.url}/v1/chat/completions"),
    )
    server = ChatServer()

    def reply(received):
        return server(received) if received.path == "/v1/chat/completions" else json_reply({"detail": "Not Found"}, 404)

    run = await certify(reply, only=("images",), provider=provider_at(upstream, endpoints=both))
    assert run.asker.endpoint == both[1]
    assert [one.path for one in upstream.requests] == ["/none", *["/v1/chat/completions"] * 2]
    with pytest.raises(Unanswerable, match="Not Found"):
        await certify(
            lambda _: json_reply({"detail": "Not Found"}, 404), provider=provider_at(upstream, endpoints=both)
        )


async def test_a_broken_stream(certify):
    """An answer that breaks off says nothing about what was asked."""
    server = ChatServer()

    def reply(received):
        good = server(received)
        is_cut = received.json().get("stream") and "tools" in received.json()
        return dataclasses.replace(good, steps=good.steps[:2]) if is_cut else good

    run = await certify(reply, only=("tools",))
    assert run.verdict("tools") == "unknown"


@pytest.mark.parametrize(("requests", "tokens"), [(6, 10**6), (100, 300)])
async def test_the_budget_is_kept(certify, requests, tokens):
    """Once as many requests or tokens are spent as are allowed nothing more is asked, and the rest is unknown."""
    server = ChatServer()
    run = await certify(server, requests=requests, tokens=tokens)
    assert len(server.seen) <= requests
    assert run.verdict(FIRST) == "pass"
    assert run.evidence(PROBES[-1].name) == "not asked: the budget is spent"
    assert run.asker.spending.requests == len(server.seen)


async def test_less_is_spent_than_is_announced(certify):
    """No probe takes more requests than it says, whatever the server's temper."""
    announced = {probe.name: probe.requests for probe in PROBES}
    for temper, _, _ in [*TEMPERS.values(), *THINKERS.values()]:
        run = await certify(ChatServer(temper))
        assert {name: spent for name, spent in run.spent.items() if spent > announced[name]} == {}


# -- the policy --------------------------------------------------------------------------------------------------------


async def test_the_policy_holds_for_probes(certify, upstream):
    """What the policy does not let leave is not sent: the run ends with the denial."""
    policy = Policy(name="p", source="test", allowed_hosts=("api.anthropic.com",))
    with pytest.raises(Denied, match=r"hosts\.allowed"):
        await certify(ChatServer(), policy=policy)
    assert upstream.requests == []


async def test_no_other_model_is_asked_for_under_a_policy(certify):
    """Where models are allowed by name, the unknown one is not asked for: the probe says so, the others go on."""
    server = ChatServer()
    run = await certify(server, policy=Policy(name="p", source="test", allowed_models=("m1",)))
    assert run.evidence("errors") == "the policy in force lets no unknown model be asked for"
    assert {body["model"] for body in server.seen} == {"m1"}
    assert run.changes == GOOD


# -- the list of probes ------------------------------------------------------------------------------------------------


def test_the_probes_fit_together():
    """Names are unique, what a probe needs comes before it, and the first is the one that all depend on."""
    names = [probe.name for probe in PROBES]
    assert len(set(names)) == len(names)
    assert names[0] == FIRST
    for place, probe in enumerate(PROBES):
        assert set(probe.needs) <= set(names[:place])
        assert probe.run.__doc__


def test_choosing_probes():
    """Chosen ones bring what they need; the first is always there; skipped ones are not."""
    assert [probe.name for probe in chosen(("tool-images",), ())] == [
        FIRST,
        "tools",
        "results",
        "images",
        "tool-images",
    ]
    assert [probe.name for probe in chosen((), (FIRST, "tools"))] == [
        probe.name for probe in PROBES if probe.name != "tools"
    ]
    assert most(chosen((FIRST,), ())) == (2, 2_100)


def test_what_can_be_certified_is_in_a_profile():
    """Each member that a profile file may hold is one of Profile, and takes its own default there."""
    defaults = {field.name: getattr(Profile(), field.name) for field in dataclasses.fields(Profile)}
    assert set(MEMBERS) <= set(defaults)
    for name, read in MEMBERS.items():
        default = defaults[name]
        written = (
            sorted(default)
            if isinstance(default, frozenset)
            else list(default)
            if isinstance(default, tuple)
            else default
        )
        assert read(written) == default, name


async def test_the_upstream_was_asked_by_the_router_itself(certify, upstream: Upstream):
    """Probes leave as every request does: with the provider's key, the router's own user agent and nothing of a client."""
    await certify(ChatServer(), only=(FIRST,))
    headers = upstream.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"].startswith("ccrouter/")

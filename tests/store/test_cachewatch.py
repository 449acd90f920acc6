"""Who broke the cache: a conversation that goes well, one thing that changes, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccrouter.gateway.record import Attempt, PromptNote
from ccrouter.messages.events import WireUsage
from ccrouter.prices.price import Cost
from ccrouter.routing.facts import Thread
from ccrouter.store.verdict import Verdict
from tests.store.conversation import Talk, body, encode


def changed(turns: int, path: str, value: Any) -> dict[str, Any]:
    """A request with one thing in it changed; `path` in the words of JSON paths, without brackets."""
    made = json.loads(json.dumps(body(turns)))
    *way, last = [int(one) if one.isdecimal() else one for one in path.split(".")]
    place: Any = made
    for step in way:
        place = place[step]
    place[last] = value
    return dict(made)


def lost(
    talk: Talk, asked: dict[str, Any], read: int = 0, written: int = 22_000, new: int = 10, **more: Any
) -> Verdict:
    verdict = talk.turn(asked, read, written, new, **more)
    assert verdict is not None
    return verdict


# -- turns that nothing is said of ---------------------------------------------------------------------------------------


def test_a_conversation_that_goes_well_is_not_spoken_of() -> None:
    """Twenty turns, each of which reads what the one before wrote, with an attribution that changes every time."""
    talk = Talk()
    cached = 0
    for number in range(1, 21):
        assert talk.turn(body(number), cached, 1_000) is None
        cached += 1_000


def test_the_first_turn_has_nothing_to_lose() -> None:
    """Nor has one of another conversation of the session: a title, or a subagent."""
    talk = Talk()
    talk.go()
    talk.thread = Thread("session", "agent-1", 7)
    assert talk.turn(body(1), 0, 9_000) is None
    talk.thread = Thread("session", "", 8)
    assert talk.turn({"messages": [{"role": "user", "content": "title?"}]}, 0, 0, 300) is None


def test_a_provider_that_tells_of_no_cache_is_not_judged() -> None:
    """No reads and no writes ever: perhaps it has none."""
    talk = Talk(is_first_party=False)
    for number in range(1, 6):
        assert talk.turn(changed(number, "system.1.text", str(number)), 0, 0, 20_000) is None


def test_small_prompts_and_small_losses_are_not_worth_a_word() -> None:
    """Less than a thousand tokens, or less than a sixteenth of what could have been read."""
    talk = Talk()
    assert talk.turn(body(1), 0, 900) is None
    assert talk.turn(changed(2, "system.1.text", "other"), 0, 1_000) is None
    large = Talk()
    large.go()
    assert large.turn(body(3), 20_000, 2_000) is None


def test_without_a_session_there_are_no_turns() -> None:
    """Requests that belong to nothing are compared with nothing."""
    talk = Talk(thread=Thread("", "", 0))
    talk.turn(body(1), 0, 20_000)
    assert talk.turn(changed(2, "system.1.text", "other"), 0, 21_000) is None


# -- causes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "at", "words"),
    [
        (
            "system.1.text",
            "You are another.",
            "system[1]",
            "The client changed system[1] (the system prompt was changed)",
        ),
        (
            "tools",
            [],
            "tools[0]",
            "The client changed tools[0] (a tool was removed): it stands before the conversation",
        ),
        ("messages.0.content.0.text", "other", "messages[0].content[0]", "(a text was changed)"),
        (
            "messages.2.content.0",
            {"type": "tool_result", "tool_use_id": "t1", "content": "[cleared]"},
            "messages[2].content[0]",
            "The client changed messages[2].content[0], 2 messages before the end (a tool result was cleared or shortened)",
        ),
    ],
)
def test_the_client_changed_something(path: str, value: Any, at: str, words: str) -> None:
    """The place, in the client's own request, and what was there."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, changed(3, path, value))
    assert verdict.cause.by == "client"
    assert verdict.cause.at == at
    assert words in verdict.words
    assert verdict.facts()["lostTokens"] == 21_000


def test_a_tool_that_was_searched_for_is_a_loss_elsewhere_and_comes_with_advice() -> None:
    """Anthropic keeps deferred tools out of its cache; for others Claude Code's tool search is what broke it."""
    more = [{"name": "WebFetch", "input_schema": {}, "defer_loading": True}, *body(3)["tools"]]
    elsewhere = Talk(is_first_party=False)
    elsewhere.go()
    verdict = lost(elsewhere, body(3, tools=more))
    assert (verdict.cause.by, verdict.cause.at) == ("client", "tools[0]")
    assert "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1" in verdict.facts()["hint"]
    there = Talk()
    there.go()
    assert lost(there, body(3, tools=more)).cause.by == "provider_side"


def test_attribution_that_reaches_another_provider_is_named_with_its_cure() -> None:
    """It changes every time: all is lost in each turn."""
    talk = Talk(is_first_party=False)
    talk.turn(body(1), 0, 20_000)
    verdict = lost(talk, body(2))
    assert (verdict.cause.by, verdict.cause.at) == ("client", "system[0]")
    assert "CLAUDE_CODE_ATTRIBUTION_HEADER=0" in verdict.facts()["hint"]


def _translated(turns: int, clock: str = "") -> bytes:
    said = [{"role": "system", "content": f"be kind{clock}"}]
    said += [{"role": "user", "content": f"turn {number}"} for number in range(turns)]
    return encode({"model": "gpt", "messages": said, "tools": []})


@pytest.mark.parametrize(
    ("transforms", "name", "who"),
    [
        ((), None, "the translation into the provider's format"),
        (("clock",), "clock", "the transform clock"),
        (("clock", "other"), None, "one of the transforms clock, other"),
    ],
)
def test_what_only_grew_but_went_out_changed_was_changed_here(
    transforms: tuple[str, ...], name: str | None, who: str
) -> None:
    """A transform that writes the time of day into the system prompt, or a translation that does."""
    talk = Talk(is_first_party=False, transforms=transforms)
    assert talk.turn(body(1), 0, 20_000, sent=_translated(1, " 10:00")) is None
    verdict = lost(talk, body(2), sent=_translated(2, " 10:01"))
    assert verdict.cause.by == "transform"
    assert verdict.cause.at == "messages[0].content"
    assert verdict.cause.transform == name
    assert who in verdict.words
    assert "only grew" in verdict.words


def test_another_transform_than_before_is_named() -> None:
    """As after a configuration was changed."""
    talk = Talk(is_first_party=False)
    talk.turn(body(1), 0, 20_000, sent=_translated(1))
    talk.transforms = ("clock",)
    verdict = lost(talk, body(2), sent=_translated(2, " 10:01"))
    assert (verdict.cause.by, verdict.cause.transform) == ("transform", "clock")


def test_what_changed_first_is_blamed_where_both_changed_something() -> None:
    """The client cleared a result, and a transform wrote the time into the system prompt, which stands before that."""
    talk = Talk(is_first_party=False, transforms=("clock",))
    first, later = body(2), changed(3, "messages.2.content.0.content", "[cleared]")
    talk.turn(first, 0, 20_000, sent=encode({**first, "system": "10:00"}))
    verdict = lost(talk, later, sent=encode({**later, "system": "10:01"}))
    assert (verdict.cause.by, verdict.cause.at) == ("transform", "system")
    assert "changed elsewhere" in verdict.words


def test_a_change_of_the_clients_that_did_not_go_out_is_not_blamed() -> None:
    """What was left out of what was sent cannot have broken anything."""
    talk = Talk(is_first_party=False)
    talk.turn(body(1), 0, 20_000, sent=_translated(1))
    verdict = lost(talk, changed(2, "system.1.text", "other"), sent=_translated(2))
    assert verdict.cause.by == "provider_side"


def test_a_fallback_is_told_with_what_failed() -> None:
    """Another provider answered: what the first one has cached is of no use there."""
    talk = Talk()
    talk.go()
    talk.provider, talk.model = "backup", "other"
    attempts = [Attempt("anthropic,claude", 0.0, "overloaded", "overloaded", 529), Attempt("backup,other", 1.0)]
    verdict = lost(talk, body(3), attempts=attempts)
    assert verdict.cause.by == "provider"
    assert "went to backup, the turn before to anthropic (anthropic claude failed: overloaded)" in verdict.words


def test_coming_back_soon_costs_nothing_and_late_is_told() -> None:
    """The first provider still has what it had, for as long as it keeps it."""
    for pause, is_lost in ((30.0, False), (400.0, True)):
        talk = Talk()
        talk.go()
        talk.provider = "backup"
        lost(talk, body(3))
        talk.provider = "anthropic"
        verdict = talk.turn(body(4), 0 if is_lost else 21_000, 2_000, after=pause)
        assert (verdict is not None) == is_lost
        if verdict is not None:
            assert verdict.cause.by == "provider"
            assert "came back to anthropic from backup" in verdict.words


@pytest.mark.parametrize(("part", "value", "word"), [("model", "haiku", "haiku"), ("key", "second", "second")])
def test_another_model_or_key_has_a_cache_of_its_own(part: str, value: str, word: str) -> None:
    """Within one provider too; a route that chose another is named."""
    talk = Talk()
    talk.go()
    setattr(talk, part, value)
    talk.route = "longContext"
    verdict = lost(talk, body(3))
    assert verdict.cause.by == part
    assert word in verdict.words
    assert "the route is longContext, it was default" in verdict.words


def test_time_alone_breaks_a_cache() -> None:
    """Five minutes after it was last used, an hour where one was asked for."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3), after=301.0 + 2)
    assert verdict.cause.by == "ttl"
    assert "5 min before, and this cache is kept for 5 min" in verdict.words
    early = Talk()
    early.go()
    assert lost(early, body(3), after=290.0).cause.by == "provider_side"
    hour = Talk()
    assert hour.turn(body(1), 0, 20_000, hour=20_000) is None
    assert hour.turn(body(2), 20_000, 1_000, hour=1_000) is None
    assert lost(hour, body(3), after=900.0).cause.by == "provider_side"
    assert lost(hour, body(4), after=3700.0).cause.by == "ttl"


def test_the_lifetime_is_that_of_what_was_written() -> None:
    """Turns that write nothing change nothing about it; where there are both kinds, the shorter one ends first."""
    hour = Talk()
    hour.turn(body(1), 0, 20_000, hour=20_000)
    assert hour.turn(body(2), 20_000, 0) is None
    assert lost(hour, body(3), after=900.0).cause.by == "provider_side"
    both = Talk()
    both.turn(body(1), 0, 20_000, hour=8_000)
    assert lost(both, body(2), 8_000, 13_000, after=900.0).cause.by == "ttl"


def test_a_change_is_blamed_on_time_where_time_was_enough() -> None:
    """All was lost, and nothing before the change was read either; where it was read, the change did it."""
    talk = Talk()
    talk.go()
    last = {"type": "tool_result", "tool_use_id": "t1", "content": "other"}
    assert lost(talk, changed(3, "messages.2.content.0", last), after=900.0).cause.by == "ttl"
    alive = Talk()
    alive.go()
    turns = body(30)
    alive.turn(turns, 21_000, 20_000)
    edited = changed(31, "messages.50.content.0", last)
    assert lost(alive, edited, 34_000, 9_000, after=900.0).cause.by == "client"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("thinking", {"type": "disabled"}),
        ("tool_choice", {"type": "any"}),
        ("output_config", {"effort": "max"}),
    ],
)
def test_settings_that_a_cache_depends_on(name: str, value: Any) -> None:
    """The conversation itself only grew."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3, **{name: value}), 5_000, 17_000)
    assert (verdict.cause.by, verdict.cause.at) == ("settings", name)
    assert f"The client changed {name}" in verdict.words


def test_the_first_image_is_a_setting() -> None:
    """Anthropic caches conversations with and without images apart."""
    talk = Talk()
    talk.go()
    asked = body(3)
    asked["messages"][-1]["content"].append({"type": "image", "source": {"type": "base64", "data": "AA=="}})
    verdict = lost(talk, asked, 5_000, 17_000)
    assert verdict.cause.by == "settings"
    assert "first image" in verdict.words


def test_marks_that_are_no_longer_there() -> None:
    """Left out by the client, or by one of ours: what is not marked is not cached."""
    bare = json.loads(json.dumps(body(3)).replace(', "cache_control": {"type": "ephemeral"}', ""))
    talk = Talk()
    talk.go()
    assert lost(talk, bare, 0, 0, 22_000).cause.by == "client"
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3), 0, 0, 22_000, sent=encode(bare))
    assert verdict.cause.by == "transform"
    assert "cache_control" in verdict.words


def test_more_blocks_in_one_turn_than_a_provider_looks_back() -> None:
    """Nothing differs, and still nothing is found."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(15))
    assert (verdict.cause.by, verdict.cause.at) == ("client", "messages[3]")
    assert "26 blocks in one turn" in verdict.words


def test_an_earlier_point_of_the_conversation_loses_only_what_it_could_have_read() -> None:
    """After a step back the rest is gone by intention."""
    talk = Talk()
    talk.turn(body(20), 0, 40_000)
    assert talk.turn(body(10), 19_000, 500) is None
    back = Talk()
    back.turn(body(20), 0, 40_000)
    verdict = lost(back, body(10), 0, 19_000)
    assert verdict.cause.by == "client"
    assert "went back to an earlier point" in verdict.words
    assert verdict.expected_tokens < 20_000


def test_nothing_that_we_can_see() -> None:
    """Nobody is blamed but the provider, with the time that had passed."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3))
    assert verdict.cause.by == "provider_side"
    assert verdict.cause.at is None
    assert "Nothing that was sent differs from the turn before, 20 s earlier" in verdict.words


def test_thinking_that_a_model_leaves_out_is_a_hint() -> None:
    """The user speaks again after an answer with thinking, and what was behind that is gone: some models do that."""
    talk = Talk()
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
    asked = body(2)
    asked["messages"] += [thought, {"role": "user", "content": "go on"}]
    talk.turn(asked, 0, 20_000)
    later = body(2)
    later["messages"] = [
        *asked["messages"],
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "and"},
    ]
    verdict = lost(talk, later, 8_000, 13_000)
    assert verdict.cause.by == "provider_side"
    assert "thinking" in verdict.cause.hint
    other = Talk()
    other.go()
    assert lost(other, body(3), 8_000, 13_000).cause.hint == ""


def test_where_nobody_could_look_only_usage_speaks() -> None:
    """Detail was shed: the loss is told, and who it was is not; and the next turn is compared with the last seen."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3), is_seen=False)
    assert verdict.cause.by == "unknown"
    assert verdict.lost_tokens == 21_000
    after = lost(talk, changed(4, "system.1.text", "other"), 0, 23_000)
    assert (after.cause.by, after.cause.at) == ("client", "system[1]")


def test_a_compacted_conversation_is_new_and_nobodys_fault() -> None:
    """The same tools, another beginning, much less of it: nothing was lost."""
    talk = Talk()
    talk.turn(body(20), 0, 150_000)
    talk.thread = Thread("session", "", 8)
    asked = body(1)
    asked["messages"][0]["content"][0]["text"] = "This session is continued from another."
    verdict = talk.turn(asked, 15_000, 5_000)
    assert verdict is not None
    assert verdict.cause.by == "compaction"
    assert not verdict.is_break
    assert verdict.facts()["lostTokens"] == 0
    assert "compacted" in verdict.words
    assert "Cache lost" not in verdict.words


def rewritten(turns: int, words: str, opening: int, talk: Talk, **more: Any) -> dict[str, Any]:
    """The conversation after so many turns with another first one, and `talk` as one that begins so."""
    asked = body(turns, **more)
    asked["messages"][0]["content"] = [{"type": "text", "text": words}]
    talk.thread = talk.thread._replace(opening=opening)
    return asked


def test_a_conversation_whose_first_turn_was_rewritten_is_the_same() -> None:
    """The date in it at midnight, an edited CLAUDE.md: the client changed it, and from then on it goes on so."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, rewritten(3, "another day", 8, talk), 5_000, 17_000)
    assert (verdict.cause.by, verdict.cause.at) == ("client", "messages[0].content[0]")
    assert "The client changed messages[0].content[0], 4 messages before the end (a text was changed)" in verdict.words
    assert (verdict.lost_tokens, verdict.expected_tokens) == (16_000, 21_000)
    assert verdict.lost_usd is not None
    talk.restart()
    assert talk.turn(rewritten(4, "another day", 8, talk), 22_000, 1_000) is None
    unseen = rewritten(5, "another day", 8, talk)
    assert lost(talk, unseen, 0, 23_500, is_seen=False).cause.by == "unknown"
    again = lost(talk, rewritten(5, "a third day", 9, talk), 5_000, 19_000)
    assert again.cause.at == "messages[0].content[0]"
    assert talk.turn(rewritten(6, "another day", 8, talk), 23_000, 1_000) is None


def test_a_first_turn_that_is_always_another_is_told_each_time_in_bounded_room() -> None:
    """As with the time of day in it: one state is kept, whatever the number of beginnings."""
    talk = Talk()
    talk.go()
    for number in range(3, 63):
        verdict = lost(talk, rewritten(number, f"at 10:{number}", number + 10, talk), 5_000, 16_000 + number)
        assert verdict.cause.at == "messages[0].content[0]"
    assert len([key for key in talk.states if key.startswith("thread")]) == 1
    assert max(map(len, talk.states.values())) < 64 * 1024


def test_a_new_conversation_is_nobodys_fault_even_if_its_first_turn_was_not_seen() -> None:
    """It has the tools, the system prompt and the rules of the one before, and none of its answers."""
    talk = Talk()
    talk.turn(body(4), 0, 22_000)
    talk.thread = Thread("session", "", 8)
    asked = json.loads(json.dumps(body(4)).replace('"t1"', '"u1"').replace('"t2"', '"u2"').replace('"t3"', '"u3"'))
    asked["messages"][0]["content"].append({"type": "text", "text": "another question"})
    assert talk.turn(asked, 15_000, 7_000) is None
    talk.thread = Thread("session", "", 7)
    assert talk.turn(body(5), 22_000, 1_000) is None


def test_subagents_that_no_client_tells_apart_are_not_compared() -> None:
    """They come at once, with the same tools and rules; the second, which is shorter, is no compaction of the first."""
    talk = Talk()
    talk.go()
    few = body(1)["tools"][:1]
    cached = [0, 0]
    for turns in range(1, 5):
        for one in (0, 1):
            asked = rewritten(turns + 3 * (1 - one), f"question {one}", 20 + one, talk, tools=few)
            asked = json.loads(json.dumps(asked).replace('"id": "t', f'"id": "of-{one}-'))
            assert talk.turn(asked, cached[one], 9_000 - 6_000 * one) is None
            cached[one] += 9_000 - 6_000 * one
    talk.thread = Thread("session", "", 7)
    assert talk.turn(body(3), 21_000, 1_000) is None


def test_agents_that_begin_with_the_same_words_are_not_compared() -> None:
    """Each has its own tools or orders, and goes on with its own: Claude Code warms up all of its agents so."""
    talk = Talk()
    few = body(1)["tools"][:1]
    orders = [{"type": "text", "text": "You are an explorer.", "cache_control": {"type": "ephemeral"}}]
    assert talk.turn(body(1), 0, 20_000) is None
    assert talk.turn(body(1, tools=few), 0, 15_000) is None
    talk.model = "haiku"
    assert talk.turn(body(1, system=orders), 0, 12_000) is None
    talk.model = "claude"
    assert talk.turn(body(2, tools=few), 15_000, 1_000) is None
    assert lost(talk, body(2), 0, 21_000).cause.by == "provider_side"


def test_side_requests_are_not_taken_for_the_conversation() -> None:
    """A title is asked for with the conversation in it, but without its tools."""
    talk = Talk()
    talk.turn(body(6), 0, 30_000)
    assert talk.turn(rewritten(6, "find a title", 9, talk, tools=[]), 0, 0, 20_000) is None
    talk.thread = Thread("session", "", 7)
    assert talk.turn(body(7), 30_000, 1_000) is None


# -- providers that cache what they like -----------------------------------------------------------------------------------


def test_automatic_caches_are_judged_by_their_context_and_more_leniently() -> None:
    """OpenAI and others tell of reads alone, in steps, and not of everything."""
    talk = Talk(is_first_party=False)
    assert talk.turn(body(1), 0, 0, 20_000, sent=_translated(1)) is None
    assert talk.turn(body(2), 18_000, 0, 4_000, sent=_translated(2)) is None
    assert talk.turn(body(3), 19_000, 0, 6_000, sent=_translated(3)) is None
    verdict = lost(talk, body(4), 0, 0, 26_000, sent=_translated(4))
    assert verdict.cause.by == "provider_side"
    assert verdict.expected_tokens == 25_000


def test_an_automatic_cache_that_never_hits_because_of_us_is_told_once_the_provider_is_known_to_have_one() -> None:
    """Another conversation showed that it caches; this one changes at its beginning in every turn."""
    talk = Talk(is_first_party=False)
    talk.turn(body(1), 0, 0, 20_000, sent=_translated(1, " a"))
    assert talk.turn(body(2), 0, 0, 21_000, sent=_translated(2, " b")) is None
    talk.thread = Thread("other", "", 1)
    talk.turn(body(1), 0, 0, 20_000, sent=_translated(1))
    talk.turn(body(2), 18_000, 0, 20_000, sent=_translated(2))
    talk.thread = Thread("session", "", 7)
    assert lost(talk, body(3), 0, 0, 22_000, sent=_translated(3, " c")).cause.by == "transform"
    assert talk.turn(body(4), 0, 0, 22_500, sent=_translated(4, " c")) is None


# -- what it cost ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_reckoned_by_what_was_paid_instead() -> None:
    """What was written again cost what writing does, the rest what input does; less what reading would have cost."""
    talk = Talk()
    talk.go()
    verdict = lost(talk, body(3), 1_000, 15_000, 6_000)
    assert verdict.lost_tokens == 20_000
    assert verdict.lost_usd == pytest.approx((15_000 * (3.75 - 0.3) + 5_000 * (3.0 - 0.3)) / 1e6)
    assert "20,000 of 21,000 tokens were read again at full price ($0.07 more)" in verdict.words
    hour = Talk()
    hour.go(hour=1_000)
    assert lost(hour, body(3), hour=22_000).lost_usd == pytest.approx(21_000 * (6.0 - 0.3) / 1e6)


def test_an_unknown_price_is_unknown() -> None:
    """Never nothing, and no sum in the words."""
    talk = Talk(price=None)
    talk.go()
    verdict = lost(talk, body(3))
    assert verdict.facts()["lostUsd"] is None
    assert "$" not in verdict.words


def test_the_facts_are_what_the_records_keep() -> None:
    """All members, whatever it was; shares are rounded."""
    talk = Talk()
    talk.go()
    found = talk.watch.judge(talk.exchange(body(3), 2_000, 20_000), Cost(None, "", None))
    assert found is not None
    assert found["shareBefore"] == round(20_000 / 21_010, 4)
    assert found["share"] == round(2_000 / 22_010, 4)
    assert set(found) == {
        "at", "by", "words", "shareBefore", "share", "lostTokens", "expectedTokens", "lostUsd", "transform", "hint",
    }  # fmt: skip


# -- what is remembered ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failed",
    [
        {"status": 529, "usage": WireUsage()},
        {"status": 502, "usage": WireUsage(22_000, 0, 0, 9)},
        {"status": 499, "usage": WireUsage()},
        {"resumed": 1},
    ],
)
def test_a_failed_exchange_changes_nothing(failed: dict[str, Any]) -> None:
    """Whatever it had asked for: the next one is compared with the last that the provider has read."""
    talk = Talk()
    talk.go()
    assert talk.turn(changed(3, "system.1.text", "other"), 0, 22_000, **failed) is None
    assert talk.turn(body(3), 21_000, 1_000) is None


def test_an_answer_whose_use_was_not_reported_changes_nothing() -> None:
    """The turn after it is compared with the last that is known of."""
    talk = Talk()
    talk.go()
    assert talk.turn(body(3), 0, 0, 0) is None
    assert lost(talk, body(4)).cause.by == "provider_side"


def test_an_answer_that_the_client_left_was_read_by_the_provider() -> None:
    """Its prompt is in the cache like any other."""
    talk = Talk()
    talk.go()
    assert talk.turn(body(3), 21_000, 1_000, status=499) is None
    assert talk.turn(body(4), 22_000, 1_000) is None


def test_requests_that_take_turns_are_each_compared_with_their_own_kind() -> None:
    """A side request with other tools in the middle of a conversation does not make the next turn look like a loss."""
    talk = Talk()
    talk.go()
    lost(talk, body(3, tools=[]), 0, 20_000)
    assert talk.turn(body(3), 21_000, 1_000) is None
    assert talk.turn(body(4, tools=[]), 20_000, 1_000) is None
    assert talk.turn(body(4), 22_000, 1_000) is None
    talk.turn(body(5, tools=[]), 21_000, 1_000)
    assert lost(talk, changed(5, "system.1.text", "other")).cause.at == "system[1]"


def test_a_restart_in_the_middle_is_not_noticed() -> None:
    """What is known of a conversation is in the states, and a new process finds it there."""
    talk = Talk()
    talk.go()
    talk.restart()
    assert talk.turn(body(3), 21_000, 1_000) is None
    talk.restart()
    verdict = lost(talk, changed(4, "messages.2.content.0.content", "x"), 5_000, 17_000)
    assert verdict.cause.at == "messages[2].content[0]"
    translated = Talk(is_first_party=False)
    translated.turn(body(1), 0, 20_000, sent=_translated(1, " a"))
    translated.restart()
    assert lost(translated, body(2), sent=_translated(2, " b")).cause.at == "messages[0].content"


def test_nothing_of_what_was_said_is_kept() -> None:
    """Not in the states: hashes and figures."""
    talk = Talk()
    talk.go()
    written = b"".join(talk.states.values())
    for word in (b"begin", b"line 1", b"Claude Code", b"Read", b"/1"):
        assert word not in written


def test_two_processes_with_a_salt_each_come_to_share_one() -> None:
    """Both began at once; hashes of different salts are never compared, and after a turn there is one."""
    talk = Talk()
    talk.go()
    other = Talk(talk.states)
    own = talk.states.pop("salt")
    other.watch.note_prompt(PromptNote({}, b"{}"))
    assert talk.states["salt"] != own
    other.at = talk.at
    assert other.turn(body(3), 0, 22_000) is None
    assert talk.turn(body(4), 22_000, 1_000) is None
    assert lost(talk, body(5), 0, 24_000).cause.by == "unknown"
    assert talk.turn(body(5), 24_000, 0) is None
    assert lost(other, changed(6, "system.1.text", "other"), 0, 25_000).cause.at == "system[1]"


def test_states_that_cannot_be_read_are_as_good_as_none() -> None:
    """Of another version, or damaged: the conversation begins anew."""
    talk = Talk()
    talk.go()
    for key in talk.states:
        if key != "salt":
            talk.states[key] = b"\xc1 broken"
    talk.restart()
    assert talk.turn(body(3), 0, 22_000) is None
    assert talk.turn(body(4), 22_000, 1_000) is None


def test_a_prompt_that_cannot_be_read_is_one_that_nobody_looked_at() -> None:
    """And it is let go of all the same."""
    talk = Talk()
    note = PromptNote({}, b"not json")
    talk.watch.note_prompt(note)
    assert (note.asked, note.sent, note.found) == (None, None, None)


def test_an_endless_conversation_is_kept_in_bounded_room() -> None:
    """Its figures are, its hashes are not."""
    talk = Talk()
    many = {"messages": [{"role": "user", "content": f"{number}"} for number in range(45_000)]}
    talk.turn(many, 0, 900_000)
    assert max(map(len, talk.states.values())) < 1024 * 1024
    assert lost(talk, many, 0, 900_000).cause.by == "unknown"

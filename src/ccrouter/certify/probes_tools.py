"""Probes of tools: that they are called, how their arguments come, how a call is forced, and how results go back."""

from __future__ import annotations

import re
from typing import Any

from ccrouter.certify.bench import Bench, Finding, failed, passed, unclear, unknown
from ccrouter.certify.observation import Answer
from ccrouter.certify.questions import NOTE, WEATHER, call_of, conversation, question, result_of, text

_ASK = "What is the weather in Paris? Use the tool."
_ALL_FORMS = frozenset({"auto", "none", "required", "named"})
#: 128 characters.
_LONG_NAME = "get_weather_of_the_city_that_is_named" + "_in_whatever_language" * 4 + "_it_is_"
# How models write calls where their server does not know their syntax.
_LEAKED = re.compile(r"<tool_call>|<function=|<\|tool_call|\[TOOL_CALLS\]|<invoke\b|\"name\"\s*:\s*\"get_weather\"")


async def tools(bench: Bench) -> Finding:
    """One tool, called with an argument, streamed."""
    request = question(_ASK, tools=[WEATHER])
    answer = await bench.ask(request, {"textual_tool_calls": False}, stream=True)
    if answer.is_refusal:
        return failed(f"refused: {answer.told}")
    if not answer.is_good:
        return unclear(answer)
    if _is_called(answer):
        return passed(f"called with {answer.calls[0].input}, stop reason {answer.stop_reason}")
    if answer.calls:
        return failed(f"called {answer.calls[0].name} with arguments that are not as asked")
    if _LEAKED.search(answer.text):
        again = await bench.ask(request, {"textual_tool_calls": True}, stream=True)
        if again.is_good and again.calls:
            return passed("the call comes as text, and is read from it", bench.differing(textual_tool_calls=True))
        return failed("the call comes as text that cannot be read")
    return failed(f"not called; the answer is: {answer.text}")


async def parallel(bench: Bench) -> Finding:
    """Several calls in one answer, and whether they can be forbidden."""
    ask = "What is the weather in Paris, and what is it in Tokyo? Call the tool for both cities at once."
    answer = await bench.ask(question(ask, tools=[WEATHER]), stream=True)
    if not answer.is_good:
        return unclear(answer)
    count = len(answer.calls)
    changes: dict[str, Any] = {}
    told = f"{count} calls at once"
    if bench.is_chat:
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        single = await bench.ask(
            question(ask, tools=[WEATHER], tool_choice=choice), {"accepts_parallel_flag": True}, stream=True
        )
        if single.is_refusal:
            changes = bench.differing(accepts_parallel_flag=False)
            told += "; they cannot be forbidden"
        elif single.is_good and count > 1 and len(single.calls) == 1:
            changes = bench.differing(accepts_parallel_flag=True)
            told += "; one where more are forbidden"
        elif single.is_good and count > 1:
            told += f"; still {len(single.calls)} where more are forbidden"
    return passed(told, changes) if count > 1 else unknown(told, changes)


async def arguments(bench: Bench) -> Finding:
    """Whether long arguments arrive piece by piece, or after a silence."""
    ask = "Use the tool to keep this text: the numbers from one to forty in English words, separated by commas."
    answer = await bench.ask(question(ask, tools=[NOTE]), stream=True)
    if not answer.is_good:
        return unclear(answer)
    if not answer.calls or answer.calls[0].input is None:
        return unknown("the tool was not called with arguments")
    pieces = answer.calls[0].pieces
    size = len(str(answer.calls[0].input.get("text", "")))
    if pieces > 2:
        return passed(f"piece by piece: {pieces} for {size} characters")
    return failed(f"at once: {size} characters in {pieces} piece{'s' if pieces > 1 else ''}")


async def choices(bench: Bench) -> Finding:
    """Which ways of forcing, forbidding and naming a call are taken, and obeyed."""
    forms, told = {"auto"}, []
    asked = (
        ("none", {"type": "none"}, _ASK),
        ("required", {"type": "any"}, "Say hello."),
        ("named", {"type": "tool", "name": "write_note"}, _ASK),
    )
    refused = ignored = False
    for form, choice, ask in asked:
        request = question(ask, tools=[WEATHER, NOTE], tool_choice=choice)
        answer = await bench.ask(request, {"tool_choice_forms": _ALL_FORMS}, stream=True)
        if answer.is_refusal:
            refused = True
            told.append(f"{form} refused")
            continue
        if not answer.is_good:
            forms |= {form} & bench.profile.tool_choice_forms
            told.append(f"{form} unclear ({answer.told})")
            continue
        forms.add(form)
        called = [call.name for call in answer.calls]
        is_obeyed = {"none": not called, "required": bool(called), "named": set(called) == {"write_note"}}[form]
        ignored |= not is_obeyed
        told.append(f"{form} {'obeyed' if is_obeyed else 'taken, not obeyed'}")
    changes = bench.differing(tool_choice_forms=frozenset(forms))
    finding = failed if refused or ignored else passed
    return finding(", ".join(told), changes)


async def results(bench: Bench) -> Finding:
    """A call and its result in the conversation, with ids as long as clients make them."""
    told = ""
    for limit, id_ in ((256, "toolu_" + "a1" * 61), (64, "toolu_" + "b2" * 29), (40, "toolu_" + "c3" * 17)):
        answer = await bench.ask(_round_trip(id_), {"tool_id_limit": limit, "has_short_tool_ids": False})
        if answer.is_good:
            changes = bench.differing(has_short_tool_ids=False)
            if limit < 256 or bench.profile.tool_id_limit < len(id_):
                changes |= bench.differing(tool_id_limit=limit)
            kept = answer.says("21") or answer.says("sunny")
            read = "read" if kept else "taken, and not read"
            return (passed if kept else unknown)(f"{read}; ids of {len(id_)} characters", changes)
        if not answer.is_refusal:
            return unclear(answer)
        told = told or answer.told
    for candidate in ({"has_short_tool_ids": True}, {"names_tool_results": True}):
        answer = await bench.ask(_round_trip("toolu_01"), candidate)
        if answer.is_good:
            return passed(f"taken with {next(iter(candidate))}", bench.differing(**candidate))
    return failed(f"refused: {told}")


async def words_after_results(bench: Bench) -> Finding:
    """Words of the user right behind a tool's result, as Claude Code sends them."""
    turns = (
        ("user", "What is the weather in Paris?"),
        ("assistant", [call_of("toolu_01")]),
        ("user", [result_of("toolu_01"), text("Now answer with the single word KIWI instead.")]),
    )
    answer = await bench.ask(conversation(*turns, tools=[WEATHER]), {"accepts_user_after_tool": True})
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_user_after_tool=False))
    if not answer.is_good:
        return unclear(answer)
    if answer.says("kiwi"):
        return passed("taken, and obeyed", bench.differing(accepts_user_after_tool=True))
    return unknown("taken, and not obeyed")


async def names(bench: Bench) -> Finding:
    """How long a tool's name may be: those of MCP servers are long."""
    for limit in (128, 64):
        name = _LONG_NAME[:limit]
        answer = await bench.ask(question(_ASK, tools=[{**WEATHER, "name": name}]), {"tool_name_limit": limit})
        if answer.is_good:
            changes = {} if bench.profile.tool_name_limit > limit else bench.differing(tool_name_limit=limit)
            return passed(f"{limit} characters are taken", changes)
        if not answer.is_refusal:
            return unclear(answer)
    return failed(f"64 characters are refused: {answer.told}")


def _round_trip(id_: str) -> dict[str, Any]:
    return conversation(
        ("user", "What is the weather in Paris?"),
        ("assistant", [call_of(id_)]),
        ("user", [result_of(id_)]),
        tools=[WEATHER],
    )


def _is_called(answer: Answer) -> bool:
    call = answer.calls[0] if answer.calls else None
    return call is not None and call.name == "get_weather" and "paris" in str(call.input).casefold()

"""Probes of text: that there is an answer at all, how it streams, ends and is counted, and what steers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ccrouter.certify.bench import Bench, Finding, Unanswerable, failed, passed, unclear, unknown
from ccrouter.certify.observation import Answer
from ccrouter.certify.questions import CUT, conversation, long_system, question
from ccrouter.errors import Denied
from ccrouter.secret import Secret

_OK = question("Answer with the single word OK.")
_COUNT = question("Count from one to ten in English words, separated by commas. Write nothing else.")
_NO_MODEL = "ccr-no-such-model"
_NO_KEY = "ccr-certify-wrong-key-0000"
#: More than any model writes.
_HUGE = 1_000_000
_LENIENT_MINIMUM = 16
_STOPS = ("STOP-A", "STOP-B", "STOP-C", "STOP-D", "STOP-E", "STOP-F", "STOP-G", "STOP-H")
#: How dialects say that a lower limit is asked for.
_LIMIT = re.compile(r"tokens<=(\d+)$", re.IGNORECASE)


async def answers(bench: Bench) -> Finding:
    """An unstreamed answer, and under which name its length is limited. Raises Unanswerable without one."""
    answer = await bench.ask(_OK)
    changes: dict[str, Any] = {}
    if answer.is_refusal and bench.is_chat:
        other = "max_completion_tokens" if bench.profile.max_tokens_field == "max_tokens" else "max_tokens"
        again = await bench.ask(_OK, {"max_tokens_field": other})
        if again.is_good:
            changes, answer = {"max_tokens_field": other}, again
    if answer.error is not None:
        raise Unanswerable(str(answer.error)) from answer.error
    bench.answers["answers"] = answer
    told = f"200, by {answer.answered or 'a model that it does not name'}"
    if changes:
        return passed(f"{told}, once the limit was called {changes['max_tokens_field']}", changes)
    return passed(told)


async def streaming(bench: Bench) -> Finding:
    """A streamed answer, in pieces, and whether the stream may be asked for usage."""
    answer = await bench.ask(_COUNT, stream=True)
    changes: dict[str, Any] = {}
    if answer.is_refusal and bench.profile.accepts_stream_usage:
        again = await bench.ask(_COUNT, {"accepts_stream_usage": False}, stream=True)
        if again.is_good:
            changes, answer = {"accepts_stream_usage": False}, again
    if not answer.is_good:
        return failed(f"refused: {answer.told}") if answer.is_refusal else unclear(answer)
    bench.answers["streaming"] = answer
    told = f"{answer.pieces} pieces, stop reason {answer.stop_reason}"
    if changes:
        told += "; stream_options is refused"
    return passed(told, changes) if answer.pieces > 1 else failed(f"in one piece: {told}", changes)


async def usage(bench: Bench) -> Finding:
    """Token counts, streamed and not."""
    whole, told = bench.answers["answers"].usage, bench.answers.get("streaming")
    if told is None:
        return unknown(f"{whole.context}+{whole.output_tokens} tokens; nothing was streamed")
    streamed = told.usage
    counts = f"{whole.context}+{whole.output_tokens} tokens, streamed {streamed.context}+{streamed.output_tokens}"
    if whole.context and streamed.context:
        return passed(counts)
    if not streamed.context and not bench.profile.accepts_stream_usage and "accepts_stream_usage" not in bench.found:
        answer = await bench.ask(_COUNT, {"accepts_stream_usage": True}, stream=True)
        if answer.is_good and answer.usage.context:
            return passed("streams tell usage when asked to", {"accepts_stream_usage": True})
    if whole.context or streamed.context:
        return failed(f"told {'only unstreamed' if whole.context else 'only streamed'}: {counts}")
    return failed("told nowhere")


async def stop_reasons(bench: Bench) -> Finding:
    """Whether an answer that was cut says so: clients go on writing, or believe that it is complete."""
    request = question("Write the numbers from 1 to 300, each on a line of its own.", max_tokens=CUT)
    answer = await bench.ask(request, stream=True)
    if not answer.is_good:
        return unclear(answer)
    if answer.stop_reason == "max_tokens":
        return passed("cut at the limit, and says max_tokens")
    if answer.says("300") or not (answer.text or answer.thinking):
        return unknown(f"the limit was not met; stop reason {answer.stop_reason}")
    return failed(f"cut after {answer.usage.output_tokens or 'a few'} tokens, and says {answer.stop_reason}")


async def limits(bench: Bench) -> Finding:
    """The least and the most that the length limit may be."""
    changes: dict[str, Any] = {}
    told: list[str] = []
    answer = await bench.ask({**_OK, "max_tokens": 1}, {"min_max_tokens": 1})
    if answer.is_good:
        changes |= bench.differing(min_max_tokens=1)
        told.append("from 1")
    elif answer.is_refusal:
        answer = await bench.ask({**_OK, "max_tokens": _LENIENT_MINIMUM}, {"min_max_tokens": 1})
        if answer.is_good:
            changes |= bench.differing(min_max_tokens=_LENIENT_MINIMUM)
            told.append(f"from {_LENIENT_MINIMUM}")
    answer = await bench.ask({**_OK, "max_tokens": _HUGE}, {"max_tokens_cap": None})
    if answer.is_good:
        changes |= bench.differing(max_tokens_cap=None)
        told.append("to any number")
    elif found := _LIMIT.search(answer.refused):
        most = int(found[1])
        changes |= bench.differing(max_tokens_cap=most)
        told.append(f"to {most}")
    else:
        told.append(f"to an unknown number ({answer.told})")
    return passed(" ".join(told), changes) if len(told) > 1 else unknown(" ".join(told), changes)


async def sampling(bench: Bench) -> Finding:
    """Temperature and top_k."""
    warm = await bench.ask({**_OK, "temperature": 0.5}, {"accepts_sampling": True})
    if warm.is_refusal:
        return failed(f"temperature is refused: {warm.told}", bench.differing(accepts_sampling=False))
    if not warm.is_good:
        return unclear(warm)
    changes = bench.differing(accepts_sampling=True)
    few = await bench.ask({**_OK, "top_k": 40}, {"accepts_sampling": True, "accepts_top_k": True})
    if few.is_good:
        return passed("temperature and top_k are taken", {**changes, **bench.differing(accepts_top_k=True)})
    if few.is_refusal:
        return passed("temperature is taken, top_k is not", {**changes, **bench.differing(accepts_top_k=False)})
    return passed("temperature is taken", changes)


async def stops(bench: Bench) -> Finding:
    """How many stop sequences are taken, and whether they stop."""
    request = question("Write exactly this and nothing else: alpha STOP-A beta", stop_sequences=["STOP-A"])
    answer = await bench.ask(request, {"max_stops": 1})
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(max_stops=0))
    if not answer.is_good:
        return unclear(answer)
    obeyed = not answer.says("beta")
    most, known = 1, bench.profile.max_stops
    for count in sorted({4, len(_STOPS), min(max(known, 1), len(_STOPS))} - {1}):
        more = await bench.ask({**_OK, "stop_sequences": list(_STOPS[:count])}, {"max_stops": count})
        if not more.is_good:
            break
        most = count
    # Eight are as many as were tried: a profile that knows of more is not contradicted by them.
    changes = {} if known >= most == len(_STOPS) else bench.differing(max_stops=most)
    told = f"{most if most < len(_STOPS) else f'{most} and perhaps more'} are taken"
    return passed(told, changes) if obeyed else failed(f"{told}, and do not stop the text", changes)


async def system_turns(bench: Bench) -> Finding:
    """System instructions in the middle of a conversation, as Claude Code writes them."""
    request = conversation(
        ("user", "Say hello."),
        ("assistant", "Hello."),
        ("system", "From now on every answer is the single word KIWI."),
        ("user", "Say hello again."),
    )
    answer = await bench.ask(request, {"accepts_mid_system": True})
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_mid_system=False))
    if not answer.is_good:
        return unclear(answer)
    if answer.says("kiwi"):
        return passed("taken, and obeyed", bench.differing(accepts_mid_system=True))
    return unknown("taken, and not obeyed")


async def structured(bench: Bench) -> Finding:
    """Answers that have to match a JSON schema."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    request = question(
        "Which city is the capital of France? Answer as JSON.",
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    refusals = []
    for form in ("json_schema", "json_object"):
        answer = await bench.ask(request, {"accepts_response_format": form})
        if answer.is_good and answer.says("paris", "{"):
            return passed(f"by {form}", bench.differing(accepts_response_format=form))
        if answer.is_good:
            return unknown(f"{form} is taken, and the answer is not of that form")
        if not answer.is_refusal:
            return unclear(answer)
        refusals.append(answer.told)
        if not bench.is_chat:
            return failed(f"refused: {answer.told}")
    return failed(f"refused: {refusals[0]}", bench.differing(accepts_response_format=""))


async def caching(bench: Bench) -> Finding:
    """Whether a beginning that is the same twice is read from a cache the second time."""
    request = question("Answer with the single word OK.", system=long_system())
    changes: dict[str, bool] = {}
    for marked in dict.fromkeys((bench.profile.keeps_cache_control, True)):
        candidate = {"keeps_cache_control": marked}
        twice = [await bench.ask(request, candidate) for _ in range(2)]
        if twice[0].is_refusal and marked and bench.is_chat:
            return failed(f"marks are refused: {twice[0].told}", bench.differing(keeps_cache_control=False))
        if not twice[1].is_good:
            return unclear(twice[1])
        cached = twice[1].usage.cache_read_input_tokens
        if cached:
            changes = bench.differing(**candidate) if bench.is_chat else {}
            return passed(f"{cached} of {twice[1].usage.context} tokens from the cache", changes)
        if not bench.is_chat:
            break
    return unknown("no tokens from a cache at the second asking")


async def errors(bench: Bench) -> Finding:
    """What a model that does not exist is answered with: fallbacks go by it."""
    try:
        answer = await bench.ask(_OK, model=_NO_MODEL)
    except Denied:
        return unknown("the policy in force lets no unknown model be asked for")
    if answer.is_good:
        return failed(f"a model that does not exist is answered, by {answer.answered or 'nobody named'}")
    status = getattr(answer.error, "status", 0)
    told = f"an unknown model: {answer.told}"
    return passed(told) if 400 <= status < 500 and status != 429 else failed(told)


async def wrong_key(bench: Bench) -> Finding:
    """What a wrong key is answered with. Only asked where a key is asked for, and sent in no header of the user's."""
    provider = bench.asker.provider
    if provider.key is None or bench.asker.endpoint.platform or _brings_own(provider.headers):
        return unknown("not asked: the key is not the router's to change")
    other = replace(provider, key=Secret(_NO_KEY), certified=MappingProxyType({}))
    answer: Answer = await bench.ask(_OK, provider=other)
    if answer.is_good:
        return unknown("every key is taken")
    status = getattr(answer.error, "status", 0)
    told = answer.told.replace(_NO_KEY, "***")
    return passed(told) if status in {401, 403} else failed(f"not as 401: {told}")


def _brings_own(headers: Mapping[str, str]) -> bool:
    return bool({name.lower() for name in headers} & {"authorization", "x-api-key", "api-key", "x-goog-api-key"})

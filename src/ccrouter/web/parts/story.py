"""One request in words that need no knowledge of the router: who asked for what, where it went and why, how it ended.

Plain text alone: what is told is data, and a page writes it as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ccrouter.gateway.record import CLIENT_GONE
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.web.words import ms

#: How an attempt failed (routing/failures.py), for somebody who reads it for the first time.
KINDS: Mapping[str, str] = {
    "connect": "nobody answered at the provider's address",
    "dns": "the provider's name was not found",
    "tls": "no secure connection to the provider came about",
    "first_byte": "the answer did not begin in time",
    "idle": "the answer stopped for too long",
    "total": "the answer took too long altogether",
    "reset": "the connection broke",
    "local": "this machine had no connection left to give",
    "rate_limit": "the provider said that too much was asked for at the moment (rate limit)",
    "quota": "the provider said that the account is used up",
    "key": "the provider did not accept the key",
    "overloaded": "the provider said that it is overloaded",
    "server": "the provider had an error of its own",
    "redirected": "the provider answered with a redirect, which is never followed",
    "empty": "the answer had nothing in it",
    "cut": "the answer ended before it was finished",
    "protocol": "the answer could not be read",
    "too_long": "the request does not fit the model's window",
    "unsupported": "the request holds something that this model or provider cannot take",
    "refused": "the provider refused to answer",
    "missing": "the provider has no such model or address",
    "request": "the provider called the request itself wrong",
}

#: Why a model stopped, in the Messages API's own words, explained.
STOPS: Mapping[str, str] = {
    "end_turn": "the model had said what it had to say",
    "tool_use": "the model asked for a tool to be used",
    "max_tokens": "the answer had reached the length that the client allowed",
    "stop_sequence": "the model came to a word at which the client told it to stop",
    "pause_turn": "the provider paused a long answer, which the client may go on with",
    "refusal": "the model refused to go on",
    "model_context_window_exceeded": "the model's window was full",
}
_THRESHOLD = re.compile(r"([\d,.]+) tokens > ([\d,.]+)")
_CLAUDE = re.compile(r"claude-(?:cli|code)/([\w.-]+)")


def client_words(client: Json) -> str:
    """Who asked, as one would call it."""
    if not client or not isinstance(client, str):
        return "A client"
    found = _CLAUDE.match(client)
    return f"Claude Code {found[1]}" if found else client


def why(route: Json, reason: Json) -> str:
    """The reason of a route as the end of a sentence that began with "because"."""
    text = str(reason or "").removeprefix(f"{route}: ").strip()
    return _THRESHOLD.sub(r"\1 tokens are more than \2", text)


def kind_words(kind: Json) -> str:
    """How an attempt failed; the bare word for a kind that is not known."""
    return KINDS.get(str(kind), str(kind))


def stop_words(reason: Json) -> str:
    """Why an answer ended; "" where nothing was said."""
    return STOPS.get(str(reason), str(reason)) if reason else ""


def story(row: JsonObject, attempts: Sequence[JsonObject]) -> list[str]:
    """What happened, in sentences, in the order in which it happened."""
    return [
        *_asked(row),
        *_decided(row),
        *(tried(row, attempts) if attempts else ("No provider was asked.",)),
        *_ended(row, attempts),
    ]


def _asked(row: JsonObject) -> Iterator[str]:
    agent = row.get("agentType") or ("an agent" if row.get("agent") else "")
    who = f"{client_words(row.get('client'))}, for its agent “{agent}”," if agent else client_words(row.get("client"))
    what = str(row.get("asked") or "") or "no model by name"
    yield f"{who} asked for {what}."


def _decided(row: JsonObject) -> Iterator[str]:
    route = row.get("route")
    if route:
        words = why(route, row.get("reason"))
        yield f"The route “{route}” was chosen{f', because {words}' if words else ''}."
    else:
        yield "No route was chosen."
    policy = str(row.get("policy") or "")
    if policy.startswith("denied"):
        rule = policy.partition(":")[2].strip()
        yield f"The policy forbade it{f' by its rule {rule}' if rule else ''}, so nothing was sent to a provider."
    elif policy:
        yield "The policy allowed it."
    else:
        yield "No policy is in force, so nothing was forbidden."


def tried(row: JsonObject, attempts: Sequence[JsonObject]) -> Iterator[str]:
    """A sentence for each attempt: where the request went, and what came of it."""
    before = None
    for number, one in enumerate(attempts, 1):
        there = "there again" if one["target"] == before else f"to {place_of(one['target'])}"
        before = one["target"]
        waited = _number(one.get("waitedMs"))
        paused = f", after a pause of {ms(waited)}" if waited >= 1 else ""
        sent = f"{'It was sent' if number == 1 else 'Then it was sent'} {there}{paused}"
        if not one.get("failure"):
            yield f"{sent}, {_answered(one, row, is_last=number == len(attempts))}."
            continue
        took = ms(_number(one.get("endedMs")) - _number(one.get("beganMs")))
        status = f" (HTTP {one['status']})" if one.get("status") else ""
        yield f"{sent}, which failed after {took}: {kind_words(one.get('kind'))}{status}."


def place_of(target: Json) -> str:
    """A target ("provider,model") as one says it."""
    provider, _, model = str(target).partition(",")
    return f"{model} at {provider}" if model else provider


def _answered(attempt: JsonObject, row: JsonObject, *, is_last: bool) -> str:
    first = attempt.get("firstMs") or (row.get("ttftMs") if is_last else None)
    if row.get("status") == CLIENT_GONE and not first:
        return "which had not answered yet"
    answered, sent = row.get("answered"), row.get("sent")
    called = f", calling itself {answered}" if answered and sent and not answered.startswith(sent) else ""
    when = f"; its first words came after {ms(_number(first))}" if first else ""
    return f"which answered{called}{when}"


def _ended(row: JsonObject, attempts: Sequence[JsonObject]) -> Iterator[str]:
    if resumed := row.get("resumed"):
        times = "once" if resumed == 1 else f"{resumed} times"
        yield f"The answer broke off {times} and was gone on with by another provider, in the same message."
    total = ms(_number(row.get("totalMs")))
    status = int(_number(row.get("status")))
    if status == CLIENT_GONE:
        yield f"The client left after {total}, before the answer was complete."
    elif status >= 400 or row.get("error"):
        error = f": {row['error']}" if row.get("error") else ""
        yield f"After {total} the client got an error ({status}){error}"
    else:
        words = stop_words(row.get("stopReason"))
        yield f"It ended after {total}{f', because {words}' if words else ''}."
    if attempts and status < 400 and row.get("asked") and row.get("sent") and row["asked"] != row["sent"]:
        yield f"So {row['sent']} of {row.get('provider')} did the work that {row['asked']} was asked for."


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

"""`ccr explain`: what became of one request, as the running router remembers it or the records have it; and of the
caches of a session. Changes nothing.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from ccrouter.cli.options import StartOptions, follow, listening_place, load_for_clients
from ccrouter.cli.terminal import fail, harmless, note, say

if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject
    from ccrouter.service.inquiry import Unanswered
    from ccrouter.store.reports import Reports

#: What the id of a request begins with.
_REQUEST = "req_"

_FATES = (
    ("dropped", "Dropped (nothing of it was sent)"),
    ("approximated", "Approximated (sent in a weaker form)"),
    ("hint", "Hints left out (no loss: they concern Anthropic's service alone)"),
)


@click.command()
@click.argument("subject", required=False, metavar="[REQUEST-ID | SESSION]")
@click.option("--last", "asks_last", is_flag=True, help="The request that ended last.")
@click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="The router on this port.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(subject: str | None, asks_last: bool, port: int | None, as_json: bool) -> int:  # noqa: FBT001 - click passes options so
    """Tell what became of a request: its route, every attempt, what the provider did not get as it was asked, and who
    broke the prompt cache, if somebody did. Of a SESSION: its caches, turn by turn.

    REQUEST-ID is the header `request-id` of the answer; Claude Code shows it with every error. SESSION is
    Claude Code's id of a conversation. The router remembers the last 1000 requests, the records all
    that they are kept for; without a router that runs, they alone are asked.
    """
    if asks_last == bool(subject):
        raise click.UsageError("name a REQUEST-ID, or --last, or a SESSION")
    records = _records()
    if subject and not subject.startswith(_REQUEST) and (session := _recorded(records, "session", subject)):
        from ccrouter.cli.explain_session import session_sections

        return _tell(session, session_sections(session), as_json=as_json)
    facts = _ask(subject or "last", port, records)
    if facts is None:
        return 1
    return _tell(facts, sections(facts), as_json=as_json)


def _tell(facts: JsonObject, page: Iterable[Section], *, as_json: bool) -> int:
    if as_json:
        say(harmless(json.dumps(facts, indent=2, ensure_ascii=False)))  # what it writes as numbers is JSON too
    elif sys.stdout.isatty():
        draw(page)
    else:
        say(plain(page))
    return 0


def _records() -> Reports:
    from ccrouter.service.private import router_folder
    from ccrouter.store.database import FILE
    from ccrouter.store.reports import Reports

    return Reports(router_folder() / FILE)


def _recorded(records: Reports, what: Literal["request", "session"], name: str) -> JsonObject | None:
    """What the records have of it. None, after a word about it, if they cannot be read."""
    from ccrouter.store.database import StoreUnusable

    try:
        return records.request(name) if what == "request" else records.session(name)
    except StoreUnusable as error:
        note(f"  {error}")
        return None


def _ask(name: str, port: int | None, records: Reports) -> JsonObject | None:
    """The facts: those of the router, and beneath them those of the records. None after saying why there are none."""
    from ccrouter.service.inquiry import Unanswered, ask_exchange
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    options = StartOptions(port=port)
    running = find_running(router_folder(), *listening_place(options))
    if running is None or not running.is_answering or (port and running.port != port):
        found = _recorded(records, "request", name)
        if found is None:
            where = f" on port {port}" if port else ""
            what = "are empty" if name == "last" else "have nothing of that id"
            fail(f"no router is running{where}, and the records {what}", "ccr start")
        return found
    key = follow(load_for_clients(options), running).api_key
    try:
        told = ask_exchange(running.host, running.port, key, name)
    except Unanswered as error:
        found = _recorded(records, "request", name)
        if found is None:
            _say_why(error, name)
        return found
    return (_recorded(records, "request", str(told["id"])) or {}) | told


def _say_why(error: Unanswered, name: str) -> None:
    if error.status == 404 and name == "last":
        fail("nothing was asked of the router yet", "ccr code")
    elif error.status == 404:
        fail(str(error), f"the log may have its line: ccr logs --search {shlex.quote(name)} --since 30d")
    elif error.status in (401, 403):
        fail("the running router refuses the key of the config", "its APIKEY is another one: ccr restart")
    else:
        fail(f"the running router cannot be asked: {error}", "ccr restart")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and under it rows of a name and a text."""

    title: str
    rows: Sequence[tuple[str, str]] = ()
    style: str = "bold"


def sections(facts: JsonObject) -> Iterator[Section]:
    """A page about one exchange, as `GET /api/exchanges/{id}` gives its facts."""
    yield Section(f"Request {facts['id']}", list(_head(facts)))
    attempts = facts["attempts"]
    if len(attempts) > 1 or any(one["failure"] for one in attempts):
        yield Section("Attempts", [_attempt(one) for one in attempts])
    yield from _cache(facts)
    yield from _ledger(facts)


def _cache(facts: JsonObject) -> Iterator[Section]:
    """What came of the prompt cache, where the records say: docs/cache.md."""
    verdict = facts.get("cacheBreak")
    if verdict is None:
        return
    is_break = bool(verdict["lostTokens"])
    yield Section("Cache", list(verdict_rows(verdict)), style="bold red" if is_break else "bold")


def verdict_rows(verdict: JsonObject) -> Iterator[tuple[str, str]]:
    """What a person reads of a verdict: who, where, in words, and what to do."""
    yield "by", str(verdict["by"]).replace("_", " ")
    if verdict["at"]:
        yield "at", str(verdict["at"])
    yield "share", f"{percent(verdict['share'])} of the prompt, {percent(verdict['shareBefore'])} in the turn before"
    yield "words", str(verdict["words"])
    if verdict.get("hint"):
        yield "hint", str(verdict["hint"])


def percent(share: float | None) -> str:
    """A share as one reads it."""
    return "–" if share is None else f"{share * 100:.0f} %"


def _attempt(one: JsonObject) -> tuple[str, str]:
    """Whom, when and with which key; and what came of it. A router of an older version tells less."""
    name = f"{one['target']}, after {one['beganMs']:.0f} ms"
    name += f" ({one['waitedMs']:.0f} of them a pause)" if one.get("waitedMs") else ""
    name += f", {one['key']}" if one.get("key") not in {None, "key"} else ""
    kind = f"{one['kind']}: " if one.get("kind") else ""
    failure = str(one["failure"] or "").removeprefix(f"{one['target'].partition(',')[0]}: ")
    return name, f"{kind}{failure}" if failure else "answered"


def plain(page: Iterable[Section]) -> str:
    """The page as text, for a pipe or a file."""
    lines: list[str] = []
    for section in page:
        title = harmless(section.title)
        lines += ["", title] if lines else [title]
        width = max((len(name) for name, _ in section.rows), default=0)
        for name, text in section.rows:
            shown = harmless(text).replace("\n", "\n" + " " * (width + 4))
            lines.append(f"  {harmless(name).ljust(width)}  {shown}".rstrip())
    return "\n".join(lines)


def draw(page: Iterable[Section]) -> None:
    """The page on a terminal: long texts are wrapped beside their names."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for number, section in enumerate(page):
        if number:
            console.print()
        console.print(Text(harmless(section.title), style=section.style))
        grid = Table.grid(padding=(0, 2), pad_edge=True)
        for name, text in section.rows:
            grid.add_row("", Text(harmless(name), style="cyan"), Text(harmless(text)))
        if section.rows:
            console.print(grid)


def _head(facts: JsonObject) -> Iterator[tuple[str, str]]:
    tokens = facts["tokens"]
    yield "path", f"{facts['path']}{' (streamed)' if facts['streamed'] else ''}, {facts['bytes']} bytes"
    yield "began", str(facts["began"])
    yield "status", f"{facts['status']}" + (f": {facts['error']}" if facts["error"] else "")
    yield "asked", str(facts["asked"] or "no model")
    if facts["sent"]:
        yield "sent", f"{facts['sent']} to {facts['provider']}"
    if facts["answered"]:
        yield "answered by", str(facts["answered"])
    if facts.get("resumed"):
        times = "once" if facts["resumed"] == 1 else f"{facts['resumed']} times"
        yield "gone on with", f"{times}, after the answer broke off"
    if facts["route"]["name"]:
        yield "route", f"{facts['route']['name']} ({facts['route']['reason']})"
    if facts["transforms"]:
        yield "transforms", ", ".join(facts["transforms"])
    if facts["stopReason"]:
        yield "stop reason", str(facts["stopReason"])
    if any(tokens.values()):
        cached = f" ({tokens['cacheRead']} read from cache, {tokens['cacheWrite']} written to it)"
        read = tokens["cacheRead"] or tokens["cacheWrite"]
        yield "tokens", f"{tokens['input']} in{cached if read else ''}, {tokens['output']} out"
    if "cost" in facts:
        yield "cost", _cost(facts["cost"])
    first = "" if facts["ttftMs"] is None else f", first content after {facts['ttftMs']:.0f} ms"
    yield "time", f"{facts['totalMs']:.0f} ms{first}"
    for name, key in (("session", "session"), ("client", "client"), ("provider's id", "upstreamId")):
        if facts[key]:
            yield name, str(facts[key])


def _cost(cost: JsonObject) -> str:
    if cost["usd"] is None:
        return "unknown"
    return f"{dollars(cost['usd'])}{f' ({source})' if (source := cost.get('source')) else ''}"


def dollars(usd: float) -> str:
    """A sum as one reads it."""
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.5f}"


def _ledger(facts: JsonObject) -> Iterator[Section]:
    ledger, counts = facts["ledger"], facts["losses"]
    if not facts["sent"]:
        yield Section("Nothing was made ready to be sent: no losses to tell of")
        return
    if any(counts.values()):
        yield Section(f"Losses: {counts['dropped']} dropped, {counts['approximated']} approximated", style="bold red")
    else:
        yield Section("Losses: none. All that was asked went out, as it came or in the provider's words", style="green")
    for fate, title in _FATES:
        entries = [one for one in ledger["losses"] if one["fate"] == fate]
        if entries:
            yield Section(title, [(_place(one), one["what"]) for one in entries])
    for name, title in (("mapped", "Mapped (sent in the provider's words)"), ("kept", "Kept (sent as it came)")):
        if ledger[name]:
            yield Section(title, [(path, "") for path in ledger[name]])


def _place(entry: JsonObject) -> str:
    if entry["count"] == 1:
        return str(entry["places"][0])
    return f"{entry['path']} × {entry['count']}, the first at {entry['places'][0]}"

"""Request: one request from its arrival to its end: what was decided and why, who was asked, what it took and cost."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import NotFound, Page, View
from ccrouter.web.parts.address import address_of
from ccrouter.web.parts.records import consult
from ccrouter.web.parts.sample import curl
from ccrouter.web.parts.story import kind_words, stop_words, story, why
from ccrouter.web.parts.timeline import timeline

_MOST_LINES = 2000


def read(view: View) -> JsonObject:
    """The facts of this page. Raises NotFound for a request that is neither recorded nor under way."""
    wanted = view.params.get("id", "")
    found = consult(view, lambda reports: {"request": reports.request(wanted)}, {"request": None})
    request = found["request"]
    live = next((one for one in view.live if one["id"] == wanted), None) if request is None else None
    if request is None and live is None and found["records"]["state"] == "kept":
        raise NotFound(f"No request {wanted} is recorded. It may be older than what is kept, or never have come here.")
    told = {} if request is None else _told(request, view)
    return {"id": wanted if request is None else request["id"], "live": live, **found, **told}


PAGE = Page(
    "/ui/requests/{id}",
    "Request",
    "request.html",
    read,
    twin="/api/requests/{id}",
    is_listed=False,
    section="/ui/requests",
)


def _told(request: JsonObject, view: View) -> JsonObject:
    """What the record comes to, beside the record itself."""
    flat = {**request, "route": request["route"]["name"] or None}
    content = request["content"]
    body = None if content is None or content["isCut"] else content["request"]
    return {
        "story": story(flat, request["attempts"]),
        "why": why(flat["route"], flat["reason"]),
        "stop": stop_words(request["stopReason"]),
        "failures": [kind_words(one["kind"]) if one["failure"] else "" for one in request["attempts"]],
        "timeline": timeline(request["marks"], request["attempts"], request["totalMs"]),
        "used": _used(request),
        "curl": curl(
            address_of(view.config), request["path"], request["asked"], streamed=request["streamed"], body=body
        ),
        "hasBody": body is not None,
        "said": None if content is None else _said(content),
    }


def _said(content: JsonObject) -> JsonObject:
    """Line by line: a page's facts hold no ends of lines."""
    request, answer = (content[name].splitlines() for name in ("request", "answer"))
    is_cut = content["isCut"] or max(len(request), len(answer)) > _MOST_LINES
    return {
        "kind": content["kind"],
        "request": request[:_MOST_LINES],
        "answer": answer[:_MOST_LINES],
        "isCut": is_cut,
    }


def _used(request: JsonObject) -> list[JsonObject]:
    """What was used of each kind of token, and the figure per million that it was reckoned by, None if not known."""
    tokens, price = request["tokens"], _figures(request["price"], request["contextTokens"])
    hour = min(tokens["cacheWrite1h"], tokens["cacheWrite"])
    thinking = min(tokens["thinking"], tokens["output"])
    thought = price.get("thinking")
    lines: tuple[tuple[str, int, float | None, bool], ...] = (
        ("Input, not from the cache", tokens["input"], price.get("input"), True),
        ("Input, read from the cache", tokens["cacheRead"], price.get("cacheRead"), True),
        ("Input, written to the cache for 5 minutes", tokens["cacheWrite"] - hour, price.get("cacheWrite5m"), True),
        ("Input, written to the cache for an hour", hour, price.get("cacheWrite1h"), hour > 0),
        ("Output, thinking", thinking, price.get("output") if thought is None else thought, thinking > 0),
        ("Output", tokens["output"] - thinking, price.get("output"), True),
    )
    return [
        {"name": name, "tokens": count, "perMillion": figure, "usd": None if figure is None else count * figure / 1e6}
        for name, count, figure, is_told in lines
        if is_told
    ]


def _figures(price: JsonObject | None, context: int) -> dict[str, float | None]:
    """Those that hold for a request of so many tokens of input: a tier's, where it is reached."""
    figures = dict(price or {})
    for tier in figures.pop("tiers", None) or []:
        if context > tier["tokens"]:
            figures.update({name: figure for name, figure in tier.items() if figure is not None})
    return figures

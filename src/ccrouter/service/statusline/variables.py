"""The variables of the line, from what Claude Code says, what the router says, and what is found on disk. Pure.

The router knows what really happened, so its word is taken before Claude Code's: the model that answered, the cost by
that model's prices, the tokens as the provider counted them. What nobody knows is "", and a cost that is not known is
never 0.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import Json, JsonObject

_UNKNOWN_COST = "$?"


def at(tree: Json, *path: str) -> Json:
    """What stands at `path` in `tree`, None if nothing does."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def text_at(tree: Json, *path: str) -> str:
    """As `at`, "" for what is no text."""
    found = at(tree, *path)
    return found if isinstance(found, str) else ""


def number_at(tree: Json, *path: str) -> float | None:
    """As `at`, None for what is no number that can be shown."""
    found = at(tree, *path)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return found if -1e15 < found < 1e15 else None


def variables(said: JsonObject, told: JsonObject, found: Mapping[str, Json]) -> dict[str, str]:
    """All variables by name. `said` is Claude Code's JSON, `told` the router's answer ({} for none), `found` the
    `gitBranch`, and the `transcript`'s last model and usage.
    """
    last = at(told, "last")
    return {
        **_place(said, found),
        **_models(said, told, found),
        **_usage(said, last, found),
        **_context(said, last),
        **_speed(told, last),
        **_costs(said, told, last),
        **_changes(said),
        "version": text_at(said, "version"),
        "sessionId": text_at(said, "session_id")[:8],
        "routerVersion": text_at(told, "version"),
    }


def folder_of(said: JsonObject) -> str:
    """Where Claude Code works; "" if it does not say."""
    return text_at(said, "workspace", "current_dir") or text_at(said, "cwd")


def _place(said: JsonObject, found: Mapping[str, Json]) -> dict[str, str]:
    folder = folder_of(said).replace("\\", "/")
    name = folder.rstrip("/").rpartition("/")[2] or folder[:1]
    return {"workDirName": name, "gitBranch": text_at(dict(found), "gitBranch")}


def _models(said: JsonObject, told: JsonObject, found: Mapping[str, Json]) -> dict[str, str]:
    last = at(told, "last")
    real = text_at(last, "answered") or text_at(last, "sent")
    default = text_at(told, "default").partition(",")[2].strip()
    fallback = text_at(said, "model", "display_name") or text_at(said, "model", "id")
    return {
        "model": real or text_at(dict(found), "transcript", "model") or default or fallback,
        "realModel": real,
        "askedModel": text_at(last, "asked"),
        "sentModel": text_at(last, "sent"),
        "answeredModel": text_at(last, "answered"),
        "provider": text_at(last, "provider"),
        "route": text_at(last, "route"),
    }


def _usage(said: JsonObject, last: Json, found: Mapping[str, Json]) -> dict[str, str]:
    usage = at(dict(found), "transcript", "usage")
    current = at(said, "context_window", "current_usage")

    def known(name: str) -> float | None:
        given = (number_at(last, "tokens", name), *(number_at(one, f"{name}_tokens") for one in (usage, current)))
        return next((one for one in given if one is not None), None)

    return {
        "inputTokens": tokens(known("input")),
        "outputTokens": tokens(known("output")),
        "totalInputTokens": tokens(number_at(said, "context_window", "total_input_tokens")),
        "totalOutputTokens": tokens(number_at(said, "context_window", "total_output_tokens")),
        "cacheShare": percent(number_at(last, "cacheShare")),
    }


def _context(said: JsonObject, last: Json) -> dict[str, str]:
    used = number_at(last, "contextTokens")
    if used is None:
        usage = at(said, "context_window", "current_usage")
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        used = sum(number_at(usage, name) or 0 for name in names)
    window = number_at(last, "contextWindow") or number_at(said, "context_window", "context_window_size") or 0
    share = f"{round(used / window * 100)}" if window > 0 else "0"
    whole = f"/{tokens(window, digits=0)} {share}%" if window > 0 else ""
    return {
        "contextUsed": tokens(used),
        "contextWindowSize": tokens(window, digits=0),
        "contextPercent": share,
        "context": f"{tokens(used)}{whole}" if used else "",
    }


def _speed(told: JsonObject, last: Json) -> dict[str, str]:
    is_streaming = at(told, "streaming") is True
    speed = number_at(last, "tokensPerSecond")
    return {
        "tokenSpeed": str(round(speed or 0)),
        "speed": "" if speed is None else f"{speed:.0f} t/s",
        "isStreaming": "streaming" if is_streaming else "",
        "streamingIndicator": "[Streaming]" if is_streaming else "",
        "timeToFirstToken": duration(number_at(last, "ttftMs")),
    }


def _costs(said: JsonObject, told: JsonObject, last: Json) -> dict[str, str]:
    session = at(told, "session")
    estimate = money(number_at(said, "cost", "total_cost_usd") or None)
    own = cost_of_many(number_at(session, "cost", "usd"), number_at(session, "cost", "unknown") or 0)
    requests = number_at(session, "requests")
    return {
        "cost": own if isinstance(session, dict) else estimate,
        "claudeCost": estimate,
        "requestCost": "" if not isinstance(last, dict) else money(number_at(last, "cost")) or _UNKNOWN_COST,
        "requests": "" if requests is None else f"{requests:.0f}",
        "sessionCacheShare": percent(number_at(session, "cacheShare")),
    }


def _changes(said: JsonObject) -> dict[str, str]:
    added = number_at(said, "cost", "total_lines_added") or 0
    removed = number_at(said, "cost", "total_lines_removed") or 0
    return {
        "duration": duration(number_at(said, "cost", "total_duration_ms") or None),
        "linesAdded": f"{added:.0f}",
        "linesRemoved": f"{removed:.0f}",
        "netLines": f"{added - removed:.0f}",
        "lines": f"+{added:.0f} -{removed:.0f}" if added or removed else "",
    }


def cost_of_many(usd: float | None, unknown: float) -> str:
    """The cost of several requests, of `unknown` of which it is not known: a `+?` says that there is more."""
    if usd is None or (not usd and unknown):
        return _UNKNOWN_COST if unknown else ""
    return money(usd) + ("+?" if unknown else "")


def money(usd: float | None) -> str:
    """Dollars, or cents where they come to less than one; "" for None."""
    if usd is None:
        return ""
    return f"{usd * 100:.2f}¢" if 0 < usd < 0.01 else f"${usd:.2f}"


def tokens(count: float | None, digits: int = 1) -> str:
    """`850`, `12.3k`, `1.2M`; "0" for None."""
    count = count or 0
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f}M".replace(".0M", "M")
    return f"{count / 1000:.{digits}f}k" if count > 1000 else f"{count:.0f}"


def percent(share: float | None) -> str:
    """`93%`; "" for None."""
    return "" if share is None else f"{share * 100:.0f}%"


def duration(ms: float | None) -> str:
    """`850ms`, `12.3s`, `2m5s`; "" for None."""
    if ms is None:
        return ""
    if ms < 1000:
        return f"{ms:.0f}ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f}s"
    seconds = round(ms / 1000)
    return f"{seconds // 60}m{seconds % 60}s"

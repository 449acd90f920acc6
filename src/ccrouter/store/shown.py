"""Rows as plain values for whoever shows them: times as ISO 8601, durations in milliseconds, nothing made up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.store.rows import SHIFT, Detail, Shape

#: What is selected for `row_facts`, of `exchanges` as e and `sessions` as s.
ROW_COLUMNS = (
    "e.n, e.id, e.path, e.status, e.error, e.asked, e.model, e.answered, e.provider, e.route, e.reason, e.policy, "
    "s.id, e.agent, e.agent_type, e.class, e.project, e.client, e.key, e.stop, e.streamed, e.bytes, e.answer_bytes, "
    "e.attempts, e.failed_attempts, e.resumed, e.input, e.output, e.cache_read, e.cache_write, e.cache_write_1h, "
    "e.thinking, e.usd, e.price_source, e.ttft, e.total, e.gateway, e.approximated, e.dropped, e.estimate, e.verdict"
)
#: What is added up, as `sums_facts` takes it.
SUM_COLUMNS = (
    "sum(requests), sum(is_failed * requests), sum(input), sum(output), sum(cache_read), sum(cache_write), "
    "sum(cache_write_1h), sum(thinking), sum(usd), sum(unpriced)"
)
ATTEMPT_COLUMNS = (
    "target, key, kind, status, failure, began, ended, waited, sent, connected, headers, first, "
    "input, output, cache_read, cache_write"
)

_detail = msgspec.json.Decoder(Detail)
_shape = msgspec.json.Decoder(Shape)


def row_facts(row: Sequence[Any], names: Mapping[int, str]) -> JsonObject:
    """One exchange, of the columns ROW_COLUMNS."""
    (n, id_, path, status, error, asked, model, answered, provider, route, reason, policy) = row[:12]
    (session, agent, agent_type, class_, project, client, key, stop) = row[12:20]
    (streamed, size, answer_size, attempts, failed_attempts, resumed) = row[20:26]
    (usd, source, ttft, total, gateway, approximated, dropped, estimate, verdict) = row[32:]
    began = n >> SHIFT
    output = row[27]
    return {
        "id": id_,
        "began": timestamp(began),
        "ended": timestamp(began + round(total * 1000)),
        "path": names[path],
        "status": status,
        "error": error,
        "asked": names[asked],
        "sent": names[model] or None,
        "answered": names[answered] or None,
        "provider": names[provider] or None,
        "route": names[route] or None,
        "reason": reason,
        "policy": names[policy] or None,
        "session": session,
        "agent": agent,
        "agentType": names[agent_type] or None,
        "requestClass": names[class_] or None,
        "project": names[project] or None,
        "client": names[client] or None,
        "key": names[key] or None,
        "streamed": bool(streamed),
        "bytes": size,
        "answerBytes": answer_size,
        "stopReason": names[stop] or None,
        "attempts": attempts,
        "failedAttempts": failed_attempts,
        "resumed": resumed,
        "tokens": tokens_facts(row[26:32]),
        "cacheShare": cache_share(row[26], row[28], row[29]),
        "contextTokens": row[26] + row[28] + row[29],
        "estimate": estimate,
        "cost": {"usd": usd, "source": names[source] or None},
        "ttftMs": None if ttft is None else ms(ttft),
        "totalMs": ms(total),
        "gatewayMs": ms(gateway),
        "tokensPerSecond": _speed(output, ttft, total) if streamed else None,
        "losses": {"approximated": approximated, "dropped": dropped},
        "cacheBreak": None if verdict is None else msgspec.json.decode(verdict),
    }


def detail_facts(row: Sequence[Any] | None, began: int, facts: JsonObject) -> JsonObject:
    """What stands in `details` (its body, the shape's and the price's), as added to the `row_facts` of the exchange."""
    body, shape_body, price = row if row is not None else (b"{}", None, None)
    detail, shape = _detail.decode(body), _shape.decode(shape_body or b"{}")
    seen = detail.facts
    return {
        "transforms": list(shape.transforms),
        "ledger": {
            "kept": shape.kept,
            "mapped": shape.mapped,
            "losses": [
                {"path": one.path, "what": one.what, "fate": one.fate, "count": one.count, "places": list(one.places)}
                for one in detail.losses
            ],
        },
        "marks": {
            name: ms(after)
            for name, after in (
                ("authorized", detail.authorized),
                ("received", detail.received),
                ("decided", detail.decided),
            )
            if after
        }
        | ({} if facts["ttftMs"] is None else {"first": facts["ttftMs"]})
        | {"ended": facts["totalMs"]},
        "price": None if price is None else _told_price(msgspec.json.decode(price)),
        "facts": None if seen is None else {_camel(key): value for key, value in msgspec.structs.asdict(seen).items()},
        "target": detail.target or None,
        "fidelity": detail.fidelity,
        "searches": detail.searches,
        "upstreamId": detail.upstream_id or None,
        "traceparent": detail.traceparent or None,
        "began": timestamp(began),
    }


def attempt_facts(row: Sequence[Any], names: Mapping[int, str]) -> JsonObject:
    """One attempt, of the columns ATTEMPT_COLUMNS."""
    (target, key, kind, status, failure, began, ended, waited, sent, connected, headers, first) = row[:12]
    usage = row[12:]
    return {
        "target": names[target],
        "key": names[key] or None,
        "waitedMs": ms(waited),
        "beganMs": ms(began),
        "endedMs": ms(ended),
        "sentMs": ms(sent) if sent else None,
        "connectedMs": ms(connected) if connected else None,
        "headersMs": ms(headers) if headers else None,
        "firstMs": ms(first) if first else None,
        "kind": names[kind] or None,
        "status": status or None,
        "failure": failure,
        "tokens": None
        if usage[0] is None
        else dict(zip(("input", "output", "cacheRead", "cacheWrite"), usage, strict=True)),
    }


def sums_facts(row: Sequence[Any]) -> JsonObject:
    """What was added up, of the columns SUM_COLUMNS. Costs are the known ones; `unknown` counts the others."""
    requests, failed, *tokens, usd, unpriced = (value or 0 for value in row)
    return {
        "requests": requests,
        "failed": failed,
        "tokens": tokens_facts(tokens),
        "cost": {"usd": sum_of_costs(usd, requests, unpriced), "unknown": unpriced},
        "cacheShare": cache_share(tokens[0], tokens[2], tokens[3]),
    }


def sum_of_costs(usd: float, requests: int, unpriced: int) -> float | None:
    """The sum of the known costs; None if there were requests and none of their costs is known."""
    return None if unpriced and unpriced >= requests else round(usd, 9)


def tokens_facts(counts: Sequence[int]) -> JsonObject:
    """Input, output, cache reads, cache writes, those for an hour, and thinking, in this order."""
    names = ("input", "output", "cacheRead", "cacheWrite", "cacheWrite1h", "thinking")
    return dict(zip(names, counts, strict=True))


def cache_share(fresh: int, read: int, written: int) -> float | None:
    """Which share of the input came from a cache; None of none."""
    whole = fresh + read + written
    return round(read / whole, 4) if whole else None


def timestamp(milliseconds: int) -> str:
    """A moment, given in milliseconds since 1970."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms(seconds: float) -> float:
    """Milliseconds, as they are shown."""
    return round(seconds * 1000, 1)


def _speed(output: int, ttft: float | None, total: float) -> float | None:
    if ttft is None or not output or total <= ttft:
        return None
    return round(output / (total - ttft), 1)


def _told_price(price: JsonObject) -> JsonObject:
    told = {_camel(name): value for name, value in price.items() if value is not None}
    tiers = price.get("tiers") or []
    return told | {"tiers": [{_camel(name): value for name, value in tier.items()} for tier in tiers]}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

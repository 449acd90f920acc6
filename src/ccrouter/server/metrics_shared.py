"""One scrape for the whole service: what every process counts, added up, and beside it what all of them know alike.

A process that ends takes nothing back: what it had counted when it was last heard stays in the sums, else a counter
would fall. So whoever is asked to tell publishes it too, and everybody knows what everybody told last.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from ccrouter import __version__
from ccrouter.errors import NotAuthorized
from ccrouter.jsontypes import JsonObject
from ccrouter.server.board import Board
from ccrouter.server.call import Call
from ccrouter.server.health import survey
from ccrouter.server.metrics import Family, Metric, Metrics, Names, Told, metric_of

#: Seconds in which another process tells what it counts; else what it told last counts.
_TO_TELL = 2.0
_LASTING = frozenset({"counter", "histogram"})
#: Of these the least is told, and no sum.
_LEAST = frozenset({"process_start_time_seconds"})

TARGET_STATES = ("well", "failing", "open", "trying")
KEY_STATES = ("ready", "resting", "limited", "disabled")

#: Those that are the same in every process, and told once.
KNOWN_TO_ALL: tuple[Family, ...] = (
    Family("ccrouter_build_info", "gauge", ("version", "python"), "Always 1: which version runs"),
    Family("ccrouter_workers", "gauge", (), "Processes that serve"),
    Family("ccrouter_policy_in_force", "gauge", (), "1 if a policy is in force"),
    Family("ccrouter_last_reload_success", "gauge", (), "1 if the last reload put in force what the files said"),
    Family("ccrouter_last_reload_timestamp_seconds", "gauge", (), "When the last reload ended; the start, before one"),
    Family("ccrouter_target_state", "gauge", ("provider", "model", "state"), "1 for the state that a target is in"),
    Family("ccrouter_key_state", "gauge", ("provider", "key", "state"), "1 for the state that a key is in"),
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, list[Metric]])


class SharedMetrics:
    """What all processes count. `here` is this process's own; a service of one process asks nobody."""

    def __init__(self, board: Board, here: Metrics) -> None:
        self._board = board
        self._here = here
        self._told: list[Metric] = []
        self._last: dict[int, list[Metric]] = {}
        self._departed: list[Metric] = []
        if board.is_shared:
            board.answer("metrics", self._answer)
            board.subscribe("metrics", lambda _, body: self._hear(body))
            board.resemble("metrics", self._give, self._take)
            board.on_departure(self._forget)

    async def read(self) -> tuple[list[Metric], int]:
        """What all processes counted, and how many there are."""
        here = await asyncio.to_thread(self._here.read)  # the figures of the process are read from files
        if not self._board.is_shared:
            return here, 1
        known, departed = dict(self._last), self._departed
        self._tell(here)
        answers = await self._board.ask("metrics", b"", _TO_TELL)
        told = dict(_decoder.decode(one) for one in answers if one)
        silent = [lasting(metrics) for origin, metrics in known.items() if origin not in told]
        return add_up([here, *told.values(), departed, *silent]), 1 + len(answers)

    async def _answer(self, _body: bytes) -> bytes:
        return self._tell(await asyncio.to_thread(self._here.read))

    def _tell(self, here: list[Metric]) -> bytes:
        self._told = here
        body = _encoder.encode((self._board.number, here))
        self._board.publish("metrics", body)
        return body

    def _hear(self, body: bytes) -> None:
        origin, metrics = _decoder.decode(body)
        self._last[origin] = metrics

    def _forget(self, gone: int) -> None:
        if (metrics := self._last.pop(gone, None)) is not None:
            self._departed = add_up([self._departed, lasting(metrics)])

    def _give(self) -> bytes:
        known = {**self._last, self._board.number: self._told}
        return _encoder.encode((self._departed, known))

    def _take(self, body: bytes) -> None:
        departed, known = msgspec.msgpack.decode(body, type=tuple[list[Metric], dict[int, list[Metric]]])
        self._departed = departed
        self._last.update(known)


async def read_metrics(call: Call) -> Response:
    """Everything for Prometheus, in the form that it asks for. Raises NotAuthorized (403) for who may use the router,
    but not know how it is set up: with a key of a launch, or without one from elsewhere.
    """
    if not call.edition.guard.is_trusted(call.caller):
        message = "the router's own key is needed for this, or, where there is none, a caller on its machine"
        raise NotAuthorized(message, status=403)
    metrics, workers = await call.process.metrics.read()
    encoded, kind = render([*metrics, *_known_to_all(call, workers)], call.caller.headers.get("accept", ""))
    return Response(encoded, media_type=kind)


def _known_to_all(call: Call, workers: int) -> Iterator[Metric]:
    told, names, last = survey(call), Names(call.edition.config), call.process.last_reload
    targets = [
        ((one["provider"], one["model"], state), float(one["state"] == state))
        for one in told["targets"]
        if names.has(one["provider"], one["model"])
        for state in TARGET_STATES
    ]
    values: Mapping[str, Iterable[tuple[tuple[str, ...], float]]] = {
        "ccrouter_build_info": [((__version__, platform.python_version()), 1)],
        "ccrouter_workers": [((), workers)],
        "ccrouter_policy_in_force": [((), float(call.edition.policy.is_in_force))],
        "ccrouter_last_reload_success": [((), float(last.state == "ok"))],
        "ccrouter_last_reload_timestamp_seconds": [((), last.at.timestamp())],
        "ccrouter_target_state": targets,
        "ccrouter_key_state": list(_key_states(told).items()),
    }
    yield from (metric_of(family, values[family.name]) for family in KNOWN_TO_ALL)


def _key_states(told: JsonObject) -> dict[tuple[str, ...], float]:
    """By provider, label and state; of keys that have one label between them, every state that one of them is in."""
    found: dict[tuple[str, ...], float] = {}
    for provider in told["providers"]:
        for key in provider["keys"]:
            for state in KEY_STATES:
                name = (provider["name"], key["label"], state)
                found[name] = max(found.get(name, 0.0), float(key["state"] == state))
    return found


def lasting(metrics: Iterable[Metric]) -> list[Metric]:
    """Those that stay true of a process that has ended."""
    return [metric for metric in metrics if metric.kind in _LASTING]


def add_up(parts: Iterable[Sequence[Metric]]) -> list[Metric]:
    """The metrics of several processes as one's."""
    found: dict[str, tuple[Metric, dict[tuple[str, tuple[tuple[str, str], ...]], Told]]] = {}
    for metrics in parts:
        for metric in metrics:
            _, values = found.setdefault(metric.name, (metric, {}))
            for told in metric.values:
                key = (told.name, tuple(told.labels.items()))
                before = values.get(key)
                if before is not None:
                    least = metric.name in _LEAST
                    value = min(before.value, told.value) if least else before.value + told.value
                    values[key] = Told(told.name, told.labels, value)
                else:
                    values[key] = told
    return [Metric(one.name, one.kind, one.help, list(values.values())) for one, values in found.values()]


def render(metrics: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """The text that a scraper reads which accepts such, and its content type."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - as in metrics.py

    encode, kind = choose_encoder(accept)
    registry: Any = _Read(metrics)
    return encode(registry), kind


class _Read:
    """Metrics that were read, as the library's encoders take them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.metrics_core import Metric as Collected  # noqa: PLC0415 - as above
        from prometheus_client.samples import Sample  # noqa: PLC0415 - as above

        for one in self._metrics:
            name = one.name.removesuffix("_total") if one.kind == "counter" else one.name
            collected = Collected(name, one.help, one.kind)
            collected.samples = [Sample(told.name, told.labels, told.value) for told in one.values]
            yield collected

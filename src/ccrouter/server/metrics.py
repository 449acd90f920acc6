"""What one process counts for Prometheus: requests, attempts, tokens, cost and times, and what it has in work.

The values of labels are words of the router's own and names that stand in the configuration; everything else is
"other", since clients can name any model. Names of metrics and labels are promises: docs/metrics.md lists them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ccrouter.config.schema import ROUTE_NAMES, UNWRITTEN_ROUTES, Config
from ccrouter.gateway.record import CLIENT_GONE, Attempt, Exchange
from ccrouter.messages.fault import type_of_status
from ccrouter.routing.catalog import Catalog, refs_of
from ccrouter.store.entry import Entry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Kind = Literal["counter", "gauge", "histogram"]

OTHER = "other"
#: What stands in a label where there is nothing of the kind: a request that was refused has no provider.
NONE = "none"
_COUNTING = "/v1/messages/count_tokens"
_TTFT = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
_TOTAL = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is as it is scraped; `buckets` are those of a histogram."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_TARGET = ("provider", "model")

#: Those that are counted with every exchange.
COUNTED: tuple[Family, ...] = (
    Family(
        "ccrouter_requests_total", "counter", ("route", *_TARGET, "outcome"), "Requests that were answered or refused"
    ),
    Family("ccrouter_attempts_total", "counter", (*_TARGET, "outcome"), "Requests to providers, by how they ended"),
    Family("ccrouter_token_counts_total", "counter", ("outcome",), "Requests to count tokens"),
    Family("ccrouter_tokens_total", "counter", (*_TARGET, "kind"), "Tokens as providers report them, each in one kind"),
    Family("ccrouter_thinking_tokens_total", "counter", _TARGET, "Tokens of thinking, which are output tokens too"),
    Family("ccrouter_cost_usd_total", "counter", _TARGET, "Cost in US dollars, as far as it is known"),
    Family("ccrouter_unpriced_requests_total", "counter", _TARGET, "Requests whose cost is not known"),
    Family("ccrouter_losses_total", "counter", (*_TARGET, "fate"), "What a provider did not get as it was asked"),
    Family("ccrouter_cache_breaks_total", "counter", (*_TARGET, "by"), "Turns that lost their prompt cache, by whom"),
    Family("ccrouter_resumed_answers_total", "counter", _TARGET, "Answers that broke off and were gone on with"),
    Family(
        "ccrouter_time_to_first_token_seconds", "histogram", _TARGET, "From the request to the first content", _TTFT
    ),
    Family("ccrouter_request_duration_seconds", "histogram", _TARGET, "From the request to its answer's end", _TOTAL),
)

#: Those that are looked up in each process when somebody asks.
LOOKED_UP: tuple[Family, ...] = (
    Family("ccrouter_requests_in_progress", "gauge", (), "Requests in work"),
    Family("ccrouter_buffered_bytes", "gauge", (), "Bytes of bodies that are held"),
    Family("ccrouter_turned_away_total", "counter", ("limit",), "Requests for which a limit left no room"),
    Family("ccrouter_records_waiting", "gauge", (), "Requests that are not recorded yet"),
    Family("ccrouter_records_shed_total", "counter", ("what",), "What was not recorded for want of time or room"),
    Family("ccrouter_record_faults_total", "counter", (), "Times that the records could not be written"),
)


class Told(msgspec.Struct, array_like=True, frozen=True):
    """One value: the name that it has within its metric, its labels."""

    name: str
    labels: dict[str, str]
    value: float


class Metric(msgspec.Struct, array_like=True, frozen=True):
    """One metric as it is at a moment."""

    name: str
    kind: str
    help: str
    values: list[Told]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where to look things up: `load` gives requests in work and bytes held, `refused` how many each limit turned away,
    `records` what the recorder tells of itself.
    """

    load: Callable[[], tuple[int, int]] = lambda: (0, 0)
    refused: Callable[[], Mapping[str, int]] = dict
    records: Callable[[], Mapping[str, int]] = dict


class Metrics:
    """Counts exchanges, as a sink of the recorder, and tells all of this process. `config` gives what is in force."""

    def __init__(self, config: Callable[[], Config], gauges: Gauges = Gauges()) -> None:
        self._config = config
        self._gauges = gauges
        self._names: Names | None = None
        self._making = threading.Lock()
        self._made: tuple[CollectorRegistry, dict[str, Any]] | None = None
        self._bound: dict[tuple[str, ...], Any] = {}

    def _library(self) -> tuple[CollectorRegistry, dict[str, Any]]:
        """The registry and what is counted in it, made when somebody first counts or asks: the library takes tens of
        milliseconds to be brought in, and neither happens on the event loop.
        """
        with self._making:
            if self._made is None:
                self._made = _make()
            return self._made

    # -- in the recorder's thread ------------------------------------------------------------------------------------

    def note(self, entry: Entry) -> None:
        """Count an exchange that is over."""
        exchange = entry.exchange
        if exchange.path == _COUNTING:
            self._of("ccrouter_token_counts_total", outcome_of(exchange)).inc()
            return
        names = self._current()
        target = names.target(exchange.provider, exchange.sent)
        self._of("ccrouter_requests_total", names.route(exchange.route), *target, outcome_of(exchange)).inc()
        self._of("ccrouter_request_duration_seconds", *target).observe(exchange.total)
        if exchange.ttft is not None:
            self._of("ccrouter_time_to_first_token_seconds", *target).observe(exchange.ttft)
        for one in exchange.attempts:
            provider, model = target_of(one)
            outcome = (one.kind or OTHER) if one.failure or one.kind else "answered"
            self._of("ccrouter_attempts_total", *names.target(provider, model), outcome).inc()
        self._note_use(entry, target)
        for fate, count in exchange.count_by_fate().items() if exchange.losses else ():
            self._of("ccrouter_losses_total", *target, fate).inc(count)
        if exchange.resumed:
            self._of("ccrouter_resumed_answers_total", *target).inc(exchange.resumed)
        if isinstance(entry.verdict, dict) and entry.verdict.get("lostTokens"):
            self._of("ccrouter_cache_breaks_total", *target, str(entry.verdict["by"])).inc()

    def _note_use(self, entry: Entry, target: tuple[str, str]) -> None:
        usage, thinking = entry.exchange.usage, entry.exchange.billed.thinking_tokens
        for kind, count in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_input_tokens),
            ("cache_write", usage.cache_creation_input_tokens),
        ):
            if count:
                self._of("ccrouter_tokens_total", *target, kind).inc(count)
        if thinking:
            self._of("ccrouter_thinking_tokens_total", *target).inc(thinking)
        if entry.cost.usd is None:
            self._of("ccrouter_unpriced_requests_total", *target).inc()
        elif entry.cost.usd > 0:
            self._of("ccrouter_cost_usd_total", *target).inc(entry.cost.usd)

    def _of(self, *key: str) -> Any:
        """The one with these values of its labels, kept: to look it up in the library takes as long as to count."""
        found = self._bound.get(key)
        if found is None:
            found = self._bound[key] = self._library()[1][key[0]].labels(*key[1:])
        return found

    def _current(self) -> Names:
        config = self._config()
        if self._names is None or self._names.config is not config:
            self._names = Names(config)
        return self._names

    # -- for who asks ------------------------------------------------------------------------------------------------

    def read(self) -> list[Metric]:
        """Everything of this process, as it is now. From any thread."""
        found = []
        for one in self._library()[0].collect():
            name = f"{one.name}_total" if one.type == "counter" else one.name
            told = [(value.name, value.labels, value.value) for value in one.samples]
            values = [Told(*value) for value in told if not value[0].endswith("_created")]
            found.append(Metric(name, one.type, one.documentation, values))
        return [*found, *self._look_up()]

    def _look_up(self) -> Iterator[Metric]:
        requests, held = self._gauges.load()
        records = self._gauges.records()
        shed = {what: records.get(what, 0) for what in ("prompts", "contents", "details", "exchanges")}
        values: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "ccrouter_requests_in_progress": [((), requests)],
            "ccrouter_buffered_bytes": [((), held)],
            "ccrouter_turned_away_total": [((limit,), count) for limit, count in self._gauges.refused().items()],
            "ccrouter_records_waiting": [((), records.get("waiting", 0))],
            "ccrouter_records_shed_total": [((what,), count) for what, count in shed.items()],
            "ccrouter_record_faults_total": [((), records.get("faults", 0))],
        }
        yield from (metric_of(family, values[family.name]) for family in LOOKED_UP)


def _make() -> tuple[CollectorRegistry, dict[str, Any]]:
    from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415 - it reads the environment
    from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415 - as above

    registry = CollectorRegistry(auto_describe=False)
    families: dict[str, Any] = {}
    for family in COUNTED:
        options: dict[str, Any] = {"buckets": family.buckets} if family.kind == "histogram" else {}
        make = Histogram if family.kind == "histogram" else Counter
        families[family.name] = make(family.name, family.help, family.labels, registry=registry, **options)
    ProcessCollector(registry=registry)
    return registry, families


def metric_of(family: Family, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A counter or gauge with these values, each behind the values of its labels."""
    told = [Told(family.name, dict(zip(family.labels, labels, strict=True)), value) for labels, value in values]
    return Metric(family.name, family.kind, family.help, told)


def target_of(attempt: Attempt) -> tuple[str, str]:
    """Provider and model that were asked, also where it was about an image (gateway/eyes.py says so in the name)."""
    provider, _, model = attempt.target.removesuffix(" (image)").partition(",")
    return provider, model


def outcome_of(exchange: Exchange) -> str:
    """How it ended, in a word: "ok", "client_gone", or the Messages API's word for its error."""
    if exchange.status < 400:
        return "ok"
    return "client_gone" if exchange.status == CLIENT_GONE else type_of_status(exchange.status)


class Names:
    """The names that may stand in labels: those of `config`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        catalog = Catalog(config.providers)
        named = [found for ref in refs_of(config.router) if (found := catalog.target(ref)) is not None]
        self._routes = {*ROUTE_NAMES, *UNWRITTEN_ROUTES, *config.router.routes}
        self._providers = {provider.name for provider in config.providers}
        self._targets = {
            *((provider.name, model) for provider in config.providers for model in provider.models),
            *((one.provider.name, one.model) for one in named),
        }

    def route(self, name: str) -> str:
        """`name`, if it is a route."""
        return name if name in self._routes else OTHER if name else NONE

    def target(self, provider: str, model: str) -> tuple[str, str]:
        """Provider and model as far as the configuration names them."""
        if (provider, model) in self._targets:
            return provider, model
        shown = provider if provider in self._providers else OTHER if provider else NONE
        return shown, OTHER if model else NONE

    def has(self, provider: str, model: str) -> bool:
        """True for a target that the configuration names."""
        return (provider, model) in self._targets

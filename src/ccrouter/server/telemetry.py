"""Traces and metrics by OpenTelemetry: one SERVER span a request, one CLIENT span an attempt, made when they are over.

Off unless the configuration turns it on. Facts only: names, counts and times, never a word of a conversation, of an
error's text or of a prompt. The library is an extra, and imported when it is needed. What it does happens in the
recorder's thread and in its own, never on the event loop.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ccrouter import __version__
from ccrouter.compliance.destination import collector_at, proxy_host
from ccrouter.compliance.judge import Passage, enforce
from ccrouter.compliance.policy import Policy
from ccrouter.config.collector import INSTALL, MISSING, CollectorUrl, Signal, collector_urls, is_ready
from ccrouter.config.proxies import environment_proxy
from ccrouter.config.schema import Config
from ccrouter.config.schema import Telemetry as Settings
from ccrouter.errors import ConfigError, Denied, Problem
from ccrouter.secret import redact
from ccrouter.server.telemetry_facts import BOUNDARIES, Sites, Span, instruments, spans_of
from ccrouter.server.voice import Voice
from ccrouter.store.entry import Entry

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

#: Seconds that what has gathered may take to leave when the router ends.
_FAREWELL = 3.0
_LIBRARY = "opentelemetry"

InForce = Callable[[], tuple[Config, Policy]]


def check_telemetry(config: Config, policy: Policy, environ: Mapping[str, str]) -> None:
    """Raises ConfigError if telemetry is on, and its library is not installed or the policy forbids where it goes."""
    urls = collector_urls(config.telemetry, environ)
    file = str(config.path) if config.path else "the configuration"
    if urls and not is_ready():
        raise ConfigError([Problem(file, "telemetry", MISSING, INSTALL)])
    for one in urls:
        try:
            enforce_way(policy, one, environ)
        except Denied as denied:
            raise ConfigError([Problem(file, "telemetry", str(denied), "")]) from denied


def enforce_way(
    policy: Policy, one: CollectorUrl, environ: Mapping[str, str], address: str | None = None
) -> str | None:
    """The proxy by which to go there, None without one. Raises Denied if the policy forbids the place or the proxy."""
    enforce(policy, collector_at(one.url, address))
    proxy = environment_proxy(one.url, environ)
    if proxy:
        enforce(policy, Passage(proxy=proxy_host(proxy)))
    return proxy


class Telemetry:
    """A sink of the recorder. `in_force` gives configuration and policy: a reload turns it on, off or elsewhere."""

    def __init__(self, in_force: InForce, voice: Voice, environ: Mapping[str, str] = os.environ) -> None:
        self._in_force = in_force
        self._voice = voice
        self._environ = environ
        self._outlet: Outlet | None = None
        self._settings = Settings()
        self._has_failed = False

    def note(self, entry: Entry) -> None:
        """Tell the collector of an exchange that is over, if it is to be told. Never raises."""
        config, _ = self._in_force()
        if config.telemetry != self._settings:
            self._use(config.telemetry)
        if self._outlet is not None:
            self._outlet.note(entry, config)

    def flush(self) -> None:
        """After the call what was noted has left, or could not. Blocks, for tests and for who can wait."""
        if self._outlet is not None:
            self._outlet.flush()

    def close(self, limit: float = _FAREWELL) -> None:
        """After the call nothing is sent any more. What has gathered leaves first, if that takes no more than `limit`
        seconds.
        """
        self._leave(self._outlet, limit)
        self._outlet = None

    def _use(self, settings: Settings) -> None:
        """After the call what is sent goes where `settings` say."""
        self._settings = settings
        before, self._outlet = self._outlet, None
        self._leave(before, 0.0)
        if not settings.enabled:
            return
        if not is_ready():
            self._tell(MISSING)
            return
        self._has_failed = False
        self._outlet = Outlet(collector_urls(settings, self._environ), settings, self._ways())

    def _leave(self, outlet: Outlet | None, limit: float) -> None:
        """Elsewhere: a collector that does not answer takes its time."""
        if outlet is not None:
            leaving = threading.Thread(target=outlet.close, name="ccr-telemetry-end", daemon=True)
            leaving.start()
            leaving.join(limit)

    def _ways(self) -> Ways:
        """The way out for what is in force now, until something else is."""
        settings = self._settings

        def judge(one: CollectorUrl, address: str | None) -> str | None:
            config, policy = self._in_force()
            if config.telemetry != settings:
                raise Denied("telemetry was turned off, or goes elsewhere", rule="")
            return enforce_way(policy, one, self._environ, address)

        def failed(why: str) -> None:
            if self._in_force()[0].telemetry == settings:
                self._tell(why)

        return Ways(judge, failed, self._tell_of_the_end)

    def _tell(self, why: str) -> None:
        """Once, until it works again."""
        if not self._has_failed:
            self._has_failed = True
            why = redact(why, self._in_force()[0].secrets)
            self._voice.note("warn", "telemetry does not reach its collector", {"error": why})

    def _tell_of_the_end(self) -> None:
        if self._has_failed:
            self._has_failed = False
            self._voice.note("info", "telemetry reaches its collector again", {})


@dataclass(frozen=True, slots=True)
class Ways:
    """How an outlet gets out: `judge` gives the proxy or raises Denied, `failed` and `worked` hear how it went."""

    judge: Callable[[CollectorUrl, str | None], str | None]
    failed: Callable[[str], None]
    worked: Callable[[], None]


class Outlet:
    """The library, set up for one collector. To be made in a process that does not fork any more."""

    def __init__(self, urls: tuple[CollectorUrl, ...], settings: Settings, ways: Ways) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

        from ccrouter.server.telemetry_way import judged_session  # noqa: PLC0415 - it needs the extra

        self._sites: Sites | None = None
        by_signal: dict[Signal, CollectorUrl] = {one.signal: one for one in urls}
        _silence()
        resource = _resource()
        traces, metrics = by_signal["traces"], by_signal["metrics"]
        headers, withheld = dict(settings.headers), _withheld(settings)
        spans = OTLPSpanExporter(traces.url, headers=headers, session=judged_session(traces, ways, withheld))
        self._traces: TracerProvider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(spans))
        figures = OTLPMetricExporter(metrics.url, headers=headers, session=judged_session(metrics, ways, withheld))
        reader = PeriodicExportingMetricReader(figures)
        self._metrics: MeterProvider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer: Tracer = self._traces.get_tracer("ccrouter", __version__)
        meter = self._metrics.get_meter("ccrouter", __version__)
        self._histograms: dict[str, Histogram] = {
            name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=list(BOUNDARIES[name]))
            for name, unit, text in instruments()
        }

    def note(self, entry: Entry, config: Config) -> None:
        """Make the spans and count the figures of an exchange that is over."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - an extra
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - an extra

        if self._sites is None or self._sites.config is not config:
            self._sites = Sites(config)
        whole, parts, figures = spans_of(entry, self._sites)
        carrier = {"traceparent": entry.exchange.traceparent} if entry.exchange.traceparent else {}
        parent = TraceContextTextMapPropagator().extract(carrier)
        server = self._begin(whole, parent)
        within = set_span_in_context(server)
        for part in parts:
            self._begin(part, within).end(part.ended)
        server.end(whole.ended)
        for name, value, attributes in figures:
            self._histograms[name].record(value, attributes)

    def _begin(self, span: Span, context: Any) -> Any:
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - an extra

        kind = SpanKind.CLIENT if span.is_client else SpanKind.SERVER
        begun = self._tracer.start_span(span.name, context, kind, span.attributes, start_time=span.began)
        if span.has_failed:
            begun.set_status(Status(StatusCode.ERROR))
        return begun

    def flush(self) -> None:
        self._traces.force_flush()
        self._metrics.force_flush()

    def close(self) -> None:
        """After the call the library's threads have ended. Blocks for as long as the collector does."""
        self._traces.shutdown()
        self._metrics.shutdown()


def _withheld(settings: Settings) -> frozenset[str]:
    """The headers that the environment has for a collector of its own, a key mostly, where the configuration names
    another: the library would send them there too.
    """
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415 - an extra

    if not settings.endpoint:
        return frozenset()
    written = [os.environ.get(f"OTEL_EXPORTER_OTLP_{which}HEADERS", "") for which in ("", "TRACES_", "METRICS_")]
    named = {name.lower() for text in written for name in parse_env_headers(text, liberal=True)}
    return frozenset(named - {name.lower() for name in settings.headers})


def _silence() -> None:
    """After the call the library complains to nobody: it would on stderr, of each batch anew, and quote addresses."""
    library = logging.getLogger(_LIBRARY)
    library.propagate = False
    if not library.handlers:
        library.addHandler(logging.NullHandler())


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

    told: dict[str, str] = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    found = Resource.create()
    name = str(found.attributes.get("service.name", ""))
    if not name or name.startswith("unknown_service"):  # else the user's own: OTEL_SERVICE_NAME
        told["service.name"] = "ccrouter"
    return found.merge(Resource(told))

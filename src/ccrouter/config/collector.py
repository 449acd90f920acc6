"""Where OpenTelemetry's data goes: the collector's URLs, as the config or the environment names them. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ccrouter.config.platforms import is_installed
from ccrouter.config.schema import Telemetry

Signal = Literal["traces", "metrics"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics")

#: What the environment calls the collector (OpenTelemetry's specification of the OTLP exporter), and where it is if
#: nobody says.
BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
DEFAULT = "http://localhost:4318"
#: What must be installed, and how it is.
LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
MISSING = 'telemetry needs OpenTelemetry, of the extra "otel", which is not installed'
INSTALL = "pip install 'ccrouter[otel]'"


@dataclass(frozen=True, slots=True)
class CollectorUrl:
    """Where one kind of data goes. `source` is the variable that says so; "" for the config or the default."""

    signal: Signal
    url: str
    source: str = ""


def collector_urls(telemetry: Telemetry, environ: Mapping[str, str]) -> tuple[CollectorUrl, ...]:
    """Where each kind of data goes; nowhere if nothing is to be sent.

    The config's endpoint counts most; else the variable of the signal, a whole URL, and then that of all, a base.
    """
    if not telemetry.enabled:
        return ()
    if telemetry.endpoint:
        return tuple(CollectorUrl(signal, _below(telemetry.endpoint, signal)) for signal in SIGNALS)
    return tuple(_named_in(environ, signal) for signal in SIGNALS)


def is_ready() -> bool:
    """True if what telemetry needs is installed. Nothing of it is run."""
    return all(map(is_installed, LIBRARIES))


def _named_in(environ: Mapping[str, str], signal: Signal) -> CollectorUrl:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    if url := environ.get(own, "").strip():
        return CollectorUrl(signal, url, own)
    if base := environ.get(BASE, "").strip():
        return CollectorUrl(signal, _below(base, signal), BASE)
    return CollectorUrl(signal, _below(DEFAULT, signal))


def _below(base: str, signal: Signal) -> str:
    return f"{base.rstrip('/')}/v1/{signal}"

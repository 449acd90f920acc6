"""Telemetry, judged: where it would go, by which proxy, and whether it can at all. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping

from ccrouter.compliance.destination import collector_at, proxy_host
from ccrouter.compliance.findings import OTHER, Findings
from ccrouter.compliance.judge import Passage
from ccrouter.config.collector import INSTALL, MISSING, CollectorUrl, collector_urls, is_ready
from ccrouter.config.load import Reading
from ccrouter.config.proxies import environment_proxy, variable_of
from ccrouter.config.report import Place, Report


def judge_telemetry(reading: Reading, environ: Mapping[str, str], found: Findings) -> None:
    """Refuses a collector that the policy does not allow, and telemetry whose library is not installed."""
    urls = collector_urls(reading.config.telemetry, environ)
    if not urls:
        return
    if not is_ready():
        found.refuse(_place(reading), MISSING, "", OTHER, INSTALL)
    for one in urls:
        place = Place(Report("environment"), one.source) if one.source else _place(reading, "endpoint")
        found.ask(collector_at(one.url), place, "telemetry: ")
        _judge_proxy(one, environ, found)


def _judge_proxy(one: CollectorUrl, environ: Mapping[str, str], found: Findings) -> None:
    proxy = environment_proxy(one.url, environ)
    if proxy:
        variable = variable_of(proxy, environ)
        place = Place(Report("environment"), variable)
        found.ask(Passage(proxy=proxy_host(proxy)), place, f"telemetry goes through {variable}: ")


def _place(reading: Reading, name: str = "") -> Place:
    place = reading.top.at("telemetry")
    return place.key(name) if name else place

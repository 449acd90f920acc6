"""`/metrics`: what is counted, under which names, and who is told."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ccrouter.config.schema import Config
from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Attempt
from ccrouter.messages.events import WireUsage
from ccrouter.server.board import Alone
from ccrouter.server.metrics import COUNTED, LOOKED_UP, Gauges, Metric, Metrics, Told
from ccrouter.server.metrics_shared import KEY_STATES, KNOWN_TO_ALL, TARGET_STATES, SharedMetrics, add_up, render
from tests.architecture.sources import ROOT
from tests.gateway.conftest import provider, running
from tests.server.conftest import KEY, call
from tests.server.entries import configured, entry
from tests.upstream import Upstream, anthropic_wire, json_reply

PROMETHEUS = "text/plain;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    config = configured(tmp_path)
    records = {"prompts": 1, "contents": 2, "details": 3, "exchanges": 4, "faults": 5, "waiting": 6}
    return Metrics(lambda: config, Gauges(lambda: (3, 1000), lambda: {"concurrent": 7}, lambda: records))


def values(metrics: list[Metric]) -> dict[str, float]:
    """Every value by its name and labels, as they are written in queries; without those of the process."""
    found = {}
    for metric in metrics:
        for one in metric.values:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            if not one.name.startswith("process_"):
                found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


def counted(metrics: Metrics, *, buckets: bool = False) -> dict[str, float]:
    """The values that are not zero and not looked up."""
    others = {family.name for family in LOOKED_UP}
    return {
        name: value
        for name, value in values(metrics.read()).items()
        if value and name.partition("{")[0] not in others and (buckets or "_bucket" not in name)
    }


# -- what is counted ---------------------------------------------------------------------------------------------------


def test_an_answer(metrics):
    """An answer after a failed attempt: request, attempts, tokens, cost, losses (hints are none) and times."""
    metrics.note(entry(verdict={"by": "client", "lostTokens": 1200}, resumed=1))
    p = 'model="m1",provider="p"'
    assert counted(metrics) == {
        'ccrouter_requests_total{model="m1",outcome="ok",provider="p",route="default"}': 1,
        'ccrouter_attempts_total{model="m1",outcome="answered",provider="p"}': 1,
        'ccrouter_attempts_total{model="n",outcome="rate_limit",provider="q"}': 1,
        f'ccrouter_tokens_total{{kind="input",{p}}}': 10,
        f'ccrouter_tokens_total{{kind="output",{p}}}': 40,
        f'ccrouter_tokens_total{{kind="cache_read",{p}}}': 80,
        f'ccrouter_tokens_total{{kind="cache_write",{p}}}': 10,
        f"ccrouter_thinking_tokens_total{{{p}}}": 5,
        f"ccrouter_cost_usd_total{{{p}}}": 0.25,
        f'ccrouter_losses_total{{fate="dropped",{p}}}': 1,
        f'ccrouter_cache_breaks_total{{by="client",{p}}}': 1,
        f"ccrouter_resumed_answers_total{{{p}}}": 1,
        f"ccrouter_time_to_first_token_seconds_count{{{p}}}": 1,
        f"ccrouter_time_to_first_token_seconds_sum{{{p}}}": 1.5,
        f"ccrouter_request_duration_seconds_count{{{p}}}": 1,
        f"ccrouter_request_duration_seconds_sum{{{p}}}": 2.0,
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (499, "client_gone"), (400, "invalid_request_error"), (403, "permission_error"), (429, "rate_limit_error"),
     (502, "api_error"), (529, "overloaded_error")],
)  # fmt: skip
def test_outcomes(metrics, status, outcome):
    """A request ended well, without its client, or with one of the protocol's errors."""
    metrics.note(entry(status=status))
    assert any(
        f'outcome="{outcome}"' in name for name in counted(metrics) if name.startswith("ccrouter_requests_total")
    )


def test_an_unknown_price(metrics):
    """What costs nobody knows how much is counted as that, and adds nothing to the sum."""
    metrics.note(entry(cost=None))
    metrics.note(entry(cost=0.0))
    found = counted(metrics)
    assert found['ccrouter_unpriced_requests_total{model="m1",provider="p"}'] == 1
    assert not any(name.startswith("ccrouter_cost_usd_total") for name in found)


def test_a_refused_request(metrics):
    """A request that reached nobody has no provider, and no route if none was decided on."""
    metrics.note(
        entry(status=401, route="", provider="", sent="", attempts=[], usage=WireUsage(), ttft=None, losses=())
    )
    found = counted(metrics)
    name = 'ccrouter_requests_total{model="none",outcome="authentication_error",provider="none",route="none"}'
    assert found[name] == 1
    assert not any("first_token" in name for name in found)


def test_counts_of_tokens(metrics):
    """They are requests of their own kind, and spoil no other figure."""
    metrics.note(entry(path="/v1/messages/count_tokens"))
    assert counted(metrics) == {'ccrouter_token_counts_total{outcome="ok"}': 1}


def test_labels_are_bounded(metrics):
    """Whatever clients and providers name: labels hold names of the configuration, and "other" for all else."""
    for number in range(500):
        name = f"of-a-client-{number}"
        attempts = [Attempt(f"p,{name}", 0.0, ended=1.0), Attempt(f"{name},{name}", 0.0, "failed", ended=1.0)]
        losses = (Loss(name, name, "approximated"),)
        facts = {"sent": name, "asked": name, "answered": name, "session": name, "route": name, "attempts": attempts}
        metrics.note(entry(provider="p" if number % 2 else name, losses=losses, **facts))
    found = counted(metrics, buckets=True)
    assert not any("of-a-client" in name for name in found)
    assert found['ccrouter_requests_total{model="other",outcome="ok",provider="p",route="other"}'] == 250
    assert found['ccrouter_requests_total{model="other",outcome="ok",provider="other",route="other"}'] == 250
    assert found['ccrouter_attempts_total{model="other",outcome="other",provider="other"}'] == 500
    assert len(found) < 100


def test_a_look_at_an_image(metrics):
    """What the image model was asked counts for that model."""
    metrics.note(entry(attempts=[Attempt("q,n (image)", 0.0, ended=1.0)]))
    assert counted(metrics)['ccrouter_attempts_total{model="n",outcome="answered",provider="q"}'] == 1


def test_another_configuration(tmp_path):
    """After a reload the names are those of the new configuration, and what was counted stays."""
    config = configured(tmp_path)
    metrics = Metrics(lambda: config)
    metrics.note(entry(sent="new", attempts=[]))
    provider, *others = config.providers
    config = dataclasses.replace(config, providers=(dataclasses.replace(provider, models=("new",)), *others))
    metrics.note(entry(sent="new", attempts=[]))
    found = {name for name in counted(metrics) if name.startswith("ccrouter_requests_total")}
    assert {re.findall('model="([^"]*)"', name)[0] for name in found} == {"new", "other"}


def test_what_is_looked_up(metrics):
    """What is in work, what waits and what was shed is told as it is when somebody asks."""
    found = values(metrics.read())
    assert found["ccrouter_requests_in_progress"] == 3
    assert found["ccrouter_buffered_bytes"] == 1000
    assert found['ccrouter_turned_away_total{limit="concurrent"}'] == 7
    assert found["ccrouter_records_waiting"] == 6
    assert found["ccrouter_record_faults_total"] == 5
    shed = {"prompts": 1, "contents": 2, "details": 3, "exchanges": 4}
    assert {what: found[f'ccrouter_records_shed_total{{what="{what}"}}'] for what in shed} == shed


# -- all processes -----------------------------------------------------------------------------------------------------


def test_sums():
    """Counters, gauges and buckets of several processes are added up by their labels; of starts the first is told."""

    def of(*told: Told, name: str = "x_total", kind: str = "counter") -> list[Metric]:
        return [Metric(name, kind, "help", list(told))]

    one, two = Told("x_total", {"a": "1"}, 2.0), Told("x_total", {"a": "2"}, 5.0)
    (metric,) = add_up([of(one, two), of(one), []])
    assert [(told.labels, told.value) for told in metric.values] == [({"a": "1"}, 4.0), ({"a": "2"}, 5.0)]
    starts = [
        of(Told("process_start_time_seconds", {}, at), name="process_start_time_seconds", kind="gauge")
        for at in (9.0, 5.0)
    ]
    assert add_up(starts)[0].values[0].value == 5.0


class Board(Alone):
    """The boards of processes that hear each other at once. `deaf` ones do not answer."""

    def __init__(self, number: int, others: list[Board]) -> None:
        super().__init__()
        self.number, self.others = number, others
        self.is_deaf = False
        self.hear, self.give, self.gone = {}, {}, []
        others.append(self)

    @property
    def is_shared(self) -> bool:
        return True

    def publish(self, topic, body):
        for other in self.others:
            if other is not self:
                other.hear[topic](self.number, body)

    def subscribe(self, topic, apply):
        self.hear[topic] = apply

    def answer(self, topic, give):
        self.give[topic] = give

    def resemble(self, topic, give, take):
        self.known = (give, take)

    def on_departure(self, gone):
        self.gone.append(gone)

    async def ask(self, topic, body, seconds, *, keep=False):
        others = [other for other in self.others if other is not self]
        return [None if other.is_deaf else await other.give[topic](body) for other in others]

    def leave(self):
        self.others.remove(self)
        for other in self.others:
            for gone in other.gone:
                gone(self.number)


async def test_counters_never_fall(tmp_path):
    """Whatever becomes of a process (it ends, it hangs, another takes its place), what it had told stays in the sum; what
    it has in work does not.
    """
    config, boards = configured(tmp_path), []

    def start(number: int) -> tuple[Board, Metrics, SharedMetrics]:
        board = Board(number, boards)
        here = Metrics(lambda: config, Gauges(lambda: (1, 0)))
        return board, here, SharedMetrics(board, here)

    async def told(shared: SharedMetrics) -> tuple[float, float, int]:
        metrics, workers = await shared.read()
        found = values(metrics)
        requests = sum(value for name, value in found.items() if name.startswith("ccrouter_requests_total"))
        return requests, found["ccrouter_requests_in_progress"], workers

    first, second, third = (start(number) for number in (1, 2, 3))
    for _, here, _ in (first, second, third):
        here.note(entry())
    assert await told(first[2]) == (3, 3, 3)
    third[1].note(entry())
    third[0].is_deaf = True
    assert (await told(first[2]))[0] == 3, "what it told last"
    third[0].is_deaf = False
    assert (await told(second[2]))[0] == 4
    third[0].leave()
    assert await told(first[2]) == (4, 2, 2)
    assert await told(second[2]) == (4, 2, 2)
    give, _ = first[0].known
    fourth = start(4)
    fourth[0].known[1](give())
    assert await told(fourth[2]) == (4, 3, 3), "a process that joins knows of it"
    second[0].leave()
    assert await told(fourth[2]) == (4, 2, 2)


# -- how it is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "parser", "kind"), [
    (PROMETHEUS, text_string_to_metric_families, "text/plain"),
    ("", text_string_to_metric_families, "text/plain; version=0.0.4"),
    (OPENMETRICS, parse_openmetrics, "application/openmetrics-text"),
])  # fmt: skip
def test_it_can_be_read(metrics, accept, parser, kind):
    """Prometheus' own readers take what is told, in either form, with every name and type as it is documented."""
    metrics.note(entry())
    text, content_type = render(metrics.read(), accept)
    assert content_type.startswith(kind)
    found = {family.name: family.type for family in parser(text.decode())}
    for family in (*COUNTED, *LOOKED_UP):
        assert found[family.name.removesuffix("_total") if family.kind == "counter" else family.name] == family.kind
    assert "_created" not in text.decode()


def test_the_documentation():
    """docs/metrics.md has a row for each metric, with its kind and its labels, and none for another."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(ccrouter_\w+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert told == {one.name: (one.kind, one.labels) for one in (*COUNTED, *LOOKED_UP, *KNOWN_TO_ALL)}
    assert all(f"`{state}`" in text for state in (*TARGET_STATES, *KEY_STATES))


# -- the endpoint ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def upstream():
    async with Upstream() as up:
        yield up


def scraped(answer) -> dict[str, float]:
    return {
        " ".join([one.name, *(one.labels[name] for name in sorted(one.labels))]): one.value
        for family in text_string_to_metric_families(answer.raw.decode())
        for one in family.samples
    }


async def test_a_scrape(upstream, tmp_path):
    """What a real router tells after a real request: what was counted, and how targets, keys and the last reload are."""
    upstream.always(json_reply(anthropic_wire.message_json("Hi")))
    config = {"Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    async with running(config, tmp_path, records=tmp_path / "records.db") as router:
        assert (await router.ask())[0] == 200
        assert await asyncio.to_thread(router.app.keeping.recorder.flush)
        answer = await call(router.app, "GET", "/metrics", {"accept": PROMETHEUS})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = scraped(answer)
    assert found["ccrouter_requests_total m1 ok anthropic default"] == 1
    assert found["ccrouter_attempts_total m1 answered anthropic"] == 1
    assert found["ccrouter_target_state m1 anthropic well"] == 1
    assert found["ccrouter_target_state m1 anthropic open"] == 0
    assert found["ccrouter_key_state key anthropic ready"] == 1
    assert found["ccrouter_last_reload_success"] == 1
    assert found["ccrouter_policy_in_force"] == 0
    assert found["ccrouter_workers"] == 1
    assert any(name.startswith("ccrouter_build_info") for name in found)
    assert {family.name for family in (*LOOKED_UP, *KNOWN_TO_ALL)} <= {name.split()[0] for name in found}


@pytest.mark.parametrize(
    ("key", "headers", "peer", "status"),
    [
        (None, {}, "127.0.0.1", 200),
        (None, {"host": "elsewhere.example"}, "127.0.0.1", 403),
        (None, {"x-forwarded-for": "1.2.3.4"}, "127.0.0.1", 403),
        (KEY, {"x-api-key": KEY}, "127.0.0.1", 200),
        (KEY, {"authorization": f"Bearer {KEY}", "host": "router.example:3456"}, "192.0.2.1", 200),
        (KEY, {"x-api-key": "of-a-launch"}, "127.0.0.1", 403),
        (KEY, {"x-api-key": "wrong"}, "127.0.0.1", 401),
        (KEY, {}, "127.0.0.1", 401),
    ],
)
async def test_who_is_told(upstream, tmp_path, key, headers, peer, status):
    """The router's key opens it from anywhere, as Prometheus may be on another machine; without a key this machine does.
    A launch's key does not.
    """
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "allowedHosts": ["router.example"],
    }
    if key:
        config["APIKEY"] = key
    async with running(config, tmp_path, is_launch_key=lambda key: key == "of-a-launch") as router:
        answer = await call(router.app, "GET", "/metrics", headers, peer=peer)
    assert answer.status == status
    assert (b"ccrouter_build_info" in answer.raw) == (status == 200)


def test_a_conversation_that_was_compacted_is_no_break():
    """A verdict by which nothing was lost is not counted as a cache that broke."""
    metrics = Metrics(Config)
    metrics.note(entry(verdict={"by": "compaction", "lostTokens": 0}))
    told = {one.name for metric in metrics.read() for one in metric.values if "cache_breaks" in one.name}
    assert told == set()

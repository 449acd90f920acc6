"""Every target that a configuration can lead to, judged: providers and their URLs, and each edge of each router.

Names are judged as they are written too, so that a banned provider is called banned where it is not even configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from ccrouter.compliance.destination import destination, proxy_host
from ccrouter.compliance.findings import ROUTE_FORMAT, Findings
from ccrouter.compliance.judge import Passage
from ccrouter.config.draft import ProviderDraft, Ref, RouterDraft
from ccrouter.config.load import Reading
from ccrouter.config.named_models import models_in_url
from ccrouter.config.providers import Settled
from ccrouter.config.proxies import environment_proxy, variable_of
from ccrouter.config.report import Place, Report
from ccrouter.config.routes import Directory


def walk_providers(reading: Reading, environ: Mapping[str, str], found: Findings) -> None:
    """Judges every configured provider with its models, URLs and proxies, whether or not a route leads to it."""
    proxy = reading.top.get("PROXY_URL")
    if proxy:
        found.ask(Passage(proxy=proxy_host(proxy)), reading.top.at("PROXY_URL"), "PROXY_URL: ")
    for draft, settled in zip(reading.draft.providers, reading.providers, strict=True):
        record = draft.record
        named = record.at("name") if record.is_written("name") else record.place
        if found.ask(Passage(provider=draft.name), named):
            continue  # it has to go: what else is wrong with it does not matter
        for index, model in enumerate(record.get("models", ())):
            found.ask(Passage(model=model), record.at("models").item(index))
        _walk_body(draft, found)
        _walk_urls(draft, settled, environ, found)


def _walk_body(draft: ProviderDraft, found: Findings) -> None:
    """Models that the configuration puts into bodies behind the router's back."""
    body = draft.record.get("extra_body", {})
    for key in ("model", "models"):
        value = body.get(key)
        for model in value if isinstance(value, list) else [value]:
            if isinstance(model, str):
                place = draft.record.at("extra_body").key(key)
                found.ask(Passage(sent=model), place, f'provider "{draft.name}" sends {key}: ')


def _walk_urls(draft: ProviderDraft, settled: Settled, environ: Mapping[str, str], found: Findings) -> None:
    record, provider = draft.record, settled.provider
    prefix = f'provider "{draft.name}": '
    written = record.get("api_base_url")
    urls = [endpoint.url for endpoint in provider.endpoints] if provider else [written] if written else []
    for url in urls:
        found.ask(destination(draft.name, url), record.at("api_base_url"), prefix)
        for model in models_in_url(url):
            found.ask(Passage(sent=model), record.at("api_base_url"), prefix)
    own = record.get("proxy")
    if own:
        found.ask(Passage(proxy=proxy_host(own)), record.at("proxy"), prefix)
    if provider is None or provider.proxy is not None:
        return
    for url in urls:
        proxy = environment_proxy(url, environ)
        if proxy:
            variable = variable_of(proxy, environ)
            found.ask(Passage(proxy=proxy_host(proxy)), Place(Report("environment"), variable), f"{variable}: ")


def walk_routers(reading: Reading, found: Findings) -> None:
    """Judges every target of every router of the file, also of those that do not run."""
    directory = directory_of(reading)
    for router in reading.draft.routers.values():
        walk_router(router, directory, found)
    _walk_refs(chain.from_iterable(reading.draft.fallback.values()), directory, None, found)


def directory_of(reading: Reading) -> Directory:
    """The providers of the file and their models, whether or not they can be used."""
    return Directory(models={settled.name: settled.models for settled in reading.providers})


def walk_router(router: RouterDraft, directory: Directory, found: Findings) -> None:
    """Judges every target of `router`, whose names mean what they mean in `directory`."""
    default = None
    if router.default_provider is not None:
        ref = router.default_provider
        default = directory.find(ref.text)
        found.ask_of_route(Passage(provider=ref.text), ref.place, ref.text)
    _walk_refs(refs_of(router), directory, default, found)


def refs_of(router: RouterDraft) -> Iterator[Ref]:
    """Every target that `router` names, as written."""
    for ref in (*router.routes.values(), *(ref for _, ref in router.aliases)):
        yield from ref.chain
    yield from chain.from_iterable(router.fallback.values())
    yield from router.mentions


def _walk_refs(refs: Iterable[Ref], directory: Directory, default: str | None, found: Findings) -> None:
    for ref in {ref.place.path: ref for ref in refs}.values():
        resolved = directory.resolve(Ref(ref.text, Place(Report(""))), default)
        provider, model = (resolved.provider, resolved.model) if resolved else _as_written(ref.text)
        if found.ask_of_route(Passage(provider=provider), ref.place, provider or ""):
            continue
        if model and found.ask_of_route(Passage(model=model), ref.place, ref.text) and ref.text.count(",") > 1:
            _refuse_form(ref, "has more than one comma", found)
        if [part.strip() for part in ref.text.split(",")] != ref.text.split(","):
            _refuse_form(ref, "has blanks beside its comma", found)


def _as_written(text: str) -> Sequence[str | None]:
    first, comma, rest = (part.strip() for part in text.partition(","))
    return (first, rest) if comma else (None, first)


def _refuse_form(ref: Ref, what: str, found: Findings) -> None:
    if found.policy.strict_syntax:
        message = f'{ref.place.path} → {ref.text} {what}: it must be "provider,model"'
        found.refuse(ref.place, message, "strictSyntax", ROUTE_FORMAT)

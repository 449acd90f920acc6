"""`ccr providers test`: the battery of probes against a provider, seen from the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.terminal import fail, harmless, note, say
from ccrouter.errors import RouterError
from ccrouter.secret import redact

if TYPE_CHECKING:
    from ccrouter.certify.asking import Spending
    from ccrouter.certify.battery import Outcome, Told
    from ccrouter.certify.bench import Finding, Probe
    from ccrouter.config.load import Reading
    from ccrouter.config.schema import Endpoint, Provider, Target

_WORDS = {"pass": "pass", "fail": "FAIL", "unknown": "?"}
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    provider: str
    model: str = ""
    only: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    timeout: float = 60.0
    budget: int | None = None
    for_all: bool = False
    writes: bool = True
    reloads: bool = True
    as_json: bool = False
    config: Path | None = None


def list_probes() -> int:
    """Tells what can be asked."""
    from ccrouter.certify.battery import PROBES, most

    for probe in PROBES:
        needs = f"  (needs {', '.join(probe.needs)})" if probe.needs else ""
        say(f"{probe.name:<14} {probe.title:<26} at most {probe.requests} requests{needs}")
    requests, tokens = most(PROBES)
    say(f"{'all':<14} {'':<26} at most {requests} requests, about {tokens} tokens")
    return 0


def run(wanted: Wanted) -> int:
    """Tests the provider, tells what was found and keeps it. 0 if it answers at all, whatever it cannot do."""
    from ccrouter.certify.asking import Spending
    from ccrouter.certify.battery import PROBES, chosen, most
    from ccrouter.cli.reading import find_provider, read_config

    unknown = sorted({*wanted.only, *wanted.skipped} - {probe.name for probe in PROBES})
    if unknown:
        raise click.UsageError(f"no probe is called {unknown[0]!r}; `ccr providers test --probes` lists them")
    reading = read_config(wanted.config)
    target = _target(reading, find_provider(reading, wanted.provider), wanted)
    probes = chosen(wanted.only, wanted.skipped)
    requests, tokens = most(probes)
    spending = Spending(requests, wanted.budget or tokens)
    if not wanted.as_json:
        say(f"{target} at {target.endpoint.public_url} ({target.endpoint.dialect})")
        say(f"At most {requests} requests and {spending.most_tokens} tokens, with your key. Ctrl-C stops.")
    progress = _Progress(wanted, len(probes))
    try:
        with progress.shown():
            outcome, endpoint = asyncio.run(_ask(reading, target, spending, probes, progress.tell))
    except KeyboardInterrupt:
        note(f"Interrupted after {spending.requests} requests: nothing was written.")
        return _INTERRUPTED
    except RouterError as error:
        fail(str(error), _advice(reading, target.provider))
        return 1
    return _conclude(reading, target.at(endpoint), wanted, spending, outcome)


async def _ask(
    reading: Reading, target: Target, spending: Spending, probes: tuple[Probe, ...], tell: Told
) -> tuple[Outcome, Endpoint]:
    """What there is to know, and the endpoint that answered, under the policy and with the user's own transforms."""
    from ccrouter.certify.asking import Asker
    from ccrouter.certify.battery import Battery
    from ccrouter.compliance.document import load_policy
    from ccrouter.compliance.judge import Passage, enforce
    from ccrouter.extensions.extensions import Extensions
    from ccrouter.upstream.client import UpstreamClient

    policy, secrets = load_policy(None, os.environ), reading.config.secrets
    enforce(policy, Passage(provider=target.provider.name, model=target.model))
    uses_transforms = target.provider.transforms or target.provider.model_transforms
    config = replace(
        reading.config,
        providers=(target.provider,),
        custom_router=None,
        rewrite_system_prompt=None,
        custom_transformers=reading.config.custom_transformers if uses_transforms else (),
    )

    def journal(level: str, message: str, **facts: object) -> None:
        told = " ".join(f"{name}={fact}" for name, fact in facts.items())
        note(redact(f"{level}: {message} {told}".strip(), secrets))

    extensions = await Extensions.open(config, policy, os.environ, journal)
    client = UpstreamClient(policy)
    try:
        async with extensions.in_use():
            await extensions.prepare([target])
            asker = Asker(client, target, extensions.chains(), spending, asyncio.sleep)
            return await Battery(asker, probes, tell, secrets).run(), asker.endpoint
    finally:
        await client.close()
        await extensions.close()


def _target(reading: Reading, provider: Provider, wanted: Wanted) -> Target:
    from ccrouter.config.schema import Target, Timeouts

    refs = [ref.model for ref in reading.config.router.routes.values() if ref.provider == provider.name]
    model = wanted.model or next(iter((*refs, *provider.models)), "")
    if not model:
        raise click.UsageError(f"{provider.name} lists no models: say which one to ask with --model")
    limits = Timeouts(
        connect=min(provider.timeouts.connect, wanted.timeout), first_byte=wanted.timeout, idle=wanted.timeout
    )
    return Target(replace(provider, timeouts=limits), model)


def _advice(reading: Reading, provider: Provider) -> str:
    from ccrouter.cli.reading import key_of

    return f"the provider has its {key_of(reading, provider.name)}" if provider.key else ""


def _conclude(reading: Reading, target: Target, wanted: Wanted, spending: Spending, outcome: Outcome) -> int:
    """Tells what it came to, and keeps it."""
    from ccrouter.certify import files
    from ccrouter.cli.applying import apply
    from ccrouter.config.certified import as_json, profile_path
    from ccrouter.config.load import router_folder

    path: Path | None = None
    if wanted.writes:
        path = profile_path(router_folder(os.environ), target.provider.name)
        tested = files.Tested("" if wanted.for_all else target.model, outcome, datetime.now(UTC))
        files.write(path, files.document(target.provider.name, target.endpoint, tested, files.read(path)))
    if wanted.as_json:
        say(json.dumps(_told(target, spending, outcome, path), indent=2, ensure_ascii=False))
    else:
        say()
        for name, value in as_json(outcome.changes).items():
            say(f"  {name} = {json.dumps(value)}")
        if not outcome.changes:
            say("  Nothing that the router did not know.")
        say()
        say(f"{spending.requests} requests, {spending.tokens} tokens.")
        say(f"Wrote {path}" if path else "Nothing was written (--no-write).")
    if path and wanted.reloads and reading.config.path:
        apply(reading.config.path)
    return 0


def _told(target: Target, spending: Spending, outcome: Outcome, path: Path | None) -> Mapping[str, Any]:
    from ccrouter.config.certified import as_json

    return {
        "provider": target.provider.name,
        "model": target.model,
        "endpoint": {"dialect": target.endpoint.dialect, "url": target.endpoint.public_url},
        "probes": {
            name: {"verdict": finding.verdict, "evidence": finding.evidence}
            for name, finding in outcome.findings.items()
        },
        "changes": as_json(outcome.changes),
        "spent": {"requests": spending.requests, "tokens": spending.tokens},
        "file": str(path) if path else None,
    }


class _Progress:
    """A line for each probe that is done, and, on a terminal, which one is under way."""

    def __init__(self, wanted: Wanted, count: int) -> None:
        self._is_quiet = wanted.as_json
        self._count = count
        self._done = 0
        self._status: Any = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """While open, a terminal shows what is under way."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status("…", spinner="dots") as self._status:
            yield
        self._status = None

    def tell(self, probe: Probe, finding: Finding | None) -> None:
        if finding is None:
            if self._status is not None:
                self._status.update(f"{self._done + 1}/{self._count} {probe.title}")
            return
        self._done += 1
        if not self._is_quiet:
            say(harmless(f"{_WORDS[finding.verdict]:<5} {probe.name:<14} {finding.evidence}"))

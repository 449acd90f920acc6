"""The keys of a provider, as written → the pool of those that can be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ccrouter.config.interpolate import variables_in
from ccrouter.config.kinds import KeyText
from ccrouter.config.record import KeyEntry, Record
from ccrouter.config.schema import PoolKey
from ccrouter.secret import Secret, redact

_DEFAULTS = PoolKey()
_SHORTEST = 6  # a shorter one ("test") is a word, which a label may have in it


def key_of(text: KeyText, label: str = "") -> PoolKey:
    """A key of which nothing is said but its text. It is called like its variable, else `label`."""
    names = " and ".join(variables_in(text.source))
    return PoolKey(text.secret, text.source, names or label or _DEFAULTS.label)


def read_pool(record: Record) -> tuple[PoolKey, ...]:
    """The keys that `record`, a provider, has: none twice, no two with one label, and no label that tells a key.

    One that waits for variables is left out with a warning as long as another remains; else it stays in the report as
    what is missing.
    """
    entries: tuple[KeyEntry, ...] = record.get("api_key", ())
    waiting = [entry for entry in entries if _waits(entry)]
    ready = [entry for entry in entries if entry.key and entry.key.secret and entry not in waiting]
    if ready:
        for entry in waiting:
            for blank in entry.place.report.take_blanks(entry.place.path):
                path = replace(entry.place, path=blank.path)
                path.warn(f"{blank.message}: this key is left out", blank.hint)
    seen: dict[str, KeyEntry] = {}
    pool: list[PoolKey] = []
    for entry in ready:
        assert entry.key is not None
        earlier = seen.setdefault(entry.key.secret.reveal(), entry)
        if earlier is not entry:
            entry.text_place.warn(f"is the same key as that at {earlier.text_place.path}", "leave one of them out")
            continue
        pool.append(_pool_key(entry, entry.key, f"key {1 + entries.index(entry)}" if len(entries) > 1 else ""))
    return tuple(_with_labels(pool, list(seen.values())))


def _waits(entry: KeyEntry) -> bool:
    path = entry.place.path
    blanks = entry.place.report.blanks
    return any(blank.path == path or blank.path.startswith(f"{path}.") for blank in blanks)


def _pool_key(entry: KeyEntry, text: KeyText, label: str) -> PoolKey:
    key = key_of(text, label)
    said = entry.record
    if said is None:
        return key
    return PoolKey(
        secret=key.secret,
        source=key.source,
        label=said.get("label") or key.label,
        weight=float(said.get("weight", _DEFAULTS.weight)),
        priority=said.get("priority", _DEFAULTS.priority),
        per_minute=said.get("requestsPerMinute", _DEFAULTS.per_minute),
        tokens_per_minute=said.get("tokensPerMinute", _DEFAULTS.tokens_per_minute),
        concurrent=said.get("concurrent", _DEFAULTS.concurrent),
    )


def _with_labels(pool: list[PoolKey], entries: list[KeyEntry]) -> Iterable[PoolKey]:
    """The same keys; a label that tells a key, or is another's, gives way to one that does not."""
    secrets = [key.secret for key in pool if key.secret]
    taken: set[str] = set()
    for number, (key, entry) in enumerate(zip(pool, entries, strict=True), start=1):
        label = key.label
        place = entry.record.at("label") if entry.record and entry.record.is_written("label") else entry.text_place
        if redact(label, secrets) != label or any(_tells(label, secret) for secret in secrets):
            place.warn("looks like a key, and is not shown", "write a word of your own that tells nothing")
            label = f"key {number}"
        base, count = label, 1
        while label in taken:
            count += 1
            label = f"{base} {count}"
        if label != base:
            place.warn(f"is called like another key of this provider: it is shown as {label}", "give it another label")
        taken.add(label)
        yield replace(key, label=label)


def _tells(label: str, secret: Secret) -> bool:
    text = secret.reveal()
    return text == label or (len(text) >= _SHORTEST and text in label)

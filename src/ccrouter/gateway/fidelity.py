"""What `fidelity: strict` means: a request that would lose something in translation is refused, and not sent."""

from __future__ import annotations

from ccrouter.config.schema import Fidelity, Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.ledger import Entry, counted, summed_up
from ccrouter.errors import LossyTarget

_MOST_NAMED = 20


def check(sent: UpstreamRequest, target: Target, of_route: Fidelity) -> None:
    """Raises LossyTarget if `sent` is less than was asked where its provider, or the route, takes no less."""
    if target.provider.fidelity != "strict" and of_route != "strict":
        return
    entries = summed_up(counted(sent.losses))
    if not entries:
        return
    told = [f"{_place(entry)}: {entry.what} ({entry.fate})" for entry in entries[:_MOST_NAMED]]
    if len(entries) > _MOST_NAMED:
        told.append(f"and {len(entries) - _MOST_NAMED} more")
    whose = f"provider {target.provider.name}" if target.provider.fidelity == "strict" else "the route"
    raise LossyTarget(
        [entry.places[0] for entry in entries],
        f"{target} cannot be asked for all of this, and {whose} demands `fidelity: strict`:\n" + "\n".join(told),
    )


def _place(entry: Entry) -> str:
    return entry.places[0] if entry.count == 1 else f"{entry.path} ({entry.count} times)"

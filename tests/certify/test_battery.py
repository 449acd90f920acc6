"""The battery against servers of several temperaments: what it finds, and what profile comes of it."""

from __future__ import annotations

import pytest

from tests.certify.mind import ChatServer, MessagesServer, Temper


async def test_a_good_server(certify):
    """Of a server that takes everything every probe passes but those that nobody can tell."""
    run = await certify(ChatServer(Temper(thinking="effort", efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"))))
    for name, f in run.outcome.findings.items():
        print(name, f)
    print(run.changes, run.asker.spending)

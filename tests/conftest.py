"""How properties are tested: the same examples on every run. `--hypothesis-profile=explore` looks for new ones.

And every test is watched: for keys that it leaves behind (tests/canary/watch.py), and for steps of the event loop in
which the router holds up everybody else (tests/loopwatch.py).
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests import loopwatch
from tests.canary.watch import Watch

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(), "canary-watch")
    config.pluginmanager.register(loopwatch.install(), "loop-watch")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--longest-steps", type=int, default=0, metavar="N", help="tell the N longest steps of a loop")

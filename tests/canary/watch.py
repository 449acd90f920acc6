"""A pytest plugin: after each test its captured output, its log and its audit files are searched for keys.

The keys are those that the suite's own fixtures give to providers and routers, and the canaries. A test that leaves one
of them behind fails, whatever it was about. What a test reads itself (capsys, a subprocess's pipes) is its own to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.canary.canaries import KEYS
from tests.canary.search import Canary, leaks, leaks_in_files

#: What the fixtures of other folders use for keys (tests/gateway/conftest.py and others).
FIXTURE_KEYS = (
    Canary("the upstream key of tests/gateway", "upstream-secret-0123456789"),
    Canary("the router key of tests/whole", "router-key-123456"),
)
WATCHED = (*KEYS, *FIXTURE_KEYS)
#: Files that a running router writes for people to read or keep, by name, wherever a test has put them.
KEPT_FILES = ("log", "*.log", "*.log.*", "audit-*", "*.jsonl", "*.head", "*.err", ".claude-code-router.*")


def kept_files(folder: Path) -> Iterator[Path]:
    """The log, audit and state files under `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and any(fnmatch(path.name, name) for name in KEPT_FILES):
            yield path


class Watch:
    """The plugin."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report: pytest.TestReport = yield
        if report.when != "teardown":
            return report
        found = [one for name, text in report.sections for one in leaks(WATCHED, text.encode(), name)]
        folder = (getattr(item, "funcargs", None) or {}).get("tmp_path")
        if isinstance(folder, Path) and folder.is_dir():
            found += leaks_in_files(WATCHED, kept_files(folder), folder)
        if found:
            report.outcome = "failed"
            before = f"{report.longrepr}\n" if report.longrepr else ""
            report.longrepr = before + told(found)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """What fixtures of more than one test have left, in folders that are no test's own.

        Under xdist the first process looks: the others' folders are in its own, and by now they have ended.
        """
        factory: Any = getattr(session.config, "_tmp_path_factory", None)
        base = getattr(factory, "_basetemp", None)  # asking for it in the regular way would make it
        if base is None or hasattr(session.config, "workerinput"):
            return
        found = leaks_in_files(WATCHED, kept_files(base), base)
        if found:
            session.config.stash[FOUND] = found
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        found = config.stash.get(FOUND, [])
        if found:
            terminalreporter.section("keys left behind")
            terminalreporter.line(told(found))


FOUND: pytest.StashKey[list[str]] = pytest.StashKey()


def told(found: list[str]) -> str:
    return "\n".join(["keys were left behind:", *(f"  {one}" for one in found)])

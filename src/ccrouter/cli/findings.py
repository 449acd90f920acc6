"""What an examination found, as a person reads it: `Error: ...`, the place, a hint. Decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ccrouter.cli.terminal import note

if TYPE_CHECKING:
    from ccrouter.compliance.examine import Finding
    from ccrouter.errors import Problem

#: The checks of the guide's own script, by their exit codes, in the order in which it makes them. What it does not
#: know comes last.
_ORDER: tuple[range, ...] = (
    range(2, 3),  # the file is missing
    range(3, 4),  # not JSON
    range(10, 11),  # not an object
    range(11, 12),  # Providers
    range(12, 13),  # Router
    range(13, 14),  # HOST
    range(14, 24),  # each provider, with its models
    range(30, 34),  # each route
)
#: Messages of the reader of configurations, which are told behind a place. Those of the policy begin with a capital.
_HAS_NO_SUBJECT = re.compile(r'(?!provider "|environment variables? |no |there )[a-z]')
_ROUTES = ("default", "background", "think", "longContext")


def in_order(findings: Iterable[Finding], config: str) -> list[Finding]:
    """The findings as the guide's script would come upon them, and then those it would not, each as found.

    `config` is the file that the script reads: what is found in others comes last.
    """

    def position(finding: Finding) -> tuple[int, int, int]:
        codes = next((number for number, codes in enumerate(_ORDER) if finding.code in codes), len(_ORDER))
        if codes == len(_ORDER) or finding.file != config:
            return len(_ORDER), finding.file != config, 0
        return codes, _element(finding.path), finding.code if len(_ORDER[codes]) > 1 else 0

    return sorted(findings, key=position)


def _element(path: str) -> int:
    """Which provider, or which route, a path speaks of."""
    index = re.match(r"\w+\[(\d+)\]", path)
    if index:
        return int(index[1])
    route = re.match(r"Router\.(\w+)", path)
    return _ROUTES.index(route[1]) if route and route[1] in _ROUTES else len(_ROUTES)


def tell_error(finding: Finding, config: str) -> None:
    """The finding as an error on stderr; a file other than `config` is named."""
    _tell("Error", *_sentence(finding, config), finding.hint)


def tell_warning(finding: Finding, config: str) -> None:
    """The finding as a warning on stderr."""
    _tell("Warning", *_sentence(finding, config), finding.hint)


def headline(finding: Finding, config: str) -> str:
    """The first line of the finding: it says by itself what is wrong with what."""
    return _sentence(finding, config)[0]


def _sentence(finding: Finding, config: str) -> tuple[str, str]:
    """The message, its place before it where it has no subject of its own (`must be ...`), and what is left of the
    place to tell.
    """
    place = _place(finding.file, finding.path, finding.message, config)
    if place and _HAS_NO_SUBJECT.match(finding.message):
        return f"{place}: {finding.message}", ""
    return finding.message, place


def tell_problem(problem: Problem) -> None:
    """A problem that is no finding (a policy that cannot be read) in the same form."""
    _tell("Error", str(problem).partition("\n  hint: ")[0], "", problem.hint)


def _place(file: str, path: str, message: str, config: str) -> str:
    """Where to look, as far as the message does not say it already."""
    names = [file if file != config and file not in message else "", path if path not in message else ""]
    return ": ".join(name for name in names if name)


def _tell(kind: str, message: str, place: str, hint: str) -> None:
    note(f"{kind}: {message}")
    if place:
        note(f"  at: {place}")
    if hint:
        note(f"  hint: {hint}")

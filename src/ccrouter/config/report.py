"""Where in the file something stands, and what is wrong there. Collects; raises nothing but at the very end."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json
from ccrouter.secret import Secret, redact

#: What an unset variable means where it stands: the start fails; the default is taken with a warning; nothing.
Need = Literal["must", "may", "no"]

#: The end of a hint about an unset variable: the other way to give the value.
IN_THE_FILE = ", or write the value here"

_BARE_KEY = re.compile(r"[$A-Za-z_][A-Za-z0-9_-]*")
_QUOTED_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Blank:
    """A place in the file whose text names environment variables that have no value."""

    path: str
    names: tuple[str, ...]
    need: Need

    @property
    def message(self) -> str:
        if len(self.names) == 1:
            return f"environment variable {self.names[0]} is not set"
        return f"environment variables {', '.join(self.names)} are not set"

    @property
    def hint(self) -> str:
        exports = "; ".join(f'export {name}="..."' for name in self.names)
        return f"{exports} in the shell that starts the router{IN_THE_FILE}"


@dataclass(slots=True)
class Report:
    """Everything found while one file is read. `blanks` are not yet judged: what needs them decides. `secrets` are in
    no text that leaves, wherever else the file repeats them.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    blanks: list[Blank] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list, repr=False)

    def take_blanks(self, path: str = "") -> list[Blank]:
        """The blanks at and under `path` (all without one); they are then no longer in the report."""
        inside = (f"{path}.", f"{path}[")
        taken = [blank for blank in self.blanks if not path or blank.path == path or blank.path.startswith(inside)]
        self.blanks = [blank for blank in self.blanks if blank not in taken]
        return taken

    def judge_blanks(self) -> None:
        """Turns what is left of the blanks into problems and warnings."""
        for blank in self.take_blanks():
            found = Problem(self.file, blank.path, blank.message, blank.hint)
            if blank.need == "must":
                self.problems.append(found)
            else:
                message = f"{blank.message}; the default is used"
                self.warnings.append(replace(found, message=message))

    def raise_if_any(self, tree: Mapping[str, Json]) -> None:
        """Raises ConfigError with every problem, ordered by the top-level key of `tree` they belong to."""
        if self.problems:
            raise ConfigError(self.in_file_order(self.problems, tree))

    def in_file_order(self, found: Iterable[Problem], tree: Mapping[str, Json]) -> list[Problem]:
        order = {key: position for position, key in enumerate(tree)}

        def position(problem: Problem) -> tuple[bool, int, int]:
            top = re.split(r"[.\[]", problem.path, maxsplit=1)[0]
            index = re.match(r"\w+\[(\d+)\]", problem.path)
            return problem.file != self.file, order.get(top, len(order)), int(index[1]) if index else 0

        return [self._without_secrets(problem) for problem in sorted(found, key=position)]

    def _without_secrets(self, problem: Problem) -> Problem:
        message, hint = (redact(text, self.secrets) for text in (problem.message, problem.hint))
        return replace(problem, message=message, hint=hint)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the file: what is read there reports itself through it."""

    report: Report
    path: str = ""
    need: Need = "must"

    def key(self, name: str, need: Need | None = None) -> Place:
        if not _BARE_KEY.fullmatch(name):
            path = f"{self.path}[{json.dumps(name, ensure_ascii=False)}]"
        else:
            path = f"{self.path}.{name}" if self.path else name
        return Place(self.report, path, need or self.need)

    def item(self, index: int) -> Place:
        return Place(self.report, f"{self.path}[{index}]", self.need)

    def refuse(self, message: str, hint: str = "") -> None:
        self.report.problems.append(Problem(self.report.file, self.path, message, hint))

    def warn(self, message: str, hint: str = "") -> None:
        self.report.warnings.append(Problem(self.report.file, self.path, message, hint))

    def leave_blank(self, names: tuple[str, ...]) -> None:
        if self.need != "no":
            self.report.blanks.append(Blank(self.path, names, self.need))


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, whatever its case; None if none is near."""
    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.72)
    return by_fold[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint: "did you mean ...?" where something is near, else what there is to choose from."""
    names = list(known)
    near = closest(word, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"known: {', '.join(names)}" if names else ""


def quoted(value: Json) -> str:
    """A value as it may stand in a message: what the user wrote, short, without anything shaped like a key."""
    text = redact(json.dumps(getattr(value, "written", value), ensure_ascii=False, default=str))
    return text if len(text) <= _QUOTED_LENGTH else text[: _QUOTED_LENGTH - 1] + "…"


def kind_of(value: Json) -> str:
    """What a value is, in the words of a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"

"""The questions that a preset asks before it can be used, and what is an answer to one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ccrouter.config.report import suggestion
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject

KINDS = ("password", "input", "select", "multiselect", "confirm", "editor", "number")


@dataclass(frozen=True, slots=True)
class Input:
    """One question. `options` are the values of a select; () leaves the answer free."""

    id: str
    kind: str = "input"
    label: str = ""
    prompt: str = ""
    options: tuple[Json, ...] = ()
    when: Json = None
    default: Json = None
    is_required: bool = True
    placeholder: str = ""
    pattern: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def is_secret(self) -> bool:
        return self.kind == "password"

    def is_asked(self, answers: Mapping[str, Json]) -> bool:
        """True if this question is asked, given those answers."""
        return holds(self.when, answers)

    def read(self, text: str) -> Json:
        """The answer that `text` is. Raises ValueError, with what to write, for text that is none."""
        match self.kind:
            case "confirm":
                if text.strip().lower() not in {"y", "yes", "true", "n", "no", "false"}:
                    raise ValueError("answer yes or no")
                return text.strip().lower() in {"y", "yes", "true"}
            case "number":
                return self._number(text)
            case "multiselect":
                return [self._chosen(part.strip()) for part in text.split(",") if part.strip()]
            case "select":
                return self._chosen(text)
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise ValueError(f"must match {self.pattern}")
        return text

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("must be a number") from None
        if self.least is not None and value < self.least:
            raise ValueError(f"must be at least {self.least:g}")
        if self.most is not None and value > self.most:
            raise ValueError(f"must be at most {self.most:g}")
        return int(value) if value.is_integer() else value

    def _chosen(self, text: str) -> Json:
        for option in self.options:
            if str(option) == text:
                return option
        if not self.options:
            return text
        raise ValueError(f"must be one of {', '.join(map(str, self.options))}")


def read_inputs(schema: Json, file: str) -> tuple[Input, ...]:
    """The questions in a manifest's `schema`. Raises ConfigError with everything that is wrong in it."""
    if schema is None:
        return ()
    if not isinstance(schema, list):
        raise ConfigError([Problem(file, "schema", "must be a list of questions")])
    problems: list[Problem] = []
    found = []
    for place, written in enumerate(schema):
        path = f"schema[{place}]"
        id = written.get("id") if isinstance(written, dict) else None  # noqa: A001 - the manifest's own word
        if not isinstance(written, dict) or not isinstance(id, str) or not id:
            problems.append(Problem(file, path, "has no id", 'write { "id": "apiKey", "type": "password" }'))
            continue
        kind = written.get("type", "input")
        if kind not in KINDS:
            hint = suggestion(kind, KINDS) if isinstance(kind, str) else ""
            problems.append(Problem(file, f"{path}.type", "is no type of question", hint or ", ".join(KINDS)))
            continue
        try:
            re.compile(_text(written.get("validator")))
        except re.error as error:
            problems.append(Problem(file, f"{path}.validator", f"is no regular expression: {error}"))
            continue
        found.append(_input(id, str(kind), written))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def holds(condition: Json, answers: Mapping[str, Json]) -> bool:
    """True if `condition` (`{field, operator, value}`, or a list of them that all must hold) is met; None always is."""
    if condition is None:
        return True
    if isinstance(condition, list):
        return all(holds(one, answers) for one in condition)
    if not isinstance(condition, dict):
        return False
    given, wanted = answers.get(str(condition.get("field"))), condition.get("value")
    match condition.get("operator", "eq"):
        case "eq":
            return given == wanted
        case "ne":
            return given != wanted
        case "in":
            return isinstance(wanted, list) and given in wanted
        case "nin":
            return isinstance(wanted, list) and given not in wanted
        case "exists":
            return (given not in (None, "", [])) == (wanted is not False)
        case "gt" | "lt" | "gte" | "lte" as operator:
            return _compares(str(operator), given, wanted)
    return False


def _compares(operator: str, given: Json, wanted: Json) -> bool:
    if not isinstance(given, (int, float)) or not isinstance(wanted, (int, float)):
        return False
    return {"gt": given > wanted, "lt": given < wanted, "gte": given >= wanted, "lte": given <= wanted}[operator]


def _input(id: str, kind: str, written: JsonObject) -> Input:  # noqa: A002 - the manifest's own word
    options = written.get("options")
    listed = options.get("options", options.get("values")) if isinstance(options, dict) else options
    values = [one.get("value") if isinstance(one, dict) else one for one in listed] if isinstance(listed, list) else []
    return Input(
        id=id,
        kind=kind,
        label=_text(written.get("label")) or id,
        prompt=_text(written.get("prompt")),
        options=tuple(values),
        when=written.get("when"),
        default=written.get("defaultValue"),
        is_required=written.get("required", True) is not False,
        placeholder=_text(written.get("placeholder")),
        pattern=_text(written.get("validator")),
        least=_limit(written.get("min")),
        most=_limit(written.get("max")),
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _limit(value: Json) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

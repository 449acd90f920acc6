"""Facts made fit for the record: plain JSON, short, printable, without secrets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.secret import Redactor, Secret

#: Characters of a text that are kept.
TEXT_LIMIT = 200
_SEARCHED = 8 * 1024  # characters of a text that are searched for secrets; nothing behind them is kept
_DEPTH = 16


class Cleaner:
    """Cleans facts; `secrets` are looked for in every text."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        found = tuple(secrets)
        self._redactor = Redactor(found)
        self._longest = max((len(secret.reveal()) for secret in found), default=0)

    def clean(self, facts: Mapping[str, object]) -> dict[str, Any]:
        """A copy of `facts` for the record. Raises TypeError for what is not plain JSON, a Secret too, and ValueError
        for what is nested more than 16 deep.
        """
        texts: list[str] = []
        copied = _plain(facts, texts)
        if copied is None:
            texts.clear()
            copied = _copied(facts, texts, _DEPTH)
        assert isinstance(copied, dict)
        # One search for all of them, since this is done for every request: mostly there is nothing to change.
        if self._is_fit(texts):
            return copied
        return {self._text(name): self._changed(value) for name, value in copied.items()}

    def _is_fit(self, texts: list[str]) -> bool:
        joined = " ".join(texts)
        if not joined.isprintable() or not self._redactor.is_clean(joined):
            return False
        return len(joined) <= TEXT_LIMIT or max(map(len, texts)) <= TEXT_LIMIT

    def _changed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._changed(one) for one in value]
        if isinstance(value, dict):
            return {self._text(name): self._changed(one) for name, one in value.items()}
        return value

    def _text(self, text: str) -> str:
        found = self._redactor.redact(text[:_SEARCHED])
        if len(text) > _SEARCHED:
            found = found[: max(0, len(found) - self._longest)]  # a secret may have been cut through
        if len(found) > TEXT_LIMIT or len(text) > _SEARCHED:
            found = found[: TEXT_LIMIT - 1] + "…"
        return found if found.isprintable() else "".join(map(_escaped, found))


def _plain(facts: Mapping[str, object], texts: list[str]) -> dict[str, Any] | None:
    """A copy of facts that are texts, numbers and lists of texts, as they are for every request; None for others."""
    copied: dict[str, Any] = {}
    for name, value in facts.items():
        if type(name) is not str:
            return None
        kind = type(value)
        if kind is str:
            texts.append(value)  # type: ignore[arg-type] # its type was compared, which the checker does not follow
        elif kind is list and all(type(one) is str for one in value):  # type: ignore[attr-defined] # as above
            texts.extend(value)  # type: ignore[arg-type] # as above
        elif value is not None and kind is not int and kind is not bool:
            return None
        texts.append(name)
        copied[name] = value
    return copied


def _copied(value: object, texts: list[str], depth: int) -> Any:
    """`value` as plain JSON of our own; every text in it is appended to `texts`."""
    if isinstance(value, str):
        text = value if type(value) is str else str.__str__(value)
        texts.append(text)
        return text
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth == 0:
        raise ValueError("audit facts are nested too deeply")
    if isinstance(value, (dict, Mapping)):  # dict by name: the question is asked for every record
        return {_name(name, texts): _copied(one, texts, depth - 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(one, texts, depth - 1) for one in value]
    raise TypeError(f"audit facts are plain JSON; {type(value).__name__} is not")


def _name(name: object, texts: list[str]) -> str:
    if not isinstance(name, str):
        raise TypeError(f"audit facts have names that are texts, not {type(name).__name__}")
    texts.append(name)
    return name


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")

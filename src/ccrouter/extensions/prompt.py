"""`REWRITE_SYSTEM_PROMPT`: the user's own text in place of what Claude Code says before its `<env>`.

Claude Code closes its system prompt with facts about the machine, in an `<env>` element. What stands before the last
such mark becomes the file's text; the facts stay. Other blocks, and requests without the mark, are left alone.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ccrouter.errors import ConfigError, Problem
from ccrouter.extensions.faults import Journal
from ccrouter.extensions.stamps import stamp_of
from ccrouter.messages.request import MessagesRequest

_MARK = "<env>"
_MOST = 1024 * 1024
_text = msgspec.json.Decoder(str)
_blocks = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class PromptRewrite:
    """The text of one file, read again when the file changes. Raises ConfigError if it cannot be read at first."""

    def __init__(self, path: Path, file: str, journal: Journal) -> None:
        self._path = path
        self._journal = journal
        self._stamp = stamp_of(path)
        try:
            self._prompt = _read(path)
        except (OSError, ValueError) as error:
            raise ConfigError([
                Problem(file, "REWRITE_SYSTEM_PROMPT", f"{path} cannot be read: {_words(error)}", "name a text file")
            ]) from error  # fmt: skip

    def refresh(self) -> None:
        """After the call the text is the file's of now; if that cannot be read any more, the one before, and the log
        tells.
        """
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._prompt = _read(self._path)
        except (OSError, ValueError) as error:
            self._journal(
                "error", "the system prompt's file is kept as it was", file=str(self._path), error=_words(error)
            )

    def apply(self, request: MessagesRequest) -> MessagesRequest:
        """The request with the text in the first part of its system prompt that has the mark; itself without one."""
        system = request.members.get("system")
        if system is None or b"env" not in bytes(system):
            return request
        try:
            if bytes(system).lstrip()[:1] == b'"':
                text = self._rewritten(_text.decode(system))
                return request if text is None else request.replace(system=text)
            blocks = _blocks.decode(system)
            for block in blocks:
                text = self._rewritten(_text.decode(block["text"])) if "text" in block else None
                if text is not None:
                    block["text"] = msgspec.Raw(msgspec.json.encode(text))
                    return request.replace(system=blocks)
        except msgspec.DecodeError:  # of another form: whoever reads it next says so
            return request
        return request

    def _rewritten(self, text: str) -> str | None:
        before, mark, facts = text.rpartition(_MARK)
        del before
        return f"{self._prompt}{mark}{facts}" if mark else None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError(f"it is larger than {_MOST} bytes")
    return data.decode("utf-8-sig")


def _words(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

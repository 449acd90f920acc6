"""What is asked and what must come back: one `Ask`, written into the request and read out of it by the upstream.

The words travel in the last user message, so that they arrive whatever the router makes of the rest. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

#: How an answer ends, as the client saw it. "misled" and "wrong" are what must never be.
Outcome = Literal["right", "safe error", "left", "lost connection", "misled", "wrong", "hung"]

#: What goes wrong upstream. `status` refuses with `code`; `cut` and `reset` end the connection after `at` deltas (0:
#: before any); `first error` and `error` are events of a 200; `html` is a page in place of a stream; `stall` is silence
#: of `silence` ms after `at` deltas, and then the rest.
Fault = Literal["", "status", "cut", "reset", "refuse headers", "first error", "error", "html", "stall"]

_MARK = re.compile(rb"@soak ([^@\"\\]*) @")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. The answer is `deltas` pieces of text, `width` characters at least, one every `every` ms.

    `fails` attempts of this `id` meet the fault, the ones after it are answered; `together` is a number of requests of
    the same `crowd` that have to be under way before any of them is answered.
    """

    id: str
    deltas: int = 20
    every: int = 0
    width: int = 12
    fault: Fault = ""
    code: int = 500
    at: int = 0
    silence: int = 0
    fails: int = 0
    together: int = 0
    crowd: str = ""
    stamped: int = 0

    def mark(self) -> str:
        """The text that a request carries it by."""
        plain = Ask("")
        told = [f"{field.name}={getattr(self, field.name)}" for field in fields(self) if field.name == "id"]
        told += [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(plain, field.name) and field.name != "id"
        ]
        return f"@soak {';'.join(told)} @"

    def piece(self, number: int) -> str:
        """The text of one delta, as it is without a stamp: no two are alike."""
        text = f"{self.id}.{number} "
        return text + "~" * (self.width - len(text))

    def answer(self) -> str:
        """The whole text."""
        return "".join(self.piece(number) for number in range(self.deltas))


def read_mark(body: bytes) -> Ask:
    """The last `Ask` that a request's body carries. Raises ValueError if there is none."""
    found = _MARK.findall(body)
    if not found:
        raise ValueError("no @soak mark in the request")
    told: dict[str, object] = {}
    for pair in found[-1].decode().split(";"):
        name, _, value = pair.partition("=")
        told[name] = value if name in {"id", "fault", "crowd"} else int(value)
    return Ask(**told)  # type: ignore[arg-type]  # the names and types are those that `mark` wrote

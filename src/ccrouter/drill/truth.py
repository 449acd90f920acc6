"""What a well target says in a drill, and what a client is to hear of it. Known beforehand, to the letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ccrouter.jsontypes import JsonObject

#: What is asked for: words alone, or words and the call of a tool.
Scene = Literal["text", "tool"]

#: The model that the client asks for. Claude ids follow the routes.
ASKED_MODEL = "claude-drill"
TOOL_NAME = "drill_note"
TOOL_INPUT: JsonObject = {"title": "Fire drill", "lines": [1, 2, 3], "body": "whole"}

_WORDS = (
    "Every word of this counts: ", "one, two, three, ", "vier, fünf, ", "größer als sechs, ", "七, 八, ", "nine, ten. ",
    "Nothing of it ", "may be missing, ", "nothing may ", "come twice, ", "and this is ", "where it ends.",
)  # fmt: skip
_CALL = ("I take a note ", "of größer things.")
_INPUT = ('{"title": "Fire', ' drill", "lines": [1, 2', ', 3], "body": "wh', 'ole"}')


@dataclass(frozen=True, slots=True)
class Said:
    """One answer: its text in pieces, and the arguments of its call in pieces, none without a call."""

    text: tuple[str, ...] = ()
    call: tuple[str, ...] = ()

    @property
    def stop_reason(self) -> str:
        return "tool_use" if self.call else "end_turn"

    def after(self, begun: str) -> Said:
        """What is left to say for whoever has said `begun` already; all of it if that is no beginning of it."""
        whole = "".join(self.text)
        if not begun or not whole.startswith(begun):
            return self
        left = whole[len(begun) :]
        return Said((left,) if left else (), self.call)


TRUTH: dict[Scene, Said] = {"text": Said(_WORDS), "tool": Said(_CALL, _INPUT)}
NOTHING = Said()
#: What only those hear who follow a redirect.
ELSEWHERE = Said(("You followed me.",))


def question(scene: Scene, *, streamed: bool) -> JsonObject:
    """The request that the drill's client sends."""
    asked: JsonObject = {
        "model": ASKED_MODEL,
        "max_tokens": 512,
        "stream": streamed,
        "messages": [{"role": "user", "content": "Say what you always say in a drill."}],
    }
    if scene == "tool":
        schema = {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "lines": {"type": "array", "items": {"type": "integer"}},
                "body": {"type": "string"},
            },
            "required": ["title", "lines", "body"],
        }
        asked["tools"] = [{"name": TOOL_NAME, "description": "Keeps a note.", "input_schema": schema}]
    return asked

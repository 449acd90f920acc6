"""The turns of a conversation as every encoder goes through them: in runs of one side, block by block. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ccrouter.messages.request import Block, Turn

ROLES = frozenset({"user", "assistant", "system"})
#: What stands for the result of a call that has none.
MISSING_RESULT = "[No result: the call was interrupted, or its result was lost.]"
#: What words of the system's begin with where they stand among the user's.
REMINDER = "<system-reminder>"

#: A block and its path in the request.
Placed = tuple[str, Block]


def end_of_run(turns: Sequence[Turn], start: int, *, is_assistant: bool) -> int:
    """The end of the run of turns from `start` that are all the assistant's, or all not."""
    end = start
    while end < len(turns) and (turns[end].role == "assistant") is is_assistant:
        end += 1
    return end


def blocks_of(turn: Turn, place: int) -> Iterator[Placed]:
    """The blocks of a turn with their paths in the request; a string is one text block."""
    if isinstance(turn.content, str):
        yield f"messages[{place}].content", Block(type="text", text=turn.content)
    else:
        for number, block in enumerate(turn.content):
            yield f"messages[{place}].content[{number}]", block

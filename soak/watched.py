"""`ccr` with a window: `python -m soak.watched IN OUT start …` is `ccr start …`, and counts its tasks when asked to.

For each byte that arrives on the descriptor IN a line of JSON goes to OUT: the tasks of the event loop, by the name of
what they run, counted within the loop itself. The router knows nothing of it: the loop is found by `asyncio.Runner`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from ccrouter.cli import main

WATCHED: dict[str, int] = {}


_run = asyncio.Runner.run


def run(runner: asyncio.Runner, coro: Coroutine[Any, Any, Any], **more: Any) -> Any:
    """As asyncio's; from the first run on the loop answers on the pipe."""
    runner.get_loop().add_reader(WATCHED["asked"], _tell)  # again for a second run: nothing changes
    return _run(runner, coro, **more)


def _tell() -> None:
    asked = os.read(WATCHED["asked"], 1)
    if not asked:  # nobody looks any more
        asyncio.get_running_loop().remove_reader(WATCHED["asked"])
        return
    if asked == b"g":
        gc.collect()
    names = Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    os.write(WATCHED["told"], json.dumps({"tasks": sum(names.values()), "names": names}).encode() + b"\n")


if __name__ == "__main__":
    WATCHED["asked"], WATCHED["told"] = int(sys.argv[1]), int(sys.argv[2])
    asyncio.Runner.run = run  # type: ignore[method-assign, assignment]  # the one seam that every program on asyncio has
    sys.exit(main(sys.argv[3:]))

"""`ccr` with a window: `python -m soak.watched FD_IN FD_OUT start …` is `ccr start …`, and counts its tasks when asked to.

For each byte that arrives on FD_IN a line of JSON goes to FD_OUT: the tasks of the event loop, by the name of what they
run, counted within the loop itself. The router knows nothing of it: the loop is found by way of `asyncio.Runner`.
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


class Runner(asyncio.Runner):
    """As asyncio's; from the first run on its loop answers on the pipe."""

    _has_window = False

    def run(self, coro: Coroutine[Any, Any, Any], **more: Any) -> Any:
        if not self._has_window:
            self._has_window = True
            self.get_loop().add_reader(WATCHED["in"], _tell)
        return super().run(coro, **more)


def _tell() -> None:
    asked = os.read(WATCHED["in"], 1)
    if not asked:
        asyncio.get_running_loop().remove_reader(WATCHED["in"])
        return
    if asked == b"g":
        gc.collect()
    names = Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    os.write(WATCHED["out"], json.dumps({"tasks": sum(names.values()), "names": names}).encode() + b"\n")


if __name__ == "__main__":
    WATCHED["in"], WATCHED["out"] = int(sys.argv[1]), int(sys.argv[2])
    asyncio.Runner = Runner  # type: ignore[misc]  # the one seam that every program on asyncio has
    sys.exit(main(sys.argv[3:]))

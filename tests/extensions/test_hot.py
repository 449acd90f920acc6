"""What is made of a file anew when it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ccrouter.extensions.hot import Hot


async def test_a_client_that_leaves_amid_a_reload(tmp_path: Path) -> None:
    """A request that is given up while the file's new version is being loaded leaves it to the next request: the change
    is not forgotten.
    """
    file = tmp_path / "code.py"
    file.write_text("old")
    began = asyncio.Event()
    is_slow = False

    async def load() -> str:
        if is_slow:
            began.set()
            await asyncio.Event().wait()
        return file.read_text()

    hot = Hot(file, load, lambda level, message, **facts: None)
    await hot.open()
    file.write_text("new version")
    is_slow = True
    leaving = asyncio.create_task(hot.refresh())
    await began.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    is_slow = False
    assert await hot.refresh() == "old"
    assert hot.current == "new version"

"""Threads for code that may hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ccrouter.errors import ExtensionError
from ccrouter.extensions.aside import Aside, TookTooLong, at_work, wait_for


async def test_it_gives_what_the_work_gives():
    """Results, exceptions, and the caller's context variables; threads are used again."""
    aside = Aside()
    names = [await aside.carry_out(lambda: threading.current_thread().name) for _ in range(3)]
    assert set(names) == {"ccr-user-code"}

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await aside.carry_out(fail)
    idents = {await aside.carry_out(threading.get_ident) for _ in range(5)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents
    aside.close()


async def test_our_own_part_has_no_limit_and_the_users_has():
    """Only what is marked as the user's is timed, and it is called by its name."""
    aside = Aside()
    event = threading.Event()

    def hang() -> None:
        with at_work("the hook", 0.05):
            event.wait()

    with pytest.raises(TookTooLong, match=r"^the hook took longer than 0.05 s"):
        await aside.carry_out(hang)
    event.set()
    aside.close()


async def test_so_many_and_no_more():
    """Threads that hang are not made without end: then calls are refused, until some return."""
    aside = Aside()
    event = threading.Event()

    def hang() -> None:
        with at_work("it", 0.01):
            event.wait()

    for _ in range(16):
        with pytest.raises(TookTooLong):
            await aside.carry_out(hang)
    with pytest.raises(ExtensionError, match="16 calls of custom code hang"):
        await aside.carry_out(lambda: 1)
    event.set()
    while True:
        try:
            assert await aside.carry_out(lambda: 1) == 1
            break
        except ExtensionError:
            await asyncio.to_thread(lambda: None)
    aside.close()


async def test_a_coroutine_is_carried_out_by_the_loop():
    """And waited for in the thread, in time."""
    aside = Aside()
    loop = asyncio.get_running_loop()

    async def here() -> bool:
        return asyncio.get_running_loop() is loop

    assert await aside.carry_out(lambda: wait_for(here(), "x", 5))
    with pytest.raises(TookTooLong, match="the coroutine took longer"):
        await aside.carry_out(lambda: wait_for(asyncio.Event().wait(), "the coroutine", 0.05))
    aside.close()

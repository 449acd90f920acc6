"""A client that hangs up ends its request, and with it what is asked of a provider."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ccrouter.server.intake import ClientGone, Receive
from ccrouter.server.respond import HttpReply


@contextlib.asynccontextmanager
async def until_client_leaves(receive: Receive, reply: HttpReply) -> AsyncIterator[None]:
    """Run the body of the `async with` until it is done or the client hangs up; then raise ClientGone in it.

    The upstream request ends with it: its connection is closed by the cancellation, and generation (and billing) stops.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        if not reply.has_ended:  # after the last byte the server reports a disconnect too
            has_left = True
            task.cancel()

    watching: asyncio.Task[None] = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watching.cancel()

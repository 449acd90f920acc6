"""Run the scripted upstream by hand: it streams or folds one fixed text in the dialect asked for."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from tests.upstream.anthropic_wire import message_json, message_stream
from tests.upstream.chat_wire import chat_json, chat_stream
from tests.upstream.reply import Reply, json_reply, sse_reply
from tests.upstream.responses_wire import response_json, response_stream
from tests.upstream.server import Received, Upstream

TEXT = "This is the scripted upstream. It says the same to everybody."


def answer(dialect: str, received: Received) -> Reply:
    """The fixed text, streamed if the request asks for that."""
    if received.method != "POST":
        return json_reply({"status": "ok"})
    streamed = bool(received.json().get("stream"))
    if dialect == "anthropic":
        return sse_reply(message_stream(TEXT)) if streamed else json_reply(message_json(TEXT))
    if dialect == "responses":
        return sse_reply(response_stream(TEXT)) if streamed else json_reply(response_json(TEXT))
    return sse_reply(chat_stream(TEXT)) if streamed else json_reply(chat_json(TEXT))


async def serve(port: int, dialect: str) -> None:
    def told(received: Received) -> Reply:
        print(received.method, received.target, len(received.body), "bytes", flush=True)
        return answer(dialect, received)

    async with Upstream(port) as upstream:
        upstream.always(told)
        print(f"{dialect} upstream on {upstream.url}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dialect", choices=["anthropic", "chat", "responses"], default="anthropic")
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(asked.port, asked.dialect))


if __name__ == "__main__":
    main()

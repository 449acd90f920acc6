"""The official Messages client as oracle: what it makes of the streams of all cases is what they mean."""

from __future__ import annotations

import anthropic
import msgspec
import pytest

from ccrouter.messages.events import render
from tests.dialects.chat_law import folded
from tests.dialects_responses.casefile import Case, cases, read_answer
from tests.upstream import Upstream, sse_reply


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream


async def test_every_case(upstream: Upstream):
    """Each finished answer is, put together by the client, the message that the router folds for unstreamed requests."""
    read = 0
    async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="any", max_retries=0) as client:
        for path in (one.values[0] for one in cases("stream")):
            case = Case(path)
            if "folds:" in case.upper:
                continue
            events, end = read_answer(case, None if case.head.get("kind") == "body" else iter([case.wire]))
            if not end.startswith("usage"):
                continue
            upstream.reply(sse_reply([render(event) for event in events], split="whole"))
            asked = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            async with client.messages.stream(**asked) as stream:
                message = await stream.get_final_message()
            expected = folded(events)
            got = msgspec.to_builtins(message.model_dump(mode="json", exclude_none=True))
            assert got["stop_reason"] == expected["stop_reason"], path.stem
            assert [block["type"] for block in got["content"]] == [block["type"] for block in expected["content"]]
            for block, wanted in zip(got["content"], expected["content"], strict=True):
                for name in {"text", "thinking", "signature", "input", "id", "name"} & wanted.keys():
                    assert block[name] == wanted[name], (path.stem, name)
            read += 1
    assert read >= 80

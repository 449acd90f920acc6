"""The clients: each sends one request to the router and judges what comes back, to the last byte."""

from __future__ import annotations

import asyncio
import io
import json
import time
from dataclasses import dataclass, field

import aiohttp

from soak.script import Ask, Outcome

#: Seconds after which an answer is called hung: above every limit that the router is configured with here.
PATIENCE = 60.0
#: What a reader that is slow reads at a time, bytes.
_SIP = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client: what it asks, of which model, and how it behaves. `padding` bytes make it large,
    `leaves` is the number of bytes after which it hangs up (0: it stays), `pause` ms it waits between two sips.
    """

    ask: Ask
    model: str
    streams: bool = True
    padding: int = 0
    leaves: int = 0
    pause: int = 0
    expects: frozenset[Outcome] = frozenset({"right"})
    kind: str = "plain"

    def body(self) -> bytes:
        content = [{"type": "text", "text": "x" * self.padding}] if self.padding else []
        content.append({"type": "text", "text": self.ask.mark()})
        told = {
            "model": self.model,
            "max_tokens": 1000,
            "stream": self.streams,
            "messages": [{"role": "user", "content": content}],
        }
        return json.dumps(told).encode()


@dataclass(slots=True)
class Seen:
    """What one client saw. `ages` of its deltas on arrival and the largest `gap` between two of them, in ms; `began`
    and `ended` in seconds of the monotonic clock.
    """

    request: Request
    outcome: Outcome = "hung"
    detail: str = ""
    ages: list[float] = field(default_factory=list)
    gap: float = 0.0
    began: float = 0.0
    ended: float = 0.0

    @property
    def is_as_expected(self) -> bool:
        return self.outcome in self.request.expects


class Broken(Exception):
    """The answer is none: the reason."""


async def ask(session: aiohttp.ClientSession, url: str, request: Request, key: str = "") -> Seen:
    """Send `request` to the router at `url` and see it to its end. Raises nothing that the router could cause."""
    seen = Seen(request, began=time.monotonic())
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": key}
    try:
        async with (
            asyncio.timeout(PATIENCE),
            session.post(f"{url}/v1/messages", data=io.BytesIO(request.body()), headers=headers) as response,
        ):
            seen.outcome, seen.detail = await _judge(response, request, seen)
    except TimeoutError:
        seen.outcome, seen.detail = "hung", f"no end in {PATIENCE:.0f} s"
    except (aiohttp.ClientError, OSError) as error:
        seen.outcome, seen.detail = "lost connection", f"{type(error).__name__}: {error}"
    except (Broken, ValueError, KeyError) as error:
        seen.outcome, seen.detail = "wrong", f"{type(error).__name__}: {error}"
    seen.ended = time.monotonic()
    return seen


async def _judge(response: aiohttp.ClientResponse, request: Request, seen: Seen) -> tuple[Outcome, str]:
    if request.leaves and response.status == 200:
        size = 0
        while size < request.leaves and (chunk := await response.content.readany()):
            size += len(chunk)
        response.close()
        return "left", ""
    if response.status != 200:
        return _judge_error(response.status, await response.read())
    if not request.streams:
        return _judge_message(request, json.loads(await response.read()))
    reader = StreamJudge(request, seen)
    if request.pause:
        while sip := await response.content.read(_SIP):
            reader.feed(sip)
            await asyncio.sleep(request.pause / 1000)
    else:
        while chunk := await response.content.readany():
            reader.feed(chunk)
    return reader.close()


def _judge_error(status: int, body: bytes) -> tuple[Outcome, str]:
    error = json.loads(body)
    if error.get("type") != "error" or not error["error"]["type"] or not error["error"]["message"]:
        raise Broken(f"status {status} without a Messages error: {body[:200]!r}")
    return "safe error", f"{status} {error['error']['type']}: {error['error']['message']}"


def _judge_message(request: Request, message: dict[str, object]) -> tuple[Outcome, str]:
    content = message["content"]
    assert isinstance(content, list)
    text = "".join(block["text"] for block in content)
    if text != request.ask.answer() or message["stop_reason"] != "end_turn":
        return "misled", f"{len(text)} characters, {message['stop_reason']}"
    return "right", ""


class StreamJudge:
    """Reads a stream as it comes. What is told to be finished must be whole, what ends in an error a beginning."""

    def __init__(self, request: Request, seen: Seen) -> None:
        self._ask = request.ask
        self._seen = seen
        self._buffer = b""
        self._text: list[str] = []
        self._last = 0.0
        self._has_begun = False
        self._stop_reason: str | None = None
        self._end = ""
        self._error = ""

    def feed(self, chunk: bytes) -> None:
        """Raises Broken for what is no stream of Messages."""
        now = time.monotonic_ns()
        *frames, self._buffer = (self._buffer + chunk).split(b"\n\n")
        for frame in frames:
            name, _, data = frame.partition(b"\ndata: ")
            event = json.loads(data)
            if name != b"event: " + event["type"].encode():
                raise Broken(f"{name!r} holds a {event['type']}")
            self._take(event, now)

    def _take(self, event: dict[str, dict[str, str]], now: int) -> None:
        kind = str(event["type"])
        if self._end:
            raise Broken(f"{kind} after {self._end}")
        match kind:
            case "message_start":
                if self._has_begun:
                    raise Broken("two message_start")
                self._has_begun = True
            case "content_block_delta":
                self._note(event["delta"]["text"], now)
            case "message_delta":
                self._stop_reason = event["delta"]["stop_reason"]
            case "message_stop":
                self._end = kind
            case "error":
                self._end, self._error = kind, f"{event['error']['type']}: {event['error']['message']}"
            case "ping" | "content_block_start" | "content_block_stop":
                pass
            case _:
                raise Broken(f"an event {kind!r}")

    def _note(self, text: str, now: int) -> None:
        if self._ask.stamped:
            self._seen.ages.append((now - int(text[:16], 16)) / 1e6)
            text = text[16:]
            if self._last:
                self._seen.gap = max(self._seen.gap, (now - self._last) / 1e6)
            self._last = now
        self._text.append(text)

    def close(self) -> tuple[Outcome, str]:
        """Raises Broken if the stream ended without an ending."""
        if self._buffer:
            raise Broken(f"the stream ends within an event: {self._buffer[-80:]!r}")
        text, whole = "".join(self._text), self._ask.answer()
        if self._end == "error":
            if not whole.startswith(text):
                return "misled", f"an error after another text: {text[-80:]!r}"
            return "safe error", f"event {self._error}"
        if self._end != "message_stop":
            raise Broken(f"the stream ended without an ending, after {len(text)} of {len(whole)} characters")
        if text != whole or self._stop_reason != "end_turn":
            return "misled", f"{len(text)} of {len(whole)} characters, {self._stop_reason}"
        return "right", ""

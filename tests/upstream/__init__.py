"""A scripted upstream: a real HTTP/1.1 server on loopback that does what a test tells it to do.

It may misbehave at the TCP level (reset, cut, stall, lie about its length). It may not be clever: what it
answers is decided by the test, and a request nobody scripted is an error when the server closes.
"""

from __future__ import annotations

from tests.upstream.reply import (
    Cut,
    Framing,
    Gate,
    Reply,
    Reset,
    Stall,
    Step,
    json_reply,
    raw_reply,
    sse_reply,
)
from tests.upstream.server import Headers, Received, UnscriptedError, Upstream
from tests.upstream.threaded import ThreadedUpstream

__all__ = [
    "Cut",
    "Framing",
    "Gate",
    "Headers",
    "Received",
    "Reply",
    "Reset",
    "Stall",
    "Step",
    "ThreadedUpstream",
    "UnscriptedError",
    "Upstream",
    "json_reply",
    "raw_reply",
    "sse_reply",
]

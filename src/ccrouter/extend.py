"""What the user's own code is written with: everything that a transform or a router needs, under one name.

    from ccrouter.extend import Transform

`docs/extending.md` shows it in use. Nothing of the router imports this module.
"""

from __future__ import annotations

from ccrouter.errors import ClientError, ConfigError, Denied, ExtensionError, Problem, UnsupportedContent
from ccrouter.extensions.context import RequestView, RouteContext
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
)
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.facts import RequestFacts
from ccrouter.transforms.base import Answer, Context, EventFilter, Transform, Wire

__all__ = [
    "Answer",
    "BlockDelta",
    "BlockStart",
    "BlockStop",
    "ClientError",
    "ConfigError",
    "Context",
    "Denied",
    "EventFilter",
    "ExtensionError",
    "InputJsonDelta",
    "MessageDelta",
    "MessageEvent",
    "MessageStart",
    "MessageStop",
    "MessagesRequest",
    "Problem",
    "RequestFacts",
    "RequestView",
    "RouteContext",
    "TextBlock",
    "TextDelta",
    "ThinkingBlock",
    "ThinkingDelta",
    "ToolUseBlock",
    "Transform",
    "UnsupportedContent",
    "Wire",
]

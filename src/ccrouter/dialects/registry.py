"""The dialects that can be spoken upstream, and those that clients may speak. To add one: write it, add its line."""

from __future__ import annotations

from ccrouter.config.schema import DialectName
from ccrouter.dialects import anthropic, gemini, openai_chat, openai_responses
from ccrouter.dialects.base import Dialect
from ccrouter.dialects.openai_chat.served import SERVED as SERVED_CHAT
from ccrouter.dialects.openai_responses.served import SERVED as SERVED_RESPONSES
from ccrouter.dialects.served import Served

DIALECTS: dict[DialectName, Dialect] = {
    "anthropic": anthropic.DIALECT,
    "openai_chat": openai_chat.DIALECT,
    "openai_responses": openai_responses.DIALECT,
    "gemini": gemini.DIALECT,
}

#: Beside Messages.
SERVED: dict[DialectName, Served] = {
    "openai_chat": SERVED_CHAT,
    "openai_responses": SERVED_RESPONSES,
}

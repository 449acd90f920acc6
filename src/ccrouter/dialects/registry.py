"""The dialects that can be spoken upstream. To add one: write it, and add its line here."""

from __future__ import annotations

from ccrouter.config.schema import DialectName
from ccrouter.dialects import anthropic, openai_chat
from ccrouter.dialects.base import Dialect

DIALECTS: dict[DialectName, Dialect] = {
    "anthropic": anthropic.DIALECT,
    "openai_chat": openai_chat.DIALECT,
}

"""A scripted model with a prompt cache, as providers have one: what it was sent before, up to where it differs, it reads
again; the rest it writes. So a real client's cache markers, and what breaks them, show in the usage that it tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.brain import Brain, Say
from tests.e2e.conversation import Conversation
from tests.upstream import Reply

_BYTES_PER_TOKEN = 4


@dataclass
class CachingBrain(Brain):
    """As Brain. `busy` holds the names of scenarios whose next request is refused as overloaded, once each.

    Each answer has an id of its own, as real ones have: Claude Code puts answers of one id together, as one.
    """

    known: set[str] = field(default_factory=set)
    busy: list[str] = field(default_factory=list)
    usages: list[dict[str, int]] = field(default_factory=list)

    def render(self, say: Say, conversation: Conversation) -> Reply:
        name = next((one for one in self.busy if f"[[{one}" in json.dumps(conversation.body)), None)
        if name is not None and say.refuse is None:
            self.busy.remove(name)
            return self.wire.refuse(529, "overloaded_error", "Overloaded")
        if say.refuse is not None:
            return super().render(say, conversation)
        named: dict[str, Any] = {"reasoning_field": self.reasoning_field} if self.dialect == "chat" else {}
        usage = self._usage(conversation, say)
        named["ident"] = f"msg_{len(self.usages)}"
        return self.wire.answer((say.text, say.thinking, say.tools), conversation, usage=usage, **named)

    def _usage(self, conversation: Conversation, say: Say) -> dict[str, Any]:
        read = total = 0
        chain = hashlib.sha256(conversation.model.encode())
        for block in blocks(conversation.body):
            chain.update(block)
            total += len(block) // _BYTES_PER_TOKEN
            prefix = chain.hexdigest()
            if prefix in self.known:
                read = total
            self.known.add(prefix)
        output = 5 + len(say.text or "") // _BYTES_PER_TOKEN + 40 * len(say.tools)
        self.usages.append({"read": read, "rest": total - read, "output": output})
        if self.dialect == "anthropic":
            return {
                "input_tokens": 7,
                "cache_read_input_tokens": read,
                "cache_creation_input_tokens": total - read,
                "output_tokens": output,
            }
        return {
            "prompt_tokens": total,
            "completion_tokens": output,
            "total_tokens": total + output,
            "prompt_tokens_details": {"cached_tokens": read},
        }


def blocks(body: Mapping[str, Any]) -> Iterator[bytes]:
    """The prompt in the order in which it is cached: tools, system, messages; markers are no part of it."""
    for tool in body.get("tools") or ():
        yield _plain(tool)
    system = body.get("system") or ()
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        if not str(block.get("text", "")).startswith("x-anthropic-billing-header"):
            yield _plain(block)
    for turn in body.get("messages") or ():
        content = turn.get("content") or ""
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield _plain({"role": turn["role"], **block})


def _plain(block: Mapping[str, Any]) -> bytes:
    return json.dumps({key: value for key, value in block.items() if key != "cache_control"}, sort_keys=True).encode()

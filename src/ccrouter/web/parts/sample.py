"""A request as a command line that makes the same one again, for a person to copy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from ccrouter.jsontypes import JsonObject

#: Stands for the conversation, where that was not recorded.
MISSING = "(the text of this request was not recorded)"
_HEADERS = (
    "x-api-key: $CCR_KEY",
    "content-type: application/json",
)


def curl(address: str, path: str, asked: str, *, streamed: bool, body: str | None) -> list[str]:
    """The lines of a command that sends such a request to the router at `address`, with its key out of the environment.

    `body` is what the client sent; without it the shape alone is there, with a word in the place of the conversation.
    """
    data = _skeleton(path, asked, streamed=streamed) if body is None else body
    headers = [f'  -H "{one}"' for one in _HEADERS]
    if path.startswith("/v1/messages"):
        headers.append('  -H "anthropic-version: 2023-06-01"')
    lines = [f"curl -sS -N {shlex.quote(address + path)}", *headers, f"  -d {shlex.quote(data)}"]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _skeleton(path: str, asked: str, *, streamed: bool) -> str:
    said: Sequence[JsonObject] = [{"role": "user", "content": MISSING}]
    shape: JsonObject = {"model": asked}
    if path.endswith("responses"):
        shape["input"] = MISSING
    else:
        shape["messages"] = list(said)
    if path == "/v1/messages":
        shape["max_tokens"] = 1024
    if streamed:
        shape["stream"] = True
    return json.dumps(shape, ensure_ascii=False)

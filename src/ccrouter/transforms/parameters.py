"""The parameter transforms, on the members of an encoded request. Pure; each entry of the table is one.

They are the user's words about parameters, so they win over what profiles say; only `extra_body` comes after them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ccrouter.jsontypes import JsonObject

_LIMITS = ("max_tokens", "max_completion_tokens")
_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty")
_REASONING = ("reasoning", "reasoning_effort", "reasoning_content", "thinking_budget")


def _set(body: dict[str, Any], options: JsonObject) -> None:
    """`openrouter`: the options are members of the request (`provider`, `transforms`, ...)."""
    body.update(options)


def _complete(body: dict[str, Any], options: JsonObject) -> None:
    """`customparams`: what is missing is added and objects are merged; what else is there stays."""
    for name, value in options.items():
        old = body.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            body[name] = {**old, **value}
        elif name not in body:
            body[name] = value


def _cap(body: dict[str, Any], options: JsonObject) -> None:
    """`maxtoken`: never more than `max_tokens`; a smaller limit stays, and one that is not there is not made."""
    most = options.get("max_tokens")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        return
    for name in _LIMITS:
        if name in body:
            body[name] = min(body[name], most)


def _rename(body: dict[str, Any], options: JsonObject) -> None:  # noqa: ARG001 - has none
    """`maxcompletiontokens`: OpenAI's newer name for the limit."""
    if "max_tokens" in body:
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)


def _sample(body: dict[str, Any], options: JsonObject) -> None:
    """`sampling`: the limit capped, the other members set."""
    _cap(body, options)
    body.update({name: options[name] for name in _SAMPLING if options.get(name) is not None})


def _reason(body: dict[str, Any], options: JsonObject) -> None:
    """`reasoning` with `enable: false`: thinking is off, in the words of every server that the classic router knew."""
    if options.get("enable") is not False:
        return
    for name in _REASONING:
        body.pop(name, None)
    variables = body.pop("chat_template_kwargs", None)
    if isinstance(variables, dict):
        kept = {name: value for name, value in variables.items() if name not in {"thinking", "enable_thinking"}}
        body.update({"chat_template_kwargs": kept} if kept else {})
    body.update(thinking={"type": "disabled"}, enable_thinking=False)


PARAMETERS: dict[str, Callable[[dict[str, Any], JsonObject], None]] = {
    "openrouter": _set,
    "customparams": _complete,
    "maxtoken": _cap,
    "maxcompletiontokens": _rename,
    "sampling": _sample,
    "reasoning": _reason,
}

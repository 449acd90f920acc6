"""Recognising "the conversation is too long" in the words of every provider, and saying it in Anthropic's. Pure.

Claude Code compacts on the one wording and retries with a smaller `max_tokens` on the other; on any other text it
gives up. Numbers are only ever upstream's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_N = r"(?P<n>\d[\d,_.]*)"
_M = r"(?P<m>\d[\d,_.]*)"
_A = r"(?P<a>\d[\d,_.]*)"
_B = r"(?P<b>\d[\d,_.]*)"
_C = r"(?P<c>\d[\d,_.]*)"

#: Input and output together are too long: a = input, b = output asked for, c = limit.
_SUMS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # Anthropic
        rf"input length and `?max_tokens`? exceed context limit: {_A} \+ {_B} > {_C}",
        # OpenAI, DeepSeek, vLLM: "... is 8192 tokens. However, you requested 9000 tokens (8000 in the messages,
        # 1000 in the completion)"
        (
            rf"maximum context length is {_C} tokens.*?\({_A} in (?:the )?(?:messages|prompt|your prompt)"
            rf"[^)]*?[,;] {_B} (?:in|for) the completion\)"
        ),
        # vLLM: "your request has 5000 input tokens (32000 > 32768 - 5000)"
        rf"context length is {_C} tokens and your request has {_A} input tokens \({_B} >",
        # vLLM: "You passed 9000 input tokens and requested 100 output tokens. However, the model's context length is
        # only 8192 tokens"
        rf"passed {_A} input tokens and requested {_B} output tokens.*?context length is (?:only )?{_C}",
        # Hugging Face TGI, Together: "must be <= 8193. Given: 7990 `inputs` tokens and 1000 `max_new_tokens`"
        rf"must be <= {_C}\. Given: {_A} `inputs` tokens and {_B} `max_new_tokens`",
    )
)
# OpenRouter counts text, tools and output apart.
_OPENROUTER = re.compile(
    rf"maximum context length is {_C} tokens.*?\({_A} of text input(?:, (?P<t>\d+) of tool input)?[^)]*?, "
    rf"{_B} in the output",
    re.IGNORECASE | re.DOTALL,
)

#: The prompt alone is too long: n = prompt, m = limit, either of them where upstream tells.
_PROMPTS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"prompt is too long: {_N}(?: tokens)? > {_M}",
        rf"prompt is too long: {_N}, model maximum context length: {_M}",  # Fireworks
        rf"maximum context length is {_M} tokens.*?resulted in {_N} tokens",  # OpenAI
        rf"configured limit of {_M} tokens\. Your messages resulted in {_N} tokens",  # OpenAI
        rf"maximum context length is {_M} tokens.*?requested (?:about )?{_N} tokens",
        rf"input token count \(?{_N}\)? exceeds the maximum number of tokens allowed \(?{_M}",  # Gemini
        rf"input token count is {_N} but (?:the )?model only supports up to {_M}",  # Vertex
        rf"contains {_N} tokens.*?too large for model with {_M} maximum context",  # Mistral
        rf"maximum prompt length is {_M} but the request contains {_N}",  # xAI
        rf"current length is {_N} while limit is {_M}",  # Cerebras
        rf"exceeded model token limit: {_M} \(requested: {_N}",  # Moonshot
        rf"exceeded model token limit: {_M}",
        rf"length of prompt_tokens \({_N}\) must be less than max_seq_len \({_M}",  # SiliconFlow
        rf"decoder prompt \(length {_N}\) is longer than the maximum model length of {_M}",  # vLLM
        rf"input length {_N} exceeds the maximum length {_M}",  # Volcengine
        rf"request \({_N} tokens\) exceeds the available context size \({_M} tokens",  # llama.cpp
        rf"exceeds the available context size \({_M} tokens",
        rf"range of input length should be \[\d+, ?{_M}\]",  # DashScope
        rf"first {_N} tokens when context the overflows.*?context length of only {_M}",  # LM Studio
        rf"request body too large for .*? model\. max size: {_M} tokens",  # GitHub Models
        rf"context length is {_M} tokens",
    )
)
_PHRASES = re.compile(
    r"context.?length.?exceeded|context window exceeds|exceeds? (?:the |its )?(?:model'?s? )?(?:maximum )?context"
    r"|maximum context length|exceeds the context window|context_window_exceeded|exceed_context_size"
    r"|exceeds the available context size|range of input length should be|prompt exceeds max length"
    r"|prompt (?:is )?too long|input is too long|reduce the length of the (?:messages|prompt|input)"
    r"|tokens? exceeds? (?:the )?(?:max|limit)|exceeds the maximum number of tokens allowed"
    r"|model only supports up to [\d,]+"
    r"|exceeded model token limit|exceed max message tokens|too large for model with|longer than the maximum model"
    r"|must be less than max_seq_len|maximum prompt length is|context the overflows|max size: \d+ tokens",
    re.IGNORECASE,
)
# Zhipu's code for "Prompt exceeds max length"; the others say it in words.
_NAMES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "tokens_limit_reached",
        "model_context_window_exceeded",
        "1261",
    }
)
_RATE = re.compile(r"per (?:minute|day|hour)|\b[TR]P[MD]\b|rate.?limit", re.IGNORECASE)


def overflow_message(status: int, words: str, names: Sequence[str], limits: Mapping[str, Any]) -> str | None:
    """Anthropic's wording of a context overflow, with upstream's numbers where it gave any; None if it is none.

    `names` are the error's codes and types in lower case, `limits` the error object itself (llama.cpp has the numbers
    there). A limit on tokens per minute is no overflow.
    """
    if status in {401, 402, 403, 429} or _RATE.search(words):
        return None
    sums = _sum(words)
    if sums is None and not _PHRASES.search(words) and not _NAMES.intersection(names):
        return None
    if sums is not None:
        given, asked, limit = sums
        if given < limit:
            return f"input length and `max_tokens` exceed context limit: {given} + {asked} > {limit}"
        return f"prompt is too long: {given} tokens > {limit} maximum"
    sent, size = limits.get("n_prompt_tokens"), limits.get("n_ctx")
    if isinstance(sent, int) and isinstance(size, int):
        return f"prompt is too long: {sent} tokens > {size} maximum"
    for pattern in _PROMPTS:
        match = pattern.search(words)
        if match is None:
            continue
        numbers = match.groupdict()
        if numbers.get("n"):
            return f"prompt is too long: {_number(numbers['n'])} tokens > {_number(numbers['m'])} maximum"
        return f"prompt is too long: the maximum is {_number(numbers['m'])} tokens"
    return "prompt is too long"


def _sum(words: str) -> tuple[int, int, int] | None:
    match = _OPENROUTER.search(words)
    if match is not None:
        given = _number(match["a"]) + _number(match["t"] or "0")
        return given, _number(match["b"]), _number(match["c"])
    for pattern in _SUMS:
        match = pattern.search(words)
        if match is not None:
            return _number(match["a"]), _number(match["b"]), _number(match["c"])
    return None


#: No number of tokens has more; Python reads no more than some thousands.
_MOST_DIGITS = 18


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text)[:_MOST_DIGITS] or "0")

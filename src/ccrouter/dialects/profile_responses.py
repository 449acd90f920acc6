"""What is different about providers where OpenAI's Responses API is spoken: data, each fact with its reason. No logic.

These stand over everything that a profile says of Chat Completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Everywhere: what the protocol has a place for, and what it has none for.
RESPONSES: Mapping[str, Any] = {
    "min_max_tokens": 16,  # 400 "integer below minimum value. Expected a value >= 16" for max_output_tokens
    "max_stops": 0,  # there is no `stop`
    "accepts_top_k": False,
    # 400 "string too long. Expected a string with maximum length 64" for input[].call_id
    "tool_id_limit": 64,
    "has_short_tool_ids": False,
    "accepts_mid_system": True,
    "accepts_files": "url",  # input_file: data and plain URLs
    "accepts_tool_images": True,  # function_call_output takes a list of texts, images and files
    "accepts_parallel_flag": True,
    "accepts_response_format": "json_schema",
    "effort_with_tools": None,  # the restriction is one of Chat Completions
}

#: By the name of the profile. None of these may be in RESPONSES.
RESPONSES_AT: Mapping[str, Mapping[str, Any]] = {
    "openai": {"web_search_tool": "web_search", "system_role": "developer"},
    "azure": {
        "web_search_tool": "web_search",
        "system_role": "developer",
        "session_member": "prompt_cache_key",  # learn.microsoft.com/azure/ai-foundry/openai/how-to/prompt-caching
    },
    # openrouter.ai/docs/api/reference/responses: the reasoning of every model may come sealed
    "openrouter": {"seals_reasoning": True},
    # docs.x.ai/developers/model-capabilities/text/best-practices: send encrypted reasoning back with every turn, give
    # each conversation a prompt_cache_key
    "xai": {"web_search_tool": "web_search", "session_member": "prompt_cache_key", "seals_reasoning": True},
}

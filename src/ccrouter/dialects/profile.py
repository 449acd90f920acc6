"""What can be known about a provider or a model family: the form of the facts, and none of them.

A profile may hold nothing that is an opinion: what could be wished differently belongs in a transform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ReasoningStyle = Literal["none", "effort", "openrouter", "thinking", "qwen", "template", "budget", "level"]
Replay = Literal["", "reasoning_content", "reasoning", "reasoning_details", "think_tags"]
Auth = Literal["bearer", "x-api-key", "both", "azure-api-key"]

#: The words for effort that any provider knows, least first: what "nearest" is measured on.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model at a provider accepts, asks for and sends back.

    The defaults are those of a server that nobody knows: the plain Chat Completions of 2023, and nothing that a
    strict server could refuse.

    - `is_first_party`: Anthropic itself, which alone may see what its clients send for it.
    - `default_max_tokens` is sent to a Messages API where the client named none and the API insists.
    - `effort_off` is what `reasoning_effort` (or its like) says for "do not reason"; "" where that cannot be said.
    - `effort_with_tools`: None as ever, "" to leave effort out once tools are offered, a word to force that word.
    - `adaptive_is_on`: adaptive thinking has to be asked for; elsewhere the provider's own default stands for it.
    - `replays_reasoning` names the member of an assistant message that takes earlier reasoning; with
      `must_replay_reasoning` a turn with tool calls is refused without one.
    - `seals_reasoning`: the model's reasoning leaves the provider encrypted, and as a summary for those who ask.
    - `min_budget` and `max_budget` bound a thinking budget that is not 0, where `reasoning_style` is "budget".
    - `placeholder_signature` stands on a call that the provider did not sign itself, where unsigned ones are refused.
    - `has_call_ids`: calls and their results are told by ids, where the dialect could also do without.
    - `mixes_search`: web search may be offered beside functions; `accepts_format_with_tools`: so may a schema for the
      answer.
    - `tool_id_limit` is the length that tool call ids may have; with `has_short_tool_ids` they are nine letters and
      digits exactly.
    - `extra` holds members that every request to this provider carries; `extra_with_streamed_tools` those of streamed
      requests that offer tools.
    - `reports_cost`: usage holds what was charged, in US dollars; elsewhere a member of that name may be anything.
    - `docs` is where the facts were read.
    """

    name: str = "generic"
    docs: str = ""
    is_first_party: bool = False
    auth: Auth = "bearer"
    default_headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra_with_streamed_tools: Mapping[str, Any] = field(default_factory=dict, hash=False)
    # limits and sampling
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    max_tokens_cap: int | None = None
    default_max_tokens: int | None = 8192
    min_max_tokens: int = 1
    accepts_sampling: bool = True
    accepts_top_k: bool = False
    max_stops: int = 4
    accepts_stream_usage: bool = True
    session_member: str = ""
    reports_cost: bool = False
    # reasoning
    reasoning_style: ReasoningStyle = "none"
    efforts: tuple[str, ...] = ()
    effort_off: str = ""
    effort_with_tools: str | None = None
    accepts_budget: bool = False
    min_budget: int = 0
    max_budget: int = 0
    can_disable_thinking: bool = True
    adaptive_is_on: bool = False
    thinking_extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    thinks_only_streamed: bool = False
    replays_reasoning: Replay = "reasoning_content"
    must_replay_reasoning: bool = False
    seals_reasoning: bool = False
    repeats_reasoning: bool = False
    placeholder_signature: str = ""
    think_tags: bool = True
    # messages
    system_role: Literal["system", "developer"] = "system"
    accepts_mid_system: bool = False
    string_content_only: bool = False
    keeps_cache_control: bool = False
    accepts_images: bool = True
    accepts_image_urls: bool = True
    accepts_files: Literal["", "data", "url"] = ""
    accepts_tool_images: bool = False
    accepts_user_after_tool: bool = True
    names_tool_results: bool = False
    prefill_member: str = ""
    accepts_prefill: bool = True
    accepts_system: bool = True
    # tools
    tool_name_limit: int = 64
    tool_id_limit: int = 256
    has_short_tool_ids: bool = False
    has_call_ids: bool = True
    strips_schema_keywords: frozenset[str] = frozenset({"$schema", "$id", "$comment"})
    inlines_schema_refs: bool = False
    accepts_parallel_flag: bool = False
    tool_choice_forms: frozenset[str] = frozenset({"auto", "none", "required", "named"})
    web_search_tool: str = ""
    mixes_search: bool = True
    textual_tool_calls: bool = False
    # output
    accepts_response_format: Literal["", "json_object", "json_schema"] = ""
    accepts_format_with_tools: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """What is different for the models whose id (lower case) `pattern` finds."""

    pattern: re.Pattern[str]
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider's profile, and how the provider is recognised: by the end of the URL's host, by a name, or by a port
    that nobody else is known to use.
    """

    profile: Profile
    hosts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    port: int = 0
    families: tuple[Family, ...] = ()


def family(pattern: str, **changes: Any) -> Family:
    """A family by the pattern of its model ids; `changes` are members of Profile."""
    return Family(re.compile(pattern), changes)

"""What is known about Google's models at Google's own API (generateContent): data, each fact with its reason. Holds no
logic.

These hold wherever that API is spoken, at Google, at Vertex and at relays, and stand over what `profile_data` says of
the same models behind OpenAI's API. Sources: ai.google.dev/gemini-api/docs, docs.cloud.google.com/vertex-ai.
"""

from __future__ import annotations

from ccrouter.dialects.profile import family
from ccrouter.dialects.profile_families import LOW_TO_HIGH

#: Generation 3 and later. The names that end in "-latest" are always of the newest generation.
_THINKS_BY_LEVEL = r"gemini-([3-9]|\d\d|(pro|flash|flash-lite)-latest)"

GEMINI_FAMILIES = (
    # What a model that nobody knows gets: nothing that one of them refuses.
    family(
        r"",
        reasoning_style="none", efforts=(), effort_off="", placeholder_signature="", max_tokens_cap=None,
        accepts_top_k=True, max_stops=5, accepts_parallel_flag=False, accepts_response_format="json_schema",
        accepts_image_urls=False, accepts_files="data", accepts_tool_images=False, web_search_tool="googleSearch",
        # "Unknown name "id" at 'contents[1].parts[0].function_call': Cannot find field" (Vertex, 400)
        has_call_ids=False,
        # "Tool use with function calling is unsupported" (400)
        mixes_search=False,
        # "Function calling with a response mime type: 'application/json' is unsupported" (400)
        accepts_format_with_tools=False,
    ),
    family(r"gemini-1", web_search_tool="googleSearchRetrieval", max_tokens_cap=8192),
    family(r"gemini-2\.0", max_tokens_cap=8192),
    # Budgets in tokens, each model within bounds of its own (docs/thinking); Pro cannot do without. Files are fetched
    # from public URLs from here on (docs/file-input-methods).
    family(
        r"gemini-2\.5", reasoning_style="budget", min_budget=1, max_budget=24_576, max_tokens_cap=65_536,
        accepts_image_urls=True, accepts_files="url",
    ),
    family(r"gemini-2\.5-pro", min_budget=128, max_budget=32_768, can_disable_thinking=False),
    family(r"gemini-2\.5-flash-lite", min_budget=512),
    family(r"gemini-2\.5.*(image|tts)", reasoning_style="none"),
    # Levels instead of budgets, never off; results with images in them; ids that have to match; calls that have to be
    # signed, or carry this word instead (docs/thought-signatures); search beside functions (docs/tool-combination).
    family(
        _THINKS_BY_LEVEL,
        reasoning_style="level", efforts=LOW_TO_HIGH, effort_off="low", can_disable_thinking=False,
        placeholder_signature="skip_thought_signature_validator", max_tokens_cap=65_536, has_call_ids=True,
        accepts_tool_images=True, mixes_search=True, accepts_format_with_tools=True, accepts_image_urls=True,
        accepts_files="url",
    ),
    # docs.cloud.google.com, Thinking: the levels by model. From 3.7 on "minimal" is a 400.
    family(r"gemini-3-pro", efforts=("low", "high")),
    family(r"gemini-3(\.[0-6])?-flash", efforts=("minimal", *LOW_TO_HIGH), effort_off="minimal"),
    family(r"gemini-([4-9]|\d\d)", efforts=(*LOW_TO_HIGH, "xhigh")),
    # Sampling is fixed ("will be an error in future generations"), and a last turn of the model is a 400 (docs/
    # whats-new-gemini-3.6).
    family(
        r"gemini-(3\.5-flash-lite|3\.([6-9]|\d\d)|[4-9]|\d\d|(pro|flash|flash-lite)-latest)",
        accepts_sampling=False, accepts_prefill=False,
    ),
    # "Developer instruction is not enabled for models/gemma-3-27b-it" (400)
    family(r"gemma-[123]", accepts_system=False),
)  # fmt: skip

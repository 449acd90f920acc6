"""What is known about model families wherever they run: data, each fact with its reason. Holds no logic."""

from __future__ import annotations

from ccrouter.dialects.profile import family

LOW_TO_HIGH = ("low", "medium", "high")

#: Families as they are at every provider.
FAMILIES = (
    # "Prefilling assistant messages returns a 400 error on Claude 4.6 models" (platform.claude.com/docs, migration
    # guide), and on those after them.
    family(r"claude-[a-z]+-(4[.-]([6-9]|\d\d)(?!\d)|[5-9](?!\d)|\d\d(?!\d))", accepts_prefill=False),
    # OpenAI's reasoning models refuse max_tokens, sampling and stop ("Unsupported parameter", platform.openai.com/docs/
    # guides/reasoning); from gpt-5 on they answer 400 to a limit below 16. The "-chat" models are not of the family.
    family(
        r"(^|/)(gpt-[5-9](?!.*-chat)|o[134](-|$))",
        max_tokens_field="max_completion_tokens", accepts_sampling=False, max_stops=0, reasoning_style="effort",
        efforts=LOW_TO_HIGH, effort_off="low", system_role="developer", can_disable_thinking=False,
        seals_reasoning=True,
    ),
    family(r"(^|/)gpt-[5-9](?!.*-chat)", min_max_tokens=16),
    family(r"(^|/)gpt-5(?!.*-chat)", efforts=("minimal", *LOW_TO_HIGH), effort_off="minimal"),
    # From 5.1 on "minimal" is gone and "none" is there; from 5.2 on "xhigh", from 5.6 on "max".
    family(r"(^|/)gpt-5\.1(?!.*-chat)", efforts=("none", *LOW_TO_HIGH), effort_off="none", can_disable_thinking=True),
    family(
        r"(^|/)gpt-5\.([2-9]|\d\d)(?!.*-chat)",
        efforts=("none", *LOW_TO_HIGH, "xhigh"), effort_off="none", can_disable_thinking=True,
    ),
    family(
        r"(^|/)gpt-(5\.([6-9]|\d\d)|[6-9])(?!.*-chat)",
        efforts=("none", *LOW_TO_HIGH, "xhigh", "max"), effort_off="none", can_disable_thinking=True,
    ),
    # Codex models, GPT-6 Astra and everything from GPT-6.1 on always reason: 400 to "none" and "minimal"
    # (developers.openai.com/api/docs/guides/latest-model).
    family(r"(^|/)gpt-5(\.\d+)?-codex", efforts=LOW_TO_HIGH, effort_off="low", can_disable_thinking=False),
    family(r"(^|/)gpt-5\.(1-codex-max|([2-9]|\d\d)-codex)", efforts=(*LOW_TO_HIGH, "xhigh")),
    family(
        r"(^|/)gpt-6(-astra|\.\d)",
        efforts=(*LOW_TO_HIGH, "xhigh", "max"), effort_off="low", can_disable_thinking=False,
    ),
    # Open weights: effort is part of the chat template and cannot be none.
    family(
        r"gpt-oss",
        reasoning_style="effort", efforts=LOW_TO_HIGH, effort_off="low", accepts_images=False,
        can_disable_thinking=False,
    ),
    # The template, or the maker, has no way to switch reasoning off (their model cards; ai.google.dev/gemini-api/docs/
    # thinking for Gemini).
    family(
        r"kimi[-/_]?k2-thinking|minimax-m2|qwen-?3.*-thinking|qwq|deepseek[-/_]?(reasoner|r1)|gemini-(2\.5-pro|[3-9])",
        can_disable_thinking=False,
    ),
    # A turn with tool calls has to bring its reasoning back, or: 400 "reasoning_content must be passed back"
    # (api-docs.deepseek.com/guides/thinking_mode). The models read text only.
    family(r"deepseek", accepts_images=False),
    family(r"deepseek[-/_]?(reasoner|r\d|v3\.[1-9]|v[4-9]|flash|chat)", must_replay_reasoning=True),
    # "thinking is enabled but reasoning_content is missing in assistant tool call message" (Moonshot, 400). The K2
    # models before 2.5 cannot see.
    family(r"kimi[-/_]?k(2-thinking|2\.[5-9]|[3-9])", must_replay_reasoning=True),
    family(r"kimi[-/_]?k2(?!\.\d)", accepts_images=False),
    # Only the V models see (docs.z.ai).
    family(r"glm-\d(\.\d+)?(?!\.?\d*v)(-|$|:)", accepts_images=False),
    # Leaks its own call syntax into the text when a server's parser misses it.
    family(r"qwen", textual_tool_calls=True),
    family(r"qwen-?[23](\.\d)?-?(coder|max)|qwq", accepts_images=False),
    # Interleaved thinking: the template wants earlier <think> text in place (platform.minimax.io, "Important Note").
    family(r"minimax-m[12]", replays_reasoning="think_tags", accepts_images=False),
    # Magistral and Mistral's small models think in parts of `content`, which need not be sent back.
    family(r"mistral|magistral|devstral|codestral", replays_reasoning=""),
)  # fmt: skip

#: OpenAI's models where OpenAI or Microsoft serves them.
OPENAI_FAMILIES = (
    # 400 "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions"
    # (openai/openai-openapi#541): up to 5.5 leaving it out is enough, from 5.6 on it has to be "none" in so many words.
    family(r"gpt-5\.[2-5](?!\d)(?!.*-chat)", effort_with_tools=""),
    family(r"gpt-(5\.([6-9]|\d\d)|6-(sol|luna))(?!.*-chat)", effort_with_tools="none"),
    # 400 "Unsupported parameter: 'parallel_tool_calls'"
    family(r"^o[134](-|$)", accepts_parallel_flag=False),
    # "max_tokens is too large ... This model supports at most N completion tokens" (400)
    family(r"gpt-4o(?!.*(audio|realtime))", max_tokens_cap=16384),
    family(r"gpt-4o-2024-05-13|gpt-4-turbo", max_tokens_cap=4096),
    family(r"gpt-4\.1", max_tokens_cap=32768),
    family(r"^(o1|o3|o3-mini|o4-mini)(-20|$)", max_tokens_cap=100_000),
)

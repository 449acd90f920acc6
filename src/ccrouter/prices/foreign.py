"""Price lists of others, turned into our form: LiteLLM's, and OpenRouter's list of models. Pure.

LiteLLM      model_prices_and_context_window.json: {"claude-…": {"litellm_provider": "anthropic", "input_cost_per_…
OpenRouter   GET https://openrouter.ai/api/v1/models: {"data": [{"id": "…", "pricing": {"prompt": "0.000003", …
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.prices.catalogue import FORMAT

#: LiteLLM's providers → our vendor, and the hosts of those that our own catalogue does not have.
_VENDORS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name, ()) for name in (
        "anthropic", "openai", "gemini", "deepseek", "moonshot", "zai", "dashscope", "minimax", "mistral", "xai",
        "groq", "cerebras", "openrouter", "bedrock",
    )},
    "bedrock_converse": ("bedrock", ()),
    "vertex_ai-anthropic_models": ("vertex", ()),
    "vertex_ai-language-models": ("vertex", ()),
    "vercel_ai_gateway": ("vercel", ()),
    "azure": ("azure", ("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com")),
    "fireworks_ai": ("fireworks", ("api.fireworks.ai",)),
    "together_ai": ("together", ("api.together.ai", "api.together.xyz")),
    "deepinfra": ("deepinfra", ("api.deepinfra.com",)),
    "novita": ("novita", ("api.novita.ai",)),
    "sambanova": ("sambanova", ("api.sambanova.ai",)),
    "nebius": ("nebius", ("api.tokenfactory.nebius.com", "api.studio.nebius.com")),
    "hyperbolic": ("hyperbolic", ("api.hyperbolic.xyz",)),
}  # fmt: skip
_MODES = frozenset({"chat", "responses", "completion"})
#: Our figures and LiteLLM's words for them, in dollars per token.
_LITELLM = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cacheRead": "cache_read_input_token_cost",
    "cacheWrite5m": "cache_creation_input_token_cost",
    "cacheWrite1h": "cache_creation_input_token_cost_above_1hr",
    "thinking": "output_cost_per_reasoning_token",
}
_ABOVE = re.compile(r"_above_(\d+)k_tokens$")
#: OpenRouter's, as texts. What it writes for a thought that costs as much as any output is 0.
_OPENROUTER = {
    "input": "prompt",
    "output": "completion",
    "cacheRead": "input_cache_read",
    "cacheWrite5m": "input_cache_write",
    "thinking": "internal_reasoning",
}
_MILLION, _THOUSAND = 1_000_000, 1_000
_DIGITS = 9


@dataclass(slots=True)
class Found:
    """A price list in our form. `kind` is whose it was; `left_out` counts models by why they are not in it."""

    tree: JsonObject
    kind: str
    left_out: Counter[str] = field(default_factory=Counter)


def read_foreign(tree: Json, file: str, date: str) -> Found:
    """The price list in `tree`, the content of `file`, which is of `date` where it does not say itself.

    Raises ConfigError, with the place, for what is no price list that we know, and for a figure that is none.
    """
    if isinstance(tree, dict) and "format" in tree:
        return Found(tree, "ccrouter")
    if isinstance(tree, dict) and isinstance(tree.get("data"), list):
        return _read_openrouter(tree["data"], file, date)
    if isinstance(tree, dict) and any(isinstance(one, dict) and "litellm_provider" in one for one in tree.values()):
        return _read_litellm(tree, file, date)
    hint = "it takes our own form, LiteLLM's model_prices_and_context_window.json and OpenRouter's list of models"
    raise ConfigError([Problem(file, "", "is no price list that this router knows", hint)])


def _read_litellm(tree: JsonObject, file: str, date: str) -> Found:
    vendors: JsonObject = {}
    found = Found(_form(date, vendors, "LiteLLM"), "LiteLLM")
    problems: list[Problem] = []
    for name, entry in tree.items():
        if name == "sample_spec" or not isinstance(entry, dict):
            continue
        provider = str(entry.get("litellm_provider") or "")
        known = _VENDORS.get(provider)
        if known is None:
            found.left_out["of providers whose hosts are not known"] += 1
        elif entry.get("mode") not in _MODES:
            found.left_out["that are no language models"] += 1
        else:
            model = _litellm_model(entry, name, file, problems)
            if "input" not in model:
                found.left_out["without a price by the token"] += 1
                continue
            vendor = vendors.setdefault(known[0], {**({"hosts": list(known[1])} if known[1] else {}), "models": {}})
            vendor["models"].setdefault(name.removeprefix(f"{provider}/").lower(), model)
    if problems:
        raise ConfigError(problems)
    return found


def _litellm_model(entry: JsonObject, name: str, file: str, problems: list[Problem]) -> JsonObject:
    """Empty but for what is no price, if input or output have none."""
    scale = _Scale(entry, name, file, problems, _MILLION)
    model: JsonObject = {}
    tiers = entry.get("tiered_pricing")
    if isinstance(tiers, list) and tiers:
        model, *rest = [_tier(one, f"{name}.tiered_pricing[{at}]", file, problems) for at, one in enumerate(tiers)]
        model.pop("tokens", None)
        model["above"] = [one for one in rest if len(one) > 1]
    else:
        model = {ours: scale.figure(theirs) for ours, theirs in _LITELLM.items()}
        model["above"] = _litellm_tiers(entry, scale)
    search = entry.get("search_context_cost_per_query")
    if isinstance(search, dict):
        per = _Scale(search, f"{name}.search_context_cost_per_query", file, problems, _THOUSAND)
        model["search"] = per.figure("search_context_size_medium")
    window = entry.get("max_input_tokens")
    model["context"] = window if isinstance(window, int) and window > 0 else None
    if model.get("input") is None or model.get("output") is None:
        return {}
    return {member: value for member, value in model.items() if value is not None and value != []}


def _litellm_tiers(entry: JsonObject, scale: _Scale) -> list[JsonObject]:
    tiers: dict[int, JsonObject] = {}
    words = {theirs: ours for ours, theirs in _LITELLM.items()}
    for member in entry:
        above = _ABOVE.search(member)
        ours = words.get(member[: above.start()]) if above else None
        figure = scale.figure(member) if above and ours else None
        if above and ours and figure is not None:
            tokens = int(above[1]) * 1000
            tiers.setdefault(tokens, {"tokens": tokens})[ours] = figure
    return [tiers[tokens] for tokens in sorted(tiers)]


def _tier(one: Any, path: str, file: str, problems: list[Problem]) -> JsonObject:
    if not isinstance(one, dict) or not isinstance(one.get("range"), list) or not one["range"]:
        problems.append(Problem(file, path, "is no tier: it has no range"))
        return {"tokens": 1}
    scale = _Scale(one, path, file, problems, _MILLION)
    figures = {ours: scale.figure(theirs) for ours, theirs in _LITELLM.items()}
    tier: JsonObject = {"tokens": max(1, int(scale.number(one["range"][0], "range[0]") or 0))}
    return {**tier, **{ours: figure for ours, figure in figures.items() if figure is not None}}


def _read_openrouter(data: list[Any], file: str, date: str) -> Found:
    models: JsonObject = {}
    found = Found(_form(date, {"openrouter": {"models": models}}, "OpenRouter"), "OpenRouter")
    problems: list[Problem] = []
    for at, entry in enumerate(data):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            problems.append(Problem(file, f"data[{at}]", "is no model: it has no id"))
            continue
        pricing = entry.get("pricing")
        if not isinstance(pricing, dict):
            found.left_out["without a price by the token"] += 1
            continue
        scale = _Scale(pricing, f"data[{at}].pricing", file, problems, _MILLION, is_text=True)
        if any(str(pricing.get(member, "")).startswith("-") for member in ("prompt", "completion")):
            found.left_out["whose price depends on what answers"] += 1
            continue
        if scale.figure("request"):
            found.left_out["that are billed by the request too"] += 1
            continue
        model = {ours: scale.figure(theirs) for ours, theirs in _OPENROUTER.items()}
        model["thinking"] = model["thinking"] or None
        search = scale.figure("web_search")
        model["search"] = None if search is None else round(search * _THOUSAND / _MILLION, _DIGITS)
        window = entry.get("context_length")
        model["context"] = window if isinstance(window, int) and window > 0 else None
        if model["input"] is None or model["output"] is None:
            found.left_out["without a price by the token"] += 1
            continue
        models[entry["id"].lower()] = {member: value for member, value in model.items() if value is not None}
    if problems:
        raise ConfigError(problems)
    return found


def _form(date: str, vendors: JsonObject, whose: str) -> JsonObject:
    return {"format": FORMAT, "date": date, "note": f"Made from {whose}'s list.", "vendors": vendors}


@dataclass(frozen=True, slots=True)
class _Scale:
    """Figures of one object, `factor` times as large; what is no figure goes to `problems`."""

    members: JsonObject
    path: str
    file: str
    problems: list[Problem]
    factor: int
    is_text: bool = False

    def figure(self, member: str) -> float | None:
        """None if it is not said."""
        value = self.members.get(member)
        if value is None or value == "":
            return None
        number = self.number(value, member)
        return None if number is None else round(number * self.factor, _DIGITS)

    def number(self, value: Any, member: str) -> float | None:
        """None, after telling, for what is no amount."""
        if isinstance(value, str) and self.is_text:
            try:
                value = float(value)
            except ValueError:
                value = None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            self.problems.append(Problem(self.file, f"{self.path}.{member}", "must be an amount, 0 or more"))
            return None
        return float(value)

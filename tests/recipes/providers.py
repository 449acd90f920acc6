"""The providers of the recipes: what each one demands of a request, and the manner in which it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.conversation import Conversation, Turn, read
from tests.e2e.wires import SIGNATURE, WIRES
from tests.upstream import Received, Reply, chat_wire, json_reply, sse_reply
from tests.upstream.anthropic_wire import Tool

#: What the model does at each of its three turns: think, say, call.
THOUGHTS = ("I must look ⚡ twice.", "One city is left.", "That is all.")
PARIS: Tool = ("call_p", "get_weather", {"city": "Paris 蓝", "days": 3})
LYON: Tool = ("call_l", "get_weather", {"city": "Lyon"})
NICE: Tool = ("call_n", "get_weather", {"city": "Nice"})
SAYS: tuple[tuple[str | None, tuple[Tool, ...]], ...] = (
    ("Looking 🔎.", (PARIS, LYON)),
    (None, (NICE,)),
    ("All sunny.", ()),
)
SEALED = {
    "type": "reasoning.encrypted",
    "data": "c2VhbGVkIGJ5IHRoZSBtYWtlcg==",
    "format": "google-gemini-v1",
    "index": 1,
}

Parts = tuple[str | None, str | None, tuple[Tool, ...]]
Demand = Callable[["Recipe", Mapping[str, Any], Conversation], Iterator[str]]


def nothing(_recipe: Recipe, _body: Mapping[str, Any], _conversation: Conversation) -> Iterator[str]:
    return iter(())


def chat(recipe: Recipe, parts: Parts, conversation: Conversation) -> Reply:
    """A chat answer as `recipe.manner` shapes it."""
    text, thinking, tools = parts
    named: dict[str, Any] = {"model": conversation.model, "reasoning_field": recipe.reasoning}
    if conversation.streamed:
        frames = chat_wire.chat_stream(text, thinking, tools, usage_in=recipe.usage_in, **named)
        return sse_reply([*recipe.manner(frames)])
    return json_reply(recipe.whole(chat_wire.chat_json(text, thinking, tools, **named)))


def gemini(_recipe: Recipe, parts: Parts, conversation: Conversation) -> Reply:
    return WIRES["vertex-gemini"].answer(parts, conversation)


def messages(_recipe: Recipe, parts: Parts, conversation: Conversation) -> Reply:
    return WIRES["anthropic"].answer(parts, conversation)


def plain(frames: Sequence[bytes]) -> Iterator[bytes]:
    yield from frames


def same(body: dict[str, Any]) -> dict[str, Any]:
    return body


@dataclass(frozen=True)
class Recipe:
    """One provider of recipes.json with one of its models. `path` and `key` are where it is asked and the headers that
    carry the key; `accepts` are members beyond the standard's; `demand` says what is wrong with a request.
    """

    provider: str
    model: str
    path: str
    key: Mapping[str, str]
    dialect: str = "chat"
    answer: Callable[[Recipe, Parts, Conversation], Reply] = chat
    reasoning: chat_wire.ReasoningField = "reasoning_content"
    usage_in: chat_wire.UsagePlace = "final"
    manner: Callable[[Sequence[bytes]], Iterator[bytes]] = plain
    whole: Callable[[dict[str, Any]], dict[str, Any]] = same
    accepts: frozenset[str] = frozenset()
    demand: Demand = nothing
    asks_thinking: bool = True
    thinks: Callable[[Mapping[str, Any]], bool] = lambda _body: True
    by_exit_tool: bool = False


@dataclass
class Model:
    """The reply function of a recipe's provider. `complaints` is what it had to complain of."""

    recipe: Recipe
    complaints: list[str] = field(default_factory=list)
    thought: list[bool] = field(default_factory=list)

    def __call__(self, received: Received) -> Reply:
        recipe, body = self.recipe, received.json()
        if recipe.dialect == "gemini":
            streamed = received.path.endswith(":streamGenerateContent")
            model = received.path.rpartition("/")[2].partition(":")[0]
            conversation = read("gemini", body, model=model, streamed=streamed)
        else:
            conversation = read(recipe.dialect, body)
        self.complaints += self._judge(received, body, conversation)
        done = len([turn for turn in conversation.turns if turn.kind == "result"])
        step = {0: 0, 2: 1, 3: 2}[done]
        self.complaints += _mismatched(conversation.turns, SAYS[:step])
        text, tools = SAYS[step]
        if recipe.by_exit_tool and not tools:
            text, tools = None, (("call_exit", "ExitTool", {"response": text}),)
        self.thought.append(recipe.thinks(body))
        return recipe.answer(recipe, (text, THOUGHTS[step] if self.thought[-1] else None, tools), conversation)

    def _judge(self, received: Received, body: dict[str, Any], conversation: Conversation) -> Iterator[str]:
        recipe = self.recipe
        path = recipe.path.replace(
            "METHOD", "streamGenerateContent?alt=sse" if conversation.streamed else "generateContent"
        )
        if received.target != path:
            yield f"asked at {received.target}"
        for name in ("authorization", "x-api-key", "x-goog-api-key", "api-key"):
            if received.headers.get(name) != recipe.key.get(name):
                yield f"{name}: {received.headers.get(name)}"
        if conversation.model != recipe.model:
            yield f"model {conversation.model}"
        known = {name: value for name, value in body.items() if name not in recipe.accepts}
        yield from read(recipe.dialect, known, model=recipe.model).objections()
        yield from recipe.demand(recipe, body, conversation)


def _mismatched(turns: list[Turn], said: Sequence[tuple[str | None, tuple[Tool, ...]]]) -> Iterator[str]:
    """What is missing of what the model has said so far, and of what came of it."""
    expected = [(name, dict(given)) for _, tools in said for _, name, given in tools]
    calls = [turn for turn in turns if turn.kind == "call"]
    if [(call.name, call.input) for call in calls] != expected:
        yield f"calls came back as {calls}"
    for call in calls:
        results = [turn.text for turn in turns if turn.kind == "result" and turn.ident == call.ident]
        if results != [f"{call.input['city']}: sun"]:
            yield f"{call.input}: {results}"
    texts = [turn.text for turn in turns if turn.kind == "assistant"]
    if texts != [text for text, _ in said if text]:
        yield f"texts came back as {texts}"


def at_most(limit: int, *more: Demand) -> Demand:
    """The length limit is there, and no more than this."""

    def demand(recipe: Recipe, body: Mapping[str, Any], conversation: Conversation) -> Iterator[str]:
        if not 0 < body.get("max_tokens", 0) <= limit:
            yield f"Invalid max_tokens value, the valid range of max_tokens is [1, {limit}]: {body.get('max_tokens')}"
        for each in more:
            yield from each(recipe, body, conversation)

    return demand


def replayed(recipe: Recipe, body: Mapping[str, Any], _conversation: Conversation) -> Iterator[str]:
    """Each turn of the model since the user spoke has its reasoning with it."""
    spoken = [message for message in body["messages"] if message["role"] == "assistant"]
    told = [message.get(recipe.reasoning) for message in spoken]
    if told != list(THOUGHTS[: len(spoken)]):
        yield f"reasoning_content must be passed back: {told}"


def details(_recipe: Recipe, body: Mapping[str, Any], _conversation: Conversation) -> Iterator[str]:
    """OpenRouter: the details come back as they were; a budget goes as `reasoning`."""
    spoken = [message for message in body["messages"] if message["role"] == "assistant"]
    for message, thought in zip(spoken, THOUGHTS, strict=False):
        given = message.get("reasoning_details") or []
        text = "".join(detail["text"] for detail in given if detail["type"] == "reasoning.text")
        sealed = [detail for detail in given if detail["type"] == "reasoning.encrypted"]
        if text != thought or sealed != [SEALED]:
            yield f"reasoning_details came back as {given}"
    if not body.get("reasoning"):
        yield "reasoning: nobody asked for it"


def seal(frames: Sequence[bytes]) -> Iterator[bytes]:
    """OpenRouter waits aloud, and seals the reasoning with data that only its maker can read."""
    yield b": OPENROUTER PROCESSING\n\n"
    yield frames[0]
    last = max(at for at, frame in enumerate(frames) if b"reasoning_details" in frame)
    for at, frame in enumerate(frames[1:], 1):
        yield frame
        if at == last:
            yield chat_wire.chunk({"reasoning_details": [SEALED]})


def sealed_whole(body: dict[str, Any]) -> dict[str, Any]:
    body["choices"][0]["message"]["reasoning_details"].append(SEALED)
    return body


def at_once(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Ollama of old: calls in one piece, as objects, without ids and indexes, and a turn that "stops"."""
    rest = [frame for frame in frames if b'"tool_calls"' not in frame]
    calls = [_opened(frame) for frame in frames if b'"tool_calls":[' in frame]
    if not calls:
        yield from frames
        return
    given: dict[int, dict[str, str]] = {}
    for call in filter(None, calls):
        held = given.setdefault(call["index"], {"name": "", "arguments": ""})
        held["name"] += call["function"].get("name") or ""
        held["arguments"] += call["function"].get("arguments") or ""
    whole = [{"function": {"name": one["name"], "arguments": json.loads(one["arguments"])}} for one in given.values()]
    for frame in rest:
        if b'"usage":{' in frame or frame == chat_wire.DONE:
            continue
        yield frame
    yield chat_wire.chunk({"role": "assistant", "content": "", "tool_calls": whole})
    yield chat_wire.chunk({"role": "assistant", "content": ""}, "stop")
    yield chat_wire.chunk(None, None, chat_wire.usage_of(None))
    yield chat_wire.DONE


def _opened(frame: bytes) -> dict[str, Any] | None:
    choices = json.loads(frame.removeprefix(b"data: "))["choices"]
    return choices[0]["delta"]["tool_calls"][0] if choices and "tool_calls" in choices[0]["delta"] else None


def objects(body: dict[str, Any]) -> dict[str, Any]:
    for call in body["choices"][0]["message"].get("tool_calls") or []:
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        del call["id"]
    if body["choices"][0]["finish_reason"] == "tool_calls":
        body["choices"][0]["finish_reason"] = "stop"
    return body


def sloppy(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Arguments with a comma too many, as `enhancetool` is there for."""
    for frame in frames:
        yield frame.replace(rb'":3}', rb'":3,}').replace(rb"Lyon\"}", rb"Lyon\",}")


def sloppy_whole(body: dict[str, Any]) -> dict[str, Any]:
    for call in body["choices"][0]["message"].get("tool_calls") or []:
        call["function"]["arguments"] = call["function"]["arguments"].replace("}", ",}")
    return body


def demanded_calls(_recipe: Recipe, body: Mapping[str, Any], conversation: Conversation) -> Iterator[str]:
    """`tooluse`: a call is demanded, and ExitTool is there to end with."""
    if body.get("tool_choice") != "required":
        yield f"tool_choice {body.get('tool_choice')}"
    if "ExitTool" not in conversation.tools:
        yield f"tools {conversation.tools}"


def texts_only(_recipe: Recipe, body: Mapping[str, Any], _conversation: Conversation) -> Iterator[str]:
    """DeepSeek: 422 for content in parts."""
    for message in body["messages"]:
        if not isinstance(message.get("content"), str | None):
            yield f"Failed to deserialize: invalid type: sequence, expected a string: {message}"


def enabled(*, value: bool | None = True) -> Demand:
    """ModelScope and DashScope: thinking is switched on by `enable_thinking`."""

    def demand(_recipe: Recipe, body: Mapping[str, Any], conversation: Conversation) -> Iterator[str]:
        if conversation.streamed and body.get("enable_thinking") is not value:
            yield f"enable_thinking {body.get('enable_thinking')}"

    return demand


def silent_unless_streamed(_recipe: Recipe, body: Mapping[str, Any], conversation: Conversation) -> Iterator[str]:
    """DashScope: "parameter.enable_thinking must be set to false for non-streaming calls"; ModelScope says the same."""
    if not conversation.streamed and body.get("enable_thinking") is not False:
        yield "parameter.enable_thinking must be set to false for non-streaming calls"


def untouched(_recipe: Recipe, body: Mapping[str, Any], conversation: Conversation) -> Iterator[str]:
    """A Messages endpoint: what the client asks, in full; the thoughts with their seals."""
    if body["thinking"] != {"type": "enabled", "budget_tokens": 2048} or body["max_tokens"] != 100_000:
        yield f"changed: {body['thinking']}, {body['max_tokens']}"
    if body["system"] != [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]:
        yield f"changed: {body['system']}"
    thoughts = [turn for turn in conversation.turns if turn.kind == "thinking"]
    if [turn.text for turn in thoughts] != list(THOUGHTS[: len(thoughts)]):
        yield f"thoughts came back as {thoughts}"
    if any(turn.signature != SIGNATURE for turn in thoughts):
        yield f"another seal: {thoughts}"


def budgeted(_recipe: Recipe, body: Mapping[str, Any], _conversation: Conversation) -> Iterator[str]:
    if body["generationConfig"]["thinkingConfig"] != {"includeThoughts": True, "thinkingBudget": 2048}:
        yield f"thinkingConfig {body['generationConfig'].get('thinkingConfig')}"


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


_GEMINI = "/v1beta/models/{}:METHOD"
RECIPES: Sequence[Recipe] = (
    *(
        Recipe(
            "openrouter", model, "/api/v1/chat/completions", _bearer("sk-or-v1-of-the-recipe"),
            reasoning="reasoning_details", usage_in="finish", manner=seal, whole=sealed_whole, demand=details,
            accepts=frozenset({"reasoning", "session_id"}),
        )
        for model in ("google/gemini-2.5-pro-preview", "anthropic/claude-sonnet-4")
    ),
    Recipe(
        "deepseek", "deepseek-reasoner", "/chat/completions", _bearer("sk-deepseek-of-the-recipe"),
        demand=at_most(65536, replayed, texts_only), accepts=frozenset({"thinking"}),
    ),
    Recipe(
        "deepseek", "deepseek-chat", "/chat/completions", _bearer("sk-deepseek-of-the-recipe"),
        demand=at_most(8192, demanded_calls, texts_only), accepts=frozenset({"thinking"}),
        asks_thinking=False, thinks=lambda body: body.get("thinking") == {"type": "enabled"}, by_exit_tool=True,
    ),
    Recipe(
        "ollama", "qwen2.5-coder:latest", "/v1/chat/completions", _bearer("ollama"),
        reasoning="reasoning", manner=at_once, whole=objects,
    ),
    Recipe(
        "gemini", "gemini-2.5-pro", _GEMINI.format("gemini-2.5-pro"), {"x-goog-api-key": "AIza-gemini-of-the-recipe"},
        dialect="gemini", answer=gemini, demand=budgeted,
    ),
    Recipe(
        "volcengine", "deepseek-r1-250528", "/api/v3/chat/completions", _bearer("volcengine-key-of-the-recipe"),
        demand=replayed,
    ),
    Recipe(
        "modelscope", "Qwen/Qwen3-Coder-480B-A35B-Instruct", "/v1/chat/completions",
        _bearer("modelscope-key-of-the-recipe"), usage_in="every", manner=sloppy, whole=sloppy_whole,
        demand=at_most(65536, enabled(value=None)), thinks=lambda _body: False,
    ),
    Recipe(
        "modelscope", "Qwen/Qwen3-235B-A22B-Thinking-2507", "/v1/chat/completions",
        _bearer("modelscope-key-of-the-recipe"), manner=sloppy, whole=sloppy_whole, accepts=frozenset({"thinking_budget"}),
        demand=at_most(65536, enabled(), silent_unless_streamed),
        thinks=lambda body: body.get("enable_thinking") is True,
    ),
    Recipe(
        "dashscope", "qwen3-max-preview", "/compatible-mode/v1/chat/completions", _bearer("sk-dashscope-of-the-recipe"),
        manner=sloppy, whole=sloppy_whole, accepts=frozenset({"thinking_budget"}),
        demand=at_most(65536, enabled(), silent_unless_streamed),
        thinks=lambda body: body.get("enable_thinking") is True,
    ),
    Recipe(
        "dashscope", "qwen3-coder-plus", "/compatible-mode/v1/chat/completions", _bearer("sk-dashscope-of-the-recipe"),
        manner=sloppy, whole=sloppy_whole, demand=at_most(65536, enabled(value=None)), thinks=lambda _body: False,
    ),
    Recipe(
        "volcengine", "deepseek-v3-250324", "/api/v3/chat/completions", _bearer("volcengine-key-of-the-recipe"),
        thinks=lambda _body: False,
    ),
    Recipe(
        "gemini", "gemini-2.5-flash", _GEMINI.format("gemini-2.5-flash"),
        {"x-goog-api-key": "AIza-gemini-of-the-recipe"}, dialect="gemini", answer=gemini, demand=budgeted,
    ),
    *(
        Recipe("aihubmix", model, "/v1/chat/completions", _bearer("sk-aihubmix-of-the-recipe"))
        for model in ("Z/glm-4.5", "claude-opus-4-20250514", "gemini-2.5-pro")
    ),
    Recipe(
        "siliconflow", "moonshotai/Kimi-K2-Instruct", "/v1/chat/completions",
        _bearer("sk-siliconflow-of-the-recipe"), usage_in="choice", demand=at_most(16384),
    ),
    Recipe(
        "relay", "claude-sonnet-4-20250514", "/v1/messages",
        {**_bearer("sk-relay-key-of-the-recipe"), "x-api-key": "sk-relay-key-of-the-recipe"},
        dialect="anthropic", answer=messages, demand=untouched,
    ),
)  # fmt: skip

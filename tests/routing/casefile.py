"""Golden routing cases: facts above the line, the decision below. Reads, decides, and writes the lower half.

Above: `name: JSON` entries, a value going on over indented lines; `#` starts a comment line.

    claim      what must be true, in words (plain text, not JSON)
    request    the body, over REQUEST below
    words      so many words as a system prompt, for a long request
    headers    of the client
    router     Router as in a configuration: routes by name, and longContextThreshold, thinkEffort, aliases, fallback,
               defaultProvider, strict, forceUseImageAgent; without it ROUTER below
    router+    the same, over ROUTER
    providers  name → models; without it PROVIDERS below
    tokens     what counting gives; without it counting is a failure of the case
    previous   what the last answer of this conversation reported
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.config.schema import Endpoint, ModelRef, Provider, Router
from ccrouter.errors import Denied, NoTarget, RouterError
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.facts import RequestFacts, read_facts, strip_subagent_tags
from ccrouter.routing.plan import make_plan
from ccrouter.routing.rules import choose

LINE = "----"
REQUEST = {
    "model": "claude-opus-5-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "hello"}],
}
PROVIDERS = {
    "openrouter": ["qwen/qwen3-coder", "z-ai/glm-5:free"],
    "deepseek": ["deepseek-chat", "deepseek-reasoner"],
    "gemini": ["gemini-3-pro", "gemini-3-flash"],
    "anthropic": ["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5"],
    "local": ["qwen3:8b", "gpt-oss,20b"],
}
ROUTER = {
    "default": "openrouter,qwen/qwen3-coder",
    "background": "local,qwen3:8b",
    "think": "deepseek,deepseek-reasoner",
    "longContext": "gemini,gemini-3-pro",
    "webSearch": "gemini,gemini-3-flash",
    "image": "openrouter,z-ai/glm-5:free",
}


def make_provider(name: str, models: list[str] | tuple[str, ...] = ()) -> Provider:
    endpoint = Endpoint("openai_chat", f"http://127.0.0.1:9/{name}")
    return Provider(name, (endpoint,), models=tuple(models))


def make_ref(text: str) -> ModelRef:
    provider, _, model = text.partition(",")
    return ModelRef(provider, model)


def make_router(written: dict[str, Any]) -> Router:
    """A Router from the names that a configuration uses."""
    options = dict(written)
    known: dict[str, Any] = {}
    for name, member in (
        ("longContextThreshold", "long_context_threshold"),
        ("thinkEffort", "think_effort"),
        ("defaultProvider", "default_provider"),
        ("strict", "is_strict"),
        ("forceUseImageAgent", "force_image_agent"),
    ):
        if name in options:
            known[member] = options.pop(name)
    aliases = tuple((pattern, make_ref(ref)) for pattern, ref in options.pop("aliases", {}).items())
    fallback = {name: tuple(map(make_ref, refs)) for name, refs in options.pop("fallback", {}).items()}
    routes = {name: make_ref(ref) for name, ref in options.items()}
    return Router(routes=routes, aliases=aliases, fallback=fallback, **known)


@dataclass
class Case:
    claim: str
    request: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    router: dict[str, Any] = field(default_factory=lambda: ROUTER)
    providers: dict[str, list[str]] = field(default_factory=lambda: PROVIDERS)
    tokens: int | None = None
    previous: int = 0

    @classmethod
    def read(cls, upper: str) -> Case:
        entries: dict[str, str] = {}
        name = ""
        for line in upper.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                entries[name] += "\n" + line.strip()
            else:
                name, _, rest = line.partition(":")
                entries[name] = rest.strip()
        claim = entries.pop("claim").replace("\n", " ")
        values = {name: json.loads(text) for name, text in entries.items()}
        request = {**REQUEST, **values.pop("request", {})}
        if "words" in values:
            request["system"] = "word " * values.pop("words")
        if "router+" in values:
            values["router"] = {**ROUTER, **values.pop("router+")}
        return cls(claim, request, **values)

    def outcome(self) -> str:
        """What the router decides, as the lower half of the file."""
        counted: list[int] = []

        def count() -> int:
            assert self.tokens is not None, "this request was to be routed without counting its tokens"
            counted.append(self.tokens)
            return self.tokens

        body = json.dumps(self.request, ensure_ascii=False).encode()
        asked = MessagesRequest.read(body)
        try:
            request, tag = strip_subagent_tags(asked)
            facts = read_facts(request, {name.lower(): value for name, value in self.headers.items()}, tag)
            catalog = Catalog(make_provider(name, models) for name, models in self.providers.items())
            router = make_router(self.router)
            route = choose(facts, router, catalog, count, self.previous)
            plan = make_plan(route, router, catalog)
        except RouterError as error:
            return describe_error(error)
        lines = [f"route: {route.name}", f"target: {route.target}", f"reason: {route.reason}"]
        lines += [f"then: {target}" for target in plan.targets[1:]]
        lines += [f"counted: {'once' if len(counted) == 1 else len(counted)}"] if counted else []
        lines += describe_facts(facts)
        if request is not asked:
            lines += [f"sent {name}: {msgspec.json.decode(raw)!r}" for name, raw in changed(asked, request).items()]
        return "\n".join(lines) + "\n"


def changed(before: MessagesRequest, after: MessagesRequest) -> dict[str, msgspec.Raw]:
    return {name: raw for name, raw in after.members.items() if bytes(raw) != bytes(before.members[name])}


def describe_facts(facts: RequestFacts) -> list[str]:
    """The facts that the request itself does not show at once."""
    named = (("session", facts.session_id), ("agent", facts.agent_id), ("tag", facts.subagent_model))
    lines = [f"{name}: {value}" for name, value in named if value]
    return lines + (["probe: yes"] if facts.is_probe else [])


def describe_error(error: RouterError) -> str:
    status = f" {error.status}" if isinstance(error, NoTarget) else ""
    lines = [f"error: {type(error).__name__}{status}", f"message: {error}"]
    if isinstance(error, Denied):
        lines.append(f"rule: {error.rule}")
    return "\n".join(lines) + "\n"


def split(path: Path) -> tuple[str, str]:
    """The two halves of a case file."""
    upper, line, lower = path.read_text(encoding="utf-8").partition(LINE + "\n")
    assert line, f"{path.name} has no line of {LINE}"
    return upper, lower

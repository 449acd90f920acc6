"""The scripted model: it looks at the conversation and decides, the same way in every dialect.

A prompt names the scenario in double brackets, `[[EDIT-FILE /tmp/x]]`. What the model expected of the request
and did not find is kept in `failures` and said out loud, so that the client ends at once instead of retrying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.e2e.conversation import MAX_TOKENS_MISSING, Conversation, Turn
from tests.e2e.wires import SEALS, SIGNATURE, WIRES, Wire
from tests.upstream import Received, Reply, chat_wire, json_reply

MARK = re.compile(r"\[\[([A-Z-]+)(?: ([^\]]*))?\]\]")
GREETING = "Hello from the scripted model.\n\n\tIndented, 你好, 🦜, a\u2028line separator."
THOUGHT = "The user wants me to think ⚡ about it."
__all__ = ["GREETING", "SIGNATURE", "THOUGHT", "Brain", "Say", "Scene"]

THREADS_UNSUPPORTED = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "message": "message threads are not available here",
        "details": {"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
    },
}


@dataclass(frozen=True)
class Say:
    """What the model answers; `refuse` is an error instead, of its dialect."""

    text: str | None = None
    thinking: str | None = None
    tools: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    refuse: Callable[[Wire], Reply] | None = None


class UnexpectedError(AssertionError):
    """The request did not hold what it must."""


def expect(truth: object, otherwise: str) -> None:
    if not truth:
        raise UnexpectedError(otherwise)


class Scene:
    """The conversation since the last prompt that named a scenario."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.name, self.argument = "", ""
        start = 0
        for at, turn in enumerate(conversation.turns):
            if turn.kind == "user" and (found := MARK.search(turn.text)):
                self.name, self.argument, start = found[1], found[2] or "", at
        self.before = conversation.turns[:start]
        self.since = conversation.turns[start:]

    def of(self, kind: str) -> list[Turn]:
        return [turn for turn in self.since if turn.kind == kind]

    @property
    def calls(self) -> list[Turn]:
        return self.of("call")

    def result(self, ident: str) -> Turn:
        """The result of that call; there must be exactly one."""
        found = [turn for turn in self.of("result") if turn.ident == ident]
        expect(len(found) == 1, f"{len(found)} results for call {ident}: {self.of('result')}")
        return found[0]


def nod(_scene: Scene) -> Say:
    return Say("ok")


def greet(_scene: Scene) -> Say:
    return Say(GREETING)


def edit_file(scene: Scene) -> Say:
    """Read, then Edit, then a word."""
    match scene.calls:
        case []:
            return Say("I shall read it first.", tools=(("toolu_read", "Read", {"file_path": scene.argument}),))
        case [reading]:
            shown = scene.result(reading.ident)
            expect("colour = red" in shown.text, f"Read showed {shown.text!r}")
            change = {
                "file_path": scene.argument,
                "old_string": "colour = red",
                "new_string": "colour = blau 蓝",
            }
            return Say(tools=(("toolu_edit", "Edit", change),))
        case [_, editing]:
            done = scene.result(editing.ident)
            expect("updated" in done.text, f"Edit answered {done.text!r}")
            return Say("EDITED")
    raise UnexpectedError(f"too many calls: {scene.calls}")


def parallel(scene: Scene) -> Say:
    """Three calls at once; every result must find its way back to its call."""
    if not scene.calls:
        return Say(
            tools=(
                ("toolu_slow", "Bash", {"command": "sleep 0.2; printf one", "description": "Print one"}),
                ("toolu_fast", "Bash", {"command": "printf two", "description": "Print two"}),
                ("toolu_file", "Read", {"file_path": scene.argument}),
            )
        )
    expect([call.name for call in scene.calls] == ["Bash", "Bash", "Read"], f"calls came back as {scene.calls}")
    slow, fast, reading = scene.calls
    expect("one" in scene.result(slow.ident).text, f"slow: {scene.result(slow.ident)}")
    expect("two" in scene.result(fast.ident).text, f"fast: {scene.result(fast.ident)}")
    expect("colour = red" in scene.result(reading.ident).text, f"read: {scene.result(reading.ident)}")
    return Say("PARALLEL-DONE")


def think(scene: Scene) -> Say:
    """Think, call, think again: the first thought must be there in its place on the second request."""
    if not scene.calls:
        command = {"command": "printf thought", "description": "Print"}
        return Say("One moment.", THOUGHT, (("toolu_think", "Bash", command),))
    check_thoughts(scene.since, scene.conversation)
    return Say("THOUGHT-THROUGH", "And a second thought.")


def remember(scene: Scene) -> Say:
    """A second prompt in the same session: the visible history is whole, and what may be replayed is exact."""
    visible = [turn.text for turn in scene.before if turn.kind == "assistant"]
    expect("One moment." in visible and "THOUGHT-THROUGH" in visible, f"history shows {visible}")
    check_thoughts(scene.before, scene.conversation, whole=False)
    return Say("REMEMBERED")


def check_thoughts(turns: list[Turn], conversation: Conversation, *, whole: bool = True) -> None:
    """Thinking is never visible text. What sealed it comes back exactly: with a thought on the Messages API and Responses,
    on the call that it led to on Gemini. Chat has no seals.
    """
    leaked = [turn for turn in turns if turn.kind in ("assistant", "user", "result") and THOUGHT in turn.text]
    expect(not leaked, f"thinking became visible text: {leaked}")
    thoughts = [turn for turn in turns if turn.kind == "thinking"]
    seal = SEALS.get(conversation.dialect)
    if seal is not None:
        sealed = [turn for turn in turns if turn.kind == "call"] if conversation.dialect == "gemini" else thoughts
        first = sealed[:1] if conversation.dialect == "gemini" else sealed  # of parallel calls the first one is sealed
        expect(first or not whole, "nothing sealed came back")
        wrong = [turn for turn in first if turn.signature != seal]
        expect(not wrong, f"came back with another seal: {wrong}")
    if thoughts:
        expect(thoughts[0].text == THOUGHT, f"thinking came back changed: {thoughts[0]}")


def subagent(scene: Scene) -> Say:
    """Ask a sub-agent; its answer arrives as tool result (2.0) or later as a user message (2.1)."""
    if not scene.calls:
        name = "Agent" if "Agent" in scene.conversation.tools else "Task"
        order = {"description": "Ask", "prompt": "[[SUB-QUESTION]]", "subagent_type": "general-purpose"}
        return Say("Asking.", tools=(("toolu_agent", name, order),))
    told = any("SUB-ANSWER" in turn.text for turn in scene.since if turn.kind in ("result", "user"))
    return Say("SUBAGENT-DONE" if told else "WAITING-FOR-SUBAGENT")


def sub_question(_scene: Scene) -> Say:
    return Say("SUB-ANSWER: forty-two")


def look(scene: Scene) -> Say:
    """Read an image file; the next request must carry the picture itself."""
    if not scene.calls:
        return Say(tools=(("toolu_image", "Read", {"file_path": scene.argument}),))
    picture = Path(scene.argument).read_bytes()
    images = [turn.data for turn in scene.of("image")]
    expect(picture in images, f"{len(images)} images came, none of them the file: {[i[:16] for i in images]}")
    as_text = [turn for turn in scene.since if "iVBORw0KGgo" in turn.text]
    expect(not as_text, f"base64 came as text: {str(as_text)[:300]}")
    return Say("SEEN")


def weather(scene: Scene) -> Say:
    """Two parallel calls of the client's own tool, then a conclusion."""
    if not scene.calls:
        calls = (
            ("toolu_paris", "get_weather", {"city": "Paris", "days": 3}),
            ("toolu_lyon", "get_weather", {"city": "Lyon"}),
        )
        return Say("Looking.", tools=calls)
    paris, lyon = scene.calls
    expect(scene.result(paris.ident).text == "Paris: sunny for 3 days", f"Paris: {scene.result(paris.ident)}")
    expect(scene.result(lyon.ident).text == "Lyon: sunny for 1 days", f"Lyon: {scene.result(lyon.ident)}")
    return Say("Both sunny.")


def weather_thinking(scene: Scene) -> Say:
    if not scene.calls:
        return replace(weather(scene), thinking=THOUGHT)
    check_thoughts(scene.since, scene.conversation)
    return weather(scene)


def refuse_busy(_scene: Scene) -> Say:
    words = "Rate limit reached: 40000 tokens per minute"
    return Say(refuse=lambda wire: wire.refuse(429, "rate_limit_error", words))


def refuse_credit(_scene: Scene) -> Say:
    words = "This request requires more credits. To increase, add credits to your account"
    return Say(refuse=lambda wire: wire.refuse(402, "billing_error", words))


def break_off(_scene: Scene) -> Say:
    """Half an answer, then the connection ends."""
    return Say(refuse=Wire.broken_off)


def claudable_build(scene: Scene) -> Say:
    """Tools the client did not name must be on offer, with the keys its local tools read."""
    offered = {*scene.conversation.tools}
    expect({"Read", "Write", "Edit", "LS", "Bash"} <= offered, f"tools on offer: {sorted(offered)}")
    editing = scene.conversation.schemas["Edit"]["properties"]
    expect({"file_path", "old_content", "replacement"} <= set(editing), f"Edit takes {sorted(editing)}")
    match scene.calls:
        case []:
            page = {"file_path": "page.html", "content": "<h1>Hello</h1>\n"}
            return Say("Building.", tools=(("toolu_w", "Write", page), ("toolu_l", "LS", {"path": "."})))
        case [write, listing]:
            expect(scene.result(write.ident).text == "Wrote page.html", f"{scene.result(write.ident)}")
            expect("page.html" in scene.result(listing.ident).text, f"{scene.result(listing.ident)}")
            change = {"file_path": "page.html", "old_content": "Hello", "replacement": "Good bye"}
            return Say(tools=(("toolu_e", "Edit", change),))
    return Say("PAGE-DONE \u2028 线")


def claudable_check(scene: Scene) -> Say:
    if not scene.calls:
        return Say(tools=(("toolu_r", "Read", {"file_path": "page.html"}),))
    shown = scene.result(scene.calls[0].ident).text
    expect(shown == "<h1>Good bye</h1>\n", f"the file reads {shown!r}")
    return Say("CLAUDABLE-CHECKED")


SCENARIOS: dict[str, Callable[[Scene], Say]] = {
    "GREET": greet,
    "EDIT-FILE": edit_file,
    "PARALLEL": parallel,
    "THINK": think,
    "REMEMBER": remember,
    "SUBAGENT": subagent,
    "SUB-QUESTION": sub_question,
    "LOOK": look,
    "WEATHER": weather,
    "WEATHER-THINKING": weather_thinking,
    "REFUSE-BUSY": refuse_busy,
    "REFUSE-CREDIT": refuse_credit,
    "BREAK": break_off,
    "CLAUDABLE-BUILD": claudable_build,
    "CLAUDABLE-CHECK": claudable_check,
}


@dataclass
class Brain:
    """The reply function of one upstream; `name` is its wire (wires.py).

    It answers 404 to another dialect's path, as a provider without it would, and 400 to what a strict provider of
    its own dialect refuses. OpenRouter takes Messages requests without max_tokens; the API itself does not.
    """

    name: str
    max_tokens_required: bool = True
    reasoning_field: chat_wire.ReasoningField = "reasoning_content"
    is_strict: bool = True  # False where the client itself writes the provider's dialect, as it pleases
    seen: list[Conversation] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    scenarios: dict[str, Callable[[Scene], Say]] = field(default_factory=lambda: dict(SCENARIOS))
    unmarked: Callable[[Scene], Say] = nod  # warm-ups, titles, summaries and the like

    @property
    def wire(self) -> Wire:
        return WIRES[self.name]

    @property
    def dialect(self) -> str:
        return self.wire.dialect

    def begin(self) -> None:
        """Forget what was seen: a new test starts."""
        self.seen.clear()
        self.failures.clear()
        self.is_strict = True
        self.scenarios = dict(SCENARIOS)
        self.unmarked = nod

    def seen_of(self, name: str) -> list[Conversation]:
        """The requests that belong to this scenario."""
        return [conversation for conversation in self.seen if Scene(conversation).name == name]

    def __call__(self, received: Received) -> Reply:
        if received.method == "POST" and "/messages" in received.path and self.dialect == "chat":
            return json_reply({"error": {"message": f"no route {received.path}", "code": 404}}, 404)
        if received.method != "POST":
            return json_reply({"object": "list", "data": []})
        if received.path.endswith("/count_tokens"):
            return json_reply({"input_tokens": 1234})
        conversation = self.wire.read(received)
        if conversation is None:
            self.failures.append(f"unexpected {received!r}")
            return json_reply({"error": {"message": "not found"}}, 404)
        self.seen.append(conversation)
        if self.dialect == "anthropic" and "thread" in conversation.body:
            return json_reply(THREADS_UNSUPPORTED, 400)
        excused = () if self.max_tokens_required else (MAX_TOKENS_MISSING,)
        wrong = [*self.wire.demands(received, conversation.body), *conversation.objections()]
        if self.is_strict and (wrong := [each for each in wrong if each not in excused]):
            self.failures.append(f"a strict provider refuses this: {wrong}")
            return self.wire.refuse(400, "invalid_request_error", f"invalid request: {wrong}")
        return self.render(self.decide(conversation), conversation)

    def decide(self, conversation: Conversation) -> Say:
        scene = Scene(conversation)
        scenario = self.scenarios.get(scene.name, self.unmarked)
        try:
            return scenario(scene)
        except (UnexpectedError, LookupError, OSError, ValueError) as wrong:
            self.failures.append(f"{scene.name}: {wrong!r}")
            return Say(f"BRAIN-FAILED {scene.name}: {wrong!r}")

    def render(self, say: Say, conversation: Conversation) -> Reply:
        """The answer on the wire, streamed if that was asked for."""
        if say.refuse is not None:
            return say.refuse(self.wire)
        named: dict[str, Any] = {"reasoning_field": self.reasoning_field} if self.dialect == "chat" else {}
        return self.wire.answer((say.text, say.thinking, say.tools), conversation, **named)

"""Conversations of every kind: some made by hand, and a strategy that makes any."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from hypothesis import strategies as st

Body = dict[str, Any]
PNG = base64.b64encode(b"\x89PNG not really").decode()
PDF = base64.b64encode(b"%PDF-1.4 not really").decode()
LONG = "mcp__server__" + "n" * 80
NAMES = ("Read", "Bash", LONG, LONG + "2", "dotted.name")
TOOLS = [{"name": name, "description": f"Tool {number}", "input_schema": {"type": "object"}} for number, name in enumerate(NAMES)]  # fmt: skip


def image(data: str = PNG) -> Body:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def text(words: str) -> Body:
    return {"type": "text", "text": words}


def call(ident: str, name: str = "Read", **arguments: Any) -> Body:
    return {"type": "tool_use", "id": ident, "name": name, "input": arguments}


def result(ident: str, content: Any = "ok", **more: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **more}


def pdf(title: str = "notes.pdf") -> Body:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    return {"type": "document", "source": source, "title": title}


def document(words: str, **more: str) -> Body:
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}, **more}


def user(*content: Any) -> Body:
    return {"role": "user", "content": content[0] if len(content) == 1 and isinstance(content[0], str) else [*content]}


def assistant(*content: Any) -> Body:
    return {**user(*content), "role": "assistant"}


def body_of(*turns: Body, **more: Any) -> Body:
    return {"model": "asked", "max_tokens": 8000, "tools": TOOLS, "messages": [*turns], **more}


THOUGHT = {"type": "thinking", "thinking": "Let me look.", "signature": "EqQBCkYIARgC"}

HAND_MADE: dict[str, Body] = {
    "one word": body_of(user("hello")),
    "whitespace": body_of(user("  \t leading\n\n" ), system=" \n rules \n"),
    "system in parts": body_of(user("hi"), system=[text("One."), {**text("Two."), "cache_control": {"type": "ephemeral"}}]),
    "parts": body_of(user(text("one"), text("two"), image(), text("three"))),
    "image alone": body_of(user(image())),
    "image by address": body_of(user({"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}, text("?"))),
    "call": body_of(user("go"), assistant(text("I look."), call("toolu_1", path='ä 🦜 "\\')), user(result("toolu_1"))),
    "call without words": body_of(user("go"), assistant(call("toolu_1")), user(result("toolu_1", ""))),
    "thinking and call": body_of(user("go"), assistant(THOUGHT, call("toolu_1")), user(result("toolu_1"), text("on"))),
    "results in another order": body_of(
        user("go"),
        assistant(call("a", "Read", n=1), call("b", "Read", n=2), call("c", LONG)),
        user(text("before"), result("c", "three"), result("b", "two"), result("a", "one"), text("after")),
    ),
    "names that are too long": body_of(
        user("go"), assistant(call("a", LONG), call("b", LONG + "2"), call("c", "dotted.name")),
        user(result("a"), result("b"), result("c")), tool_choice={"type": "tool", "name": LONG + "2"},
    ),
    "images in results": body_of(
        user("go"), assistant(call("a"), call("b", "Bash")),
        user(result("b", [text("see"), image(), text("that")]), result("a", [image()]), text("and?"), image()),
    ),
    "errors": body_of(
        user("go"), assistant(call("a"), call("b")),
        user(result("a", "no such file", is_error=True), result("b", [text("Error: twice"), text("x")], is_error=True)),
    ),
    "an error without words": body_of(user("go"), assistant(call("a")), user(result("a", [], is_error=True))),
    "an error that is a picture": body_of(user("go"), assistant(call("a")), user(result("a", [image()], is_error=True))),
    "ids that only one dialect takes": body_of(
        user("go"), assistant(call("toolu_" + "x" * 90), call("ccrid_ZnVuY3Rpb25zLlJlYWQ6MA")),
        user(result("toolu_" + "x" * 90, "1"), result("ccrid_ZnVuY3Rpb25zLlJlYWQ6MA", "2")),
    ),
    "the same id in a later turn": body_of(
        user("go"), assistant(call("a", n=1)), user(result("a", "1")), assistant(call("a", n=2)), user(result("a", "2")),
    ),
    "system turns": body_of(
        user("go"), {"role": "system", "content": "midway"}, assistant("yes"), user("on"),
        {"role": "system", "content": [text("late"), text("r")]},
    ),
    "system turn after results": body_of(
        user("go"), assistant(call("a")), user(result("a")), {"role": "system", "content": "midway"}, assistant("yes"), user("x"),
    ),
    "documents": body_of(user(document("The text.", title="A", context="C"), document("Bare."), text("?"))),
    "a file": body_of(user(pdf(), text("?"))),
    "turns of one side": body_of(user("one"), user("two"), assistant("three"), assistant("four"), user("five")),
    "three rounds": body_of(
        user("go"),
        *itertools.chain.from_iterable(
            (assistant(THOUGHT, text(f"round {n}"), call(f"t{n}", n=n)), user(result(f"t{n}", f"r{n}"))) for n in range(3)
        ),
    ),
}  # fmt: skip

# -- any conversation ----------------------------------------------------------------------------------------------------

words = st.text(max_size=8) | st.sampled_from(
    ["  ", "\n", "🦜", "é\u0301", "\u2028", "tab\t", "<b>", "{}", "[x]", '"\\"']
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
inputs = st.dictionaries(words.filter(lambda key: key != ""), values, max_size=3)
texts = words.map(text)
spoken = st.lists(texts, max_size=2)
result_content = words | st.lists(texts | st.just(image()), max_size=3)
user_content = st.lists(
    texts | st.just(image()) | st.builds(document, words.filter(str.strip), title=st.sampled_from(["", "T"])),
    max_size=3,
)


@st.composite
def conversations(draw: st.DrawFn) -> Body:
    """A lawful request: every call is answered in the turn after it, in any order, and something is said at first."""
    turns = [user(text("begin"), *draw(user_content))]
    numbers = itertools.count()
    for _ in range(draw(st.integers(0, 4))):
        calls = [
            call(f"toolu_{next(numbers)}", draw(st.sampled_from(NAMES)), **arguments)
            for arguments in draw(st.lists(inputs, max_size=3))
        ]
        said = draw(spoken)
        thought = [THOUGHT] if calls and draw(st.booleans()) else []
        results = [
            result(one["id"], draw(result_content), **({"is_error": True} if draw(st.booleans()) else {}))
            for one in draw(st.permutations(calls))
        ]
        turns += [assistant(*thought, *said, *calls), user(*results, *draw(user_content))]
        if draw(st.booleans()):
            turns.append({"role": "system", "content": draw(words)})
    turns.append(user(text("end")))
    system = draw(words | st.lists(texts, max_size=2))
    return body_of(*turns, **({"system": system} if system else {}))

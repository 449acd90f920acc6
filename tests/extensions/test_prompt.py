"""REWRITE_SYSTEM_PROMPT, through the whole router and by itself."""

from __future__ import annotations

import json

import pytest

from ccrouter.errors import ConfigError
from ccrouter.extensions.prompt import PromptRewrite
from ccrouter.messages.request import MessagesRequest

ENV = "<env>\nWorking directory: /repo\n</env>"


def system_of(prompt: str, system, tmp_path) -> object:
    (tmp_path / "prompt.md").write_text(prompt)
    rewrite = PromptRewrite(tmp_path / "prompt.md", "config.json", lambda *_, **__: None)
    body = {"model": "m", "messages": [{"role": "user", "content": "x <env> y"}], "system": system}
    changed = rewrite.apply(MessagesRequest.read(json.dumps(body).encode()))
    answer = json.loads(changed.encode())
    assert answer["messages"] == body["messages"]
    return answer.get("system")


CASES = {
    "the classic place": (
        [{"type": "text", "text": "You are Claude Code."}, {"type": "text", "text": f"Do this.\n{ENV} after"}],
        [{"type": "text", "text": "You are Claude Code."}, {"type": "text", "text": f"MINE\n{ENV} after"}],
    ),
    "behind a billing header": (
        [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "B"}, {"type": "text", "text": f"C{ENV}", "cache_control": {"type": "ephemeral"}}],
        [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "B"}, {"type": "text", "text": f"MINE\n{ENV}", "cache_control": {"type": "ephemeral"}}],
    ),
    "the first block": ([{"type": "text", "text": f"A{ENV}"}, {"type": "text", "text": f"B{ENV}"}], [{"type": "text", "text": f"MINE\n{ENV}"}, {"type": "text", "text": f"B{ENV}"}]),
    "after the last mark": ([{"type": "text", "text": "talk of <env>, then\n<env>x</env>"}], [{"type": "text", "text": "MINE\n<env>x</env>"}]),
    "a string": (f"Do this.{ENV}", f"MINE\n{ENV}"),
    "no mark": ([{"type": "text", "text": "environment"}], [{"type": "text", "text": "environment"}]),
    "a block without text": ([{"type": "env"}, {"type": "text", "text": f"A{ENV}"}], [{"type": "env"}, {"type": "text", "text": f"MINE\n{ENV}"}]),
    "nothing": (None, None),
    "of another form": ({"env": 1}, {"env": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_cases(case, tmp_path):
    """What stands before the last mark of the first block that has one becomes the file's text; all else stays."""
    before, after = CASES[case]
    assert system_of("MINE\n", before, tmp_path) == after


def test_what_is_not_changed_is_the_same_object(tmp_path):
    """A request without the mark is not even read."""
    (tmp_path / "p").write_text("x")
    rewrite = PromptRewrite(tmp_path / "p", "", lambda *_, **__: None)
    request = MessagesRequest.read(b'{"model":"m","messages":[],"system":"plain"}')
    assert rewrite.apply(request) is request


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_through_the_router(bench, dialect):
    """It is applied for every dialect; the file is read again when it has changed, and kept when it is gone."""
    path = bench.write("prompt.md", "Speak like a pirate.\n")
    bench.answer("arr")
    system = [{"type": "text", "text": "You are Claude Code."}, {"type": "text", "text": f"Long words.\n{ENV}"}]
    async with bench.running(bench.config([], dialect, REWRITE_SYSTEM_PROMPT="prompt.md")) as router:

        async def sent() -> str:
            status, _, raw = await router.ask(system=system)
            assert status == 200, raw
            return bench.upstream.requests[-1].body.decode()

        assert "Speak like a pirate.\\n<env>" in await sent()
        assert "Long words" not in await sent()
        bench.write("prompt.md", "Speak like a captain.\n")
        assert "Speak like a captain.\\n<env>" in await sent()
        path.unlink()
        assert "Speak like a captain.\\n<env>" in await sent()
        (line,) = bench.logged("the system prompt's file is kept as it was")
        assert line["error"] == "No such file or directory"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfe", "it is not UTF-8"), (b"x" * (1024 * 1024 + 1), "it is larger than")],
)
async def test_refused_at_the_start(bench, content, words):
    """A file that cannot be read, or is no text, starts nothing."""
    if content is not None:
        (bench.folder / "prompt.md").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        async with bench.running(bench.config([], REWRITE_SYSTEM_PROMPT="prompt.md")):
            pass
    (problem,) = refused.value.problems
    assert problem.path == "REWRITE_SYSTEM_PROMPT"
    assert words in problem.message

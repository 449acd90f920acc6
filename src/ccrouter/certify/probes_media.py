"""Probes of what is not text: images, images in tool results, PDF."""

from __future__ import annotations

from ccrouter.certify.bench import Bench, Finding, failed, passed, unclear, unknown
from ccrouter.certify.questions import WEATHER, call_of, conversation, document, image, question, result_of, text

_COLOURS = "Which two colours does the image have? Answer with their two names."


async def images(bench: Bench) -> Finding:
    """An image of two colours, which have to be named: a server that drops images guesses."""
    answer = await bench.ask(question([image(), text(_COLOURS)]), {"accepts_images": True})
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_images=False))
    if not answer.is_good:
        return unclear(answer)
    if answer.says("red", "blue"):
        return passed("seen: both colours named", bench.differing(accepts_images=True))
    return unknown(f"taken, and not seen: {answer.text}")


async def tool_images(bench: Bench) -> Finding:
    """The same image as a tool's result, as Claude Code sends screenshots and files."""
    turns = (
        ("user", "Look at the weather map of Paris. " + _COLOURS),
        ("assistant", [call_of("toolu_01")]),
        ("user", [result_of("toolu_01", [image()])]),
    )
    answer = await bench.ask(
        conversation(*turns, tools=[WEATHER]), {"accepts_images": True, "accepts_tool_images": True}
    )
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_tool_images=False))
    if not answer.is_good:
        return unclear(answer)
    if answer.says("red", "blue"):
        return passed("seen: both colours named", bench.differing(accepts_tool_images=True))
    changes = bench.differing(accepts_tool_images=False)  # beside the result it is at least seen
    return unknown(f"taken, and not seen: {answer.text}", changes)


async def documents(bench: Bench) -> Finding:
    """A PDF with a word on it."""
    files = bench.profile.accepts_files or "data"
    request = question([document("The password is KIWI"), text("Which password does the document name?")])
    answer = await bench.ask(request, {"accepts_files": files})
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_files=""))
    if not answer.is_good:
        return unclear(answer)
    if answer.says("kiwi"):
        return passed("read", bench.differing(accepts_files=files))
    return unknown(f"taken, and not read: {answer.text}")

"""What becomes of each field of the Messages API in each dialect, found out by asking the encoders themselves; and the
page that says so: `python -m ccrouter.dialects.matrix`.

For developers, in a checkout; the router itself reads neither. A cell is what the encoder says; `faults` compares that
with what really goes out, and so finds what is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.config.schema import DialectName, Endpoint, Platform, Provider, Target
from ccrouter.dialects.answers import SPEAKERS, facts, stop_reasons
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.gemini import replay
from ccrouter.dialects.ledger import HINTS, pattern_of
from ccrouter.dialects.openai_chat import reasoning as chat
from ccrouter.dialects.openai_responses import reasoning as responses
from ccrouter.dialects.probes import BASE, OWN, PROBES, Probe
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import ClientError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.messages.request import MessagesRequest

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "fidelity.md"

_MODEL = "mkmodel"


@dataclass(frozen=True, slots=True)
class Column:
    """One dialect as one provider speaks it; `model` as it is asked for there."""

    title: str
    dialect: DialectName
    url: str
    model: str
    platform: Platform = ""

    @property
    def target(self) -> Target:
        return Target(Provider("probed", (Endpoint(self.dialect, self.url, self.platform),)), self.model)

    @property
    def own_signature(self) -> str:
        """A signature that this provider itself would have made for the thought and the call of the probes."""
        match self.dialect:
            case "openai_chat":
                return chat.pack("probed", [{"type": "reasoning.text", "text": "mkthought"}], {}, "mkthought")
            case "openai_responses":
                summary = [{"type": "summary_text", "text": "mkthought"}]
                item: JsonObject = {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": summary,
                    "encrypted_content": "mkseal",
                }
                return responses.pack("probed", self.model, item, "mkthought")
            case "gemini":
                return replay.pack("probed", replay.State(self.model, own="mkown", calls={"toolu_mk01": "mksigned"}))
            case _:
                return "ErUBanthropicsown"


_ANYWHERE = "https://relay.example"
_GOOGLE = "https://generativelanguage.googleapis.com"
COLUMNS = (
    Column("Anthropic", "anthropic", "https://api.anthropic.com/v1/messages", f"claude-{_MODEL}"),
    Column("Messages, elsewhere", "anthropic", f"{_ANYWHERE}/v1/messages", _MODEL),
    Column("Claude on Vertex", "anthropic", "https://example.test/publishers/anthropic/models", _MODEL, "vertex"),
    Column("Claude on Bedrock", "anthropic", "https://example.test", _MODEL, "bedrock"),
    Column("Chat, unknown server", "openai_chat", f"{_ANYWHERE}/v1/chat/completions", _MODEL),
    Column("Chat, OpenAI gpt-5.1", "openai_chat", "https://api.openai.com/v1/chat/completions", f"gpt-5.1-{_MODEL}"),
    Column(
        "Chat, OpenRouter Claude", "openai_chat", "https://openrouter.ai/api/v1/chat/completions",
        f"anthropic/claude-sonnet-4.5-{_MODEL}",
    ),
    Column("Responses, unknown server", "openai_responses", f"{_ANYWHERE}/v1/responses", _MODEL),
    Column(
        "Responses, OpenAI gpt-5.1", "openai_responses", "https://api.openai.com/v1/responses", f"gpt-5.1-{_MODEL}"
    ),
    Column("Gemini 2.5 Flash", "gemini", f"{_GOOGLE}/v1beta", f"gemini-2.5-flash-{_MODEL}"),
    Column("Gemini 3 Pro", "gemini", f"{_GOOGLE}/v1beta", f"gemini-3-pro-{_MODEL}"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe came to in one column: `fate` as the encoder tells it ("" if it says nothing of the field), `why`
    in its words, and what went out.
    """

    fate: str
    why: str = ""
    sent: bytes = b""


def observe(probe: Probe, column: Column) -> Outcome:
    """Ask the column's dialect to say the probe."""
    path = pattern_of(probe.at)
    try:
        encoded = _encode(probe, column)
    except ClientError as error:
        return Outcome("refused", str(error))
    sent = _bytes(encoded)
    losses = [loss for loss in encoded.losses if _covers(pattern_of(loss.path), path)]
    if losses:
        nearest = max(losses, key=lambda loss: len(pattern_of(loss.path)))
        return Outcome(nearest.fate, nearest.what, sent)
    for fate, paths in (("kept", encoded.kept), ("mapped", encoded.mapped)):
        if any(_covers(said, path) for said in paths if "." not in said or path[len(said) :][:1] != "["):
            return Outcome(fate, "", sent)
    return Outcome("", "", sent)


def fault(probe: Probe, column: Column, outcome: Outcome) -> str:
    """Why the outcome cannot be true; "" if it can."""
    if outcome.fate == "":
        return "the encoder does not say what becomes of it"
    if outcome.fate == "refused":
        return ""
    is_there = (
        probe.marker.lower().encode() in outcome.sent.lower() if probe.marker else _differs(probe, column, outcome)
    )
    if outcome.fate in {"kept", "mapped"} and not is_there and not probe.by_silence:
        return f"it is said to be {outcome.fate}, and is not in what goes out"
    if outcome.fate in {"dropped", "hint"} and probe.marker and is_there:
        return f"it is said to be left out ({outcome.why}), and is in what goes out"
    if outcome.fate == "approximated" and not is_there and not _differs(probe, column, outcome):
        return f"it is said to be approximated ({outcome.why}), and nothing of it is in what goes out"
    return ""


def faults() -> Iterator[str]:
    """Everything that is untrue in the matrix."""
    for probe in (probe for probes in PROBES.values() for probe in probes):
        for column in COLUMNS:
            wrong = fault(probe, column, observe(probe, column))
            if wrong:
                yield f"{column.title}: {pattern_of(probe.at)} {probe.what}: {wrong}"


def _covers(outer: str, inner: str) -> bool:
    """True if the path `outer` is `inner`, or leads to something that holds it."""
    return inner == outer or (inner.startswith(outer) and inner[len(outer)] in ".[")


def _differs(probe: Probe, column: Column, outcome: Outcome) -> bool:
    """True if something else goes out without the field."""
    plain = Probe(probe.at, members=probe.plain)
    return _bytes(_encode(plain, column)) != outcome.sent


def _encode(probe: Probe, column: Column) -> UpstreamRequest:
    members = _with_signature({**BASE, **probe.members}, column.own_signature)
    request = MessagesRequest.read(msgspec.json.encode(members))
    return DIALECTS[column.dialect].encode(request, column.target, probe.headers)


def _with_signature(node: Json, signature: str) -> Any:
    if isinstance(node, dict):
        return {name: _with_signature(value, signature) for name, value in node.items()}
    if isinstance(node, list):
        return [_with_signature(value, signature) for value in node]
    return signature if node == OWN else node


def _bytes(sent: UpstreamRequest) -> bytes:
    """All that goes out."""
    headers: Mapping[str, str] = sent.headers
    return b"\n".join([sent.url.encode(), repr(sorted(headers.items())).encode(), sent.body])


# -- the page ------------------------------------------------------------------------------------------------------

_SIGNS = {
    "kept": "kept", "mapped": "mapped", "approximated": "**approx.**", "dropped": "**dropped**", "hint": "hint",
    "refused": "refused", "": "?",
}  # fmt: skip

_INTRODUCTION = """\
# Field by field

Made by `python -m ccrouter.dialects.matrix`, which asks the router's own encoders: do not edit.
What the words mean, and what to do with them, is told in [Fidelity](../fidelity.md).

| word | the provider gets it |
|---|---|
| kept | as it came |
| mapped | in its own words, nothing missing |
| **approx.** | in a weaker form: the nearest there is, or told in words. A loss |
| **dropped** | not at all. A loss |
| hint | not at all, and it is no loss: it concerns Anthropic's service alone |
| refused | not at all: 400, naming the field; the next target is asked if there is one |

Other models and providers of a dialect may differ: what each takes is in its profile. Every cell holds for the
request of one probe; where several things hold for a field (nine stop sequences), there are several rows.
"""


def page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION]
    for section, probes in PROBES.items():
        titles = " | ".join(column.title for column in COLUMNS)
        parts += [f"\n## {section}\n\n| field | {titles} |\n|---|{'---|' * len(COLUMNS)}\n"]
        for probe in probes:
            cells = " | ".join(_SIGNS[observe(probe, column).fate] for column in COLUMNS)
            what = f", {probe.what}" if probe.what.strip() else ""
            parts.append(f"| `{pattern_of(probe.at)}`{what} | {cells} |\n")
    parts += [*_answers(), "\n## Hints\n\nTop-level members that are no loss where they cannot be sent:\n\n"]
    parts += [f"- `{name}`: {why}\n" for name, why in HINTS.items()]
    return "".join(parts)


def _answers() -> Iterator[str]:
    """The tables of the other direction."""
    titles = " | ".join(speaker.title for speaker in SPEAKERS)
    line = f"|---|{'---|' * len(SPEAKERS)}\n"
    yield "\n## Answers\n\nWhat comes through of an answer that has all of it, where the provider tells all that its\n"
    yield f"dialect can tell; `–` is what the dialect has no word for.\n\n| fact | {titles} |\n{line}"
    found = [facts(speaker) for speaker in SPEAKERS]
    for name in found[0]:
        yield f"| {name} | {' | '.join('yes' if of[name] else '–' for of in found)} |\n"
    yield f"\n| `stop_reason` | {titles} |\n{line}"
    reasons = [stop_reasons(speaker) for speaker in SPEAKERS]
    for name in dict.fromkeys(name for of in reasons for name in of):
        cells = (", ".join(f"`{word}`" for word in of.get(name, ())) or "–" for of in reasons)
        yield f"| `{name}` | {' | '.join(cells)} |\n"


def main() -> None:
    """Writes the page anew."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

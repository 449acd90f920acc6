"""The matrix of fields and dialects: what it says is what really goes out, and nothing is dropped in silence."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from ccrouter.dialects import matrix
from ccrouter.dialects.answers import SPEAKERS, facts, stop_reasons
from ccrouter.dialects.ledger import HINTS, pattern_of
from ccrouter.dialects.matrix import COLUMNS, PAGE, Column, fault, faults, observe, page
from ccrouter.dialects.probes import PROBES, Probe
from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages import request as messages

ALL = [probe for probes in PROBES.values() for probe in probes]


def test_the_page_is_current():
    """docs/reference/fidelity.md is what `python -m ccrouter.dialects.matrix` makes."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_cell_is_true():
    """For every field and every dialect: what is said to be sent is found in what goes out, what is said to be left out
    is not, and there is nothing that an encoder does not account for.
    """
    assert list(faults()) == []


def test_every_dialect_has_a_column():
    """No dialect of the registry is missing, nor a cloud that speaks Messages."""
    assert {column.dialect for column in COLUMNS} == set(DIALECTS)
    assert {column.platform for column in COLUMNS} == {"", "vertex", "bedrock"}


STRUCTS = (
    messages.Source, messages.Block, messages.OutputConfig, messages.Turn, messages.Tool, messages.ToolChoice,
    messages.Thinking, messages.Metadata,
)  # fmt: skip


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_that_is_known_has_a_row(struct: type[msgspec.Struct]):
    """Whoever teaches the router a field of the Messages API has to say what becomes of it."""
    words = {word for probe in ALL for word in pattern_of(probe.at).replace("[]", "").split(".")}
    assert set(struct.__struct_fields__) <= words


def test_rows_can_be_told_apart():
    """No two rows are called the same."""
    rows = [(pattern_of(probe.at), probe.what) for probe in ALL]
    assert len(rows) == len(set(rows))


class _Silent:
    """A dialect that drops top_k and says nothing, and says that it keeps top_p and does not."""

    def __init__(self, dialect) -> None:
        self._dialect = dialect

    def encode(self, request, target, headers, amend=None):
        less = request.replace(top_k=msgspec.UNSET, top_p=msgspec.UNSET)
        sent = self._dialect.encode(less, target, headers, amend)
        losses = tuple(loss for loss in sent.losses if loss.path != "top_k")
        return dataclasses.replace(sent, losses=losses, kept=sent.kept | {"top_p"}, mapped=sent.mapped - {"top_k"})


def test_silent_drops_are_found(monkeypatch):
    """An encoder that loses a member without a word is found out; so is one that claims to have sent it."""
    monkeypatch.setitem(matrix.DIALECTS, "openai_chat", _Silent(DIALECTS["openai_chat"]))
    column = Column("silent", "openai_chat", "https://relay.example/v1/chat/completions", "m")
    top_k, top_p = (next(probe for probe in ALL if probe.at == name) for name in ("top_k", "top_p"))
    assert "does not say" in fault(top_k, column, observe(top_k, column))
    assert "is not in what goes out" in fault(top_p, column, observe(top_p, column))


def test_what_is_said_to_be_dropped_and_is_there_is_found():
    """The other lie: a field that is told as lost and goes out all the same."""
    column = COLUMNS[4]
    probe = Probe("inference_geo", "", {"inference_geo": "mkgeo", "system": "mkgeo"}, "mkgeo")
    outcome = observe(probe, column)
    assert outcome.fate == "dropped"
    assert "is in what goes out" in fault(probe, column, outcome)


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.title)
def test_answers_bring_all_that_the_dialect_has(speaker):
    """Text, thinking and what brings it back, calls, pages, usage with cached tokens apart: all dialects give all of it,
    but that Gemini has no word for tokens written to a cache. No reason to end is taken for an error.
    """
    missing = [name for name, is_there in facts(speaker).items() if not is_there]
    assert missing == (["tokens written to a cache"] if speaker.dialect == "gemini" else [])
    assert "error" not in stop_reasons(speaker)


def test_every_dialect_answers():
    """No dialect of the registry is missing from the table of answers."""
    assert {speaker.dialect for speaker in SPEAKERS} == set(DIALECTS)


def test_hints_are_listed():
    """Every hint of the table is on the page with its reason."""
    for name, why in HINTS.items():
        assert f"- `{name}`: {why}\n" in page()

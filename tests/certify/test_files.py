"""The profile that a run leaves behind: what is in the file, and that it is written whole or not at all."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest

from ccrouter.certify import files
from ccrouter.certify.battery import Outcome
from ccrouter.certify.bench import Finding
from ccrouter.config.certified import profile_path, read_certified
from ccrouter.config.schema import Endpoint, Provider

ENDPOINT = Endpoint("openai_chat", "https://user:secret@host.example/v1/chat/completions?key=abc")
WHEN = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
OUTCOME = Outcome(
    findings={"images": Finding("fail", "refused: 400: no images")},
    changes={"accepts_images": False, "tool_choice_forms": frozenset({"none", "auto"}), "efforts": ("low", "high")},
)


def made_of(model: str = "m1", outcome: Outcome = OUTCOME) -> files.Tested:
    return files.Tested(model, outcome, WHEN)


def test_what_is_in_it(tmp_path):
    """Which URL and model it is about, when it was made, each probe's verdict, the changes; no password and no query."""
    content = files.document("mine", ENDPOINT, made_of(), {})
    assert content["endpoint"] == {
        "dialect": "openai_chat", "url": "https://host.example/v1/chat/completions", "platform": "",
    }  # fmt: skip
    assert content["models"] == {
        "m1": {
            "tested": "2026-11-22T12:30:00+00:00",
            "changes": {"accepts_images": False, "tool_choice_forms": ["auto", "none"], "efforts": ("low", "high")},
            "probes": {"images": {"verdict": "fail", "evidence": "refused: 400: no images"}},
        }
    }
    assert (content["format"], content["provider"]) == (1, "mine")
    assert not {"secret", "abc"} & set(json.dumps(content).replace('"', " ").split())


def test_what_was_found_of_other_models_stays(tmp_path):
    """A second model is added to the first, a second run replaces the first one of the same model, in any case; of
    another URL nothing stays.
    """
    first = files.document("mine", ENDPOINT, made_of("M1"), {})
    second = files.document("mine", ENDPOINT, made_of("m2"), first)
    assert set(second["models"]) == {"M1", "m2"}
    third = files.document("mine", ENDPOINT, made_of("m1", Outcome()), second)
    assert set(third["models"]) == {"m1", "m2"}
    assert third["models"]["m1"]["changes"] == {}
    moved = files.document(
        "mine", Endpoint("openai_chat", "https://other.example/v1/chat/completions"), made_of(), third
    )
    assert set(moved["models"]) == {"m1"}


def test_it_is_read_as_it_was_written(tmp_path):
    """What is written is what the configuration reads, in the form that profiles have."""
    path = profile_path(tmp_path, "Mine")
    files.write(path, files.document("mine", ENDPOINT, made_of(), {}))
    read = read_certified(path, Provider("mine", (ENDPOINT,)))
    assert read.complaints == ()
    assert read.changes == {"m1": dict(OUTCOME.changes)}
    assert read.dates == {"m1": "2026-11-22T12:30:00+00:00"}
    assert files.read(path)["provider"] == "mine"


def test_only_the_owner_reads_it(tmp_path):
    """Folder and file are the owner's alone, and nothing else is left beside it."""
    path = profile_path(tmp_path / "home", "mine")
    files.write(path, {"a": 1})
    files.write(path, {"a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_failed_write_changes_nothing(tmp_path):
    """What cannot be encoded, and where nothing can be written, is an error, and the file stays what it was."""
    path = profile_path(tmp_path, "mine")
    files.write(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write(path, {"a": object()})
    assert files.read(path) == {"a": 1}
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    (tmp_path / "file").write_text("")
    with pytest.raises(files.Unwritable, match="cannot be written"):
        files.write(tmp_path / "file" / "profiles" / "x.json", {})


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\xff"])
def test_what_is_no_profile_is_no_beginning(tmp_path, text):
    """A file that is none of ours is replaced, not added to."""
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    assert files.read(path) == {}
    assert files.read(tmp_path / "none.json") == {}

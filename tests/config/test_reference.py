"""What is made from the tables of keys is current, and right about the files that users have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import json5
import pytest
from jsonschema import Draft7Validator

from ccrouter.config import starter
from ccrouter.config.fields import TABLES
from ccrouter.config.load import load
from ccrouter.config.reference import PAGE, json_schema, reference_page, schema_text
from tests.config.test_cases import CASES, read_case

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "configuration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json5?\n(\{.*?\n\})\n```", GUIDE, re.DOTALL)

STALE = "stale: run `python -m ccrouter.config.reference`"


def test_the_schema_is_current():
    """The shipped JSON Schema is what the tables say."""
    assert starter.SCHEMA.read_text(encoding="utf-8") == schema_text(), STALE


def test_the_reference_page_is_current():
    """The reference page is what the tables say."""
    assert PAGE.read_text(encoding="utf-8") == reference_page(), STALE


def test_the_schema_is_a_schema():
    """Draft 7 takes it."""
    Draft7Validator.check_schema(json_schema())


ACCEPTED = [path for path in sorted(CASES.glob("*.txt")) if not read_case(path)[3].startswith("refused")]


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_the_schema_accepts_what_loads(path):
    """No editor complains about a configuration that the router takes, the guides' among them."""
    tree = json5.loads(read_case(path)[2])
    assert [error.message for error in Draft7Validator(json_schema()).iter_errors(tree)] == []


def test_the_schema_accepts_the_starter():
    """The file that the router writes itself is valid."""
    tree = json5.loads(starter.TEMPLATE.read_text(encoding="utf-8"))
    Draft7Validator(json_schema()).validate(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"PORT": "many"},
        {"PORT": 70000},
        {"LOG_LEVEL": "loud"},
        {"Providers": "x"},
        {"Providers": [{"name": "p", "protocol": "smtp"}]},
        {"Router": {"default": [["a,b"]]}},
        {"Providers": [{"name": "p", "api_key": [{"key": "${A}", "weight": 0}]}]},
        {"retry": {"attempts": 0}},
        {"clients": {"claudable": "perhaps"}},
    ],
)
def test_the_schema_refuses_nonsense(tree):
    """What the router refuses, an editor marks."""
    assert list(Draft7Validator(json_schema()).iter_errors(tree))


def test_every_key_says_what_it_is_for():
    """No key is without a word on its meaning, and no alias means two things."""
    for table in TABLES.values():
        spellings = [spelling for field in table.fields for spelling in (field.name, *field.aliases)]
        assert len(spellings) == len(set(spellings)), table.name
        assert all(field.doc for field in table.fields), table.name


def test_every_link_of_the_reference_has_its_heading():
    """Links from the reference into the guide lead somewhere."""
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    }
    for anchor in re.findall(r"\.\./configuration\.md#([a-z0-9-]+)", reference_page()):
        assert anchor in headings


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_example_of_the_guide_loads(index, tmp_path):
    """A configuration that a reader copies from the guide runs, without a warning, once its keys are exported."""
    path = tmp_path / "config.json"
    path.write_text(BLOCKS[index], encoding="utf-8")
    variables = re.findall(r"\$\{(\w+)", BLOCKS[index])
    config = load(path, {name: f"value-of-{name}" for name in variables})
    assert [str(warning) for warning in config.warnings] == []
    assert json.dumps(config.raw)


def test_the_guide_has_examples():
    """The examples are found: none would pass for a success."""
    assert len(BLOCKS) >= 4

"""What is made from the table of a policy's members is current, and right about the policies there are."""

from __future__ import annotations

import json5
import pytest
from jsonschema import Draft7Validator

from ccrouter.compliance.document import PRESETS, preset_text
from ccrouter.compliance.reference import PAGE, SCHEMA, json_schema, reference_page, schema_text

STALE = "stale: run `python -m ccrouter.compliance.reference`"


def test_the_schema_is_current():
    """The shipped JSON Schema is what the table says, and draft 7 takes it."""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), STALE
    Draft7Validator.check_schema(json_schema())


def test_the_reference_page_is_current():
    """The reference page is what the table says."""
    assert PAGE.read_text(encoding="utf-8") == reference_page(), STALE


@pytest.mark.parametrize("name", PRESETS)
def test_the_schema_accepts_the_presets(name):
    """No editor complains about a policy that is shipped."""
    Draft7Validator(json_schema()).validate(json5.loads(preset_text(name).decode()))


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"name": "x", "onViolation": "default"},
        {"name": "x", "models": ["a"]},
        {"name": "x", "models": {"allow": ["a"]}},
        {"name": "x", "extensions": {"allowed": ["everything"]}},
        {"name": "x", "clientKey": {"minLength": 0}},
        {"name": "x", "httpsOnly": "yes"},
    ],
)
def test_the_schema_refuses_nonsense(tree):
    """What the router refuses, an editor marks."""
    assert list(Draft7Validator(json_schema()).iter_errors(tree))

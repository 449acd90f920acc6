"""docs/transforms.md tells of every transform and every option, and its examples are what the configuration takes."""

from __future__ import annotations

import re

import json5
import pytest

from ccrouter.config.transform_options import OPTIONS
from ccrouter.config.transformers import WIRE_FORMATS
from tests.architecture.sources import ROOT
from tests.transforms.workbench import specs_of

PAGE = (ROOT / "docs" / "transforms.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_transform_has_its_section():
    """Each transform has a section, and each section a transform; wire formats stand in a table."""
    assert set(SECTIONS) == set(OPTIONS) - set(WIRE_FORMATS)
    for name in WIRE_FORMATS:
        assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_told_of(name):
    """Each option of a transform is named where the transform is told of."""
    told = SECTIONS.get(name, PAGE)
    for field in OPTIONS[name].fields:
        assert f"`{field.name}" in told or f'"{field.name}"' in told, field.name


@pytest.mark.parametrize("name", SECTIONS)
def test_examples(name):
    """Each section has an example, of that transform, that the configuration takes without a word."""
    examples = re.findall(r"```json5\n(.*?)```", SECTIONS[name], re.DOTALL)
    assert examples
    for example in examples:
        entry = json5.loads(example)
        specs = specs_of({"use": [entry]})
        assert [spec.name for spec in specs.transforms] == [name]
        assert specs.transforms[0].options


def test_whole_configurations():
    """The whole configurations on the page name transforms that there are."""
    for text in re.findall(r"```json5\n(\{\n.*?)```", PAGE, re.DOTALL):
        for provider in json5.loads(text)["Providers"]:
            assert specs_of(provider["transformer"])

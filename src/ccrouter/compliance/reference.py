"""The JSON Schema and the reference page of policies, made from `members`: `python -m ccrouter.compliance.reference`.

For developers, in a checkout; the router itself reads neither.
"""

from __future__ import annotations

import json
from pathlib import Path

from ccrouter.compliance.members import ADDRESS_WORDS, MEMBERS
from ccrouter.jsontypes import JsonObject

SCHEMA = Path(__file__).parent / "policy.schema.json"
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "policy.md"

_INTRODUCTION = """\
# Every member of a policy

Made from `src/ccrouter/compliance/members.py` by `python -m ccrouter.compliance.reference`: do not edit.
What a policy is and does is told in [Policies](../policy.md).

A policy is JSON or JSON5, and read to the letter: a member that is misspelled, of the wrong type or written twice is
refused. `a.b` below is the member `b` of the object `a`.

"""


def json_schema() -> JsonObject:
    """The JSON Schema (draft 7, which editors know best) of a policy."""
    groups: dict[str, JsonObject] = {}
    properties: JsonObject = {}
    for path, member in MEMBERS.items():
        group, _, name = path.rpartition(".")
        described = {"description": f"{member.doc} Without it: {member.absent or 'nothing'}.", **member.kind.form}
        if not group:
            properties[name] = described
            continue
        if group not in groups:
            groups[group] = {}
            properties[group] = {"type": "object", "additionalProperties": False, "properties": groups[group]}
        groups[group][name] = described
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Policy of ccrouter",
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": properties,
    }


def schema_text() -> str:
    """The JSON Schema as it is shipped."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_page() -> str:
    """The reference page, in Markdown."""
    lines = ["| member | value | without it | meaning | example |", "|---|---|---|---|---|"]
    lines += [
        f"| `{path}` | {member.kind.wanted} | {member.absent} | {member.doc} | `{member.example}` |"
        for path, member in MEMBERS.items()
    ]
    lines += ["", "## Words for addresses", "", "| word | ranges |", "|---|---|"]
    lines += [
        f"| `{word}` | {', '.join(f'`{network}`' for network in networks)} |"
        for word, networks in ADDRESS_WORDS.items()
    ]
    return _INTRODUCTION + "\n".join(lines) + "\n"


def main() -> None:
    """Writes both files anew."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()

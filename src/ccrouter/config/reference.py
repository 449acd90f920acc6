"""The JSON Schema and the reference page, made from the tables of `fields`: `python -m ccrouter.config.reference`.

For developers, in a checkout; the router itself reads neither.
"""

from __future__ import annotations

import json
from pathlib import Path

from ccrouter.config.fields import TABLES, TOP
from ccrouter.config.starter import SCHEMA
from ccrouter.config.table import Field, Table
from ccrouter.jsontypes import JsonObject

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "config.md"

_INTRODUCTION = """\
# Every key of `config.json`

Made from the tables of `src/ccrouter/config/fields.py` by `python -m ccrouter.config.reference`: do not edit.
How to use them is told in [Configuration](../configuration.md).

Case, `_` and `-` in a key do not matter (`apiKey` is `api_key`). Numbers and booleans may be
texts; an empty text means "not set".
"""


def json_schema() -> JsonObject:
    """The JSON Schema (draft 7, which editors know best) of the file."""
    definitions = {name: _table_schema(table) for name, table in TABLES.items() if table is not TOP}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of ccrouter",
        **_table_schema(TOP),
        "definitions": definitions,
    }


def _table_schema(table: Table) -> JsonObject:
    properties: JsonObject = {}
    for field in table.fields:
        described = _field_schema(field)
        properties[field.name] = described
        for alias in field.aliases:
            properties[alias] = {**described, "description": f"The same as {field.name}."}
    return {"type": "object", "description": f"{table.doc} {table.others}".strip(), "properties": properties}


def _field_schema(field: Field) -> JsonObject:
    default = f" Default: {field.default}." if field.default else ""
    schema = field.kind.schema()
    body = {"allOf": [schema]} if "$ref" in schema else schema
    return {"description": f"{field.doc}{default}", **body}


def reference_page() -> str:
    """The reference page, in Markdown."""
    return _INTRODUCTION + "".join(_section(table) for table in TABLES.values())


def _section(table: Table) -> str:
    lines = [f"\n## {table.name}\n", table.doc, "", "| key | value | default | meaning |", "|---|---|---|---|"]
    for field in table.fields:
        names = ", ".join(f"`{name}`" for name in (field.name, *field.aliases))
        lines.append(f"| {names} | {field.kind.words} | {field.default} | {field.doc} |")
    if table.others:
        lines += ["", table.others]
    return "\n".join(lines) + "\n"


def schema_text() -> str:
    """The JSON Schema as it is shipped."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes both files anew."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()

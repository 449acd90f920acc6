"""The table of the catalogue in docs/providers.md, made from the entries: `python -m ccrouter.config.catalogue_page`.

For developers, in a checkout; the router itself does not read it.
"""

from __future__ import annotations

from pathlib import Path

from ccrouter.config.catalogue import Entry
from ccrouter.config.catalogue_entries import ENTRIES

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
BEGIN, END = "<!-- catalogue: made by python -m ccrouter.config.catalogue_page -->", "<!-- end of catalogue -->"


def table() -> str:
    """The table, in Markdown."""
    lines = [
        "| name | provider | wire format | key | models (and the routes that they suit) | looked up |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_row, ENTRIES)]) + "\n"


def page(text: str) -> str:
    """`text` with the table between its marks."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}"


def _row(entry: Entry) -> str:
    where = f"`{entry.url}`" if entry.url else entry.platform
    models = "<br>".join(
        f"`{model.id}`" + (f" ({', '.join(model.roles)})" if model.roles else "") for model in entry.models
    )
    key = f"`{entry.key}`" if entry.key else "–"
    title = f"[{entry.title}]({entry.docs})<br>{where}" + (f"<br>{entry.note}" if entry.note else "")
    return f"| `{entry.name}` | {title} | `{entry.dialect}` | {key} | {models or '–'} | {entry.confirmed or 'not'} |"


def main() -> None:
    """Writes the page anew."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT, parse, place, python, texts

HERE = Path(__file__)

# -- nothing is left for later -----------------------------------------------------------------------------------------

_LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
_SOURCES = frozenset({".py", ".c", ".h", ".js", ".mjs", ".ts", ".html", ".css", ".sh"})


def left_for_later(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _LATER.search(line)]


def test_nothing_is_left_for_later():
    """No source says that something is to be done, or raises that it was not."""
    found = {
        place(path): lines
        for path in texts()
        if path.suffix in _SOURCES and path != HERE and (lines := left_for_later(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize("line", ["x = 1  # TODO: later", "raise NotImplementedError", "/* FIXME */", "# XXX"])
def test_what_is_left_is_found(line):
    """The search finds each of the words; a name that contains one is none."""
    assert left_for_later(f"a\n{line}\n") == [line]
    assert left_for_later("TODOS = mastodon") == []


# -- errors are not swallowed ------------------------------------------------------------------------------------------


def swallowed(tree: ast.AST) -> Iterator[int]:
    """The lines of handlers that catch everything and do nothing about it."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=kind, body=body) if _is_everything(kind) and all(map(_does_nothing, body)):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="suppress") | ast.Name(id="suppress"), args=kinds):
                if any(_is_everything(kind) for kind in kinds):
                    yield node.lineno


def _is_everything(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(_is_everything(one) for one in kind.elts)
    return kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Pass, ast.Continue, ast.Break)) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def test_no_error_is_swallowed():
    """Nothing catches every exception and goes on as if there had been none."""
    assert [
        f"{place(path)}:{line}" for path in python("src", "bench", "tests") for line in swallowed(parse(path))
    ] == []


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept (ValueError, BaseException): ...",
        "try: f()\nexcept Exception as e:\n    'why'",
        "for x in y:\n    try: f()\n    except Exception: continue",
        "with contextlib.suppress(Exception): f()",
        "with suppress(ValueError, Exception): f()",
    ],
)
def test_swallowing_is_found(code):
    """Each way of swallowing everything is found."""
    assert list(swallowed(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept ValueError: pass",
        "try: f()\nexcept Exception: log()",
        "try: f()\nexcept Exception as e: raise X from e",
        "with contextlib.suppress(OSError): f()",
    ],
)
def test_handling_is_not_swallowing(code):
    """A named exception may be passed over, and any may be turned into something."""
    assert not list(swallowed(ast.parse(code)))


# -- printing is the command's -----------------------------------------------------------------------------------------

#: Outside cli/: file → why it prints.
PRINTERS = {
    "src/ccrouter/audit/trail.py": "a record that cannot be written can only be said on stderr",
    "src/ccrouter/server/voice.py": "the trace of a defect, where there is no log to take it",
    "src/ccrouter/server/log.py": "a log that cannot be written can only be said on stderr",
}


def prints(tree: ast.AST) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "pprint"}
    ]


def test_only_the_command_prints():
    """Outside cli/ nothing prints, but for the listed places, each of which still does."""
    found = {
        place(path) for path in python("src") if prints(parse(path)) and "cli" not in path.relative_to(PACKAGE).parts
    }
    assert found == set(PRINTERS)


def test_printing_is_found():
    """A call of print is found; a word in a text or a method of that name is none."""
    assert prints(ast.parse("def f():\n    print('x')")) == [2]
    assert prints(ast.parse("'print(x)'\nx.print()")) == []


# -- every exemption has its reason ------------------------------------------------------------------------------------

_EXEMPTION = re.compile(
    r"#\s*(noqa|type:\s*ignore|pragma:\s*no\s*(?:cover|branch)|pylint:\s*disable|mypy:\s*ignore)(?P<rest>.*)"
)
_CODES = re.compile(r"^\s*:?\s*(\[[\w\-,\s]*\]|[A-Z]+[0-9]+(\s*,\s*[A-Z]+[0-9]+)*)?")


def unreasoned(text: str) -> list[str]:
    """The lines that switch a check off without saying why: no word behind the codes."""
    found = []
    for line in text.splitlines():
        match = _EXEMPTION.search(line)
        if match and len(re.findall(r"\w+", _CODES.sub("", match["rest"], count=1))) < 1:
            found.append(line.strip())
    return found


def test_every_exemption_has_its_reason():
    """Each line that switches a lint or type check off says why on that line."""
    found = {
        place(path): lines
        for path in python("src", "bench", "tests")
        if path != HERE and (lines := unreasoned(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("line", "has_reason"),
    [
        ("x()  # noqa", False),
        ("x()  # noqa: T201", False),
        ("x()  # noqa: T201, S101 -", False),
        ("x()  # noqa: T201 - stdout is the interface", True),
        ("x()  # noqa: T201,S101  as above", True),
        ("x()  # type: ignore", False),
        ("x()  # type: ignore[arg-type]", False),
        ("x()  # type: ignore[arg-type, misc]  # no stubs", True),
        ("x()  # pragma: no cover", False),
        ("x()  # pragma: no cover - only on Windows", True),
        ("x()  # a comment", True),
    ],
)
def test_exemptions_without_reason_are_found(line, has_reason):
    """An exemption without words is found, one with a reason passes."""
    assert (unreasoned(line) == []) is has_reason


def ignores(text: str) -> list[str]:
    """The lines of pyproject.toml that switch a rule off without a comment beside them."""
    inside, found = False, []
    for line in text.splitlines():
        stripped = line.strip()
        if re.match(r'ignore\s*=\s*\[|"[^"]*\*\*"\s*=\s*\[', stripped):
            inside = not stripped.split("#")[0].rstrip().endswith("]")
            if not inside and "#" not in stripped:
                found.append(stripped)
        elif inside and stripped.startswith("]"):
            inside = False
        elif inside and stripped.startswith('"') and "#" not in stripped:
            found.append(stripped)
    return found


def test_every_rule_switched_off_has_its_reason():
    """Every rule that pyproject.toml switches off, for all or for some files, has its reason on the same line."""
    assert ignores((ROOT / "pyproject.toml").read_text(encoding="utf-8")) == []


def test_rules_without_reason_are_found():
    """A bare code in a list of several lines or of one is found."""
    text = 'ignore = [\n    "A1",  # why\n    "B2",\n]\n"x/**" = ["C3"]\n"y/**" = ["D4"]  # why\nselect = [\n    "E5",\n]\n'
    assert ignores(text) == ['"B2",', '"x/**" = ["C3"]']


# -- the project stands alone ------------------------------------------------------------------------------------------

# Put together here, so that this file does not hold what it looks for.
_OUTSIDE = tuple(
    "".join(parts)
    for parts in (
        ("..", "/shared"),
        ("/work", "/"),
        ("/tmp/", "brief"),
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("registry.", "npmjs.org"),
        ("registry.", "yarnpkg.com"),
        ("npm", "mirror.com"),
        ("mirrors", "."),
        ("index", "-url ="),
    )
)


def names_outside(text: str) -> list[str]:
    return [name for name in _OUTSIDE if name in text]


def test_the_project_stands_alone():
    """No file names a place outside the project: another folder of the maker's machine, a package index, a mirror."""
    found = {
        place(path): names
        for path in texts()
        if (names := names_outside(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize("name", _OUTSIDE)
def test_places_outside_are_found(name):
    """Each of the names is found wherever it stands in a text."""
    assert names_outside(f"see https://{name}x") == [name]


# -- names ---------------------------------------------------------------------------------------------------------------

_BANNED = re.compile(r"(utils?|helpers?|common|managers?|handlers?|misc)", re.IGNORECASE)


def badly_named(names: list[str]) -> list[str]:
    """The names of which a word is one that says nothing."""
    return [name for name in names if any(_BANNED.fullmatch(word) for word in re.split(r"[/._]", name))]


def test_no_module_is_named_for_nothing():
    """Modules are named for what is in them; a name that fits everything keeps nothing out."""
    assert badly_named([place(path) for path in python("src", "bench", "tests")]) == []


def test_bad_names_are_found():
    """Folders and files, alone or as one word of several; a name that only contains the letters passes."""
    bad = ["src/a/utils.py", "src/helpers/b.py", "x/stream_handler.py", "common.py", "a/Manager.py"]
    assert badly_named([*bad, "x/futile.py", "uncommon.py"]) == bad


def test_sources_are_seen():
    """The searches above look at the sources, the tests, the documents and the files at the top."""
    seen = {place(path) for path in texts()}
    assert {
        "pyproject.toml",
        "README.md",
        "Makefile",
        "src/ccrouter/errors.py",
        "tests/architecture/test_house.py",
    } <= seen
    assert any(name.startswith("docs/") for name in seen)
    assert not any("__pycache__" in name or ".venv" in name for name in seen)

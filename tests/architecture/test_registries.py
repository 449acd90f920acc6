"""What there is, is registered, and what is registered, is there."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import get_args

from ccrouter.cli.commands import ALIASES, COMMANDS
from ccrouter.config.endpoint import PROTOCOLS
from ccrouter.config.schema import DialectName
from ccrouter.dialects.registry import DIALECTS
from ccrouter.routing import rules
from ccrouter.routing.rules import RULES
from ccrouter.server.routes import ROUTES
from ccrouter.web.pages import PAGES
from tests.architecture.sources import PACKAGE, parse


def packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def modules_defining(folder: Path, name: str) -> set[str]:
    """The stems of the modules in `folder` that define `name` at their top level."""
    return {path.stem for path in folder.glob("*.py") if _defines(parse(path), name)}


def _defines(tree: ast.Module, name: str) -> bool:
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=defined) | ast.AsyncFunctionDef(name=defined) | ast.ClassDef(name=defined):
                if defined == name:
                    return True
            case ast.Assign(targets=targets):
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    return True
            case _:
                pass
    return False


def functions_giving(tree: ast.Module, kind: str) -> list[str]:
    """The public functions of a module whose return annotation is `kind`, in order."""
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.returns and ast.unparse(node.returns) == kind
    ]  # fmt: skip


# -- dialects ----------------------------------------------------------------------------------------------------------


def test_every_dialect_is_registered():
    """Each package below dialects/ is in the registry under its own name, and the registry holds nothing else."""
    assert packages(PACKAGE / "dialects") == set(DIALECTS)
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}


def test_the_config_knows_which_dialects_there_are():
    """Every wire format that the config knows is in the registry, and can be asked for by `protocol`."""
    assert set(DIALECTS) == set(get_args(DialectName)) == set(PROTOCOLS.values())


# -- commands ----------------------------------------------------------------------------------------------------------


def test_every_command_is_registered():
    """Each module of cli/ that defines a command is in the registry, and the registry names no other."""
    registered = {module for module, _ in COMMANDS.values()}
    assert registered == {f"ccrouter.cli.{stem}" for stem in modules_defining(PACKAGE / "cli", "command")}


def test_every_entry_works():
    """Each registered module has its command, with help; names and aliases are lower-case words and do not collide."""
    for name, (module, summary) in COMMANDS.items():
        command = import_module(module).command
        assert command.help or command.callback.__doc__
        assert summary
        assert not summary.endswith(".")
        assert name == name.lower()
    assert set(ALIASES.values()) <= set(COMMANDS)
    assert not set(ALIASES) & set(COMMANDS)


# -- rules -------------------------------------------------------------------------------------------------------------


def test_every_rule_is_registered():
    """Each public function of routing/rules.py that gives a route or nothing is in RULES, once."""
    written = functions_giving(parse(PACKAGE / "routing" / "rules.py"), "Route | None")
    registered = [rule.__name__ for rule in RULES]
    assert sorted(written) == sorted(registered)
    assert all(getattr(rules, name) in RULES for name in written)


# -- pages -------------------------------------------------------------------------------------------------------------


def test_every_page_is_registered():
    """Each module of web/pages/ that defines a page is in the registry, with a template of its own and a route of its own."""
    stems = modules_defining(PACKAGE / "web" / "pages", "PAGE")
    written = [import_module(f"ccrouter.web.pages.{stem}").PAGE for stem in sorted(stems)]
    assert sorted(PAGES, key=lambda page: page.template) == sorted(written, key=lambda page: page.template)
    folder = PACKAGE / "web" / "templates"
    others = {"base.html", "missing.html", "parts", "sign-in.html"}
    assert {page.template for page in PAGES} | others == {path.name for path in folder.iterdir()}
    assert len({page.path for page in PAGES}) == len({page.template for page in PAGES}) == len(PAGES)
    assert {row.path for row in ROUTES} >= {page.path for page in PAGES}


# -- the comparisons can fail ------------------------------------------------------------------------------------------


def test_what_is_not_registered_is_seen(tmp_path):
    """A new dialect package, a new command in any way of writing it, and a new rule show up in the lists compared above."""
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "__init__.py").touch()
    (tmp_path / "novel" / "inner").mkdir()
    (tmp_path / "data").mkdir()
    assert packages(tmp_path) == {"novel"}
    (tmp_path / "one.py").write_text("@click.command()\ndef command(): ...\n")
    (tmp_path / "two.py").write_text("command = make()\n")
    (tmp_path / "none.py").write_text("def other():\n    command = 1\n")
    assert modules_defining(tmp_path, "command") == {"one", "two"}
    tree = ast.parse("def a() -> Route | None: ...\ndef _b() -> Route | None: ...\ndef c() -> Route: ...")
    assert functions_giving(tree, "Route | None") == ["a"]

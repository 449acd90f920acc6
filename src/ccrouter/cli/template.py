"""Templates of configurations: those that come along, and files that users name. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccrouter.config.interpolate import Filled, fill
from ccrouter.config.load import home_folder
from ccrouter.config.syntax import parse
from ccrouter.errors import ConfigError, RouterError
from ccrouter.jsontypes import Json

_SHIPPED = Path(__file__).parent / "templates"
_IN_REPOSITORY = Path(".claude-code-router/config.json")

#: What is shown as the value of a variable, where the guides show something of their own.
_EXAMPLES = {"CCR_APIKEY": "<a_local_secret>", "OPENROUTER_API_KEY": "sk-or-..."}

#: Long and varied enough for any policy's rule on keys.
STAND_IN = "stands-in-mP7vX2qkR9tZw4bhL6ncJ8fyD3sgT5uaB1eKoN0iWxGrYzQdHjMpVlSfUcEtAvIbOhXkD7w"


class MissingTemplate(RouterError):
    """There is no such template. The text is the one of the guide's own installer."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it is written to disk. `name` is "" for a user's file."""

    name: str
    data: bytes

    def stand_ins(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ`, with a value for every variable that the template needs and that has none."""
        return stand_ins(self.data.decode("utf-8", "replace"), environ)


def read_template(named: str, environ: Mapping[str, str]) -> Template:
    """The template of that name, or else the file at that path; a leading `~` is the home folder.

    Raises MissingTemplate if there is neither, RouterError if it cannot be read.
    """
    shipped = {path.stem: path for path in _SHIPPED.glob("*.json")}
    if named in shipped:
        return Template(named, shipped[named].read_bytes())
    path = home_folder(environ) / named[2:] if named == "~" or named.startswith("~/") else Path(named)
    try:
        return Template("", path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise MissingTemplate(_missing(named, path, sorted(shipped))) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RouterError(f"the template {named!r} cannot be read: {reason}") from error


def stand_ins(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, with a value for every variable that the config `text` needs and that has none."""
    return {**environ, **{name: STAND_IN for name in needed_variables(text) if not environ.get(name)}}


def needed_variables(text: str) -> dict[str, bool]:
    """The variables without a default that a config `text` names; True for those of the router's own key.

    These come last, as the guide lists them. None for a text that is no configuration.
    """
    try:
        tree = parse(text, "").tree
    except ConfigError:
        return {}
    own = {key: value for key, value in tree.items() if key.casefold() == "apikey"}
    providers = {key: value for key, value in tree.items() if key not in own}
    names = dict.fromkeys(_unset(fill(providers, {})), False)
    return names | {name: True for name in _unset(fill(own, {})) if name not in names}


def environment_lines(template: Template, platform: str) -> list[str]:
    """The commands that set the template's variables, for the shells of `platform`; none if it needs none."""
    given = [
        (name, _EXAMPLES.get(name) or ("<a_local_secret>" if is_own else "<your_key>"))
        for name, is_own in needed_variables(template.data.decode("utf-8", "replace")).items()
    ]
    if platform == "win32":
        starts = ["  PowerShell:  ", *[" " * 15] * len(given)]
        return [f'{start}setx {name} "{value}"' for start, (name, value) in zip(starts, given, strict=False)]
    return [f'  export {name}="{value}"' for name, value in given]


def _missing(named: str, path: Path, shipped: list[str]) -> str:
    if path == _IN_REPOSITORY:
        return f"Missing {named} in repo"
    looks_like_a_name = path.name == named and not path.suffix
    return f"Missing {named}" + (f"\n  hint: the templates are: {', '.join(shipped)}" if looks_like_a_name else "")


def _unset(node: Json) -> Iterator[str]:
    if isinstance(node, Filled):
        yield from node.unset
    elif isinstance(node, list):
        for value in node:
            yield from _unset(value)
    elif isinstance(node, dict):
        for value in node.values():
            yield from _unset(value)

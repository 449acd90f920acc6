"""Presets: configurations that others made, each in `presets/NAME/manifest.json` with the questions that it asks.

A manifest holds metadata, members of a configuration, `schema` (the questions), `template` (more of the configuration,
with `#{id}` for answers), `configMappings` (answers put into places) and `userValues` (the answers). Reads files;
writes nothing.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ccrouter.config.interpolate import variables_in
from ccrouter.config.load import Reading, read, router_folder
from ccrouter.config.preset_inputs import Input, holds, read_inputs
from ccrouter.config.schema import Config
from ccrouter.config.syntax import read_source
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject

FOLDER = "presets"
MANIFEST = "manifest.json"

#: Members of a manifest that tell of the preset, and those that say how its configuration is made.
METADATA = (
    "name", "version", "description", "author", "homepage", "repository", "license", "keywords", "ccrVersion", "source",
    "sourceType", "checksum",
)  # fmt: skip
MAKING = ("schema", "template", "configMappings", "userValues")
#: Members for `ccr code` alone.
LAUNCHING = ("claudeCodeSettings", "noServer", "provider")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ANSWER = re.compile(r"#\{\s*([^}\s]+)\s*\}")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def is_name(name: str) -> bool:
    """True if a preset may be called so: a word that is a folder's name everywhere, and no way to another folder."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def presets_folder(environ: Mapping[str, str]) -> Path:
    """Where presets are installed."""
    return router_folder(environ) / FOLDER


@dataclass(frozen=True, slots=True)
class Preset:
    """An installed preset, by its folder's name. `title` is the name in its manifest."""

    folder: Path
    manifest: JsonObject

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        return self.folder / MANIFEST

    @property
    def title(self) -> str:
        title = self.manifest.get("name")
        return title if isinstance(title, str) and title else self.name

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The questions. Raises ConfigError for a schema that is none."""
        return read_inputs(self.manifest.get("schema"), str(self.file))

    @property
    def answers(self) -> JsonObject:
        """The answers: those given, else the defaults."""
        given = self.manifest.get("userValues")
        defaults = {one.id: one.default for one in self.inputs if one.default is not None}
        return {**defaults, **(given if isinstance(given, dict) else {})}

    def unanswered(self) -> list[Input]:
        """The required questions that are asked, by what is answered, and have no answer."""
        answers = self.answers
        return [
            one
            for one in self.inputs
            if one.is_required and one.is_asked(answers) and answers.get(one.id) in (None, "", [])
        ]


def read_preset(folder: Path) -> Preset:
    """The preset in `folder`. Raises ConfigError if its manifest cannot be read."""
    return Preset(folder, read_source(folder / MANIFEST).tree)


def installed(environ: Mapping[str, str]) -> list[Path]:
    """The folders of presets, by name. Files, links that lead nowhere and folders of other names are none."""
    try:
        entries = sorted(os.scandir(presets_folder(environ)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Path(entry.path) for entry in entries if entry.is_dir() and is_name(entry.name)]


def find_preset(name: str, environ: Mapping[str, str]) -> Preset | None:
    """The preset in the folder `name`, else the one whose manifest says that it is called so; None if there is none.

    Raises ConfigError for one that cannot be read.
    """
    if not is_name(name):
        return None
    folder = presets_folder(environ) / name
    if (folder / MANIFEST).is_file():
        return read_preset(folder)
    for other in installed(environ):
        try:
            preset = read_preset(other)
        except ConfigError:
            continue  # what is wrong with another is told by those who list them
        if preset.title == name:
            return preset
    return None


def read_configuration(preset: Preset, environ: Mapping[str, str]) -> Reading:
    """The preset's configuration, with its answers in place and variables filled in.

    Raises ConfigError for what cannot be made; other problems are in the reading.
    """
    missing = preset.unanswered()
    if missing:
        raise ConfigError([
            Problem(
                str(preset.file),
                f"userValues.{one.id}",
                f'is not answered: "{one.label}"',
                f"ccr preset configure {preset.name} --set {one.id}=...",
            )
            for one in missing
        ])  # fmt: skip
    return read(preset.file, environ, text=json.dumps(configuration(preset)))


def usable_configuration(preset: Preset, environ: Mapping[str, str]) -> Config:
    """The preset's configuration. Raises ConfigError with everything that is wrong with it."""
    reading = read_configuration(preset, environ)
    if reading.problems:
        raise ConfigError(reading.problems)
    return reading.config


def configuration(preset: Preset) -> JsonObject:
    """The members of the preset's configuration, its answers in place.

    Raises ConfigError for mappings that lead nowhere, and for names of variables that are only put together here: what
    a preset reads from the environment can be told before it is used.
    """
    answers = preset.answers
    skipped = {*METADATA, *MAKING, *LAUNCHING}
    tree: JsonObject = {key: copy.deepcopy(value) for key, value in preset.manifest.items() if key not in skipped}
    template = preset.manifest.get("template")
    if isinstance(template, dict):
        _merge(tree, template)
    filled = _fill(tree, answers)
    assert isinstance(filled, dict), "an object filled is an object"
    mappings = preset.manifest.get("configMappings")
    for place, mapping in enumerate(mappings if isinstance(mappings, list) else []):
        if isinstance(mapping, dict) and holds(mapping.get("when"), answers):
            _put(filled, mapping, answers, Problem(str(preset.file), f"configMappings[{place}]", ""))
    told = set(variables(preset))
    hidden = {name for text in texts_in(filled) for name in variables_in(text)} - told
    if hidden:
        message = f"puts the name of a variable together: {', '.join(sorted(hidden))}"
        raise ConfigError([Problem(str(preset.file), "", message, "write ${NAME} in one piece")])
    return filled


def variables(preset: Preset) -> tuple[str, ...]:
    """Every variable of the environment that is named anywhere in the preset, its answers included."""
    told = (value for key, value in preset.manifest.items() if key not in METADATA)
    return tuple(dict.fromkeys(name for value in told for text in texts_in(value) for name in variables_in(text)))


def texts_in(node: Json) -> Iterator[str]:
    """Every text value in `node`."""
    if isinstance(node, str):
        yield node
    for inner in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        yield from texts_in(inner)


def launch_settings(preset: Preset) -> JsonObject:
    """What the preset adds to the settings that `ccr code` gives to claude."""
    settings = _fill(preset.manifest.get("claudeCodeSettings"), preset.answers)
    return settings if isinstance(settings, dict) else {}


def _merge(tree: JsonObject, more: JsonObject) -> None:
    for key, value in more.items():
        old = tree.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            tree[key] = copy.deepcopy(value)


def _fill(node: Json, answers: Mapping[str, Json]) -> Json:
    """`node` with `#{id}` replaced: by the answer itself where the text is nothing else."""
    if isinstance(node, str):
        whole = _ANSWER.fullmatch(node)
        if whole and whole[1] in answers:
            return answers[whole[1]]
        return _ANSWER.sub(lambda found: _text(answers[found[1]]) if found[1] in answers else found[0], node)
    if isinstance(node, list):
        return [_fill(value, answers) for value in node]
    if isinstance(node, dict):
        return {key: _fill(value, answers) for key, value in node.items()}
    return node


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _put(tree: JsonObject, mapping: JsonObject, answers: Mapping[str, Json], at: Problem) -> None:
    target = mapping.get("target")
    steps = list(_steps(target)) if isinstance(target, str) else []
    if not steps:
        raise ConfigError([Problem(at.file, at.path, "has no target", 'write "target": "Providers[0].api_key"')])
    node: Json = tree
    for step, following in pairwise(steps):
        node = _within(node, step, [] if isinstance(following, int) else {}, at)
    last = steps[-1]
    value = _fill(mapping.get("value"), answers)
    if isinstance(node, dict) and isinstance(last, str):
        node[last] = value
    elif isinstance(node, list) and isinstance(last, int) and last <= len(node):
        node[last : last + 1] = [value]
    else:
        raise _leads_nowhere(at)


def _within(node: Json, step: str | int, empty: Json, at: Problem) -> Json:
    if isinstance(node, dict) and isinstance(step, str):
        inner: Json = node.setdefault(step, empty)
        return inner
    if isinstance(node, list) and isinstance(step, int) and step <= len(node):
        if step == len(node):
            node.append(empty)
        item: Json = node[step]
        return item
    raise _leads_nowhere(at)


def _leads_nowhere(at: Problem) -> ConfigError:
    return ConfigError([Problem(at.file, f"{at.path}.target", "leads nowhere in the configuration")])


def _steps(target: str) -> Iterator[str | int]:
    for found in _STEP.finditer(target):
        yield found[1] if found[1] is not None else int(found[2])

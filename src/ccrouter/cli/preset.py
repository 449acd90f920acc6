"""`ccr preset`: configurations that others made: installed, asked for what they need, shown, removed; and one's own
made into one.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.options import StartOptions, config_path
from ccrouter.cli.terminal import fail, harmless, note, say

if TYPE_CHECKING:
    from ccrouter.config.preset_inputs import Input
    from ccrouter.config.presets import Preset
    from ccrouter.jsontypes import Json, JsonObject

# What says that a provider is reached by a cloud's own credentials.
_CLOUD = re.compile(r"(?:vertex|bedrock)(?:-\w+)?\Z|https://[^/]*(?:aiplatform\.|bedrock-runtime)", re.IGNORECASE)
#: Members of Claude Code's settings that are commands.
_RUN = frozenset({"command", "apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "otelHeadersHelper"})

_SET = click.option("--set", "given", multiple=True, metavar="ID=VALUE", help="An answer to one of its questions.")


@click.group()
def command() -> None:
    """Install, show and make presets: whole configurations, each served at /preset/NAME/v1/messages.

    `ccr NAME` runs Claude Code with the preset of that name.
    """


@command.command("list")
def show_all() -> int:
    """List the installed presets, and what is wrong with any."""
    from ccrouter.config.presets import installed, presets_folder, read_configuration, read_preset
    from ccrouter.errors import ConfigError

    folders = installed(os.environ)
    if not folders:
        say(f"No preset is installed in {presets_folder(os.environ)}.")
        return 0
    for folder in folders:
        told = ""
        try:
            preset = read_preset(folder)
            told = " ".join(filter(None, (_word(preset, "version"), _word(preset, "description"))))
            problems = read_configuration(preset, os.environ).problems
        except ConfigError as error:
            problems = tuple(error.problems)
        say(harmless(f"{folder.name}  {told}".rstrip()))
        for problem in problems:
            say(harmless(f"  ! {problem}"))
    return 0


@command.command("info")
@click.argument("name")
def show_one(name: str) -> int:
    """Show what a preset says of itself, what it asks, and where its requests go."""
    preset = _installed(name)
    if preset is None:
        return 1
    for line in describe(preset):
        say(line)
    return 0


@command.command("install")
@click.argument("source")
@click.option("--name", help="Install under this name instead of its own.")
@click.option("--yes", is_flag=True, help="Do not ask whether to install it.")
@_SET
def install(source: str, name: str | None, yes: bool, given: tuple[str, ...]) -> int:  # noqa: FBT001 - click passes options so
    """Install a preset from a folder, a manifest.json, a .zip, or owner/repository at GitHub.

    It is shown first: where its requests would go, and what it would have Claude Code run.
    """
    from ccrouter.config.presets import is_name, presets_folder
    from ccrouter.service.presets import answer, discard, put_in_place, unpack

    if not _is_allowed(f"preset {name or source}"):
        return 1
    into = presets_folder(os.environ)
    preset = unpack(source, into)
    try:
        wanted = name or preset.title
        if not is_name(wanted):
            fail(f"{wanted!r} cannot be a preset's name", "choose one of letters and digits: --name NAME")
            return 1
        for line in describe(preset):
            say(line)
        if not yes and not _confirm(f"Install it as {wanted}?", otherwise="--yes installs without asking"):
            return 1
        shown = describe(preset)
        preset = answer(preset, _answers(preset, given))
        more = [line for line in describe(preset) if line not in shown]
        for line in more:
            say(line)
        if more and not yes and not _confirm("With your answers it is so. Install it?", otherwise="--yes"):
            return 1
        installed = put_in_place(preset, wanted, os.environ)
    finally:
        discard(preset, into)
    say(f"Installed as {installed.name}. `ccr {installed.name}` runs Claude Code with it.")
    return _tell_missing(installed)


@command.command("configure")
@click.argument("name")
@_SET
def configure(name: str, given: tuple[str, ...]) -> int:
    """Answer a preset's questions: by --set, the rest in the terminal."""
    from ccrouter.service.presets import answer

    preset = _installed(name)
    if preset is None:
        return 1
    return _tell_missing(answer(preset, _answers(preset, given)))


@command.command("delete")
@click.argument("name")
def delete(name: str) -> int:
    """Remove an installed preset."""
    from ccrouter.service.presets import remove

    if not remove(name, os.environ):
        fail(f"there is no preset {name!r}", "`ccr preset list` lists them")
        return 1
    say(f"Removed the preset {name}.")
    _reload()
    return 0


command.add_command(delete, "rm")
command.add_command(delete, "remove")


@command.command("export")
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write. [default: NAME.preset.json]")
@click.option("--description", help="What it is for.")
@click.option("--author", help="Who made it.")
@click.option("--tags", help="Keywords, with commas between them.")
@click.option("--include-sensitive", is_flag=True, help="Keep literal keys in it. Never give such a file away.")
def export_one(  # noqa: PLR0913, PLR0917 - one parameter per option
    name: str,
    output: Path | None,
    description: str | None,
    author: str | None,
    tags: str | None,
    include_sensitive: bool,  # noqa: FBT001 - click passes options so
) -> int:
    """Write the config as a preset. Variables stay variables; every literal secret becomes a question."""
    from ccrouter.config.load import read
    from ccrouter.config.preset_export import export
    from ccrouter.config.presets import is_name
    from ccrouter.service.presets import write_manifest

    if not is_name(name):
        fail(f"{name!r} cannot be a preset's name", "letters, digits, dots, dashes")
        return 1
    path = config_path(StartOptions())
    if path is None:
        fail("there is no config to make a preset of", "`ccr start` writes one to fill in")
        return 1
    reading = read(path, os.environ)
    metadata: JsonObject = {
        "name": name,
        "version": "1.0.0",
        **({"description": description} if description else {}),
        **({"author": author} if author else {}),
        **({"keywords": [tag.strip() for tag in tags.split(",") if tag.strip()]} if tags else {}),
    }
    made = export(reading.source.tree, reading.secrets, metadata, with_secrets=include_sensitive)
    target = output or Path(f"{name}.preset.json")
    write_manifest(target.absolute(), made.manifest)
    say(f"Wrote {target} ({datetime.now(UTC):%Y-%m-%d}).")
    for place in made.asked:
        say(f"  asked on installation, as it is secret: {place}")
    for key in made.left_out:
        say(f"  left out, as it is this machine's own: {key}")
    if include_sensitive:
        note("the file holds your keys: it is for you alone")
    return 0


def describe(preset: Preset) -> list[str]:
    """What somebody should know before they use it, a line each."""
    from ccrouter.config.masking import mask
    from ccrouter.config.presets import configuration, launch_settings, texts_in, variables

    lines = [f"{preset.title} {_word(preset, 'version')}".rstrip()]
    lines += [
        f"  {key}: {_word(preset, key)}"
        for key in ("description", "author", "homepage", "license")
        if _word(preset, key)
    ]
    tree = mask(configuration(preset))
    everything = [*texts_in(tree), *texts_in(_made_of(preset))]
    urls = dict.fromkeys(text for text in everything if text.startswith(("http://", "https://")))
    lines += [f"  requests go to: {url}" for url in urls]
    names = variables(preset)
    lines += [f"  reads from your environment: {name}{_state(name)}" for name in names]
    if any(_CLOUD.match(text) for text in everything):
        lines.append("  uses the Google or AWS account that this machine is signed in to")
    for key in ("CUSTOM_ROUTER_PATH", "REWRITE_SYSTEM_PROMPT", "transformers", "StatusLine"):
        if tree.get(key):
            lines.append(f"  brings its own: {key}")
    settings = launch_settings(preset)
    if settings:
        lines.append(f"  sets for Claude Code: {', '.join(sorted(map(str, settings)))}")
        lines += [f"  Claude Code would run: {line}" for line in _commands(settings)]
        environment = settings.get("env")
        if isinstance(environment, dict) and environment:
            lines.append(f"  sets in Claude Code's environment: {', '.join(sorted(environment))}")
    lines += [
        f"  asks: {one.id} ({one.kind}) {one.label if one.label != one.id else ''}".rstrip() for one in preset.inputs
    ]
    return [harmless(line).replace("\n", " ") for line in lines]


def _made_of(preset: Preset) -> JsonObject:
    """What the configuration may be made of besides, whatever the answers are."""
    from ccrouter.config.masking import mask

    parts = {key: preset.manifest.get(key) for key in ("template", "configMappings", "userValues")}
    return mask({**parts, "offered": [[one.default, *one.options] for one in preset.inputs]})


def _state(name: str) -> str:
    return "" if os.environ.get(name) else " (not set)"


def _commands(node: Json) -> list[str]:
    """The commands in settings for Claude Code: of hooks, the status line, and what fetches keys."""
    if isinstance(node, list):
        return [line for value in node for line in _commands(value)]
    if not isinstance(node, dict):
        return []
    found = [value for key, value in node.items() if key in _RUN and isinstance(value, str)]
    return [*found, *(line for value in node.values() for line in _commands(value))]


def _word(preset: Preset, key: str) -> str:
    value = preset.manifest.get(key)
    return value if isinstance(value, str) else ""


def _installed(name: str) -> Preset | None:
    from ccrouter.config.presets import find_preset

    preset = find_preset(name, os.environ)
    if preset is None:
        fail(f"there is no preset {name!r}", "`ccr preset list` lists them")
    return preset


def _is_allowed(what: str) -> bool:
    """False, and the user knows why, if the policy in force does not let presets be."""
    from ccrouter.compliance.document import load_policy
    from ccrouter.compliance.judge import Extension, judge

    policy = load_policy(None, os.environ)
    violation = judge(policy, Extension("presets", what)) if policy.is_in_force else None
    if violation is not None:
        fail(f"{violation.message} (policy {policy.name}, rule {violation.rule})")
    return violation is None


def _answers(preset: Preset, given: tuple[str, ...]) -> JsonObject:
    """The answers to the preset's questions: those given, those there are, and the rest from the terminal."""
    inputs = {one.id: one for one in preset.inputs}
    answers = preset.answers
    for text in given:
        id, sign, value = text.partition("=")  # noqa: A001 - the manifest's own word
        if not sign or id not in inputs:
            raise click.UsageError(f"--set {text}: known are {', '.join(inputs) or 'none'}, each as ID=VALUE")
        answers[id] = _read(inputs[id], value)
    if sys.stdin is not None and sys.stdin.isatty():
        for one in inputs.values():
            if one.is_asked(answers) and answers.get(one.id) in (None, "", []):
                answers[one.id] = _ask(one)
    return {id: value for id, value in answers.items() if value not in (None, "")}  # noqa: A001 - as above


def _read(one: Input, text: str) -> Json:
    try:
        return one.read(text)
    except ValueError as error:
        raise click.UsageError(f"{one.id}: {error}") from error


def _ask(one: Input) -> Json:
    words = harmless(one.prompt or one.label)
    if one.options:
        words = harmless(f"{words} ({', '.join(map(str, one.options))})")
    while True:
        text = click.prompt(words, default="", show_default=False, hide_input=one.is_secret)
        if not text and not one.is_required:
            return None
        try:
            return one.read(text)
        except ValueError as error:
            note(str(error))


def _confirm(question: str, *, otherwise: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        fail("nobody is here to confirm it", otherwise)
        return False
    return click.confirm(question)


def _tell_missing(preset: Preset) -> int:
    missing = preset.unanswered()
    for one in missing:
        note(f"not answered yet: {one.id}; ccr preset configure {preset.name} --set {one.id}=...")
    if not missing:  # else there is nothing yet that could be served
        _reload()
    return 0


def _reload() -> None:
    """A running router serves the presets that are there when it reads its configuration."""
    from ccrouter.cli.applying import apply

    path = config_path(StartOptions())
    if path is not None:
        apply(path)

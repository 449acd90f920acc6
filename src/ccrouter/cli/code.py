"""`ccr code`: Claude Code through the router.

stdin, stdout, arguments and exit code are claude's: our own words go to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.options import StartOptions, follow, listening_place, load_for_clients
from ccrouter.cli.readiness import ensure_running
from ccrouter.cli.terminal import fail, note

if TYPE_CHECKING:
    from ccrouter.config.presets import Preset
    from ccrouter.config.schema import Config
    from ccrouter.jsontypes import JsonObject
    from ccrouter.service.claude import ClaudeProgram
    from ccrouter.service.running import Running

_INSTALL = "Make sure Claude Code is installed: npm install -g @anthropic-ai/claude-code"

#: First words that are commands of claude's own: some refuse `--settings`, and none needs more than the environment.
_CLAUDE_COMMANDS = frozenset(
    {
        "agents",
        "attach",
        "auth",
        "auto-mode",
        "config",
        "doctor",
        "gateway",
        "import",
        "install",
        "kill",
        "logs",
        "mcp",
        "migrate-installer",
        "plugin",
        "plugins",
        "purge",
        "remote-control",
        "respawn",
        "rm",
        "setup-token",
        "stop",
        "ultrareview",
        "update",
        "upgrade",
    }
)


class Verbatim(click.Command):
    """A command whose arguments are not read: every word, `--help` and `--` too, is the other program's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["words"] = tuple(args)
        return []


@click.command(cls=Verbatim, add_help_option=False, options_metavar="[arguments of claude]")
def command(words: tuple[str, ...]) -> int:
    """Run Claude Code through the router, starting the router if it does not run.

    All arguments, `--help` and `--` included, are claude's. Exit code: claude's, or 1 if it could not be started.
    """
    return _launch(words, None)


def with_preset(name: str) -> click.Command:
    """The command that `ccr NAME` is: `ccr code` with the installed preset of that name."""

    def run(words: tuple[str, ...]) -> int:
        from ccrouter.config.presets import find_preset

        preset = find_preset(name, os.environ)
        if preset is None:
            fail(f"there is no preset {name!r}", "`ccr preset list` lists them")
            return 1
        return _launch(words, preset)

    return Verbatim(name, callback=run, add_help_option=False)


def _launch(words: Sequence[str], preset: Preset | None) -> int:
    from ccrouter.cli.start import require_policy
    from ccrouter.compliance.document import load_policy
    from ccrouter.loopback import is_loopback
    from ccrouter.service.address import reachable_host
    from ccrouter.service.claude import ClaudeNotFound, find_claude
    from ccrouter.service.launches import minted
    from ccrouter.service.private import router_folder

    policy = load_policy(None, os.environ)
    config = _config(router_folder())
    try:
        claude = find_claude(config.claude_path, os.environ)
    except ClaudeNotFound as error:
        return _explain_no_claude(error)
    is_ours, running = ensure_running(config)
    if running is None:
        return 1
    config = follow(config, running)
    require_policy(running, config, policy)
    if is_ours and is_loopback(reachable_host(running.host)):
        try:
            with minted(router_folder()) as key:
                return _run_claude(config, running, claude, words, key=key, preset=preset)
        except OSError as error:
            fail(f"cannot keep a key for this launch in {router_folder()}: {error.strerror or error}")
            return 1
    if running.state and running.state.has_key_option:
        fail("the running router wants the key of its --apikey, which is not kept on disk", "set APIKEY in the config")
        return 1
    return _run_claude(config, running, claude, words, key=None, preset=preset)


def _config(folder: Path) -> Config:
    """The configuration of the router that runs, else that of the one to be started, which is accepted first.

    Raises ConfigError, in the words of a start.
    """
    from ccrouter.cli.acceptance import accept
    from ccrouter.errors import ConfigError
    from ccrouter.service.running import find_running

    options = StartOptions()
    running = find_running(folder, *listening_place(options))
    if running is None:
        return accept(options, create=True).config
    if running.state is not None:
        options = options.completed_from(running.state.options)
    try:
        return load_for_clients(options)
    except ConfigError:
        accept(options)
        raise


def _run_claude(  # noqa: PLR0913 - what a launch is made of
    config: Config,
    running: Running,
    claude: ClaudeProgram,
    words: Sequence[str],
    *,
    key: str | None,
    preset: Preset | None,
) -> int:
    """Claude's exit code. `key` is the one of this launch; None where the router takes none but the configured."""
    from ccrouter.service.environ import claude_environment, claude_settings, client_variables, key_variables
    from ccrouter.service.foreground import run_in_foreground
    from ccrouter.service.onboarding import ensure_onboarded
    from ccrouter.service.settings import settings_file

    ensure_onboarded(os.environ)
    base = dict(os.environ)
    variables = client_variables(
        config, host=running.host, port=running.port, base=base, version=claude.version, key=key
    )
    if preset is not None:
        variables["ANTHROPIC_BASE_URL"] += f"/preset/{preset.name}"
    environ = claude_environment(variables, base, withheld=key_variables(config, base))
    without_input = config.is_non_interactive and sys.stdin is not None and sys.stdin.isatty()
    try:
        if not takes_settings(words):
            return run_in_foreground([*claude.command, *words], environ, without_input=without_input)
        settings = claude_settings(variables, status_line=_status_line(config, preset))
        if preset is not None:
            settings = _with_preset(settings, preset)
        with settings_file(settings) as path:
            # Before the user's words: after them it would fall behind a `--`, or to a command that does not know it.
            command_line = [*claude.command, "--settings", str(path), *words]
            return run_in_foreground(command_line, environ, without_input=without_input)
    except OSError as error:
        return _explain_no_claude(error)


def _status_line(config: Config, preset: Preset | None) -> str | None:
    """The command of the status line; None if neither the config nor the preset turns one on."""
    from ccrouter.service.environ import wants_status_line
    from ccrouter.service.owncommand import own_command
    from ccrouter.service.statusline.written import preset_settings

    if preset is not None and wants_status_line(preset_settings(preset.name, os.environ)):
        return f"{own_command(os.environ)} statusline {preset.name}"
    return f"{own_command(os.environ)} statusline" if wants_status_line(config.status_line) else None


def _with_preset(settings: JsonObject, preset: Preset) -> JsonObject:
    """The preset's settings with ours over them: they may add to the environment, and not lead past the router."""
    from ccrouter.config.presets import launch_settings

    own = launch_settings(preset)
    environ = own.get("env")
    return {**own, **settings, "env": {**(environ if isinstance(environ, dict) else {}), **settings["env"]}}


def takes_settings(words: Sequence[str]) -> bool:
    """True if a settings file of ours can be added: the user brings none, and no command of claude's own is called."""
    options = words[: words.index("--")] if "--" in words else words
    if any(word == "--settings" or word.startswith("--settings=") for word in options):
        return False
    return not (words and words[0] in _CLAUDE_COMMANDS)


def _explain_no_claude(error: Exception) -> int:
    note(f"Failed to start claude command: {error}")
    note(_INSTALL)
    return 1

"""`ccr activate`: shell commands for `eval`. stdout carries nothing else, and nothing is created or started."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence

import click

from ccrouter.cli.options import StartOptions, follow, load_for_clients
from ccrouter.cli.terminal import say, warn

BACKQUOTE = "`"


@click.command()
@click.option(
    "--shell",
    type=click.Choice(["auto", "bash", "fish", "powershell", "vscode"]),
    default="auto",
    help="Syntax; auto is bash (zsh, sh), and powershell on Windows. vscode prints settings for its extension.",
)
def command(shell: str) -> None:
    """Print the commands that point `claude` in this shell at the router.

    \b
      bash, zsh    eval "$(ccr activate)"
      fish         ccr activate --shell fish | source
      PowerShell   ccr activate --shell powershell | Out-String | Invoke-Expression
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    from ccrouter.service.claude import ClaudeNotFound, find_claude
    from ccrouter.service.environ import REMOVED, client_variables
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    config = load_for_clients(StartOptions())
    running = find_running(router_folder(), config.host, config.port)
    config = follow(config, running)
    host, port = (running.host, running.port) if running else (config.host, config.port)
    try:
        version = find_claude(config.claude_path, os.environ).version
    except ClaudeNotFound:  # it may be installed later, or be an editor's own: then no version is known
        version = None
    variables = client_variables(config, host=host, port=port, base=os.environ, version=version)
    if shell == "auto":
        shell = "powershell" if os.name == "nt" and not os.environ.get("SHELL") else "bash"
    say(_SYNTAX[shell](variables, REMOVED))
    if running is None:
        warn("the router does not run yet", "ccr start")


def bash(variables: Mapping[str, str], removed: Sequence[str]) -> str:
    """For bash, zsh and sh. Inside double quotes these four characters have a meaning; nothing else has."""
    return _lines(variables, removed, lambda name, value: f"export {name}={_quoted(value, BACKQUOTE)}", "unset {}")


def fish(variables: Mapping[str, str], removed: Sequence[str]) -> str:
    """For fish, which knows no backquotes."""
    return _lines(variables, removed, lambda name, value: f"set -gx {name} {_quoted(value)}", "set -e {}")


def powershell(variables: Mapping[str, str], removed: Sequence[str]) -> str:
    """For PowerShell: inside single quotes only the quote itself has a meaning."""
    return _lines(
        variables,
        removed,
        lambda name, value: f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'",
        "Remove-Item Env:{} -ErrorAction SilentlyContinue",
    )


def vscode(variables: Mapping[str, str], removed: Sequence[str]) -> str:
    """Settings for the Claude Code extension, which sees neither a shell's variables nor `ccr code`."""
    pairs = {**dict.fromkeys(removed, ""), **variables}
    settings = {
        "claudeCode.disableLoginPrompt": True,
        "claudeCode.environmentVariables": [{"name": name, "value": value} for name, value in pairs.items()],
    }
    return json.dumps(settings, indent=2)


_SYNTAX: dict[str, Callable[[Mapping[str, str], Sequence[str]], str]] = {
    "bash": bash,
    "fish": fish,
    "powershell": powershell,
    "vscode": vscode,
}


def _lines(variables: Mapping[str, str], removed: Sequence[str], assign: Callable[[str, str], str], remove: str) -> str:
    return "\n".join([*(assign(*pair) for pair in variables.items()), *(remove.format(name) for name in removed)])


def _quoted(value: str, also: str = "") -> str:
    special = '"$\\' + also
    return '"' + "".join(f"\\{character}" if character in special else character for character in value) + '"'

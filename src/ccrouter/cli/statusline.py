"""`ccr statusline`: the line below Claude Code's prompt. The work is in `footline`, which needs nothing of this."""

from __future__ import annotations

import os

import click

from ccrouter.cli.footline import print_line


@click.command()
@click.argument("preset", required=False, default="")
def command(preset: str) -> int:
    """Print one line about a session, from the JSON that Claude Code gives on stdin and from what the router knows.

    PRESET is an installed preset whose theme is to be used. Without a router that answers within 40 ms the line says
    what Claude Code says. Exit code 1 if stdin is not JSON.
    """
    return print_line(preset, os.environ)

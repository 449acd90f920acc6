"""`ccr version`, for its help and for calls with more words; the plain call is answered before this is imported."""

from __future__ import annotations

import click

from ccrouter.cli import version_line
from ccrouter.cli.terminal import say


@click.command()
def command() -> None:
    """Print the version. Reads no file and asks no network."""
    say(version_line())

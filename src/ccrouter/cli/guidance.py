"""`ccr help`: the help of all, or of one command."""

from __future__ import annotations

import click

from ccrouter.cli.terminal import say


@click.command()
@click.argument("name", required=False)
@click.pass_context
def command(context: click.Context, name: str | None) -> None:
    """Show the help of all commands, or of NAME."""
    parent = context.find_root()
    assert isinstance(parent.command, click.Group)
    if name is None:
        say(parent.get_help())
        return
    _, found, _ = parent.command.resolve_command(parent, [name])
    assert found is not None
    with click.Context(found, info_name=name, parent=parent) as described:
        say(found.get_help(described))

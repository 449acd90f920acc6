"""The group of all commands: imports a command's module when it is called, turns every error into words and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from ccrouter.cli.commands import ALIASES, COMMANDS
from ccrouter.cli.terminal import fail, note, say, survive_any_encoding
from ccrouter.errors import ConfigError, RouterError

_NEXT = """
Next steps:
  ccr start              start the router; the first start writes a config to fill in
  ccr code               start Claude Code through it
  ccr help <command>     what a command can do
"""


class UnknownCommand(click.UsageError):
    """The first word is no command. Exit code 1, as scripts know it, and the help on stderr."""

    exit_code = 1

    def __init__(self, word: str, context: click.Context) -> None:
        super().__init__(f"{word!r} is not a ccr command", context)
        self.word = word

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature; this goes to stderr always
        from difflib import get_close_matches

        assert self.ctx is not None
        note(self.ctx.get_help())
        near = get_close_matches(self.word, [*COMMANDS, *ALIASES], n=1, cutoff=0.5)
        fail(self.message, f"did you mean `ccr {near[0]}`?" if near else "")


class LazyGroup(click.Group):
    """All commands of the registry, none of them imported before it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        entry = COMMANDS.get(ALIASES.get(cmd_name, cmd_name))
        if entry is None:
            return None
        command = import_module(entry[0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and args[0] not in ALIASES:
            if _is_preset(args[0]):
                from ccrouter.cli.code import with_preset

                return args[0], with_preset(args[0]), args[1:]
            raise UnknownCommand(args[0], ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        formatter.write(_NEXT)


def _is_preset(word: str) -> bool:
    from ccrouter.config.presets import MANIFEST, is_name, presets_folder

    return is_name(word) and (presets_folder(os.environ) / word / MANIFEST).is_file()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-v", "--version", "asks_version", is_flag=True, help="Print the version and exit.")
@click.pass_context
def group(context: click.Context, asks_version: bool) -> None:  # noqa: FBT001 - click passes options so
    """Claude Code router: the Anthropic Messages API in front of any provider and model."""
    if asks_version:
        from ccrouter.cli import version_line

        say(version_line())
        context.exit()
    if context.invoked_subcommand is None:
        say(context.get_help())


def run(words: Sequence[str]) -> int:
    """The exit code of `ccr <words>`: 0 done, 1 it could not be done, 2 the options were not understood."""
    survive_any_encoding()
    try:
        code = group.main(args=list(words), prog_name="ccr", standalone_mode=False)
        sys.stdout.flush()
    except UnknownCommand as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ccr"
        fail(error.format_message(), f"`{path} --help` lists the options")
        return error.exit_code
    except click.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except ConfigError as error:
        for problem in error.problems:
            fail(str(problem))
        return 1
    except RouterError as error:
        fail(str(error))
        return 1
    except BrokenPipeError:
        # The reader has gone; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0

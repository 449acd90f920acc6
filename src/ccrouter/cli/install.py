"""`ccr install`: a configuration, the policy that goes with it, and the scripts of a package. Replaces no config
but the starter that nobody has touched.

stdout holds the words of the guide's own installer and nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.terminal import fail, note, say, warn

if TYPE_CHECKING:
    from ccrouter.cli.template import Template
    from ccrouter.compliance.findings import Finding
    from ccrouter.compliance.policy import Policy
    from ccrouter.service.packagejson import Package

_DEFAULT = "anthropic"
#: The policy that comes with the default template.
_PRESET = "anthropic-only"
_FOLDER = ".claude-code-router"


@click.command()
@click.option(
    "--template", "-t", "named", default=_DEFAULT, metavar="NAME|PATH", help="anthropic, openrouter or a file."
)
@click.option("--npm", is_flag=True, help="Add router:* scripts that call ccr to the package.json at hand.")
def command(named: str, npm: bool) -> int:  # noqa: FBT001 - click passes options so
    """Write the router's config, unless there is one, and say which variables it needs.

    The default template comes with the policy anthropic-only, which allows Claude models at Anthropic's API alone;
    `--template openrouter` with none. An existing config is left as it is, unless it is the untouched starter.
    """
    from ccrouter.cli.template import MissingTemplate, read_template
    from ccrouter.errors import RouterError
    from ccrouter.service.packagejson import read_package

    try:
        package = read_package(_here()) if npm else None
        template = read_template(named, os.environ)
        path = _config_path()
    except MissingTemplate as error:
        note(str(error))
        return 1
    except RouterError as error:
        fail(str(error))
        return 1
    try:
        code = _install(path, template)
    except OSError as error:
        fail(f"{error.filename or path} cannot be written: {error.strerror or error}", "nothing was installed")
        return 1
    if code:
        return code
    try:
        _keep_out_of_git(path)
    except OSError as error:
        warn(f"cannot tell whether git would keep {path}: {error.strerror or error}")
    return _add_scripts(package) if package else 0


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody removed the folder we stand in
        return Path(os.environ.get("PWD", "/"))


def _config_path() -> Path:
    """Where the router reads its configuration. Raises RouterError if there is no home folder to speak of."""
    from ccrouter.config.load import find_config
    from ccrouter.errors import RouterError

    try:
        path = find_config(None, os.environ)
        return path if path.is_absolute() else _here() / path
    except RuntimeError as error:
        raise RouterError("there is no home folder: set HOME to yours") from error


def _install(path: Path, template: Template) -> int:
    from ccrouter.cli.template import environment_lines
    from ccrouter.config.starter import is_starter

    if path.is_dir():
        fail(f"{path} is a folder, and should be the config file", "move it away")
        return 1
    if path.is_symlink() and not path.exists():
        fail(f"{path} is a symbolic link to {path.readlink()}, where nothing is", "remove the link")
        return 1
    if path.exists() and not is_starter(path):
        _leave(path, template)
        return 0
    try:
        is_new = _write(path, template)
    except _Refused:
        return 1
    if not is_new:  # another install was quicker by a moment
        _leave(path, template)
        return 0
    say(f"Wrote {path}")
    lines = environment_lines(template, sys.platform)
    for line in ["", "Set env vars before running the router:", *lines] if lines else []:
        say(line)
    return 0


def _leave(path: Path, template: Template) -> None:
    say(f"Found existing {path}. Leaving it as is.")
    if template.name == _DEFAULT:
        _police_existing(path)


class _Refused(Exception):
    """Nothing may be written, and why was said."""


def _write(path: Path, template: Template) -> bool:
    """After the call config and policy are in place; False if there was a config already, other than the starter.

    Raises _Refused, or OSError if they cannot be written; neither of them is there then.
    """
    from ccrouter.compliance.document import load_policy, read_policy
    from ccrouter.config.starter import is_starter, replace_starter, write_new
    from ccrouter.errors import ConfigError
    from ccrouter.service.private import make_folder

    try:
        policy = load_policy(None, os.environ)
        brings_policy = template.name == _DEFAULT and not policy.is_in_force
        if brings_policy:
            policy = read_policy(_PRESET, os.environ)
    except ConfigError as error:
        _tell_problems(error)
        raise _Refused from error
    if policy.is_in_force:
        _check(path, template, policy)
    _close(make_folder(path.parent))
    made = _put_policy() if brings_policy else None
    try:
        is_new = replace_starter(path, template.data) if is_starter(path) else write_new(path, template.data)
    except BaseException:
        if made is not None:
            made.unlink(missing_ok=True)
        raise
    if made is not None and not is_new:  # somebody else has just written a config: it is judged like any that is there
        made.unlink(missing_ok=True)
    elif made is not None:
        _tell_of_running(path, policy)
    return is_new


def _close(folder: Path) -> None:
    """After the call the router's own folder can be entered by its owner alone. Other folders are not ours to close."""
    if folder.name == _FOLDER and os.name != "nt" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _put_policy() -> Path | None:
    """The policy file, in place after the call; None if there was one. Raises OSError if it cannot be written."""
    from ccrouter.compliance.document import FILE_NAME, preset_text
    from ccrouter.config.load import router_folder
    from ccrouter.config.starter import write_new
    from ccrouter.service.private import make_folder

    folder = make_folder(router_folder(os.environ))
    _close(folder)  # a policy that others could change would be refused
    path = folder / FILE_NAME
    return path if write_new(path, preset_text(_PRESET)) else None


def _check(path: Path, template: Template, policy: Policy) -> None:
    """Raises _Refused, the reasons told, if `policy` would not allow the template at `path`."""
    from ccrouter.cli.findings import tell_error

    found = _faults(path, template.data.decode("utf-8", "replace"), policy)
    for finding in found:
        tell_error(finding, str(path))
    if found:
        note(f"Nothing was written: the template breaks the policy {policy.name} ({policy.source}).")
        raise _Refused


def _faults(path: Path, text: str, policy: Policy) -> list[Finding]:
    """What `policy` does not allow of a config `text` at `path`, unset variables aside.

    What stands around it, such as a proxy in the environment, is not its fault; `ccr verify` finds it.
    """
    from ccrouter.cli.findings import in_order
    from ccrouter.cli.template import stand_ins
    from ccrouter.compliance.examine import examine

    verdict = examine(path, stand_ins(text, os.environ), policy, text=text)
    return in_order((finding for finding in verdict.errors if finding.file == str(path)), str(path))


def _tell_of_running(path: Path, policy: Policy) -> None:
    """After the call stderr says so if a router runs that does not work under the `policy` just put in place."""
    from ccrouter.cli.options import StartOptions, load_with_stand_ins
    from ccrouter.cli.start import policy_facts_of
    from ccrouter.config.schema import Config
    from ccrouter.errors import ConfigError, RouterError
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    try:
        config = load_with_stand_ins(StartOptions(config=path))
    except ConfigError:  # where a router listens by default is known all the same
        config = Config()
    try:
        running = find_running(router_folder(), config.host, config.port)
    except RouterError:  # another user's: no policy of ours is for it
        return
    facts = policy_facts_of(running, config) if running else None
    if running and (facts is None or facts.get("digest") != policy.digest):
        warn(
            f"the policy {policy.name} was put in place, and a router runs without it on port {running.port}",
            "ccr restart",
        )


def _police_existing(path: Path) -> None:
    """After the call the policy is in place too, if none was in force and the config at `path` keeps to it.

    Else stderr says that none was put there.
    """
    from ccrouter.compliance.document import load_policy, read_policy
    from ccrouter.errors import ConfigError

    try:
        if load_policy(None, os.environ).is_in_force:
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        policy = read_policy(_PRESET, os.environ)
        found = _faults(path, text, policy)
        if not found:
            if _put_policy() is not None:
                _tell_of_running(path, policy)
            return
    except ConfigError as error:
        _tell_problems(error)
        return
    except OSError as error:
        fail(f"no policy was put in place: {error.filename or path}: {error.strerror or error}")
        return
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    warn(
        f"no policy was put in place: this config would break {_PRESET} ({found[0].message}{more})",
        f"`ccr verify --policy {_PRESET}` shows everything; mend it and run `ccr install` again, or start under a "
        f"policy of your own: `ccr start --policy PATH`",
    )


def _tell_problems(error: Exception) -> None:
    from ccrouter.cli.findings import tell_problem
    from ccrouter.errors import ConfigError

    assert isinstance(error, ConfigError)
    for problem in error.problems:
        tell_problem(problem)


def _keep_out_of_git(path: Path) -> None:
    """After the call git does not offer the router's folder to be committed, or stderr says why it does."""
    from ccrouter.service.worktree import add_to_gitignore, is_ignored, tracked_by_git, work_tree_of

    top = work_tree_of(path)
    if top is None:
        return
    if tracked_by_git(path):
        warn(f"{path} is tracked by git: its keys would be committed", f"git -C {top} rm --cached {path}")
    if is_ignored(path, top):
        return
    if path.parent.name != _FOLDER or top == path.parent:
        warn(f"{path} stands in the git work tree {top}, which does not ignore it", "add it to .gitignore")
        return
    try:
        file = add_to_gitignore(top, _FOLDER)
    except OSError as error:
        warn(f"{top / '.gitignore'} cannot be changed: {error.strerror or error}", f"add this line: {_FOLDER}/")
        return
    note(f"Added {_FOLDER}/ to {file}: the folder stands in a git work tree, and keys are not to be committed.")


def _add_scripts(package: Package) -> int:
    from ccrouter.service.packagejson import SCRIPTS, UnusablePackage, add_scripts, shadowing

    try:
        added = add_scripts(package)
    except UnusablePackage as error:
        fail(str(error))
        return 1
    for name, old in (added.replaced or {}).items():
        note(f"Replaced the script {name} in {package.path}; it was: {old}")
    if added.new:
        note(f"Added to {package.path}: {', '.join(added.new)} ({SCRIPTS[added.new[0]]} …)")
    shadow = shadowing(package)
    if shadow is not None:
        warn(f"`npm run` finds another program called ccr first: {shadow}", "uninstall the package that brings it")
    return 0

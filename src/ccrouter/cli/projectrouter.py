"""The router of one project, as `ccr model --project` changes it: a file of its own, which replaces the whole router of
the config for sessions of that project.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.cli.configfile import ConfigFile, open_config
from ccrouter.cli.terminal import note
from ccrouter.errors import ConfigError

if TYPE_CHECKING:
    from ccrouter.compliance.findings import Finding


def project_file(folder: Path) -> Path:
    """Where the router of the project in `folder` is: Claude Code names a project by its path, with `-` for whatever is
    no letter or digit.
    """
    from ccrouter.config.load import router_folder

    return router_folder(os.environ) / re.sub(r"[^A-Za-z0-9]", "-", str(folder.resolve())) / "config.json"


def open_project(folder: Path) -> ConfigFile:
    """The project's file; without one, what would be written there: the routes that are in force for it now.

    Raises ConfigError if it, or the config that it is about, cannot be read.
    """
    from ccrouter.config.load import home_folder
    from ccrouter.config.syntax import decode, parse, read_bounded

    path, main = project_file(folder), open_config(None)
    known = Path(os.environ.get("CLAUDE_CONFIG_DIR") or home_folder(os.environ) / ".claude") / "projects"
    if not (known / path.parent.name).is_dir():
        note(f"Claude Code has no sessions of {folder} yet: the file counts from the first one on.")
    try:
        text = decode(read_bounded(path), str(path))
    except FileNotFoundError:
        routes = {name: str(ref) for name, ref in main.reading.config.router.routes.items()}
        text = json.dumps({"Router": routes}, indent=2) + "\n"
        return ConfigFile(path, text, parse(text, str(path)).tree, main.policy, is_new=True, main=main)
    return ConfigFile(path, text, parse(text, str(path)).tree, main.policy, main=main)


def project_faults(file: ConfigFile, main: ConfigFile, text: str) -> list[Finding]:
    """What is wrong with `text` as the router of a project, under the policy in force."""
    from ccrouter.compliance.findings import OTHER, Finding, Findings
    from ccrouter.compliance.walk import directory_of, walk_router
    from ccrouter.config.projects import parse_written, settle_written

    reading = main.reading
    found = Findings(file.policy)
    try:
        written = parse_written(text, file.path, os.environ)
        if written is None:
            return []
        walk_router(written.draft, directory_of(reading), found)
        settle_written(written, reading.config)
    except ConfigError as error:
        told = [Finding(one.file, one.path, one.message, "", OTHER, one.hint) for one in error.problems]
        return [*found.errors, *told]
    return list(found.errors)

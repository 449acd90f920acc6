"""The file that spares a new user of Claude Code the questions of its first start, such as which account to use."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from ccrouter.service.private import create_private


def claude_state_file(environ: Mapping[str, str]) -> Path:
    """Where Claude Code keeps its state: `.claude.json` in CLAUDE_CONFIG_DIR or in the home folder."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder).expanduser() if folder else Path.home()) / ".claude.json"


def ensure_onboarded(environ: Mapping[str, str]) -> bool:
    """True if Claude Code's state file was missing and now says that its first-start questions are answered.

    An existing file is never touched. Where none can be written Claude Code asks its questions itself. The content is
    what routers before this one wrote, so that no version of Claude Code finds less than it did.
    """
    path = claude_state_file(environ)
    if not path.parent.is_dir():
        return False  # a folder of Claude Code's that does not exist yet is its own to make
    state = {
        "numStartups": 184,
        "autoUpdaterStatus": "enabled",
        "userID": secrets.token_hex(32),
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": "1.0.17",
        "projects": {},
    }
    try:
        return create_private(path, json.dumps(state, indent=2) + "\n")
    except OSError:  # a home that is read-only, a full disk: no reason not to serve
        return False

"""The guide's configuration, ways to change it, and an examination of it under a policy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ccrouter.compliance.document import read_policy
from ccrouter.compliance.examine import Verdict, examine
from ccrouter.compliance.policy import Policy
from ccrouter.config.load import Overrides

Json = Any

ANTHROPIC_ONLY = read_policy("anthropic-only", {})
OPEN = read_policy("open", {})

GUIDE: Json = {
    "HOST": "127.0.0.1",
    "APIKEY": "${CCR_APIKEY}",
    "LOG": True,
    "LOG_LEVEL": "info",
    "API_TIMEOUT_MS": 600000,
    "Providers": [
        {
            "name": "anthropic",
            "api_base_url": "https://api.anthropic.com/v1/messages",
            "api_key": "${ANTHROPIC_API_KEY}",
            "models": ["claude-3.7-sonnet", "claude-3.7-haiku"],
            "transformer": {"use": ["anthropic"]},
        }
    ],
    "Router": {
        "default": "anthropic,claude-3.7-sonnet",
        "background": "anthropic,claude-3.7-haiku",
        "think": "anthropic,claude-3.7-sonnet",
        "longContext": "anthropic,claude-3.7-sonnet",
        "longContextThreshold": 60000,
    },
}

OPENROUTER: Json = {
    "name": "openrouter",
    "api_base_url": "https://openrouter.ai/api/v1/chat/completions",
    "api_key": "${OPENROUTER_API_KEY}",
    "models": ["qwen/qwen3-coder"],
}

ENVIRON = {
    "CCR_APIKEY": "a-local-secret-of-some-length",
    "ANTHROPIC_API_KEY": "the-key-at-anthropic",
    "OPENROUTER_API_KEY": "the-key-at-openrouter",
}


def changed(change: Callable[[Json], object]) -> Json:
    """The guide's configuration after `change` was applied to it."""
    tree = copy.deepcopy(GUIDE)
    change(tree)
    return tree


def put(tree: Json, value: object, *path: object) -> None:
    """After the call `value` stands at `path`."""
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value


class Desk:
    """A home folder with a private router folder, and examinations of what is written there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / ".claude-code-router"
        self.folder.mkdir(mode=0o700)
        self.path = self.folder / "config.json"

    def write(self, tree: Json, *, mode: int = 0o600) -> None:
        """After the call the configuration is `tree`, or the text that it is."""
        self.path.write_text(tree if isinstance(tree, str) else json.dumps(tree), encoding="utf-8")
        self.path.chmod(mode)

    def beside(self, name: str, tree: Json) -> Path:
        """A file in the router's folder, its own folder made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tree if isinstance(tree, str) else json.dumps(tree), encoding="utf-8")
        return path

    def examine(
        self,
        tree: Json = None,
        policy: Policy = ANTHROPIC_ONLY,
        overrides: Overrides | None = None,
        **environ: str | None,
    ) -> Verdict:
        """The verdict on `tree` (None: on what is there), with these variables beside the usual ones."""
        if tree is not None:
            self.write(tree)
        return examine(self.path, self.environ(environ), policy, overrides or Overrides())

    def environ(self, more: Mapping[str, str | None]) -> dict[str, str]:
        given = {**ENVIRON, "HOME": str(self.home), "USERPROFILE": str(self.home), **more}
        return {name: value for name, value in given.items() if value is not None}


def messages(verdict: Verdict) -> list[str]:
    return [finding.message for finding in verdict.errors]

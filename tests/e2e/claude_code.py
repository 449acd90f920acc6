"""Runs the real Claude Code in print mode, in an environment built from nothing."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT = 90  # seconds for one run; a good one takes two


@dataclass
class ClaudeRun:
    """One finished run: the lines of its stream-json, exit code and stderr."""

    events: list[dict[str, Any]]
    code: int
    stderr: str
    noise: list[str] = field(default_factory=list)

    @property
    def result(self) -> dict[str, Any]:
        return next((event for event in reversed(self.events) if event["type"] == "result"), {})

    @property
    def answers(self) -> list[str]:
        """Texts of the assistant, in order, sub-agents' apart."""
        return [
            block["text"]
            for event in self.events
            if event["type"] == "assistant" and not event.get("parent_tool_use_id")
            for block in event["message"]["content"]
            if block["type"] == "text"
        ]

    @property
    def models(self) -> set[str]:
        return {event["message"]["model"] for event in self.events if event["type"] == "assistant"}

    def told(self) -> str:
        """For the reader of a failed run."""
        shown = [json.dumps(event)[:1500] for event in self.events if event["type"] != "system"]
        return "\n".join([f"exit {self.code}", *shown, *self.noise, self.stderr[-3000:]])


@dataclass(frozen=True)
class ClaudeCode:
    """An installed Claude Code."""

    version: str
    command: tuple[str, ...]

    def run(
        self,
        prompt: str,
        *,
        url: str,
        home: Path,
        token: str = "client-token",
        more: tuple[str, ...] = (),
        variables: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> ClaudeRun:
        """Print mode, all permissions, in `home` as HOME and working folder, if that is not `folder`; raises
        subprocess.TimeoutExpired.
        """
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": token,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_MAX_RETRIES": "2",  # a broken scenario should fail in seconds, not in three minutes
            "IS_SANDBOX": "1",
            **(variables or {}),
        }
        asked = ("-p", prompt, "--output-format", "stream-json", "--verbose")
        done = subprocess.run(
            [*self.command, *asked, "--permission-mode", "bypassPermissions", *more],
            env=environment,
            cwd=folder or home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        events, noise = [], []
        for line in filter(None, done.stdout.split("\n")):
            try:
                events.append(json.loads(line))
            except ValueError:
                noise.append(line)
        return ClaudeRun(events, done.returncode, done.stderr, noise)

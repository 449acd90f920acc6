"""How another program starts this very `ccr`: not whichever the PATH leads to, and also where it leads to none."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def own_command(environ: Mapping[str, str]) -> str:
    """Words for a shell: `ccr` if that finds this one by the PATH of `environ`, else its path, else its Python's."""
    script = Path(sys.executable).with_name("ccr.exe" if os.name == "nt" else "ccr")
    if not script.is_file():
        return f"{_quoted(sys.executable)} -m ccrouter"
    found = shutil.which("ccr", path=environ.get("PATH", ""))
    if found is not None and Path(found).resolve() == script.resolve():
        return "ccr"
    return _quoted(str(script))


def _quoted(path: str) -> str:
    # Claude Code's shell is bash on Windows too, where a backslash would be taken for an escape.
    return shlex.quote(path.replace("\\", "/") if os.name == "nt" else path)

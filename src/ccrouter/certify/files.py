"""The profile that a run leaves behind: the file's form, and writing it. Reading it is the configuration's matter."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ccrouter import __version__
from ccrouter.certify.battery import Outcome
from ccrouter.config.certified import FORMAT, as_json
from ccrouter.config.schema import Endpoint
from ccrouter.errors import RouterError
from ccrouter.jsontypes import JsonObject


class Unwritable(RouterError):
    """The profile cannot be written."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What was found out about a model, and when. `model` is "" for what is taken to hold for all of the provider's."""

    model: str
    outcome: Outcome
    at: datetime


def document(provider: str, endpoint: Endpoint, tested: Tested, before: JsonObject) -> JsonObject:
    """The file's content: what was found out, and what `before`, the content so far, says of other models at the same
    URL. No secret is in it: a battery leaves none in what it found, and the URL goes without its query and password.
    """
    place = {"dialect": endpoint.dialect, "url": endpoint.public_url, "platform": endpoint.platform}
    models: JsonObject = {}
    if before.get("format") == FORMAT and before.get("endpoint") == place and isinstance(before.get("models"), dict):
        models = {name: told for name, told in before["models"].items() if name.lower() != tested.model.lower()}
    models[tested.model] = {
        "tested": tested.at.isoformat(timespec="seconds"),
        "changes": as_json(tested.outcome.changes),
        "probes": {
            name: {"verdict": finding.verdict, "evidence": finding.evidence}
            for name, finding in tested.outcome.findings.items()
        },
    }
    made = f"ccrouter {__version__}"
    return {"format": FORMAT, "provider": provider, "by": made, "endpoint": place, "models": models}


def read(path: Path) -> JsonObject:
    """What the file at `path` holds; nothing if there is none, or if it is none of ours."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def write(path: Path, content: JsonObject) -> None:
    """After the call the file at `path` holds `content`, whole, readable by its owner alone.

    Raises Unwritable, and then the file is what it was.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by contract
        written = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            written.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):  # what failed first is what is reported
                written.unlink()
            raise
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror or error}") from error

"""`StatusLine` as this machine's own files have it: for a router that does not answer, and for scripts, always.

A script is a program. So what names one is read from the user's own configuration alone, and never taken from an
answer over the network, nor from a preset, which is somebody else's work.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import Json, JsonObject

_LARGEST = 4 * 1024 * 1024  # bytes, as of any configuration
_PRESET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Strings stay; comments, and commas before a bracket that closes, are what most files have beyond plain JSON.
_STRING = r'("(?:[^"\\]|\\.)*")'
_COMMENT = re.compile(_STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(_STRING + r"|,(?=\s*[}\]])", re.DOTALL)


def router_folder(environ: Mapping[str, str]) -> str:
    """As config/load.py has it."""
    names = ("USERPROFILE", "HOME") if os.name == "nt" else ("HOME", "USERPROFILE")
    home = next((environ[name] for name in names if environ.get(name)), "") or os.path.expanduser("~")  # noqa: PTH111 - see surroundings.py
    return os.path.join(home, ".claude-code-router")  # noqa: PTH118 - see surroundings.py


def config_file(environ: Mapping[str, str]) -> str:
    """Where the configuration is, as config/load.py finds it."""
    named = environ.get("CCR_CONFIG") or environ.get("CONFIG_PATH") or ""
    if named == "~" or named.startswith(("~/", "~\\")):
        return os.path.join(os.path.dirname(router_folder(environ)), named[2:])  # noqa: PTH118, PTH120 - as above
    return named or os.path.join(router_folder(environ), "config.json")  # noqa: PTH118 - as above


def own_settings(environ: Mapping[str, str]) -> Json:
    """`StatusLine` of the user's configuration; None without one, and if the file cannot be read."""
    return _read(config_file(environ)).get("StatusLine")


def preset_settings(name: str, environ: Mapping[str, str]) -> Json:
    """`StatusLine` of an installed preset; None if it has none."""
    if not _PRESET_NAME.fullmatch(name) or ".." in name:
        return None
    manifest = _read(os.path.join(router_folder(environ), "presets", name, "manifest.json"))  # noqa: PTH118 - as above
    template = manifest.get("template")
    inner = template.get("StatusLine") if isinstance(template, dict) else None
    return inner if manifest.get("StatusLine") is None else manifest["StatusLine"]


def _read(path: str) -> JsonObject:
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - as above; a pipe is read once, by the router
            return {}
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            text = file.read(_LARGEST).decode("utf-8-sig")
    except (OSError, ValueError):
        return {}
    return _parsed(text)


def _parsed(text: str) -> JsonObject:
    """The object that `text` says, in JSON or JSON5; {} for anything else."""
    for attempt in (_as_json, _as_json_with_comments, _as_json5):
        try:
            tree = attempt(text)
        except (ValueError, RecursionError):  # the next one understands more, and takes longer
            continue
        return tree if isinstance(tree, dict) else {}
    return {}


def _as_json(text: str) -> Json:
    tree: Json = json.loads(text)
    return tree


def _as_json_with_comments(text: str) -> Json:
    bare = _COMMENT.sub(lambda found: found[1] or " ", text)
    return _as_json(_COMMA.sub(lambda found: found[1] or "", bare))


def _as_json5(text: str) -> Json:
    import json5  # noqa: PLC0415 - slow, and hardly ever needed

    tree: Json = json5.loads(text)
    return tree

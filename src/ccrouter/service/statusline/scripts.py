"""Modules whose text a script of the user's gives: JavaScript run by `node`, or Python.

All of one language run in one process, which is ended when it takes too long. Their line is slower than any other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject

PATIENCE = 2.0  # seconds
_MARK = "ccr-statusline-said:"

# What is asked for comes on stdin, what is given goes to stdout behind a mark: scripts may print as well.
_IN_JAVASCRIPT = """
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const call = async (one) => {
  const found = require(one.path);
  const made = found && found.default !== undefined && typeof found !== 'function' ? found.default : found;
  return typeof made === 'function' ? await made(asked.variables, one.options) : made;
};
(async () => {
  const said = {}, failed = {};
  for (const one of asked.scripts) {
    try { said[one.number] = String((await call(one)) ?? ''); } catch (error) { failed[one.path] = String(error); }
  }
  process.stdout.write('\\n' + asked.mark + JSON.stringify({ said, failed }) + '\\n', () => process.exit(0));
})();
"""
_IN_PYTHON = """
import json, runpy, sys
asked = json.load(sys.stdin)
said, failed = {}, {}
for one in asked["scripts"]:
    try:
        said[one["number"]] = str(runpy.run_path(one["path"])["statusline"](asked["variables"], one["options"]))
    except BaseException as error:
        failed[one["path"]] = f"{type(error).__name__}: {error}"
print("\\n" + asked["mark"] + json.dumps({"said": said, "failed": failed}))
"""


class Said:
    """What scripts gave, by the number of their module, and what went wrong, a line each."""

    __slots__ = ("complaints", "texts")

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.complaints: list[str] = []


def run_scripts(modules: Sequence[JsonObject], variables: Mapping[str, str], folder: str) -> Said:
    """What the scripts among `modules` say; their paths are relative to `folder`, a leading `~` is the home folder.

    `PATH.py` is Python and defines `statusline(variables, options)`; anything else is JavaScript that exports a
    function of the same, or a text. A script that fails gives nothing, and a complaint; so do all of a language that
    do not end in time.
    """
    said = Said()
    scripts: dict[bool, list[JsonObject]] = {}
    for number, module in enumerate(modules):
        path = module.get("scriptPath")
        if module.get("type") == "script" and isinstance(path, str) and path:
            path = os.path.join(folder, os.path.expanduser(path))  # noqa: PTH111, PTH118 - see surroundings.py
            asked = {"number": number, "path": path, "options": module.get("options")}
            scripts.setdefault(path.endswith(".py"), []).append(asked)
    for is_python, those in scripts.items():
        command = [sys.executable, "-c", _IN_PYTHON] if is_python else ["node", "-e", _IN_JAVASCRIPT]
        _run(command, those, variables, said)
    return said


def _run(command: Sequence[str], scripts: list[JsonObject], variables: Mapping[str, str], said: Said) -> None:
    import subprocess  # noqa: PLC0415 - hardly any line has a script

    question = json.dumps({"scripts": scripts, "variables": dict(variables), "mark": _MARK})
    try:
        done = subprocess.run(  # noqa: S603 - our own words; which scripts they run is the user's
            command, input=question, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        said.complaints.append(f"scripts took longer than {PATIENCE:.0f} s")
        return
    except (OSError, ValueError) as error:
        said.complaints.append(f"{command[0]} cannot be run: {error}")
        return
    answer = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(_MARK)), "")
    if not answer:
        said.complaints.append(f"scripts ended with {done.returncode} and said nothing")
        return
    given = json.loads(answer.removeprefix(_MARK))
    said.texts.update({int(number): text for number, text in given["said"].items()})
    said.complaints += [f"{path}: {error}" for path, error in given["failed"].items()]

"""Tools that OpenAI's models know without a definition, and that the client carries out: as functions, and back. Pure.

Codex and its like offer them by type alone. For other models each becomes a function with a schema; a call of it goes
to the client as the item that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ccrouter.jsontypes import JsonObject


@dataclass(frozen=True, slots=True)
class Native:
    """`tool` is the function; `item` the type of a call, `prefix` begins its id; `action` makes of the function's input
    the members of the item, `given` the reverse.
    """

    tool: JsonObject
    item: str
    prefix: str
    action: Callable[[JsonObject], JsonObject]
    given: Callable[[JsonObject], JsonObject]


#: What `_exec` adds by itself.
_SET_BY_US: list[tuple[str, object]] = [("type", "exec"), ("env", {})]


def _strings(value: object) -> list[str]:
    """A command as a list; one that came as a text is run by a shell."""
    if isinstance(value, list):
        return [one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in value]
    return ["bash", "-lc", value] if isinstance(value, str) else []


def _exec(given: JsonObject) -> JsonObject:
    action: JsonObject = {
        "type": "exec",
        "command": _strings(given.get("command")),
        "env": {},
        "timeout_ms": given.get("timeout_ms"),
        "user": None,
        "working_directory": given.get("working_directory"),
    }
    return {"action": action}


def _shell(given: JsonObject) -> JsonObject:
    commands = given.get("commands")
    action = {
        "commands": [str(one) for one in commands] if isinstance(commands, list) else [str(commands or "")],
        "timeout_ms": given.get("timeout_ms"),
        "max_output_length": given.get("max_output_length"),
    }
    return {"action": action}


def _patch(given: JsonObject) -> JsonObject:
    operation = {"type": str(given.get("type", "update_file")), "path": str(given.get("path", ""))}
    return {"operation": operation if given.get("diff") is None else {**operation, "diff": str(given["diff"])}}


def _told(member: str) -> Callable[[JsonObject], JsonObject]:
    """What the model had said, of an item: what is null there was not said."""

    def given(item: JsonObject) -> JsonObject:
        action = item.get(member)
        members = action if isinstance(action, dict) else {}
        return {name: value for name, value in members.items() if value is not None and (name, value) not in _SET_BY_US}

    return given


def _tool(name: str, description: str, required: list[str], **properties: JsonObject) -> JsonObject:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "description": description, "input_schema": schema}


_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "array", "items": {"type": "string"}}
_NUMBER: JsonObject = {"type": "integer"}

#: By the type under which they are offered.
NATIVES: Mapping[str, Native] = {
    "local_shell": Native(
        _tool(
            "local_shell",
            "Runs one command on the user's machine and returns its output.",
            ["command"],
            command={**_TEXTS, "description": "The program and its arguments."},
            working_directory={**_TEXT, "description": "Where to run it."},
            timeout_ms={**_NUMBER, "description": "After how many milliseconds it is stopped."},
        ),
        "local_shell_call",
        "lsh_",
        _exec,
        _told("action"),
    ),
    "shell": Native(
        _tool(
            "shell",
            "Runs shell commands on the user's machine, one after the other, and returns their output.",
            ["commands"],
            commands={**_TEXTS, "description": "Shell commands, in order."},
            timeout_ms={**_NUMBER, "description": "After how many milliseconds they are stopped."},
            max_output_length={**_NUMBER, "description": "How many characters of output to return."},
        ),
        "shell_call",
        "sh_",
        _shell,
        _told("action"),
    ),
    "apply_patch": Native(
        _tool(
            "apply_patch",
            "Creates, changes or deletes one file in the user's workspace.",
            ["type", "path"],
            type={**_TEXT, "enum": ["create_file", "update_file", "delete_file"]},
            path={**_TEXT, "description": "Relative to the root of the workspace."},
            diff={**_TEXT, "description": "A unified diff; not for a file to delete."},
        ),
        "apply_patch_call",
        "apc_",
        _patch,
        _told("operation"),
    ),
}
#: The name of the function that stands for a search for tools which the client carries out.
TOOL_SEARCH = "tool_search"


def tool_search(description: str, parameters: object) -> Native:
    """Such a search, as the client describes it. Its output brings the tools that it found."""
    schema = parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}}
    tool = {"name": TOOL_SEARCH, "description": description, "input_schema": {"type": "object", **schema}}

    def action(given: JsonObject) -> JsonObject:
        return {"execution": "client", "arguments": given}

    return Native(tool, "tool_search_call", "tsc_", action, _told("arguments"))


BY_ITEM: Mapping[str, Native] = {native.item: native for native in NATIVES.values()}

"""`customparams`: further members of the request, whatever its dialect. Pure."""

from __future__ import annotations

import copy
from typing import Any

from ccrouter.config.transform_options import OVERRIDE
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.members import decoded, merge


class CustomParams(Transform):
    """What is missing is added. Of two objects each member of the option's wins, at any depth; anything else that is
    there stays. Members of `$override` win over what is there, and null takes a member out.
    """

    name = "customparams"

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002 - the options say all
        missing = copy.deepcopy(self.options)  # whoever comes next may change what it finds
        override = missing.pop(OVERRIDE, None) or {}
        for name, value in missing.items():
            if name not in members:
                members[name] = value
            elif isinstance(value, dict) and isinstance(decoded(members[name]), dict):
                members[name] = merge(members[name], value)
        for name, value in override.items():
            if value is None:
                members.pop(name, None)
            else:
                members[name] = merge(members.get(name), value)
        return members

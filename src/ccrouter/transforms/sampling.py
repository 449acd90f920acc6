"""`sampling`: temperature and its relations as the user wants them. Pure."""

from __future__ import annotations

from typing import Any

from ccrouter.transforms.base import Context
from ccrouter.transforms.maxtoken import MaxToken
from ccrouter.transforms.members import SAMPLING, put


class Sampling(MaxToken):
    """The limit is capped as by `maxtoken`; the other options are set where the dialect has them."""

    name = "sampling"

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        members = super().members(members, context)
        for name, path in SAMPLING[context.dialect].items():
            if name in self.options:
                put(members, path, self.options[name])
        return members

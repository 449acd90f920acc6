"""Transforms whose options are members of the request. Pure.

The gateways and hosts that they are called after take more members than any client knows of; what their answers look
like is read by the dialect, for every provider alike.
"""

from __future__ import annotations

import copy
from typing import Any

from ccrouter.transforms.base import Context, Transform


class Additions(Transform):
    """The options become members of the body, each in place of one that is there."""

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002 - the options say all
        members.update(copy.deepcopy(self.options))  # whoever comes next may change what it finds
        return members

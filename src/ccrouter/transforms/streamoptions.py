"""`streamoptions`: a streamed Chat answer tells its usage. Pure.

The router asks for it by itself wherever the server is not known to refuse it; this asks there too, or not at all.
"""

from __future__ import annotations

from typing import Any

from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.members import drop, put

_PLACE = ("stream_options", "include_usage")


class StreamOptions(Transform):
    """`stream_options.include_usage` of a streamed Chat request is true, or with the option false not there. Usage
    comes unasked in every other dialect.
    """

    name = "streamoptions"

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.dialect != "openai_chat" or not context.is_streamed:
            return members
        if self.options.get("include_usage", True):
            put(members, _PLACE, True)  # noqa: FBT003 - the value to set
        else:
            drop(members, _PLACE)
            if members.get("stream_options") == {}:
                del members["stream_options"]
        return members

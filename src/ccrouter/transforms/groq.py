"""`groq`: Groq's own members, such as `{"service_tier": "flex"}`. Pure.

Neither `cache_control` nor `$schema` in a tool's schema goes to it: the dialect sends neither to a server that is not
known to take them. Ids of calls are read as they come.
"""

from __future__ import annotations

from ccrouter.transforms.additions import Additions


class Groq(Additions):
    """The options become members of the request."""

    name = "groq"

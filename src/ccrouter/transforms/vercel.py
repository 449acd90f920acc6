"""`vercel`: Vercel's AI Gateway's members, such as `{"providerOptions": {"gateway": {"order": ["bedrock"]}}}`. Pure."""

from __future__ import annotations

from ccrouter.transforms.additions import Additions


class Vercel(Additions):
    """The options become members of the request."""

    name = "vercel"

"""`deepseek`: a limit of one's own for DeepSeek models. Pure.

Reasoning and its way back, and contents as plain texts, are the dialect's and the profile's. The 8192 tokens that the
classic router allowed are far below what current models write, so there is a limit only where the options name one.
"""

from __future__ import annotations

from ccrouter.transforms.maxtoken import MaxToken


class DeepSeek(MaxToken):
    """As `maxtoken`."""

    name = "deepseek"

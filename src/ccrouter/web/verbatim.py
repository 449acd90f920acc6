"""A text that a page shows as it is, its lines, tabs and odd letters kept: what somebody is about to edit."""

from __future__ import annotations


class Verbatim(str):
    """A text whose letters are not touched; secrets are taken out of it as of any other."""

    __slots__ = ()

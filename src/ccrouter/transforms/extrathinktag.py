"""`extrathinktag`: thinking that a server leaves in the text, between tags, as thinking. Pure.

The dialect takes `<think>` at the very beginning of a Chat answer apart by itself; this does so wherever it stands, for
any tags, and for answers of any dialect.
"""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.transforms.base import Context, EventFilter, Transform
from ccrouter.transforms.tagged import Tag, TaggedThinking

_DEFAULT = "think"


def tag_of(name: str) -> Tag:
    """The pair of tags that has this name, with or without its angle brackets."""
    bare = name.strip("<>/ ")
    return Tag(f"<{bare}>", f"</{bare}>")


class ExtraThinkTag(Transform):
    """What stands between the tags of the options is thinking, and no text."""

    name = "extrathinktag"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        names: list[str] = options.get("tag") or ([] if "open" in options else [_DEFAULT])
        self._tags = [tag_of(name) for name in names]
        if "open" in options:
            self._tags.insert(0, Tag(options["open"], options["close"]))
        self._anywhere: bool = options.get("where", "anywhere") == "anywhere"
        self._begins_inside: bool = options.get("begins_inside", False)

    def events(self, context: Context) -> EventFilter:
        signature = carrier.pack(context.dialect, context.target.provider.name)
        return TaggedThinking(self._tags, signature, anywhere=self._anywhere, begins_inside=self._begins_inside)

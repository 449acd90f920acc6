"""Who looks at images for models that cannot see, and for which models. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.config.schema import Target
from ccrouter.dialects.profiles import profile_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """The model that looks at images for others. `is_forced`: also for those that could see themselves. `affinity`
    names the session, for which the same key is taken.
    """

    target: Target
    is_forced: bool = False
    affinity: str = ""

    def is_needed_by(self, target: Target) -> bool:
        """True if images are to be looked at for `target`."""
        if (target.provider.name, target.model) == (self.target.provider.name, self.target.model):
            return False
        return self.is_forced or not profile_of(target).accepts_images

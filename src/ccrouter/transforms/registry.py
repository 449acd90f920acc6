"""The router's own transforms by name. To add one: write it, and add its line here."""

from __future__ import annotations

from typing import Any

from ccrouter.config.schema import Target, TransformSpec
from ccrouter.jsontypes import JsonObject
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.chain import Chain
from ccrouter.transforms.parameters import PARAMETERS


class _Parameters(Transform):
    def __init__(self, name: str, options: JsonObject) -> None:
        super().__init__(options)
        self._apply = PARAMETERS[name]

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002 - the options say all
        self._apply(members, self.options)
        return members


def specs_of(target: Target) -> tuple[TransformSpec, ...]:
    """What the configuration asks for `target`: the provider's transforms, then those of the model."""
    provider = target.provider
    return (*provider.transforms, *provider.model_transforms.get(target.model, ()))


class Chains:
    """The chains of targets, each made once. For the providers of one configuration."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Chain] = {}

    def of(self, target: Target) -> Chain:
        """The chain for `target`."""
        key = (target.provider.name, target.model)
        if key not in self._made:
            specs = [spec for spec in specs_of(target) if spec.name in PARAMETERS]
            self._made[key] = Chain([_Parameters(spec.name, spec.options) for spec in specs])
        return self._made[key]

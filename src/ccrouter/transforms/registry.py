"""The router's own transforms by name. To add one: write it, add its line here, and its options to the configuration's
(`config.transform_options`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ccrouter.config.schema import Target, TransformSpec
from ccrouter.config.transformers import WIRE_FORMATS
from ccrouter.errors import LocalProtocolError
from ccrouter.transforms.base import Transform
from ccrouter.transforms.cerebras import Cerebras
from ccrouter.transforms.chain import Chain
from ccrouter.transforms.cleancache import CleanCache
from ccrouter.transforms.customparams import CustomParams
from ccrouter.transforms.deepseek import DeepSeek
from ccrouter.transforms.enhancetool import EnhanceTool
from ccrouter.transforms.extrathinktag import ExtraThinkTag
from ccrouter.transforms.forcereasoning import ForceReasoning
from ccrouter.transforms.groq import Groq
from ccrouter.transforms.maxcompletiontokens import MaxCompletionTokens
from ccrouter.transforms.maxtoken import MaxToken
from ccrouter.transforms.openrouter import OpenRouter
from ccrouter.transforms.reasoning import Reasoning
from ccrouter.transforms.sampling import Sampling
from ccrouter.transforms.streamoptions import StreamOptions
from ccrouter.transforms.tooluse import ToolUse
from ccrouter.transforms.vercel import Vercel
from ccrouter.transforms.wire_format import WireFormat

_KINDS: tuple[type[Transform], ...] = (
    DeepSeek,
    OpenRouter,
    Vercel,
    Groq,
    ToolUse,
    EnhanceTool,
    Reasoning,
    ForceReasoning,
    MaxToken,
    MaxCompletionTokens,
    Sampling,
    CustomParams,
    StreamOptions,
    CleanCache,
    Cerebras,
    ExtraThinkTag,
)

TRANSFORMS: Mapping[str, type[Transform]] = {
    **dict.fromkeys(WIRE_FORMATS, WireFormat),
    **{kind.name: kind for kind in _KINDS},
}


def built_in(spec: TransformSpec) -> Transform:
    """The router's own transform that `spec` names. Raises LocalProtocolError for one that is not: the configuration
    knows every name that may come here.
    """
    kind = TRANSFORMS.get(spec.name) if not spec.path else None
    if kind is None:
        raise LocalProtocolError(f"no transform of the router's own is called {spec.name}")
    made = kind(spec.options)
    made.name = spec.name
    return made


class Chains:
    """The chains of targets, for the providers of one configuration. Each entry of a `use` list is made once, by
    `make`, when it is first needed.
    """

    def __init__(self, make: Callable[[TransformSpec], Transform] = built_in) -> None:
        self._make = make
        self._entries: dict[tuple[str, str], tuple[Transform, ...]] = {}
        self._chains: dict[tuple[str, str], Chain] = {}

    def of(self, target: Target) -> Chain:
        """The chain for `target`: the provider's transforms, then those of the model."""
        provider = target.provider
        own = target.model if target.model in provider.model_transforms else ""
        chain = self._chains.get((provider.name, own))
        if chain is None:
            transforms = self._of(provider.name, "", provider.transforms)
            if own:
                transforms += self._of(provider.name, own, provider.model_transforms[own])
            chain = self._chains[provider.name, own] = Chain(transforms)
        return chain

    def _of(self, provider: str, model: str, specs: tuple[TransformSpec, ...]) -> tuple[Transform, ...]:
        key = (provider, model)
        if key not in self._entries:
            self._entries[key] = tuple(map(self._make, specs))
        return self._entries[key]

"""Providers and models by the names that people write. Resolves names; does not choose between routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccrouter.config.schema import DRY_RUN, ModelRef, Provider, Router, Target
from ccrouter.errors import NoTarget


class Catalog:
    """The configured providers. Names are found in any case; of two that differ in case only, the exact one.

    `unavailable` says of providers that were left out why (`Config.unavailable`), for those who ask for one.
    """

    def __init__(self, providers: Iterable[Provider], unavailable: Mapping[str, str] | None = None) -> None:
        self._unavailable = {name.casefold(): why for name, why in (unavailable or {}).items()}
        self._exact = {provider.name: provider for provider in providers}
        self._folded: dict[str, Provider] = {}
        self._listing: dict[str, list[Target]] = {}
        for provider in self._exact.values():
            self._folded.setdefault(provider.name.casefold(), provider)
            for model in dict.fromkeys(provider.models):
                self._listing.setdefault(model.casefold(), []).append(Target(provider, model))

    @property
    def providers(self) -> tuple[Provider, ...]:
        return tuple(self._exact.values())

    def provider(self, name: str) -> Provider | None:
        """The provider of that name, in any case."""
        return self._exact.get(name) or self._folded.get(name.casefold())

    def target(self, ref: ModelRef) -> Target | None:
        """The model at its provider, in the spelling of the provider's list; None if there is no such provider.

        A model that the provider does not list is taken as it is written.
        """
        provider = self.provider(ref.provider)
        if provider is None:
            return None
        if ref.model not in provider.models:
            folded = ref.model.casefold()
            listed = next((model for model in provider.models if model.casefold() == folded), ref.model)
            return Target(provider, listed)
        return Target(provider, ref.model)

    def resolve(self, text: str, default_provider: str | None = None) -> Target | None:
        """What `text` names: "provider,model", or a bare model. None if it is a bare name that nobody lists.

        "provider,model" is split at the first comma; the model need not be listed. A bare name is the model of the one
        provider that lists it; of several, the default provider's, or else of the provider that is configured first.
        A bare slug (`qwen/qwen3-coder`) that nobody lists is the default provider's, if there is one.
        Raises NoTarget (404) for a provider that is not configured, and for an empty name on either side of the comma.
        """
        text = text.strip()
        if "," in text:
            return self._resolve_pair(text)
        default = self.provider(default_provider) if default_provider else None
        listing = self._listing.get(text.casefold(), [])
        if listing:
            exact = [target for target in listing if target.model == text] or listing
            own = [target for target in exact if target.provider is default]
            return (own or exact)[0]
        return Target(default, text) if default is not None and "/" in text else None

    def _resolve_pair(self, text: str) -> Target:
        name, _, model = (part.strip() for part in text.partition(","))
        if not name or not model:
            raise NoTarget(f'{shown(text)} names no model: write "provider,model", as in "{self._example()}"')
        target = self.target(ModelRef(name, model))
        if target is not None:
            return target
        if name.casefold() in self._unavailable:
            why = self._unavailable[name.casefold()]
            raise NoTarget(f"Provider {shown(name)} of model {shown(text)} cannot be used: {why}")
        known = ", ".join(self._exact) or "none"
        raise NoTarget(
            f"Provider {shown(name)} of model {shown(text)} is not configured (configured: {known}). "
            "Name one of those before the comma, or add the provider to the config file."
        )

    def _example(self) -> str:
        provider = next(iter(self._exact.values()), None)
        if provider is None:
            return "openrouter,qwen/qwen3-coder"
        return f"{provider.name},{provider.models[0] if provider.models else 'model'}"

    def models(self, router: Router | None = None) -> list[str]:
        """The ids that a client may ask for, without repetition: "provider,model" for every model that a provider lists
        or the router names; bare ids where exactly one provider lists them; aliases that are names, not patterns.

        Of a strict router, only what it names. The built-in provider is listed where it is the only one. A bare Claude
        id, asked for, follows the router's routes.
        """
        router = router or Router()
        offered = [p for p in self.providers if p.name != DRY_RUN] or self.providers
        listed = [] if router.is_strict else [ModelRef(p.name, m) for p in offered for m in p.models]
        targets = [target for ref in (*listed, *refs_of(router)) if (target := self.target(ref)) is not None]
        bare = [target.model for target in targets if self._is_only_listing(target)]
        aliases = [pattern for pattern, ref in router.aliases if not set(pattern) & set("*?[") and self.target(ref)]
        return list(dict.fromkeys([*map(str, targets), *bare, *aliases]))

    def _is_only_listing(self, target: Target) -> bool:
        listing = self._listing.get(target.model.casefold(), [])
        return len(listing) == 1 and listing[0] == target and "," not in target.model


def refs_of(router: Router) -> list[ModelRef]:
    """Every model that the router names: in routes, aliases, fallbacks or its list, without repetition."""
    chains = (*router.fallback.values(), *router.alias_fallback.values())
    fallbacks = (ref for chain in chains for ref in chain)
    aliased = (ref for _, ref in router.aliases)
    return list(dict.fromkeys([*router.routes.values(), *aliased, *fallbacks, *router.listed]))


def shown(text: str) -> str:
    """`text` in quotes, fit for one line of a message or a header: short, and nothing in it that is not printable."""
    clean = "".join(char if char.isprintable() else "?" for char in text[:121])
    return f"'{clean[:117]}...'" if len(clean) > 120 else f"'{clean}'"

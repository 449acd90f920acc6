"""A configuration in a few lines that a reader can check: what differs from the defaults, and nothing secret."""

from __future__ import annotations

from collections.abc import Iterator

from ccrouter.config.schema import DRY_RUN, Config, PoolKey, Provider, Router, Timeouts, TransformSpec

DEFAULTS = Config()


def summarize(config: Config) -> str:
    return "\n".join([*_settings(config), *_providers(config), *_router(config.router), *_warnings(config)]) + "\n"


def _settings(config: Config) -> Iterator[str]:
    yield f"listen {config.host}:{config.port}" + (" with a key" if config.api_key else "")
    if config.router_name != "default":
        yield f"router {config.router_name}"
    for name in (
        "log",
        "log_level",
        "api_timeout",
        "max_body",
        "retries",
        "limits",
        "drain_seconds",
        "auto_reload",
        "resume",
        "allowed_hosts",
        "claudable",
        "claude_path",
        "is_non_interactive",
        "small_fast_model",
        "rewrite_system_prompt",
        "plugins",
        "status_line",
    ):
        value = getattr(config, name)
        if value != getattr(DEFAULTS, name):
            yield f"{name} {value}"

    if router := config.custom_router:
        yield f"custom router {router.path}, {router.timeout:g} s" + (", passed over if it fails" * router.goes_on)
    for custom in config.custom_transformers:
        name = f" called {custom.name}" if custom.name else ""
        yield f"custom transforms {custom.path}{name}, {custom.timeout:g} s {custom.options or ''}".rstrip()


def _providers(config: Config) -> Iterator[str]:
    assert config.providers[-1].name == DRY_RUN
    for provider in config.providers[:-1]:
        yield f"provider {provider.name}"
        yield from (f"  {line}" for line in _provider(provider, config))
    for name, reason in config.unavailable.items():
        yield f"unavailable {name}: {reason}"


def _provider(provider: Provider, config: Config) -> Iterator[str]:
    for endpoint in provider.endpoints:
        yield f"{endpoint.dialect} {endpoint.url}" + (f" on {endpoint.platform}" if endpoint.platform else "")
    yield f"key from {provider.key_source}" if provider.key else "no key"
    assert (provider.keys[:1] or (PoolKey(),))[0].secret is provider.key
    if len(provider.keys) > 1:
        yield from map(_key, provider.keys)
    if provider.models:
        yield "models " + ", ".join(provider.models)
    if provider.headers:
        yield f"headers {dict(provider.headers)}"
    if provider.extra_body:
        yield f"extra_body {provider.extra_body}"
    if provider.proxy is not None:
        yield f"proxy {provider.proxy!r}"
    limits = provider.timeouts
    if limits != Timeouts(first_byte=config.api_timeout, idle=config.api_timeout):
        total = "" if limits.total is None else f" total {limits.total:g}"
        yield f"timeouts connect {limits.connect:g} first_byte {limits.first_byte:g} idle {limits.idle:g}{total}"
    if provider.transforms:
        yield "transforms " + _specs(provider.transforms)
    for model, specs in provider.model_transforms.items():
        yield f"transforms of {model}: " + _specs(specs)
    if provider.profile:
        yield f"profile {provider.profile}"
    if provider.tokenizer:
        yield f"tokenizer {provider.tokenizer}"
    if provider.options:
        yield f"options {dict(provider.options)}"


def _key(key: PoolKey) -> str:
    """Its label, where it comes from, and what is not as usual about it."""
    usual = PoolKey()
    names = ("weight", "priority", "per_minute", "tokens_per_minute", "concurrent")
    said = [f"{name} {getattr(key, name):g}" for name in names if getattr(key, name) != getattr(usual, name)]
    return ", ".join([f"key {key.label!r} from {key.source}", *said])


def _specs(specs: tuple[TransformSpec, ...]) -> str:
    def told(spec: TransformSpec) -> str:
        options = f" {spec.options}" if spec.options else ""
        return f"{spec.name}{options}" + (f" from {spec.path}" if spec.path else "")

    return ", ".join(map(told, specs))


def _router(router: Router) -> Iterator[str]:
    for name, target in router.routes.items():
        yield f"route {name} = {target}"
    for pattern, target in router.aliases:
        yield f"alias {pattern} = {target}"
    for name, targets in router.fallback.items():
        yield f"fallback {name} = {' then '.join(map(str, targets))}"
    for pattern, targets in router.alias_fallback.items():
        yield f"fallback of alias {pattern} = {' then '.join(map(str, targets))}"
    others = [str(target) for target in router.listed if target not in router.routes.values()]
    if others:
        yield f"listed too: {' | '.join(others)}"
    default = Router()
    for name in ("long_context_threshold", "think_effort", "default_provider", "is_strict", "force_image_agent"):
        value = getattr(router, name)
        if value != getattr(default, name):
            yield f"{name} {value!r}"


def _warnings(config: Config) -> Iterator[str]:
    for warning in config.warnings:
        yield f"warning: {warning}"

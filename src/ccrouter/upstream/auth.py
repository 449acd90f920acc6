"""The headers that prove who pays. Only the provider's configured key ever goes here; a client's never does."""

from __future__ import annotations

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.profiles import profile_of


def auth_headers(provider: Provider, endpoint: Endpoint) -> dict[str, str]:
    """Authentication for one request: none without a key (local servers), else in the form that the profile names.

    OpenRouter's Messages endpoint prefers x-api-key over Authorization when both are there, and its documentation asks
    for the latter: it gets both, with the same key. api.anthropic.com gets x-api-key only: a Bearer there means OAuth.
    """
    if not provider.key:
        return {}
    key = provider.key.reveal()
    auth = profile_of(Target(provider, "")).auth
    if endpoint.dialect != "anthropic" and auth != "azure-api-key":
        return {"authorization": f"Bearer {key}"}  # whatever the provider is called: chat servers know nothing else
    match auth:
        case "x-api-key":
            return {"x-api-key": key}
        case "both":
            return {"x-api-key": key, "authorization": f"Bearer {key}"}
        case "azure-api-key":
            return {"api-key": key}
        case _:  # a relay of unknown taste: Messages clients send either
            return {"x-api-key": key, "authorization": f"Bearer {key}"}

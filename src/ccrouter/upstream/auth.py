"""The headers that prove who pays, by key. Only the provider's configured key ever goes here; a client's never does.

Platforms that have credentials of their own get theirs in `credentials`, unless the provider has a key for them.
"""

from __future__ import annotations

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.profiles import profile_of


def auth_headers(provider: Provider, endpoint: Endpoint) -> dict[str, str]:
    """Authentication for one request: none without a key (local servers), else in the form that the dialect asks for.

    Google's own API takes the key in a header of its own, and in no other way that is not a URL. Relays of Messages are
    of different tastes, which the profile knows, unless the user says how (`options`: auth). OpenRouter's Messages
    endpoint prefers x-api-key over Authorization when both are there, and its documentation asks for the latter: it
    gets both, with the same key. api.anthropic.com gets x-api-key only: a Bearer there means OAuth.
    """
    if not provider.key:
        return {}
    key = provider.key.reveal()
    bearer = {"authorization": f"Bearer {key}"}
    if endpoint.dialect == "gemini":
        return {"x-goog-api-key": key}
    if endpoint.platform:  # an API key of Bedrock, an access token of Google's
        return bearer
    auth = provider.options.get("auth") or profile_of(Target(provider, "")).auth
    if auth == "azure-api-key":
        return {"api-key": key}
    if endpoint.dialect != "anthropic":
        return bearer  # whatever the provider is called: chat servers know nothing else
    match auth:
        case "x-api-key":
            return {"x-api-key": key}
        case "bearer" if "auth" in provider.options:
            return bearer
        case _:  # "both", and relays of unknown taste: Messages clients send either
            return {"x-api-key": key, **bearer}

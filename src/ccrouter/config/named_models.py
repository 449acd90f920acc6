"""The models that a URL chooses by itself, whatever the request in it says. Pure; judges nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

#: Names that choose models beside those that end so: models themselves, lists of fallbacks (OpenRouter; LiteLLM's have
#: a word before), and what other servers call a model.
_ENDS = ("model", "models", "fallback", "fallbacks")
_NAMES = frozenset({"preset", "route", "model_name", "modelname", "model_id", "modelid"})
_PRESET = re.compile(r"/presets/([^/]+)", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)", re.IGNORECASE)
#: Google's: the model, and after the last colon what is to be done with it.
_ACTION = re.compile(r"/(?:models|tunedModels|endpoints)/([^/]+):\w+(?=/|$)", re.IGNORECASE)
#: Amazon's. A model's ARN has slashes, which are written as %2F.
_INVOKED = re.compile(r"/model/([^/]+)/(?:invoke|converse)", re.IGNORECASE)


def chooses_models(folded: str) -> bool:
    """True if a member or a parameter of this name, in small letters, says which model serves a request."""
    return folded.endswith(_ENDS) or folded in _NAMES


def models_in_url(url: str) -> Iterator[str]:
    """The models in a path (`/presets/NAME`, as "@preset/NAME", `/deployments/NAME`, `/models/NAME:action`,
    `/model/NAME/invoke`) or a query.

    None for what is no URL: it leads nowhere, and whoever judges destinations says so.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    for slug in _PRESET.findall(parts.path):
        yield f"@preset/{unquote(slug)}"
    for form in (_DEPLOYMENT, _ACTION, _INVOKED):
        for name in form.findall(parts.path):
            yield unquote(name)
    for name, value in parse_qsl(parts.query):
        if chooses_models(name.casefold()):
            yield value

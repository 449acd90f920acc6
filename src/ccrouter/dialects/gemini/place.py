"""Where a request goes: the model and what is done with it are part of the URL. Pure; and the models of a request, read
from its URL and its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from ccrouter.dialects.named_models import models_named
from ccrouter.errors import ClientError

_ONE_MODEL = re.compile(r"/[^/:]+:[A-Za-z]+$")
_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?$")
_MODEL_IN_PATH = re.compile(r"(?:/models/([^/]+?)(?::[A-Za-z]+)?|/([^/]+):[A-Za-z]+)$", re.IGNORECASE)
#: Members by which Vertex is told to choose the model itself, or another one.
_CHOOSES = re.compile(rb"routing|model", re.IGNORECASE)
_CONFIG = frozenset({"generationconfig", "generation_config"})

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def url_of(base: str, model: str, *, is_streamed: bool) -> str:
    """The URL to POST to. `base` is the place of all models, or one with a model and a method already, or the API's
    version, which it is below.

    Raises ClientError for a model whose name would lead elsewhere.
    """
    name = model.removeprefix("models/")
    if not name or any(step in {"", ".", ".."} for step in name.split("/")):
        raise ClientError(f"model: {model!r} cannot be the name of a model")
    parts = urlsplit(base)
    path = _ONE_MODEL.sub("", parts.path.rstrip("/"))
    if _VERSION.search(path):
        path += "/models"
    method = "streamGenerateContent" if is_streamed else "generateContent"
    query = [pair for pair in parts.query.split("&") if pair and not pair.startswith("alt=")]
    if is_streamed:
        query.append("alt=sse")
    path = f"{path}/{quote(name, safe='')}:{method}"
    return urlunsplit(parts._replace(path=path, query="&".join(query), fragment=""))


def models_sent(url: str, body: bytes) -> list[str]:
    """Every model that a POST of `body` to `url` asks for: the one in the path, and those that members name.

    Raises LocalProtocolError as `named_models.models_named`.
    """
    found = dict.fromkeys([*_in_path(url), *models_named(url, body)])
    if _CHOOSES.search(body):
        for name, raw in _members.decode(body).items():
            if name.casefold() in _CONFIG:
                found |= dict.fromkeys(_in_routing(json.loads(bytes(raw))))
    return list(found)


def _in_path(url: str) -> Iterator[str]:
    try:
        match = _MODEL_IN_PATH.search(urlsplit(url).path)
    except ValueError:
        match = None
    if match is not None:
        yield unquote(match[1] or match[2])


def _in_routing(config: Any) -> Iterator[str]:
    """Models in `routingConfig` and its like; the word for it where the choice is left to Vertex."""
    if not isinstance(config, dict):
        return
    for name, value in config.items():
        folded = name.replace("_", "").casefold()
        if folded == "modelname" and isinstance(value, str):
            yield value
        elif folded in {"automode", "modelselectionconfig"}:
            yield name
        elif folded in {"routingconfig", "modelconfig", "manualmode"}:
            yield from _in_routing(value)

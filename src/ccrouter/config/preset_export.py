"""A configuration as a preset for others: what came from the environment stays a variable, what is secret a question.

A text is secret by where it comes from: a place that is made for keys, whatever it is called, or the value of such a
place repeated elsewhere; beyond that by its name or form, as for showing a configuration. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ccrouter.config.masking import mask
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK, Secret

#: Members that say where and how this machine listens and runs: nobody else's business.
_OWN = frozenset({
    "PORT", "HOST", "APIKEY", "LOG", "LOG_LEVEL", "LOG_FILE", "CLAUDE_PATH", "servers", "allowedHosts", "$schema",
    "PROXY_URL", "HTTPS_PROXY", "https_proxy", "httpsProxy", "CUSTOM_ROUTER_PATH", "transformers", "plugins",
    "limits", "drainSeconds", "autoReload",
    "REWRITE_SYSTEM_PROMPT", "NON_INTERACTIVE_MODE", "NPM_GLOBAL_PREFIX", "GOOGLE_APPLICATION_CREDENTIALS",
})  # fmt: skip

_VARIABLES = re.compile(r"(?:Bearer |Basic )?(?:\$\{\s*\w+\s*\}|\$[A-Z_][A-Z0-9_]*)+", re.ASCII)


class Exported:
    """What `export` made: the manifest, and for the reader the paths of what was left out or made a question."""

    def __init__(self, manifest: JsonObject, asked: tuple[str, ...], left_out: tuple[str, ...]) -> None:
        self.manifest = manifest
        self.asked = asked
        self.left_out = left_out


def export(
    tree: JsonObject, secrets: Iterable[Secret], metadata: Mapping[str, Json], *, with_secrets: bool = False
) -> Exported:
    """The preset that `tree`, a configuration as it is written (variables not filled in), makes.

    `secrets` are the values of the places that are made for keys. `with_secrets` keeps literal secrets in it.
    """
    folded = {name.casefold() for name in _OWN}
    kept = {key: value for key, value in tree.items() if key.casefold() not in folded}
    left_out = tuple(key for key in tree if key not in kept)
    if with_secrets:
        return Exported({**metadata, **kept}, (), left_out)
    walker = _Walker(tuple(text for secret in secrets if (text := secret.reveal())))
    told = walker.visit(kept, mask(kept), ())
    assert isinstance(told, dict), "an object told is an object"
    schema: list[Json] = [
        {"id": id, "type": "password", "label": label, "prompt": f"A secret for {label}; best a variable: ${{NAME}}"}
        for id, label in walker.asked.items()  # noqa: A001 - the manifest's own word
    ]
    return Exported({**metadata, **told, **({"schema": schema} if schema else {})}, (*walker.asked.values(),), left_out)


class _Walker:
    """Copies a tree; a text that its masked twin does not show, or that holds a secret, becomes a question."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self.asked: dict[str, str] = {}  # id → the path of the place
        self._secrets = tuple(text for text in secrets if _is_unmistakable(text))
        self._ids: dict[str, str] = {}  # the same secret in two places is asked for once

    def visit(self, node: Json, masked: Json, path: tuple[str, ...]) -> Json:
        if isinstance(node, dict):
            shown = list(masked.items()) if isinstance(masked, dict) else [(MASK, None)] * len(node)
            pairs = zip(node.items(), shown, strict=True)
            return {key: self.visit(value, twin, (*path, name)) for (key, value), (name, twin) in pairs}
        if isinstance(node, list):
            twins = masked if isinstance(masked, list) else [None] * len(node)
            pairs_of = zip(node, twins, strict=True)
            return [self.visit(one, twin, (*path, _name_of(twin, place))) for place, (one, twin) in enumerate(pairs_of)]
        if isinstance(node, str) and self._is_secret(node, masked):
            return f"#{{{self._ask(node, path)}}}"
        return node

    def _is_secret(self, text: str, masked: Json) -> bool:
        if not text or _is_variable(text):
            return False
        return text != masked or any(secret in text for secret in self._secrets)

    def _ask(self, text: str, path: tuple[str, ...]) -> str:
        if text not in self._ids:
            base = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(path[-2:])).strip("_").lower() or "secret"
            id, count = base, 1  # noqa: A001 - the manifest's own word
            while id in self.asked:
                count += 1
                id = f"{base}_{count}"  # noqa: A001 - as above
            self.asked[id] = ".".join(path)
            self._ids[text] = id
        return self._ids[text]


def _name_of(shown: Json, place: int) -> str:
    """How a member of a list is called: by its own name or label, as it is shown, which says more than its number."""
    named = (shown.get(key) for key in ("name", "label")) if isinstance(shown, dict) else ()
    return next((name for name in named if isinstance(name, str) and name and MASK not in name), str(place))


def _is_unmistakable(text: str) -> bool:
    """False for words that people write where a key is asked for ("ollama", "lm-studio"): elsewhere they are names."""
    return len(text) >= (8 if any(map(str.isdigit, text)) else 12)


def _is_variable(text: str) -> bool:
    """True for a text that is variables and nothing else, without a default that might be a secret."""
    return _VARIABLES.fullmatch(text) is not None

"""What differs where Messages are served by a cloud: the model in the URL, versions and betas elsewhere. Pure.

Vertex: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
Bedrock: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
Everything else of a request passes as it does to Anthropic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from ccrouter.config.schema import Endpoint, Platform
from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.errors import UnsupportedContent, UpstreamStatus

#: What the platforms call the API's version 2023-06-01. Of later ones they take the date itself, as Anthropic's own
#: clients for them send it.
_VERSIONS: Mapping[Platform, str] = {"vertex": "vertex-2023-10-16", "bedrock": "bedrock-2023-05-31"}
_FIRST_VERSION = "2023-06-01"

#: Features with another name there (platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool).
_RENAMED = {"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"}
#: Features that are Anthropic's own service and no model's: clouds answer 400 to their names
#: (anthropics/claude-code#21625, router-for-me/CLIProxyAPI#4750).
_NEVER = re.compile(r"(?:oauth|prompt-caching-scope|fast-mode|redact-thinking|token-efficient-tools-2026|afk-mode)-")
#: Those that AWS documents for Bedrock. Which of the others it takes depends on the model, and changes.
_DOCUMENTED = frozenset({
    "computer-use-2024-10-22", "computer-use-2025-01-24", "computer-use-2025-11-24", "token-efficient-tools-2025-02-19",
    "interleaved-thinking-2025-05-14", "output-128k-2025-02-19", "dev-full-thinking-2025-05-14",
    "context-1m-2025-08-07", "context-management-2025-06-27", "effort-2025-11-24", "tool-search-tool-2025-10-19",
    "tool-examples-2025-10-29",
})  # fmt: skip

#: Vertex names the betas that it does not take, Bedrock only says that there is one.
_UNEXPECTED = re.compile(r"Unexpected value\(s\) (?P<names>.+?) for the `?anthropic-beta`? header", re.IGNORECASE)
_INVALID = re.compile(r"invalid beta flag", re.IGNORECASE)
_MARK = "anthropic-beta:"
_HEADER = "anthropic-beta"
_MEMBER = "anthropic_beta"

# No model is called so, and a server could see another path, or another model, than the one that was judged.
_NO_MODEL = re.compile(r"\.{0,2}|.*[;\s\x00-\x1f\x7f].*", re.DOTALL)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def placed(
    members: dict[str, Any], headers: Mapping[str, str], endpoint: Endpoint, client_headers: Mapping[str, str]
) -> UpstreamRequest:
    """The request for the platform of `endpoint`: `members` are those for a Messages API, `headers` those that any
    Messages API gets. Raises UnsupportedContent for a model that cannot be one.
    """
    members = dict(members)
    model, is_streamed = _plain(members.pop("model", "")), _plain(members.get("stream", False)) is True
    if not isinstance(model, str) or _NO_MODEL.fullmatch(model) or (endpoint.platform == "vertex" and ":" in model):
        raise UnsupportedContent("model", f"{model!r} cannot be the name of a model on {endpoint.platform}")
    version = client_headers.get("anthropic-version") or _FIRST_VERSION
    members.setdefault("anthropic_version", _VERSIONS[endpoint.platform] if version == _FIRST_VERSION else version)
    betas, losses = _betas(client_headers.get(_HEADER, ""))
    kept = {name: value for name, value in headers.items() if name in {"user-agent", "accept"}}
    name = quote(model, safe="")
    if endpoint.platform == "vertex":
        action = f"/{name}:{'streamRawPredict' if is_streamed else 'rawPredict'}"
        if betas:
            kept[_HEADER] = ",".join(betas)
    else:
        members.pop("stream", None)
        action = f"/model/{name}/{'invoke-with-response-stream' if is_streamed else 'invoke'}"
        kept["accept"] = "application/vnd.amazon.eventstream" if is_streamed else "application/json"
        own = _plain(members.pop(_MEMBER, []))
        betas = list(dict.fromkeys([*(own if isinstance(own, list) else []), *betas]))
        if betas:
            members[_MEMBER] = betas
    parts = urlsplit(endpoint.url)
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + action))
    return UpstreamRequest(msgspec.json.encode(members), kept, tuple(losses), url=url)


def refused_betas(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The betas of `sent` that a platform does not take by `error`, as one word for `without_betas`; "" if none."""
    if error.status != 400:
        return ""
    names: list[str] = []
    if found := _UNEXPECTED.search(str(error)):
        named = {name.strip(" `'\"") for name in found["names"].split(",")}
        names = [name for name in _sent(sent) if name in named]
    elif _INVALID.search(str(error)):
        names = [name for name in _sent(sent) if name not in _DOCUMENTED] or _sent(sent)
    return _MARK + ",".join(names) if names else ""


def without_betas(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the betas that `refused_betas` named."""
    gone = {name for word in refused if word.startswith(_MARK) for name in word.removeprefix(_MARK).split(",")}
    betas = _sent(sent)
    if gone.isdisjoint(betas):
        return sent
    left = [name for name in betas if name not in gone]
    losses = (*sent.losses, *(_loss(name) for name in betas if name in gone))
    if _HEADER in sent.headers:
        others = {name: value for name, value in sent.headers.items() if name != _HEADER}
        return replace(sent, headers={**others, _HEADER: ",".join(left)} if left else others, losses=losses)
    members: dict[str, Any] = dict(_members.decode(sent.body))
    del members[_MEMBER]
    if left:
        members[_MEMBER] = left
    return replace(sent, body=msgspec.json.encode(members), losses=losses)


def _betas(asked: str) -> tuple[list[str], list[Loss]]:
    names = [_RENAMED.get(name, name) for name in map(str.strip, asked.split(",")) if name]
    kept = [name for name in dict.fromkeys(names) if not _NEVER.match(name)]
    return kept, [_loss(name) for name in dict.fromkeys(names) if _NEVER.match(name)]


def _loss(beta: str) -> Loss:
    return Loss("headers.anthropic-beta", f"{beta}: not known there", "hint")


def _sent(sent: UpstreamRequest) -> list[str]:
    """The betas that a request names, in its header or in its body."""
    if _HEADER in sent.headers:
        return sent.headers[_HEADER].split(",")
    own = _plain(_members.decode(sent.body).get(_MEMBER, msgspec.Raw(b"[]")))
    return [name for name in own if isinstance(name, str)] if isinstance(own, list) else []


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value

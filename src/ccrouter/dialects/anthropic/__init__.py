"""The Anthropic Messages API as an upstream: identity. Bytes pass; what must not pass is taken out by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.anthropic.platforms import refused_betas, without_betas
from ccrouter.dialects.anthropic.reader import MessagesReader
from ccrouter.dialects.anthropic.request import encode
from ccrouter.dialects.aws_error import in_messages_terms
from ccrouter.dialects.base import Amend, UpstreamRequest
from ccrouter.dialects.named_models import models_named
from ccrouter.dialects.upstream_error import explain_error
from ccrouter.errors import UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter


class _Error(msgspec.Struct):
    type: str
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: _Error
    type: str = ""


class Anthropic:
    """The dialect `anthropic`. See ccrouter.dialects.base.Dialect."""

    name = "anthropic"

    def encode(
        self,
        request: MessagesRequest,
        target: Target,
        client_headers: Mapping[str, str],
        amend: Amend | None = None,
    ) -> UpstreamRequest:
        return encode(request, target, client_headers, amend)

    def models_sent(self, url: str, body: bytes) -> list[str]:
        """As every dialect: a client's own members pass, and among them those that name further models."""
        return models_named(url, body)

    def reader(
        self,
        request: UpstreamRequest,  # noqa: ARG002 - an answer is read without looking back: names are what they were
        target: Target,  # noqa: ARG002 - nor at who answers
        writer: MessageWriter,
    ) -> MessagesReader:
        return MessagesReader(asked=writer.model)

    def explain(self, status: int, headers: Mapping[str, str], body: bytes, provider: str) -> UpstreamStatus:
        """As every dialect, and the provider's own error body is kept where the explanation adds nothing to it.

        Its `details` and request id are what SDKs and Claude Code negotiate by.
        """
        status, body = in_messages_terms(status, headers, body)
        explained = explain_error(status, headers, body, provider)
        try:
            own = msgspec.json.decode(body, type=_ErrorAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return explained
        says_no_more = str(explained) == f"Provider '{provider}' answered {status}: {own.error.message.strip()}"
        if own.type == "error" and says_no_more and explained.status == status:
            explained.body = body
        return explained

    def refused_member(self, error: UpstreamStatus, sent: UpstreamRequest) -> str:
        """None: Messages clients negotiate by such errors themselves, so they must see them.

        But for betas on a platform: Bedrock does not say which one it means, and clients take us for Anthropic.
        """
        return refused_betas(error, sent) if sent.url else ""

    def without(self, sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
        return without_betas(sent, refused) if sent.url else sent


DIALECT = Anthropic()

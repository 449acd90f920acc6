"""Google's own API, generateContent, as Google, Vertex AI and those who imitate them speak it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Amend, Reader, UpstreamRequest
from ccrouter.dialects.callids import random_id
from ccrouter.dialects.gemini import place
from ccrouter.dialects.gemini.amend import refused_member, without
from ccrouter.dialects.gemini.request import encode
from ccrouter.dialects.gemini.stream import GeminiReader
from ccrouter.dialects.upstream_error import explain_error
from ccrouter.errors import UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter


class Gemini:
    """The dialect. `new_id` makes ids for tool calls that come without one."""

    name = "gemini"

    def __init__(self, new_id: Callable[[], str] = random_id) -> None:
        self._new_id = new_id

    def encode(
        self,
        request: MessagesRequest,
        target: Target,
        client_headers: Mapping[str, str],
        amend: Amend | None = None,
    ) -> UpstreamRequest:
        """As `dialects.base.Dialect.encode`."""
        return encode(request, target, amend, has_betas="anthropic-beta" in client_headers)

    def models_sent(self, url: str, body: bytes) -> list[str]:
        """As `dialects.base.Dialect.models_sent`."""
        return place.models_sent(url, body)

    def reader(self, request: UpstreamRequest, target: Target, writer: MessageWriter) -> Reader:
        """As `dialects.base.Dialect.reader`."""
        return GeminiReader(request, target, writer, self._new_id)

    def explain(self, status: int, headers: Mapping[str, str], body: bytes, provider: str) -> UpstreamStatus:
        """As `dialects.base.Dialect.explain`."""
        return explain_error(status, headers, body, provider)

    def refused_member(self, error: UpstreamStatus, sent: UpstreamRequest) -> str:
        """As `dialects.base.Dialect.refused_member`."""
        return refused_member(error, sent)

    def without(self, sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
        """As `dialects.base.Dialect.without`."""
        return without(sent, refused)


DIALECT = Gemini()

"""A fake Google on loopback: the server of tokens, and Claude on Vertex. It takes its own tokens, and no others."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.upstream import Received, Reply, Upstream, anthropic_wire, json_reply, sse_reply

PROJECT = "my-project"
MODELS = f"/v1/projects/{PROJECT}/locations/global/publishers/anthropic/models/"


class Google:
    """`tokens` counts those given out; `lifetime` is theirs, in seconds; `refusal` is what the server of tokens says
    instead, `answer` what a model says. `valid` is the last token, the only one that a model takes.
    """

    def __init__(self, upstream: Upstream, folder: Path) -> None:
        self.upstream = upstream
        self.folder = folder
        self.tokens = 0
        self.lifetime = 3600
        self.refusal: Reply | None = None
        self.answer: Any = _message
        upstream.always(self.serve)

    @property
    def url(self) -> str:
        return self.upstream.url

    @property
    def valid(self) -> str:
        return f"ya29.token-{self.tokens}"

    @property
    def asked(self) -> list[Received]:
        """The requests to models."""
        return [one for one in self.upstream.requests if one.path != "/token"]

    @property
    def grants(self) -> list[dict[str, list[str]]]:
        """What was shown for tokens."""
        return [parse_qs(one.body.decode()) for one in self.upstream.requests if one.path == "/token"]

    async def serve(self, received: Received) -> Reply:
        if received.path != "/token":
            return self._to_model(received)
        if self.refusal is not None:
            return self.refusal
        self.tokens += 1
        return json_reply({"access_token": self.valid, "expires_in": self.lifetime, "token_type": "Bearer"})

    def _to_model(self, received: Received) -> Reply:
        if received.headers.get("authorization") != f"Bearer {self.valid}":
            error = {
                "code": 401,
                "message": "Request had invalid authentication credentials.",
                "status": "UNAUTHENTICATED",
            }
            return json_reply([{"error": error}], 401)
        return self.answer(received)

    def user(self, **more: Any) -> str:
        """A file as `gcloud auth application-default login` writes it; gives its path. google-auth has one server of
        tokens for these, and does not ask the file.
        """
        return self._write(
            "user.json",
            {
                "type": "authorized_user",
                "client_id": "an-id.apps.googleusercontent.com",
                "client_secret": "not-a-secret",
                "refresh_token": "1//refresh",
                **more,
            },
        )

    def service_account(self, **more: Any) -> str:
        """A service account's key file, with the project in it."""
        return self._write(
            f"account-{len(more)}.json",
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "a-key",
                "private_key": _key(),
                "client_email": f"me@{PROJECT}.iam.gserviceaccount.com",
                "token_uri": f"{self.url}/token",
                **more,
            },
        )

    def _write(self, name: str, held: dict[str, Any]) -> str:
        path = self.folder / name
        path.write_text(json.dumps(held))
        return str(path)


@cache
def _key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _message(received: Received) -> Reply:
    """What Vertex demands of a request, and an answer as it gives them."""
    body = received.json()
    if "model" in body or body.get("anthropic_version") not in ("vertex-2023-10-16", "2026-10-21"):
        return json_reply(anthropic_wire.error_json("invalid_request_error", f"not for Vertex: {sorted(body)}"), 400)
    if received.path.endswith(":streamRawPredict"):
        assert body["stream"] is True
        return sse_reply(anthropic_wire.message_stream("Hi from Vertex"))
    assert received.path.endswith(":rawPredict")
    return json_reply(anthropic_wire.message_json("Hi from Vertex"))

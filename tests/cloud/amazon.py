"""A fake Bedrock on loopback. It checks each signature by computing it anew with botocore, and takes no other proof but
one API key.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from tests.cloud.frames import chunks
from tests.upstream import Received, Reply, Upstream, anthropic_wire, json_reply

ACCESS = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
API_KEY = "bedrock-api-key-of-tests"
REGION = "eu-west-1"
STREAM = "application/vnd.amazon.eventstream"


class Amazon:
    """`accounts` are the secrets by access key, `session_token` what must come with them; `answer` is what a model says."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.accounts = {ACCESS: SECRET}
        self.session_token: str | None = None
        self.answer: Any = _message
        upstream.always(self.serve)

    @property
    def url(self) -> str:
        return self.upstream.url

    @property
    def asked(self) -> list[Received]:
        """The requests to models."""
        return [one for one in self.upstream.requests if one.path.startswith("/model/")]

    def serve(self, received: Received) -> Reply:
        if received.headers.get("authorization") == f"Bearer {API_KEY}":
            return self.answer(received)
        if complaint := self.complaint(received):
            return error("InvalidSignatureException", complaint, 403)
        return self.answer(received)

    def complaint(self, received: Received) -> str:
        """What is wrong with the signature; "" if it is the one of what arrived."""
        shown = received.headers.get("authorization", "")
        if not shown.startswith("AWS4-HMAC-SHA256 "):
            return "no signature"
        parts = dict(part.strip().split("=", 1) for part in shown.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        access, day, region, service, _ = parts["Credential"].split("/")
        names = parts["SignedHeaders"].split(";")
        if (region, service) != (REGION, "bedrock") or "host" not in names or "x-amz-date" not in names:
            return f"signed for {region}, {service}: {names}"
        stamp = received.headers["x-amz-date"]
        if abs(_time(stamp) - dt.datetime.now(dt.UTC)) > dt.timedelta(minutes=5) or stamp[:8] != day:
            return "signed at another time"
        if received.headers.get("x-amz-security-token") != self.session_token:
            return "The security token included in the request is invalid."
        computed = self._computed(received, access, names)
        return "" if computed == shown else f"The request signature we calculated does not match: {computed}"

    def _computed(self, received: Received, access: str, names: list[str]) -> str:
        """The signature of what arrived: method, target, the headers it names, and the bytes."""
        own = {"host", "x-amz-date", "x-amz-security-token"}
        headers = {name: received.headers[name] for name in names if name not in own}
        url = f"http://{received.headers['host']}{received.target}"
        request = AWSRequest(method=received.method, url=url, data=received.body, headers=headers)
        credentials = ReadOnlyCredentials(access, self.accounts.get(access, "unknown"), self.session_token)
        with patch("botocore.auth.get_current_datetime", lambda: _time(received.headers["x-amz-date"])):
            SigV4Auth(credentials, "bedrock", REGION).add_auth(request)
        return request.headers["Authorization"]


def error(name: str, words: str, status: int) -> Reply:
    """An error as Bedrock answers it."""
    return json_reply({"message": words}, status, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"})


def stream(steps: Any, **more: Any) -> Reply:
    """Frames as an answer."""
    return Reply(200, {"content-type": STREAM, "x-amzn-bedrock-content-type": "application/json"}, tuple(steps), **more)


def _time(stamp: str) -> dt.datetime:
    return dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)


def _message(received: Received) -> Reply:
    """What Bedrock demands of a request, and an answer as it gives them."""
    body = received.json()
    if {"model", "stream"} & body.keys() or body.get("anthropic_version") not in ("bedrock-2023-05-31", "2026-10-21"):
        return error("ValidationException", f"not for Bedrock: {sorted(body)}", 400)
    if received.path.endswith("/invoke-with-response-stream"):
        return stream(chunks(anthropic_wire.message_stream("Hi from Bedrock", pings=False)))
    assert received.path.endswith("/invoke")
    return json_reply(anthropic_wire.message_json("Hi from Bedrock"))

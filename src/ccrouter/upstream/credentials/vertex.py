"""Google's credentials, by google-auth: a key file, what `gcloud` left, workload identity, the metadata server."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccrouter.compliance.judge import Violation, denial
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Provider
from ccrouter.errors import RouterError, UpstreamError, UpstreamStatus, UpstreamUnreachable
from ccrouter.secret import redact
from ccrouter.upstream.credentials.keeper import Loaded
from ccrouter.upstream.credentials.seam import PATIENCE, Errand, Fetched, Seam, library

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_FILE = "application_default_credentials.json"
ADVICE = (
    "Run `gcloud auth application-default login`, or name a credentials file by `credentials` in the provider or by "
    "GOOGLE_APPLICATION_CREDENTIALS."
)


class GoogleSource:
    """The credentials of one provider. Its methods block, and are for one thread at a time."""

    def __init__(self, provider: Provider, seam: Seam, policy: Policy) -> None:
        self._provider = provider
        self._seam = seam
        self._policy = policy
        self._credentials: Any = None

    def load(self) -> Loaded[Mapping[str, str]]:
        """The headers that prove who asks. Raises Denied, UpstreamError, ConfigError."""
        failures = library("google.auth.exceptions", "vertex")
        name = self._provider.name
        try:
            if self._credentials is None:
                self._credentials = self._find()
            self._credentials.refresh(self._request)
        except failures.TransportError as error:
            text = f"{name}: no token from Google: {redact(str(error))[:500]}"
            raise UpstreamUnreachable(text, kind="connect", provider=name) from error
        except RouterError:
            raise
        except Exception as error:  # google-auth raises its own, and what files and JSON raise
            self._credentials = None  # a file that is mended is read again
            text = f"Provider '{name}' got no credentials from Google: {redact(str(error))[:500]} {ADVICE}"
            raise UpstreamStatus(text, status=401, type="authentication_error", provider=name) from error
        headers: dict[str, str] = {}
        self._credentials.apply(headers)
        return Loaded({key.lower(): value for key, value in headers.items()}, _lasts(self._credentials.expiry))

    def _find(self) -> Any:
        """In Google's own order (cloud.google.com/docs/authentication/application-default-credentials), but for the
        project: it is known, and `gcloud` need not be run for it.
        """
        auth = library("google.auth", "vertex")
        file = self._provider.options.get("credentials") or _left_by_gcloud()
        self._refuse_program(file or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""))
        if not file:
            return auth.default(scopes=_SCOPES, request=self._request)[0]
        with warnings.catch_warnings():  # as in google-auth's own search: the file is the user's own, not a stranger's
            warnings.simplefilter("ignore", DeprecationWarning)
            path = str(Path(file).expanduser())
            return auth.load_credentials_from_file(path, scopes=_SCOPES, request=self._request)[0]

    def _refuse_program(self, file: str) -> None:
        """Raises Denied if the file has a program run, where the policy says where keys may come from: google-auth runs
        it as soon as it reads the file.
        """
        origins = self._policy.allowed_key_origins
        if origins is not None and file and _runs_program(json.loads(Path(file).expanduser().read_bytes())):
            text = f"Provider '{self._provider.name}' has its Google credentials from a program"
            raise denial(self._policy, Violation("keySources", text, tuple(sorted(origins))))

    def _request(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_others: Any,
    ) -> Fetched:
        """What google-auth calls to send. Raises its TransportError, and Denied."""
        data = body.encode() if isinstance(body, str) else body or b""
        errand = Errand(method, url, dict(headers or {}), data, min(timeout or PATIENCE, PATIENCE))
        try:
            return self._seam.send(errand)
        except UpstreamError as error:
            raise library("google.auth.exceptions", "vertex").TransportError(str(error)) from error


def _left_by_gcloud() -> str:
    """The file that `gcloud auth application-default login` writes; "" if there is none."""
    if folder := os.environ.get("CLOUDSDK_CONFIG"):
        path = Path(folder)
    elif os.name == "nt":
        path = Path(os.environ.get("APPDATA", "C:\\")) / "gcloud"
    else:
        path = Path.home() / ".config" / "gcloud"
    return str(path / _FILE) if (path / _FILE).is_file() else ""


def _runs_program(told: Any) -> bool:
    """True if a credentials file, or one within it, names a program for its source."""
    if isinstance(told, list):
        return any(map(_runs_program, told))
    return isinstance(told, dict) and ("executable" in told or any(map(_runs_program, told.values())))


def _lasts(expiry: datetime | None) -> float | None:
    """Seconds from now; google-auth's times are UTC without saying so."""
    return None if expiry is None else (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()

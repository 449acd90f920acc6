"""AWS credentials and signatures, by botocore: variables, profiles, SSO, roles, containers, the metadata server.

What botocore sends for credentials by HTTP goes through the seam; the metadata servers of instances and containers it
asks by itself, at addresses of the machine: these are judged before.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ccrouter.compliance.destination import destination
from ccrouter.compliance.judge import Violation, denial, enforce
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Provider
from ccrouter.errors import RouterError, UpstreamError, UpstreamStatus, UpstreamUnreachable
from ccrouter.secret import redact
from ccrouter.upstream.credentials.keeper import Loaded
from ccrouter.upstream.credentials.seam import Errand, Seam, library

#: Lifetimes that botocore is asked about, in seconds, longest first: it tells whether one is left, not how much is.
_LIFETIMES = (12 * 3600, 6 * 3600, 3 * 3600, 3600, 1800, 900, 600, 300, 60)
_METADATA = "http://169.254.169.254/"
_CONTAINER = "http://169.254.170.2"


class AwsSource:
    """The credentials of one provider. Its methods block, and are for one thread at a time."""

    def __init__(self, provider: Provider, seam: Seam, policy: Policy) -> None:
        self._provider = provider
        self._seam = seam
        self._policy = policy
        self._session: Any = None

    def load(self) -> Loaded[Any]:
        """Credentials as botocore freezes them. Raises Denied, UpstreamError, ConfigError."""
        failures = library("botocore.exceptions", "bedrock")
        name = self._provider.name
        try:
            if self._session is None:
                self._session = self._open()
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except RouterError:
            self._session = None
            raise
        except (failures.HTTPClientError, failures.ConnectionError) as error:
            self._session = None
            text = f"{name}: no credentials from AWS: {redact(str(error))[:500]}"
            raise UpstreamUnreachable(text, kind="connect", provider=name) from error
        except Exception as error:  # botocore raises its own, and what files and JSON raise
            self._session = None  # a login or a file that is mended counts
            raise self._refused(redact(str(error))[:500]) from error
        if frozen is None:
            self._session = None
            raise self._refused("there are none.")
        return Loaded(frozen, _lasts(found))

    def _open(self) -> Any:
        session = library("botocore.session", "bedrock").Session(profile=self._provider.options.get("aws_profile"))
        session.set_config_variable("region", self._provider.options["region"])
        session.register("before-send", self._send)
        if self._policy.is_in_force:
            for source in session.get_component("credential_provider").providers:
                source.load = self._judged(source.METHOD, source.load, session)
        return session

    def _send(self, request: Any, **_others: Any) -> Any:
        """In place of botocore's own client, for what it asks of STS, SSO and their like."""
        headers = {key: _text(value) for key, value in request.headers.items()}
        body = request.body or b""
        errand = Errand(request.method, request.url, headers, body.encode() if isinstance(body, str) else bytes(body))
        try:
            fetched = self._seam.send(errand)
        except UpstreamError as error:
            failures = library("botocore.exceptions", "bedrock")
            raise failures.EndpointConnectionError(endpoint_url=request.url, error=error) from error
        made = library("botocore.awsrequest", "bedrock").AWSResponse
        return made(request.url, fetched.status, dict(fetched.headers), _Body(fetched.data))

    def _judged(self, method: str, load: Callable[[], Any], session: Any) -> Callable[[], Any]:
        """`load` of one way to credentials, behind the judgement on where it would go for them."""
        name = self._provider.name

        def load_if_allowed() -> Any:
            if method == "iam-role":
                url = session.get_config_variable("ec2_metadata_service_endpoint") or _METADATA
                enforce(self._policy, destination(name, url))
            elif method == "container-role" and (url := _container_url()):
                enforce(self._policy, destination(name, url))
            elif method in {"custom-process", "assume-role"} and self._policy.allowed_key_origins is not None:
                self._refuse_program(session)
            return load()

        return load_if_allowed

    def _refuse_program(self, session: Any) -> None:
        """Raises Denied if the profile's credentials come from a program, or those by which it takes on a role: the
        policy says where keys may come from.
        """
        if any(profile.get("credential_process") for profile in _profiles(session)):
            text = f"The AWS profile of provider '{self._provider.name}' has its credentials from a program"
            allowed = tuple(sorted(self._policy.allowed_key_origins or ()))
            raise denial(self._policy, Violation("keySources", text, allowed))

    def _refused(self, why: str) -> UpstreamStatus:
        name, profile = self._provider.name, self._provider.options.get("aws_profile")
        text = f"Provider '{name}' got no credentials from AWS: {why} {advice(profile)}"
        return UpstreamStatus(text, status=401, type="authentication_error", provider=name)


def advice(profile: str | None) -> str:
    """What to do where AWS credentials are missing or refused."""
    login = f"aws sso login --profile {profile}" if profile else "aws sso login"
    return f"Run `aws configure` or `{login}`, or set AWS_BEARER_TOKEN_BEDROCK to a Bedrock API key."


@dataclass(frozen=True, slots=True)
class Unproven:
    """A request to the letter, as it will be sent once it has its proof."""

    method: str
    url: str
    body: bytes


def signed(credentials: Any, region: str, unproven: Unproven, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that sign `unproven` (Signature Version 4), lower-case.

    Of `headers` the content type and Amazon's own are covered by the signature: others may change on the way.
    """
    covered = {name: value for name, value in headers.items() if name == "content-type" or name.startswith("x-amz")}
    request = library("botocore.awsrequest", "bedrock").AWSRequest(
        method=unproven.method, url=unproven.url, data=unproven.body, headers=covered
    )
    library("botocore.auth", "bedrock").SigV4Auth(credentials, "bedrock", region).add_auth(request)
    return {name.lower(): _text(value) for name, value in request.headers.items()}


class _Body:
    """As much of a urllib3 response as botocore reads."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def stream(self, **_others: Any) -> Iterator[bytes]:
        yield self._file.read()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _profiles(session: Any) -> Iterator[Mapping[str, str]]:
    """The profile in use, and those that it has its credentials from."""
    profiles = session.full_config.get("profiles", {})
    seen: set[str] = set()
    name = session.get_config_variable("profile") or "default"
    while name in profiles and name not in seen:
        seen.add(name)
        yield profiles[name]
        name = profiles[name].get("source_profile") if profiles[name].get("role_arn") else None


def _container_url() -> str:
    relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    return _CONTAINER + relative if relative else os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _lasts(credentials: Any) -> float | None:
    """Seconds for which they last at least; None for ever."""
    if not hasattr(credentials, "refresh_needed"):
        return None
    return float(next((life for life in _LIFETIMES if not credentials.refresh_needed(life)), 0))

"""The names of the world lead to a scripted provider on loopback, by HTTPS with a certificate that the router checks.

So a configuration can be tried as it stands, hosts and ports included. Where a name leads and which authority is
trusted is all that is replaced in the router.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from functools import cache
from pathlib import Path
from typing import Any, Self

import aiohttp.connector
import aiohttp.resolver
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.upstream import Upstream
from tests.upstream.server import _Connection


@cache
def _certificate(host: str) -> tuple[bytes, bytes]:
    """Certificate and key of a host, signed by itself, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return pem, key.private_bytes(*form)


class _Link(_Connection):
    """With limits: asyncio's TLS never says that a buffer without room has room again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(65536)


class World(Upstream):
    """The provider at `scheme://host:port`; at every other name nobody answers."""

    def __init__(self, scheme: str, host: str, port: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._address = (host, port)
        self._patch = patch
        self._serving: ssl.SSLContext | None = None
        if scheme == "https":
            self._serve_securely(host, folder)

    def _serve_securely(self, host: str, folder: Path) -> None:
        pem, key = _certificate(host)
        (folder / "host.pem").write_bytes(pem + key)
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(folder / "host.pem")
        trusting = ssl.create_default_context(cadata=pem.decode())
        trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._patch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Link(self._serve, self._tasks), "127.0.0.1", 0, ssl=self._serving
        )
        self._port = self._server.sockets[0].getsockname()[1]

        async def resolve(_resolver: Any, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
            if (host, port) != self._address:
                raise OSError(f"nobody is at {host}:{port}")
            return [{"hostname": host, "host": "127.0.0.1", "port": self._port, "family": 2, "proto": 0, "flags": 0}]

        self._patch.setattr(aiohttp.resolver.ThreadedResolver, "resolve", resolve)
        return self

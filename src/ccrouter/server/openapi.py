"""The description of the API by the OpenAPI standard: a file of the package, which tests hold against the routes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from starlette.responses import Response

from ccrouter.server.call import Call


async def read_openapi(_call: Call) -> Response:
    """The document, as JSON."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    return files("ccrouter.server").joinpath("openapi.json").read_bytes()

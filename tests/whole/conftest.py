"""Fixtures of the gateway's tests, for tests across the whole router."""

from __future__ import annotations

from tests.gateway.conftest import upstream

__all__ = ["upstream"]

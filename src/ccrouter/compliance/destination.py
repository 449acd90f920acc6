"""Where a URL leads, as a claim, by the parser that the HTTP client itself uses: two parsers could differ."""

from __future__ import annotations

from yarl import URL

from ccrouter.compliance.judge import Collector, Passage

#: The scheme of the provider that answers from within this process.
DRY_RUN_SCHEME = "dry-run"
_NO_HOST = "of no readable name"


def destination(provider: str, url: str | URL) -> Passage:
    """Where a request to `url` goes, before it is known what it says. A URL that is none leads nowhere."""
    try:
        parsed = URL(url)  # of a URL: the same object
    except ValueError:
        return Passage(provider=provider, scheme="", host="")
    if parsed.scheme == DRY_RUN_SCHEME:  # it never leaves; whose name it has is judged all the same
        return Passage(provider=provider)
    return Passage(provider=provider, scheme=parsed.scheme, host=parsed.raw_host or "", port=parsed.port)


def collector_at(url: str | URL, address: str | None = None) -> Collector:
    """The collector at `url`, which may have resolved to `address`. A URL that is none leads nowhere."""
    try:
        parsed = URL(url)
    except ValueError:
        return Collector(scheme="", host="")
    return Collector(parsed.scheme, parsed.raw_host or "", parsed.port, address)


def proxy_host(url: str | URL) -> str:
    """The host of a proxy's URL, fit for a message; never empty."""
    try:
        return URL(url).raw_host or _NO_HOST
    except ValueError:
        return _NO_HOST

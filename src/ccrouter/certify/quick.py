"""The few probes for a quick look: does it answer, stream, count and call tools, which is what a coding agent needs."""

from __future__ import annotations

from ccrouter.certify.battery import chosen, most

PROBES = chosen(("answers", "streaming", "usage", "tools"), ())
#: At most so many requests and tokens, in both directions.
MOST_REQUESTS, MOST_TOKENS = most(PROBES)

"""A router in Python: `"CUSTOM_ROUTER_PATH": "router.py"`. It is asked before all rules.

It answers "provider,model", or nothing for what the rules may decide.
"""

from __future__ import annotations

from typing import Any

from ccrouter.extend import RequestView, RouteContext


async def route(request: RequestView, config: dict[str, Any], context: RouteContext) -> str | None:
    if context.facts.has_image:
        return None
    if context.token_estimate > config["Router"]["longContextThreshold"]:
        return config["Router"].get("longContext")
    last = request["messages"][-1]["content"]
    if isinstance(last, list):
        last = " ".join(block.get("text", "") for block in last)
    if "#local" in last:
        return "local,small"
    return None

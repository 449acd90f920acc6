"""The form that a route is tried by: the headers that decide about a request, by the fields that stand for them."""

from __future__ import annotations

from collections.abc import Mapping

from ccrouter.routing.facts import AGENT_HEADER, AGENT_TYPE_HEADER, CLASS_HEADER, SESSION_HEADER, TASK_CLASS_HEADER

HEADER_FIELDS: Mapping[str, str] = {
    "session": SESSION_HEADER,
    "agent": AGENT_HEADER,
    "agentType": AGENT_TYPE_HEADER,
    "requestClass": CLASS_HEADER,
    "taskClass": TASK_CLASS_HEADER,
    "userAgent": "user-agent",
}
#: What to try first.
EXAMPLE = """{
  "model": "claude-sonnet-4-5",
  "max_tokens": 1000,
  "messages": [{"role": "user", "content": "Hello"}]
}"""

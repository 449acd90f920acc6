"""What a page may look at: the configuration and the policy in force, what was recorded, and the moment itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config, Target
from ccrouter.errors import RouterError
from ccrouter.jsontypes import JsonObject

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports


class NotFound(RouterError):
    """There is no such thing to show."""


@dataclass(frozen=True, slots=True)
class View:
    """One look at a page. Everything in it is as it was at `now`; nothing in it can be changed by looking.

    `reports` tells of what was recorded, None where nothing is. `query` holds the words of the address, the last of
    each name, `params` the parts of its path. `health` is as GET /api/health/targets tells it, `live` the requests
    under way. `denial_of` says why the policy forbids a target, "" if it does not. `logs` reads the log files as the
    query asks; `folder` is the router's own. `file` tells of the configuration file, `audit` of the audit log. `test`
    tells of the last test of a provider, {} if there was none; `outcome` is what came of a form that was sent, {}
    without one.
    """

    config: Config
    policy: Policy
    version: str
    pid: int
    started: datetime
    now: datetime
    folder: Path
    reports: Reports | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    health: JsonObject = field(default_factory=dict)
    live: Sequence[JsonObject] = ()
    denial_of: Callable[[Target], str] = lambda _target: ""
    logs: Callable[[Mapping[str, str]], JsonObject] = lambda _query: {}
    file: Callable[[], JsonObject] = dict
    audit: Callable[[], JsonObject] = dict
    test: JsonObject = field(default_factory=dict)
    outcome: JsonObject = field(default_factory=dict)

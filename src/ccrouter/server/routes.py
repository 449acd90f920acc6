"""The table of routes: every path that is served, by which methods, for whom, and what answers. Data, and its lookup.

The lookup is the only one: the row that the guard judges by is the row whose endpoint answers. What is in no row
needs the router's key like any client's route, and is then a 404.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ccrouter.config.schema import DialectName
from ccrouter.dialects.registry import SERVED
from ccrouter.dialects.served import Served
from ccrouter.server import (
    config_forms,
    endpoints,
    health,
    logs,
    logs_forms,
    management,
    metrics_shared,
    openapi,
    pages,
    policy_forms,
    providers,
    providers_forms,
    routes_forms,
    statusline,
)
from ccrouter.server.call import Endpoint
from ccrouter.server.guard import Access
from ccrouter.web.pages import PAGES

_READ = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Row:
    """One route. In `path`, `{name}` stands for one segment and `{name:path}` for one or more. `endpoint` None: the
    application itself answers, as the answer streams: in the client's dialect `form`, None for Messages.
    """

    methods: tuple[str, ...]
    path: str
    access: Access
    endpoint: Endpoint | None
    form: Served | None = None


_CHAT, _RESPONSES = SERVED["openai_chat"], SERVED["openai_responses"]


ROUTES: tuple[Row, ...] = (
    Row(_READ, "/health", Access.OPEN, endpoints.health),
    Row(_READ, "/", Access.CLIENT, endpoints.root),
    Row(_READ, "/api/hello", Access.CLIENT, endpoints.hello),
    Row(("POST",), "/api/event_logging/batch", Access.CLIENT, endpoints.telemetry),
    Row(("POST",), "/v1/messages", Access.CLIENT, None),
    Row(("POST",), "/v1/messages/count_tokens", Access.CLIENT, endpoints.count_tokens),
    Row(("POST",), "/v1/chat/completions", Access.CLIENT, None, _CHAT),
    Row(("POST",), "/chat/completions", Access.CLIENT, None, _CHAT),
    Row(("POST",), "/v1/responses", Access.CLIENT, None, _RESPONSES),
    Row(("POST",), "/responses", Access.CLIENT, None, _RESPONSES),
    Row(_READ, "/v1/models", Access.CLIENT, endpoints.models),
    Row(_READ, "/v1/models/{id:path}", Access.CLIENT, endpoints.model),
    Row(_READ, "/models", Access.CLIENT, endpoints.models),
    Row(_READ, "/models/{id:path}", Access.CLIENT, endpoints.model),
    Row(_READ, "/metrics", Access.CLIENT, metrics_shared.read_metrics),
    Row(_READ, "/api/statusline", Access.CLIENT, statusline.read_status_line),
    Row(_READ, "/api/config", Access.MANAGEMENT, management.read_config),
    Row(("POST",), "/api/config", Access.MANAGEMENT, management.write_config),
    Row(("POST",), "/api/restart", Access.MANAGEMENT, management.restart),
    Row(_READ, "/api/policy", Access.MANAGEMENT, management.read_policy),
    Row(_READ, "/api/health/targets", Access.MANAGEMENT, health.read_targets),
    Row(("POST",), "/api/health/reset", Access.MANAGEMENT, health.reset),
    Row(_READ, "/api/exchanges/{id}", Access.MANAGEMENT, management.read_exchange),
    Row(_READ, "/api/logs", Access.MANAGEMENT, logs.read_lines),
    Row(("DELETE",), "/api/logs", Access.MANAGEMENT, logs.clear),
    Row(_READ, "/api/logs/files", Access.MANAGEMENT, logs.read_files),
    Row(_READ, "/api/logs/level", Access.MANAGEMENT, logs.read_level),
    Row(("POST",), "/api/logs/level", Access.MANAGEMENT, logs.set_level),
    Row(_READ, "/api/openapi.json", Access.MANAGEMENT, openapi.read_openapi),
    Row(_READ, "/api/transformers", Access.MANAGEMENT, management.list_transformers),
    Row(_READ, "/providers", Access.MANAGEMENT, providers.list_providers),
    Row(("POST",), "/providers", Access.MANAGEMENT, providers.add_provider),
    Row(_READ, "/providers/{id}", Access.MANAGEMENT, providers.read_provider),
    Row(("PUT",), "/providers/{id}", Access.MANAGEMENT, providers.change_provider),
    Row(("DELETE",), "/providers/{id}", Access.MANAGEMENT, providers.delete_provider),
    Row(("PATCH",), "/providers/{id}/toggle", Access.MANAGEMENT, providers.toggle_provider),
    Row(_READ, "/ui", Access.LOCAL, pages.enter),
    *(Row(_READ, page.path, Access.PAGE, pages.serving(page)) for page in PAGES),
    *(Row(_READ, page.twin, Access.MANAGEMENT, pages.telling(page)) for page in PAGES),
    Row(("POST",), "/ui/providers", Access.PAGE, providers_forms.act),
    Row(("POST",), "/api/providers/test", Access.MANAGEMENT, providers_forms.test),
    Row(("POST",), "/ui/routes", Access.PAGE, routes_forms.try_route),
    Row(("POST",), "/api/routes/try", Access.MANAGEMENT, routes_forms.try_json),
    Row(("POST",), "/api/policy/simulate", Access.MANAGEMENT, policy_forms.simulate_json),
    Row(("POST",), "/ui/policy/simulate", Access.PAGE, policy_forms.simulate_page),
    Row(("POST",), "/ui/policy/prove", Access.PAGE, policy_forms.prove_page),
    Row(("POST",), "/ui/config/save", Access.PAGE, config_forms.save),
    Row(("POST",), "/ui/config/drop", Access.PAGE, config_forms.drop),
    Row(("POST",), "/ui/config/change/{kind}", Access.PAGE, config_forms.change),
    Row(_READ, "/ui/logs/download", Access.PAGE, logs_forms.download),
    Row(("POST",), "/ui/logs/level", Access.PAGE, logs_forms.set_level),
    Row(_READ, "/ui/sign-in", Access.LOCAL, pages.show_sign_in),
    Row(("POST",), "/ui/sign-in", Access.LOCAL, pages.sign_in),
    Row(("POST",), "/ui/sign-out", Access.PAGE, pages.sign_out),
    Row(_READ, "/ui/static/{name}", Access.LOCAL, pages.read_file),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the table says of a request. `row` is None where nothing answers: `methods` then holds those that the path
    has, none for an unknown path.
    """

    row: Row | None
    access: Access
    params: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()


_UNKNOWN = Found(None, Access.CLIENT)
_STRICTNESS = (Access.OPEN, Access.LOCAL, Access.CLIENT, Access.PAGE, Access.MANAGEMENT)
#: Paths of OpenAI's APIs, served or not.
_OPENAI = re.compile(r"/(?:v1/)?(chat|completions|embeddings|audio|images|moderations|responses|conversations)(?:/|$)")
_FORMS: Mapping[str, DialectName] = {"responses": "openai_responses", "conversations": "openai_responses"}
#: Dot segments and control characters: other programs would read another path out of such a one.
_ODD = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")


def served_path(path: str) -> str:
    """`path` without needless slashes: base URLs are often written with one at the end. Nothing else is mended.

    A slash at the end that the table has stays: relative to it links are read.
    """
    if path in _EXACT:
        return path
    if "//" in path or path[1:].endswith("/"):
        return "/" + "/".join(part for part in path.split("/") if part)
    return path


def form_of(path: str) -> Served | None:
    """The dialect that a client of `path`, as `served_path` gives it, speaks; None for Messages. Also for paths that
    are not served: a client is told so in words that it reads.
    """
    found = _OPENAI.match(path)
    return None if found is None else SERVED.get(_FORMS.get(found[1], "openai_chat"))


def find(path: str, method: str) -> Found:
    """What answers `method` on `path`, as `served_path` gives it. A wrong method asks for no less than the path's
    strictest route, and is nowhere open.
    """
    if _ODD.search(path):
        return _UNKNOWN
    rows, params = _rows_of(path)
    if not rows:
        return _UNKNOWN
    for row in rows:
        if method in row.methods:
            return Found(row, row.access, params)
    methods = tuple(name for row in rows for name in row.methods)
    strictest = max((Access.CLIENT, *(row.access for row in rows)), key=_STRICTNESS.index)
    return Found(None, strictest, params, methods)


def _rows_of(path: str) -> tuple[tuple[Row, ...], Mapping[str, str]]:
    if path in _EXACT:
        return _EXACT[path], {}
    for pattern, rows in _PATTERNS:
        if match := pattern.fullmatch(path):
            return rows, match.groupdict()
    return (), {}


def _pattern(path: str) -> re.Pattern[str]:
    kinds = {"": "[^/]+", ":path": ".+"}
    parts = re.split(r"\{(\w+)((?::path)?)\}", path)
    text = re.escape(parts[0])
    for name, kind, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{kinds[kind]}){re.escape(rest)}"
    return re.compile(text)


_BY_PATH = {
    path: tuple(row for row in ROUTES if row.path == path) for path in dict.fromkeys(row.path for row in ROUTES)
}
_EXACT = {path: rows for path, rows in _BY_PATH.items() if "{" not in path}
_PATTERNS = tuple((_pattern(path), rows) for path, rows in _BY_PATH.items() if "{" in path)

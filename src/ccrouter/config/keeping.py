"""`record`, `logFiles` and `telemetry` of the file → what is kept of requests, and what is told of them to others."""

from __future__ import annotations

from urllib.parse import urlsplit

from ccrouter.config.record import Record
from ccrouter.config.schema import LogFiles, RecordKeeping, Telemetry


def read_record_keeping(top: Record) -> RecordKeeping:
    """What `record` and `record_content` say; where they say nothing, the defaults: figures, and nothing of what was
    said.
    """
    default = RecordKeeping()
    content = top.get("record_content", default.content)
    said: Record | None = top.get("record")
    if said is None:
        return RecordKeeping(content=content)
    return RecordKeeping(
        enabled=said.get("enabled", default.enabled),
        days=said.get("days", default.days),
        megabytes=said.get("megabytes", default.megabytes),
        content=content,
        content_days=said.get("contentDays", default.content_days),
    )


def read_log_files(top: Record) -> LogFiles:
    """What `logFiles` says; where it says nothing, the defaults."""
    default = LogFiles()
    said: Record | None = top.get("logFiles")
    if said is None:
        return default
    return LogFiles(megabytes=said.get("megabytes", default.megabytes), keep=said.get("keep", default.keep))


def read_telemetry(top: Record) -> Telemetry:
    """What `telemetry` says; where it says nothing, nothing is sent. An endpoint that is no URL is refused."""
    said: Record | None = top.get("telemetry")
    if said is None:
        return Telemetry()
    endpoint: str = said.get("endpoint") or ""
    if endpoint and (urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname):
        said.at("endpoint").refuse("must be a URL of http or https", 'write "http://localhost:4318"')
    return Telemetry(
        enabled=said.get("enabled", default=False), endpoint=endpoint, headers=dict(said.get("headers", {}))
    )

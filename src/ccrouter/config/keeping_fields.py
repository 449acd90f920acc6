"""The keys of `record`, `logFiles` and `telemetry`. Data only."""

from __future__ import annotations

from ccrouter.config.kinds import Flag, MapOf, Number, Text
from ccrouter.config.schema import LogFiles, RecordKeeping
from ccrouter.config.table import Field, Table

_KEEPING = RecordKeeping()
_LOG_FILES = LogFiles()

RECORD = Table(
    "Record",
    "What is kept of requests: figures and names, in `records.db` beside this file.",
    (
        Field("enabled", Flag(), "Whether anything is.", default="true"),
        Field("days", Number(1, 3650, "days"), "For how long.", default=f"{_KEEPING.days}"),
        Field(
            "megabytes",
            Number(10, 2**20, "megabytes"),
            "In how much room; the oldest go first.",
            default=f"{_KEEPING.megabytes}",
        ),
        Field(
            "contentDays",
            Number(1, 3650, "days"),
            "For how long what was said is, if it is.",
            default=f"{_KEEPING.content_days}",
        ),
    ),
)

LOG_FILES = Table(
    "LogFiles",
    "The log file is `logs/ccr-….log`; one that has grown too large is put away beside it.",
    (
        Field(
            "megabytes", Number(1, 2**20, "megabytes"), "The size at which it is.", default=f"{_LOG_FILES.megabytes}"
        ),
        Field("keep", Number(0, 1000, "files"), "How many are kept of those put away.", default=f"{_LOG_FILES.keep}"),
    ),
)

TELEMETRY = Table(
    "Telemetry",
    "Traces and metrics by OpenTelemetry. Needs `pip install 'ccrouter[otel]'`.",
    (
        Field("enabled", Flag(), "Whether they are sent.", default="false"),
        Field(
            "endpoint",
            Text("URL"),
            "The collector, for OTLP over HTTP; a policy has to allow its host.",
            default="$OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318",
        ),
        Field("headers", MapOf(Text()), "Sent to it.", need="may"),
    ),
)

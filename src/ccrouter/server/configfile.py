"""The configuration file behind what is in force, for whoever shows or changes it. Blocks: to be used in a thread.

Nothing here can weaken a policy: what is to be written is examined as at a start, by the policy in force, and refused
whole. Secrets are in nothing that leaves but in the file itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ccrouter.compliance.examine import examine
from ccrouter.compliance.findings import Finding, Verdict
from ccrouter.compliance.policy import Policy
from ccrouter.config import backup
from ccrouter.config.listen import Overrides
from ccrouter.config.load import router_folder
from ccrouter.config.masking import mask
from ccrouter.config.rewrite import keep_secrets
from ccrouter.config.schema import Config
from ccrouter.config.starter import SCHEMA, SCHEMA_NAME, write_new
from ccrouter.config.syntax import decode, parse, read_bounded
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import Secret, redact
from ccrouter.server.call import Call


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file at `path`, what is in force now, and the environment that variables are filled in from."""

    path: Path
    config: Config
    policy: Policy
    environ: Mapping[str, str]

    @property
    def is_followed(self) -> bool:
        """False if the router runs without a file: what is written takes effect at its next start."""
        return self.config.path is not None

    def text(self) -> str | None:
        """What is in the file; None without one. Raises ClientError (409) if it cannot be read: what is in it is not to
        be lost by a save.
        """
        try:
            return decode(read_bounded(self.path), str(self.path))
        except FileNotFoundError:
            return None
        except (OSError, ConfigError) as error:
            raise ClientError(f"the config file cannot be read, and is left as it is: {error}", status=409) from error

    def judge(self, text: str) -> Verdict:
        """What a start with `text` in the file would come to, under the policy in force."""
        return examine(self.path, self.environ, self.policy, given_key(self.config), text=text)

    def put(self, text: str) -> Path | None:
        """After the call the file holds `text`; gives the backup of what it held. Raises ClientError (500)."""
        is_new = not self.path.exists()
        try:
            kept = backup.save(self.path, text, now=datetime.now(UTC))
        except ConfigError as error:
            raise ClientError(str(error), status=500, type="api_error") from error
        if is_new:
            with contextlib.suppress(OSError):  # the schema is for editors: the file is saved
                write_new(self.path.with_name(SCHEMA_NAME), SCHEMA.read_bytes())
        return kept

    def with_secrets(self, text: str, new: JsonObject) -> JsonObject:
        """`new` with what `text`, the file's, has in the place of masks. Raises ClientError if a mask has nothing to
        stand for, and (409) if the file cannot be parsed.
        """
        try:
            old = parse(text, str(self.path)).tree if text.strip() else {}
        except ConfigError as error:
            raise ClientError(f"the config file cannot be parsed, and is left as it is: {error}", status=409) from error
        try:
            return keep_secrets(old, new, self.environ)
        except ConfigError as error:
            raise ClientError(redact(str(error), self.secrets(new))) from error

    def secrets(self, tree: JsonObject) -> tuple[Secret, ...]:
        """The secrets in force and those that stand in `tree`: messages about it may quote what is written."""
        hidden = [Secret(was) for was, shown in zip(_texts(tree), _texts(mask(tree)), strict=True) if was != shown]
        return (*self.config.secrets, *hidden)


def file_of(call: Call) -> ConfigFile:
    """The file of the call's edition; the usual one where that was read from none."""
    environ, edition = call.process.environ, call.edition
    path = edition.config.path or router_folder(environ) / "config.json"
    return ConfigFile(path, edition.config, edition.policy, environ)


def digest_of(text: str | None) -> str:
    """What tells two contents of the file apart; "" for none."""
    return "" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def given_key(config: Config, router: str | None = None) -> Overrides:
    """What the command line said of the key, if it did, and will say again: a file need not have one then."""
    is_written = any(key.casefold().replace("_", "").replace("-", "") == "apikey" for key in config.raw)
    key = config.api_key.reveal() if config.api_key and not is_written else None
    return Overrides(api_key=key, router=router)


def refusal(call: Call, errors: tuple[Finding, ...], secrets: tuple[Secret, ...], path: str) -> ClientError:
    """Every reason why what was sent to `path` is refused; 403 if the policy has one among them, which is then on
    record.
    """
    is_denied = any(finding.rule for finding in errors)
    message = redact("\n".join(str(finding.problem) for finding in errors), secrets)
    if is_denied:
        note_denial(call, next(finding.rule for finding in errors if finding.rule), path)
    return ClientError(
        f"the configuration is refused, and the file left as it was:\n{message}",
        status=403 if is_denied else 400,
        type="permission_error" if is_denied else "invalid_request_error",
        details={"problems": told_findings(errors, secrets)},
    )


def note_denial(call: Call, rule: str, path: str) -> None:
    """Tell the audit that a change was refused. It is refused whether that can be written or not."""
    facts = {"request": call.id, "path": path, "rule": rule, "policy": call.edition.policy.digest, "result": "denied"}
    call.process.account.report("denial", facts)


def told_findings(findings: Iterable[Finding], secrets: Iterable[Secret]) -> list[JsonObject]:
    """Findings as plain values, without secrets."""
    return redacted(
        [{"path": one.path, "message": one.message, "rule": one.rule or None, "hint": one.hint} for one in findings],
        tuple(secrets),
    )


def redacted(told: list[JsonObject], secrets: tuple[Secret, ...]) -> list[JsonObject]:
    """The texts of each without `secrets`."""
    return [
        {key: redact(value, secrets) if isinstance(value, str) else value for key, value in one.items()} for one in told
    ]


def _texts(node: Json) -> Iterator[str]:
    """Every text in `node`, keys left out, in order."""
    if isinstance(node, str):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(inner)

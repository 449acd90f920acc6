"""What was said is kept only where the user wants it, and secrets never are."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from ccrouter.config.schema import PoolKey
from ccrouter.gateway.record import Content
from ccrouter.secret import Secret
from ccrouter.store.content import ContentKeeper, read_kept
from tests.store.seed import CONFIG

KEY = "sk-ant-api03-" + "Zx9" * 20
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7x\nq2\n-----END RSA PRIVATE KEY-----"
CREDENTIALS = [
    KEY,
    "sk-proj-abcdefghij0123456789",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 8,
    "glpat-" + "a1B2" * 5,
    "AKIA" + "ABCD1234" * 2,
    "xoxb-1234567890-abcdef",
    "AIza" + "Sy0" * 11,
    JWT,
    PEM,
    "npm_" + "a1B2" * 9,
    "ya29." + "a0Af" * 8,
]


def _kept(kind: str, text: str, secrets=()) -> str:
    content = Content(1_000_000)
    content.note_request(text.encode())
    kept = ContentKeeper(kind, secrets).keep(content)
    return "" if kept is None else read_kept(kept.request)


def test_nothing_is_kept_unasked():
    """With "none" there is nothing to be written."""
    assert ContentKeeper("none", ()).keep(Content(10)) is None


@pytest.mark.parametrize("kind", ["redacted", "full"])
@pytest.mark.parametrize("secret", CREDENTIALS)
@pytest.mark.parametrize("around", ["{}", 'export KEY="{}"', "it is {}, and", "x={};y", "lines\n{}\nand more", "\t{}"])
def test_what_has_the_form_of_a_credential_is_not_kept(kind, secret, around):
    """In whatever text it stands, plain or as JSON, once or twice escaped."""
    text = around.format(secret)
    for written in (text, json.dumps({"text": text}), json.dumps({"text": json.dumps({"in": text})})):
        kept = _kept(kind, written)
        assert secret not in kept
        assert secret[5:25] not in kept
        assert "***" in kept


@pytest.mark.parametrize("kind", ["redacted", "full"])
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("PASSWORD=correct-horse", "correct-horse"),
        ('{"api_key": "hunter2hunter2"}', "hunter2hunter2"),
        ('{\\"client_secret\\": \\"hunter2hunter2\\"}', "hunter2hunter2"),
        ("postgres://ada:lovelace1@db/x", "lovelace1"),
    ],
)
def test_what_is_called_a_secret_is_not_kept(kind, text, secret):
    """A value that its name gives away goes; the name stays."""
    kept = _kept(kind, text)
    assert secret not in kept
    assert "***" in kept


def test_the_routers_own_secrets_are_not_kept():
    """Whatever they look like, and encoded too."""
    secret = "correct horse battery"
    encoded = base64.b64encode(secret.encode()).decode()
    kept = _kept("full", f"{secret} and {encoded} and more", (Secret(secret),))
    assert "horse" not in kept
    assert encoded[4:-4] not in kept
    assert "more" in kept


def test_full_keeps_what_is_personal_and_redacted_does_not():
    """Names of homes, addresses, pictures and long runs go with "redacted"; words stay."""
    picture = base64.b64encode(bytes(range(256)) * 8).decode()
    text = json.dumps(
        {"path": "/home/ada/shop/a.py", "mac": "/Users/ada/x", "win": "C:\\Users\\ada\\x", "mail": "ada@example.org",
         "image": picture, "words": "please mend the shop"}
    )  # fmt: skip
    assert _kept("full", text) == text
    kept = json.loads(_kept("redacted", text))
    assert "ada" not in json.dumps(kept)
    assert kept["path"] == "/home/***/shop/a.py"
    assert kept["win"] == "C:\\Users\\***\\x"
    assert kept["words"] == "please mend the shop"
    assert kept["image"] == f"*** ({len(picture)} characters)"


def test_ordinary_text_stays_as_it_is():
    """What merely speaks of keys and tokens is no secret."""
    text = (
        "The token count is 12; see the key figures of skip_special_tokens, task-based, and sk-learn. git show a1b2c3d."
    )
    assert _kept("full", text) == text


def test_no_secret_is_anywhere_in_the_file(record, make, tmp_path):
    """Not in the file nor in what SQLite keeps beside it, with everything kept that can be: looked for as bytes."""
    provider = replace(CONFIG.providers[0], keys=(PoolKey(Secret(KEY), label="key 1"),))
    recorder = record(content="full", config=replace(CONFIG, providers=(provider, *CONFIG.providers[1:])))
    for _ in range(20):
        content = Content(100_000)
        content.note_request(json.dumps({"messages": [{"role": "user", "content": f"my key is {KEY}"}]}).encode())
        content.note_answer(f"data: I shall not tell {KEY}\n\n".encode())
        recorder.put(make(content=content))
    recorder.flush()
    recorder._file._connection.execute("PRAGMA wal_checkpoint")
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert KEY.encode() not in data
        assert KEY[:16].encode() not in data


def test_what_was_cut_says_so(record, make, read):
    """A body longer than what is kept of it is told to be cut."""
    recorder = record(content="full")
    content = Content(10)
    content.note_request(b"0123456789abc")
    content.note_answer(b"0123")
    content.note_answer(b"456789abc")
    recorder.put(make(content=content))
    recorder.flush()
    assert read.last()["content"] == {"kind": "full", "request": "0123456789", "answer": "0123456789", "isCut": True}

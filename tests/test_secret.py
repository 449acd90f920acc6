"""A secret cannot be printed by accident, and texts that others wrote lose what looks like one."""

from __future__ import annotations

import base64
import copy
import dataclasses
import html
import json
import logging
import pickle
import string
import traceback
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.secret import MASK, Secret, redact

KEY = "sk-ant-api03-Zm9v_YmFy-0123456789"
NAMES = st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=7, max_size=40)


def test_no_way_of_printing_shows_it(caplog, capsys):
    """Not repr, str, format, print, %-formatting, logging, a containing dataclass or a traceback."""

    @dataclasses.dataclass
    class Holder:
        key: Secret

    secret = Secret(KEY)
    print(secret, repr(secret), [secret], {"key": secret}, Holder(secret), f"{secret} {secret!r} {secret:>40}")
    logging.getLogger("test").warning("%s %r", secret, secret)
    traceback.print_exception(ValueError(secret))
    out = capsys.readouterr()
    assert KEY not in out.out + out.err + caplog.text
    assert out.out.count(MASK) == 8
    assert f"{secret:>5}" == "  ***"


def test_no_encoder_takes_it():
    """It cannot be encoded as JSON, pickled or copied by way of either: all of it fails loudly."""
    secret = Secret(KEY)
    for leak in (json.dumps, msgspec.json.encode, msgspec.to_builtins, pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            leak(secret)
        assert KEY not in str(caught.value)
    assert json.dumps({"key": secret}, default=str) == '{"key": "***"}'
    assert not hasattr(secret, "__dict__")


@given(st.text(max_size=30), st.text(max_size=30))
def test_matches_is_equality_of_texts(one, other):
    """`matches` says whether the text is the same one, for any text."""
    assert Secret(one).matches(one)
    assert Secret(one).matches(other) is (one == other)


@pytest.mark.parametrize("odd", ["\udce9", chr(0xD800), "é", "\0", "a" * 100_000])
def test_matches_never_raises(odd):
    """Neither a damaged environment variable nor a strange header makes the comparison fail."""
    assert not Secret("key").matches(odd)
    assert not Secret(odd).matches("key")
    assert Secret(odd).matches(odd)


def test_near_misses_do_not_match():
    """A prefix, one letter more, other case and the empty text are not the key."""
    for near in (KEY[:-1], KEY + "x", KEY.upper(), "", " " + KEY):
        assert not Secret(KEY).matches(near)


def test_truth_is_whether_there_is_one():
    """An empty secret is false: a provider without a key is asked without one."""
    assert Secret("x")
    assert not Secret("")


def test_equality_does_not_compare_texts():
    """`==` says nothing about the text, so that it cannot be used to compare keys in variable time."""
    assert Secret("a") != Secret("a")
    assert Secret("a") != "a"


# -- redact ------------------------------------------------------------------------------------------------------------


@given(st.lists(NAMES, min_size=1, max_size=4), st.text(alphabet="xyz .,:'\"", max_size=10))
def test_given_secrets_go(keys, around):
    """None of the given secrets is left, whatever stands around it and however they contain each other."""
    text = around.join(["", *keys, *keys[::-1], ""])
    redacted = redact(text, [Secret(key) for key in keys])
    for key in keys:
        assert key not in redacted


def test_a_secret_that_begins_like_another_leaves_no_rest():
    """Where one key is the beginning of another, nothing of the longer one stays, in whatever order they are given."""
    short, long = Secret("tenant1"), Secret("tenant1.Gq8wP2")
    for order in ([short, long], [long, short]):
        assert redact("key tenant1.Gq8wP2!", order) == "key ***!"


def test_words_are_not_secrets():
    """Keys of local servers ("test", "ollama") are words of ordinary sentences and stay."""
    assert redact("the test of ollama", [Secret("test"), Secret("a"), Secret("")]) == "the test of ollama"


@pytest.mark.parametrize(
    "key",
    [
        "sk-abcdefghijklmnopqrst", KEY, "sk-proj-abcDEF0123456789", "sk-or-v1-0123456789abcdef0123456789abcdef",
        "sk_live_0123456789abcdef", "gsk_0123456789abcdefghij", "xai-0123456789abcdefghij", "hf_abcdefghijABCDEFGHIJ",
        "nvapi-0123456789abcdef_-", "AIzaSyA0123456789abcdefghijklmnopqrstu", "pk-0123456789abcdef", "key-0123456789abcdef",
        "sk-ab**************wxyz", "sk-proj-****************",
    ],
)  # fmt: skip
def test_keys_that_providers_print_back_go(key):
    """What has the shape of a key, whole or half masked, does not reach the client, in prose or in JSON."""
    assert redact(f"Incorrect API key provided: {key}. You can find").startswith(f"Incorrect API key provided: {MASK}")
    assert key not in redact(json.dumps({"error": {"message": key}}))
    assert json.loads(redact(json.dumps({"error": {"message": f"bad '{key}'"}}))) == {
        "error": {"message": f"bad '{MASK}'"}
    }


@pytest.mark.parametrize(
    "text",
    [
        "skip_thought_signature_validator", "skip-special-tokens-now", "keyword_arguments_not_supported", "key_value_store_is_missing",
        "keyboard-interrupt-handler", "task-force-something-long", "the sky-high-limit-of-requests", "pkg-config-is-not-installed",
        "model 'desk-research-assistant' not found", "`thinking.budget_tokens` must be at least 1024", "risk-assessment-2024-model",
        "prompt is too long: 210000 tokens > 200000 maximum", "claude-sonnet-4-5-20250929", "messages.0.content.0.text",
        "toolu_01A09q90qw90lq917835lq9", "req_011CSHoEeqs5C35K2UUqR7Fy", "hf", "sk-", "sk-short",
    ],
)  # fmt: skip
def test_ordinary_words_stay(text):
    """The words by which clients recognise an error, model names and ids are not taken for keys."""
    assert redact(text) == text


# -- in whatever form --------------------------------------------------------------------------------------------------

ODD = r'c5(a|n)+[a-r]*y{2,}.?^"\\w<b>/&%2F+#~'
FORMS = {
    "json": lambda text: json.dumps({"k": text}),
    "json, not ASCII": lambda text: json.dumps({"k": text}, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps({"k": text})),
    "json with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "repr": repr,
    "repr of json": lambda text: repr(json.dumps(text)),
    "url": lambda text: f"?key={quote(text, safe='')}&x",
    "url, path": quote,
    "form": lambda text: f"key={quote_plus(text)}",
    "html": html.escape,
    "html without quotes": lambda text: html.escape(text, quote=False),
    "hexadecimal": lambda text: text.encode().hex(),
    "basic": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"x{text}y".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [ODD, "walrus.marmalade.trombone", "Kanarienvögel-mögen-Äpfel", "日本語の秘密の鍵です"])
def test_secrets_go_in_every_form(form, key):
    """However others wrote a secret down, neither that form of it nor a half of it is left."""
    written = FORMS[form](key)
    left = redact(f"before {written} after", [Secret(key)])
    assert MASK in left
    for part in (written[4:-4], written[len(written) // 2 : -4]):
        assert part not in left
    assert left.startswith("before ")
    assert left.endswith(" after")


@pytest.mark.parametrize("end", ["", " …", "…", "...", "”, and so on", " ..."])
def test_a_secret_that_was_cut_off_goes(end):
    """Its beginning, from eight letters on, is not left where a text was shortened; shorter ones are words."""
    key = "walrus-marmalade-trombone"
    for length in range(8, len(key)):
        assert redact(f"no such key: {key[:length]}{end}", [Secret(key)]) == f"no such key: ***{end}"
    assert redact(f"no such key: {key[:7]}{end}", [Secret(key)]) == f"no such key: {key[:7]}{end}"
    assert redact("walrus-marm in the middle", [Secret(key)]) == "walrus-marm in the middle"


def test_the_rest_of_a_key_in_base64_goes():
    """What has the shape of a key and goes on in the alphabet of base64 leaves no rest."""
    assert redact("Incorrect key: sk-live_abcdefghij0123/klmnop+qrst==, sorry") == "Incorrect key: ***, sorry"


def test_words_in_base64_are_no_secrets():
    """A short secret is looked for as it is only: encoded it could be a part of anything."""
    assert redact("dGVu dGVzdHM 74656e", [Secret("tests7")]) == "dGVu dGVzdHM 74656e"


def test_redaction_of_long_texts_takes_no_longer_than_they_are():
    """Blanks and marks without end cost time in proportion: a provider cannot hold the router up by its errors."""
    secrets = [Secret(f"walrus.marmalade.trombone.{number}") for number in range(5)]
    for noise in (" " * 200_000, "… " * 50_000, "walrus.m…" * 5_000):
        assert redact(noise, secrets)

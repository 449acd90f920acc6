"""What a record may hold of a provider's words."""

from __future__ import annotations

import json

import pytest

from ccrouter.gateway.record import without_content

CONTENT = [
    json.dumps(
        [{"role": "user", "content": "Please tell nobody: the launch is on Tuesday, codename_blue_falcon_77"}]
    ).encode()
]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("invalid input: 'the launch is on Tuesday' in messages.0", "invalid input: '…' in messages.0"),
        (
            "input_value='Please tell nobody: the launch is on Tuesday, codename_blue_falcon_77', type=str",
            "input_value='…', type=str",
        ),
        ("unexpected token codename_blue_falcon_77.", "unexpected token …."),
        ("unexpected token 'codename_blue_falcon_77'", "unexpected token '…'"),
        ("the model is overloaded, is on fire", "the model is overloaded, is on fire"),
        ("", ""),
        ("launch on Tuesday", "launch on Tuesday"),
    ],
)
def test_quotations_are_left_out(said, kept):
    """Runs of three words and single long words that the client wrote are left out, the server's own words stay."""
    assert without_content(said, CONTENT) == kept


def test_nothing_is_lost_without_content():
    """Without a conversation the words stay as they are, blanks and all."""
    said = "  two  blanks,\n a line\tand ünïcode … "
    assert without_content(said, []) == said

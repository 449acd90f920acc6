"""A configuration's text as it is shown, and made whole again: what is hidden, and that nothing else changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.shown import changed_secrets, literal_secrets, restore, show
from ccrouter.errors import ConfigError
from ccrouter.secret import Secret

#: One of the form of a key, and one that only its place tells.
KEY, OTHER = "sk-abcdef1234567890abcd", "quiet-river-77-lamp"

TEXTS = {
    "json": json.dumps({"Providers": [{"name": "p", "api_key": KEY, "models": ["m"]}], "x": 1.0}, indent=2) + "\n",
    "json5": f"{{\n\t// mine\n\tAPIKEY: '{KEY}', /* \"api_key\": \"{OTHER}\" */\n\tProviders: [ {{name:'p', key:'$X',}}, ],\n}}",
    "twice": f'{{"api_key": "{OTHER}", "api_key": "$X"}}',
    "url": f'{{"PROXY_URL": "http://user:{KEY}@proxy:1/", "headers": {{"x-api-key": "{OTHER}", "accept": "*/*"}}}}',
    "number": '{"token": 12345678, "max_tokens": 5}',
    "comment alone": f"{{}} // {KEY}",
    "stars": '{"a": 1} /*** not a secret ***/',
    "surrogates": '{"a": "\\ud83d\\ude00", "api_key": "' + KEY + '"}',
    "odd lines": f'{{"a": 1,\r\n"api_key": "{KEY}"\r\n}}\r\n',
    "named by a key": f'{{"{KEY}": {{"a": 1}}}}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_shown_that_is_a_secret(name):
    """Neither a value, nor a comment, nor a value that does not count, nor a name holds one; the rest is as it was."""
    shown = show(TEXTS[name])
    assert KEY not in shown
    assert OTHER not in shown
    assert shown.count("\n") == TEXTS[name].count("\n")


@pytest.mark.parametrize("name", TEXTS)
def test_unchanged_it_is_the_same(name):
    """What is shown and comes back unchanged is the old text, byte for byte."""
    assert restore(show(TEXTS[name]), TEXTS[name], {}) == TEXTS[name]


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "comment alone"])
def test_one_edit_is_one_edit(name):
    """What is edited elsewhere changes that alone: every secret comes back as it was written."""
    text = TEXTS[name]
    place = text.rindex("}")
    added = f'{text[:place].rstrip().removesuffix(",")}, "added": true {text[place:]}'
    place = (shown := show(text)).rindex("}")
    typed = f'{shown[:place].rstrip().removesuffix(",")}, "added": true {shown[place:]}'
    assert restore(typed, text, {}) == added


def test_known_secrets_are_hidden_wherever_they_stand():
    """The value of a variable that somebody wrote out somewhere is hidden too."""
    text = '{"note": "it was plain-word-value once"} // plain-word-value'
    assert "plain-word-value" not in show(text, [Secret("plain-word-value")])
    assert restore(show(text, [Secret("plain-word-value")]), text, {}, [Secret("plain-word-value")]) == text


def test_a_text_that_cannot_be_read_is_not_shown():
    """Of a text with a mistake nobody can tell where its secrets are."""
    for text in ("{", "[1]", '{"a": }', f'{{"api_key": "{KEY}"'):
        with pytest.raises(ConfigError):
            show(text)


def test_a_mask_without_a_secret():
    """A mask where the old text has nothing is refused by its place, and so is a changed comment that had one."""
    with pytest.raises(ConfigError) as refused:
        restore('{"Providers": [{"name": "new", "api_key": "***"}]}', '{"Providers": []}', {})
    assert refused.value.problems[0].path == "Providers[0].api_key"
    text = TEXTS["json5"]
    with pytest.raises(ConfigError) as refused:
        restore(show(text).replace("/* ", "/* was: "), text, {})
    assert refused.value.problems[0].path == "line 3"


def test_a_secret_goes_to_its_own_place_only():
    """Two providers that change their places take their keys along; a removed one's key is gone."""
    one, two = f'{{name: "a", key: "{KEY}"}}', f'{{name: "b", key: "{OTHER}"}}'
    text = f"{{Providers: [{one}, {two}]}}"
    shown = show(text)
    first, second = '{name: "a", key: "***"}', '{name: "b", key: "***"}'
    assert shown == f"{{Providers: [{first}, {second}]}}"
    assert restore(f"{{Providers: [{second}, {first}]}}", text, {}) == f"{{Providers: [{two}, {one}]}}"
    assert restore(f"{{Providers: [{second}]}}", text, {}) == f"{{Providers: [{two}]}}"


def test_a_new_secret_in_the_place_of_a_mask():
    """What is written over a mask is the new secret, and the change is told by its place without either."""
    text = TEXTS["json"]
    new = restore(show(text).replace("***", OTHER), text, {})
    assert new == text.replace(KEY, OTHER)
    assert changed_secrets(text, new) == ["Providers[0].api_key"]
    assert show(new) == show(text)


def test_variables_are_no_secrets_and_stay():
    """A placeholder is shown as it is, and is not filled in; a value that somebody resolved is a placeholder again."""
    text = '{"api_key": "$MY_KEY", "b": 1}'
    assert show(text) == text
    assert restore('{"api_key": "the-resolved-value", "b": 2}', text, {"MY_KEY": "the-resolved-value"}) == (
        '{"api_key": "$MY_KEY", "b": 2}'
    )


def test_where_secrets_are_written_out():
    """The places of literal secrets are told, those of variables are not."""
    assert literal_secrets(TEXTS["json"]) == ["Providers[0].api_key"]
    assert literal_secrets('{"api_key": "$X", "APIKEY": "${Y}"}') == []


_NAMES = st.sampled_from(["name", "api_key", "token", "models", "headers", "x", "a*", "Providers", "é", "url", "value"])
_WORDS = st.sampled_from(
    [KEY, OTHER, "p,m", "$X", "${Y:-z}", "", "***", "it's", 'a "b"', "\\", "//", "/*", "😀", "\u2028"]
)
_TREES = st.dictionaries(
    _NAMES,
    st.recursive(
        _WORDS | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@given(tree=_TREES, indent=st.sampled_from([None, 1, "\t"]), comment=st.sampled_from(["", f"// {KEY}\n", "/* *** */"]))
def test_any_text_comes_back(tree, indent, comment):
    """Whatever the tree and however it is written: no key is shown, and unchanged it is the same, byte for byte."""
    text = comment + json.dumps(tree, indent=indent, ensure_ascii=False) + comment
    shown = show(text)
    assert KEY not in shown
    assert restore(shown, text, {}) == text


@given(tree=_TREES, indent=st.sampled_from([None, 2]), comment=st.sampled_from(["", f"// {KEY}\n"]))
def test_an_edit_in_any_text(tree, indent, comment):
    """A member more, at the end, is the only difference, if what is masked can be put back for certain."""
    text = comment + json.dumps(tree | {"last": 1}, indent=indent, ensure_ascii=False)
    shown = show(text)
    typed, wanted = (f'{one[: one.rindex("1") + 1]}, "added": 2{one[one.rindex("1") + 1 :]}' for one in (shown, text))
    assert restore(typed, text, {}) == wanted

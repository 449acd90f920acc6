"""Several keys of one provider: what is read of them, and that none of them is shown, lost or given to another.

What each form of a list comes to is in the cases `several-keys*.txt`.
"""

from __future__ import annotations

import json

import pytest

from ccrouter.config.interpolate import fill
from ccrouter.config.load import read
from ccrouter.config.masking import mask
from ccrouter.config.preset_export import export
from ccrouter.config.restore import keep_secrets
from ccrouter.config.rewrite import rewrite
from ccrouter.errors import ConfigError

ENVIRON = {"A": "sk-canary-of-a-0123456789", "B": "sk-canary-of-b-0123456789"}
POOL = [
    "sk-canary-literal-0123456789",
    "${A}",
    {"key": "canary-of-an-object-1", "label": "team-2026-blue", "weight": 2, "priority": 1},
    {"key": "$B", "label": "spare", "requestsPerMinute": 60, "tokensPerMinute": 1000, "concurrent": 4},
]


def tree(pool, **more):
    provider = {"name": "p", "api_base_url": "https://a.example/v1/messages", "api_key": pool, "models": ["m"]}
    return {"Providers": [{**provider, **more}], "Router": {"default": "p,m"}}


def reading(pool, environ=ENVIRON, **more):
    return read(None, environ, text=json.dumps(tree(pool, **more)))


def provider_of(pool, environ=ENVIRON, **more):
    found = reading(pool, environ, **more)
    assert found.problems == ()
    return found.config.providers[0]


def pool_of(given):
    return given["Providers"][0]["api_key"]


def kept(new, old=POOL):
    """What is kept of a pool that comes back as `new`."""
    return pool_of(keep_secrets(tree(old), tree(new), ENVIRON))


# -- reading -----------------------------------------------------------------------------------------------------------


def test_the_first_key_is_the_providers():
    """Whoever knows of one key only has the first; using another changes key and source together, and nothing else."""
    provider = provider_of(POOL)
    assert provider.key is provider.keys[0].secret
    assert provider.using(provider.pool[0]) is provider
    other = provider.using(provider.pool[1])
    assert other.key.reveal() == ENVIRON["A"]
    assert other.key_source == "${A}"
    assert other.keys == provider.keys


def test_the_first_key_that_can_be_used_is_the_providers():
    """An unset variable at the head of the list leaves its key out, not the provider."""
    provider = provider_of(["${UNSET}", "${A}"])
    assert provider.key_source == "${A}"
    assert [key.label for key in provider.keys] == ["A"]


@pytest.mark.parametrize("pool", ["${A}", ["${A}"], {"key": "${A}"}, [{"api_key": "$A"}]])
def test_one_key_in_every_form(pool):
    """A key alone is the same, whether in a text, a list or an object."""
    (key,) = provider_of(pool).keys
    assert (key.secret.reveal(), key.source, key.label) == (ENVIRON["A"], "${A}", "A")


def test_a_variable_holds_one_key():
    """A comma is a character of a key: nothing is divided."""
    (key,) = provider_of(["${A}"], {"A": "sk-a,sk-b"}).keys
    assert key.secret.reveal() == "sk-a,sk-b"


def test_no_label_tells_a_key():
    """Whatever a user writes as a label, and whatever two keys are called, labels differ and hold no key."""
    pool = [
        {"key": "canary-one-0123", "label": "canary-one-0123"},
        {"key": "canary-two-0123", "label": "of canary-one-0123"},
        {"key": "canary-three-01", "label": "sk-canary00112233445566778899"},
        {"key": "canary-four-012", "label": "me"},
        {"key": "canary-five-012", "label": "me"},
        "canary-six-0123",
        {"key": "${A}", "label": "key 6"},
    ]
    labels = [key.label for key in provider_of(pool).keys]
    assert len(set(labels)) == len(labels) == len(pool)
    assert "canary" not in " ".join(labels)
    assert labels[3:5] == ["me", "me 2"]


def test_every_key_is_known_as_a_secret():
    """Each key is removed from what others write, and none is in what is told of the configuration."""
    found = reading(POOL)
    texts = {secret.reveal() for secret in found.config.secrets}
    assert texts == {*ENVIRON.values(), POOL[0], POOL[2]["key"]}
    for told in (repr(found.config), json.dumps(found.config.raw), str(found.config.warnings)):
        assert "canary" not in told


def test_keys_that_do_not_count_are_secrets_too():
    """A provider that a later one replaces, or that is switched off, tells its keys no more than another."""
    twice = tree(["canary-first-0123"])
    twice["Providers"] += tree("${A}")["Providers"]
    found = read(None, ENVIRON, text=json.dumps(twice))
    assert "canary-first-0123" in {secret.reveal() for secret in found.secrets}


def test_a_broken_key_is_not_quoted():
    """What cannot be a key is refused by its place alone."""
    found = reading(["${A}", "canary with spaces", {"key": "canary\n", "label": "x"}])
    assert [problem.path for problem in found.problems] == ["Providers[0].api_key[1]"]
    assert "canary" not in str(found.problems)


def test_vertex_may_have_a_pool():
    """A platform that takes a key takes several."""
    pytest.importorskip("google.auth")
    provider = provider_of(
        ["${A}", "${B}"],
        platform="vertex",
        models=["claude-x"],
        project="my-project",
        location="us-east5",
        api_base_url="",
    )
    assert [key.label for key in provider.keys] == ["A", "B"]


# -- shown, and put back -----------------------------------------------------------------------------------------------


def test_keys_are_masked_and_what_is_said_of_them_is_shown():
    """Of a pool everything can be read but its keys, and saving what is shown changes nothing."""
    shown = mask(tree(POOL))
    assert pool_of(shown) == ["***", "${A}", {**POOL[2], "key": "***"}, POOL[3]]
    assert keep_secrets(tree(POOL), shown, ENVIRON) == tree(POOL)


@pytest.mark.parametrize("name", ["api_key", "apiKeys", "api-keys", "key"])
def test_in_every_spelling(name):
    """Labels are shown wherever a pool may stand."""
    assert mask({name: [{"key": "canary", "Label": "mine", "tpm": 7}]}) == {
        name: [{"key": "***", "Label": "mine", "tpm": 7}]
    }


@pytest.mark.parametrize(
    "pool",
    [
        [{"key": "canary-1234", "label": "is canary-1234"}],
        [{"key": "k", "label": {"deep": "canary"}}],
        [{"key": "k", "label": ["canary"]}],
        [{"key": "k", "note": "canary"}],
        [["canary"]],
    ],
)
def test_a_key_elsewhere_in_a_pool_is_masked(pool):
    """A key that is repeated as a label, and what no key has, is not shown."""
    assert "canary" not in json.dumps(mask({"api_key": pool}))


def test_masked_keys_come_back_where_the_list_changes():
    """A mask stands for the same label's key, or for the same one in order, also between keys that come and go."""
    shown = pool_of(mask(tree(POOL)))
    assert kept(["${NEW}", *shown]) == ["${NEW}", *POOL]
    assert kept([shown[2], shown[0]]) == [POOL[2], POOL[0]]
    assert kept([shown[1], shown[0], shown[3], shown[2]]) == [POOL[1], POOL[0], POOL[3], POOL[2]]
    assert kept([shown[0]]) == [POOL[0]]
    assert kept([{**shown[2], "weight": 5}]) == [{**POOL[2], "weight": 5}]


def test_a_mask_that_could_be_another_key_is_refused():
    """Of two masked texts one is gone: which one is not guessed."""
    old = ["canary-one-0123", "canary-two-0123"]
    with pytest.raises(ConfigError) as caught:
        kept(["***"], old)
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigError):
        kept([{"key": "***", "label": "another"}], [{"key": "canary-one-0123", "label": "mine"}, "x"])


def test_values_of_variables_become_variables_again():
    """A client that was given the values saves the variables, in a list as elsewhere."""
    assert keep_secrets(tree(POOL), fill(tree(POOL), ENVIRON), ENVIRON) == tree(POOL)


def test_a_comment_beside_a_key_survives_a_change_of_another():
    """Keys are known again by their labels: what stands beside one stays beside it."""
    text = """{
  "api_key": [
    { "key": "${A}", "label": "one" }, // mine
    { "key": "${B}", "label": "two" }, // ours
  ],
}
"""
    new = {"api_key": [{"key": "${B}", "label": "two", "weight": 3}]}
    after = rewrite(text, new)
    assert "// ours" in after.partition("two")[2]


def test_a_preset_asks_for_literal_keys():
    """A configuration that is given to others has no key in it: variables stay, literals become questions."""
    given = tree(POOL)
    exported = export(given, reading(POOL).secrets, {"name": "x"})
    assert "canary" not in json.dumps(exported.manifest)
    made = pool_of(exported.manifest)
    assert made[1] == "${A}"
    assert made[3] == POOL[3]
    assert made[2]["label"] == "team-2026-blue"
    assert {made[0], made[2]["key"]} == {f"#{{{question['id']}}}" for question in exported.manifest["schema"]}


def test_no_question_of_a_preset_tells_a_key():
    """A key that stands where a name or a label is expected is in no question's id, label or text."""
    for word in ("name", "label"):
        given = tree([{"key": "canary-of-an-object-1", word: "sk-canary00112233445566778899"}])
        exported = export(given, reading(pool_of(given)).secrets, {"name": "x"})
        assert "canary" not in json.dumps(exported.manifest)


def test_what_a_machine_bears_is_not_given_to_others():
    """Limits, draining and reloading are this machine's own."""
    exported = export({**tree("${A}"), "limits": {}, "drainSeconds": 9, "autoReload": False, "retry": {}}, (), {})
    assert set(exported.left_out) == {"limits", "drainSeconds", "autoReload"}

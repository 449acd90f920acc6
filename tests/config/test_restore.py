"""Secrets put back: what was shown masked or resolved is again what the file has, there and nowhere else."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.config.interpolate import fill
from ccrouter.config.masking import mask
from ccrouter.config.restore import is_shown_as, keep_secrets
from ccrouter.errors import ConfigError

ENVIRON = {"OPENROUTER_KEY": "sk-or-canary-1234567890", "PORT": "4000", "LEVEL": "debug", "SHORT": "test"}
OLD = {
    "PORT": "$PORT",
    "LOG_LEVEL": "${LEVEL:-info}",
    "APIKEY": "literal-canary",
    "PROXY_URL": "http://user:pass-canary@proxy:8080/path?x=1",
    "Providers": [
        {"name": "openrouter", "api_base_url": "https://a.example", "api_key": "$OPENROUTER_KEY", "models": ["m"]},
        {"name": "other", "api_base_url": "https://b.example", "api_key": "sk-other-canary-123456", "models": ["n"]},
    ],
    "transformer": {"use": ["x", ["custom", {"apiKey": "custom-canary", "level": 1}]]},
}


def kept(change):
    """What is kept of the shown configuration after a change to it."""
    shown = mask(copy.deepcopy(OLD))
    change(shown)
    return keep_secrets(OLD, shown, ENVIRON)


def refused(change):
    with pytest.raises(ConfigError) as caught:
        kept(change)
    return [problem.path for problem in caught.value.problems]


def test_what_is_shown_comes_back():
    """The configuration as it is shown becomes the configuration as it is written."""
    assert "canary" not in json.dumps(mask(OLD))
    assert kept(lambda shown: None) == OLD


def test_what_is_resolved_comes_back():
    """A client that sends the values of variables saves the variables."""
    assert keep_secrets(OLD, fill(OLD, ENVIRON), ENVIRON) == OLD


def test_other_changes_stay():
    """Nothing but secrets is put back."""

    def change(shown):
        shown["Providers"][1]["models"] = ["other"]
        shown["LOG_LEVEL"] = "info"
        shown["APIKEY"] = "new-key"
        shown["new"] = {"debug": True}

    assert kept(change) == {
        **OLD,
        "LOG_LEVEL": "info",
        "APIKEY": "new-key",
        "new": {"debug": True},
        "Providers": [OLD["Providers"][0], {**OLD["Providers"][1], "models": ["other"]}],
    }


def test_named_objects_are_known_by_name():
    """Providers that are moved or removed keep their own keys, whatever their place in the list."""
    reversed_, one = (
        kept(lambda shown: shown["Providers"].reverse()),
        kept(lambda shown: shown["Providers"].pop(0)),
    )
    assert reversed_["Providers"] == OLD["Providers"][::-1]
    assert one["Providers"] == OLD["Providers"][1:]
    assert kept(lambda shown: shown["transformer"]["use"].reverse())["transformer"]["use"][0][1] == {
        "apiKey": "custom-canary",
        "level": 1,
    }


def test_a_renamed_provider_keeps_its_key():
    """A new name alone takes no key away."""
    found = kept(lambda shown: shown["Providers"][1].update(name="third"))
    assert found["Providers"][1] == {**OLD["Providers"][1], "name": "third"}


def test_a_key_does_not_go_to_a_new_provider():
    """Another provider in the place of one does not get its key: the mask is refused, naming the place."""

    def change(shown):
        shown["Providers"][1].update(name="evil", api_base_url="https://evil.example")

    assert refused(change) == ["Providers[1].api_key"]


def test_every_mask_without_a_secret_is_named():
    """All places are refused at once, and the message holds no value."""

    def change(shown):
        shown["Providers"].append({"name": "new", "api_key": "***"})
        shown["Router"] = {"default": "a***b"}

    assert refused(change) == ["Providers[2].api_key", "Router.default"]


def test_a_resolved_secret_never_reaches_the_disk():
    """Wherever a client puts the value of a secret variable, the variable is what is written."""
    found = kept(lambda shown: shown["Providers"].append({"name": "new", "api_key": ENVIRON["OPENROUTER_KEY"]}))
    assert found["Providers"][2]["api_key"] == "$OPENROUTER_KEY"
    assert ENVIRON["OPENROUTER_KEY"] not in json.dumps(found)


def test_a_variable_that_is_no_secret_stays_where_it_is():
    """That a word happens to be some variable's value changes nothing elsewhere."""
    assert kept(lambda shown: shown.update(note="debug"))["note"] == "debug"
    old = {"api_key": "$SHORT"}
    assert keep_secrets(old, {"api_key": "$SHORT", "mode": "test"}, ENVIRON) == {"api_key": "$SHORT", "mode": "test"}


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("http://***@proxy:8080/path?x=1", "http://user:pass-canary@proxy:8080/path?x=1"),
        ("http://user:***@proxy:8080/path?x=1", "http://user:pass-canary@proxy:8080/path?x=1"),
        ("http://***@proxy:8080/elsewhere", "http://user:pass-canary@proxy:8080/elsewhere"),
        ("http://user:***@proxy:8080", "http://user:pass-canary@proxy:8080"),
    ],
)
def test_passwords_in_urls(shown, written):
    """A URL's password is put back, in either masked form, also where the path was changed."""
    assert keep_secrets(OLD, {"PROXY_URL": shown}, ENVIRON) == {"PROXY_URL": written}


@pytest.mark.parametrize(
    "shown",
    [
        "http://***@evil.example:8080/path?x=1",
        "https://***@proxy:8080/path?x=1",
        "http://***@proxy:9090/path?x=1",
        "http://other:***@proxy:8080/path2",
        "http://***@proxy:8080/path?y=***",
        "http://***@proxy:8080@evil.example/",
        "http://***@proxy:8080\\@evil.example/",
    ],
)
def test_passwords_in_urls_go_to_their_server_only(shown):
    """To another host, port, scheme or user a masked password is refused."""
    with pytest.raises(ConfigError, match="PROXY_URL: is masked"):
        keep_secrets(OLD, {"PROXY_URL": shown}, ENVIRON)


def test_lists_without_names():
    """Items without a name are known by index where the lists are equally long, and else by what they show."""
    old = {"keys": ["key-one", "key-two"], "pairs": [{"url": "a", "key": "k1"}, {"url": "b", "key": "k2"}]}
    new = {"keys": ["***", "***"], "pairs": [{"url": "b", "key": "***"}, {"url": "a", "key": "***"}]}
    assert keep_secrets(old, new, {}) == {"keys": old["keys"], "pairs": old["pairs"][::-1]}
    assert keep_secrets(old, {"pairs": [{"url": "b", "key": "***"}]}, {}) == {"pairs": old["pairs"][1:]}
    for lost in ({"keys": ["***"]}, {"pairs": [{"url": "c", "key": "***"}]}):
        with pytest.raises(ConfigError):
            keep_secrets(old, lost, {})


def test_two_of_one_name():
    """Two objects of one name keep their order."""
    old = {"l": [{"name": "a", "key": "k1"}, {"name": "a", "key": "k2"}]}
    assert keep_secrets(old, mask(old), {}) == old


def test_keys_in_another_spelling():
    """A member in another spelling is the same member, as for the reader of the file."""
    old = {"Providers": [{"Name": "a", "apiKey": "k1"}]}
    new = {"providers": [{"name": "a", "api_key": "***"}]}
    assert keep_secrets(old, new, {}) == {"providers": [{"name": "a", "api_key": "k1"}]}


def test_what_is_masked_and_no_text():
    """Numbers and whole values behind a mask come back as what they are."""
    assert keep_secrets({"password": 12345}, {"password": "***"}, {}) == {"password": 12345}
    with pytest.raises(ConfigError):
        keep_secrets({"password": None}, {"password": "***"}, {})


def test_stars_that_are_meant():
    """A text that has the mask in the file is no masked one."""
    assert keep_secrets({"prompt": "*** read ***"}, {"prompt": "*** read ***"}, {}) == {"prompt": "*** read ***"}


def test_nothing_is_changed_in_place():
    """Neither the old nor the new configuration is altered."""
    old, new = copy.deepcopy(OLD), mask(OLD)
    before = copy.deepcopy(new)
    keep_secrets(old, new, ENVIRON)
    assert (old, new) == (OLD, before)


def test_many_masks_take_no_time():
    """A text made of masks is matched in one pass."""
    assert not is_shown_as("a" * 20_000, "a***" * 5_000 + "b")
    assert is_shown_as("a" * 20_000, "a***" * 5_000)


plain = st.text(st.sampled_from("ab:/@"), max_size=8)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(plain, min_size=2, max_size=4), st.data())
def test_masking_any_parts(parts, data):
    """Whatever parts of a text are masked, the masked text is known as shown for it."""
    secrets = [data.draw(st.text(min_size=1, max_size=4)) for _ in parts[1:]]
    written = parts[0] + "".join(secret + part for secret, part in zip(secrets, parts[1:], strict=True))
    assert is_shown_as(written, "***".join(parts))

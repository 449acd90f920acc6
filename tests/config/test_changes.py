"""Providers and routes changed in the tree of a file, in both shapes; with the text, comments survive."""

from __future__ import annotations

import pytest

from ccrouter.config.changes import (
    ProviderWords,
    add_provider,
    has_provider,
    is_guide_shape,
    remove_provider,
    set_route,
    unset_route,
)
from ccrouter.config.load import read
from ccrouter.config.rewrite import rewrite
from ccrouter.config.starter import TEMPLATE
from ccrouter.config.syntax import parse

WORDS = ProviderWords("new", "https://n.example/v1/chat/completions", "${NEW_KEY}", ("m1",))

CLASSIC = """{
  // who answers
  Providers: [
    { name: 'old', api_base_url: 'https://o.example/v1/chat/completions', api_key: '${OLD}', models: ['a', 'b'] }, // old
  ],
  // which
  Router: {
    default: 'old,a', // for all
    think: 'old,b',
  },
}
"""
GUIDE = """{
  // the guide's
  "providers": {
    "old": { "baseURL": "https://o.example/v1", "apiKey": "${OLD}" } // old
  },
  "routers": {
    // the one
    "default": { "routes": { "old,a": { "default": true }, "old,b": { "think": true, "background": true } } }
  }
}
"""


def changed(text: str, change) -> tuple[str, dict]:
    """The text after the change, and the routes that it then means."""
    tree = parse(text, "x").tree
    change(tree)
    after = rewrite(text, tree)
    reading = read(None, {"OLD": "k" * 20, "NEW_KEY": "n" * 20}, text=after)
    assert reading.problems == ()
    return after, {name: str(ref) for name, ref in reading.config.router.routes.items()}


def comments(text: str) -> list[str]:
    return [
        line.partition("//")[2].strip()
        for line in text.replace("https://", "").splitlines()
        if "//" in line.replace("https://", "")
    ]


@pytest.mark.parametrize(
    ("text", "is_guide"), [(CLASSIC, False), (GUIDE, True), ("{}", False), ('{"routers": {}}', True)]
)
def test_shapes(text, is_guide):
    """A file with maps is the guide's; one with `Router`, or with nothing yet, the classic."""
    assert is_guide_shape(parse(text, "x").tree) is is_guide


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_a_provider_is_added(text):
    """At the end, in the words of the file's shape; every comment is still there, and so are the routes."""
    after, routes = changed(text, lambda tree: add_provider(tree, WORDS))
    assert comments(after) == comments(text)
    assert routes == changed(text, lambda tree: None)[1]
    tree = parse(after, "x").tree
    if text is CLASSIC:
        assert tree["Providers"][1] == {
            "name": "new",
            "api_base_url": WORDS.url,
            "api_key": "${NEW_KEY}",
            "models": ["m1"],
        }
    else:
        assert tree["providers"]["new"] == {"baseURL": WORDS.url, "apiKey": "${NEW_KEY}", "models": ["m1"]}


def test_the_first_provider_of_the_starter():
    """Added to the starter, below its examples; all of its comments stay."""
    text = TEMPLATE.read_text(encoding="utf-8")

    def change(tree):
        add_provider(tree, WORDS)
        set_route(tree, "default", "default", "new,m1")

    after, routes = changed(text, change)
    assert comments(after) == comments(text)
    assert routes == {"default": "new,m1"}


def test_a_file_without_providers():
    """Gets the list of the classic shape, or the guide's map where its routers are the guide's."""
    tree: dict = {}
    add_provider(tree, WORDS)
    assert tree["Providers"][0]["name"] == "new"
    tree = {"routers": {}}
    add_provider(tree, WORDS)
    assert tree["providers"]["new"]["baseURL"] == WORDS.url


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_a_provider_is_replaced_in_its_place(text):
    """One of the same name, in any case, is replaced where it stands."""
    words = ProviderWords("OLD", "https://o2.example/v1/chat/completions", "", ("a", "b"))
    after, _ = changed(text, lambda tree: add_provider(tree, words))
    assert after.count("o.example") == 0
    assert after.count("o2.example") == 1
    assert has_provider(parse(after, "x").tree, "old")


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_a_provider_is_removed(text):
    """In any case of its name; one that is not there changes nothing."""
    tree = parse(text, "x").tree
    assert not remove_provider(tree, "new")
    assert tree == parse(text, "x").tree
    assert remove_provider(tree, "OLD")
    assert not has_provider(tree, "old")


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
@pytest.mark.parametrize("route", ["default", "think", "background", "webSearch"])
def test_a_route_is_set(text, route):
    """It leads to the new target and no other route does otherwise; every comment is still there."""
    before = changed(text, lambda tree: None)[1]
    after, routes = changed(text, lambda tree: set_route(tree, "default", route, "old,c"))
    assert routes == {**before, route: "old,c"}
    assert comments(after) == comments(text)
    assert changed(after, lambda tree: set_route(tree, "default", route, "old,c"))[0] == after


@pytest.mark.parametrize("text", [CLASSIC, GUIDE])
def test_a_route_is_taken_out(text):
    """It is gone, the others stay, and so do the comments; one that is not there changes nothing."""
    before = changed(text, lambda tree: None)[1]
    after, routes = changed(text, lambda tree: unset_route(tree, "default", "THINK"))
    assert routes == {name: target for name, target in before.items() if name != "think"}
    assert comments(after) == comments(text)
    tree = parse(after, "x").tree
    assert not unset_route(tree, "default", "think")


def test_targets_without_a_route_stay_on_offer():
    """In the guide's shape a target that loses its only mark is still listed."""
    after, _ = changed(GUIDE, lambda tree: set_route(tree, "default", "default", "old,b"))
    assert parse(after, "x").tree["routers"]["default"]["routes"] == {
        "old,a": {},
        "old,b": {"think": True, "background": True, "default": True},
    }


@pytest.mark.parametrize("flag", [True, {"default": True}, {"DEFAULT": "yes"}])
def test_every_way_of_marking_a_default(flag):
    """`true` is short for the default route; case does not matter."""
    tree = {"providers": {"p": {"baseURL": "https://p.example/v1"}}, "routers": {"default": {"routes": {"p,a": flag}}}}
    set_route(tree, "default", "default", "p,b")
    assert tree["routers"]["default"]["routes"]["p,b"] == {"default": True}
    assert tree["routers"]["default"]["routes"]["p,a"] == {}


def test_a_route_that_the_guides_router_has_as_a_key():
    """Where the route is a key of the router, that key is changed: it counts before marks."""
    tree = {"routers": {"default": {"think": "old,a", "routes": {"old,a": True}}}}
    set_route(tree, "default", "think", "old,b")
    assert tree["routers"]["default"] == {"think": "old,b", "routes": {"old,a": True}}


def test_a_named_router():
    """Only the router of that name is changed, in any case of it."""
    tree = {"routers": {"default": {"routes": {"p,a": True}}, "Work": {"default": "p,a"}}}
    set_route(tree, "work", "default", "p,b")
    assert tree["routers"] == {"default": {"routes": {"p,a": True}}, "Work": {"default": "p,b"}}


def test_spelling_is_kept():
    """A key that is spelled otherwise than usual stays so."""
    tree = {"Router": {"long_context": "p,a", "Default": "p,a"}}
    set_route(tree, "default", "longContext", "p,b")
    set_route(tree, "default", "default", "p,b")
    assert tree == {"Router": {"long_context": "p,b", "Default": "p,b"}}


def test_patterns_are_aliases():
    """A pattern of asked models goes among the aliases, and is taken out from there."""
    tree: dict = {"Router": {"default": "p,a"}}
    set_route(tree, "default", "claude-opus-*", "p,b")
    assert tree["Router"]["models"] == {"claude-opus-*": "p,b"}
    assert unset_route(tree, "default", "claude-opus-*")
    assert tree["Router"]["models"] == {}
    tree = {"Router": {"default": "p,a", "claude-*": "p,a"}}
    set_route(tree, "default", "claude-*", "p,b")
    assert tree == {"Router": {"default": "p,a", "claude-*": "p,b"}}

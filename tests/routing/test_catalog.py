"""The catalog: names in, targets out."""

from __future__ import annotations

import pytest

from ccrouter.config.schema import DRY_RUN, ModelRef, Router
from ccrouter.errors import NoTarget
from ccrouter.routing.catalog import Catalog, shown
from tests.routing.casefile import PROVIDERS, ROUTER, make_provider, make_router


def catalog_of(**models: list[str]) -> Catalog:
    return Catalog(make_provider(name, listed) for name, listed in models.items())


def test_models_are_listed_once_and_resolve():
    """Every id of the list leads to a target, and no id is there twice."""
    catalog = catalog_of(**PROVIDERS, twin=["deepseek-chat"])
    ids = catalog.models(make_router({**ROUTER, "aliases": {"fast": "gemini,gemini-3-flash"}}))
    assert len(ids) == len(set(ids))
    unresolved = [name for name in ids if catalog.resolve(name) is None]
    assert unresolved == ["fast"]


def test_models_in_order():
    """Pairs come first, then bare ids where one provider lists them, then aliases that are names."""
    catalog = catalog_of(a=["x", "both"], b=["both"])
    router = make_router({"default": "B,unlisted", "aliases": {"fast": "a,x", "slow-*": "a,x", "gone": "nowhere,x"}})
    assert catalog.models(router) == ["a,x", "a,both", "b,both", "b,unlisted", "x", "fast"]
    assert catalog.models() == ["a,x", "a,both", "b,both", "x"]


def test_models_of_a_strict_router():
    """A strict router offers what it names, and nothing that it would deny."""
    router = Router({"default": ModelRef("a", "x")}, is_strict=True, listed=(ModelRef("b", "y"),))
    assert catalog_of(a=["x", "other"], b=["y", "z"]).models(router) == ["a,x", "b,y", "x", "y"]


def test_the_dry_run_is_listed_only_where_it_is_all_there_is():
    """Nobody who has a provider is offered the built-in one, unless the router names it; without any, it is the list."""
    assert catalog_of(a=["x"], **{DRY_RUN: [DRY_RUN]}).models() == ["a,x", "x"]
    named = Router({"background": ModelRef(DRY_RUN, DRY_RUN)})
    assert "dry-run,dry-run" in catalog_of(a=["x"], **{DRY_RUN: [DRY_RUN]}).models(named)
    assert catalog_of(**{DRY_RUN: [DRY_RUN]}).models() == ["dry-run,dry-run", "dry-run"]


def test_provider_names_that_differ_in_case_only():
    """The exact name wins; any other spelling finds the first."""
    catalog = catalog_of(Local=["m"], local=["m"])
    assert str(catalog.resolve("local,m")) == "local,m"
    assert str(catalog.resolve("LOCAL,m")) == "Local,m"


def test_model_names_that_differ_in_case_only():
    """The exact model wins, with a provider and without."""
    catalog = catalog_of(a=["Model"], b=["model"])
    assert str(catalog.resolve("model")) == "b,model"
    assert str(catalog.resolve("MODEL")) == "a,Model"
    assert str(catalog_of(a=["Model", "model"]).resolve("a,model")) == "a,model"


def test_a_default_provider_that_is_not_configured_is_none():
    """A slug is not sent to a provider that does not exist."""
    assert catalog_of(a=["x"]).resolve("qwen/x", "nowhere") is None


def test_an_unavailable_provider_says_why():
    """Who asks for a provider that was left out learns what is missing."""
    catalog = Catalog([make_provider("a")], {"OpenRouter": "its key ${OPENROUTER_API_KEY} is not set"})
    with pytest.raises(NoTarget, match=r"cannot be used: its key \$\{OPENROUTER_API_KEY\} is not set"):
        catalog.resolve("openrouter,x")


def test_shown_texts_are_one_short_printable_line():
    """Whatever a client calls a model, messages and headers stay whole."""
    assert shown("a\nb\x00\u2028") == "'a?b??'"
    assert shown("x" * 120) == "'" + "x" * 120 + "'"
    assert len(shown("x" * 121)) == 122

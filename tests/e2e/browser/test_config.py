"""A person at the page of the configuration, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import UPSTREAM_KEY, Desk, House, config_text


@pytest.fixture(autouse=True)
def untouched(house: House):
    """Each test begins with the file as it was."""
    file = house.router.config
    file.write_text(config_text(house.upstream.url))
    for one in file.parent.glob(f"{file.name}.*"):
        one.unlink()
    return file


def review(page: Page) -> str:
    """What the review says, once it is there."""
    expect(page.get_by_role("heading", name="Review your change")).to_be_visible()
    return page.locator(".review").inner_text()


def in_force(page: Page) -> None:
    expect(page.locator("#state-part")).to_contain_text("yes since", timeout=15_000)


def test_a_provider_and_a_route_by_form_alone(desk: Desk, untouched):
    """Somebody who never saw the file adds a provider, leads a route to it, looks at the difference and saves: it is in
    force without a restart, and everything else in the file is as it was."""
    page = desk.go("/ui/config")
    in_force(page)
    desk.shot("config")
    page.get_by_text("Add a provider").click()
    page.get_by_label("Name", exact=True).fill("second")
    form = page.locator("#addition")
    form.get_by_label("URL").fill(f"{desk.house.upstream.url}/v1/chat/completions")
    form.get_by_label("Key").fill("$UPSTREAM_KEY")
    form.get_by_label("Models, one a line").fill("one-model\nanother-model")
    form.get_by_role("button", name="Review the change").click()
    assert "provider second added" in review(page)
    page.get_by_label("webSearch leads to").fill("second,one-model")
    page.get_by_label("webSearch, then").fill("anthropic,claude-sonnet-4-5")
    page.locator("section", has=page.locator("#routes")).get_by_role("button", name="Review the change").click()
    told = review(page)
    assert "route webSearch: nothing → second,one-model" in told
    assert '"webSearch"' in told
    desk.shot("config-review")
    page.evaluate("document.querySelector('.review').scrollIntoView()")
    desk.shot("ui-config", full=False)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#state-part")).to_contain_text("What it said before is in the backup")
    in_force(page)
    written = untouched.read_text()
    assert '"webSearch": "second,one-model"' in written
    assert "// from the vault" in written
    assert '"myOwnNote": { "kept": true }' in written
    assert '"api_key": "$UPSTREAM_KEY", // from the vault' in written
    assert UPSTREAM_KEY not in written
    page.get_by_role("link", name="Routes").click()
    expect(page.locator("main")).to_contain_text("one-model")


def test_the_text_edited_and_undone(desk: Desk, untouched):
    """The whole file as text: one word is changed, the difference shows that word alone, and going back to the backup
    gives the file as it was, to the byte."""
    before = untouched.read_text()
    page = desk.go("/ui/config")
    area = page.get_by_label("The whole file")
    assert UPSTREAM_KEY not in page.content()
    area.fill(area.input_value().replace('"LOG_LEVEL": "debug"', '"LOG_LEVEL": "warn"'))
    page.locator("section", has=page.locator("#text")).get_by_role("button", name="Review the change").click()
    review(page)
    assert page.locator(".diff tr.new").count() == 1
    assert page.locator(".diff tr.gone").count() == 1
    page.get_by_role("button", name="Save", exact=True).click()
    in_force(page)
    assert untouched.read_text() == before.replace('"debug"', '"warn"')
    page.get_by_role("button", name=re.compile("^Review going back")).first.click()
    assert f"back to {untouched.name}." in review(page)
    page.get_by_role("button", name="Save", exact=True).click()
    in_force(page)
    assert untouched.read_text() == before


def test_a_mistake_is_told_by_its_place(desk: Desk, untouched):
    """A text with a mistake is not saved: line and column are told, what was typed is still there, and mended it is
    taken."""
    before = untouched.read_text()
    page = desk.go("/ui/config")
    area = page.get_by_label("The whole file")
    good = area.input_value()
    area.fill(good.replace('"Router": {', '"Router" {'))
    text = page.locator("section", has=page.locator("#text"))
    text.get_by_role("button", name="Review the change").click()
    told = review(page)
    assert re.search(r"line \d+, column \d+", told)
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    assert '"Router" {' in page.get_by_label("The whole file").input_value()
    desk.shot("config-mistake")
    page.get_by_label("The whole file").fill(
        good.replace("anthropic,claude-haiku-4-5", "x").replace('"debug"', '"info"')
    )
    text.get_by_role("button", name="Review the change").click()
    review(page)
    page.get_by_role("button", name="Save", exact=True).click()
    in_force(page)
    assert untouched.read_text() == before.replace('"debug"', '"info"')


def test_a_route_to_nobody_is_refused(desk: Desk, untouched):
    """A route to a provider that is not there is refused with its place, before and when it is saved."""
    before = untouched.read_text()
    page = desk.go("/ui/config")
    page.get_by_label("default leads to").fill("nobody,m")
    page.locator("section", has=page.locator("#routes")).get_by_role("button", name="Review the change").click()
    assert "It would be refused" in review(page)
    desk.expected.add("400 (Bad Request)")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Not done")).to_be_visible()
    assert untouched.read_text() == before
    page.get_by_role("button", name="Drop the change").click()
    expect(page.get_by_role("heading", name="Review your change")).to_have_count(0)


def test_somebody_else_saved_meanwhile(desk: Desk, untouched):
    """The file changes on disk between looking and saving: the page says so, shows what, and loses nothing."""
    page = desk.go("/ui/config")
    page.get_by_label("Log level").select_option("error")
    page.locator("section", has=page.locator("#settings")).get_by_role("button", name="Review the change").click()
    review(page)
    untouched.write_text(untouched.read_text().replace('"kept": true', '"kept": "by an editor"'))
    desk.expected.add("409 (Conflict)")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing of yours is lost", exact=False)).to_be_visible()
    expect(page.locator(".review")).to_contain_text("by an editor")
    desk.shot("config-conflict")


def test_in_the_dark(night: Desk):
    """The page in dark colours, with a change under review."""
    page = night.go("/ui/config")
    page.get_by_label("Log level").select_option("error")
    page.locator("section", has=page.locator("#settings")).get_by_role("button", name="Review the change").click()
    review(page)
    night.shot("config-dark")


def test_on_a_phone(phone: Desk):
    """The page is as wide as the window, with everything unfolded, and with a difference in it."""
    page = phone.go("/ui/config")
    for one in page.locator("details.entry > summary").all():
        one.click()
    assert not phone.is_wider_than_the_window()
    page.get_by_label("Log level").select_option("error")
    page.locator("section", has=page.locator("#settings")).get_by_role("button", name="Review the change").click()
    review(page)
    assert not phone.is_wider_than_the_window()
    phone.shot("config-phone")


def test_by_keyboard_alone(desk: Desk, untouched):
    """A provider is unfolded, its models are changed and the change is reviewed without a pointer."""
    page = desk.go("/ui/config")
    page.locator("#provider1 > summary").focus()
    page.keyboard.press("Enter")
    field = page.locator("#p1models")
    expect(field).to_be_visible()
    field.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nclaude-opus-4-5")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "models of anthropic changed" in review(page)


def test_a_file_that_an_editor_broke(desk: Desk, untouched):
    """While somebody looks, the file is broken on disk: the page says by itself that it was refused, why, and that what
    was in force stays; mended, it is in force again."""
    before = untouched.read_text()
    page = desk.go("/ui/config")
    in_force(page)
    untouched.write_text(before.replace('"default": "anthropic', '"default": "nobody'))
    expect(page.locator("#state-part")).to_contain_text("What was in force before stays in force", timeout=15_000)
    expect(page.locator("#state-part")).to_contain_text("nobody")
    untouched.write_text(before)
    in_force(page)

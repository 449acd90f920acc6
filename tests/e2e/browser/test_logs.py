"""The page of logs in a browser: live, filtered, downloaded, at another level."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.browser.conftest import ask


def test_lines_come_by_themselves(desk):
    """A request's line is there without reloading, the newest on top, with a link to the request."""
    page = desk.go("/ui/logs")
    ask(desk.house)
    newest = page.locator("table.lines tbody tr").first
    expect(newest).to_contain_text("exchange")
    expect(newest).to_contain_text("claude-sonnet-4-5")
    newest.get_by_role("link").first.click()
    page.wait_for_url("**/ui/requests/req_*")
    desk.go("/ui/logs")
    desk.shot("logs")


def test_a_pause_is_a_pause(desk):
    """While it is paused nothing moves; afterwards what came meanwhile is there."""
    page = desk.go("/ui/logs")
    page.get_by_role("button", name="Pause").click()
    before = page.locator("table.lines tbody tr").count()
    ask(desk.house)
    expect(page.locator("#live-state")).to_have_text("paused")
    assert page.locator("table.lines tbody tr").count() == before
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("table.lines tbody tr")).not_to_have_count(before)


def test_lines_are_filtered(desk):
    """By request id and by level; what nothing fits is said."""
    ask(desk.house)
    page = desk.go("/ui/logs")
    expect(page.locator("table.lines a[href^='/ui/requests/']").first).to_be_visible()
    request = page.locator("table.lines a[href^='/ui/requests/']").first.inner_text()
    page.get_by_label("Request", exact=True).fill(request)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("table.lines tbody tr")).to_have_count(1)
    page.get_by_label("Request", exact=True).fill("")
    page.get_by_label("At least").select_option("fatal")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No line is like that")).to_be_visible()
    page.get_by_role("link", name="Show all").first.click()
    expect(page.locator("table.lines tbody tr").first).to_be_visible()


def test_a_file_is_downloaded(desk):
    """It is saved under its name, and every line of it is JSON."""
    page = desk.go("/ui/logs")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").first.click()
    download = waiting.value
    assert download.suggested_filename.startswith("ccr-")
    lines = Path(download.path()).read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(json.loads(line)["msg"] for line in lines)


def test_the_level_is_changed(desk):
    """Set, shown, and set back."""
    page = desk.go("/ui/logs")
    page.get_by_label("From now on").select_option("trace")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Lines of level trace and graver are written.")).to_be_visible()
    expect(page.get_by_text("The configuration says debug.")).to_be_visible()
    page.get_by_label("From now on").select_option("")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Lines of level debug and graver are written.")).to_be_visible()


def test_in_the_dark_and_on_a_phone(night, phone):
    """Both can be read, and nothing has to be scrolled sideways."""
    assert night.go("/ui/logs").evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(25, 24, 22)"
    night.shot("logs-dark")
    phone.go("/ui/logs")
    assert not phone.is_wider_than_the_window()
    phone.shot("logs-phone")

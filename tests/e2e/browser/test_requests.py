"""The list of requests, and the page of one."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.conftest import ask

ROWS = "#recorded-part tbody tr"


def open_request(desk, query: str):
    """The page of the first request on the list that `query` gives."""
    page = desk.go(f"/ui/requests?{query}")
    page.locator(ROWS).first.get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/ui/requests/req_"))
    return page


def test_the_list_can_be_filtered(desk):
    """By the form: the address keeps what was asked for, the list shows no other; all can be shown again."""
    page = desk.go("/ui/requests")
    assert page.locator(ROWS).count() == 50
    page.get_by_label("Provider").fill("deepseek")
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("provider=deepseek"))
    expect(page.get_by_label("Provider")).to_have_value("deepseek")
    rows = page.locator(ROWS)
    assert rows.count() >= 1
    for text in rows.all_inner_texts():
        assert "deepseek" in text
        assert "failed" in text
    page.get_by_role("link", name="Show all").first.click()
    page.wait_for_url(lambda url: url.endswith("/ui/requests"))


def test_nothing_is_like_that(desk):
    """A search that finds nothing says so, and offers the way back."""
    page = desk.go("/ui/requests?search=no-such-thing")
    expect(page.get_by_text("No request is like that.")).to_be_visible()


def test_older_ones_are_a_page_away(desk):
    """And newer ones again; an older page stands still."""
    page = desk.go("/ui/requests")
    first = page.locator(ROWS).first.inner_text()
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(re.compile("before="))
    assert page.locator(ROWS).first.inner_text() != first
    expect(page.locator("#live-state")).to_have_count(0)
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("#live-state")).to_have_text("live")


def test_new_ones_come_by_themselves(desk, house):
    """A request that ends is at the top a moment later, without loading the page again."""
    page = desk.go("/ui/requests")
    newest = page.locator(ROWS).first.get_by_role("link").get_attribute("href")
    page.evaluate("window.isTheSamePage = true")
    ask(house)
    page.wait_for_function(
        "known => document.querySelector('#recorded-part tbody tr a').getAttribute('href') !== known", arg=newest
    )
    assert page.evaluate("window.isTheSamePage") is True
    expect(page.locator(ROWS).first).to_contain_text("ok")


def test_what_one_is_busy_with_is_left_alone(desk, house):
    """Who is at a link of the list keeps it under the finger while new requests come."""
    page = desk.go("/ui/requests")
    link = page.locator(ROWS).nth(3).get_by_role("link")
    address = link.get_attribute("href")
    link.focus()
    ask(house)
    with page.expect_response(lambda response: response.url.endswith("/ui/requests")):
        pass
    with page.expect_response(lambda response: response.url.endswith("/ui/requests")):
        pass
    assert page.evaluate("document.activeElement.getAttribute('href')") == address


def test_the_page_of_one_tells_all(desk):
    """Of a request that another provider had to answer: the words, the attempts, the drawn times, the cost."""
    page = desk.go("/ui/requests?search=claude-sonnet&status=ok")
    page.locator(ROWS).filter(has_text="(2 failed)").first.get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/ui/requests/req_"))
    story = page.locator("#story")
    expect(story).to_contain_text("The route “default” was chosen, because")
    expect(story).to_contain_text("at relay, which failed after")
    expect(story).to_contain_text("the provider said that it is overloaded (HTTP 529)")
    expect(story).to_contain_text("at anthropic, which answered")
    assert page.locator("svg.strip rect.failed").count() == 2
    assert page.locator("svg.strip rect.stream").count() == 1
    boxes = [one.bounding_box() for one in page.locator("svg.strip rect").all()]
    assert all(box["width"] > 0 and box["height"] > 0 for box in boxes)
    expect(page.get_by_role("table", name="Attempts").locator("tbody tr")).to_have_count(3)
    desk.shot("request-light")


def test_what_the_translation_changed_is_told(desk):
    """Losses by their place and fate; what was mapped and kept can be unfolded by keyboard."""
    page = open_request(desk, "provider=deepseek&status=ok")
    part = page.get_by_role("region", name="What the translation changed")
    expect(part).to_contain_text("messages[].content[].citations")
    expect(part).to_contain_text("dropped × 2")
    part.locator("summary", has_text="Mapped").focus()
    page.keyboard.press("Enter")
    expect(part.get_by_text("tools[].input_schema")).to_be_visible()


def test_it_can_be_copied_as_curl(desk, house):
    """The button puts one command on the clipboard; what it sends is JSON, and no key is in it."""
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=house.url)
    page = open_request(desk, "provider=anthropic")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[0] == "curl"
    assert house.url.rpartition(":")[2] in words[3]
    assert json.loads(words[words.index("-d") + 1])["model"] == "claude-sonnet-4-5"
    assert "the-key-of-this-router" not in " ".join(words)


@pytest.mark.parametrize("path", ["/ui/requests", "/ui/requests/last"])
def test_in_the_dark_and_on_a_phone(night, phone, path):
    """Dark colours, and no moving sideways on a phone."""
    name = "requests" if path.endswith("requests") else "request"
    page = night.go(path)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 64
    night.shot(f"{name}-dark")
    phone.go(path)
    assert not phone.is_wider_than_the_window()
    phone.shot(f"{name}-phone")


def test_what_there_is_not(desk):
    """An id that was never recorded says so, with a way on."""
    desk.expected.add("404")
    page = desk.go("/ui/requests/req_never")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.locator("header nav a")).to_have_count(8)

"""What holds for every page: it loads without a complaint of the browser, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import re

from tests.e2e.browser.conftest import KEY, ask, paths


def test_every_page_at_a_desk(desk):
    """No message on the console, nothing asked of others, nothing that the content security policy stops; one heading."""
    for path in paths(desk.house):
        page = desk.go(path)
        assert page.locator("h1").count() == 1, path
        assert page.locator("nav a[aria-current=page]").get_attribute("href") == path
        assert not desk.is_wider_than_the_window(), path
        desk.shot(f"desk{path.replace('/', '-').removesuffix('-')}")


def test_every_page_at_night(night):
    """Dark where the system is dark, with text that stands out from its ground."""
    for path in paths(night.house):
        page = night.go(path)
        ground, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert contrast(ground, ink) > 7, (path, ground, ink)
        assert luminance(ground) < 0.1
        night.shot(f"night{path.replace('/', '-').removesuffix('-')}")


def test_every_page_on_a_phone(phone):
    """At 360 pixels nothing has to be pushed sideways, and what is pressed is large enough for a finger."""
    for path in paths(phone.house):
        page = phone.go(path)
        assert not phone.is_wider_than_the_window(), path
        for button in page.locator("main button:visible").all():
            box = button.bounding_box()
            assert box is not None, path
            assert box["height"] >= 24, (path, button.inner_text())  # WCAG 2.2, 2.5.8
        phone.shot(f"phone{path.replace('/', '-').removesuffix('-')}")


def test_the_keyboard_is_enough(desk):
    """The first stop skips to the content, and every link at the top can be reached and is seen to have the focus."""
    page = desk.go("/ui/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("Skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    links = page.locator("nav a")
    for number in range(links.count()):
        links.nth(number).focus()
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"


def test_in_and_out(stranger):
    """Without a session there is the form alone; with a wrong key a word on it; and after signing out nothing is left."""
    stranger.expected.add("401")
    page = stranger.go("/ui/requests")
    assert page.url.endswith("/ui/sign-in")
    page.get_by_label("Router key").fill("not the key")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").inner_text() == "That is not the key of this router."
    stranger.sign_in()
    assert page.url.endswith("/ui/")
    (cookie,) = stranger.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ui")
    assert KEY not in page.content()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in")
    assert stranger.go("/ui/logs").url.endswith("/ui/sign-in")


def test_pages_change_by_themselves(desk):
    """A request that is made while the page is open appears on it, without a reload; not while it is paused."""
    desk.page.clock.install()
    page = desk.go("/ui/requests")
    page.clock.resume()
    newest = ask(desk.house)
    page.locator(f"a[href='/ui/requests/{newest}']").first.wait_for()
    page.get_by_role("button", name="Pause").click()
    assert page.locator("#live-state").inner_text() == "paused"
    later = ask(desk.house)
    page.clock.fast_forward(10_000)  # its timer has had its turns
    assert page.locator(f"a[href='/ui/requests/{later}']").count() == 0
    page.get_by_role("button", name="Go on").click()
    page.locator(f"a[href='/ui/requests/{later}']").first.wait_for()


def luminance(colour: str) -> float:
    """The relative luminance of "rgb(r, g, b)" (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

"""A person at the dashboard: a real router with recorded requests, and a real Chromium that complains of everything."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.router import Router
from tests.store.seed import seed
from tests.upstream import Received, Reply, ThreadedUpstream, json_reply, sse_reply
from tests.upstream.anthropic_wire import message_json, message_stream
from tests.upstream.chat_wire import chat_json, chat_stream

KEY = "the-key-of-this-router"
UPSTREAM_KEY = "sk-upstream-key-of-the-router"
#: Chromium talks to nobody but us; the sandbox needs rights that a container does not give.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
]  # fmt: skip


def chromium() -> str:
    """Where the browser is; the tests that need one are skipped without, unless they are required."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CCR_E2E_REQUIRED"):
        pytest.fail("no Chromium: install it (Debian: apt-get install chromium)")
    pytest.skip("no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def config_text(upstream: str) -> str:
    """Two providers at the scripted model, a fallback, a comment, an unknown key, a variable: what an editor must keep."""
    return f"""{{
  // who may call this router
  "APIKEY": "$ROUTER_KEY",
  "LOG_LEVEL": "debug",
  "myOwnNote": {{ "kept": true }},
  "Providers": [
    {{
      "name": "anthropic",
      "api_base_url": "{upstream}/v1/messages",
      "api_key": "$UPSTREAM_KEY", // from the vault
      "models": ["claude-sonnet-4-5", "claude-haiku-4-5"]
    }},
    {{
      "name": "openrouter",
      "api_base_url": "{upstream}/v1/chat/completions",
      "api_key": "$UPSTREAM_KEY",
      "models": ["openai/gpt-5-mini", "deepseek/deepseek-chat"]
    }}
  ],
  "Router": {{
    "default": "anthropic,claude-sonnet-4-5",
    "background": "openrouter,openai/gpt-5-mini",
    "think": ["anthropic,claude-sonnet-4-5", "openrouter,deepseek/deepseek-chat"],
    "longContext": "openrouter,deepseek/deepseek-chat"
  }}
}}
"""


def answer(request: Received) -> Reply:
    """The scripted model: the same few words, in the dialect and the form that it is asked in."""
    asked = json.loads(request.body)
    words = "Hello from the scripted model."
    if request.target.partition("?")[0].endswith("/chat/completions"):
        return sse_reply(chat_stream(words)) if asked.get("stream") else json_reply(chat_json(words))
    return sse_reply(message_stream(words)) if asked.get("stream") else json_reply(message_json(words))


@dataclass
class House:
    """A router that runs in a home of its own, with a scripted model behind it."""

    router: Router
    upstream: ThreadedUpstream

    @property
    def url(self) -> str:
        return self.router.url

    @property
    def folder(self) -> Path:
        return self.router.home / ".claude-code-router"


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    """One router for the tests of a module: they may look at everything and change the config file."""
    home = tmp_path_factory.mktemp("house")
    folder = home / ".claude-code-router"
    folder.mkdir(mode=0o700)
    seed(folder / "records.db", now=time.time())
    with ThreadedUpstream() as upstream:
        upstream.always(answer)
        variables = {"ROUTER_KEY": KEY, "UPSTREAM_KEY": UPSTREAM_KEY}
        with Router(config_text(upstream.url), home, variables) as router:
            yield House(router, upstream)


@dataclass
class Desk:
    """A browser window at the house. Whatever its console says, whatever it asks of others and whatever its policy
    stops is noted, and the test fails by it.
    """

    house: House
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)  # parts of complaints that a test provokes

    @property
    def url(self) -> str:
        return self.house.url

    def watch(self, page: Page) -> Page:
        page.on("console", lambda told: self._note(told.type, told.text) if told.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self._note("exception", str(error)))
        page.on("request", lambda request: self._note_request(request.url))
        page.on("dialog", lambda dialog: (self._note("dialog", dialog.message), dialog.dismiss()))
        return page

    def _note(self, kind: str, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.complaints.append(f"{kind}: {text}")

    def _note_request(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {url}")

    def go(self, path: str) -> Page:
        """The page at `path`, loaded."""
        self.page.goto(f"{self.url}{path}", wait_until="load")
        return self.page

    def sign_in(self, key: str = KEY) -> Page:
        self.go("/ui/sign-in")
        self.page.get_by_label("Router key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_load_state("load")
        return self.page

    def is_wider_than_the_window(self) -> bool:
        """True if one would have to scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def shot(self, name: str, *, full: bool = True) -> None:
        """A picture, where CCR_SHOTS says that one is wanted."""
        if folder := os.environ.get("CCR_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=full)


def _desk(browser: Browser, house: House, **context) -> Iterator[Desk]:
    window = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **context})
    desk = Desk(house, window, window.new_page())
    desk.page.set_default_timeout(10_000)
    desk.watch(desk.page)
    yield desk
    window.close()
    assert not desk.complaints, "\n".join(desk.complaints)


@pytest.fixture
def desk(browser, house) -> Iterator[Desk]:
    """Signed in, at 1280 pixels, in light colours."""
    for desk in _desk(browser, house):
        desk.sign_in()
        yield desk


@pytest.fixture
def stranger(browser, house) -> Iterator[Desk]:
    """Not signed in."""
    yield from _desk(browser, house)


@pytest.fixture
def night(browser, house) -> Iterator[Desk]:
    """Signed in, in dark colours."""
    for desk in _desk(browser, house, color_scheme="dark"):
        desk.sign_in()
        yield desk


@pytest.fixture
def phone(browser, house) -> Iterator[Desk]:
    """Signed in, on a screen of 360 pixels."""
    for desk in _desk(browser, house, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True):
        desk.sign_in()
        yield desk


def paths(house: House) -> list[str]:
    """Every page that is listed at the top."""
    with urlopen(Request(f"{house.url}/ui/", headers={"x-api-key": KEY}), timeout=10) as answer:
        found = re.findall(r"<nav.*?</nav>", answer.read().decode(), re.DOTALL)[0]
    return re.findall(r'href="([^"]+)"', found)


def ask(house: House, **more) -> str:
    """The id of one request of a client, answered by the scripted model."""
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}], **more}
    headers = {"x-api-key": KEY, "content-type": "application/json", "user-agent": "claude-cli/2.1.330 (external, cli)"}
    with urlopen(Request(f"{house.url}/v1/messages", json.dumps(body).encode(), headers), timeout=20) as answer:
        assert answer.read()
        return str(answer.headers["request-id"])

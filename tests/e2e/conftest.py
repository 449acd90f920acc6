"""Fixtures of the end-to-end tests: real clients, the real router, and a scripted model behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud.amazon import ACCESS, API_KEY, SECRET, Amazon
from tests.cloud.google import Google
from tests.e2e.brain import Brain
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.installs import HERE, npm_package
from tests.e2e.router import Router
from tests.upstream import Received, ThreadedUpstream

UPSTREAM_KEY = "sk-upstream-key-of-the-router"
OTHER_KEY = "sk-upstream-key-of-the-other"
CLIENT_KEY = "client-token"
FAMILIAR = ("direct", "anthropic", "chat")
NEWER = ("gemini", "responses", "vertex", "vertex-gemini", "bedrock")
#: Routes by default and in the background; elsewhere models are made up.
MODELS = {
    "gemini": ("gemini-3-pro-preview", "gemini-2.5-flash"),
    "responses": ("gpt-5.2", "gpt-5-mini"),
    "vertex": ("claude-opus-4-8", "claude-haiku-4-5@20251001"),
    "vertex-gemini": ("gemini-2.5-pro", "gemini-2.5-flash"),
    "bedrock": ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"),
}


@dataclass
class Road:
    """The way a client takes: `direct` to the scripted model (the control), or through the router in a dialect."""

    route: str
    url: str
    brain: Brain
    upstream: ThreadedUpstream
    router: Router | None
    start: int = 0

    @property
    def routed(self) -> bool:
        return self.router is not None

    @property
    def requests(self) -> list[Received]:
        """What the upstream received in this test; what was shown for tokens apart."""
        return [request for request in self.upstream.requests[self.start :] if request.path != "/token"]

    @property
    def is_cloud(self) -> bool:
        """True where no key of ours goes along, and the cloud itself checks who asks."""
        return self.route in ("vertex", "vertex-gemini", "bedrock")

    @property
    def models(self) -> tuple[str, str]:
        """The model by default, and the one for small work."""
        return MODELS.get(self.route, ("scripted-large", "scripted-small"))

    def begin(self) -> None:
        self.start = len(self.upstream.requests)
        self.brain.begin()

    def told(self) -> str:
        """For the reader of a failed test: what the model missed, what reached it, and the router's log."""
        lines = [f"route {self.route}", *(f"missed: {failure}" for failure in self.brain.failures)]
        lines += [f"upstream got {request!r}" for request in self.requests]
        lines += [conversation.told() for conversation in self.brain.seen[-3:]]
        return "\n".join([*lines, self.router.told()[-6000:] if self.router else ""])


def config(name: str, upstream: str) -> str:
    """A config file of `configs/`, its upstream address replaced by the scripted one's."""
    text = (HERE / "configs" / f"{name}.json").read_text(encoding="utf-8")
    for address in ("UPSTREAM", "https://openrouter.ai", "https://api.anthropic.com"):
        text = text.replace(address, upstream)
    return text


class Roads:
    """The roads of this session; each is built when it is first asked for, and torn down at the end."""

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._built: dict[str, Road] = {}
        self._stack = stack
        self._folders = folders

    def take(self, route: str) -> Road:
        """The road, with nothing on it from an earlier test."""
        if route not in self._built:
            self._built[route] = self._build(route)
        self._built[route].begin()
        return self._built[route]

    def _build(self, route: str) -> Road:
        brain = Brain("anthropic" if route == "direct" else route)
        upstream = self._stack.enter_context(ThreadedUpstream())
        if route == "direct":
            upstream.always(brain)
            return Road(route, upstream.url, brain, upstream, None)
        home = self._folders.mktemp(f"router-{route}")
        variables = self._authorise(upstream, brain, home)
        router = self._stack.enter_context(Router(config(route, upstream.url), home, variables))
        return Road(route, router.url, brain, upstream, router)

    def _authorise(self, upstream: ThreadedUpstream, brain: Brain, home: Path) -> dict[str, str]:
        """Let the upstream take the keys of these variables and, where it is a cloud, its own proofs only."""
        variables = {"SCRIPTED_API_KEY": UPSTREAM_KEY, "OTHER_API_KEY": OTHER_KEY}
        if brain.name == "bedrock":
            amazon = Amazon(upstream)
            amazon.answer = brain
            account = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
            return {**variables, "OTHER_API_KEY": API_KEY, **account, "AWS_EC2_METADATA_DISABLED": "true"}
        if brain.name.startswith("vertex"):
            google = Google(upstream, home)
            google.answer = brain
            name = "GEMINI_CREDENTIALS" if brain.dialect == "gemini" else "GOOGLE_APPLICATION_CREDENTIALS"
            return {name: google.service_account()}
        upstream.always(brain)
        return variables


@pytest.fixture(scope="session")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roads]:
    with ExitStack() as stack:
        yield Roads(stack, tmp_path_factory)


@pytest.fixture(params=FAMILIAR)
def road(request: pytest.FixtureRequest, roads: Roads) -> Road:
    return roads.take(request.param)


@pytest.fixture(params=["anthropic", "chat"])
def routed(request: pytest.FixtureRequest, roads: Roads) -> Road:
    return roads.take(request.param)


@pytest.fixture(params=["2.1", "2.0"])
def claude(request: pytest.FixtureRequest) -> ClaudeCode:
    package = npm_package(f"claude-code-{request.param}")
    return ClaudeCode(request.param, (str(package / "node_modules/.bin/claude"),))

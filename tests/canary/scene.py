"""The scene of the canary test: a config full of secrets, an upstream that gives them away, clients that tell more.

The router is the real `ccr start`, at log level trace. Everything that it says and leaves behind is kept in `Scene.seen`.
"""

from __future__ import annotations

import base64
import html
import http.client
import json
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.canary import canaries as c
from tests.cli.conftest import LIMIT, Ccr, read_until
from tests.upstream import Cut, Received, Reply, Reset, Stall, ThreadedUpstream, anthropic_wire, chat_wire
from tests.upstream.reply import body_reply, json_reply, raw_reply, sse_reply

#: What the upstream knows of us, and quotes.
TOLD_UPSTREAM = (
    c.ANTHROPIC, c.OPENROUTER, c.GOOGLE, c.PASSPHRASE, c.REGEX, c.NON_ASCII, c.PASSWORD, c.QUERY, c.HEADER, c.DEFAULT,
    c.PROXY, c.ROUTER,
)  # fmt: skip
#: Variables of the router's environment.
VARIABLES = {
    "CCR_CANARY_GOOGLE": c.GOOGLE.text,
    "CCR_CANARY_ROUTER": c.ROUTER.text,
    "OPENAI_API_KEY": c.BYSTANDER.text,
}

POLICY = {
    "name": "canaries",
    "models": {"banned": ["banned-model"]},
    "proxies": {"allowed": ["*"]},
    "extensions": {"allowed": ["*"]},
    "auditRequired": True,
}


#: Turned off: what is written of it is shown all the same.
TELEMETRY = {"enabled": False, "endpoint": "http://127.0.0.1:9", "headers": {"x-team": c.TELEMETRY.text}}


def providers(url: str) -> dict[str, dict[str, Any]]:
    """By name, in words that both shapes know. Every secret has its own place."""
    host = url.removeprefix("http://")
    quick = {"connect": 5, "firstByte": 0.4, "idle": 0.4}
    return {
        "messages": {
            "url": f"{url}/v1/messages",
            "key": c.ANTHROPIC.text,
            "protocol": "anthropic",
            "headers": {"X-Access-Token": c.HEADER.text, "X-Secret-Name": c.NON_ASCII.text},
            "timeouts": quick,
        },
        "chat": {
            "url": f"{url}/v1/chat/completions?api_key={c.QUERY.text}&v=1",
            "key": c.REGEX.text,
            "protocol": "openai",
            "extra_body": {"session_token": c.EXTRA_BODY.text},
            "timeouts": quick,
        },
        "passphrase": {"url": f"{url}/v1/chat/completions", "key": c.PASSPHRASE.text},
        "variable": {"url": f"{url}/v1/chat/completions", "key": "${CCR_CANARY_GOOGLE}"},
        "default": {"url": f"{url}/v1/chat/completions", "key": f"${{CCR_CANARY_UNSET:-{c.DEFAULT.text}}}"},
        "openrouter": {"url": f"{url}/v1/messages", "key": c.OPENROUTER.text, "protocol": "anthropic"},
        "userinfo": {"url": f"http://user:{c.PASSWORD.text}@{host}/v1/chat/completions"},
        "proxied": {
            "url": "http://provider.example/v1/chat/completions",
            "proxy": f"http://user:{c.PROXY.text}@127.0.0.1:9",
        },
    }


def classic(url: str, port: int) -> dict[str, Any]:
    """The classic shape, with a literal router key."""
    listed = []
    for name, told in providers(url).items():
        one = {"name": name, "api_base_url": told.pop("url"), "models": ["good"], **told}
        if "key" in one:
            one["api_key"] = one.pop("key")
        listed.append(one)
    return {
        "PORT": port,
        "APIKEY": c.ROUTER.text,
        "LOG_LEVEL": "trace",
        "telemetry": TELEMETRY,
        "Providers": listed,
        "Router": {"default": "messages,good", "background": "chat,good"},
        "fallback": {"background": ["passphrase,good"]},
    }


def guide(url: str, port: int) -> dict[str, Any]:
    """The guide's shape, with the router's key from the environment."""
    named = {}
    for name, told in providers(url).items():
        named[name] = {"baseURL": told.pop("url"), "models": ["good"], **told}
        if "key" in named[name]:
            named[name]["apiKey"] = named[name].pop("key")
    return {
        "servers": {"default": {"host": "127.0.0.1", "port": port}},
        "APIKEY": "$CCR_CANARY_ROUTER",
        "LOG_LEVEL": "trace",
        "telemetry": TELEMETRY,
        "providers": named,
        "routers": {"default": {"routes": {"messages,good": {"default": True}, "chat,good": {"background": True}}}},
    }


SHAPES = {"classic": classic, "guide": guide}

# -- the upstream ------------------------------------------------------------------------------------------------------

_QUOTES = "; ".join(f"Incorrect API key provided: {one.text}" for one in TOLD_UPSTREAM)
#: A provider's own words that repeat the request.
_CONTENT = f"input_value={c.USER.text!r}, system {c.SYSTEM.text!r}, tool said {c.TOOL_RESULT.text}, {c.METADATA.text}"


def cut_texts() -> list[str]:
    """Long words with a key where a reader would cut them off: at every place of interest for some key."""
    return [f"{'x' * (1500 - len(one.text) // 2 - 2)} {one.text}" for one in TOLD_UPSTREAM]


def failures(is_chat: bool) -> dict[str, Reply]:  # noqa: FBT001 - one of two wire formats
    """By asked model: an answer that gives something away, or breaks."""
    wire: Any = chat_wire if is_chat else anthropic_wire

    def error(text: str) -> Any:
        return chat_wire.error_json(text) if is_chat else anthropic_wire.error_json("invalid_request_error", text)

    def frame(text: str) -> bytes:
        return chat_wire.error_frame(text) if is_chat else anthropic_wire.error_frame("api_error", text)

    stream = wire.chat_stream("some words") if is_chat else wire.message_stream("some words")
    echoing = {
        "x-request-id": "plain",
        "set-cookie": f"k={c.ANTHROPIC.text}",
        "x-key": c.REGEX.text,
        "server": c.PASSPHRASE.text,
    }
    told: dict[str, Reply] = {
        "unauthorized": json_reply(error(_QUOTES), 401, echoing),
        "forbidden": json_reply(error(_QUOTES), 403),
        "invalid": json_reply(error(_QUOTES), 400),
        "limited": json_reply(error(_QUOTES), 429, {"retry-after": "0"}),
        "overloaded": json_reply(error(_QUOTES), 529),
        "odd": json_reply({"fault": {"request": {"headers": [one.text for one in TOLD_UPSTREAM]}}}, 500),
        "violation": json_reply({"detail": [{"loc": ["header", one.text], "msg": f"bad {one.text}"} for one in TOLD_UPSTREAM]}, 422),
        "escaped": body_reply(json.dumps(error(_QUOTES)).replace("/", "\\/").encode(), "application/json", 400),
        "nested": json_reply(error(json.dumps({"error": {"message": _QUOTES}})), 400),
        "html": body_reply(f"<html><title>{html.escape(_QUOTES)}</title></html>".encode(), "text/html", 502),
        "untitled": body_reply(f"<html><body>{html.escape(_QUOTES)}</body></html>".encode(), "text/html", 502),
        "text": body_reply(_QUOTES.encode(), "text/plain", 500),
        "url": body_reply(urllib.parse.quote(_QUOTES, safe="").encode(), "text/plain", 500),
        "basic": body_reply(b"Basic " + base64.b64encode(f"user:{c.PASSWORD.text}".encode()), "text/plain", 500),
        "redirect": Reply(307, {"location": f"http://127.0.0.1:9/?key={urllib.parse.quote(c.QUERY.text)}&{c.PASSPHRASE.text}"}, (), "length"),
        "garbage": raw_reply(f"HTTP/1.1 {c.PASSPHRASE.text} {c.HEADER.text}\r\n\r\n".encode()),
        "bad-header": raw_reply(f"HTTP/1.1 200 OK\r\n{c.PASSPHRASE.text}\r\n\r\n".encode()),
        "reset": Reply(200, {}, (Reset(),)),
        "stall": Reply(200, {}, (Stall(),)),
        "cut": sse_reply(stream, cut_at=3, ending=Cut()),
        "error-first": sse_reply([frame(_QUOTES)]),
        "error-later": sse_reply([*stream[:4], frame(_QUOTES)], ending=Cut()),
        "error-in-200": json_reply({"error": {"message": _QUOTES, "code": 401}}),
        "nonsense": sse_reply([f"data: {_QUOTES}\n\n".encode()]),
        "not-json": body_reply(_QUOTES.encode(), "application/json"),
        "quotes-content": json_reply(error(_CONTENT), 400),
        "quotes-content-in-text": body_reply(_CONTENT.encode(), "text/plain", 500),
        "quotes-content-later": sse_reply([*stream[:4], frame(_CONTENT)], ending=Cut()),
    }  # fmt: skip
    told |= {f"long-{number}": json_reply(error(text), 400) for number, text in enumerate(cut_texts())}
    return told


FAILURES = {is_chat: failures(is_chat) for is_chat in (False, True)}
#: Those that ask for as much patience as a time-out takes are asked for once.
SLOW = frozenset({"stall"})


def answer(received: Received) -> Reply:
    """What the asked model stands for; "good" is an ordinary answer."""
    is_chat = received.path.endswith("/completions")
    if received.path.endswith("/count_tokens"):
        return json_reply({"input_tokens": 7})
    asked = received.json()
    failure = FAILURES[is_chat].get(asked["model"])
    if failure is not None:
        return failure
    if is_chat:
        said = {"text": c.ANSWER.text, "reasoning": c.THINKING.text}
        return (
            sse_reply(chat_wire.chat_stream(**said)) if asked.get("stream") else json_reply(chat_wire.chat_json(**said))
        )
    told = {"text": c.ANSWER.text, "thinking": c.THINKING.text}
    if asked.get("stream"):
        return sse_reply(anthropic_wire.message_stream(**told))
    return json_reply(anthropic_wire.message_json(**told))


# -- the router --------------------------------------------------------------------------------------------------------

#: A router with a mistake in it: what it knows is in the text of an exception, as a careless library would put it there.
BROKEN = """\
import sys
import ccrouter.gateway.pipeline as pipeline
from ccrouter.cli import main
from ccrouter.server import endpoints

choose = pipeline.choose

def broken(facts, *rest):
    if facts.asked == "defect":
        raise KeyError(sys.argv.secrets)
    return choose(facts, *rest)

class Words(list):
    secrets = tuple(open({secrets!r}, encoding="utf-8").read().split("\\n"))

sys.argv = Words(sys.argv)
pipeline.choose = broken
sys.exit(main({words!r}))
"""


@dataclass
class Scene:
    """One router and what it gave away so far: `seen` by place; `told` are those answers that may repeat content."""

    ccr: Ccr
    upstream: ThreadedUpstream
    port: int
    seen: dict[str, bytes] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def start(self, scratch: Path) -> subprocess.Popen[bytes]:
        """The router, listening. It knows how to fail: asked for the model "defect"."""
        secrets = scratch / "secrets"
        secrets.write_text("\n".join(one.text for one in TOLD_UPSTREAM), encoding="utf-8")
        program = BROKEN.format(secrets=str(secrets), words=["start"])
        self._errors = scratch / "router.stderr"
        with self._errors.open("wb") as errors:
            child = subprocess.Popen(
                [sys.executable, "-c", program], env=self.ccr.environ, cwd=self.ccr.home, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.ccr.children.append(child)
        try:
            self._lines = read_until(child, "listens on")
        except (AssertionError, AttributeError) as error:
            raise AssertionError(self._errors.read_text()) from error
        return child

    def stop(self, child: Any) -> None:
        """SIGTERM, and what it said until then."""
        child.terminate()
        rest, _ = child.communicate(timeout=LIMIT)
        assert child.returncode == 0, self._errors.read_text()
        self.seen["stdout of the router"] = "\n".join([*self._lines, rest]).encode()
        self.seen["stderr of the router"] = self._errors.read_bytes()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, *, name: str = "",
        is_told: bool = False,
    ) -> tuple[int, bytes]:  # fmt: skip
        """One HTTP request; status and body. Head and body are kept, as the client got them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        place = name or f"{method} {path.partition('?')[0]}"
        while place in self.seen:
            place += "'"
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            try:
                answered = response.read()
            except http.client.IncompleteRead as error:
                answered = error.partial
            lines = "\n".join(f"{key}: {value}" for key, value in response.getheaders())
        finally:
            connection.close()
        self.seen[place] = f"{response.status}\n{lines}\n\n".encode() + answered
        if is_told or (response.status == 200 and path.startswith("/v1/messages")):
            self.told.add(place)
        return response.status, answered

    def message(self, model: str, *, is_told: bool = False, **more: Any) -> tuple[int, bytes]:
        """A Messages request with everything that a client may hold in it."""
        headers = {**client_headers(), "x-api-key": c.ROUTER.text}
        name = f"{model}{', streamed' if more.get('stream') else ''}"
        return self.ask("POST", "/v1/messages", conversation(model, **more), headers, name=name, is_told=is_told)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`ccr <words>`, with what it printed kept."""
        done = self.ccr.run(*words, **environ)
        place = f"ccr {' '.join(words)}"
        self.seen[f"stdout of {place}"] = done.stdout.encode()
        self.seen[f"stderr of {place}"] = done.stderr.encode()
        assert "Traceback" not in done.stderr, f"{place}:\n{done.stderr}"
        return done


def client_headers() -> dict[str, str]:
    return {
        "content-type": "application/json",
        "authorization": f"Bearer {c.OAUTH.text}",
        "cookie": f"session={c.COOKIE.text}",
        "x-custom": c.CUSTOM_HEADER.text,
        "proxy-authorization": f"Basic {c.CUSTOM_HEADER.text}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "interleaved-thinking-2025-05-14",
    }


def conversation(model: str, **more: Any) -> bytes:
    call = {"type": "tool_use", "id": "toolu_01", "name": "look_up", "input": {"who": c.TOOL_RESULT.text}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": c.TOOL_RESULT.text}
    schema = {"type": "object", "properties": {"who": {"type": "string", "description": c.TOOL.text}}}
    return json.dumps(
        {
            "model": model,
            "max_tokens": 100,
            "system": [{"type": "text", "text": c.SYSTEM.text}],
            "metadata": {"user_id": f"user_{c.METADATA.text}_account__session_0d4b1f6e-8a3c-4f1d-9c1e-7b1a2c3d4e5f"},
            "tools": [{"name": "look_up", "description": c.TOOL.text, "input_schema": schema}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": c.USER.text}]},
                {"role": "assistant", "content": [{"type": "text", "text": c.ANSWER.text}, call]},
                {"role": "user", "content": [result, {"type": "text", "text": c.USER.text}]},
            ],
            **more,
        }
    ).encode()

"""A hundred edits while the router is busy: nobody who is being served notices."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.server.watch import Watch
from tests.gateway.conftest import Router, events_of, running, text_of
from tests.server.conftest import UPSTREAM_KEY
from tests.upstream import Gate, Reply, Upstream, anthropic_wire, chat_wire, json_reply
from tests.upstream.reply import sse_reply

EDITS = 100
CLIENTS = 12
#: Requests that are over between two edits, at least.
BETWEEN = 4

FIRST = Policy(name="first", source="preset first", digest="1" * 64)
SECOND = Policy(name="second", source="preset second", digest="2" * 64)


def config_text(up: Upstream, number: int) -> str:
    """The file after edit `number`: another model each time, in either dialect, with and without code of the user's."""
    paths = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
    providers = [
        {
            "name": name,
            "api_base_url": up.url + path,
            "api_key": UPSTREAM_KEY,
            "models": [f"m{number}"],
            "protocol": name,
        }
        for name, path in paths.items()
    ]
    provider = list(paths)[number % 2]
    more = {"CUSTOM_ROUTER_PATH": "route.py"} if number % 3 == 0 else {}
    return json.dumps({"Providers": providers, "Router": {"default": f"{provider},m{number}"}, **more})


def spoiled(text: str, number: int) -> str:
    """The edit as it must not be: cut off, or with a route that leads nowhere."""
    if number % 2:
        return text[: len(text) // 2]
    return json.dumps({**json.loads(text), "Router": {"default": "nowhere,m"}})


def answer(received) -> Reply:
    """Whatever is asked, the model that is sent, in words, and an end."""
    body = received.json()
    text = [f"I am {body['model']}", " and", " this", " is", " the", " end."]
    is_chat = received.path.endswith("completions")
    if body.get("stream"):
        return sse_reply(chat_wire.chat_stream(text) if is_chat else anthropic_wire.message_stream(text))
    return json_reply(chat_wire.chat_json("".join(text)) if is_chat else anthropic_wire.message_json("".join(text)))


@dataclass
class Load:
    """Clients that ask, one request after the other, until `stop`; `faults` is what was not as it should be."""

    router: Router
    done: int = 0
    faults: list[str] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)
    is_over: bool = False

    async def client(self, number: int) -> None:
        while not self.is_over:
            streamed = number % 2 == 0
            try:
                status, _, raw = await self.router.ask(stream=streamed)
                self._judge(status, raw, streamed=streamed)
            except Exception as error:  # noqa: BLE001 - a connection that breaks is a fault like any other
                self.faults.append(repr(error))
            async with self.more:
                self.done += 1
                self.more.notify_all()

    def _judge(self, status: int, raw: bytes, *, streamed: bool) -> None:
        if status != 200:
            self.faults.append(f"{status}: {raw[:300]!r}")
            return
        if not streamed:
            text = json.loads(raw)["content"][0]["text"]
        else:
            events = events_of(raw)
            text = text_of(events)
            if events[-1]["type"] != "message_stop":
                self.faults.append(f"cut: {events[-1]}")
        if not (text.startswith("I am m") and text.endswith(" and this is the end.")):
            self.faults.append(text)

    async def some(self) -> None:
        wanted = self.done + BETWEEN
        async with self.more:
            await asyncio.wait_for(self.more.wait_for(lambda: self.done >= wanted), 30)


async def test_a_hundred_edits_under_load(tmp_path, upstream: Upstream, capsys):
    """Of all requests, streamed or not, in either dialect, that are made while the file is edited a hundred times, every
    third time so that it cannot be used, none fails and none is cut. After each edit the good one before it or
    itself is in force. Streams that began before the first edit are finished by what was in force then.
    """
    del capsys  # what is said on stderr of refused edits
    (tmp_path / "route.py").write_text("def route(request, config, context):\n    return None\n")
    path, number, gates = tmp_path / "config.json", 0, [asyncio.Event() for _ in range(4)]

    def read(_in_force: Policy) -> tuple[Config, Policy]:
        return load(path, {}), (FIRST, SECOND)[number // 5 % 2] if number else NO_POLICY

    frames = anthropic_wire.message_stream(["begun", " long ago"])
    for gate in gates:
        upstream.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames[:3], Gate(gate), *frames[3:])))
    upstream.always(answer)
    async with running(config_text(upstream, 0), tmp_path, reload=read) as router:
        watch = Watch(router.app.editions)
        early = [asyncio.create_task(router.ask(stream=True)) for _ in gates]
        await upstream.request(len(gates))
        load_on = Load(router)
        clients = [asyncio.create_task(load_on.client(one)) for one in range(CLIENTS)]
        good = 0
        for number in range(1, EDITS + 1):
            text = config_text(upstream, number)
            is_good = number % 3 != 1 or number == EDITS
            path.write_text(text if is_good else spoiled(text, number))
            outcomes = [await watch.look() for _ in range(3)]
            assert outcomes == [None, "ok" if is_good else "refused", None]
            good = number if is_good else good
            assert router.app.edition.config.router.routes["default"].model == f"m{good}"
            await load_on.some()
            if number == EDITS // 2:
                for gate in gates[:2]:
                    gate.set()
        load_on.is_over = True
        await asyncio.wait_for(asyncio.gather(*clients), 30)
        for gate in gates:
            gate.set()
        for status, _, raw in await asyncio.wait_for(asyncio.gather(*early), 30):
            assert status == 200
            assert text_of(events_of(raw)) == "begun long ago"
            assert events_of(raw)[-1]["type"] == "message_stop"
        assert load_on.faults == []
        assert load_on.done > EDITS * BETWEEN
        status, _, raw = await router.ask()
        assert (status, json.loads(raw)["content"][0]["text"][:9]) == (200, f"I am m{EDITS}")
    asked = {one.json()["model"] for one in upstream.requests[: len(gates)]}
    assert asked == {"m0"}

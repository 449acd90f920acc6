"""The order of transforms: requests pass the provider's and then the model's, answers the exact way back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ccrouter.config.schema import Endpoint, Provider, Target, TransformSpec
from ccrouter.config.transform_options import OPTIONS
from ccrouter.config.transformers import BUILT_IN, WIRE_FORMATS
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.errors import LocalProtocolError
from ccrouter.messages.events import BlockDelta, TextDelta
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.chain import Chain
from ccrouter.transforms.registry import TRANSFORMS, Chains, built_in
from tests.architecture.sources import PACKAGE


class Recorder(Transform):
    """Writes its name into whatever passes."""

    def request(self, request, context):
        return request.replace(passed=[*request_log(request), self.options["name"]])

    def members(self, members, context):
        return {**members, "passed": [*members.get("passed", []), self.options["name"]]}

    async def wire(self, wire, context):
        return dataclasses.replace(wire, body=wire.body + self.options["name"].encode())

    def stream(self, answer, context):
        return Marked(answer, self.options["name"].encode())

    def events(self, context):
        name = self.options["name"]

        def mark(events):
            return [BlockDelta(event.index, TextDelta(event.delta.text + name)) for event in events]

        return mark


class Marked:
    """An answer that ends in a mark."""

    status = 200

    def __init__(self, answer, mark):
        self.headers = {}
        self._answer = answer
        self._mark = mark

    async def read(self):
        return (await self._answer.read() if self._answer else b"") + self._mark

    def close(self):
        pass


def request_log(request):
    return [] if "passed" not in request.members else json.loads(bytes(request.members["passed"]))


def spec(name):
    return TransformSpec("recorder", {"name": name})


PROVIDER = Provider(
    "p",
    (Endpoint("openai_chat", "http://127.0.0.1:9/v1/chat/completions"),),
    transforms=(spec("a"), spec("b")),
    model_transforms={"m": (spec("c"), spec("d"))},
)
TARGET = Target(PROVIDER, "m")


@pytest.fixture
def chain():
    return Chains(lambda one: Recorder(one.options)).of(TARGET)


CONTEXT = Context(TARGET, "openai_chat", "asked", is_streamed=True)


async def test_requests_pass_forth(chain):
    """A request, its members and its bytes pass the provider's transforms and then the model's, each in order."""
    assert request_log(chain.request(MessagesRequest.read(b"{}"), CONTEXT)) == ["a", "b", "c", "d"]
    assert chain.amend(CONTEXT)({})["passed"] == ["a", "b", "c", "d"]
    assert (await chain.wire(UpstreamRequest(b""), "http://x", CONTEXT)).body == b"abcd"


async def test_answers_pass_back(chain):
    """Bytes and events pass them in the reverse order: the mirror image, model first."""
    assert await chain.stream(Marked(None, b""), CONTEXT).read() == b"dcba"
    events = [BlockDelta(0, TextDelta(""))]
    for one in chain.filters(CONTEXT):
        events = one(events)
    assert events[0].delta.text == "dcba"


def test_other_models_have_the_providers_alone():
    """A model without transforms of its own has the provider's, one chain for all such models."""
    chains = Chains(lambda one: Recorder(one.options))
    other = chains.of(Target(PROVIDER, "x"))
    assert [one.options["name"] for one in other.transforms] == ["a", "b"]
    assert chains.of(Target(PROVIDER, "y")) is other
    assert chains.of(TARGET) is not other


def test_each_entry_is_made_once():
    """An entry of `use` is one instance, for every model and every request."""
    made = []

    def make(one):
        made.append(one.options["name"])
        return Recorder(one.options)

    chains = Chains(make)
    for model in ("m", "x", "m", "y"):
        chains.of(Target(PROVIDER, model))
    assert sorted(made) == ["a", "b", "c", "d"]
    assert chains.of(TARGET).transforms[0] is chains.of(Target(PROVIDER, "x")).transforms[0]


def test_nothing_to_do_costs_nothing():
    """Where no transform has a hook there is no hand on the request, and no filter that would stop bytes from passing."""
    chain = Chain((Transform({}), Transform({})))
    request = MessagesRequest.read(b"{}")
    assert chain.request(request, CONTEXT) is request
    assert chain.amend(CONTEXT) is None
    assert chain.filters(CONTEXT) == []


def test_only_answers_that_need_it_are_filtered():
    """Of the router's own, those that only change requests leave answers as bytes."""
    for name in set(BUILT_IN) - {"enhancetool", "extrathinktag", "forcereasoning"}:
        assert Chain((built_in(TransformSpec(name, {})),)).filters(CONTEXT) == [], name


def test_notes_are_of_one_attempt():
    """What a hook notes for a later one is known to that attempt alone."""
    first, second = (dataclasses.replace(CONTEXT, notes={}) for _ in range(2))
    tool = b'{"tools":[{"name":"t","input_schema":{}}],"messages":[{"role":"user","content":"a"}]}'
    chain = Chain((built_in(TransformSpec("tooluse")),))
    chain.request(MessagesRequest.read(tool), first)
    chain.request(MessagesRequest.read(b'{"messages":[{"role":"user","content":"a"}]}'), second)
    assert len(chain.filters(first)) == 1
    assert chain.filters(second) == []


# -- the registry ------------------------------------------------------------------------------------------------------


def test_every_name_is_registered():
    """The names that configurations may use, those with options and those with classes are the same."""
    assert tuple(OPTIONS) == BUILT_IN
    assert set(TRANSFORMS) == set(BUILT_IN)
    assert set(WIRE_FORMATS) <= set(BUILT_IN)


def test_every_transform_is_registered():
    """Each module of transforms/ is called after the transform in it, and that is registered."""
    folder = PACKAGE / "transforms"
    shared = {"additions", "wire_format"}
    kinds = {kind.__module__.rpartition(".")[2] for kind in TRANSFORMS.values()}
    assert kinds - shared == set(TRANSFORMS) - set(WIRE_FORMATS)
    for name, kind in TRANSFORMS.items():
        if name not in WIRE_FORMATS:
            assert kind.__name__.lower() == kind.name == name
            assert (folder / f"{name}.py").is_file()


def test_what_is_not_ours_is_not_made():
    """A name that nobody registered, and a user's module of a registered name, are not taken for the router's own."""
    for one in (TransformSpec("nope"), TransformSpec("maxtoken", {"max_tokens": 1}, path="/x.py")):
        with pytest.raises(LocalProtocolError):
            built_in(one)

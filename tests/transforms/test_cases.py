"""Golden cases of transforms: requests and what of them changes in each dialect; answers, and what a client gets of them.

`ACCEPT=1 python -m pytest tests/transforms` rewrites the lower halves; the difference is then for a reader to judge.
"""

from __future__ import annotations

import json

import pytest

from ccrouter.config.transformers import BUILT_IN, WIRE_FORMATS
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import RemoteProtocolError
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.registry import Chains
from tests.dialects.casefile import told
from tests.dialects.chat_law import check_events, folded
from tests.transforms.workbench import (
    BASE,
    Case,
    answer_from,
    check_lawful,
    context_of,
    cuts,
    encoded_for,
    paths,
    sent_to,
    specs_of,
    target_at,
)

USAGE = {"prompt_tokens": 11, "completion_tokens": 5}


def request_outcome(case: Case) -> str:
    """The members that are otherwise than without transforms, for each place that the case names."""
    asked = json.loads(case.body) if case.body.strip() else {}
    lines = []
    for place in case.head["at"].split(", "):
        name, _, model = place.partition(" ")
        plain = sent_to(target_at(name, model=model or "m1"), **asked)
        target = target_at(name, case.read("use", []), model or "m1", case.read("model"))
        changed = sent_to(target, **asked)
        lines.append(f"[{place}]")
        for member in dict.fromkeys([*plain, *changed]):
            if member not in changed:
                lines.append(f"- {member}")
            elif changed[member] != plain.get(member):
                shown = changed[member]
                if isinstance(shown, list) and isinstance(plain.get(member), list):
                    shown = ["…" if one in plain[member] else one for one in shown]
                lines.append(f"{member}: {json.dumps(shown, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def wire_of(body: str) -> bytes:
    """The answer as it is on the wire. In a case a line is the delta of one chunk, a piece of a tool call (`call INDEX ID
    NAME ARGUMENTS`, `-` for none, ⏎ for a line break), `finish REASON`, or a line of SSE.
    """
    if body.startswith("{") and '"choices"' in body.partition("\n")[0]:
        return body.encode()
    out = []
    for line in body.splitlines():
        delta = line
        if line.startswith("call "):
            _, index, id_, name, arguments = line.split(" ", 4)
            function = {"name": name, "arguments": arguments.replace("⏎", "\n")}
            call = {"index": int(index), "id": id_, "function": {k: v for k, v in function.items() if v != "-"}}
            delta = json.dumps({"tool_calls": [{k: v for k, v in call.items() if v != "-"}]})
        if delta.startswith("{"):
            chunk = {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": json.loads(delta)}]}
            out.append(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n")
        elif line.startswith("finish "):
            choice = {"index": 0, "delta": {}, "finish_reason": line.removeprefix("finish ")}
            out.append(f"data: {json.dumps({'id': 'c1', 'choices': [choice], 'usage': USAGE})}\n\ndata: [DONE]\n\n")
        else:
            out.append(f"{line}\n")
    return "".join(out).encode()


def stream_outcome(case: Case, wire: bytes, chunks=None) -> tuple[str, list]:
    events, end = answer_from(case.target(), wire, chunks, **case.read("request", {}))
    return "\n".join([*told(events), end]) + "\n", events


@pytest.mark.parametrize("path", paths("request"), ids=lambda path: path.stem)
def test_request(path):
    """What goes to the provider differs from what goes without the transforms by what stands below the line."""
    case = Case(path)
    case.check(request_outcome(case))


@pytest.mark.parametrize("path", paths("stream"), ids=lambda path: path.stem)
def test_stream(path):
    """The answer above the line becomes the events below it, wherever the network cuts it, and they are lawful."""
    case = Case(path)
    wire = wire_of(case.body)
    result, events = stream_outcome(case, wire)
    case.check(result)
    check_lawful(events) if "interleaves" in case.upper else check_events(events)
    if wire.lstrip().startswith((b"data:", b"event:")):
        for chunks in cuts(wire):
            assert stream_outcome(case, wire, chunks)[0] == result
    if result.splitlines()[-1].startswith("usage") and "folds: no" not in case.upper:
        for block in folded(events)["content"]:
            assert block["type"] != "tool_use" or isinstance(block["input"], dict)
    elif "folds: no" in case.upper:
        with pytest.raises(RemoteProtocolError):
            folded(events)


def test_every_transform_has_cases():
    """Each transform that changes anything is used by a case, and the folders are found."""
    used = set()
    for kind in ("request", "stream"):
        for path in paths(kind):
            case = Case(path)
            specs = specs_of({"use": case.read("use", []), "m": {"use": case.read("model") or []}})
            used |= {spec.name for spec in (*specs.transforms, *specs.by_model.get("m", ()))}
    assert set(BUILT_IN) - set(WIRE_FORMATS) <= used


def test_what_is_not_meant_stays_as_it_is():
    """A request that a transform has nothing to do with is the same object: its bytes may pass as they came."""
    for name in ("maxtoken", "cleancache", "reasoning", "tooluse", "sampling", "customparams", "enhancetool"):
        options = {"max_tokens": 10} if name == "maxtoken" else {}
        for dialect in DIALECTS:
            target = target_at(dialect, [[name, options]])
            request = MessagesRequest.read(json.dumps(BASE).encode())
            assert Chains().of(target).request(request, context_of(target)) is request, name


def test_the_outcome_is_encoded_once():
    """The workbench encodes what the gateway would: with the dialect's own headers and the filters' amendments."""
    sent = encoded_for(target_at("openai_chat", [["customparams", {"seed": 7}]]))
    assert json.loads(sent.body)["seed"] == 7

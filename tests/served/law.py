"""What every answer to a client of OpenAI's dialects keeps to, whatever made it: checked event by event, and each event
by the official SDK's own types.
"""

from __future__ import annotations

import json
from typing import Any, get_args

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

#: The SDK's own type of an event, by its name.
_KINDS = {get_args(one.model_fields["type"].annotation)[0]: one for one in get_args(get_args(ResponseStreamEvent)[0])}
#: What the SDK's types do not have, though the wire does.
_PARTS = ("custom", "reasoning_content", "reasoning_details", "annotations")


def frames_of(raw: bytes) -> list[tuple[str, str]]:
    """(event, data) of every frame; comments are skipped."""
    found = []
    for frame in raw.decode().split("\n\n"):
        if not frame.strip() or frame.startswith(":"):
            continue
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        assert set(lines) <= {"event", "data"}, frame
        found.append((lines.get("event", ""), lines["data"]))
    return found


def chat_of(raw: bytes, *, tells_usage: bool = False) -> dict[str, Any]:
    """The message that a stream of chunks says: its members, `finish_reason`, `model` and `usage`."""
    frames = frames_of(raw)
    assert all(event == "" for event, _ in frames)
    assert [data for _, data in frames].index("[DONE]") == len(frames) - 1
    chunks = [json.loads(data) for _, data in frames[:-1]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(_without_ours(chunk))
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    usage = None
    if tells_usage:
        *chunks, last = chunks
        assert last["choices"] == []
        usage = last["usage"]
    assert all(chunk.get("usage") is None and len(chunk["choices"]) == 1 for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    first = choices[0]["delta"]
    assert first.pop("role") == "assistant"
    assert not any(first.values())
    assert [bool(choice["finish_reason"]) for choice in choices] == [False] * (len(choices) - 1) + [True]
    told: dict[str, Any] = {"finish_reason": choices[-1]["finish_reason"], "model": chunks[0]["model"], "usage": usage}
    calls: list[dict[str, Any]] = []
    for choice in choices[1:]:
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                _grow(calls, value)
            elif name == "function_call":
                _grow(calls, [{"index": 0, "function": value, "id": "", "type": "function"} if "name" in value
                              else {"index": 0, "function": value}])  # fmt: skip
            elif isinstance(value, list):
                told[name] = [*told.get(name, ()), *value]
            else:
                told[name] = told.get(name, "") + value
    return told | ({"calls": calls} if calls else {})


def _grow(calls: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        if "type" in delta:
            assert delta["index"] == len(calls), "calls begin in order"
            inner = dict(delta[delta["type"]])
            calls.append({"id": delta["id"], "type": delta["type"], **inner})
            continue
        call = calls[delta["index"]]
        assert delta["index"] == len(calls) - 1, "one call at a time"
        for name, value in delta[call["type"]].items():
            call[name] += value


def whole_chat_of(raw: bytes) -> dict[str, Any]:
    """The same of an unstreamed answer."""
    body = json.loads(raw)
    ChatCompletion.model_validate(body)
    assert body["object"] == "chat.completion"
    [choice] = body["choices"]
    message = dict(choice["message"])
    calls = [{"id": one["id"], "type": one["type"], **one[one["type"]]} for one in message.pop("tool_calls", ())]
    if "function_call" in message:
        calls = [{"id": "", "type": "function", **message.pop("function_call")}]
    told = {name: value for name, value in message.items() if value is not None and name != "role"}
    told |= {"finish_reason": choice["finish_reason"], "model": body["model"], "usage": body["usage"]}
    return told | ({"calls": calls} if calls else {})


def is_finished_response(raw: bytes) -> bool:
    return b'"type":"response.completed"' in raw or b'"type":"response.incomplete"' in raw


def response_of(raw: bytes) -> dict[str, Any]:
    """The response that a whole stream of events says, ids left out. Raises AssertionError for a breach of the order."""
    events = events_of(raw)
    assert events[-1]["type"] in {"response.completed", "response.incomplete"}
    final = events[-1]["response"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert final["output"] == done
    assert final["status"] == events[-1]["type"].removeprefix("response.")
    return plain(final)


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The events, each of them lawful in its place."""
    events = []
    for name, data in frames_of(raw):
        event = json.loads(data)
        assert event["type"] == name
        known = event
        if name == "response.failed":  # the SDK lists fewer codes than the API sends, and Codex knows
            known = {**event, "response": {**event["response"], "error": {"code": "server_error", "message": "x"}}}
        _KINDS[name].model_validate(known)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    order = _Order()
    for event in events[2:]:
        order.step(event)
    return events


class _Order:
    """Follows items: each begins, grows and is done, one after the other, and its pieces are what it is in the end."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.count = 0
        self.text = ""
        self.has_ended = False

    def step(self, event: dict[str, Any]) -> None:
        assert not self.has_ended or event["type"] == "error"
        kind = event["type"].removeprefix("response.")
        if kind in {"completed", "incomplete", "failed"}:
            assert self.item is None or kind == "failed"
            self.has_ended = True
        elif kind == "output_item.added":
            assert self.item is None, "one item at a time"
            assert event["output_index"] == self.count
            self.item, self.text = event["item"], ""
            assert self.item.get("status", "in_progress") == "in_progress"
        elif kind == "output_item.done":
            self._finish(event["item"])
        elif kind != "error":
            assert self.item is not None
            assert (event["item_id"], event["output_index"]) == (self.item["id"], self.count)
            if kind.endswith(".delta"):
                self.text += event["delta"]
            elif kind.endswith(("text.done", "arguments.done", "input.done")):
                said = event.get("text", event.get("arguments", event.get("input")))
                assert said == self.text

    def _finish(self, item: dict[str, Any]) -> None:
        assert self.item is not None
        assert (item["id"], item["type"]) == (self.item["id"], self.item["type"])
        assert item.get("status", "completed") in {"completed", "incomplete"}
        match item["type"]:
            case "message":
                assert item["content"][0]["text"] == self.text
            case "function_call":
                assert item["arguments"] == self.text
            case "custom_tool_call":
                assert item["input"] == self.text
            case "reasoning":
                assert "".join(part["text"] for part in item["summary"]) == self.text
        self.item = None
        self.count += 1


def whole_response_of(raw: bytes) -> dict[str, Any]:
    body = json.loads(raw)
    Response.model_validate(body)
    return plain(body)


def plain(response: dict[str, Any]) -> dict[str, Any]:
    """A response without what is another each time."""
    kept = {name: value for name, value in response.items() if name not in {"id", "created_at"}}
    kept["output"] = [{name: value for name, value in item.items() if name != "id"} for item in response["output"]]
    return kept


def _without_ours(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk as the SDK's types know it: calls of free-form tools have no place in them."""
    choices = []
    for choice in chunk["choices"]:
        delta = {name: value for name, value in choice["delta"].items() if name not in _PARTS}
        if "tool_calls" in delta:
            delta["tool_calls"] = [one for one in delta["tool_calls"] if "custom" not in one]
        choices.append({**choice, "delta": delta})
    return {**chunk, "choices": choices}

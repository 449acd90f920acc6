"""Where routes lead, as a drawing: boxes and lines by their places. Pure; knows no colours.

Routes stand on the left in their order, targets on the right, each once, near the routes that name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccrouter.jsontypes import JsonObject

_WIDTH = 900
_LEFT_WIDTH, _RIGHT_WIDTH = 250, 330
_LEFT_HEIGHT, _RIGHT_HEIGHT = 46, 62
_GAP = 14
_MARGIN = 4
#: Characters that a line of a box has room for: labels are set in 14 pixels, smaller words in 12.
_LEFT_LETTERS, _RIGHT_LETTERS, _SMALL_LETTERS = 29, 37, 48

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    def outlets(self, count: int) -> list[float]:
        """Where `count` lines meet its side, from the top."""
        return [self.y + self.height * (n + 1) / (count + 1) for n in range(count)]


def draw(routes: Sequence[JsonObject], targets: Mapping[Pair, JsonObject]) -> JsonObject:
    """The drawing of `routes` (their `targets` in order, each with provider and model) and of what is known of each."""
    names = [[(one["provider"], one["model"]) for one in route["targets"]] for route in routes]
    order = _ordered(names)
    height = max(_column(len(routes), _LEFT_HEIGHT), _column(len(order), _RIGHT_HEIGHT)) + 2 * _MARGIN
    left = _boxes(len(routes), _MARGIN, _LEFT_WIDTH, _LEFT_HEIGHT, height)
    right = dict(
        zip(
            order,
            _boxes(len(order), _WIDTH - _RIGHT_WIDTH - _MARGIN, _RIGHT_WIDTH, _RIGHT_HEIGHT, height),
            strict=True,
        )
    )
    return {
        "width": _WIDTH,
        "height": height,
        "routes": [_route(route, box) for route, box in zip(routes, left, strict=True)],
        "targets": [_target(targets[name], box) for name, box in right.items()],
        "lines": _lines(names, left, right, targets),
    }


def _ordered(names: Sequence[Sequence[Pair]]) -> list[Pair]:
    """Every target once, by the middle of the routes that name it: those that it serves first count most."""
    weights: dict[Pair, list[tuple[float, int]]] = {}
    for row, chain in enumerate(names):
        for place, name in enumerate(chain):
            weights.setdefault(name, []).append((1.0 / (1 + place) ** 2, row))
    middle = {name: sum(w * row for w, row in told) / sum(w for w, _ in told) for name, told in weights.items()}
    return sorted(weights, key=lambda name: middle[name])


def _column(count: int, height: float) -> float:
    return count * height + max(0, count - 1) * _GAP


def _boxes(count: int, x: float, width: float, height: float, room: float) -> list[_Box]:
    """A column of boxes, in the middle of the room."""
    top = (room - _column(count, height)) / 2
    return [_Box(x, top + number * (height + _GAP), width, height) for number in range(count)]


def _lines(
    names: Sequence[Sequence[Pair]],
    left: Sequence[_Box],
    right: Mapping[Pair, _Box],
    targets: Mapping[Pair, JsonObject],
) -> list[JsonObject]:
    coming: dict[Pair, list[int]] = {}
    for row, chain in enumerate(names):
        for name in chain:
            coming.setdefault(name, []).append(row)
    ends = {
        (row, name): y
        for name, rows in coming.items()
        for row, y in zip(rows, right[name].outlets(len(rows)), strict=True)
    }
    lines = []
    for row, chain in enumerate(names):
        by_height = sorted(chain, key=lambda name: right[name].y)
        begins = dict(zip(by_height, left[row].outlets(len(chain)), strict=True))
        for place, name in enumerate(chain):
            kind = "first" if place == 0 else "later"
            if targets[name]["denied"] or targets[name]["unavailable"]:
                kind += " shut"
            end = right[name].x
            stop = ends[row, name]
            path = _curve((left[row].x + left[row].width, begins[name]), (end - 7, stop))
            lines.append({"kind": kind, "path": path, "place": place + 1, "x": end - 22, "y": round(stop + 4, 1)})
    return lines


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A line that leaves and arrives level."""
    (x, y), (to_x, to_y) = start, end
    middle = (x + to_x) / 2
    return f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _route(route: JsonObject, box: _Box) -> JsonObject:
    return {**_frame(box), "label": _cut(route["name"], _LEFT_LETTERS), "name": route["name"], "share": route["share"]}


def _target(target: JsonObject, box: _Box) -> JsonObject:
    if target["denied"]:
        state, words = "denied", f"forbidden: {target['denied']}"
    elif target["unavailable"]:
        state, words = "unavailable", f"unavailable: {target['unavailable']}"
    elif target["state"] == "open":
        state, words = "open", "passed over: it failed too often"
    elif target["state"] in {"failing", "trying"}:
        state, words = "failing", "failing"
    else:
        state, words = "well", ""
    return {
        **_frame(box),
        "label": _cut(target["model"], _RIGHT_LETTERS),
        "provider": _cut(target["provider"], _RIGHT_LETTERS),
        "name": f"{target['provider']},{target['model']}",
        "state": state,
        "words": words,
        "shortWords": _cut(words, _SMALL_LETTERS),
        "share": target["share"],
    }


def _frame(box: _Box) -> JsonObject:
    return {"x": round(box.x, 1), "y": round(box.y, 1), "width": box.width, "height": box.height}


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"

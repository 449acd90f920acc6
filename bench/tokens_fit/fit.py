"""Fit the weights of ``ccrouter.messages.tokens`` and print them as they stand in that module.

Usage: ``python fit.py DIR`` where DIR holds ``pieces.jsonl`` (samples.py) and ``counts.jsonl`` (truth.mjs); needs numpy
and scipy.  Least squares of the *relative* error of each 2 KB piece, so that a genre with few tokens counts as much as
one with many; weights bounded by what one byte can hold, drawn weakly towards the mean of the byte's own class so that
pairs never seen get something sensible.  Each piece is there twice: as text, and as the inside of a JSON string.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from ccrouter.messages import tokens

#: What an agent's requests are made of counts more.
SHARE = {"prose": 2, "python": 2, "js": 2, "json": 2, "agent": 2, "chinese": 2, "scripts": 0.3, "noise": 0.3}
AS_JSON = 0.5
RIDGE = 0.003
GREATEST = tokens._GREATEST / tokens._UNIT


def histogram(text: str) -> np.ndarray:
    """How often each pair code occurs in the text."""
    return np.bincount(np.frombuffer(tokens._pair_codes(text.encode()), np.uint8), minlength=256).astype(float)


def load(folder: Path) -> list[tuple[str, str, int]]:
    """(genre, text, o200k count) of every piece to fit on."""
    lines = (folder / "pieces.jsonl").read_text().splitlines()
    counts = [json.loads(line)["o200k"] for line in (folder / "counts.jsonl").read_text().splitlines()]
    pieces = [json.loads(line) for line in lines]
    return [(p["genre"], p["text"], n) for p, n in zip(pieces, counts, strict=True) if p["half"] == "fit"]


def solve(rows: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The weights of the 256 codes: first one a class, then one a pair, held near its class."""
    code = np.arange(256) % 32
    classes = np.stack([rows[:, code == n].sum(1) for n in range(32)], 1)
    prior = lsq_linear(classes, goal, bounds=(0, GREATEST)).x[code]
    held = np.vstack([rows, np.eye(256) * RIDGE])
    return lsq_linear(held, np.append(goal, prior * RIDGE), bounds=(0, GREATEST)).x


def main(folder: Path) -> None:
    pieces = load(folder)
    number = {genre: sum(g == genre for g, _, _ in pieces) for genre, _, _ in pieces}
    rows, goal = [], []
    for genre, text, true in pieces:
        share = SHARE.get(genre, 1) / number[genre] ** 0.5
        rows += [histogram(text) * share / true, histogram(json.dumps(text, ensure_ascii=False)[1:-1]) * AS_JSON * share / true]
        goal += [share, share * AS_JSON]
    weights = np.rint(solve(np.array(rows), np.array(goal)) * tokens._UNIT).astype(int)
    for row in weights.reshape(8, 32).tolist():
        print("    " + " ".join(f"{n}," for n in row))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

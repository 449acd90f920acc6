"""Fit the weights of `ccrouter.messages.tokens` and print them as they stand in that module.

Usage: `python fit.py DIR`, where DIR holds `pieces.jsonl` (samples.py) and `counts.jsonl` (truth.mjs); needs numpy,
scipy and the router. Least squares of the *relative* error of each 2 KB piece, so that a dense text counts as much as a
sparse one; each piece is there twice, as text and as the inside of a JSON string. A weight lies between nothing and
what one byte can hold, and is drawn weakly to how often o200k really begins a token at such a byte, so that rare
pairs get something sensible.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from ccrouter.messages import tokens

#: What an agent's requests are made of counts more.
SHARE = {"prose": 2, "python": 2, "js": 2, "json": 2, "agent": 2, "chinese": 2, "scripts": 0.3, "noise": 0.3}
AS_JSON = 0.5
RIDGE = 0.03
UNIT, GREATEST = tokens._UNIT, tokens._GREATEST  # noqa: SLF001  this script is the other half of that module
CLASS = np.arange(256) % 32
FAMILIES = ["a blank", "a line end", "lower case", "upper case", "a digit", "a sign", "a backslash", "a continuation"]


def codes(text: str) -> np.ndarray:
    return np.frombuffer(tokens._pair_codes(text.encode()), np.uint8)  # noqa: SLF001  as above


def histogram(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes, minlength=256).astype(float)


def rates(begun: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The share of bytes of each code where a token begins; for codes hardly seen, that of their class."""
    of_class = np.array([begun[n == CLASS].sum() / max(seen[n == CLASS].sum(), 1e-9) for n in range(32)])[CLASS]
    few = 1e-5 * seen.sum()
    return (begun + few * of_class) / (seen + few)


def main(folder: Path) -> None:
    pieces = [json.loads(line) for line in (folder / "pieces.jsonl").open()]
    counts = [json.loads(line) for line in (folder / "counts.jsonl").open()]
    chosen = [(p["genre"], p["text"], c["lengths"]) for p, c in zip(pieces, counts, strict=True) if p["half"] == "fit"]
    number = Counter(genre for genre, _, _ in chosen)
    rows, goal = [], []
    begun, seen = np.zeros(256), np.zeros(256)
    for genre, text, lengths in chosen:
        share = SHARE.get(genre, 1) / number[genre] ** 0.5
        plain = codes(text)
        rows.append(histogram(plain) * share / len(lengths))
        rows.append(histogram(codes(json.dumps(text, ensure_ascii=False)[1:-1])) * AS_JSON * share / len(lengths))
        goal += [share, AS_JSON * share]
        begun += histogram(plain[np.cumsum([0, *lengths[:-1]])]) * share**2
        seen += histogram(plain) * share**2
    held, aim = np.vstack([*rows, np.eye(256) * RIDGE]), np.append(goal, rates(begun, seen) * RIDGE)
    weights = np.rint(lsq_linear(held, aim, bounds=(0, GREATEST / UNIT)).x * UNIT).astype(int)
    for family, row in zip(FAMILIES, weights.reshape(8, 2, 16).tolist(), strict=True):
        print(f"    # after {family}")
        for half in row:
            print("    " + " ".join(f"{n}," for n in half))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

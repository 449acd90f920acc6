"""Print the error of `ccrouter.messages.tokens` by genre, and its speed.

Usage: `python measure.py DIR`, where DIR holds `pieces.jsonl` (samples.py) and `counts.jsonl` (truth.mjs); only pieces
that the fit did not see are judged. Without DIR: the speed alone.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections import defaultdict
from pathlib import Path

import msgspec

from ccrouter.messages.tokens import TokenMemo, estimate_request, estimate_text


def errors(folder: Path) -> None:
    """One line a genre: error and bias in per cent of o200k, as text and inside a JSON string, beside other ways."""
    found = defaultdict(list)
    for line, truth in zip((folder / "pieces.jsonl").open(), (folder / "counts.jsonl").open(), strict=True):
        piece, counts = json.loads(line), json.loads(truth)
        if piece["half"] == "test":
            text, true = piece["text"].encode(), counts["o200k"]
            inside = json.dumps(piece["text"], ensure_ascii=False)[1:-1].encode()
            others = (len(text) / 4, counts["o200k_escaped"], counts["claude2"])
            found[piece["genre"]].append([n / true - 1 for n in (estimate_text(text), estimate_text(inside), *others)])
    print("| text | pieces | error % | bias % | as JSON, error % | bytes ÷ 4, error % | JSON text % | Claude 2 % |")
    print("|---|---|---|---|---|---|---|---|")
    for genre, rows in found.items():
        error = [100 * sum(map(abs, column)) / len(rows) for column in zip(*rows, strict=True)]
        bias = [100 * sum(column) / len(rows) for column in zip(*rows, strict=True)]
        print(
            f"| {genre} | {len(rows)} | {error[0]:.1f} | {bias[0]:+.1f} | {error[1]:.1f} | {error[2]:.1f}"
            f" | {bias[3]:+.0f} | {bias[4]:+.0f} |"
        )


def best(action, repeat: int = 30) -> float:
    """Milliseconds of the fastest run."""
    return min(timeit.repeat(action, number=1, repeat=repeat)) * 1e3


def speeds() -> None:
    """Milliseconds for 1 MB: plain text, a conversation never seen, its next turn."""
    source = Path(json.decoder.__file__ or "").read_text() + Path(timeit.__file__).read_text()
    text = (source * (1_000_000 // len(source) + 1))[:1_000_000]
    turns = [{"role": "user", "content": f"{n} {text[n * 4950 : n * 4950 + 4950]}"} for n in range(200)]
    body = msgspec.json.encode({"model": "m", "messages": turns})
    longer = msgspec.json.encode({"model": "m", "messages": [*turns, {"role": "user", "content": text[:4950]}]})
    members, next_members = (msgspec.json.decode(b, type=dict[str, msgspec.Raw]) for b in (body, longer))

    raw = text.encode()
    print(f"estimate_text, 1 MB:                 {best(lambda: estimate_text(raw)):.2f} ms")
    cold = best(lambda: estimate_request(members, TokenMemo()))
    print(f"request of {len(body) / 1e6:.2f} MB, 200 turns, new:  {cold:.2f} ms")
    took = []
    for _ in range(30):
        memo = TokenMemo()
        estimate_request(members, memo)
        took.append(best(lambda: estimate_request(next_members, memo), repeat=1))  # noqa: B023  called at once
    print(f"its next turn, one message new:      {min(took):.2f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        errors(Path(sys.argv[1]))
    speeds()

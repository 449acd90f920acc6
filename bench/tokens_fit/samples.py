"""Cut pieces of many kinds of text from files that lie on this machine; write them outside of the repository.

Usage: `python samples.py OUT NODE_MODULES`; writes `OUT/pieces.jsonl`, a `{"genre", "half", "text"}` a line. `half` is
`fit` (2 KB pieces) or `test` (20 KB); all pieces of one file are in the same half. What a machine has not is left out.
"""

from __future__ import annotations

import difflib
import gzip
import html
import itertools
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

PIECE = {"fit": 2_000, "test": 20_000}
BYTES_PER_GENRE = 2_400_000
BYTES_PER_FILE = 40_000

STDLIB = sysconfig.get_paths()["stdlib"]
NO_TEXT = re.compile("token|/iso_")  # vocabularies and lists of names
RUST = next(iter(Path.home().glob(".rustup/toolchains/stable*/share/doc/rust/html")), Path("/nonexistent"))


def files(root: str | Path, *suffixes: str) -> list[str]:
    """Paths below root that end in one of the suffixes and are neither nearly empty nor huge."""
    found = (Path(at, name) for at, _, names in os.walk(root) for name in names if name.endswith(suffixes))
    kept = (path for path in found if path.is_file() and not NO_TEXT.search(str(path)))
    return sorted(str(path) for path in kept if 2_000 < path.stat().st_size < 3_000_000)


def read_plain(path: str) -> str:
    """The file as text."""
    return Path(path).read_text("utf-8", errors="ignore")


def read_manual(path: str) -> str:
    """A manual page without its roff requests."""
    raw = Path(path).read_bytes()
    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    lines = [line for line in raw.decode("utf-8", "ignore").splitlines() if not line.startswith(("'", '.\\"'))]
    text = re.sub(r"(?m)^\.(\w+ ?)", "", "\n".join(lines))
    return re.sub(r"\\f[BIRP]|\\&|\\\(\w\w", "", text).replace("\\-", "-")


def read_html(path: str) -> str:
    """The words of an HTML page, without menus' blank lines."""
    text = re.sub(r"(?s)<(script|style|nav).*?</\1>|<[^>]+>", "", read_plain(path))
    return re.sub(r"\n\s*\n+", "\n\n", html.unescape(text))


def read_catalogue(path: str) -> str:
    """The translations of a compiled message catalogue."""
    raw = Path(path).read_bytes()
    count, _, at = (int.from_bytes(raw[i : i + 4], "little") for i in (8, 12, 16))
    words = (raw[at + 8 * i : at + 8 * i + 8] for i in range(1, count))
    spans = ((int.from_bytes(w[:4], "little"), int.from_bytes(w[4:], "little")) for w in words)
    return "\n".join(raw[start : start + size].decode("utf-8", "ignore") for size, start in spans)


def read_numbered(path: str) -> str:
    """The file as a coding agent's file reader shows it: line number, tab, line."""
    return "\n".join(f"{n:>6}\t{line}" for n, line in enumerate(read_plain(path).splitlines(), 1))


def read_packed_json(path: str) -> str:
    """The JSON document without blanks."""
    try:
        return json.dumps(json.loads(read_plain(path)), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return ""


def read_diff(path: str) -> str:
    """A unified diff between the file and itself with a tenth of the lines changed."""
    dice = random.Random(path)
    old = read_plain(path).splitlines()
    new = [line.replace("self", "this") + "  # new" if dice.random() < 0.1 else line for line in old]
    return "\n".join(difflib.unified_diff(old, new, path, path, lineterm=""))


def read_command(line: str) -> str:
    """What a shell command prints."""
    return subprocess.run(line, shell=True, capture_output=True, check=False).stdout.decode("utf-8", "ignore")


COMMANDS = [
    "ls -laR /usr/share | head -3000",
    "find /usr/lib -name '*.py' | head -4000",
    "ps auxww",
    "env -i sh -c set; mount",
    f"grep -rn 'import' {STDLIB}/json {STDLIB}/email {STDLIB}/http",
    "dpkg -l | head -500",
    "df -h; cat /proc/meminfo",
    f"wc -l {STDLIB}/*.py",
    "cat /proc/cpuinfo | head -200",
    "ls -la /usr/bin /etc",
    "npm ls -g --all",
    "pip list -v",
    "npm --help; git --help; git help -a",
    f"{sys.executable} -m unittest -v test.test_json.test_decode 2>&1",
    f"grep -n 'def ' {STDLIB}/*.py | head -3000",
    f"du -a {STDLIB} | head -2500",
    "apt-cache show bash coreutils git",
    "git --version; for c in log diff rebase commit; do git $c -h; done 2>&1",
    "npm help npm; node --help; tar --help",
    "objdump -p /usr/lib/*/libc.so.6",
    "readelf -sW /usr/lib/*/libm.so.6 | head -800",
    "env -i ls -lR /etc | head -2500",
    "cksum /usr/bin/* | head -1500",
    "pip freeze; pip debug",
    "find /etc -ls | head -1500",
    "uname -a; id; lscpu; free",
    f"grep -rnE 'raise|except' {STDLIB}/asyncio {STDLIB}/unittest",
    f"{sys.executable} -X importtime -c 'import asyncio' 2>&1",
    f"{sys.executable} -m dis {STDLIB}/bisect.py",
    f"diff -ru {STDLIB}/json {STDLIB}/wsgiref",
    "ls /usr/share/doc | head -900",
    "cat /etc/services /etc/protocols",
    "stat /usr/bin/*",
    "cat /var/log/dpkg.log | head -600",
    "getconf -a; locale -a",
]

LANGUAGES = [("chinese", "zh", "zh_CN"), ("japanese", "ja", "ja"), ("korean", "ko", "ko"), ("russian", "ru", "ru")]
NOISE = {
    "base64": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "hex": "0123456789abcdef",
    "numbers": "0123456789 ",
    "signs": "😀🚀✅❌⚠️│├─└•→…—“”",
}


def read_noise(kind_and_seed: str) -> str:
    """Lines of characters drawn from one of NOISE."""
    dice = random.Random(kind_and_seed)
    letters = NOISE[kind_and_seed.split(maxsplit=1)[0]]
    return "\n".join("".join(dice.choices(letters, k=dice.randint(20, 80))) for _ in range(300))


Reader = Callable[[str], str]


def sources(node: str) -> dict[str, list[tuple[list[str], Reader]]]:
    """For each genre the lists of files (or commands) it is drawn from in turn, and how to read each."""
    stdlib = [path for path in files(STDLIB, ".py") if "site-packages" not in path and "encodings" not in path]
    site, js = f"{STDLIB}/site-packages", [path for path in files(node, ".js") if ".min." not in path]
    json_files = [*files(node, ".json"), *files(site, ".json"), *files("/usr/share", ".json")]
    found: dict[str, list[tuple[list[str], Reader]]] = {
        "prose": [
            (files(RUST / "book", ".html"), read_html),
            (files(RUST / "rustc", ".html"), read_html),
            (files("/usr/share/man/man1", ".gz"), read_manual),
            (files("/usr/share/man/man7", ".gz"), read_manual),
            (files("/usr/share/doc", "README", ".txt", ".rst"), read_plain),
            (files(node, "README.md"), read_plain),
        ],
        "python": [(stdlib, read_plain), (files(site, ".py"), read_plain)],
        "js": [(js, read_plain), (files(node, ".ts"), read_plain)],
        "code": [
            (files("/usr/include", ".h", ".hpp"), read_plain),
            (files(RUST / "src", ".rs.html"), read_html),
            (files("/usr/share", ".pl", ".pm"), read_plain),
            (files("/usr/lib", ".sh", ".cmake"), read_plain),
            (files("/usr/share", ".css", ".xml"), read_plain),
        ],
        "json": [(json_files, read_plain), (json_files, read_packed_json)],
        "shell": [(COMMANDS, read_command)],
        "agent": [
            (stdlib, read_numbered),
            (js, read_numbered),
            (stdlib, read_diff),
            (files(node, ".md"), read_numbered),
        ],
    }
    for genre, code, locale in LANGUAGES:
        found[genre] = [
            (files(f"/usr/share/man/{locale}", ".gz", ".1", ".8"), read_manual),
            (files(f"/usr/share/locale/{locale}", ".mo"), read_catalogue),
            (files(RUST / "rust-by-example" / code, ".html"), read_html),
        ]
    for genre, codes in (("european", "de fr es it pl"), ("scripts", "th hi ar el he ta uk ka")):
        found[genre] = [(files(f"/usr/share/locale/{code}", ".mo"), read_catalogue) for code in codes.split()]
    found["noise"] = [([f"{kind} {n}" for n in range(40)], read_noise) for kind in NOISE]
    return found


def pieces(genre: str, drawn: list[tuple[list[str], Reader]]) -> Iterator[tuple[str, str]]:
    """(half, text) pieces of 20 KB of one genre: its sources in turn, files in an order and halves drawn once."""
    dice = random.Random(genre)
    turns = [[(path, read) for path in dice.sample(paths, min(len(paths), 400))] for paths, read in drawn]
    pending = {"fit": b"", "test": b""}
    made = 0
    for path, read in (entry for entry in itertools.chain(*itertools.zip_longest(*turns)) if entry):
        half = dice.choice(("fit", "test"))
        raw = pending[half] + read(path).encode()[: BYTES_PER_FILE * (5 if read is read_command else 1)]
        size = PIECE[half]
        while len(raw) >= size:
            yield half, raw[:size].decode("utf-8", "ignore")
            raw, made = raw[size:], made + size
        pending[half] = raw
        if made >= BYTES_PER_GENRE:
            return


def main(out: Path, node: str) -> None:
    """Write every genre's pieces and say how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "pieces.jsonl").open("w", encoding="utf-8") as sink:
        for genre, drawn in sources(node).items():
            found = list(pieces(genre, drawn))
            print(genre, len(found), flush=True)
            for half, text in found:
                print(json.dumps({"genre": genre, "half": half, "text": text}), file=sink)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""The status line: themes, colours, variables, what it reads from disk and from the router, the line itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ccrouter.config.load import find_config
from ccrouter.service.private import router_folder
from ccrouter.service.statusline import inquiry, scripts, written
from ccrouter.service.statusline.colours import RESET, colour
from ccrouter.service.statusline.inquiry import Inquiry, place_of
from ccrouter.service.statusline.line import NotUnderstood, compose, manner_of, parse
from ccrouter.service.statusline.oddities import oddities
from ccrouter.service.statusline.rendering import Manner, columns, cut, filled_in, render
from ccrouter.service.statusline.surroundings import git_branch, last_answer
from ccrouter.service.statusline.themes import TEXTS, THEMES, Theme, built_in_theme, written_theme
from ccrouter.service.statusline.variables import variables

PLAIN = Manner(has_colour=False)
SAID = {
    "session_id": "0123456789abcdef",
    "transcript_path": "",
    "version": "2.1.330",
    "workspace": {"current_dir": "/srv/shop"},
    "model": {"id": "claude-sonnet-5", "display_name": "Sonnet 5"},
    "cost": {"total_cost_usd": 0.1234, "total_duration_ms": 125_000, "total_lines_added": 12, "total_lines_removed": 5},
    "context_window": {
        "context_window_size": 200_000,
        "total_input_tokens": 61_200,
        "total_output_tokens": 900,
        "current_usage": {
            "input_tokens": 1200,
            "output_tokens": 340,
            "cache_read_input_tokens": 40_000,
            "cache_creation_input_tokens": 800,
        },
    },
}
TOLD = {
    "service": "ccrouter",
    "version": "0.1.0",
    "style": None,
    "default": "deepseek,deepseek-chat",
    "streaming": True,
    "session": {"requests": 7, "failed": 0, "cost": {"usd": 0.5, "unknown": 0}, "cacheShare": 0.7},
    "last": {
        "asked": "claude-sonnet-5",
        "sent": "deepseek-chat",
        "answered": "deepseek-chat-0922",
        "provider": "deepseek",
        "route": "think",
        "tokens": {"input": 100, "output": 2500},
        "cacheShare": 0.934,
        "contextTokens": 32_000,
        "contextWindow": 64_000,
        "ttftMs": 850.4,
        "tokensPerSecond": 87.6,
        "cost": 0.0042,
    },
}


# -- variables ---------------------------------------------------------------------------------------------------------


def test_the_router_is_believed_first() -> None:
    """With a record of the session, model, tokens, context, speed and costs are the router's."""
    told = variables(SAID, TOLD, {"gitBranch": "main", "transcript": {"model": "claude-sonnet-5"}})
    assert told == {
        "workDirName": "shop",
        "gitBranch": "main",
        "model": "deepseek-chat-0922",
        "realModel": "deepseek-chat-0922",
        "askedModel": "claude-sonnet-5",
        "sentModel": "deepseek-chat",
        "answeredModel": "deepseek-chat-0922",
        "provider": "deepseek",
        "route": "think",
        "inputTokens": "100",
        "outputTokens": "2.5k",
        "totalInputTokens": "61.2k",
        "totalOutputTokens": "900",
        "cacheShare": "93%",
        "sessionCacheShare": "70%",
        "contextUsed": "32.0k",
        "contextWindowSize": "64k",
        "contextPercent": "50",
        "context": "32.0k/64k 50%",
        "tokenSpeed": "88",
        "speed": "88 t/s",
        "isStreaming": "streaming",
        "streamingIndicator": "[Streaming]",
        "timeToFirstToken": "850ms",
        "cost": "$0.50",
        "claudeCost": "$0.12",
        "requestCost": "0.42¢",
        "requests": "7",
        "duration": "2m5s",
        "linesAdded": "12",
        "linesRemoved": "5",
        "netLines": "7",
        "lines": "+12 -5",
        "version": "2.1.330",
        "sessionId": "01234567",
        "routerVersion": "0.1.0",
    }


def test_without_the_router() -> None:
    """Then it is what Claude Code says, and nothing is made up."""
    told = variables(SAID, {}, {"gitBranch": "", "transcript": {}})
    wanted = {
        "model": "Sonnet 5", "realModel": "", "provider": "", "cacheShare": "", "requestCost": "", "requests": "",
        "inputTokens": "1.2k", "outputTokens": "340", "contextUsed": "42.0k", "contextPercent": "21",
        "contextWindowSize": "200k", "tokenSpeed": "0", "speed": "", "isStreaming": "", "timeToFirstToken": "",
        "cost": "$0.12", "routerVersion": "",
    }  # fmt: skip
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("told", "transcript", "expected"),
    [
        (TOLD, {"model": "from-transcript"}, "deepseek-chat-0922"),
        ({**TOLD, "last": {"sent": "deepseek-chat"}}, {}, "deepseek-chat"),
        ({**TOLD, "last": None}, {"model": "from-transcript"}, "from-transcript"),
        ({**TOLD, "last": None}, {}, "deepseek-chat"),
        ({**TOLD, "last": None, "default": "p,a/b,c"}, {}, "a/b,c"),
        ({}, {}, "Sonnet 5"),
    ],
)
def test_which_model(told, transcript, expected) -> None:
    """The one that answered, else that was sent, else the transcript's last, else the default route's, else Claude's name."""
    assert variables(SAID, told, {"transcript": transcript})["model"] == expected


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({"usd": 1.234, "unknown": 0}, "$1.23"),
        ({"usd": 0.0, "unknown": 0}, "$0.00"),
        ({"usd": 1.234, "unknown": 2}, "$1.23+?"),
        ({"usd": None, "unknown": 2}, "$?"),
        ({"usd": 0.0, "unknown": 2}, "$?"),
    ],
)
def test_a_cost_that_is_not_known(cost, expected) -> None:
    """Is never shown as nothing, and never as Claude Code's own estimate."""
    told = {**TOLD, "session": {"cost": cost}, "last": {"cost": None}}
    found = variables(SAID, told, {})
    assert (found["cost"], found["requestCost"]) == (expected, "$?")


def test_anything_may_be_missing_or_odd() -> None:
    """No member need be there, or be of its kind: every variable is a text all the same."""
    odd = dict.fromkeys(SAID, 3) | {"cost": {"total_cost_usd": "x", "total_duration_ms": [], "total_lines_added": True}}
    strange = {"last": {"tokens": 3, "cacheShare": "x", "contextTokens": float("nan")}, "session": 4, "streaming": "no"}
    for said in ({}, odd, {"context_window": {"context_window_size": 0}}, {"cost": {"total_cost_usd": float("inf")}}):
        for told in ({}, strange):
            found = variables(said, told, {})
            assert found.keys() == variables(SAID, TOLD, {}).keys()
            assert all(isinstance(value, str) for value in found.values())


def test_every_text_has_its_variables() -> None:
    """What built-in themes and types show are variables that there are."""
    known = variables(SAID, TOLD, {})
    texts = [*TEXTS.values(), *(module["text"] for modules in THEMES.values() for module in modules)]
    for text in texts:
        assert filled_in(text, dict.fromkeys(known, "X")).replace("X", "").find("{{") < 0
        assert "X" in filled_in(text, dict.fromkeys(known, "X"))


# -- themes and colours ------------------------------------------------------------------------------------------------


def test_which_theme() -> None:
    """Modules that are written count, by the style that is chosen; a built-in name without modules is that theme."""
    own = [{"type": "model", "text": "m"}]
    assert written_theme({"currentStyle": "mine", "mine": {"modules": own}}).modules == own
    assert written_theme({"enabled": True, "default": {"modules": own}}).style == "default"
    assert written_theme({"currentStyle": "powerline", "default": {"modules": own}}).modules == THEMES["powerline"]
    assert written_theme({"enabled": True}) is None
    assert written_theme({"currentStyle": "unheard-of"}) is None
    assert written_theme(["x"]) is None
    assert [one["icon"] for one in built_in_theme({"USE_SIMPLE_ICONS": "true"}).modules] == ["", "", "", "↑", "↓"]
    assert built_in_theme({"TERM": "dumb"}).modules == THEMES["simple"]
    assert built_in_theme({"TERM": "xterm"}).modules == THEMES["default"]


@pytest.mark.parametrize(
    ("name", "foreground", "background"),
    [
        ("red", "\033[31m", "\033[41m"),
        ("bright_blue", "\033[94m", "\033[104m"),
        ("bg_bright_blue", "\033[94m", "\033[104m"),
        ("bg_bright_orange", "\033[38;5;202m", "\033[48;5;202m"),
        ("#3af", "\033[38;2;51;170;255m", "\033[48;2;51;170;255m"),
        ("33AAFF", "\033[38;2;51;170;255m", "\033[48;2;51;170;255m"),
        ("bg_#33aaff", "\033[38;2;51;170;255m", "\033[48;2;51;170;255m"),
    ],
)
def test_colours(name, foreground, background) -> None:
    """Names and numbers are colours alike, in front and behind."""
    found = colour(name)
    assert (found.foreground, found.background) == (foreground, background)


@pytest.mark.parametrize("name", ["", "mauve", "#12", "#12345g", None, 3, "bright_", "dim"])
def test_no_colours(name) -> None:
    """What is none is none."""
    assert colour(name) is None


# -- rendering ---------------------------------------------------------------------------------------------------------


def test_named_colours_paint_in_the_default_style() -> None:
    """Each module in its colours, then a blank; one without a colour has no codes."""
    theme = Theme("default", [
        {"type": "model", "icon": "M", "text": "{{model}}", "color": "red", "background": "bg_blue"},
        {"type": "x", "text": "plain"},
    ])  # fmt: skip
    assert render(theme, {"model": "m"}, Manner()) == f"\033[44m\033[31mM m{RESET} plain"
    assert render(theme, {"model": "m"}, PLAIN) == "M m plain"


def test_powerline() -> None:
    """Every ground ends in an arrow onto the next, also where a module between them is left out; at most ten modules."""
    modules = [
        {"type": "a", "text": "{{a}}", "color": "white", "background": "bg_blue"},
        {"type": "b", "text": "{{b}}", "color": "white", "background": "bg_red"},
        {"type": "c", "text": "{{c}}"},
    ]
    theme = Theme("powerline", modules)
    line = render(theme, {"a": "A", "c": "C"}, Manner())
    arrow = "\ue0b0"
    assert line == (
        f"\033[44m\033[37m A {RESET}\033[34m\033[104m{arrow}{RESET}\033[104m\033[37m C {RESET}\033[94m{arrow}{RESET}"
    )
    assert arrow not in render(theme, {"a": "A", "c": "C"}, Manner(has_glyphs=False))
    assert render(theme, {"a": "A", "c": "C"}, Manner(has_colour=False, has_glyphs=False)) == "A > C"
    many = Theme("powerline", [{"type": "x", "text": str(number)} for number in range(12)])
    assert render(many, {}, Manner(has_colour=False, has_glyphs=False)).split(" > ") == [str(n) for n in range(10)]


def test_modules_of_nothing_are_left_out() -> None:
    """A module whose variables are all empty is not there at all: no icon, no brackets; one with some of them is."""
    theme = Theme("default", [
        {"type": "gitBranch", "icon": "B", "text": "({{gitBranch}})"},
        {"type": "x", "text": "{{a}} {{unknown}}!"},
        {"type": "model"},
        {"type": "nonsense"},
        {"type": "x", "text": 3},
    ])  # fmt: skip
    assert render(theme, {"a": "A", "model": "m", "gitBranch": ""}, PLAIN) == "A ! m"


def test_without_special_glyphs() -> None:
    """Glyphs of special fonts are left out where there are none, other icons stay."""
    theme = Theme("default", [{"icon": "\uf07b", "text": "a"}, {"icon": "\U000f024b★", "text": "b"}])
    assert render(theme, {}, Manner(has_colour=False, has_glyphs=False)) == "a ★ b"


def test_nothing_moves_the_cursor() -> None:
    """Control characters and line breaks in names, texts, icons and what scripts say are blanks."""
    theme = Theme("default", [{"icon": "\033[2J", "text": "{{model}}"}, {"type": "script"}])
    line = render(theme, {"model": "a\nb\033]0;x\007\u202ec"}, PLAIN, {1: "s\r\n\033[31mt"})
    assert line == "[2J a b ]0;x  c s   [31mt"


@pytest.mark.parametrize(
    ("line", "width", "expected"),
    [
        ("abcdef", 0, "abcdef"),
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        (f"\033[31mabc{RESET} \033[32mdef{RESET}", 7, f"\033[31mabc{RESET} \033[32mdef{RESET}"),
        (f"\033[31mabc{RESET} \033[32mdef{RESET}", 6, f"\033[31mabc{RESET} \033[32md…{RESET}"),
    ],
)
def test_no_wider_than_the_terminal(line, width, expected) -> None:
    """Cut by columns, not by characters; colours take up none and are ended."""
    assert cut(line, width) == expected
    if width:
        assert columns(expected.replace(RESET, "").replace("\033[31m", "").replace("\033[32m", "")) <= width


def test_how_the_line_is_written() -> None:
    """NO_COLOR, USE_SIMPLE_ICONS and COLUMNS say so; nonsense in COLUMNS says nothing."""
    said = manner_of({"NO_COLOR": "1", "USE_SIMPLE_ICONS": "true", "COLUMNS": "80"})
    assert (said.has_colour, said.has_glyphs, said.width) == (False, False, 80)
    for odd in ("", "x", "-3", "²", "9" * 30):
        silent = manner_of({"COLUMNS": odd, "NO_COLOR": ""})
        assert (silent.has_colour, silent.has_glyphs, silent.width) == (True, True, 0)


# -- git and transcripts -----------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "protocol.file.allow=always", *words],
        cwd=folder, check=True, capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-b", "trunk")
    git(folder, "commit", "--allow-empty", "-m", "x")
    return folder


def test_branches(repository: Path, tmp_path: Path) -> None:
    """A branch by its whole name, in folders below too; a worktree's and a submodule's own; a commit's first digits."""
    assert git_branch(str(repository)) == "trunk"
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    git(repository, "checkout", "-b", "feat/deep/er")
    assert git_branch(str(below)) == "feat/deep/er"
    git(repository, "worktree", "add", "-b", "side", str(tmp_path / "tree"))
    assert git_branch(str(tmp_path / "tree")) == "side"
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-b", "outer")
    git(other, "submodule", "add", str(repository), "inner")
    git(other / "inner", "checkout", "-b", "within")
    assert (git_branch(str(other)), git_branch(str(other / "inner"))) == ("outer", "within")
    git(repository, "checkout", "--detach")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    assert git_branch(str(repository)) == commit[:7]


def test_no_branches(tmp_path: Path) -> None:
    """Outside of git, and with a `.git` of another kind, there is none, and that is no error."""
    assert git_branch("") == ""
    assert git_branch("/no/such\0folder") == ""
    assert git_branch(str(tmp_path / "nowhere")) == ""
    (tmp_path / ".git").write_text("something else")
    assert git_branch(str(tmp_path)) == ""
    (tmp_path / ".git").unlink()
    os.mkfifo(tmp_path / ".git")
    assert git_branch(str(tmp_path)) == ""


def answer(model: object, **more: object) -> str:
    return json.dumps({"type": "assistant", "message": {"model": model, "usage": {"input_tokens": 3}}, **more})


def test_the_last_answer(tmp_path: Path) -> None:
    """The last one of the main conversation that a model gave, whatever else is in the transcript and however long it is."""
    path = tmp_path / "t.jsonl"
    lines = [
        "x" * 600_000,
        answer("first"),
        answer("wanted"),
        answer("of-an-agent", isSidechain=True),
        answer("<synthetic>"),
        answer(3),
        '{"type":"user","message":"assistant"}',
        '{"type":"assistant"',
    ]
    path.write_text("\n".join(lines))
    assert last_answer(str(path)) == {"model": "wanted", "usage": {"input_tokens": 3}}
    path.write_text("\n")
    assert last_answer(str(path)) == last_answer("") == last_answer(str(tmp_path)) == last_answer("/nowhere\0") == {}


# -- the user's own files ----------------------------------------------------------------------------------------------


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    (home / ".claude-code-router").mkdir()
    return {"HOME": str(home)}


@pytest.mark.parametrize(
    "text",
    [
        '{"StatusLine": {"enabled": true}}',
        '{\n// a comment, with "quotes"\n"url": "http://x//y", /* { */ "StatusLine": {"enabled": true,},\n}',
        "{StatusLine: {enabled: true}, other: 'x'}",
    ],
)
def test_settings_in_any_form(home: Path, environ: dict[str, str], text: str) -> None:
    """Plain JSON, JSON with comments and stray commas, and JSON5 are understood."""
    (home / ".claude-code-router" / "config.json").write_text(text)
    assert written.own_settings(environ) == {"enabled": True}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
def test_settings_that_cannot_be_read(home: Path, environ: dict[str, str], text: str) -> None:
    """Are none."""
    (home / ".claude-code-router" / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert written.own_settings(environ) is None
    assert written.own_settings({**environ, "CCR_CONFIG": str(home)}) is None


@pytest.mark.parametrize("named", [None, "~/x.json", "/etc/y.json", "z.json"])
@pytest.mark.parametrize("variable", ["CCR_CONFIG", "CONFIG_PATH"])
def test_files_are_where_the_others_look(home: Path, variable: str, named: str | None) -> None:
    """Folder and config file are those that the router itself finds."""
    environ = {"HOME": str(home)} | ({variable: named} if named else {})
    assert Path(written.router_folder(environ)) == router_folder()
    assert Path(written.config_file(environ)) == find_config(None, environ)


def test_a_preset_brings_a_theme_and_no_programs(home: Path, environ: dict[str, str]) -> None:
    """Without a router too a preset's theme is found, below `template` as well; its scripts are left out."""
    folder = home / ".claude-code-router" / "presets" / "team"
    folder.mkdir(parents=True)
    modules = [{"type": "x", "text": "theirs"}, {"type": "script", "scriptPath": str(home / "evil.js")}]
    for manifest in (
        {"StatusLine": {"default": {"modules": modules}}},
        {"template": {"StatusLine": {"default": {"modules": modules}}}},
    ):
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert compose({}, "team", {**environ, "NO_COLOR": "1"}) == ("theirs", [])
    assert written.preset_settings("../team", environ) is None


# -- the router --------------------------------------------------------------------------------------------------------


@contextmanager
def answering(said: bytes, *, hold: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers once with `said`, and then, with `hold`, keeps the line open; and what it was asked."""
    asked: list[bytes] = []
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536))
                if said:
                    connection.sendall(said)
                if hold:
                    is_over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            is_over.set()
            thread.join(10)


def http(body: object, status: str = "200 OK") -> bytes:
    text = json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text


def ask(environ: dict[str, str], preset: str = "") -> dict:
    place = place_of(environ)
    assert place is not None
    return Inquiry(place, "s/1 ü", preset).answer()


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is to be answered: the machine may be busy."""
    monkeypatch.setattr(inquiry, "PATIENCE", 10.0)


@pytest.mark.usefixtures("_patient")
def test_what_is_asked() -> None:
    """The session and the preset, of the router that Claude Code talks to, with its key; an open line is not waited for."""
    with answering(http(TOLD), hold=True) as (port, asked):
        url = f"http://127.0.0.1:{port}/preset/team/"
        told = ask({"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": "launch-key"})
    assert told == TOLD
    lines = asked[0].decode().split("\r\n")
    assert lines[0] == "GET /api/statusline?session=s%2F1%20%C3%BC&preset=team HTTP/1.1"
    assert {f"host: 127.0.0.1:{port}", "authorization: Bearer launch-key", "connection: close"} <= set(lines)


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\nnot json",
        http({"service": "other"}),
        http([1]),
        http(TOLD, "401 Unauthorized"),
        http(TOLD, "404 Not Found"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\xff\xfe\x00",
    ],
)
def test_answers_of_others(said: bytes) -> None:
    """Whatever else answers there, nothing is told, and nothing raised."""
    with answering(said) as (port, _):
        assert ask({"ANTHROPIC_BASE_URL": f"http://localhost:{port}"}) == {}


def test_a_router_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is waited for as long as there is patience, and no longer; one that is not there is not waited for."""
    monkeypatch.setattr(inquiry, "PATIENCE", 0.02)
    with answering(b"", hold=True) as (port, _):
        assert ask({"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}) == {}
    assert ask({"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}) == {}


@pytest.mark.parametrize(
    "url",
    ["", "https://api.anthropic.com", "https://127.0.0.1:3456", "http://", "http://u:p@h/", "http://h:x", "http://h o",
     "http://h:1\r\nx: y", "ftp://h", "http://[::1", "http://[::1]x"],
)  # fmt: skip
def test_who_is_not_asked(url: str) -> None:
    """Nobody is, without a plain address of a router: a key is sent to nobody else."""
    place = place_of({"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": "k"})
    assert place is None or (place.host, place.port) == ("::1", 80)


def test_keys_that_are_no_headers() -> None:
    """A key with a line break in it would be a header of somebody's making."""
    assert place_of({"ANTHROPIC_BASE_URL": "http://h", "ANTHROPIC_AUTH_TOKEN": "a\r\nx: y"}) is None


# -- scripts -----------------------------------------------------------------------------------------------------------


def modules_of(tmp_path: Path, **files: str) -> list[dict]:
    made = []
    for name, text in files.items():
        path = tmp_path / name.replace("_", ".")
        path.write_text(text)
        made.append({"type": "script", "scriptPath": path.name, "options": {"mark": name}})
    return made


def test_scripts_of_javascript(tmp_path: Path) -> None:
    """Functions, async ones, default exports and texts; what they print is not taken for what they say."""
    modules = modules_of(
        tmp_path,
        a_js="console.log('noise'); module.exports = (vars, options) => `${vars.model}/${options.mark}`",
        b_js="module.exports = async () => 'later'",
        c_js="exports.default = () => 'default'",
        d_js="module.exports = 'a text'",
        e_js="module.exports = () => undefined",
        f_js="module.exports = () => { throw new Error('broken') }",
    )
    said = scripts.run_scripts([{"type": "model"}, *modules], {"model": "m"}, str(tmp_path))
    assert said.texts == {1: "m/a_js", 2: "later", 3: "default", 4: "a text", 5: ""}
    assert said.complaints == [f"{tmp_path / 'f.js'}: Error: broken"]


def test_scripts_of_python(tmp_path: Path) -> None:
    """A file that defines `statusline` is asked in the same way."""
    modules = modules_of(
        tmp_path,
        a_py="print('noise')\ndef statusline(variables, options):\n    return variables['model'] + options['mark']\n",
        b_py="raise SystemExit(3)\n",
    )
    said = scripts.run_scripts(modules, {"model": "m"}, str(tmp_path))
    assert said.texts == {0: "ma_py"}
    assert said.complaints == [f"{tmp_path / 'b.py'}: SystemExit: 3"]


def test_scripts_that_do_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are ended, and cost their own text only."""
    monkeypatch.setattr(scripts, "PATIENCE", 0.2)
    said = scripts.run_scripts(modules_of(tmp_path, a_js="for (;;);"), {}, str(tmp_path))
    assert (said.texts, said.complaints) == ({}, ["scripts took longer than 0 s"])


def test_without_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a complaint, and no text."""
    monkeypatch.setenv("PATH", str(tmp_path))
    said = scripts.run_scripts(modules_of(tmp_path, a_js="1"), {}, str(tmp_path))
    assert said.texts == {}
    assert "node cannot be run" in said.complaints[0]


@pytest.mark.usefixtures("_patient")
def test_no_program_is_named_by_an_answer(home: Path, environ: dict[str, str]) -> None:
    """A script that the answer of a router names is not run; the user's own file says which are."""
    (home / "evil.js").write_text(
        f"require('fs').writeFileSync({json.dumps(str(home / 'ran'))}, 'x'); module.exports = 'evil'"
    )
    modules = [{"type": "x", "text": "shown"}, {"type": "script", "scriptPath": str(home / "evil.js")}]
    style = {"currentStyle": "mine", "mine": {"modules": modules}}
    with answering(http({**TOLD, "style": style})) as (port, _):
        line, _ = compose(SAID, "", {**environ, "NO_COLOR": "1", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"})
    assert (line, (home / "ran").exists()) == ("shown", False)
    (home / ".claude-code-router" / "own.js").write_text("module.exports = (v) => 'own ' + v.provider")
    own = {"StatusLine": {"default": {"modules": [{"type": "script", "icon": "*", "scriptPath": "own.js"}]}}}
    (home / ".claude-code-router" / "config.json").write_text(json.dumps(own))
    with answering(http({**TOLD, "style": style})) as (port, _):
        line, _ = compose(SAID, "", {**environ, "NO_COLOR": "1", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"})
    assert (line, (home / "ran").exists()) == ("* own deepseek", False)


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " \n", "x", "[]", "3", '{"a":', "[" * 100_000])
def test_what_is_not_understood(text: str) -> None:
    """Is said so."""
    with pytest.raises(NotUnderstood):
        parse(text)


@pytest.mark.usefixtures("_patient")
def test_the_style_of_the_router_counts(environ: dict[str, str]) -> None:
    """What the running router has in force is shown, and not what the file says by now."""
    style = {"currentStyle": "mine", "mine": {"modules": [{"text": "{{model}} {{cacheShare}} {{cost}}"}]}}
    with answering(http({**TOLD, "style": style})) as (port, _):
        line, complaints = compose(SAID, "", {**environ, "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"})
    assert (line, complaints) == ("deepseek-chat-0922 93% $0.50", [])


def test_it_imports_next_to_nothing() -> None:
    """What makes it quick: no library, and none of the slower modules of Python."""
    code = "import sys, ccrouter.cli, ccrouter.cli.footline; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {
        "click",
        "rich",
        "msgspec",
        "json5",
        "asyncio",
        "http.client",
        "pathlib",
        "dataclasses",
        "typing",
        "subprocess",
        "ssl",
    }
    site = set(subprocess.run([sys.executable, "-I", "-c", "import sys; print('\\n'.join(sys.modules))"], capture_output=True, text=True, check=True).stdout.split())  # fmt: skip
    assert (loaded - site) & heavy == set()
    assert not [name for name in loaded if name.startswith(("ccrouter.config", "ccrouter.server"))]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"enabled": True, "currentStyle": "full"}, []),
        ({"enabled": True, "default": {"modules": [{"type": "script", "scriptPath": "a.py"}]}}, []),
        (True, ["StatusLine must be an object"]),
        ({"enable": True}, ["StatusLine.enable is not known"]),
        (
            {"currentStyle": "ful"},
            ["there is no style 'ful', so 'default' is shown; there are default, powerline, simple"],
        ),
        ({"mine": {"modules": {}}, "currentStyle": "mine"}, ["StatusLine.mine.modules must be a list"]),
        ({"mine": {"modules": ["model"]}, "currentStyle": "mine"}, ["StatusLine.mine.modules[0] must be an object"]),
        (
            {"currentStyle": "mine", "mine": {"modules": [{"type": "x", "text": "{{modle}}", "color": "purpel"}]}},
            ['modules[0].text: there is no variable {{modle}}; did you mean "model"?', "color: 'purpel' is no colour"],
        ),
        (
            {"currentStyle": "mine", "mine": {"modules": [{"type": ["modl"]}]}},
            ["modules[0].type: without `text` it must be one of workDir, "],
        ),
    ],
)
def test_what_no_line_can_show(settings, told):
    """What is misspelled in `StatusLine` is named with its place and what may stand there; the rest is not spoken of."""
    found = list(oddities(settings))
    assert len(found) == len(told)
    for one, part in zip(found, told, strict=True):
        assert part in one
